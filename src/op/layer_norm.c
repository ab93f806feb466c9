/* LayerNormalization over the last axes, always in float (DESIGN 3.7).  The optional outputs mean and inverse deviation are not given. */
#include "op/ops.h"

#include <string.h>
#include "plan/params.h"

oct_status oct_op_infer_layer_norm(oct_graph *g, oct_node *n)
{
    oct_value *x, *scale;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &scale));
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && (n->outputs[i]->user_count || n->outputs[i]->is_output))
            return oct_op_unsupported(n, "output %d (only the normalised tensor is computed)", i);
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
            return oct_op_bad(n, "'%s' %s does not fit %s", v->name, oct_shape_text(g, &v->shape, tv), oct_shape_text(g, &x->shape, tx));
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &x->shape));
    for (int i = axis; i < stat.rank; i++)
        stat.dim[i] = 1;
    for (int i = 1; i < n->output_count; i++)
        OCT_TRY(oct_infer_out(g, n, i, OCT_F32, &stat));
    return OCT_OK;
}

/* scale or bias as a dense tensor of the normalised dims. */
static oct_status lower_factor(oct_lower *l, oct_value *v, int rank, const int64_t *dims, int32_t *tensor)
{
    int32_t t, view;
    OCT_TRY(oct_lower_in(l, v, OCT_LAYOUT_PLAIN, &t));
    const oct_plan_tensor *from = oct_lower_tensor(l, t);
    int64_t strides[OCT_MAX_RANK] = {0};
    bool full = from->rank == rank;
    for (int i = 0; i < from->rank; i++) {
        int k = i + rank - from->rank;
        strides[k] = from->dims[i] == dims[k] ? from->strides[i] : 0;
        full = full && from->dims[i] == dims[k];
    }
    *tensor = t;
    if (full)
        return OCT_OK;
    OCT_TRY(oct_lower_subview(l, t, rank, dims, strides, 0, &view));
    OCT_TRY(oct_lower_temp(l, OCT_F32, rank, dims, tensor));
    return oct_lower_step(l, OCT_STEP_COPY, OCT_PREC_CONVERT, "", 1, &view, 1, tensor, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
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
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_PLAIN, &in[0]));
    for (int i = 1; i < n_in; i++)
        OCT_TRY(lower_factor(l, n->inputs[i], x->shape.rank - axis, x->shape.dim + axis, &in[i]));
    OCT_TRY(oct_lower_out(l, n->outputs[0], OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_LAYER_NORM, OCT_PREC_FLOAT, "", n_in, in, 1, &out, &p, sizeof p, NULL);
}
