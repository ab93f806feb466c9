/* The inner loops of oct_nd_ops, written once and compiled once per ISA level: ops.c, ops_avx2.c and ops_avx512vnni.c define the
 * words below, include this file and name the table. The operations and their order are fixed by the source, so the levels agree
 * in every bit (DESIGN 3.7).
 *
 * ND_W               floats of a vector (4, 8 or 16)
 * ND_MAX, ND_MIN     (v, s) of two vectors: v > s ? v : s, v < s ? v : s
 * nd_load_tail, nd_store_tail   0 to 16 floats from and to a block of 16; load fills up with a value
 * nd_highest         (ND_W > 4) highest element of a vector
 * nd_pick            (ND_W > 4) (v, a, b): a where v's sign bit is set, else b
 * nd_scale           (ND_W > 4) (p, k): p * 2^k, rounded once; k integral, -150 to 128, p in [1/2, 2]
 *
 * Elementwise loops are plain C for the vectoriser; sums use GNU vectors, because there the lanes are the contract. An ivdep loop
 * may have y == x (in place) but no other overlap. */
/* Selects become vector code only if the compiler may compute both sides: floating-point flags are nobody's business here. It
 * changes no value. */
#pragma GCC optimize("no-trapping-math")
#include <string.h>
#include "kernels/nd/math_inline.h"
#include "kernels/nd/nd.h"
#include "kernels/nd/transpose_body.h"

typedef float vm __attribute__((vector_size(4 * ND_W)));
typedef float vmu __attribute__((vector_size(4 * ND_W), aligned(4), may_alias));
typedef int32_t vmi __attribute__((vector_size(4 * ND_W)));
enum { ND_VECTORS = OCT_ND_LANES / ND_W };

/* The last, partial block of a span goes through a block of 16 like the others: no scalar remainder to run or to agree with. */
#define EACH(expr)                                        \
    do {                                                  \
        const int64_t whole = n & ~(int64_t)15;           \
        _Pragma("GCC ivdep")                              \
        for (int64_t i = 0; i < whole; i++) {             \
            const float v = x[i];                         \
            y[i] = (expr);                                \
        }                                                 \
        if (whole < n) {                                  \
            float block[16], result[16];                  \
            nd_load_tail(block, x + whole, (int)(n - whole), 0.0f); \
            for (int i = 0; i < 16; i++) {                \
                const float v = block[i];                 \
                result[i] = (expr);                       \
            }                                             \
            nd_store_tail(y + whole, result, (int)(n - whole)); \
        }                                                 \
    } while (0)

#if ND_W > 4
enum { ND_EXP_MAX = 5 * ND_VECTORS, ND_GATE = 64 / ND_W };

/* oct_exp_inline on `count` vectors: the same operations in the same order. One operation on all of them after the other, because a
 * single chain of 25 dependent operations fills the scheduler without work for the units. `clamped`: no x is above 89. */
static inline __attribute__((always_inline)) void exp_vectors(vm *v, const int count, const int clamped)
{
    vm r[ND_EXP_MAX], p[ND_EXP_MAX], k[ND_EXP_MAX];
    for (int i = 0; i < count; i++) {
        vm x = ND_MAX((vm){0} - 104.0f, v[i]);
        if (!clamped)
            x = ND_MIN((vm){0} + 89.0f, x);
        const vm t = x * 1.44269504f + OCT_MAGIC;
        k[i] = t - OCT_MAGIC;
        r[i] = (x - k[i] * OCT_LN2_HI) - k[i] * OCT_LN2_LO;
    }
    for (int i = 0; i < count; i++)
        p[i] = r[i] * 0.00138144672f + 0.00836878084f;
    for (int i = 0; i < count; i++)
        p[i] = p[i] * r[i] + 0.0416683927f;
    for (int i = 0; i < count; i++)
        p[i] = p[i] * r[i] + 0.166665196f;
    for (int i = 0; i < count; i++)
        p[i] = p[i] * r[i] + 0.49999994f;
    for (int i = 0; i < count; i++)
        p[i] = 1.0f + (p[i] * (r[i] * r[i]) + r[i]);
    for (int i = 0; i < count; i++)
        v[i] = nd_scale(p[i], k[i]);
}

