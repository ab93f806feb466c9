/* Range: start, limit and delta as scalars.  Its length must be known when the graph is lowered. */
#include "op/ops.h"

#include <math.h>

/* Length from constants of any numeric type that oct_value_scalar reads; -1 when not constant. */
static oct_status length_of(const oct_node *n, int64_t *out)
{
    int64_t start[OCT_KNOWN_MAX], limit[OCT_KNOWN_MAX], delta[OCT_KNOWN_MAX];
    float fs, fl, fd;
    *out = -1;
    if (oct_infer_known(n->inputs[0], start) == 1 && oct_infer_known(n->inputs[1], limit) == 1 &&
        oct_infer_known(n->inputs[2], delta) == 1) {
        if (!oct_known_literal(start[0]) || !oct_known_literal(limit[0]) || !oct_known_literal(delta[0]))
            return OCT_OK;
        if (delta[0] == 0)
            return oct_op_bad(n, "delta is 0");
        int64_t span, by = delta[0] > 0 ? delta[0] : -delta[0];
        if (__builtin_sub_overflow(limit[0], start[0], &span))
            return oct_op_bad(n, "the range is too long");
        span = delta[0] > 0 ? span : -span;
        *out = span > 0 ? (span - 1) / by + 1 : 0;
        return OCT_OK;
    }
    if (n->inputs[0]->dtype != OCT_F32 || !oct_value_scalar(n->inputs[0], &fs) || !oct_value_scalar(n->inputs[1], &fl) ||
        !oct_value_scalar(n->inputs[2], &fd))
        return OCT_OK;
    double steps = ceil(((double)fl - fs) / fd);
    if (!(steps < 0x1p46))
        return oct_op_bad(n, "a range from %g to %g by %g", (double)fs, (double)fl, (double)fd);
    *out = steps > 0 ? (int64_t)steps : 0;
    return OCT_OK;
}

oct_status oct_op_infer_range(oct_graph *g, oct_node *n)
{
    oct_value *v = NULL;
    oct_dtype dtype = OCT_DTYPE_NONE;
    oct_shape y = {.rank = 1};
    for (int i = 0; i < 3; i++) {
        OCT_TRY(oct_infer_need(n, i, &v));
        if (i && v->dtype != dtype)
            return oct_op_bad(n, "the inputs differ in type");
        if (v->shape.rank > 1 || (v->shape.rank == 1 && v->shape.dim[0] > 1))
            return oct_op_bad(n, "input %d is no scalar", i);
        dtype = v->dtype;
    }
    OCT_TRY(length_of(n, &y.dim[0]));
    if (y.dim[0] < 0) {
        int64_t start[OCT_KNOWN_MAX], limit[OCT_KNOWN_MAX], delta[OCT_KNOWN_MAX];
        bool count_up = oct_infer_known(n->inputs[0], start) == 1 && oct_infer_known(n->inputs[1], limit) == 1 &&
                        oct_infer_known(n->inputs[2], delta) == 1 && start[0] == 0 && delta[0] == 1 && oct_known_symbol(limit[0]);
        if (count_up)
            y.dim[0] = oct_dim_of_symbol(limit[0]);
        else
            OCT_TRY(oct_infer_fresh(g, n, 0, &y.dim[0]));
        return oct_infer_out(g, n, 0, dtype, &y);
    }
    OCT_TRY(oct_infer_out(g, n, 0, dtype, &y));
    int64_t start[OCT_KNOWN_MAX], delta[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    if (y.dim[0] > OCT_KNOWN_MAX || oct_infer_known(n->inputs[0], start) != 1 || oct_infer_known(n->inputs[2], delta) != 1)
        return OCT_OK;
    for (int64_t i = 0; i < y.dim[0]; i++)
        r[i] = start[0] + i * delta[0];
    return oct_infer_set_known(g, n, 0, r, (int)y.dim[0]);
}

oct_status oct_op_lower_range(oct_lower *l, oct_node *n)
{
    oct_value *y = n->outputs[0];
    int32_t in[3], out;
    for (int i = 0; i < 3; i++)
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_ANY, &in[i]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_RANGE, oct_lower_precision(y), "", 3, in, 1, &out, &(oct_p_none){0}, sizeof(oct_p_none),
                          NULL);
}
