/* What qat.c makes and qat_export.c writes back.  Private to these two. */
#ifndef OCT_TRAIN_QAT_IMPL_H
#define OCT_TRAIN_QAT_IMPL_H

#include "qparam/insert.h"
#include "quant/solver.h"
#include "train/qat.h"

/* One quantizer of activations: its constants in the trained graph. scale NULL = there is none. */
typedef struct oct_qat_codes {
    const char *scale, *zero, *value; /* value: what it writes */
    int32_t lo, hi;
} oct_qat_codes;

/* A point of the placement. */
typedef struct oct_qat_point {
    const char *tensor;
    int32_t group;
    oct_qat_codes wide, narrow; /* 8 bits; fewer, behind the wide one where both are */
    oct_observer *observer;     /* of narrow ones, until they are solved */
} oct_qat_point;

/* The weights of one node. */
typedef struct oct_qat_weights {
    const char *node, *norm;               /* names in the base graph; norm: the BatchNormalization that folds into it, or NULL */
    const char *weights, *scale;           /* constants of the trained graph */
    int axis;                              /* of the channels, with one scale a tensor too */
    int64_t outer, channels, inner, count; /* the tensor around the axis; scales: 1 or channels */
    int32_t lo, hi;
    bool narrow_input;
    float *ratio; /* [count] scale / largest |w| at the start */
} oct_qat_weights;

struct oct_qat {
    oct_arena *arena;
    const oct_model *model;
    oct_qat_options opts;
    bool quantized;
    oct_scheme scheme;
    oct_graph *base;          /* free batch, no quantizers: what export starts from */
    oct_graph *plain, *graph; /* bound: float, and with quantizers */
    oct_qat_point *points;
    oct_qat_weights *weights;
    int64_t point_count, weight_count;
};

/* gamma / sqrt(var + eps) of a BatchNormalization, by channel, from its constants. */
void oct_qat_norm_factors(const oct_node *bn, int64_t channels, double *k);

#endif