/* oct_sigmoid_inline or oct_silu_inline on 64 floats, in the way of exp_vectors. (A factor of 1 changes no bit.) */
static inline __attribute__((always_inline)) void gate_block(const float *x, float *y, const int times_x)
{
    vm v[ND_GATE], e[ND_GATE], r[ND_GATE];
    for (int i = 0; i < ND_GATE; i++) {
        v[i] = *(const vmu *)(x + i * ND_W);
        e[i] = (vm)((vmi)v[i] | INT32_MIN); /* -|x| */
    }
    exp_vectors(e, ND_GATE, 1);
    for (int i = 0; i < ND_GATE; i++)
        r[i] = 1.0f / (1.0f + e[i]);
    for (int i = 0; i < ND_GATE; i++) {
        r[i] = nd_pick(v[i], e[i], (vm){0} + 1.0f) * r[i];
        *(vmu *)(y + i * ND_W) = times_x ? v[i] * r[i] : r[i];
    }
}
static inline __attribute__((always_inline)) void gates(const float *x, float *y, int64_t n, const int times_x)
{
    float block[64] = {0};
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        gate_block(x + i, y + i, times_x);
    if (i == n)
        return;
    for (int64_t k = 0; i + k < n; k += 16)
        nd_load_tail(block + k, x + i + k, n - i - k < 16 ? (int)(n - i - k) : 16, 0.0f);
    gate_block(block, block, times_x);
    for (int64_t k = 0; i + k < n; k += 16)
        nd_store_tail(y + i + k, block + k, n - i - k < 16 ? (int)(n - i - k) : 16);
}
#define SIGMOID gates(x, y, n, 0)
#define SILU    gates(x, y, n, 1)
#else
#define SIGMOID EACH(oct_sigmoid_inline(v))
#define SILU    EACH(oct_silu_inline(v))
#endif

static void nd_unary(oct_unary_fn fn, float alpha, float beta, const float *x, float *y, int64_t n)
{
    switch (fn) {
    case OCT_UNARY_RELU: EACH(v < 0.0f ? 0.0f : v); break;
    case OCT_UNARY_LEAKY_RELU: EACH(oct_select(v < 0.0f, alpha * v, v)); break;
    case OCT_UNARY_CLIP: EACH(oct_clip_inline(v, alpha, beta)); break;
    case OCT_UNARY_SIGMOID: SIGMOID; break;
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
    case OCT_UNARY_SILU: SILU; break;
    case OCT_UNARY_FLOOR: EACH(floorf(v)); break;
    case OCT_UNARY_CEIL: EACH(ceilf(v)); break;
    case OCT_UNARY_NOT: EACH(v == 0.0f ? 1.0f : 0.0f); break;
    default: oct_nd_unary_libm(fn, x, y, n); break;
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

/* Squares stay in float, every other power goes through double. */
static void power(const float *a, int a_step, const float *b, int b_step, float *y, int64_t n, float lo, float hi)
{
    for (int64_t i = 0; i < n; i++) {
        const float p = a[a_step ? i : 0], q = b[b_step ? i : 0];
        y[i] = oct_clip_inline(q == 2.0f ? p * p : oct_powf(p, q), lo, hi);
    }
}

static void nd_binary(oct_binary_fn fn, const float *a, int a_step, const float *b, int b_step, float *y, int64_t n, float lo,
                      float hi)
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
    default: break; /* comparisons and remainders: oct_nd_binary_f64 */
    }
}

