/* Pad.  Constant: FILL, then COPY into the middle; reflect, edge and wrap: one PAD step. Negative pads crop. */
#include "op/ops.h"

#include <string.h>
#include "num/num.h"
#include "op/code.h"

typedef struct pads {
    bool known;
    int64_t begin[OCT_MAX_RANK], end[OCT_MAX_RANK];
} pads;

static oct_status read_pads(const oct_node *n, int rank, pads *p)
{
    int64_t given[OCT_KNOWN_MAX], axes[OCT_KNOWN_MAX];
    const oct_value *axes_in = oct_node_in(n, 3);
    uint32_t seen = 0;
    memset(p, 0, sizeof *p);
    int count = oct_infer_known(oct_node_in(n, 1), given), n_axes = axes_in ? oct_infer_known(axes_in, axes) : rank;
    if (count < 0 || n_axes < 0)
        return OCT_OK;
    if (count != 2 * n_axes)
        return oct_op_bad(n, "%d pads for %d axes", count, n_axes);
    for (int i = 0; i < n_axes; i++) {
        int axis;
        OCT_TRY(oct_infer_axis(n, axes_in ? axes[i] : i, rank, &axis));
        if (seen >> axis & 1)
            return oct_op_bad(n, "axis %d is padded twice", axis);
        seen |= 1u << axis;
        p->begin[axis] = given[i];
        p->end[axis] = given[n_axes + i];
    }
    p->known = true;
    for (int i = 0; i < rank; i++) {
        p->known = p->known && oct_known_literal(p->begin[i]) && oct_known_literal(p->end[i]);
        if (p->known && (p->begin[i] > (int64_t)1 << 40 || p->end[i] > (int64_t)1 << 40))
            return oct_op_bad(n, "pads %lld and %lld on axis %d", (long long)p->begin[i], (long long)p->end[i], i);
    }
    return OCT_OK;
}

/* -1 = constant, else an oct_pad_mode. */
static oct_status mode_of(const oct_node *n, int *mode)
{
    const char *text = oct_node_string(n, "mode", "constant");
    if (strcmp(text, "constant") == 0)
        *mode = -1;
    else if (strcmp(text, "reflect") == 0)
        *mode = OCT_PAD_REFLECT;
    else if (strcmp(text, "edge") == 0)
        *mode = OCT_PAD_EDGE;
    else if (strcmp(text, "wrap") == 0)
        *mode = OCT_PAD_WRAP;
    else
        return oct_op_bad(n, "mode is '%s'", text);
    return OCT_OK;
}

oct_status oct_op_infer_pad(oct_graph *g, oct_node *n)
{
    oct_value *x, *value = oct_node_in(n, 2);
    pads p;
    int mode;
    char text[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(mode_of(n, &mode));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (value && value->dtype != x->dtype && !n->int8)
        return oct_op_bad(n, "the value has type %s, the input %s", oct_dtype_name(value->dtype), oct_dtype_name(x->dtype));
    OCT_TRY(read_pads(n, x->shape.rank, &p));
    oct_shape y = x->shape;
    for (int i = 0; i < y.rank; i++) {
        if (p.known && p.begin[i] == 0 && p.end[i] == 0)
            continue;
        if (!p.known || y.dim[i] < 0) {
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[i]));
            continue;
        }
        int64_t kept = y.dim[i] + oct_min64(p.begin[i], 0) + oct_min64(p.end[i], 0);
        int64_t most = mode == OCT_PAD_REFLECT ? kept - 1
                       : mode == OCT_PAD_EDGE  ? (kept > 0 ? INT64_MAX : 0)
                       : mode == OCT_PAD_WRAP  ? (kept > 0 ? INT64_MAX : 0)
                                               : INT64_MAX;
        y.dim[i] += p.begin[i] + p.end[i];
        if (y.dim[i] < 0 || kept < 0 || p.begin[i] > most || p.end[i] > most)
            return oct_op_bad(n, "pads %lld and %lld on axis %d of %s", (long long)p.begin[i], (long long)p.end[i], i,
                              oct_shape_text(g, &x->shape, text));
    }
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

