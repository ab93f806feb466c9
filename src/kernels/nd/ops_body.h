/* The inner loops of oct_nd_ops, written once and compiled once per ISA level: ops.c, ops_avx2.c and ops_avx512vnni.c include this
 * file and name the table. The operations and their order are fixed by the source, so the levels agree in every bit (DESIGN 3.7).
 *
 * Elementwise loops are plain C for the vectoriser; sums use GNU vectors of 16 floats, because there the lanes are the contract.
 * An ivdep loop may have y == x (in place) but no other overlap. */
/* Selects become vector code only if the compiler may compute both sides: floating-point flags are nobody's business here. It
 * changes no value. */
#pragma GCC optimize("no-trapping-math")
#include <string.h>
#include "kernels/nd/math_inline.h"
#include "kernels/nd/nd.h"
#include "kernels/nd/transpose_body.h"

typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t v16i __attribute__((vector_size(64)));

#define EACH(expr)                        \
    do {                                  \
        _Pragma("GCC ivdep")              \
        for (int64_t i = 0; i < n; i++) { \
            const float v = x[i];         \
            y[i] = (expr);                \
        }                                 \
    } while (0)

static void nd_unary(oct_unary_fn fn, float alpha, float beta, const float *x, float *y, int64_t n)
{
    switch (fn) {
    case OCT_UNARY_RELU: EACH(v < 0.0f ? 0.0f : v); break;
    case OCT_UNARY_LEAKY_RELU: EACH(oct_select(v < 0.0f, alpha * v, v)); break;
    case OCT_UNARY_CLIP: EACH(oct_clip_inline(v, alpha, beta)); break;
    case OCT_UNARY_SIGMOID: EACH(oct_sigmoid_inline(v)); break;
    case OCT_UNARY_HARD_SIGMOID: EACH(oct_hard_sigmoid_inline(v, alpha, beta)); break;
    case OCT_UNARY_HARD_SWISH: EACH(oct_hard_swish_inline(v)); break;
    case OCT_UNARY_TANH: EACH(oct_tanh_inline(v)); break;
    case OCT_UNARY_ELU: EACH(oct_elu_inline(v, alpha)); break;
    case OCT_UNARY_SOFTPLUS: EACH(oct_softplus_inline(v)); break;
    case OCT_UNARY_ERF: EACH(oct_erf_inline(v)); break;
    case OCT_UNARY_EXP: EACH(oct_exp_inline(v)); break;
    case OCT_UNARY_LOG: EACH(oct_log_inline(v)); break;
    case OCT_UNARY_SQRT: EACH(sqrtf(v)); break;
    case OCT_UNARY_NEG: EACH(-v); break;
    case OCT_UNARY_ABS: EACH(oct_abs(v)); break;
    case OCT_UNARY_RECIPROCAL: EACH(1.0f / v); break;
    case OCT_UNARY_GELU: EACH(oct_gelu_inline(v)); break;
    case OCT_UNARY_GELU_TANH: EACH(oct_gelu_tanh_inline(v)); break;
    case OCT_UNARY_SILU: EACH(oct_silu_inline(v)); break;
    case OCT_UNARY_FLOOR: EACH(floorf(v)); break;
    case OCT_UNARY_CEIL: EACH(ceilf(v)); break;
    case OCT_UNARY_NOT: EACH(v == 0.0f ? 1.0f : 0.0f); break;
    case OCT_UNARY_COUNT: break;
    }
}

#define PAIRS(expr)                                             \
    do {                                                        \
        if (a_step && b_step) {                                 \
            _Pragma("GCC ivdep")                                \
            for (int64_t i = 0; i < n; i++) {                   \
                const float p = a[i], q = b[i];                 \
                y[i] = oct_clip_inline((expr), lo, hi);         \
            }                                                   \
        } else if (a_step) {                                    \
            const float q = b[0];                               \
            _Pragma("GCC ivdep")                                \
            for (int64_t i = 0; i < n; i++) {                   \
                const float p = a[i];                           \
                y[i] = oct_clip_inline((expr), lo, hi);         \
            }                                                   \
        } else {                                                \
            const float p = a[0];                               \
            _Pragma("GCC ivdep")                                \
            for (int64_t i = 0; i < n; i++) {                   \
                const float q = b_step ? b[i] : b[0];           \
                y[i] = oct_clip_inline((expr), lo, hi);         \
            }                                                   \
        }                                                       \
    } while (0)

/* One value for b covers most powers: squares and roots stay in float, the rest goes through double. */
static void power(const float *a, int a_step, const float *b, int b_step, float *y, int64_t n, float lo, float hi)
{
    for (int64_t i = 0; i < n; i++) {
        const float p = a[a_step ? i : 0], q = b[b_step ? i : 0];
        y[i] = oct_clip_inline(q == 2.0f ? p * p : oct_powf(p, q), lo, hi);
    }
}

