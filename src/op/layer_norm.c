/* LayerNormalization over the last axes, always in float (DESIGN 3.7).  The optional outputs, mean and inverse deviation, are steps
 * of their own where somebody reads them. */
#include "op/ops.h"

#include <math.h>
#include <string.h>
#include "plan/params.h"

oct_status oct_op_infer_layer_norm(oct_graph *g, oct_node *n)
{
    oct_value *x, *scale;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &scale));
    if (oct_node_int(n, "stash_type", 1) != 1)
        return oct_op_unsupported(n, "stash_type %lld", (long long)oct_node_int(n, "stash_type", 1));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), x->shape.rank, &axis));
    oct_shape tail = {.rank = x->shape.rank - axis}, joint, stat = x->shape;
    memcpy(tail.dim, x->shape.dim + axis, (size_t)tail.rank * sizeof tail.dim[0]);
    for (int i = 1; i < 3; i++) {
        const oct_value *v = oct_node_in(n, i);
        if (!v || v->shape.rank < 0)
            continue;
        OCT_TRY(oct_infer_broadcast(g, n, &tail, &v->shape, &joint));
        char tv[OCT_SHAPE_TEXT], tx[OCT_SHAPE_TEXT];
        if (joint.rank != tail.rank || (oct_shape_is_concrete(&tail) && !oct_shape_equal(&joint, &tail)))
            return oct_op_bad(n, "'%s' %s does not fit %s", v->name, oct_shape_text(g, &v->shape, tv),
                              oct_shape_text(g, &x->shape, tx));
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &x->shape));
    for (int i = axis; i < stat.rank; i++)
        stat.dim[i] = 1;
    for (int i = 1; i < n->output_count; i++)
        OCT_TRY(oct_infer_out(g, n, i, OCT_F32, &stat));
    return OCT_OK;
}

static oct_status binary(oct_lower *l, oct_binary_fn fn, int32_t a, int32_t b, int32_t y)
{
    oct_p_binary p = {fn, -INFINITY, INFINITY};
    int32_t in[2] = {a, b};
    return oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &y, &p, sizeof p, NULL);
}

static oct_status unary(oct_lower *l, oct_unary_fn fn, int32_t x, int32_t y)
{
    oct_p_unary p = {.fn = fn};
    return oct_lower_step(l, OCT_STEP_UNARY, OCT_PREC_FLOAT, "", 1, &x, 1, &y, &p, sizeof p, NULL);
}

/* mean and 1 / sqrt(variance + eps) of x as outputs 1 and 2. */
static oct_status lower_statistics(oct_lower *l, oct_node *n, int32_t x, const oct_p_layer_norm *norm)
{
    oct_value *mean_out = oct_node_out(n, 1), *inv_out = oct_node_out(n, 2);
    const oct_plan_tensor *t = oct_lower_tensor(l, x);
    oct_p_reduce p = {OCT_REDUCE_MEAN, 0};
    int64_t dims[OCT_MAX_RANK];
    int32_t rank = t->rank, mean, inv, eps, centred, var;
    for (int i = 0; i < rank; i++) {
        dims[i] = i < norm->axis ? t->dims[i] : 1;
        p.axes |= i < norm->axis ? 0 : 1u << i;
    }
    if (mean_out)
        OCT_TRY(oct_lower_out(l, mean_out, OCT_LAYOUT_PLAIN, &mean));
    else
        OCT_TRY(oct_lower_temp(l, OCT_F32, rank, dims, &mean));
    OCT_TRY(oct_lower_step(l, OCT_STEP_REDUCE, OCT_PREC_FLOAT, "", 1, &x, 1, &mean, &p, sizeof p, NULL));
    if (!inv_out)
        return OCT_OK;
    OCT_TRY(oct_lower_temp_like(l, x, OCT_F32, &centred));
    OCT_TRY(oct_lower_temp(l, OCT_F32, rank, dims, &var));
    OCT_TRY(oct_lower_out(l, inv_out, OCT_LAYOUT_PLAIN, &inv));
    OCT_TRY(oct_lower_const(l, OCT_F32, 0, NULL, &norm->eps, &eps));
    OCT_TRY(binary(l, OCT_BINARY_SUB, x, mean, centred));
    OCT_TRY(binary(l, OCT_BINARY_MUL, centred, centred, centred));
    OCT_TRY(oct_lower_step(l, OCT_STEP_REDUCE, OCT_PREC_FLOAT, "", 1, &centred, 1, &var, &p, sizeof p, NULL));
    OCT_TRY(binary(l, OCT_BINARY_ADD, var, eps, var));
    OCT_TRY(unary(l, OCT_UNARY_SQRT, var, var));
    return unary(l, OCT_UNARY_RECIPROCAL, var, inv);
}

oct_status oct_op_lower_layer_norm(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0];
    oct_p_layer_norm p = {.eps = oct_node_float(n, "epsilon", 1e-5f)};
    int axis, n_in = oct_node_in(n, 2) ? 3 : 2;
    int32_t in[3], out;
    if (x->dtype != OCT_F32)
        return oct_op_unsupported(n, "type %s", oct_dtype_name(x->dtype));
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), x->shape.rank, &axis));
    p.axis = axis;
    oct_lower_reason(l, "no INT8 form of LayerNormalization");
    for (int i = 0; i < n_in; i++)
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_ANY, &in[i]));
    OCT_TRY(oct_lower_out(l, n->outputs[0], oct_lower_layout(l, x), &out));
    OCT_TRY(oct_lower_step(l, OCT_STEP_LAYER_NORM, OCT_PREC_FLOAT, "", n_in, in, 1, &out, &p, sizeof p, NULL));
    return oct_node_out(n, 1) || oct_node_out(n, 2) ? lower_statistics(l, n, in[0], &p) : OCT_OK;
}
