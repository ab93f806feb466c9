/* Optimizers: gradients to new parameter values.  DESIGN 7, anchors/algorithms.md 7.5.
 *
 * SGD:   g' = g + d w;  m = momentum m + g';  w -= r m, or with Nesterov  w -= r (g' + momentum m).
 *        (Sutskever et al. 2013, with the learning rate outside the momentum)
 * AdamW: w -= r d w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= r m' / (sqrt(v') + e),
 *        m' = m / (1 - b1^t), v' = v / (1 - b2^t), t = 1, 2, ...  (Loshchilov, Hutter 2017, arXiv 1711.05101)
 * d is the weight decay, of OCT_PARAM_WEIGHT alone; r the rate times the factors of the parameter's kind and its own. */
#ifndef OCT_TRAIN_OPTIMIZER_H
#define OCT_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include "base/status.h"
#include "train/param.h"

typedef enum oct_optimizer_kind { OCT_OPTIMIZER_SGD, OCT_OPTIMIZER_ADAMW } oct_optimizer_kind;

typedef struct oct_optimizer_options {
    oct_optimizer_kind kind;
    double momentum; /* SGD, in [0, 1) */
    bool nesterov;
    double beta1, beta2, epsilon; /* AdamW */
    double weight_decay;
    double rate_factor[OCT_PARAM_KINDS]; /* 0 leaves a kind as it is */
    double max_norm; /* gradients of all parameters together are scaled down to this 2-norm (Pascanu et al. 2013); 0 = never */
} oct_optimizer_options;

/* SGD: momentum 0.9; AdamW: 0.9, 0.999, 1e-8; all factors 1, no decay, no clipping. */
void oct_optimizer_default(oct_optimizer_kind kind, oct_optimizer_options *out);

typedef struct oct_optimizer oct_optimizer;

/* params is copied, what it points to is borrowed. Starts with a state of zeros. USAGE, MEMORY. */
oct_status oct_optimizer_create(const oct_param *params, int64_t count, const oct_optimizer_options *options, oct_optimizer **out);
void oct_optimizer_destroy(oct_optimizer *o);

typedef struct oct_optimizer_report {
    double norm;  /* of all gradients, before clipping */
    bool applied; /* false when norm is NaN or infinite: then values and state are as before */
    bool clipped;
} oct_optimizer_report;

/* One step with learning rate `rate` (finite, >= 0; USAGE otherwise). Gradients are read only. Elements in order, in one thread:
 * the same bits for the same input. */
oct_status oct_optimizer_step(oct_optimizer *o, double rate, oct_optimizer_report *report);

/* All that a checkpoint needs besides the values: `slots` arrays of `count` floats, the parameters with a gradient one after the
 * other, and the number of steps applied. Borrowed; what is written there counts from the next step on. */
typedef struct oct_optimizer_state {
    float *slot[2]; /* SGD: momentum; AdamW: m, v */
    int slots;
    int64_t count;
    int64_t *steps;
} oct_optimizer_state;
void oct_optimizer_get_state(oct_optimizer *o, oct_optimizer_state *out);

#endif
