/* The quantizer of training: FakeQuant nodes, what they are told, where they hold what they learn.  DESIGN 7.2, docs/training.md
 * "scales". */
#ifndef OCT_TRAIN_FAKE_QUANT_H
#define OCT_TRAIN_FAKE_QUANT_H

#include <octavo/train.h>
#include "ir/ir.h"

typedef struct oct_fake_quant {
    int32_t lo, hi;      /* codes */
    int axis;            /* of the scales; -1 = one scale */
    oct_scale_mode mode; /* how this one's scale moves; EMA is for activations only */
    float dampen;        /* share of the tape's dampening that each element feels; 0 = none */
} oct_fake_quant;

/* y = FakeQuant(x, scale, zero), appended to g. scale, zero: constants of one element or of x's axis. */
oct_status oct_fake_quant_add(oct_graph *g, const char *name, oct_value *x, oct_value *scale, oct_value *zero,
                              const oct_fake_quant *q, oct_value **y);
void oct_fake_quant_read(const oct_node *n, oct_fake_quant *out);

#endif
