/* TopK: a RANK step gives the indices, GATHER_ELEMENTS the values. k must be known when the graph is lowered. */
#include "op/ops.h"

#include "op/code.h"

static oct_status k_of(const oct_node *n, int64_t *k)
{
    int64_t known[OCT_KNOWN_MAX];
    oct_value *v;
    OCT_TRY(oct_infer_need(n, 1, &v));
    *k = oct_infer_known(v, known) == 1 && oct_known_literal(known[0]) ? known[0] : -1;
    return OCT_OK;
}

oct_status oct_op_infer_top_k(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int axis;
    int64_t k;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(k_of(n, &k));
    oct_shape y = x->shape;
    if (y.rank >= 0) {
        OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), y.rank, &axis));
        if (k >= 0 && y.dim[axis] >= 0 && k > y.dim[axis])
            return oct_op_bad(n, "the best %lld of %lld elements", (long long)k, (long long)y.dim[axis]);
        y.dim[axis] = k;
        if (k < 0)
            OCT_TRY(oct_infer_fresh(g, n, axis, &y.dim[axis]));
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    return oct_infer_out(g, n, 1, OCT_S64, &y);
}

oct_status oct_op_lower_top_k(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *values = oct_node_out(n, 0), *indices = oct_node_out(n, 1);
    int axis;
    int64_t k;
    int32_t in[2], out;
    OCT_TRY(k_of(n, &k));
    if (k < 0)
        return oct_op_unsupported(n, "a k that is computed at run time");
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), x->shape.rank, &axis));
    const oct_p_rank p = {axis, oct_node_int(n, "largest", 1) == 0};
    if (x->quant || n->int8)
        return oct_op_unsupported(n, "no INT8 form");
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    if (indices)
        OCT_TRY(oct_lower_out(l, indices, OCT_LAYOUT_PLAIN, &in[1]));
    else
        OCT_TRY(oct_lower_temp(l, OCT_S64, values->shape.rank, values->shape.dim, &in[1]));
    OCT_TRY(oct_lower_step(l, OCT_STEP_RANK, OCT_PREC_INTEGER, "", 1, in, 1, &in[1], &p, sizeof p, NULL));
    if (!values)
        return OCT_OK;
    const oct_p_axis q = {.axis = axis};
    OCT_TRY(oct_lower_out(l, values, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_GATHER_ELEMENTS, oct_lower_precision(x), "", 2, in, 1, &out, &q, sizeof q, NULL);
}