static void nd_binary(oct_binary_fn fn, const float *a, int a_step, const float *b, int b_step, float *y, int64_t n, float lo, float hi)
{
    switch (fn) {
    case OCT_BINARY_ADD: PAIRS(p + q); break;
    case OCT_BINARY_SUB: PAIRS(p - q); break;
    case OCT_BINARY_MUL: PAIRS(p * q); break;
    case OCT_BINARY_DIV: PAIRS(p / q); break;
    case OCT_BINARY_MIN: PAIRS(oct_select((p < q) | (p != p), p, q)); break;
    case OCT_BINARY_MAX: PAIRS(oct_select((p > q) | (p != p), p, q)); break;
    case OCT_BINARY_PRELU: PAIRS(oct_select(p < 0.0f, p * q, p)); break;
    case OCT_BINARY_POW: power(a, a_step, b, b_step, y, n, lo, hi); break;
    default: break; /* comparisons have another output type: oct_nd_binary_f64 */
    }
}

static float nd_max(const float *x, int64_t n, float start)
{
    v16 best = start - (v16){0};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const v16 v = *(const v16u *)(x + i);
        const v16i take = v > best;
        best = (v16)(((v16i)v & take) | ((v16i)best & ~take));
    }
    float m = best[0];
    for (int j = 1; j < 16; j++)
        m = best[j] > m ? best[j] : m;
    for (; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

#define LANES(vector_expr, scalar_expr)                        \
    do {                                                       \
        v16 s = *(const v16u *)acc->v;                         \
        for (; i + 16 <= n; i += 16) {                         \
            const v16 v = *(const v16u *)(x + i);              \
            s = (vector_expr);                                 \
        }                                                      \
        *(v16u *)acc->v = s;                                   \
        for (; i < n; i++) {                                   \
            const float v = x[i], t = acc->v[i & 15];          \
            acc->v[i & 15] = (scalar_expr);                    \
        }                                                      \
    } while (0)

static void nd_lanes(oct_reduce_fn fn, const float *x, int64_t n, oct_nd_lanes *acc)
{
    int64_t i = 0;
    switch (fn) {
    case OCT_REDUCE_SUM:
    case OCT_REDUCE_MEAN: LANES(s + v, t + v); break;
    case OCT_REDUCE_PROD: LANES(s * v, t * v); break;
    case OCT_REDUCE_MAX: LANES((v16)(((v16i)v & (v > s)) | ((v16i)s & ~(v > s))), v > t ? v : t); break;
    case OCT_REDUCE_MIN: LANES((v16)(((v16i)v & (v < s)) | ((v16i)s & ~(v < s))), v < t ? v : t); break;
    case OCT_REDUCE_COUNT: break;
    }
}

static void nd_lanes_square(const float *x, int64_t n, float mean, oct_nd_lanes *acc)
{
    int64_t i = 0;
    LANES(s + (v - mean) * (v - mean), t + (v - mean) * (v - mean));
}

static void nd_exp_lanes(const float *x, float *y, int64_t n, float max, oct_nd_lanes *acc)
{
    EACH(oct_exp_inline(v - max));
    nd_lanes(OCT_REDUCE_SUM, y, n, acc);
}

static void nd_normalise(const float *x, float *y, int64_t n, float mean, float inv, const float *scale, const float *bias)
{
    if (bias) {
        _Pragma("GCC ivdep")
        for (int64_t i = 0; i < n; i++)
            y[i] = ((x[i] - mean) * inv) * scale[i] + bias[i];
    } else {
        _Pragma("GCC ivdep")
        for (int64_t i = 0; i < n; i++)
            y[i] = ((x[i] - mean) * inv) * scale[i];
    }
}

static void nd_fold(oct_reduce_fn fn, const float *x, float *acc, int64_t n)
{
    float *y = acc;
    switch (fn) {
    case OCT_REDUCE_SUM:
    case OCT_REDUCE_MEAN: EACH(y[i] + v); break;
    case OCT_REDUCE_PROD: EACH(y[i] * v); break;
    case OCT_REDUCE_MAX: EACH(v > y[i] ? v : y[i]); break;
    case OCT_REDUCE_MIN: EACH(v < y[i] ? v : y[i]); break;
    case OCT_REDUCE_COUNT: break;
    }
}

#define OCT_ND_TABLE(name)                                                                                                          \
    const oct_nd_ops name = {nd_unary,     nd_binary,    nd_transpose, nd_max,  nd_lanes, nd_lanes_square,                         \
                             nd_exp_lanes, nd_normalise, nd_fold,      nd_matmul}
