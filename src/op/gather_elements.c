/* GatherElements and GatherND: elements, or rows behind a tuple of indices. Run-time indices out of range are clamped by the step. */
#include "op/ops.h"

#include "op/code.h"

static oct_status index_of(const oct_node *n, oct_value **out)
{
    OCT_TRY(oct_infer_need(n, 1, out));
    if ((*out)->dtype != OCT_S64 && (*out)->dtype != OCT_S32)
        return oct_op_bad(n, "the indices have type %s", oct_dtype_name((*out)->dtype));
    return OCT_OK;
}

oct_status oct_op_infer_gather_elements(oct_graph *g, oct_node *n)
{
    oct_value *x, *index;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(index_of(n, &index));
    if (x->shape.rank < 0 || index->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (x->shape.rank != index->shape.rank || x->shape.rank == 0)
        return oct_op_bad(n, "indices of rank %d for data of rank %d", (int)index->shape.rank, (int)x->shape.rank);
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    for (int i = 0; i < x->shape.rank; i++)
        if (i != axis && x->shape.dim[i] >= 0 && index->shape.dim[i] > x->shape.dim[i])
            return oct_op_bad(n, "axis %d of the indices is %lld, of the data %lld", i, (long long)index->shape.dim[i], (long long)x->shape.dim[i]);
    return oct_infer_out(g, n, 0, x->dtype, &index->shape);
}

oct_status oct_op_infer_gather_nd(oct_graph *g, oct_node *n)
{
    oct_value *x, *index;
    const int64_t batch = oct_node_int(n, "batch_dims", 0);
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(index_of(n, &index));
    if (x->shape.rank < 0 || index->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    const int tuples = index->shape.rank - 1;
    const int64_t length = tuples >= 0 ? index->shape.dim[tuples] : -1;
    if (length < 1 || batch < 0 || batch > tuples || batch + length > x->shape.rank)
        return oct_op_bad(n, "indices of rank %d with %lld in a tuple, batch_dims %lld, data of rank %d", (int)index->shape.rank, (long long)length,
                          (long long)batch, (int)x->shape.rank);
    oct_shape y = {.rank = tuples + x->shape.rank - (int)(batch + length)};
    if (y.rank > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", (int)y.rank, OCT_MAX_RANK);
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = i < tuples ? index->shape.dim[i] : x->shape.dim[i - tuples + batch + length];
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

static oct_status lower(oct_lower *l, oct_node *n, oct_step_kind kind, int axis)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int64_t from, to;
    int32_t in[2], out;
    const oct_p_axis p = {.axis = axis};
    OCT_TRY(oct_shape_count(&x->shape, &from));
    OCT_TRY(oct_shape_count(&y->shape, &to));
    if (to > 0 && from == 0)
        return oct_op_bad(n, "no elements to gather from");
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_in(l, n->inputs[1], OCT_LAYOUT_PLAIN, &in[1]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, kind, oct_lower_precision(x), "", 2, in, 1, &out, &p, sizeof p, NULL);
}

oct_status oct_op_lower_gather_elements(oct_lower *l, oct_node *n)
{
    int axis;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), n->inputs[0]->shape.rank, &axis));
    return lower(l, n, OCT_STEP_GATHER_ELEMENTS, axis);
}

oct_status oct_op_lower_gather_nd(oct_lower *l, oct_node *n)
{
    return lower(l, n, OCT_STEP_GATHER_ND, (int)oct_node_int(n, "batch_dims", 0));
}
