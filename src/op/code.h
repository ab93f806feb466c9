/* Lowering of what happens on 8-bit codes outside convolutions: 256-entry tables, requantization, moves that keep codes. */
#ifndef OCT_OP_CODE_H
#define OCT_OP_CODE_H

#include "op/lower.h"
#include "plan/params.h"

/* Parameters of a code tensor, UNSUPPORTED naming the current node when they are per axis or missing. */
oct_status oct_lower_quant(const oct_lower *l, const oct_value *v, oct_stored_quant *out);
bool oct_same_codes(const oct_stored_quant *a, const oct_stored_quant *b);
/* TABLE step from tensor in to tensor out: q -> quantize(fn(dequantize(q))), all 256 stored codes (DESIGN 3.6). */
oct_status oct_lower_table(oct_lower *l, int32_t in, const oct_stored_quant *x, int32_t out, const oct_stored_quant *y,
                           const oct_p_unary *fn);
/* The tensor of x for an operator that moves codes to y unchanged: x itself, or, where y has other parameters, a requantized copy.
 */
oct_status oct_lower_moved(oct_lower *l, oct_value *x, const oct_value *y, oct_layout want, int32_t *tensor);
/* Steps with the best kernel of their family for l->isa. */
oct_status oct_lower_quantize_step(oct_lower *l, bool quantize, int32_t in, int32_t out, const oct_stored_quant *q);
#define OCT_POOL_TAPS (1 << 23) /* elements of a pool's window: sums of codes stay within s32 */
/* POOL from in to out; kernel chosen by the dtype of the input view. */
oct_status oct_lower_pool(oct_lower *l, int32_t in, int32_t out, const oct_p_pool *p);
/* POOL over all spatial axes of x (rank >= 3, f32 or codes) into out, the dense tensor of y with n*c elements. */
oct_status oct_lower_plane_pool(oct_lower *l, oct_value *x, oct_value *y, int32_t out, bool is_max);
/* The same over the middle of x seen as plain [before, run, after]; out is the dense tensor of y with before*after elements. */
oct_status oct_lower_run_pool(oct_lower *l, oct_value *x, oct_value *y, const int64_t dims[3], int32_t out, bool is_max);

#endif
