/* The loops of training that go over whole tensors, for the instruction set of this machine.  One text, vector_loops.inc, compiled
 * once for each level.
 *
 * Sums are of floats over blocks of at most 64 terms in a fixed order, of doubles between blocks: the same bits in every thread,
 * not on every level. Arrays do not overlap but for the element at hand. fresh: dx is set, else added to. */
#ifndef OCT_TRAIN_VECTOR_H
#define OCT_TRAIN_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

/* From sums to codes, the engine's epilogue (DESIGN 3.5): rne(clamp((x sign + bias) factor + shift + rne(residual / residual_scale)
 * residual_factor, lo, hi)), where sign, bias, factor and shift have an entry a channel and residual (NULL = none) one an element.
 */
typedef struct oct_requant {
    const float *sign, *bias, *factor, *shift, *residual;
    float residual_scale, residual_factor;
    float lo, hi, scale; /* scale: what a code is worth in y */
} oct_requant;

typedef struct oct_vector_ops {
    void (*add)(int64_t n, const float *a, const float *b, float *y);
    void (*add_relu)(int64_t n, const float *a, const float *b, float *y); /* max(a + b, 0) */
    void (*relu)(int64_t n, const float *x, float *y);
    /* dx = dy where lo < x < hi, else 0 */
    void (*pass)(int64_t n, const float *x, const float *dy, float lo, float hi, bool fresh, float *dx);
    /* codes = rne(clamp(x / s, lo, hi)), y = codes s; either may be NULL: not asked */
    void (*quantize)(int64_t n, const float *x, float s, float lo, float hi, float *codes, float *y);
    /* v = x / s: dx = dy where lo <= v <= hi (dx NULL: not asked). Returns the sum of dy times lo or hi outside, and with `inside`
     * times rne(v) - v inside. */
    double (*quantize_back)(int64_t n, const float *x, const float *dy, float s, float lo, float hi, bool inside, bool fresh,
                            float *dx);
    /* rows of c channels */
    void (*add_rows)(int64_t rows, int64_t c, const float *bias, float *y);
    void (*sum_rows)(int64_t rows, int64_t c, const float *x, double *sum);                                    /* sum += x */
    void (*moments)(int64_t rows, int64_t c, const float *x, const float *about, double *sum, double *square); /* of x - about */
    void (*affine_rows)(int64_t rows, int64_t c, const float *x, const float *factor, const float *shift, bool relu, float *y);
    /* With r, the output of a Relu, dy counts where r > 0 only; r may be NULL. */
    void (*products)(int64_t rows, int64_t c, const float *dy, const float *r, const float *x, const float *about, double *sum,
                     double *product); /* of dy; of dy (x - about) */
    /* dx = f dy + g x + h by channel */
    void (*requantize)(int64_t rows, int64_t c, const float *x, const oct_requant *how, float *codes,
                       float *y); /* codes or y may be NULL */
    void (*combine_rows)(int64_t rows, int64_t c, const float *dy, const float *r, const float *x, const float *f, const float *g,
                         const float *h, bool fresh, float *dx);
} oct_vector_ops;

/* The table of the level in force when it was first asked. */
const oct_vector_ops *oct_vector(void);

extern const oct_vector_ops oct_vector_portable, oct_vector_avx2;

#endif
