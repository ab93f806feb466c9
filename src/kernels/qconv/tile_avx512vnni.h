/* The register tile of the AVX-512 VNNI variants of qconv: MR pixels x NV*16 columns, with four ways to finish it.
 *
 * One always-inlined body; MR and NV are literals at each use, so that every `if` below folds. The accumulators are
 * named c<row>_<vector> because GCC 12 keeps arrays of registers in memory; the dot product is one line of assembly because
 * its intrinsic makes GCC 12 spill from about 14 accumulators on. Tiles: MR*NV + NV + 1 <= 32 registers. */
#ifndef OCT_KERNELS_QCONV_TILE_AVX512VNNI_H
#define OCT_KERNELS_QCONV_TILE_AVX512VNNI_H

#include <immintrin.h>
#include <string.h>
#include "kernels/kernel.h"

/* How a tile ends: the three common epilogues in registers, all others through a buffer of s32. */
enum { TILE_U8, TILE_U8_RES, TILE_F32, TILE_SPILL };

/* What all tiles of a call share. Vectors in memory, because the tile needs the registers. */
typedef struct tile_call {
    const oct_qconv_args *g;
    const __m512i *w; /* behind the bias */
    int64_t k4;         /* dwords of a run */
    int kind;           /* what follows is for the finish, see tile_finish() */
    const float *scale;
    __mmask64 columns;  /* of n */
    __m512i order;      /* undoes the lanes of the packs */
    __m512i zp, lo, hi; /* 16-bit, 8-bit, 8-bit */
    __m512i res_zp;
    __m512 res_scale, flo, fhi;
} tile_call;

#define FORCE          static inline __attribute__((always_inline))
#define DOT(acc, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))

#define ROWS14(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)

FORCE __m512i broadcast(const uint8_t *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}

/* fl(fl(acc) * scale), and with a residual + fl((res - res_zp) * res_scale), rounded to integers. */
FORCE __m512i round_u8(__m512i acc, const float *scale)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_load_ps(scale)));
}
FORCE __m512i round_res(__m512i acc, const float *scale, __m128i res, const tile_call *t)
{
    __m512i r = _mm512_sub_epi32(_mm512_cvtepu8_epi32(res), t->res_zp);
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_load_ps(scale));
    return _mm512_cvtps_epi32(_mm512_add_ps(v, _mm512_mul_ps(_mm512_cvtepi32_ps(r), t->res_scale)));
}

/* Four vectors of rounded s32 -> 64 codes, in the order v0 v1 v2 v3. The saturations on the way are the clamp itself:
 * s32 -> s16, + zp in s16, s16 -> u8, then the limits. */
FORCE __m512i pack_codes(__m512i v0, __m512i v1, __m512i v2, __m512i v3, const tile_call *t)
{
    __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v0, v1), t->zp);
    __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(v2, v3), t->zp);
    __m512i q = _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(a, b), t->lo), t->hi);
    return _mm512_permutexvar_epi32(t->order, q);
}

/* Rounded vector v of a row whose accumulator is acc. */
FORCE __m512i finish(const int KIND, __m512i acc, int v, const tile_call *t, const uint8_t *res)
{
    if (KIND == TILE_U8)
        return round_u8(acc, t->scale + 16 * v);
    return round_res(acc, t->scale + 16 * v, _mm_maskz_loadu_epi8((__mmask16)(t->columns >> (16 * v)), res + 16 * v), t);
}

/* 16 floats: scaled, + fbias, clamped with operands so that NaN passes. */
FORCE void store_floats(__m512i acc, const float *scale, const float *fbias, float *y, __mmask16 columns, const tile_call *t)
{
    const __m512 v = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_load_ps(scale)), _mm512_load_ps(fbias));
    _mm512_mask_storeu_ps(y, columns, _mm512_min_ps(t->fhi, _mm512_max_ps(t->flo, v)));
}

/* Pixels [0, MR) from a, c, res on. With TILE_SPILL the sums go to spill[MR][NV*16]. FLOATS: the kind is TILE_F32, else it is another. In one function
 * the constants of the float ending would drive the sums into memory before all endings (GCC 12), a tenth of the time of short sums. */
