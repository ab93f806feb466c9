/* Shape and Size: constants once dimensions are concrete, followed symbolically before. */
#include "op/ops.h"

static void range_of(const oct_node *n, int rank, int *start, int *end)
{
    int64_t s = oct_node_int(n, "start", 0), e = oct_node_int(n, "end", INT64_MAX);
    s = s < 0 ? s + rank : s;
    e = e < 0 ? e + rank : e;
    *start = (int)(s < 0 ? 0 : s > rank ? rank : s);
    *end = (int)(e < 0 ? 0 : e > rank ? rank : e);
}

oct_status oct_op_infer_shape(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int start, end;
    int64_t known[OCT_MAX_RANK];
    OCT_TRY(oct_infer_need(n, 0, &x));
    oct_shape y = {.rank = 1};
    if (x->shape.rank < 0) {
        OCT_TRY(oct_infer_fresh(g, n, 0, &y.dim[0]));
        return oct_infer_out(g, n, 0, OCT_S64, &y);
    }
    range_of(n, x->shape.rank, &start, &end);
    y.dim[0] = end > start ? end - start : 0;
    for (int i = start; i < end; i++)
        known[i - start] = oct_known_of_dim(x->shape.dim[i]);
    OCT_TRY(oct_infer_out(g, n, 0, OCT_S64, &y));
    return oct_infer_set_known(g, n, 0, known, (int)y.dim[0]);
}

oct_status oct_op_lower_shape(oct_lower *l, oct_node *n)
{
    const oct_value *x = n->inputs[0];
    int start, end;
    int32_t t;
    range_of(n, x->shape.rank, &start, &end);
    OCT_TRY(oct_lower_const(l, OCT_S64, 1, n->outputs[0]->shape.dim, x->shape.dim + start, &t));
    return oct_lower_bind(l, n->outputs[0], t);
}

oct_status oct_op_infer_size(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int64_t count = 1;
    OCT_TRY(oct_infer_need(n, 0, &x));
    const oct_shape y = {.rank = 0};
    OCT_TRY(oct_infer_out(g, n, 0, OCT_S64, &y));
    if (!oct_shape_is_concrete(&x->shape) || oct_shape_count(&x->shape, &count) != OCT_OK)
        return OCT_OK;
    return oct_infer_set_known(g, n, 0, &count, 1);
}

oct_status oct_op_lower_size(oct_lower *l, oct_node *n)
{
    int64_t count;
    int32_t t;
    OCT_TRY(oct_shape_count(&n->inputs[0]->shape, &count));
    OCT_TRY(oct_lower_const(l, OCT_S64, 0, NULL, &count, &t));
    return oct_lower_bind(l, n->outputs[0], t);
}
