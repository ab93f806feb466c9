/* fconv for AVX2: 6 pixels x 16 columns, 12 sums in registers. Every sum is one chain of fused multiply-adds in the order of k,
 * starting from the bias: the same bits as the AVX-512 variants, whatever m and n. */
#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE    static inline __attribute__((always_inline))
#define ROWS6(X) X(0) X(1) X(2) X(3) X(4) X(5)

enum { MR = 6, NR = 16 };

/* 8 columns, the first n of which count. The operands of max and min stand so that NaN passes. */
FORCE void finish(__m256 v, int32_t n, const char *res, char *c, __m256 lo, __m256 hi)
{
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    if (n <= 0)
        return;
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(masks + 8 - (n < 8 ? n : 8)));
    if (res)
        v = _mm256_add_ps(v, _mm256_maskload_ps((const float *)res, mask));
    v = _mm256_min_ps(hi, _mm256_max_ps(lo, v));
    if (n >= 8)
        _mm256_storeu_ps((float *)c, v);
    else
        _mm256_maskstore_ps((float *)c, mask, v);
}

FORCE void tile(const int ROWS, const oct_fconv_args *g, int64_t first)
{
    const __m256 *w = g->w;
    const ptrdiff_t px = g->px;
    const char *a = (const char *)g->a + first * px;
#define INIT(i) __m256 c##i##_0 = w[0], c##i##_1 = w[1];
    ROWS6(INIT)
#undef INIT
    w += 2;
    for (int32_t t = 0; t < g->tap_count; t++) {
        const char *x0 = a + g->taps[t], *x3 = x0 + 3 * px;
        for (int32_t k = g->kc; k > 0; k--, w += 2, x0 += 4, x3 += 4) {
            const __m256 w0 = w[0], w1 = w[1];
#define STEP(i)                                                                                                                    \
    if (ROWS > i) {                                                                                                                \
        const __m256 x = _mm256_broadcast_ss((const float *)((i < 3 ? x0 : x3) + i % 3 * px));                                     \
        c##i##_0 = _mm256_fmadd_ps(x, w0, c##i##_0);                                                                               \
        c##i##_1 = _mm256_fmadd_ps(x, w1, c##i##_1);                                                                               \
    }
            ROWS6(STEP)
#undef STEP
        }
    }
    const __m256 lo = _mm256_set1_ps(g->lo), hi = _mm256_set1_ps(g->hi);
    char *c = (char *)g->c + first * g->ldc;
    const char *res = g->res ? (const char *)g->res + first * g->ldr : NULL;
#define END(i)                                                                                                                     \
    if (ROWS > i) {                                                                                                                \
        const char *r = res ? res + i * g->ldr : NULL;                                                                             \
        finish(c##i##_0, g->n, r, c + i * g->ldc, lo, hi);                                                                         \
        finish(c##i##_1, g->n - 8, r ? r + 32 : NULL, c + i * g->ldc + 32, lo, hi);                                                \
    }
    ROWS6(END)
#undef END
}

void oct_fconv_6x16_avx2(const oct_fconv_args *g)
{
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(6, g, i);
    if (i + 4 <= g->m) {
        tile(4, g, i);
        i += 4;
    }
    if (i + 2 <= g->m) {
        tile(2, g, i);
        i += 2;
    }
    if (i < g->m)
        tile(1, g, i);
}