FORCE void tile(const int MR, const int NV, const bool FLOATS, const tile_call *t, const uint8_t *a, uint8_t *c, const uint8_t *res, __m512i *spill)
{
    const oct_qconv_args *g = t->g;
    const ptrdiff_t px = g->px;
    const __m512i *w = t->w;
    const __m512i *bias = w - NV;
    __m512i b0 = bias[0], b1 = NV > 1 ? bias[1] : b0, b2 = NV > 2 ? bias[2] : b0, b3 = NV > 3 ? bias[3] : b0;
#define INIT(i) __m512i c##i##_0 = b0, c##i##_1 = b1, c##i##_2 = b2, c##i##_3 = b3;
    ROWS14(INIT)
#undef INIT
    for (int32_t tap = 0; tap < g->tap_count; tap++) {
        /* Five addresses reach 14 rows: x, x + px, x + 2*px of each. */
        const uint8_t *x0 = a + g->taps[tap], *x3 = x0 + 3 * px, *x6 = x3 + 3 * px, *x9 = x6 + 3 * px, *x12 = x9 + 3 * px;
        for (int64_t k = t->k4; k > 0; k--) {
            __m512i w0 = w[0], w1 = NV > 1 ? w[1] : w0, w2 = NV > 2 ? w[2] : w0, w3 = NV > 3 ? w[3] : w0;
#define STEP(i)                                                                                                                    \
    if (MR > i) {                                                                                                                  \
        const uint8_t *x = (i < 3 ? x0 : i < 6 ? x3 : i < 9 ? x6 : i < 12 ? x9 : x12) + i % 3 * px;                                \
        __m512i b = broadcast(x);                                                                                                  \
        DOT(c##i##_0, b, w0);                                                                                                      \
        if (NV > 1)                                                                                                                \
            DOT(c##i##_1, b, w1);                                                                                                  \
        if (NV > 2)                                                                                                                \
            DOT(c##i##_2, b, w2);                                                                                                  \
        if (NV > 3)                                                                                                                \
            DOT(c##i##_3, b, w3);                                                                                                  \
    }
            ROWS14(STEP)
#undef STEP
            w += NV;
            x0 += 4, x3 += 4, x6 += 4, x9 += 4, x12 += 4;
        }
    }

    const ptrdiff_t ldc = g->ldc, ldr = g->ldr;
    const __mmask64 columns = t->columns;
    if (FLOATS) {
#define FLOAT16(i, v)                                                                                                              \
    if (NV > v)                                                                                                                    \
        store_floats(c##i##_##v, t->scale + 16 * v, t->scale + 16 * (NV + v), (float *)(c + i * ldc) + 16 * v,                     \
                     (__mmask16)(columns >> (16 * v)), t);
#define STORE(i)                                                                                                                   \
    if (MR > i) {                                                                                                                  \
        FLOAT16(i, 0) FLOAT16(i, 1) FLOAT16(i, 2) FLOAT16(i, 3)                                                                    \
    }
        ROWS14(STORE)
#undef STORE
#undef FLOAT16
        return;
    }
    if (t->kind == TILE_SPILL) {
#define STORE(i)                                                                                                                   \
    if (MR > i) {                                                                                                                  \
        spill[i * NV] = c##i##_0;                                                                                                  \
        if (NV > 1)                                                                                                                \
            spill[i * NV + 1] = c##i##_1;                                                                                          \
        if (NV > 2)                                                                                                                \
            spill[i * NV + 2] = c##i##_2;                                                                                          \
        if (NV > 3)                                                                                                                \
            spill[i * NV + 3] = c##i##_3;                                                                                          \
    }
        ROWS14(STORE)
#undef STORE
        return;
    }
#define FINISH(i, v) finish(KIND, c##i##_##v, v, t, res + i * ldr)
/* One row of 48 or 64 columns, two rows of 32, four rows of 16: each fills the 64 codes of a pack. */
#define ROW64(i)                                                                                                                   \
    if (MR > i) {                                                                                                                  \
        __m512i v2 = FINISH(i, 2);                                                                                                 \
        __m512i q = pack_codes(FINISH(i, 0), FINISH(i, 1), v2, NV == 4 ? FINISH(i, 3) : v2, t);                                    \
        _mm512_mask_storeu_epi8(c + i * ldc, columns, q);                                                                          \
    }
#define ROW32(i, j)                                                                                                                \
    if (MR > i) {                                                                                                                  \
        __m512i u = FINISH(i, 0), v = FINISH(i, 1);                                                                                \
        __m512i q = MR > j ? pack_codes(u, v, FINISH(j, 0), FINISH(j, 1), t) : pack_codes(u, v, u, v, t);                          \
        _mm256_mask_storeu_epi8(c + i * ldc, (__mmask32)columns, _mm512_castsi512_si256(q));                                       \
        if (MR > j)                                                                                                                \
            _mm256_mask_storeu_epi8(c + j * ldc, (__mmask32)columns, _mm512_extracti64x4_epi64(q, 1));                             \
    }
#define STORE16(i, lane)                                                                                                           \
    if (MR > i)                                                                                                                    \
        _mm_mask_storeu_epi8(c + i * ldc, (__mmask16)columns, _mm512_extracti32x4_epi32(q, lane));
#define ROW16(i, j, k, l)                                                                                                          \
    if (MR > i) {                                                                                                                  \
        __m512i v = FINISH(i, 0), vj = MR > j ? FINISH(j, 0) : v, vk = MR > k ? FINISH(k, 0) : v;                                  \
        __m512i q = pack_codes(v, vj, vk, MR > l ? FINISH(l, 0) : v, t);                                                           \
        STORE16(i, 0) STORE16(j, 1) STORE16(k, 2) STORE16(l, 3)                                                                    \
    }
#define ROWS_OF_PACK                                                                                                               \
    if (NV >= 3) {                                                                                                                 \
        ROWS14(ROW64)                                                                                                              \
    } else if (NV == 2) {                                                                                                          \
        ROW32(0, 1) ROW32(2, 3) ROW32(4, 5) ROW32(6, 7) ROW32(8, 9) ROW32(10, 11) ROW32(12, 13)                                    \
    } else {                                                                                                                       \
        ROW16(0, 1, 2, 3) ROW16(4, 5, 6, 7) ROW16(8, 9, 10, 11) if (MR > 12)                                                       \
        {                                                                                                                          \
            __m512i v = FINISH(12, 0), q = pack_codes(v, MR > 13 ? FINISH(13, 0) : v, v, v, t);                                    \
            STORE16(12, 0) STORE16(13, 1)                                                                                          \
        }                                                                                                                          \
    }
    if (t->kind == TILE_U8) {
        enum { KIND = TILE_U8 };
        ROWS_OF_PACK
    } else {
        enum { KIND = TILE_U8_RES };
        ROWS_OF_PACK
    }
#undef ROWS_OF_PACK
#undef ROW16
#undef STORE16
#undef ROW32
#undef ROW64
#undef FINISH
}

#endif
