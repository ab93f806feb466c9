/* OneHot: indices compared with 0 ... depth - 1 along a new axis, then a choice between the two values. depth must be known when the graph
 * is lowered. */
#include "op/ops.h"

#include <math.h>
#include <stdlib.h>
#include "op/code.h"

static oct_status depth_of(const oct_node *n, int64_t *depth)
{
    oct_value *v;
    int64_t known[OCT_KNOWN_MAX];
    float f;
    OCT_TRY(oct_infer_need(n, 1, &v));
    *depth = -1;
    if (oct_infer_known(v, known) == 1 && oct_known_literal(known[0]))
        *depth = known[0];
    else if (oct_value_scalar(v, &f) && f >= 0 && f < 0x1p30f)
        *depth = (int64_t)f;
    return OCT_OK;
}

/* The axis of the output that is new. */
static oct_status axis_of(const oct_node *n, int rank, int *axis) { return oct_infer_axis(n, oct_node_int(n, "axis", -1), rank + 1, axis); }

oct_status oct_op_infer_one_hot(oct_graph *g, oct_node *n)
{
    oct_value *indices, *values;
    int64_t depth;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &indices));
    OCT_TRY(oct_infer_need(n, 2, &values));
    OCT_TRY(depth_of(n, &depth));
    if (indices->shape.rank < 0)
        return oct_infer_unknown(g, n, values->dtype);
    if (values->shape.rank != 1 || (values->shape.dim[0] >= 0 && values->shape.dim[0] != 2))
        return oct_op_bad(n, "the values are no pair");
    if (indices->shape.rank == OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", OCT_MAX_RANK + 1, OCT_MAX_RANK);
    OCT_TRY(axis_of(n, indices->shape.rank, &axis));
    oct_shape y = {.rank = indices->shape.rank + 1};
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = i == axis ? depth : indices->shape.dim[i - (i > axis)];
    if (depth < 0)
        OCT_TRY(oct_infer_fresh(g, n, axis, &y.dim[axis]));
    return oct_infer_out(g, n, 0, values->dtype, &y);
}

/* 0 ... depth - 1 in the type of the indices, or in f32, along `axis` of a rank. */
static oct_status places(oct_lower *l, int64_t depth, int rank, int axis, int32_t *tensor)
{
    int64_t dims[OCT_MAX_RANK];
    int64_t *v = malloc(sizeof *v * (size_t)(depth + 1));
    if (!v)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld places", (long long)depth);
    for (int64_t i = 0; i < depth; i++)
        v[i] = i;
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? depth : 1;
    const oct_status s = oct_lower_const(l, OCT_S64, rank, dims, v, tensor);
    free(v);
    return s;
}

static oct_status step(oct_lower *l, oct_step_kind kind, int count, const int32_t *in, int32_t out, const void *params, size_t size)
{
    return oct_lower_step(l, kind, OCT_PREC_INTEGER, "", count, in, 1, &out, params, size, NULL);
}

oct_status oct_op_lower_one_hot(oct_lower *l, oct_node *n)
{
    oct_value *indices = n->inputs[0], *y = n->outputs[0];
    const int rank = y->shape.rank;
    const size_t size = oct_dtype_size(y->dtype);
    int axis;
    int64_t depth, dims[OCT_MAX_RANK], one = 1;
    int32_t wide, at, values, out, t[3], pair[3], is_negative, plain;
    OCT_TRY(depth_of(n, &depth));
    if (depth < 0)
        return oct_op_unsupported(n, "a depth that is computed at run time");
    OCT_TRY(axis_of(n, indices->shape.rank, &axis));
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? 1 : y->shape.dim[i];
    OCT_TRY(oct_lower_in(l, indices, OCT_LAYOUT_PLAIN, &plain));
    OCT_TRY(oct_lower_temp(l, OCT_S64, indices->shape.rank, indices->shape.dim, &wide));
    OCT_TRY(step(l, OCT_STEP_CAST, 1, &plain, wide, &(oct_p_none){0}, sizeof(oct_p_none)));
    OCT_TRY(oct_lower_reshaped(l, wide, rank, dims, &at));

    /* Negative indices count from the end: at + (at < 0) * depth. */
    int32_t zero, length, shift, sum;
    const oct_p_binary less = {OCT_BINARY_LESS, -INFINITY, INFINITY}, add = {OCT_BINARY_ADD, -INFINITY, INFINITY};
    const oct_p_binary equal = {OCT_BINARY_EQUAL, -INFINITY, INFINITY}, mul = {OCT_BINARY_MUL, -INFINITY, INFINITY};
    OCT_TRY(oct_lower_const(l, OCT_S64, 0, NULL, &(int64_t){0}, &zero));
    OCT_TRY(oct_lower_const(l, OCT_S64, 0, NULL, &depth, &length));
    OCT_TRY(oct_lower_temp(l, OCT_BOOL, rank, dims, &is_negative));
    OCT_TRY(step(l, OCT_STEP_BINARY, 2, (int32_t[2]){at, zero}, is_negative, &less, sizeof less));
    OCT_TRY(oct_lower_temp(l, OCT_S64, rank, dims, &shift));
    OCT_TRY(step(l, OCT_STEP_CAST, 1, &is_negative, shift, &(oct_p_none){0}, sizeof(oct_p_none)));
    OCT_TRY(oct_lower_temp(l, OCT_S64, rank, dims, &sum));
    OCT_TRY(step(l, OCT_STEP_BINARY, 2, (int32_t[2]){shift, length}, sum, &mul, sizeof mul));
    OCT_TRY(oct_lower_temp(l, OCT_S64, rank, dims, &shift));
    OCT_TRY(step(l, OCT_STEP_BINARY, 2, (int32_t[2]){at, sum}, shift, &add, sizeof add));

    OCT_TRY(places(l, depth, rank, axis, &pair[1]));
    pair[0] = shift;
    OCT_TRY(oct_lower_temp(l, OCT_BOOL, rank, y->shape.dim, &t[0]));
    OCT_TRY(step(l, OCT_STEP_BINARY, 2, pair, t[0], &equal, sizeof equal));
    OCT_TRY(oct_lower_in(l, n->inputs[2], OCT_LAYOUT_PLAIN, &values));
    OCT_TRY(oct_lower_subview(l, values, 1, &one, &one, (int64_t)size, &t[1]));
    OCT_TRY(oct_lower_subview(l, values, 1, &one, &one, 0, &t[2]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return step(l, OCT_STEP_WHERE, 3, t, out, &(oct_p_none){0}, sizeof(oct_p_none));
}
