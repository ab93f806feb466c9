/* DequantizeLinear that no pass has absorbed: one DEQUANTIZE step from 4, 8, 16 or 32-bit codes, per tensor or per axis. */
#include "op/ops.h"

#include "kernels/kernel.h"
#include "op/qparams.h"

oct_status oct_op_infer_dequantize(oct_graph *g, oct_node *n)
{
    oct_value *x, *scale, *zero = oct_node_in(n, 2);
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &scale));
    if (zero && zero->dtype != x->dtype)
        return oct_op_bad(n, "the codes have type %s, the zero point %s", oct_dtype_name(x->dtype), oct_dtype_name(zero->dtype));
    switch (x->dtype) {
    case OCT_U8:
    case OCT_S8:
    case OCT_U4:
    case OCT_S4:
    case OCT_U16:
    case OCT_S16:
    case OCT_S32:
        break;
    default:
        return oct_op_unsupported(n, "codes of type %s", oct_dtype_name(x->dtype));
    }
    OCT_TRY(oct_qparams_check(g, n, &x->shape));
    return oct_infer_out(g, n, 0, scale->dtype, &x->shape);
}

oct_status oct_op_lower_dequantize(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_quantize p;
    oct_stored_quant q;
    int32_t in[3], out;
    int n_in;
    if (oct_node_int(n, "block_size", 0) != 0)
        return oct_qparams_lower_blocks(l, n);
    OCT_TRY(oct_qparams_lower(l, n, x->dtype, &x->shape, &p, &q, in, &n_in));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_out(l, y, y->is_output && y->user_count == 0 ? OCT_LAYOUT_PLAIN : oct_lower_layout(l, x), &out));
    const char *tactic = oct_lower_pick(l, OCT_FAMILY_dequantize, 0, 0, oct_dequantize_best(l->isa)->name);
    return oct_lower_step(l, OCT_STEP_DEQUANTIZE, OCT_PREC_CONVERT, tactic, n_in, in, 1, &out, &p, sizeof p, NULL);
}