/* Highest of start, n elements (n a multiple of 16) and 16 more. The order of a maximum is free. */
static inline float max_of(const float *x, int64_t n, const float block[16], float start)
{
    vm best[ND_VECTORS];
    float m[16];
    for (int k = 0; k < ND_VECTORS; k++)
        best[k] = ND_MAX((vm) * (const vmu *)(block + k * ND_W), start - (vm){0});
    for (int64_t i = 0; i < n; i += 16)
        for (int k = 0; k < ND_VECTORS; k++)
            best[k] = ND_MAX((vm) * (const vmu *)(x + i + k * ND_W), best[k]);
    memcpy(m, best, sizeof m);
    for (int j = 0; j < 8; j++)
        m[j] = m[j] > m[j + 8] ? m[j] : m[j + 8];
    for (int j = 0; j < 4; j++)
        m[j] = m[j] > m[j + 4] ? m[j] : m[j + 4];
    const float a = m[0] > m[2] ? m[0] : m[2], b = m[1] > m[3] ? m[1] : m[3];
    return a > b ? a : b;
}

static float nd_max(const float *x, int64_t n, float start)
{
    const int64_t whole = n & ~(int64_t)15;
    float block[16];
    nd_load_tail(block, x + whole, (int)(n - whole), start);
    return max_of(x, whole, block, start);
}

/* Adds n elements to the lanes; the partial last block adds `neutral` to the other lanes, which changes no bit of them. */
#define LANES(neutral, expr)                                          \
    do {                                                              \
        vm lane[ND_VECTORS];                                          \
        int64_t i = 0;                                                \
        memcpy(lane, acc, sizeof lane);                               \
        for (; i + 16 <= n; i += 16)                                  \
            for (int k = 0; k < ND_VECTORS; k++) {                    \
                const vm v = *(const vmu *)(x + i + k * ND_W), s = lane[k]; \
                lane[k] = (expr);                                     \
            }                                                         \
        if (i < n) {                                                  \
            float block[16];                                          \
            nd_load_tail(block, x + i, (int)(n - i), (neutral));      \
            for (int k = 0; k < ND_VECTORS; k++) {                    \
                const vm v = *(const vmu *)(block + k * ND_W), s = lane[k]; \
                lane[k] = (expr);                                     \
            }                                                         \
        }                                                             \
        memcpy(acc, lane, sizeof lane);                               \
    } while (0)

static inline void lanes_sum(const float *x, int64_t n, oct_nd_lanes *acc) { LANES(0.0f, s + v); }

static void nd_lanes(oct_reduce_fn fn, const float *x, int64_t n, oct_nd_lanes *acc)
{
    switch (fn) {
    case OCT_REDUCE_SUM:
    case OCT_REDUCE_MEAN: lanes_sum(x, n, acc); break;
    case OCT_REDUCE_PROD: LANES(1.0f, s * v); break;
    case OCT_REDUCE_MAX: LANES(-INFINITY, ND_MAX(v, s)); break;
    case OCT_REDUCE_MIN: LANES(INFINITY, ND_MIN(v, s)); break;
    case OCT_REDUCE_COUNT: break;
    }
}

static inline void lanes_square(const float *x, int64_t n, float mean, oct_nd_lanes *acc)
{
    LANES(mean, s + (v - mean) * (v - mean));
}
static void nd_lanes_square(const float *x, int64_t n, float mean, oct_nd_lanes *acc) { lanes_square(x, n, mean, acc); }

/* The end of a sum: lanes i and i + 8, then i and i + 4, ... as oct_nd_lanes_end. */
static inline float lanes_end(const oct_nd_lanes *acc)
{
    typedef float v4 __attribute__((vector_size(16)));
    v4 q[4];
    memcpy(q, acc, sizeof q);
    const v4 s = (q[0] + q[2]) + (q[1] + q[3]);
    return (s[0] + s[2]) + (s[1] + s[3]);
}

static inline void exp_minus(const float *x, float *y, int64_t n, float max) { EACH(oct_exp_inline(v - max)); }

static void nd_exp_lanes(const float *x, float *y, int64_t n, float max, oct_nd_lanes *acc)
{
    exp_minus(x, y, n, max);
    lanes_sum(y, n, acc);
}

