/* The register tile of the AVX-512 variants of fconv, MR pixels x NV*16 columns, and the loop over tiles.
 *
 * Every column's sum is one chain of fused multiply-adds in the order of k, starting from the bias: the result does not
 * depend on the tile, nor on m, n or the variant (DESIGN 3.7). MR and NV are literals, so that every `if` folds; named
 * accumulators and one-line assembly keep GCC 12 from spilling. Tiles: MR*NV + NV + 1 <= 32 registers. */
#ifndef OCT_KERNELS_FCONV_TILE_AVX512VNNI_H
#define OCT_KERNELS_FCONV_TILE_AVX512VNNI_H

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE          static inline __attribute__((always_inline))
#define FMA(acc, x, w) __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))
#define ROWS14(X)      X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)

/* As an integer: on Zen 4 vpbroadcastd loads twice a cycle, vbroadcastss once (14x16: 97 % of peak against 71 %). */
FORCE __m512 broadcast(const char *p)
{
    int32_t bits;
    memcpy(&bits, p, sizeof bits);
    return _mm512_castsi512_ps(_mm512_set1_epi32(bits));
}

typedef void tile_fn(const oct_fconv_args *g, const char *a, char *c, const char *res);

/* The first n - 16*v of 16 columns. */
FORCE __mmask16 columns_of(int32_t n, int v)
{
    const int32_t left = n - 16 * v;
    return left >= 16 ? 0xffff : left <= 0 ? 0 : (__mmask16)((1 << left) - 1);
}

/* 16 columns of one pixel. The operands of max and min stand so that NaN passes. */
FORCE void finish(__m512 acc, __mmask16 columns, bool residual, char *c, const char *res, __m512 lo, __m512 hi)
{
    if (residual) /* a masked load alone would not do: with a bad address it is slow even when all lanes are off */
        acc = _mm512_add_ps(acc, _mm512_maskz_loadu_ps(columns, res));
    _mm512_mask_storeu_ps(c, columns, _mm512_min_ps(hi, _mm512_max_ps(lo, acc)));
}

FORCE void tile(const int MR, const int NV, const oct_fconv_args *g, const char *a, char *c, const char *res)
{
    const ptrdiff_t px = g->px;
    const __m512 *w = g->w;
    __m512 b0 = w[0], b1 = NV > 1 ? w[1] : b0, b2 = NV > 2 ? w[2] : b0, b3 = NV > 3 ? w[3] : b0;
#define INIT(i) __m512 c##i##_0 = b0, c##i##_1 = b1, c##i##_2 = b2, c##i##_3 = b3;
    ROWS14(INIT)
#undef INIT
    w += NV;
    for (int32_t tap = 0; tap < g->tap_count; tap++) {
        /* Five addresses reach 14 rows: x, x + px, x + 2*px of each. */
        const char *x0 = a + g->taps[tap], *x3 = x0 + 3 * px, *x6 = x3 + 3 * px, *x9 = x6 + 3 * px, *x12 = x9 + 3 * px;
        for (int32_t k = g->kc; k > 0; k--) {
            __m512 w0 = w[0], w1 = NV > 1 ? w[1] : w0, w2 = NV > 2 ? w[2] : w0, w3 = NV > 3 ? w[3] : w0;
#define STEP(i)                                                                                                                    \
    if (MR > i) {                                                                                                                  \
        const char *x = (i < 3 ? x0 : i < 6 ? x3 : i < 9 ? x6 : i < 12 ? x9 : x12) + i % 3 * px;                                   \
        __m512 b = broadcast(x);                                                                                                   \
        FMA(c##i##_0, b, w0);                                                                                                      \
        if (NV > 1)                                                                                                                \
            FMA(c##i##_1, b, w1);                                                                                                  \
        if (NV > 2)                                                                                                                \
            FMA(c##i##_2, b, w2);                                                                                                  \
        if (NV > 3)                                                                                                                \
            FMA(c##i##_3, b, w3);                                                                                                  \
    }
            ROWS14(STEP)
#undef STEP
            w += NV;
            x0 += 4, x3 += 4, x6 += 4, x9 += 4, x12 += 4;
        }
    }
    const __m512 lo = _mm512_set1_ps(g->lo), hi = _mm512_set1_ps(g->hi);
    const __mmask16 m0 = columns_of(g->n, 0), m1 = columns_of(g->n, 1), m2 = columns_of(g->n, 2), m3 = columns_of(g->n, 3);
    const bool residual = g->res != NULL;
#define END(i)                                                                                                                     \
    if (MR > i) {                                                                                                                  \
        char *ci = c + i * g->ldc;                                                                                                 \
        const char *ri = res + i * g->ldr;                                                                                         \
        finish(c##i##_0, m0, residual, ci, ri, lo, hi);                                                                            \
        if (NV > 1)                                                                                                                \
            finish(c##i##_1, m1, residual, ci + 64, ri + 64, lo, hi);                                                              \
        if (NV > 2)                                                                                                                \
            finish(c##i##_2, m2, residual, ci + 128, ri + 128, lo, hi);                                                            \
        if (NV > 3)                                                                                                                \
            finish(c##i##_3, m3, residual, ci + 192, ri + 192, lo, hi);                                                            \
    }
    ROWS14(END)
#undef END
}

/* Cuts m evenly into tiles of at most mr rows; tiles[rows - 1]. */
FORCE void run(const oct_fconv_args *g, const int32_t mr, tile_fn *const *tiles)
{
    const int64_t count = (g->m + mr - 1) / mr, rows = g->m / count, longer = g->m % count;
    const char *a = (const char *)g->a, *res = (const char *)g->res;
    char *c = (char *)g->c;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = rows + (i < longer);
        tiles[n - 1](g, a, c, res);
        a += n * g->px;
        c += n * g->ldc;
        res += n * g->ldr;
    }
}

#define TILE_FN(mr, nv)                                                                                                            \
    static void tile_##mr(const oct_fconv_args *g, const char *a, char *c, const char *res)                                        \
    {                                                                                                                              \
        tile(mr, nv, g, a, c, res);                                                                                                \
    }

#endif
