/* Winograd convolution u8 x s8 for AVX-512 VNNI: 14 tiles x 32 columns of one point in registers, pairs of 16 bits by vpdpwssd.
 *
 * A call transforms its whole input once. Then for each panel and block of tiles the sums of all 36 points go to a scratch that stays in
 * the second cache, and from there through the output transform to codes. */
#include "kernels/epilogue.h"
#include "kernels/qconv/run_avx512vnni.h"
#include "kernels/qwino/transform.h"
#include "kernels/rows.h"

#define NV                  2
#define AHEAD               64 /* vectors of weights that are fetched before their use */
#define DOT16(acc, x, w)    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))
#define TIMES4_16(a)        _mm512_slli_epi16(a, 2)
#define TIMES4_32(a)        _mm512_slli_epi32(a, 2)
#define INPUT(d, y)         QWINO_INPUT(__m512i, _mm512_add_epi16, _mm512_sub_epi16, TIMES4_16, d, y)
#define OUTPUT(m, y)        QWINO_OUTPUT(__m512i, _mm512_add_epi32, _mm512_sub_epi32, TIMES4_32, m, y)

#define VEC                 __m512i
#define LANES               32
#define WIDEN(p)            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define STORE(p, v)         _mm512_storeu_si512(p, v)
#include "kernels/qwino/input.h"
#undef STORE

