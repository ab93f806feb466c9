/* fdw for AVX-512: 16 or 32 channels and up to 4 pixels together, one chain of fused multiply-adds for each output in the order of
 * the taps, so that the result depends on neither. DESIGN 3.7. */
#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE      static inline __attribute__((always_inline))
#define PIXELS4(X) X(0) X(1) X(2) X(3)

/* Pixels [i, i + N), channels [first, first + 16*NV), masked by `columns` when NV is 1. */
FORCE void pixels(const oct_fdw_args *g, const int N, const int NV, int64_t i, int32_t first, __mmask16 columns)
{
    const ptrdiff_t px = g->px, at = i * px + 4 * (ptrdiff_t)first;
    const float *w = (const float *)g->w + first;
    __m512 b0 = _mm512_maskz_loadu_ps(columns, w), b1 = NV > 1 ? _mm512_loadu_ps(w + 16) : b0;
#define INIT(p) __m512 a##p = b0, b##p##_1 = b1;
    PIXELS4(INIT)
#undef INIT
    for (int32_t ky = 0; ky < g->kh; ky++) {
        const char *x = (const char *)g->rows[ky] + at;
        for (int32_t kx = 0; kx < g->kw; kx++, x += g->kx_step) {
            w += g->c;
            __m512 w0 = _mm512_maskz_loadu_ps(columns, w), w1 = NV > 1 ? _mm512_loadu_ps(w + 16) : w0;
#define STEP(p)                                                                                                                    \
    if (N > p) {                                                                                                                   \
        a##p = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(columns, x + p * px), w0, a##p);                                              \
        if (NV > 1)                                                                                                                \
            b##p##_1 = _mm512_fmadd_ps(_mm512_loadu_ps(x + p * px + 64), w1, b##p##_1);                                            \
    }
            PIXELS4(STEP)
#undef STEP
        }
    }
    const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
    char *out = (char *)g->out + i * g->ldc + 4 * (ptrdiff_t)first;
    const char *res = (const char *)g->res + i * g->ldr + 4 * (ptrdiff_t)first;
    /* The operands of max and min stand so that NaN passes. */
#define END(p)                                                                                                                     \
    if (N > p) {                                                                                                                   \
        if (g->res) {                                                                                                              \
            a##p = _mm512_add_ps(a##p, _mm512_maskz_loadu_ps(columns, res + p * g->ldr));                                          \
            if (NV > 1)                                                                                                            \
                b##p##_1 = _mm512_add_ps(b##p##_1, _mm512_loadu_ps(res + p * g->ldr + 64));                                        \
        }                                                                                                                          \
        _mm512_mask_storeu_ps(out + p * g->ldc, columns, _mm512_min_ps(hi, _mm512_max_ps(lo, a##p)));                              \
        if (NV > 1)                                                                                                                \
            _mm512_storeu_ps(out + p * g->ldc + 64, _mm512_min_ps(hi, _mm512_max_ps(lo, b##p##_1)));                               \
    }
    PIXELS4(END)
#undef END
}

FORCE void block(const oct_fdw_args *g, const int NV, int32_t first, __mmask16 columns)
{
    int64_t i = 0;
    for (; i + 4 <= g->m; i += 4)
        pixels(g, 4, NV, i, first, columns);
    for (; i < g->m; i++)
        pixels(g, 1, NV, i, first, columns);
}

void oct_fdw_avx512vnni(const oct_fdw_args *g)
{
    int32_t first = 0;
    for (; first + 32 <= g->c; first += 32)
        block(g, 2, first, 0xffff);
    if (first + 16 <= g->c) {
        block(g, 1, first, 0xffff);
        first += 16;
    }
    if (first < g->c)
        block(g, 1, first, (__mmask16)((1 << (g->c - first)) - 1));
}
