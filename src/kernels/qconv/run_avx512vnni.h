/* From a call of the qconv contract to register tiles: cuts m evenly, picks the way to finish, runs the rare epilogues.
 *
 * A variant's file includes this, states TILE_FN(mr, nv) for all row counts and calls run. DESIGN 3.5. */
#ifndef OCT_KERNELS_QCONV_RUN_AVX512VNNI_H
#define OCT_KERNELS_QCONV_RUN_AVX512VNNI_H

#include "kernels/epilogue.h"
#include "kernels/qconv/tile_avx512vnni.h"
#include "kernels/rows.h"

typedef void tile_fn(const tile_call *t, const uint8_t *a, uint8_t *c, const uint8_t *res, __m512i *spill);
/* Of one number of pixels. */
typedef struct tile_pair {
    tile_fn *other, *floats;
} tile_pair;

/* The fast finish converts to s32 before it clamps. It is exact when nothing can leave s32 on the way: |(float)acc| <= 2^31, so
 * scales below 1 suffice, and with a residual scales below 1/2 and |res_scale| below 2^20 (|res - res_zp| <= 255). */
FORCE int tile_kind(const oct_qepilogue *e, const float *scale, const int NV)
{
    if (e->kind == OCT_EPI_F32)
        return TILE_F32;
    if (e->kind != OCT_EPI_U8 && e->kind != OCT_EPI_U8_RES)
        return TILE_SPILL;
    const __m512 limit = _mm512_set1_ps(e->kind == OCT_EPI_U8 ? 1.0f : 0.5f);
    __mmask16 large = 0;
    for (int v = 0; v < NV; v++)
        large |= _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_load_ps(scale + 16 * v)), limit, _CMP_NLT_UQ);
    if (large || (e->kind == OCT_EPI_U8_RES && !(e->res_scale < 0x1p20f && e->res_scale > -0x1p20f)))
        return TILE_SPILL;
    return e->kind == OCT_EPI_U8 ? TILE_U8 : TILE_U8_RES;
}

/* Clamps like num.h (NaN gives lo), rounds, adds zp. */
FORCE __m512i requantize16(__m512 v, int32_t zp, int32_t lo, int32_t hi)
{
    v = _mm512_max_ps(v, _mm512_set1_ps((float)(lo - zp)));
    v = _mm512_min_ps(v, _mm512_set1_ps((float)(hi - zp)));
    return _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zp));
}

/* Any epilogue but floats for 16 sums of one row. */
static inline void finish16(const oct_qepilogue *e, __m512i acc, __m512 scale, __m512 fbias, __mmask16 columns, uint8_t *c,
                            const uint8_t *res)
{
    if (e->kind == OCT_EPI_S32) {
        _mm512_mask_storeu_epi32(c, columns, acc);
        return;
    }
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
    if (e->kind == OCT_EPI_U8_FBIAS)
        v = _mm512_add_ps(v, fbias);
    if (e->kind == OCT_EPI_U8_RES_INNER) {
        __m512i q = requantize16(v, e->inner_zp, e->inner_lo, e->inner_hi);
        v = _mm512_cvtepi32_ps(_mm512_sub_epi32(q, _mm512_set1_epi32(e->inner_zp)));
        v = _mm512_mul_ps(v, _mm512_set1_ps(e->inner_scale));
    }
    if (e->kind == OCT_EPI_U8_RES || e->kind == OCT_EPI_U8_RES_INNER) {
        __m512i r = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(columns, res));
        r = _mm512_sub_epi32(r, _mm512_set1_epi32(e->res_zp));
        v = _mm512_add_ps(v, _mm512_mul_ps(_mm512_cvtepi32_ps(r), _mm512_set1_ps(e->res_scale)));
    }
    _mm_mask_storeu_epi8(c, columns, _mm512_cvtepi32_epi8(requantize16(v, e->zp, e->lo, e->hi)));
}

static inline void finish_spilled(const int NV, const tile_call *t, const __m512i *spill, int32_t rows, uint8_t *c,
                                  const uint8_t *res)
{
    const oct_qconv_args *g = t->g;
    const int size = g->e->kind == OCT_EPI_S32 ? 4 : 1;
    for (int32_t i = 0; i < rows; i++)
        for (int v = 0; v < NV; v++) {
            const __mmask16 columns = (__mmask16)(t->columns >> (16 * v));
            const float *scale = t->scale + 16 * v;
            if (columns)
                finish16(g->e, spill[i * NV + v], _mm512_load_ps(scale), _mm512_load_ps(scale + 16 * NV), columns,
                         c + i * g->ldc + size * 16 * v, res + i * g->ldr + 16 * v);
        }
}