/* What a constant pad holds, as the bits of one stored element. */
static oct_status fill_bits(const oct_lower *l, const oct_node *n, const oct_value *y, oct_p_fill *fill)
{
    const oct_value *value = oct_node_in(n, 2);
    oct_stored_quant q;
    float real = 0;
    *fill = (oct_p_fill){.size = (int32_t)oct_dtype_size(y->dtype)};
    bool is_code = oct_value_stored_quant(y, &q) && oct_lower_precision(y) == OCT_PREC_INT8;
    if (value && !value->data)
        return oct_op_unsupported(n, "a value that is computed at run time");
    if (value &&
        oct_tensor_count(&(oct_tensor){.rank = value->shape.rank, .dims = {value->shape.rank ? value->shape.dim[0] : 1}}) != 1)
        return oct_op_bad(n, "the value is no scalar");
    if (is_code && (!value || value->dtype == OCT_F32)) {
        if (value)
            memcpy(&real, value->data, sizeof real);
        fill->bits = (uint64_t)oct_quantize(real, q.scale, q.zero, q.lo, q.hi);
        return OCT_OK;
    }
    if (value)
        memcpy(&fill->bits, value->data, (size_t)fill->size);
    if (y->dtype == OCT_S8 || y->dtype == OCT_S4)
        fill->bits = (uint8_t)(fill->bits + 128);
    return OCT_OK;
}

static oct_status lower_constant(oct_lower *l, oct_node *n, const pads *p, int32_t in)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_fill fill;
    int32_t out, middle;
    OCT_TRY(fill_bits(l, n, y, &fill));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    OCT_TRY(oct_lower_step(l, OCT_STEP_FILL, oct_lower_precision(y), "", 0, NULL, 1, &out, &fill, sizeof fill, NULL));
    const oct_plan_tensor *t = oct_lower_tensor(l, out), *from = oct_lower_tensor(l, in);
    int64_t strides[OCT_MAX_RANK], dims[OCT_MAX_RANK], offset = 0;
    for (int i = 0; i < t->rank; i++) {
        strides[i] = t->strides[i];
        dims[i] = from->dims[i];
        if (dims[i] == 0)
            return OCT_OK;
        offset += oct_max64(p->begin[i], 0) * t->strides[i];
    }
    OCT_TRY(oct_lower_subview(l, out, t->rank, dims, strides, offset * fill.size, &middle));
    return oct_lower_step(l, OCT_STEP_COPY, oct_lower_precision(y), "", 1, &in, 1, &middle, &(oct_p_none){0}, sizeof(oct_p_none),
                          NULL);
}

oct_status oct_op_lower_pad(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    pads p;
    int mode, rank = x->shape.rank;
    int32_t in, cropped, out;
    OCT_TRY(mode_of(n, &mode));
    OCT_TRY(read_pads(n, rank, &p));
    if (!p.known)
        return oct_op_unsupported(n, "pads that are computed at run time");
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    const oct_plan_tensor *t = oct_lower_tensor(l, in);
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK], offset = 0;
    oct_p_pad step = {.mode = mode, .rank = rank};
    for (int i = 0; i < rank; i++) {
        strides[i] = t->strides[i];
        dims[i] = t->dims[i] + oct_min64(p.begin[i], 0) + oct_min64(p.end[i], 0);
        offset += oct_max64(-p.begin[i], 0) * t->strides[i];
        step.begin[i] = oct_max64(p.begin[i], 0);
        if (dims[i] == 0)
            offset = 0;
    }
    OCT_TRY(oct_lower_subview(l, in, rank, dims, strides, offset * (int64_t)oct_dtype_size((oct_dtype)t->dtype), &cropped));
    if (mode < 0)
        return lower_constant(l, n, &p, cropped);
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_PAD, oct_lower_precision(y), "", 1, &cropped, 1, &out, &step, sizeof step, NULL);
}
