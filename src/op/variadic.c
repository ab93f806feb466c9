/* Min, Max and Sum of any number of inputs: a chain of BINARY steps. */
#include "op/ops.h"

#include <math.h>
#include "op/code.h"

oct_status oct_op_infer_variadic(oct_graph *g, oct_node *n)
{
    oct_value *x, *v;
    OCT_TRY(oct_infer_need(n, 0, &x));
    oct_shape s = x->shape;
    for (int i = 1; i < n->input_count; i++) {
        OCT_TRY(oct_infer_need(n, i, &v));
        if (v->dtype != x->dtype && !n->int8)
            return oct_op_bad(n, "input %d has type %s, input 0 %s", i, oct_dtype_name(v->dtype), oct_dtype_name(x->dtype));
        OCT_TRY(oct_infer_broadcast(g, n, &s, &v->shape, &s));
    }
    return oct_infer_out(g, n, 0, x->dtype, &s);
}

static void broadcast_dims(const oct_plan_tensor *a, const oct_plan_tensor *b, int *rank, int64_t *dims)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < *rank; i++) {
        int ia = i - (*rank - a->rank), ib = i - (*rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        dims[i] = da == 1 ? db : da;
    }
}

oct_status oct_op_lower_variadic(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_binary p = {n->op == OCT_OP_MIN   ? OCT_BINARY_MIN
                      : n->op == OCT_OP_MAX ? OCT_BINARY_MAX
                                            : OCT_BINARY_ADD,
                      -INFINITY, INFINITY};
    int32_t in[2], to;
    if (n->int8)
        return oct_op_unsupported(n, "no INT8 form");
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    if (n->input_count == 1)
        return oct_lower_bind(l, y, in[0]);
    for (int i = 1; i < n->input_count; i++) {
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_ANY, &in[1]));
        if (i + 1 == n->input_count)
            OCT_TRY(oct_lower_out(l, y, oct_lower_joint_layout(l, n), &to));
        else {
            int rank;
            int64_t dims[OCT_MAX_RANK];
            const oct_plan_tensor *a = oct_lower_tensor(l, in[0]), *b = oct_lower_tensor(l, in[1]);
            broadcast_dims(a, b, &rank, dims);
            bool a_full = a->rank == rank, b_full = b->rank == rank;
            for (int k = 0; k < rank; k++) {
                a_full = a_full && a->dims[k] == dims[k];
                b_full = b_full && b->dims[k] == dims[k];
            }
            if (a_full || b_full)
                OCT_TRY(oct_lower_temp_like(l, in[a_full ? 0 : 1], x->dtype, &to));
            else
                OCT_TRY(oct_lower_temp(l, x->dtype, rank, dims, &to));
        }
        OCT_TRY(oct_lower_step(l, OCT_STEP_BINARY, oct_lower_precision(x), "", 2, in, 1, &to, &p, sizeof p, NULL));
        in[0] = to;
    }
    return OCT_OK;
}