static void softmax_row(const float *x, float *y, int64_t n)
{
    oct_nd_lanes acc = {{0}};
    const int64_t whole = n & ~(int64_t)15;
    const int tail = (int)(n - whole);
    float block[16];
    nd_load_tail(block, x + whole, tail, -INFINITY); /* e^-infinity adds nothing to the other lanes */
    float max = max_of(x, whole, block, -INFINITY);
    max = max == -INFINITY ? 0.0f : max;
    exp_minus(x, y, whole, max);
    exp_minus(block, block, 16, max);
    lanes_sum(y, whole, &acc);
    lanes_sum(block, 16, &acc);
    const float scale = 1.0f / lanes_end(&acc);
    _Pragma("GCC ivdep")
    for (int64_t i = 0; i < whole; i++)
        y[i] = y[i] * scale;
    for (int i = 0; i < 16; i++)
        block[i] = block[i] * scale;
    nd_store_tail(y + whole, block, tail);
}

#if ND_W > 4
/* `rows` rows of n floats wholly in registers: blocks = the blocks of 16 of a row, the last one partial or whole. */
static inline __attribute__((always_inline)) void softmax_short(const float *x, int64_t x_step, float *y, int64_t y_step,
                                                                int64_t n, const int rows, const int blocks)
{
    vm v[ND_EXP_MAX];
    const int per_row = blocks * ND_VECTORS;
    const int64_t whole = 16 * (blocks - 1);
    const int tail = (int)(n - whole);
    for (int r = 0; r < rows; r++) {
        float block[16];
        vm *const row = v + r * per_row;
        for (int i = 0; i < per_row - ND_VECTORS; i++)
            row[i] = *(const vmu *)(x + r * x_step + i * ND_W);
        nd_load_tail(block, x + r * x_step + whole, tail, -INFINITY);
        for (int k = 0; k < ND_VECTORS; k++)
            row[per_row - ND_VECTORS + k] = *(const vmu *)(block + k * ND_W);
    }
    for (int r = 0; r < rows; r++) {
        vm *const row = v + r * per_row, best = row[0];
        for (int i = 1; i < per_row; i++)
            best = ND_MAX(row[i], best);
        float max = nd_highest(best);
        max = max == -INFINITY ? 0.0f : max;
        for (int i = 0; i < per_row; i++)
            row[i] = row[i] - max;
    }
    exp_vectors(v, rows * per_row, 0);
    for (int r = 0; r < rows; r++) {
        vm *const row = v + r * per_row, lane[ND_VECTORS];
        for (int k = 0; k < ND_VECTORS; k++)
            lane[k] = (vm){0};
        for (int i = 0; i < per_row; i++)
            lane[i % ND_VECTORS] = lane[i % ND_VECTORS] + row[i];
        oct_nd_lanes acc;
        memcpy(&acc, lane, sizeof acc);
        const float scale = 1.0f / lanes_end(&acc);
        for (int i = 0; i < per_row; i++)
            row[i] = row[i] * scale;
    }
    for (int r = 0; r < rows; r++) {
        float block[16];
        const vm *const row = v + r * per_row;
        for (int i = 0; i < per_row - ND_VECTORS; i++)
            *(vmu *)(y + r * y_step + i * ND_W) = row[i];
        for (int k = 0; k < ND_VECTORS; k++)
            *(vmu *)(block + k * ND_W) = row[per_row - ND_VECTORS + k];
        nd_store_tail(y + r * y_step + whole, block, tail);
    }
}
#endif

static void nd_softmax(const float *x, int64_t x_step, float *y, int64_t y_step, int64_t rows, int64_t n)
{
    int64_t i = 0;
#if ND_W > 4
    const int64_t blocks = (n + 15) / 16;
    for (; blocks == 1 && i + 4 <= rows; i += 4)
        softmax_short(x + i * x_step, x_step, y + i * y_step, y_step, n, 4, 1);
    for (; blocks == 2 && i + 2 <= rows; i += 2)
        softmax_short(x + i * x_step, x_step, y + i * y_step, y_step, n, 2, 2);
    for (; blocks == 3 && i < rows; i++)
        softmax_short(x + i * x_step, x_step, y + i * y_step, y_step, n, 1, 3);
    for (; blocks == 4 && i < rows; i++)
        softmax_short(x + i * x_step, x_step, y + i * y_step, y_step, n, 1, 4);
    for (; blocks == 5 && i < rows; i++)
        softmax_short(x + i * x_step, x_step, y + i * y_step, y_step, n, 1, 5);
#endif
    for (; i < rows; i++)
        softmax_row(x + i * x_step, y + i * y_step, n);
}

