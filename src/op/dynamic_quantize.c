/* DynamicQuantizeLinear: minimum and maximum of the tensor, its scale and zero point from them, and a QUANTIZE step that reads
 * those. */
#include "op/ops.h"

#include "kernels/kernel.h"

oct_status oct_op_infer_dynamic_quantize(oct_graph *g, oct_node *n)
{
    oct_value *x;
    const oct_shape one = {.rank = 0};
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->dtype != OCT_F32)
        return oct_op_unsupported(n, "an input of type %s", oct_dtype_name(x->dtype));
    OCT_TRY(oct_infer_out(g, n, 0, OCT_U8, &x->shape));
    OCT_TRY(oct_infer_out(g, n, 1, OCT_F32, &one));
    return oct_infer_out(g, n, 2, OCT_U8, &one);
}

/* Minimum or maximum of all elements of `in`. */
static oct_status reduce(oct_lower *l, oct_reduce_fn fn, int32_t in, int32_t *out)
{
    const int rank = oct_lower_tensor(l, in)->rank;
    const int64_t ones[OCT_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    const oct_p_reduce p = {.fn = fn, .axes = (1u << rank) - 1};
    OCT_TRY(oct_lower_temp(l, OCT_F32, rank, ones, out));
    return oct_lower_step(l, OCT_STEP_REDUCE, OCT_PREC_CONVERT, "", 1, &in, 1, out, &p, sizeof p, NULL);
}

static oct_status param(oct_lower *l, oct_value *v, bool zero, const int32_t range[2], int32_t *out)
{
    const oct_p_qparams p = {.zero = zero};
    if (v)
        OCT_TRY(oct_lower_out(l, v, OCT_LAYOUT_PLAIN, out));
    else
        OCT_TRY(oct_lower_temp(l, zero ? OCT_U8 : OCT_F32, 0, NULL, out));
    return oct_lower_step(l, OCT_STEP_QPARAMS, OCT_PREC_CONVERT, "", 2, range, 1, out, &p, sizeof p, NULL);
}

oct_status oct_op_lower_dynamic_quantize(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    const oct_p_quantize p = {.n = 1, .lo = 0, .hi = 255, .scale_at = -1, .zero_at = -1};
    int32_t in[3], range[2], out;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(reduce(l, OCT_REDUCE_MIN, in[0], &range[0]));
    OCT_TRY(reduce(l, OCT_REDUCE_MAX, in[0], &range[1]));
    OCT_TRY(param(l, oct_node_out(n, 1), false, range, &in[1]));
    OCT_TRY(param(l, oct_node_out(n, 2), true, range, &in[2]));
    if (!y)
        return OCT_OK;
    OCT_TRY(oct_lower_out(l, y, oct_lower_feeds_nhwc(y) ? OCT_LAYOUT_NHWC : oct_lower_layout(l, x), &out));
    const char *tactic = oct_lower_pick(l, OCT_FAMILY_quantize, 0, 0, oct_quantize_best(l->isa)->name);
    return oct_lower_step(l, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, tactic, 3, in, 1, &out, &p, sizeof p, NULL);
}
