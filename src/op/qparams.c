/* Scale and zero point inputs of QuantizeLinear and DequantizeLinear: see qparams.h. */
#include "op/qparams.h"

#include <math.h>
#include <string.h>
#include "num/num.h"
#include "op/infer.h"

typedef struct code_range {
    int32_t lo, hi, bias;
} code_range;

static code_range range_of(oct_dtype dtype)
{
    switch (dtype) {
    case OCT_S8:
        return (code_range){-128, 127, 128};
    case OCT_U4:
        return (code_range){0, 15, 0};
    case OCT_S4:
        return (code_range){-8, 7, 128};
    case OCT_U16:
        return (code_range){0, 65535, 0};
    case OCT_S16:
        return (code_range){-32768, 32767, 0};
    case OCT_S32:
        return (code_range){INT32_MIN, INT32_MAX, 0};
    default:
        return (code_range){0, 255, 0};
    }
}

/* Number of scales of a shape: 1 for scalars and lists of one, the length of a list, -1 otherwise or when unknown. */
static int64_t list_length(const oct_shape *s)
{
    return s->rank == 0 ? 1 : s->rank == 1 ? s->dim[0] : -1;
}

static oct_status check_scales(const oct_node *n, const oct_value *scale)
{
    int64_t count;
    if (!scale->data || oct_shape_count(&scale->shape, &count) != OCT_OK)
        return OCT_OK;
    for (int64_t i = 0; i < count; i++) {
        float s = ((const float *)scale->data)[i];
        if (!(s > 0) || !isfinite(s))
            return oct_op_bad(n, "scale %g (entry %lld of '%s') is not finite and above 0", (double)s, (long long)i, scale->name);
    }
    return OCT_OK;
}

/* One scale for each block along the axis: the scale has the rank of x, and the number of blocks there. */
static oct_status check_blocks(oct_graph *g, const oct_node *n, const oct_shape *x, int64_t block)
{
    const oct_value *scale = n->inputs[1], *zero = oct_node_in(n, 2);
    char ts[OCT_SHAPE_TEXT], tx[OCT_SHAPE_TEXT];
    int axis;
    if (n->op != OCT_OP_DEQUANTIZE)
        return oct_op_unsupported(n, "blocked quantization");
    if (scale->shape.rank < 0 || x->rank < 0)
        return OCT_OK;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 1), x->rank, &axis));
    bool fits = block > 0 && scale->shape.rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        if (x->dim[i] >= 0 && scale->shape.dim[i] >= 0)
            fits = scale->shape.dim[i] == (i == axis ? oct_div_up(x->dim[i], block) : x->dim[i]);
    if (!fits)
        return oct_op_bad(n, "scales %s for %s in blocks of %lld along axis %d", oct_shape_text(g, &scale->shape, ts), oct_shape_text(g, x, tx),
                          (long long)block, axis);
    if (zero && zero->shape.rank >= 0 && !oct_shape_equal(&zero->shape, &scale->shape))
        return oct_op_bad(n, "scale and zero point differ in shape");
    return check_scales(n, scale);
}

static oct_status axis_of(const oct_node *n, const oct_shape *x, int64_t count, int *axis)
{
    *axis = 0;
    if (count == 1)
        return OCT_OK;
    return oct_infer_axis(n, oct_node_int(n, "axis", 1), x->rank, axis);
}

oct_status oct_qparams_check(oct_graph *g, const oct_node *n, const oct_shape *x)
{
    const oct_value *scale = n->inputs[1], *zero = oct_node_in(n, 2);
    char text[OCT_SHAPE_TEXT], tx[OCT_SHAPE_TEXT];
    int axis;
    const int64_t block = oct_node_int(n, "block_size", 0);
    if (scale->dtype != OCT_F32)
        return oct_op_unsupported(n, "a scale of type %s", oct_dtype_name(scale->dtype));
    if (block != 0)
        return check_blocks(g, n, x, block);
    if (scale->shape.rank < 0 || x->rank < 0)
        return OCT_OK;
    int64_t count = list_length(&scale->shape);
    if (scale->shape.rank > 1)
        return oct_op_unsupported(n, "a scale of shape %s", oct_shape_text(g, &scale->shape, text));
    if (zero && zero->shape.rank >= 0 && list_length(&zero->shape) != count)
        return oct_op_bad(n, "scale and zero point differ in shape");
    if (count < 0)
        return OCT_OK;
    OCT_TRY(axis_of(n, x, count, &axis));
    if (count != 1 && x->dim[axis] >= 0 && x->dim[axis] != count)
        return oct_op_bad(n, "%lld scales for axis %d of %s", (long long)count, axis, oct_shape_text(g, x, tx));
    return check_scales(n, scale);
}

/* Element i of a constant of codes. */
static int32_t code_at(const oct_value *zero, int64_t i)
{
    switch (zero->dtype) {
    case OCT_U8:
    case OCT_U4:
        return ((const uint8_t *)zero->data)[i];
    case OCT_S8:
    case OCT_S4:
        return ((const int8_t *)zero->data)[i];
    case OCT_U16:
        return ((const uint16_t *)zero->data)[i];
    case OCT_S16:
        return ((const int16_t *)zero->data)[i];
    default:
        return ((const int32_t *)zero->data)[i];
    }
}

