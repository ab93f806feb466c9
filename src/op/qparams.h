/* Scale and zero point inputs of QuantizeLinear and DequantizeLinear: checked, and as plan parameters in stored form. */
#ifndef OCT_OP_QPARAMS_H
#define OCT_OP_QPARAMS_H

#include "op/lower.h"
#include "plan/params.h"

/* Shapes of inputs 1 and 2 against x; scales that are constant must be finite and > 0 (CONTENT). */
oct_status oct_qparams_check(oct_graph *g, const oct_node *n, const oct_shape *x);
/* Parameters for codes of the logical type dtype: constants of the draft, or, where one is computed at run time, the tensors in[1] and in[2]; *n_in
 * is 1 or 3 then (in[0] is the caller's). *q describes constant codes with one scale (p->n == 1). */
oct_status oct_qparams_lower(oct_lower *l, const oct_node *n, oct_dtype dtype, const oct_shape *x, oct_p_quantize *p,
                             oct_stored_quant *q, int32_t in[3], int *n_in);
/* DequantizeLinear with block_size, of constants: y is a constant of the plan. UNSUPPORTED when something is computed at run time. */
oct_status oct_qparams_lower_blocks(oct_lower *l, const oct_node *n);
/* Write scale and zero of 8-bit codes on a plan tensor, where there is one scale. */
void oct_qparams_mark(oct_lower *l, int32_t tensor, const oct_p_quantize *p, const oct_stored_quant *q);

#endif
