/* BatchNormalization that was not folded into a convolution: y = x * a + b with one a and b a channel.  Constants are combined here
 * in double; statistics that are computed in the graph become steps of their own. Training mode is not supported. */
#include "op/ops.h"

#include <math.h>
#include "plan/params.h"

enum { X, SCALE, BIAS, MEAN, VAR, INPUTS };

oct_status oct_op_infer_batch_norm(oct_graph *g, oct_node *n)
{
    oct_value *v[INPUTS];
    char text[OCT_SHAPE_TEXT];
    for (int i = 0; i < INPUTS; i++)
        OCT_TRY(oct_infer_need(n, i, &v[i]));
    if (oct_node_int(n, "training_mode", 0) != 0)
        return oct_op_unsupported(n, "training_mode");
    if (v[X]->shape.rank < 0)
        return oct_infer_unknown(g, n, v[X]->dtype);
    if (v[X]->shape.rank < 2)
        return oct_op_bad(n, "the input %s has no channels", oct_shape_text(g, &v[X]->shape, text));
    int64_t c = v[X]->shape.dim[1];
    for (int i = SCALE; i < INPUTS; i++) {
        const oct_shape *s = &v[i]->shape;
        if (s->rank >= 0 && (s->rank != 1 || (s->dim[0] >= 0 && c >= 0 && s->dim[0] != c)))
            return oct_op_bad(n, "'%s' %s does not fit %lld channels", v[i]->name, oct_shape_text(g, s, text), (long long)c);
    }
    return oct_infer_out(g, n, 0, v[X]->dtype, &v[X]->shape);
}

static oct_status binary(oct_lower *l, oct_binary_fn fn, int32_t a, int32_t b, int32_t y)
{
    oct_p_binary p = {fn, -INFINITY, INFINITY};
    int32_t in[2] = {a, b};
    return oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &y, &p, sizeof p, NULL);
}

/* a = scale / sqrt(var + eps), b = bias - mean * a, from constants. */
static oct_status constant_factors(oct_lower *l, const oct_node *n, int64_t c, float eps, int32_t *a, int32_t *b)
{
    float *fa = NULL, *fb = NULL;
    const float *scale = n->inputs[SCALE]->data, *bias = n->inputs[BIAS]->data, *mean = n->inputs[MEAN]->data,
                *var = n->inputs[VAR]->data;
    OCT_TRY(oct_arena_alloc(l->d->arena, c * (int64_t)sizeof *fa, (void **)&fa));
    OCT_TRY(oct_arena_alloc(l->d->arena, c * (int64_t)sizeof *fb, (void **)&fb));
    for (int64_t i = 0; i < c; i++) {
        double factor = scale[i] / sqrt((double)var[i] + (double)eps);
        fa[i] = (float)factor;
        fb[i] = (float)(bias[i] - mean[i] * factor);
    }
    OCT_TRY(oct_lower_const(l, OCT_F32, 1, &c, fa, a));
    return oct_lower_const(l, OCT_F32, 1, &c, fb, b);
}

static oct_status computed_factors(oct_lower *l, const oct_node *n, int64_t c, float eps, int32_t *a, int32_t *b)
{
    int32_t in[INPUTS], e, t;
    oct_p_unary root = {.fn = OCT_UNARY_SQRT};
    for (int i = SCALE; i < INPUTS; i++)
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_PLAIN, &in[i]));
    OCT_TRY(oct_lower_const(l, OCT_F32, 0, NULL, &eps, &e));
    OCT_TRY(oct_lower_temp(l, OCT_F32, 1, &c, a));
    OCT_TRY(oct_lower_temp(l, OCT_F32, 1, &c, b));
    OCT_TRY(oct_lower_temp(l, OCT_F32, 1, &c, &t));
    OCT_TRY(binary(l, OCT_BINARY_ADD, in[VAR], e, t));
    OCT_TRY(oct_lower_step(l, OCT_STEP_UNARY, OCT_PREC_FLOAT, "", 1, &t, 1, b, &root, sizeof root, NULL));
    OCT_TRY(binary(l, OCT_BINARY_DIV, in[SCALE], *b, *a));
    OCT_TRY(binary(l, OCT_BINARY_MUL, in[MEAN], *a, t));
    int32_t offset;
    OCT_TRY(oct_lower_temp(l, OCT_F32, 1, &c, &offset));
    OCT_TRY(binary(l, OCT_BINARY_SUB, in[BIAS], t, offset));
    *b = offset;
    return OCT_OK;
}

oct_status oct_op_lower_batch_norm(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[X], *y = n->outputs[0];
    float eps = oct_node_float(n, "epsilon", 1e-5f);
    int64_t c = x->shape.dim[1], dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    bool constant = true;
    int32_t in, a, b, scaled, out;
    for (int i = X; i < INPUTS; i++)
        if (n->inputs[i]->dtype != OCT_F32)
            return oct_op_unsupported(n, "type %s", oct_dtype_name(n->inputs[i]->dtype));
    for (int i = SCALE; i < INPUTS; i++)
        constant = constant && n->inputs[i]->data;
    if (constant)
        OCT_TRY(constant_factors(l, n, c, eps, &a, &b));
    else
        OCT_TRY(computed_factors(l, n, c, eps, &a, &b));
    int rank = x->shape.rank - 1; /* [c, 1, 1...] broadcasts along axis 1 */
    for (int i = 0; i < rank; i++)
        dims[i] = strides[i] = 1;
    dims[0] = c;
    OCT_TRY(oct_lower_subview(l, a, rank, dims, strides, 0, &a));
    OCT_TRY(oct_lower_subview(l, b, rank, dims, strides, 0, &b));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    OCT_TRY(oct_lower_temp_like(l, out, OCT_F32, &scaled));
    OCT_TRY(binary(l, OCT_BINARY_MUL, in, a, scaled));
    return binary(l, OCT_BINARY_ADD, scaled, b, out);
}
