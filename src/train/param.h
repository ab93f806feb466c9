/* A trained tensor: what the optimizer, the average and checkpoints know of it.  DESIGN 7. */
#ifndef OCT_TRAIN_PARAM_H
#define OCT_TRAIN_PARAM_H

#include <stdint.h>

typedef enum oct_param_kind {
    OCT_PARAM_WEIGHT, /* of convolutions and matrix products: the only kind with weight decay */
    OCT_PARAM_BIAS,
    OCT_PARAM_NORM,  /* gamma and beta of normalisations; running statistics, which have no gradient */
    OCT_PARAM_SCALE, /* of quantizers, and clip limits */
    OCT_PARAM_KINDS
} oct_param_kind;

/* value and grad are borrowed: count floats each. grad NULL = not trained; such a tensor only takes part in averages. */
typedef struct oct_param {
    const char *name;
    float *value, *grad;
    int64_t count;
    oct_param_kind kind;
    double rate; /* times the rate of its kind; 0 = 1 */
} oct_param;

#endif
