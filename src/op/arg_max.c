/* ArgMax and ArgMin along one axis: s64 indices. Codes of one scale order like the numbers they stand for. */
#include "op/ops.h"

#include "plan/params.h"

oct_status oct_op_infer_arg_max(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int axis;
    bool keep = oct_node_int(n, "keepdims", 1) != 0;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, OCT_S64);
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    if (x->shape.dim[axis] == 0)
        return oct_op_bad(n, "axis %d has no elements", axis);
    oct_shape y = {.rank = 0};
    for (int i = 0; i < x->shape.rank; i++)
        if (i != axis)
            y.dim[y.rank++] = x->shape.dim[i];
        else if (keep)
            y.dim[y.rank++] = 1;
    return oct_infer_out(g, n, 0, OCT_S64, &y);
}

oct_status oct_op_lower_arg_max(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int axis, rank = x->shape.rank, at = 0;
    bool keep = y->shape.rank == rank;
    int32_t in, out, view;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), rank, &axis));
    oct_p_axis p = {axis, (oct_node_int(n, "select_last_index", 0) ? OCT_ARG_LAST : 0) | (n->op == OCT_OP_ARG_MIN ? OCT_ARG_LEAST : 0)};
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        dims[i] = i == axis ? 1 : x->shape.dim[i];
        strides[i] = i == axis && !keep ? 1 : oct_lower_tensor(l, out)->strides[at++];
    }
    OCT_TRY(oct_lower_subview(l, out, rank, dims, strides, 0, &view));
    return oct_lower_step(l, OCT_STEP_ARG_MAX, OCT_PREC_INTEGER, "", 1, &in, 1, &view, &p, sizeof p, NULL);
}
