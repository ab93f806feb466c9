/* From ranges to quantization parameters, the calibration cache, and weight quantization: what the builder (calibrated mode) and
 * the quantizer both need.  DESIGN 3.2, 3.3, 4.3; anchors: docs/numerics.md. */
#ifndef OCT_QPARAM_QPARAM_H
#define OCT_QPARAM_QPARAM_H

#include <octavo/quant.h>
#include "base/mem.h"
#include "ir/strmap.h"

#define OCT_SOLVER_USER "user" /* solver of a range that was set by hand */

typedef struct oct_range_entry {
    char *tensor;
    float min, max;      /* finite, min <= max */
    float scale;
    int32_t zero;        /* of the logical dtype: u8 for affine, s8 for symmetric */
    char *solver;
    double digest;       /* mean square of the tensor: catches a cache of another data set */
    double error;        /* predicted mean square quantization error, < 0 unknown */
} oct_range_entry;

struct oct_ranges {
    oct_scheme scheme;
    char hash[17];       /* of the float model; "" unknown */
    const char *method;  /* solver name asked for */
    int64_t samples;
    oct_range_entry *entries;
    int64_t count, capacity;
    oct_arena *arena;    /* owns all strings */
    oct_strmap names;    /* tensor -> index of its entry */
};

oct_status oct_ranges_create(oct_scheme scheme, oct_ranges **out);
oct_status oct_ranges_clone(const oct_ranges *r, oct_ranges **out);
/* Add or replace. CONTENT when not finite or min > max. Scale and zero follow from the scheme unless scale > 0 is given. */
oct_status oct_ranges_put(oct_ranges *r, const oct_range_entry *entry);
const oct_range_entry *oct_ranges_find(const oct_ranges *r, const char *tensor);
/* CONTENT when r belongs to another float model than that of this hash; ranges without a hash suit every model. */
oct_status oct_ranges_check_model(const oct_ranges *r, const char *hash);
oct_status oct_ranges_set_method(oct_ranges *r, const char *method); /* copied */

/* Weight scales: per output channel (axis) or per tensor, symmetric s8, codes in [-127, 127]: s = absmax/127, dead channels s = 1; a channel so
 * small that |bias| / (s_x * s_w) would pass 2^30 has its scale raised (algorithms.md 1.2). w is dense with `dims`; channel count = dims[axis].
 * scale: dims[axis] entries, or 1 per tensor. bias (dims[axis]) may be NULL. */
oct_status oct_weight_scales(const float *w, int rank, const int64_t *dims, int axis, bool per_tensor, float input_scale, const float *bias, float *scale);
/* Codes of w for these scales. */
oct_status oct_weight_codes(const float *w, int rank, const int64_t *dims, int axis, int64_t scale_count, const float *scale, int8_t *codes);

#endif