/* Scale and zero point as tensors, for steps that read them at run time. */
static oct_status lower_tensors(oct_lower *l, oct_value *scale, oct_value *zero, oct_dtype dtype, int32_t in[3])
{
    static const int16_t none[1];
    OCT_TRY(oct_lower_in(l, scale, OCT_LAYOUT_PLAIN, &in[1]));
    if (zero)
        return oct_lower_in(l, zero, OCT_LAYOUT_PLAIN, &in[2]);
    const int64_t count = list_length(&scale->shape), size = dtype == OCT_U4 || dtype == OCT_S4 ? 1 : (int64_t)oct_dtype_size(dtype);
    void *zeros = NULL;
    if (count == 1)
        return oct_lower_const(l, dtype, 0, NULL, none, &in[2]);
    OCT_TRY(oct_arena_alloc(l->d->arena, count * size, &zeros));
    return oct_lower_const(l, dtype, 1, &count, zeros, &in[2]);
}

oct_status oct_qparams_lower(oct_lower *l, const oct_node *n, oct_dtype dtype, const oct_shape *x, oct_p_quantize *p,
                             oct_stored_quant *q, int32_t in[3], int *n_in)
{
    oct_value *scale = n->inputs[1], *zero = oct_node_in(n, 2);
    code_range range = range_of(dtype);
    int axis;
    int64_t count = list_length(&scale->shape);
    OCT_TRY(oct_qparams_check(l->g, n, x));
    if (count < 1 || count > INT32_MAX)
        return oct_op_bad(n, "%lld scales", (long long)count);
    OCT_TRY(axis_of(n, x, count, &axis));
    *p = (oct_p_quantize){.n = (int32_t)count, .axis = axis, .scale_at = -1, .zero_at = -1};
    p->lo = dtype == OCT_S32 ? range.lo : range.lo + range.bias;
    p->hi = dtype == OCT_S32 ? range.hi : range.hi + range.bias;
    *n_in = 3;
    if (!scale->data || (zero && !zero->data))
        return lower_tensors(l, scale, zero, dtype, in);
    *n_in = 1;
    int32_t *zeros = NULL;
    OCT_TRY(oct_arena_alloc(l->d->arena, count * (int64_t)sizeof *zeros, (void **)&zeros));
    for (int64_t i = 0; i < count; i++) {
        int32_t z = zero ? code_at(zero, i) : 0;
        if (z < range.lo || z > range.hi)
            return oct_op_bad(n, "zero point %d is outside %s", z, oct_dtype_name(dtype));
        zeros[i] = z + range.bias;
    }
    OCT_TRY(oct_draft_const(l->d, scale->data, count * (int64_t)sizeof(float), &p->scale_at));
    OCT_TRY(oct_draft_const(l->d, zeros, count * (int64_t)sizeof *zeros, &p->zero_at));
    *q = (oct_stored_quant){((const float *)scale->data)[0], zeros[0], p->lo, p->hi};
    return OCT_OK;
}

void oct_qparams_mark(oct_lower *l, int32_t tensor, const oct_p_quantize *p, const oct_stored_quant *q)
{
    oct_plan_tensor *t = &l->d->tensors[tensor];
    if (p->n == 1 && p->scale_at >= 0 && t->dtype == OCT_U8) {
        t->scale = q->scale;
        t->zero = q->zero;
    }
}

oct_status oct_qparams_lower_blocks(oct_lower *l, const oct_node *n)
{
    const oct_value *x = n->inputs[0], *scale = n->inputs[1], *zero = oct_node_in(n, 2);
    const int64_t block = oct_node_int(n, "block_size", 0);
    int64_t count, inner = 1, bytes;
    int32_t t;
    int axis;
    float *real = NULL;
    if (!x->data || !scale->data || (zero && !zero->data))
        return oct_op_unsupported(n, "blocked quantization of what is computed at run time");
    OCT_TRY(oct_qparams_check(l->g, n, &x->shape));
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 1), x->shape.rank, &axis));
    OCT_TRY(oct_shape_count(&x->shape, &count));
    OCT_TRY(oct_size_mul(count, (int64_t)sizeof *real, &bytes));
    OCT_TRY(oct_arena_alloc(l->g->arena, bytes ? bytes : 1, (void **)&real));
    for (int i = axis + 1; i < x->shape.rank; i++)
        inner *= x->shape.dim[i];
    const int64_t length = x->shape.dim[axis], blocks = oct_div_up(length, block);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = (i / inner / length * blocks + i / inner % length / block) * inner + i % inner;
        real[i] = oct_dequantize(code_at(x, i), ((const float *)scale->data)[at], zero ? code_at(zero, at) : 0);
    }
    OCT_TRY(oct_lower_const(l, OCT_F32, x->shape.rank, x->shape.dim, real, &t));
    return oct_lower_bind(l, n->outputs[0], t);
}
