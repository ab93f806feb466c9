/* Winograd convolution u8 x s8 for AVX2: 6 tiles x 16 columns of one point in registers. The instructions are those of the direct kernel, which
 * widens bytes to 16 bits anyway, so the four times fewer products take a quarter of the time. The order of work is that of
 * qwino_avx512vnni.c. */
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/epilogue_avx2.h"
#include "kernels/qconv/parts_avx2.h"
#include "kernels/qwino/transform.h"
#include "kernels/rows.h"

enum { MR = 6, PARTS = QWINO_NR / 8 };
#define TIMES4_16(a) _mm256_slli_epi16(a, 2)
#define TIMES4_32(a) _mm256_slli_epi32(a, 2)
#define INPUT(d, y)  QWINO_INPUT(__m256i, _mm256_add_epi16, _mm256_sub_epi16, TIMES4_16, d, y)
#define OUTPUT(m, y) QWINO_OUTPUT(__m256i, _mm256_add_epi32, _mm256_sub_epi32, TIMES4_32, m, y)

#define VEC         __m256i
#define LANES       16
#define WIDEN(p)    _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#include "kernels/qwino/input.h"
#undef STORE

/* Sums of one point: ROWS tiles x 16 columns; a step of weights and of sums has PARTS vectors. */
FORCE void products(const int ROWS, const int16_t *v, int32_t c, const __m256i *w, __m256i *m)
{
#define ROWS6(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define INIT(i)  __m256i c##i = _mm256_setzero_si256(), d##i = c##i;
    ROWS6(INIT)
#undef INIT
    const int32_t *x = (const int32_t *)(const void *)v;
    const int32_t px = c / 2;
    for (int32_t k = px; k > 0; k--, w += PARTS, x++) {
        const __m256i w0 = w[0], w1 = w[1];
#define STEP(i)                                                                                                                    \
    if (ROWS > i)                                                                                                                  \
        DOT16(c##i, d##i, x[i * px], w0, w1);
        ROWS6(STEP)
#undef STEP
    }
#define STORE(i)                                                                                                                   \
    if (ROWS > i)                                                                                                                  \
        m[PARTS * i] = c##i, m[PARTS * i + 1] = d##i;
    ROWS6(STORE)
#undef STORE
}

typedef void products_fn(const int16_t *v, int32_t c, const __m256i *w, __m256i *m);
#define PRODUCTS_FN(i)                                                                                                             \
    static void products_##i(const int16_t *v, int32_t c, const __m256i *w, __m256i *m) { products(i + 1, v, c, w, m); }
ROWS6(PRODUCTS_FN)
static products_fn *const products_of[] = {products_0, products_1, products_2, products_3, products_4, products_5};

/* Up to four results of 8 columns each, of which n count. */
static void store(const oct_qwino_args *g, bool small, const float *scale, const __m256i acc[QWINO_TILE], int count, int n, uint8_t *out, const uint8_t *res)
{
    if (!small) {
        for (int x = 0; x < count; x++)
            oct_epilogue_row_avx2((const int32_t *)(const void *)&acc[x], n, scale, scale + QWINO_NR, g->e, res ? res + x * g->ldr : NULL, out + x * g->ldc);
        return;
    }
    __m256i q[QWINO_TILE];
    uint8_t part[QWINO_TILE][8];
    for (int x = 0; x < QWINO_TILE; x++) {
        const uint8_t *r = g->e->kind != OCT_EPI_U8_RES ? NULL : res + (x < count ? x : 0) * g->ldr;
        if (r && n < 8)
            r = memcpy(part[x], r, (size_t)n);
        q[x] = rounded(acc[x], scale, r, g->e);
    }
    const __m256i zp = _mm256_set1_epi16((int16_t)g->e->zp);
    __m256i codes = _mm256_packus_epi16(_mm256_adds_epi16(_mm256_packs_epi32(q[0], q[1]), zp), _mm256_adds_epi16(_mm256_packs_epi32(q[2], q[3]), zp));
    codes = _mm256_min_epu8(_mm256_max_epu8(codes, _mm256_set1_epi8((char)g->e->lo)), _mm256_set1_epi8((char)g->e->hi));
    codes = _mm256_permutevar8x32_epi32(codes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)part, codes);
    for (int x = 0; x < count; x++)
        memcpy(out + x * g->ldc, part[x], (size_t)n);
}

