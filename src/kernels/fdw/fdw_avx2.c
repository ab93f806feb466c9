/* fdw for AVX2: 16 or 8 channels and up to 4 pixels together, one chain of fused multiply-adds for each output in the order of the
 * taps: the same bits as the AVX-512 variant. DESIGN 3.7. */
#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE      static inline __attribute__((always_inline))
#define PIXELS4(X) X(0) X(1) X(2) X(3)

/* 8 floats, those of the mask when not full. */
FORCE __m256 load(const void *x, const bool full, __m256i mask) { return full ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, mask); }

/* Pixels [i, i + N), channels [first, first + 8*NV); NV is 1 when not full. */
FORCE void pixels(const oct_fdw_args *g, const int N, const int NV, int64_t i, int32_t first, const bool full, __m256i mask)
{
    const ptrdiff_t px = g->px, at = i * px + 4 * (ptrdiff_t)first;
    const float *w = (const float *)g->w + first;
    const __m256 b0 = load(w, full, mask), b1 = NV > 1 ? _mm256_loadu_ps(w + 8) : b0;
#define INIT(p) __m256 a##p = b0, b##p##_1 = b1;
    PIXELS4(INIT)
#undef INIT
    for (int32_t ky = 0; ky < g->kh; ky++) {
        const char *x = (const char *)g->rows[ky] + at;
        for (int32_t kx = 0; kx < g->kw; kx++, x += g->kx_step) {
            w += g->c;
            const __m256 w0 = load(w, full, mask), w1 = NV > 1 ? _mm256_loadu_ps(w + 8) : w0;
#define STEP(p)                                                                                                                    \
    if (N > p) {                                                                                                                   \
        a##p = _mm256_fmadd_ps(load(x + p * px, full, mask), w0, a##p);                                                            \
        if (NV > 1)                                                                                                                \
            b##p##_1 = _mm256_fmadd_ps(_mm256_loadu_ps((const float *)(x + p * px + 32)), w1, b##p##_1);                           \
    }
            PIXELS4(STEP)
#undef STEP
        }
    }
    const __m256 lo = _mm256_set1_ps(g->lo), hi = _mm256_set1_ps(g->hi);
    char *out = (char *)g->out + i * g->ldc + 4 * (ptrdiff_t)first;
    const char *res = (const char *)g->res + i * g->ldr + 4 * (ptrdiff_t)first;
    /* The operands of max and min stand so that NaN passes. */
#define STORE(v, offset, p)                                                                                                        \
    do {                                                                                                                           \
        __m256 y = (v);                                                                                                            \
        if (g->res)                                                                                                                \
            y = _mm256_add_ps(y, load(res + p * g->ldr + (offset), full, mask));                                                   \
        y = _mm256_min_ps(hi, _mm256_max_ps(lo, y));                                                                               \
        float *to = (float *)(out + p * g->ldc + (offset));                                                                        \
        if (full)                                                                                                                  \
            _mm256_storeu_ps(to, y);                                                                                               \
        else                                                                                                                       \
            _mm256_maskstore_ps(to, mask, y);                                                                                      \
    } while (0)
#define END(p)                                                                                                                     \
    if (N > p) {                                                                                                                   \
        STORE(a##p, 0, p);                                                                                                         \
        if (NV > 1)                                                                                                                \
            STORE(b##p##_1, 32, p);                                                                                                \
    }
    PIXELS4(END)
#undef END
#undef STORE
}

FORCE void block(const oct_fdw_args *g, const int NV, int32_t first, const bool full, __m256i mask)
{
    int64_t i = 0;
    for (; i + 4 <= g->m; i += 4)
        pixels(g, 4, NV, i, first, full, mask);
    for (; i < g->m; i++)
        pixels(g, 1, NV, i, first, full, mask);
}

void oct_fdw_avx2(const oct_fdw_args *g)
{
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i none = _mm256_setzero_si256();
    int32_t first = 0;
    for (; first + 16 <= g->c; first += 16)
        block(g, 2, first, true, none);
    if (first + 8 <= g->c) {
        block(g, 1, first, true, none);
        first += 8;
    }
    if (first < g->c)
        block(g, 1, first, false, _mm256_loadu_si256((const __m256i *)(masks + 8 - (g->c - first))));
}
