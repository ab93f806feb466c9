/* Expand: broadcasting to a given shape as a view with strides of 0. */
#include "op/ops.h"

#include "op/code.h"

oct_status oct_op_infer_expand(oct_graph *g, oct_node *n)
{
    oct_value *x, *target;
    int64_t known[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    oct_shape wanted = {.rank = 0}, y;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &target));
    int count = oct_infer_known(target, known);
    if (count < 0 || x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (count > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", count, OCT_MAX_RANK);
    wanted.rank = count;
    for (int i = 0; i < count; i++) {
        if (known[i] == OCT_KNOWN_NONE)
            OCT_TRY(oct_infer_fresh(g, n, i, &wanted.dim[i]));
        else if (oct_known_symbol(known[i]))
            wanted.dim[i] = oct_dim_of_symbol(known[i]);
        else if (known[i] < 0)
            return oct_op_bad(n, "%lld in the shape", (long long)known[i]);
        else
            wanted.dim[i] = known[i];
    }
    OCT_TRY(oct_infer_broadcast(g, n, &x->shape, &wanted, &y));
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    if (y.rank != 1 || y.dim[0] < 0 || y.dim[0] > OCT_KNOWN_MAX)
        return OCT_OK;
    count = oct_infer_known(x, known);
    for (int i = 0; count > 0 && i < y.dim[0]; i++)
        r[i] = known[count == 1 ? 0 : i];
    return count > 0 ? oct_infer_set_known(g, n, 0, r, (int)y.dim[0]) : OCT_OK;
}

oct_status oct_op_lower_expand(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int64_t strides[OCT_MAX_RANK] = {0};
    int32_t in;
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    int lead = y->shape.rank - x->shape.rank;
    for (int i = 0; i < x->shape.rank; i++)
        if (x->shape.dim[i] == y->shape.dim[lead + i])
            strides[lead + i] = oct_lower_tensor(l, in)->strides[i];
    return oct_lower_view(l, y, in, strides, 0);
}
