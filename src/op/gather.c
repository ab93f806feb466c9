/* Gather along one axis.  A constant single index is a view; anything else a GATHER step, whose run-time indices the
 * runtime clamps; constant ones are checked here. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

oct_status oct_op_infer_gather(oct_graph *g, oct_node *n)
{
    oct_value *x, *index;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &index));
    if (index->dtype != OCT_S64 && index->dtype != OCT_S32)
        return oct_op_bad(n, "the indices have type %s", oct_dtype_name(index->dtype));
    if (x->shape.rank < 0 || index->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (x->shape.rank == 0)
        return oct_op_bad(n, "the data is a scalar");
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    oct_shape y = {.rank = x->shape.rank + index->shape.rank - 1};
    if (y.rank > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", (int)y.rank, OCT_MAX_RANK);
    int at = 0;
    for (int i = 0; i < axis; i++)
        y.dim[at++] = x->shape.dim[i];
    for (int i = 0; i < index->shape.rank; i++)
        y.dim[at++] = index->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        y.dim[at++] = x->shape.dim[i];
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    int64_t length = x->shape.dim[axis], known[OCT_KNOWN_MAX], at_index[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    int indices = oct_infer_known(index, at_index), count = oct_infer_known(x, known);
    for (int i = 0; i < indices; i++) {
        int64_t k = at_index[i];
        if (oct_known_literal(k) && length >= 0 && (k < -length || k >= length))
            return oct_op_bad(n, "index %lld is outside %lld elements", (long long)k, (long long)length);
        if (count < 0)
            continue;
        r[i] = oct_known_literal(k) && x->shape.rank == 1 ? known[k < 0 ? k + count : k] : OCT_KNOWN_NONE;
    }
    return indices >= 0 && count >= 0 ? oct_infer_set_known(g, n, 0, r, indices) : OCT_OK;
}

static oct_status check_indices(const oct_node *n, const oct_value *index, int64_t length)
{
    int64_t count;
    OCT_TRY(oct_shape_count(&index->shape, &count));
    for (int64_t i = 0; i < count; i++) {
        int64_t k = index->dtype == OCT_S64 ? ((const int64_t *)index->data)[i] : ((const int32_t *)index->data)[i];
        if (k < -length || k >= length)
            return oct_op_bad(n, "index %lld is outside %lld elements", (long long)k, (long long)length);
    }
    return OCT_OK;
}

/* One constant index: the output drops or keeps (as 1s) the axis. */
static oct_status lower_single(oct_lower *l, oct_node *n, int axis, int64_t index)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int32_t in;
    int64_t strides[OCT_MAX_RANK];
    int ones = n->inputs[1]->shape.rank, at = 0;
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    const oct_plan_tensor *t = oct_lower_tensor(l, in);
    for (int i = 0; i < x->shape.rank; i++) {
        if (i != axis) {
            strides[at++] = t->strides[i];
            continue;
        }
        for (int k = 0; k < ones; k++)
            strides[at++] = t->strides[i];
    }
    int64_t offset = (index < 0 ? index + x->shape.dim[axis] : index) * t->strides[axis];
    return oct_lower_view(l, y, in, strides, offset * (int64_t)oct_dtype_size((oct_dtype)t->dtype));
}

oct_status oct_op_lower_gather(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *index = n->inputs[1], *y = n->outputs[0];
    int axis;
    int64_t count;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    OCT_TRY(oct_shape_count(&index->shape, &count));
    if (index->data) {
        OCT_TRY(check_indices(n, index, x->shape.dim[axis]));
        if (count == 1)
            return lower_single(l, n, axis,
                                index->dtype == OCT_S64 ? *(const int64_t *)index->data : *(const int32_t *)index->data);
    }
    int32_t in[2], out;
    oct_p_axis p = {.axis = axis};
    if (count > 0 && x->shape.dim[axis] == 0)
        return oct_op_bad(n, "no elements to gather from");
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_in(l, index, OCT_LAYOUT_PLAIN, &in[1]));
    OCT_TRY(oct_lower_out(l, y, index->shape.rank == 1 ? oct_lower_layout(l, x) : OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_GATHER, oct_lower_precision(x), "", 2, in, 1, &out, &p, sizeof p, NULL);
}