/* 8 columns of one tile: its 36 sums, `step` vectors apart, to rows x cols results. */
static void finish_tile(const oct_qwino_args *g, bool small, __m256i bias, const float *scale, const __m256i *m, int64_t step, int rows, int cols, int n,
                        uint8_t *out, const uint8_t *res)
{
    const __m256i inverse = _mm256_set1_epi32((int)QWINO_INVERSE);
    __m256i half[QWINO_TILE][QWINO_IN];
    for (int j = 0; j < QWINO_IN; j++) {
        __m256i d[QWINO_IN], y[QWINO_TILE];
        for (int i = 0; i < QWINO_IN; i++)
            d[i] = m[(QWINO_IN * i + j) * step];
        OUTPUT(d, y);
        for (int r = 0; r < QWINO_TILE; r++)
            half[r][j] = y[r];
    }
    for (int r = 0; r < rows; r++, out += g->row_ldc, res += res ? g->row_ldr : 0) {
        __m256i y[QWINO_TILE];
        OUTPUT(half[r], y);
        for (int x = 0; x < QWINO_TILE; x++)
            y[x] = _mm256_srai_epi32(_mm256_add_epi32(_mm256_mullo_epi32(y[x], inverse), bias), QWINO_SHIFT);
        if (n == 8) /* known to the compiler, its copies are single stores */
            store(g, small, scale, y, cols, 8, out, res);
        else
            store(g, small, scale, y, cols, n, out, res);
    }
}

static void one_panel(const oct_qwino_args *g, const __m256i *panel, int32_t n, uint8_t *out, const uint8_t *res)
{
    const int64_t across = qwino_tiles(g->cols), tiles = qwino_tiles(g->rows) * across, stride = qwino_stride(tiles, g->c);
    const __m256i *weights = panel + PARTS;
    const float *scale = (const float *)(const void *)(weights + (int64_t)QWINO_POINTS * (g->c / 2) * PARTS);
    const bool small = oct_epilogue_is_small(g->e, scale, QWINO_NR);
    const int16_t *v = g->scratch;
    __m256i *m = (__m256i *)(void *)((int16_t *)g->scratch + QWINO_POINTS * stride);
    const int64_t step = qwino_block(tiles);
    for (int64_t first = 0; first < tiles; first += step) {
        const int64_t count = tiles - first < step ? tiles - first : step, parts = (count + MR - 1) / MR;
        for (int p = 0; p < QWINO_POINTS; p++)
            for (int half = 0; half < (n > 16 ? 2 : 1); half++)
                for (int64_t i = 0; i < parts; i++) {
                    const int64_t from = count * i / parts, to = count * (i + 1) / parts;
                    products_of[to - from - 1](v + p * stride + (first + from) * g->c, g->c, weights + (int64_t)p * (g->c / 2) * PARTS + 2 * half,
                                               m + (p * step + from) * PARTS + 2 * half);
                }
        for (int64_t i = 0; i < count; i++) {
            const int32_t y = (int32_t)((first + i) / across) * QWINO_TILE, x = (int32_t)((first + i) % across) * QWINO_TILE;
            for (int part = 0; 8 * part < n; part++)
                finish_tile(g, small, _mm256_slli_epi32(panel[part], QWINO_SHIFT), scale + 8 * part, m + i * PARTS + part, step * PARTS,
                            g->rows - y < QWINO_TILE ? g->rows - y : QWINO_TILE, g->cols - x < QWINO_TILE ? g->cols - x : QWINO_TILE,
                            n - 8 * part < 8 ? n - 8 * part : 8, out + y * g->row_ldc + x * g->ldc + (ptrdiff_t)8 * part * oct_epilogue_size(g->e),
                            res ? res + y * g->row_ldr + x * g->ldr + 8 * part : NULL);
        }
    }
}

void oct_qwino_avx2(const oct_qwino_args *g)
{
    transform_input(g);
    for (int32_t j = 0; j < g->n; j += QWINO_NR)
        one_panel(g, (const __m256i *)(const void *)((const uint8_t *)g->w + j / QWINO_NR * g->panel_bytes), g->n - j < QWINO_NR ? g->n - j : QWINO_NR,
                  (uint8_t *)g->out + (ptrdiff_t)j * oct_epilogue_size(g->e), g->res ? g->res + j : NULL);
}