/* Sums of one point: mr tiles x 32 columns over c2 pairs of channels. */
FORCE void products(const int MR, const int16_t *v, int32_t c, const __m512i *w, __m512i *m)
{
    const ptrdiff_t px = 2 * (ptrdiff_t)c;
    const uint8_t *x0 = (const uint8_t *)v, *x3 = x0 + 3 * px, *x6 = x3 + 3 * px, *x9 = x6 + 3 * px, *x12 = x9 + 3 * px;
#define INIT(i) __m512i c##i##_0 = _mm512_setzero_si512(), c##i##_1 = c##i##_0;
    ROWS14(INIT)
#undef INIT
    for (int32_t k = c / 2; k > 0; k--) {
        const __m512i w0 = w[0], w1 = w[1];
        _mm_prefetch((const char *)(w + AHEAD), _MM_HINT_T0);
        _mm_prefetch((const char *)(w + AHEAD + 1), _MM_HINT_T0);
#define STEP(i)                                                                                                                    \
    if (MR > i) {                                                                                                                  \
        const __m512i b = broadcast((i < 3 ? x0 : i < 6 ? x3 : i < 9 ? x6 : i < 12 ? x9 : x12) + i % 3 * px);                      \
        DOT16(c##i##_0, b, w0);                                                                                                    \
        DOT16(c##i##_1, b, w1);                                                                                                    \
    }
        ROWS14(STEP)
#undef STEP
        w += NV;
        x0 += 4, x3 += 4, x6 += 4, x9 += 4, x12 += 4;
    }
#define STORE(i)                                                                                                                   \
    if (MR > i)                                                                                                                    \
        m[i * NV] = c##i##_0, m[i * NV + 1] = c##i##_1;
    ROWS14(STORE)
#undef STORE
}

typedef void products_fn(const int16_t *v, int32_t c, const __m512i *w, __m512i *m);
#define PRODUCTS_FN(mr)                                                                                                            \
    static void products_##mr(const int16_t *v, int32_t c, const __m512i *w, __m512i *m) { products(mr, v, c, w, m); }
PRODUCTS_FN(2)
PRODUCTS_FN(4)
PRODUCTS_FN(6)
PRODUCTS_FN(7)
PRODUCTS_FN(8)
PRODUCTS_FN(10)
PRODUCTS_FN(12)
PRODUCTS_FN(14)
enum { SIZES = 8 };
static const struct {
    int mr;
    products_fn *fn;
} sizes[SIZES] = {{2, products_2}, {4, products_4}, {6, products_6}, {7, products_7}, {8, products_8}, {10, products_10}, {12, products_12}, {14, products_14}};

/* What the tiles of a panel share. */
typedef struct wino_call {
    const oct_qwino_args *g;
    tile_call t;
    const __m512i *bias;
} wino_call;

/* A row of up to four results of 16 channels: codes. */
FORCE void store_codes(const int KIND, const wino_call *w, int v, const __m512i *acc, int count, __mmask16 columns, uint8_t *out, const uint8_t *res)
{
    const tile_call *t = &w->t;
    const float *scale = t->scale + 16 * v;
    __m512i q[QWINO_TILE];
    for (int x = 0; x < QWINO_TILE; x++)
        q[x] = KIND == TILE_U8 ? round_u8(acc[x], scale)
                               : round_res(acc[x], scale, _mm_maskz_loadu_epi8(x < count ? columns : 0, res + x * w->g->ldr), t);
    const __m512i codes = pack_codes(q[0], q[1], q[2], q[3], t);
    const ptrdiff_t ldc = w->g->ldc;
    _mm_mask_storeu_epi8(out, columns, _mm512_castsi512_si128(codes));
    if (count > 1)
        _mm_mask_storeu_epi8(out + ldc, columns, _mm512_extracti32x4_epi32(codes, 1));
    if (count > 2)
        _mm_mask_storeu_epi8(out + 2 * ldc, columns, _mm512_extracti32x4_epi32(codes, 2));
    if (count > 3)
        _mm_mask_storeu_epi8(out + 3 * ldc, columns, _mm512_extracti32x4_epi32(codes, 3));
}

static void store_rare(const wino_call *w, int v, const __m512i *acc, int count, __mmask16 columns, uint8_t *out, const uint8_t *res)
{
    const float *scale = w->t.scale + 16 * v, *fbias = scale + 16 * NV;
    for (int x = 0; x < count; x++, out += w->g->ldc, res += w->g->ldr) {
        if (w->t.kind == TILE_F32)
            store_floats(acc[x], scale, fbias, (float *)(void *)out, columns, &w->t);
        else
            finish16(w->g->e, acc[x], _mm512_load_ps(scale), _mm512_load_ps(fbias), columns, out, res);
    }
}

/* 16 columns of one tile: its 36 sums, `step` vectors apart, to rows x cols results. */
FORCE void finish_tile(const int KIND, const wino_call *w, int v, const __m512i *m, int step, int rows, int cols, uint8_t *out, const uint8_t *res)
{
    const __mmask16 columns = (__mmask16)(w->t.columns >> (16 * v));
    const __m512i inverse = _mm512_set1_epi32((int)QWINO_INVERSE), bias = _mm512_slli_epi32(w->bias[v], QWINO_SHIFT);
    __m512i half[QWINO_TILE][QWINO_IN];
    for (int j = 0; j < QWINO_IN; j++) {
        __m512i d[QWINO_IN], y[QWINO_TILE];
        for (int i = 0; i < QWINO_IN; i++)
            d[i] = m[(QWINO_IN * i + j) * step];
        OUTPUT(d, y);
        for (int r = 0; r < QWINO_TILE; r++)
            half[r][j] = y[r];
    }
    for (int r = 0; r < rows; r++, out += w->g->row_ldc, res += w->g->row_ldr) {
        __m512i y[QWINO_TILE];
        OUTPUT(half[r], y);
        for (int x = 0; x < QWINO_TILE; x++)
            y[x] = _mm512_srai_epi32(_mm512_add_epi32(_mm512_mullo_epi32(y[x], inverse), bias), QWINO_SHIFT);
        if (KIND == TILE_SPILL)
            store_rare(w, v, y, cols, columns, out, res);
        else
            store_codes(KIND, w, v, y, cols, columns, out, res);
    }
}

static void finish_u8(const wino_call *w, int v, const __m512i *m, int step, int rows, int cols, uint8_t *out, const uint8_t *res)
{
    finish_tile(TILE_U8, w, v, m, step, rows, cols, out, res);
}
static void finish_u8_res(const wino_call *w, int v, const __m512i *m, int step, int rows, int cols, uint8_t *out, const uint8_t *res)
{
    finish_tile(TILE_U8_RES, w, v, m, step, rows, cols, out, res);
}
static void finish_rare(const wino_call *w, int v, const __m512i *m, int step, int rows, int cols, uint8_t *out, const uint8_t *res)
{
    finish_tile(TILE_SPILL, w, v, m, step, rows, cols, out, res);
}

static void finish_block(const wino_call *w, const __m512i *m, int step, int64_t first, int64_t count, uint8_t *out, const uint8_t *res)
{
    const oct_qwino_args *g = w->g;
    const int64_t across = qwino_tiles(g->cols);
    for (int64_t i = 0; i < count; i++, m += NV) {
        const int32_t y = (int32_t)((first + i) / across) * QWINO_TILE, x = (int32_t)((first + i) % across) * QWINO_TILE;
        const int rows = g->rows - y < QWINO_TILE ? g->rows - y : QWINO_TILE, cols = g->cols - x < QWINO_TILE ? g->cols - x : QWINO_TILE;
        for (int v = 0; v < NV && w->t.columns >> (16 * v); v++) {
            uint8_t *to = out + y * g->row_ldc + x * g->ldc + (ptrdiff_t)16 * v * oct_epilogue_size(g->e);
            const uint8_t *add = res ? res + y * g->row_ldr + x * g->ldr + 16 * v : NULL;
            (w->t.kind == TILE_U8       ? finish_u8
             : w->t.kind == TILE_U8_RES ? finish_u8_res
                                        : finish_rare)(w, v, m + v, step * NV, rows, cols, to, add);
        }
    }
}

static void one_panel(const oct_qwino_args *g, const void *panel, int32_t n, uint8_t *out, const uint8_t *res)
{
    const int64_t tiles = qwino_tiles(g->rows) * qwino_tiles(g->cols), stride = qwino_stride(tiles, g->c);
    const int64_t step = qwino_block(tiles), parts = (step + sizes[SIZES - 1].mr - 1) / sizes[SIZES - 1].mr;
    const int16_t *v = g->scratch;
    __m512i *m = (__m512i *)(void *)((int16_t *)g->scratch + QWINO_POINTS * stride);
    int size = 0;
    while (sizes[size].mr * parts < step)
        size++;
    const int mr = sizes[size].mr;
    wino_call w = {.g = g, .bias = panel};
    const __m512i *weights = w.bias + NV;
    w.t = tile_finish(g->e);
    tile_finish_panel(&w.t, g->e, n, (const float *)(weights + (int64_t)QWINO_POINTS * (g->c / 2) * NV), NV);
    for (int64_t first = 0; first < tiles; first += step) {
        for (int p = 0; p < QWINO_POINTS; p++)
            for (int64_t i = 0; i < parts; i++)
                sizes[size].fn(v + p * stride + (first + i * mr) * g->c, g->c, weights + (int64_t)p * (g->c / 2) * NV, m + (p * parts + i) * mr * NV);
        finish_block(&w, m, (int)parts * mr, first, tiles - first < step ? tiles - first : step, out, res);
    }
}

void oct_qwino_avx512vnni(const oct_qwino_args *g)
{
    transform_input(g);
    for (int32_t j = 0; j < g->n; j += QWINO_NR)
        one_panel(g, (const uint8_t *)g->w + j / QWINO_NR * g->panel_bytes, g->n - j < QWINO_NR ? g->n - j : QWINO_NR,
                  (uint8_t *)g->out + (ptrdiff_t)j * oct_epilogue_size(g->e), g->res ? g->res + j : NULL);
}
