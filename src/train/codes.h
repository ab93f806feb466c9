/* Sums and codes as the integer engine has them, while the network trains.  DESIGN 3.8.
 *
 * A product (Conv, Gemm, MatMul) of two quantizers' outputs is computed on their codes, whole numbers as floats: sums of them are
 * exact below 2^24, in any order and in bfloat16 too. Where BatchNormalization keeps its statistics, a quantizer behind such a
 * product rounds what the engine's epilogue rounds: the sum with the bias on the grid of the sums, times one float factor (numerics
 * of DESIGN 3.5), so that both have the same codes. Real values (code * scale) stand beside them for all else. */
#ifndef OCT_TRAIN_CODES_H
#define OCT_TRAIN_CODES_H

#include "train/diff.h"

/* Which quantizers write codes and which products sum them: slot->coded, slot->summed. Before anything is placed. */
void oct_diff_use_codes(oct_tape *t);

/* The product that sums codes and whose result is v, read by nothing else; NULL = there is none. */
const oct_diff_node *oct_codes_product_of(const oct_tape *t, const oct_value *v);
/* s_x s_w by output channel of a product that sums codes: what a sum of 1 is worth. */
void oct_codes_worth(const oct_diff_node *product, int64_t channels, double *worth);
/* Of a product whose input is bare: the weights' gradient, made with its codes, times s_x. */
void oct_codes_scale_gradient(oct_diff_node *product);
/* What the engine writes where such a product's result stays real: y = sum factor + shift by output channel, BatchNormalization
 * norm (NULL = none) with its fixed statistics folded in, biases on the grid of the sums. */
void oct_codes_terms(const oct_diff_node *product, const oct_diff_node *norm, int64_t channels, float *factor, float *shift);

/* How a quantizer's codes follow from sums. */
typedef struct oct_codes_rule oct_codes_rule;

/* NULL in *out where there is none: the quantizer rounds x / scale then, which is the engine's way too for inputs and tables, and
 * within one code elsewhere. */
oct_status oct_codes_rule_make(oct_tape *t, oct_diff_node *quantizer, oct_codes_rule **out);
/* Does it hold, with BatchNormalization by the batch (training) or not? */
bool oct_codes_rule_holds(const oct_codes_rule *r, bool training);
/* Writes the quantizer's output, [lo, hi] being codes from its zero point. */
void oct_codes_rule_run(const oct_codes_rule *r, oct_diff_node *quantizer, float scale, float lo, float hi);

/* Scale of weights behind the BatchNormalization that is folded into them, of factor k there (1 without). */
float oct_folded_scale(float scale, double k);

#endif
