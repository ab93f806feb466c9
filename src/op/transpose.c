/* Transpose: the output is a view with permuted strides. */
#include "op/ops.h"

#include "op/code.h"

static oct_status permutation(const oct_node *n, int rank, int64_t *perm)
{
    int count;
    uint32_t seen = 0;
    OCT_TRY(oct_infer_ints(n, "perm", perm, OCT_MAX_RANK, &count));
    if (count < 0)
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
    else if (count != rank)
        return oct_op_bad(n, "perm has %d entries for an input of rank %d", count, rank);
    for (int i = 0; i < rank; i++) {
        int axis;
        OCT_TRY(oct_infer_axis(n, perm[i], rank, &axis));
        if (seen >> axis & 1)
            return oct_op_bad(n, "perm names axis %d twice", axis);
        seen |= 1u << axis;
        perm[i] = axis;
    }
    return OCT_OK;
}

oct_status oct_op_infer_transpose(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int64_t perm[OCT_MAX_RANK];
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(permutation(n, x->shape.rank, perm));
    oct_shape y = x->shape;
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = x->shape.dim[perm[i]];
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

oct_status oct_op_lower_transpose(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int64_t perm[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    int32_t in;
    OCT_TRY(permutation(n, x->shape.rank, perm));
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    for (int i = 0; i < x->shape.rank; i++)
        strides[i] = oct_lower_tensor(l, in)->strides[perm[i]];
    return oct_lower_view(l, y, in, strides, 0);
}