/* The part of a call that finishes sums: what all panels share, and for one of them n columns whose scales, and float biases behind them, stand at scale. */
FORCE tile_call tile_finish(const oct_qepilogue *e)
{
    return (tile_call){
        .order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        .zp = _mm512_set1_epi16((int16_t)e->zp),
        .lo = _mm512_set1_epi8((char)e->lo),
        .hi = _mm512_set1_epi8((char)e->hi),
        .res_zp = _mm512_set1_epi32(e->res_zp),
        .res_scale = _mm512_set1_ps(e->res_scale),
        .flo = _mm512_set1_ps(e->flo),
        .fhi = _mm512_set1_ps(e->fhi),
    };
}
FORCE void tile_finish_panel(tile_call *t, const oct_qepilogue *e, int32_t n, const float *scale, const int NV)
{
    t->kind = tile_kind(e, scale, NV);
    t->scale = scale;
    t->columns = ~(__mmask64)0 >> (n < 64 ? 64 - n : 0);
}

/* One panel of all rows: `longer` tiles of least + 1 pixels, then of least, `count` in all; tiles[pixels - 1] for each. */
FORCE void run_panel(const tile_call *t, const int NV, uint8_t *c, const uint8_t *res, int64_t count, int64_t least, int64_t longer,
                     const tile_pair *tiles, __m512i *spill)
{
    const oct_qconv_args *g = t->g;
    for (int32_t r = 0; r < g->rows; r++) {
        const uint8_t *a = g->a + r * g->row_px, *res_at = res + r * g->row_ldr;
        uint8_t *c_at = c + r * g->row_ldc;
        for (int64_t i = 0; i < count; i++) {
            const int64_t n = least + (i < longer);
            (t->kind == TILE_F32 ? tiles[n - 1].floats : tiles[n - 1].other)(t, a, c_at, res_at, spill);
            if (t->kind == TILE_SPILL)
                finish_spilled(NV, t, spill, (int32_t)n, c_at, res_at);
            a += n * g->px;
            c_at += n * g->ldc;
            res_at += n * g->ldr;
        }
    }
}

/* All panels; tiles for 1 .. mr pixels. */
FORCE void run(const oct_qconv_args *g, const int NV, const int32_t mr, const tile_pair *tiles)
{
    enum { NR = 16 };
    const int64_t k4 = ((int64_t)g->kc + 3) / 4, count = (g->m + mr - 1) / mr, least = g->m / count, longer = g->m % count;
    const int32_t size = oct_epilogue_size(g->e);
    __m512i spill[14 * 4];
    tile_call t = tile_finish(g->e);
    t.g = g;
    t.k4 = k4;
    for (int32_t first = 0; first < g->n; first += NR * NV) {
        t.w = (const __m512i *)(const void *)((const uint8_t *)g->w + first / (NR * NV) * g->panel_bytes) + NV;
        tile_finish_panel(&t, g->e, g->n - first < NR * NV ? g->n - first : NR * NV, (const float *)(t.w + g->tap_count * k4 * NV), NV);
        run_panel(&t, NV, (uint8_t *)g->c + (ptrdiff_t)first * size, g->res ? g->res + first : NULL, count, least, longer, tiles, spill);
    }
}

#define TILE_FN(mr, nv)                                                                                                            \
    static void tile_##mr(const tile_call *t, const uint8_t *a, uint8_t *c, const uint8_t *res, __m512i *spill)                    \
    {                                                                                                                              \
        tile(mr, nv, false, t, a, c, res, spill);                                                                                  \
    }                                                                                                                              \
    static void floats_##mr(const tile_call *t, const uint8_t *a, uint8_t *c, const uint8_t *res, __m512i *spill)                  \
    {                                                                                                                              \
        tile(mr, nv, true, t, a, c, res, spill);                                                                                   \
    }
#define TILE_ROW(mr) {tile_##mr, floats_##mr}

#endif
