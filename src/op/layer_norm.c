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
    return oct_lower_step(l, OCT_STEP_LAYER_NORM, OCT_PREC_FLOAT, "", n_in, in, 1, &out, &p, sizeof p, NULL);
}
