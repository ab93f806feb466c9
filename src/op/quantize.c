/* QuantizeLinear that no pass has absorbed: one QUANTIZE step, per tensor or per axis (DESIGN 3.1). */
#include "op/ops.h"

#include "kernels/kernel.h"
#include "op/qparams.h"

oct_status oct_op_infer_quantize(oct_graph *g, oct_node *n)
{
    oct_value *x, *scale, *zero = oct_node_in(n, 2);
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &scale));
    oct_dtype named = (oct_dtype)oct_node_int(n, "output_dtype", OCT_DTYPE_NONE);
    oct_dtype dtype = zero ? zero->dtype : named != OCT_DTYPE_NONE ? named : OCT_U8;
    if (zero && named != OCT_DTYPE_NONE && named != zero->dtype)
        return oct_op_bad(n, "output_dtype is %s, the zero point's type %s", oct_dtype_name(named), oct_dtype_name(zero->dtype));
    switch (dtype) {
    case OCT_U8:
    case OCT_S8:
    case OCT_U4:
    case OCT_S4:
    case OCT_U16:
    case OCT_S16:
        break;
    default:
        return oct_op_unsupported(n, "codes of type %s", oct_dtype_name(dtype));
    }
    OCT_TRY(oct_qparams_check(g, n, &x->shape));
    return oct_infer_out(g, n, 0, dtype, &x->shape);
}

oct_status oct_op_lower_quantize(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_quantize p;
    oct_stored_quant q;
    int32_t in[3], out, cast;
    int n_in;
    OCT_TRY(oct_qparams_lower(l, n, y->dtype, &x->shape, &p, &q, in, &n_in));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    if (x->dtype != OCT_F32) {
        OCT_TRY(oct_lower_temp_like(l, in[0], OCT_F32, &cast));
        OCT_TRY(
            oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, in, 1, &cast, &(oct_p_none){0}, sizeof(oct_p_none), NULL));
        in[0] = cast;
    }
    /* The step transposes bytes on its way, which is cheaper than to copy floats into NHWC before or codes after it. */
    OCT_TRY(oct_lower_out(l, y, oct_lower_feeds_nhwc(y) ? OCT_LAYOUT_NHWC : oct_lower_layout(l, x), &out));
    oct_qparams_mark(l, out, &p, &q);
    const char *tactic = oct_lower_pick(l, OCT_FAMILY_quantize, 0, 0, oct_quantize_best(l->isa)->name);
    return oct_lower_step(l, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, tactic, n_in, in, 1, &out, &p, sizeof p, NULL);
}
