/* Scale and zero point inputs of QuantizeLinear and DequantizeLinear: checked, and as plan parameters in stored form. */
#ifndef OCT_OP_QPARAMS_H
#define OCT_OP_QPARAMS_H

#include "op/lower.h"
#include "plan/params.h"

/* Shapes of inputs 1 and 2 against x; scales that are constant must be finite and > 0 (CONTENT). */
oct_status oct_qparams_check(oct_graph *g, const oct_node *n, const oct_shape *x);
/* Constants of the draft for codes of the logical type dtype. UNSUPPORTED when the scale is computed at run time. *q describes the
 * codes when there is one scale (p->n == 1). */
oct_status oct_qparams_lower(oct_lower *l, const oct_node *n, oct_dtype dtype, const oct_shape *x, oct_p_quantize *p,
                             oct_stored_quant *q);
/* Write scale and zero of 8-bit codes on a plan tensor, where there is one scale. */
void oct_qparams_mark(oct_lower *l, int32_t tensor, const oct_p_quantize *p, const oct_stored_quant *q);

#endif