static inline void normalise(const float *x, float *y, int64_t n, float mean, float inv, const float *scale, const float *bias)
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
static void nd_normalise(const float *x, float *y, int64_t n, float mean, float inv, const float *scale, const float *bias)
{
    normalise(x, y, n, mean, inv, scale, bias);
}

static void nd_layer_norm(const float *x, float *y, int64_t n, float eps, const float *scale, const float *bias)
{
    oct_nd_lanes sum = {{0}}, square = {{0}};
    lanes_sum(x, n, &sum);
    const float mean = lanes_end(&sum) / (float)n;
    lanes_square(x, n, mean, &square);
    normalise(x, y, n, mean, 1.0f / sqrtf(lanes_end(&square) / (float)n + eps), scale, bias);
}

/* One block of columns per lane: lane k % 16 of every column takes row k. */
#define FOLD(expr)                                                           \
    for (int64_t k = 0; k < count; k++) {                                    \
        const float *x = (const float *)((const char *)from + k * step);     \
        float *acc = lanes[(first + k) % OCT_ND_LANES];                      \
        _Pragma("GCC ivdep")                                                 \
        for (int64_t i = 0; i < n; i++) {                                    \
            const float v = x[i], s = acc[i];                                \
            acc[i] = (expr);                                                 \
        }                                                                    \
    }                                                                        \
    break

static inline __attribute__((always_inline)) void fold(oct_reduce_fn fn, const float *from, int64_t step, int64_t first,
                                                       int64_t count, float (*lanes)[OCT_ND_COLUMNS], const int64_t n)
{
    switch (fn) {
    case OCT_REDUCE_SUM:
    case OCT_REDUCE_MEAN: FOLD(s + v);
    case OCT_REDUCE_PROD: FOLD(s * v);
    case OCT_REDUCE_MAX: FOLD(v > s ? v : s);
    case OCT_REDUCE_MIN: FOLD(v < s ? v : s);
    case OCT_REDUCE_COUNT: break;
    }
}

static void nd_fold(oct_reduce_fn fn, const float *from, int64_t step, int64_t first, int64_t count,
                    float (*lanes)[OCT_ND_COLUMNS], int64_t n)
{
    if (n == OCT_ND_COLUMNS)
        fold(fn, from, step, first, count, lanes, OCT_ND_COLUMNS);
    else
        fold(fn, from, step, first, count, lanes, n);
}

static void nd_blend(int32_t count, const float *const *x, const float *w, float *y, int64_t n)
{
    const float *a = x[0], *b = x[count > 1 ? 1 : 0];
    if (count == 2) {
        _Pragma("GCC ivdep")
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] * w[0] + b[i] * w[1];
    } else if (count == 4) {
        const float *c = x[2], *d = x[3];
        const float wa = w[0], wb = w[1], wc = w[2], wd = w[3];
        _Pragma("GCC ivdep")
        for (int64_t i = 0; i < n; i++)
            y[i] = ((a[i] * wa + b[i] * wb) + c[i] * wc) + d[i] * wd;
    } else {
        for (int64_t i = 0; i < n; i++) {
            float v = a[i] * w[0];
            for (int32_t k = 1; k < count; k++)
                v += x[k][i] * w[k];
            y[i] = v;
        }
    }
}

#define OCT_ND_TABLE(name)                                                                                                   \
    const oct_nd_ops name = {nd_unary,   nd_binary,    nd_transpose, nd_max,  nd_lanes, nd_lanes_square, nd_exp_lanes,             \
                             nd_softmax, nd_normalise, nd_layer_norm, nd_fold, nd_blend, nd_matmul}
