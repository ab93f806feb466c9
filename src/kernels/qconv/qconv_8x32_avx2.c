/* qconv for AVX2 without VNNI, up to 8 pixels x 32 columns, exact: nothing saturates on the way (DESIGN 3.4).
 *
 * vpmaddubsw would saturate at 16 bits, so both sides are widened: the even and the odd bytes of a dword as two 16-bit lanes each,
 * multiplied and added in pairs by vpmaddwd. The activations of a tile are widened once, a chunk of their rows at a time, and the
 * inner loop broadcasts them from memory; it takes 8 columns at a time (a part), because their weights are widened there. Parts without a
 * column that counts are left out, so that narrow layers need no narrower variant.
 * Bound on Zen 4: two instructions for 16 products, 5 cycles for 8 such pairs: 26 products a cycle. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/epilogue_avx2.h"
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE static inline __attribute__((always_inline))
/* Two lines of assembly, because with the intrinsics GCC 12 keeps some of the sums in memory. */
#define DOT(acc, x, w)                                                                                                             \
    do {                                                                                                                           \
        __m256i products;                                                                                                          \
        __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(products) : "x"(x), "x"(w));                         \
    } while (0)

#define ROWS8(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

enum { MR = 8, NR = 32, PARTS = NR / 8, CHUNK = 128 }; /* dwords of a row widened at a time: 8 KB for the tile */

/* A chunk of a row: the even and the odd bytes of its dwords, each as two 16-bit lanes. The gaps keep the loads of a step in different
 * banks of the cache. */
enum { GAP = 4, STRIDE = 2 * (CHUNK + GAP) };
typedef struct wide_row {
    uint32_t even[CHUNK + GAP], odd[CHUNK + GAP];
} wide_row;

FORCE void widen8(__m256i v, uint32_t *even, uint32_t *odd)
{
    _mm256_storeu_si256((__m256i *)even, _mm256_and_si256(v, _mm256_set1_epi16(0xff)));
    _mm256_storeu_si256((__m256i *)odd, _mm256_srli_epi16(v, 8));
}
FORCE void widen(const uint8_t *x, int64_t k4, wide_row *wide)
{
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    int64_t k = 0;
    for (; k + 8 <= k4; k += 8)
        widen8(_mm256_loadu_si256((const __m256i *)(x + 4 * k)), wide->even + k, wide->odd + k);
    if (k < k4) {
        const __m256i mask = _mm256_loadu_si256((const __m256i *)(masks + 8 - (k4 - k)));
        widen8(_mm256_maskload_epi32((const int *)(x + 4 * k), mask), wide->even + k, wide->odd + k);
    }
}

/* sums[PARTS*i] += widened row i x k4 dwords of the 8 columns that start at w. */
FORCE void multiply(const int ROWS, const wide_row wide[MR], const __m256i *w, int64_t k4, __m256i *sums)
{
#define LOAD(i) __m256i c##i = sums[ROWS > i ? PARTS * i : 0];
    ROWS8(LOAD)
#undef LOAD
    const int32_t *x = (const int32_t *)wide;
    for (int64_t k = 0; k < k4; k++, w += PARTS, x++) {
        const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(*w, 8), 8), odd = _mm256_srai_epi16(*w, 8);
#define STEP(i)                                                                                                                    \
    if (ROWS > i) {                                                                                                                \
        DOT(c##i, _mm256_set1_epi32(x[i * STRIDE]), even);                                                                         \
        DOT(c##i, _mm256_set1_epi32(x[i * STRIDE + STRIDE / 2]), odd);                                                             \
    }
        ROWS8(STEP)
#undef STEP
    }
#define STORE(i)                                                                                                                   \
    if (ROWS > i)                                                                                                                  \
        sums[PARTS * i] = c##i;
    ROWS8(STORE)
#undef STORE
}

FORCE __m256i rounded(__m256i acc, const float *scale, const uint8_t *res, const oct_qepilogue *e)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_load_ps(scale));
    if (res) {
        const __m256i r = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)res)), _mm256_set1_epi32(e->res_zp));
        v = _mm256_add_ps(v, _mm256_mul_ps(_mm256_cvtepi32_ps(r), _mm256_set1_ps(e->res_scale)));
    }
    return _mm256_cvtps_epi32(v);
}

/* n of 16 codes of one row; the saturations on the way are the clamp itself. */
FORCE void finish_small(const __m256i sums[2], const float *scale, const oct_qepilogue *e, int32_t n, const uint8_t *res, uint8_t *c)
{
    uint8_t part[16];
    if (e->kind != OCT_EPI_U8_RES) {
        res = NULL;
    } else if (n < 16) {
        memcpy(part, res, (size_t)n);
        res = part;
    }
    const __m256i both = _mm256_packs_epi32(rounded(sums[0], scale, res, e), rounded(sums[1], scale + 8, res ? res + 8 : NULL, e));
    const __m256i v = _mm256_adds_epi16(_mm256_permute4x64_epi64(both, 0xd8), _mm256_set1_epi16((int16_t)e->zp));
    __m128i q = _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    q = _mm_min_epu8(_mm_max_epu8(q, _mm_set1_epi8((char)e->lo)), _mm_set1_epi8((char)e->hi));
    if (n >= 16) {
        _mm_storeu_si128((__m128i *)c, q);
    } else {
        _mm_storeu_si128((__m128i *)part, q);
        memcpy(c, part, (size_t)n);
    }
}

typedef struct tile_call {
    const oct_qconv_args *g;
    const float *scale;
    bool small;
} tile_call;
typedef void tile_fn(const tile_call *t, int64_t first);

static __attribute__((noinline)) void finish(const tile_call *t, const __m256i *sums, const uint8_t *res, uint8_t *c)
{
    const oct_qconv_args *g = t->g;
    if (!t->small) {
        oct_epilogue_row_avx2((const int32_t *)sums, g->n, t->scale, t->scale + NR, g->e, res, c);
        return;
    }
    for (int32_t j = 0; j < g->n; j += 16)
        finish_small(sums + j / 8, t->scale + j, g->e, g->n - j, res ? res + j : NULL, c + j);
}

FORCE void tile(const int ROWS, const tile_call *t, int64_t first)
{
    const oct_qconv_args *g = t->g;
    const __m256i *bias = g->w, *w = bias + PARTS;
    const int64_t k4 = ((int64_t)g->kc + 3) / 4;
    const int parts = (g->n + 7) / 8;
    __m256i sums[MR * PARTS];
    wide_row wide[MR];
    for (int i = 0; i < ROWS * PARTS; i++)
        sums[i] = bias[i % PARTS];
    for (int32_t tap = 0; tap < g->tap_count; tap++)
        for (int64_t k = 0; k < k4; k += CHUNK) {
            const int64_t n = k4 - k < CHUNK ? k4 - k : CHUNK;
#pragma GCC unroll 1 /* here and below: the tiles are many, and the library small */
            for (int i = 0; i < ROWS; i++)
                widen(g->a + (first + i) * g->px + g->taps[tap] + 4 * k, n, &wide[i]);
#pragma GCC unroll 1
            for (int part = 0; part < parts; part++)
                multiply(ROWS, wide, w + part, n, sums + part);
            w += PARTS * n;
        }
#pragma GCC unroll 1
    for (int i = 0; i < ROWS; i++)
        finish(t, sums + PARTS * i, g->res ? g->res + (first + i) * g->ldr : NULL, (uint8_t *)g->c + (first + i) * g->ldc);
}

#define TILE_FN(i) \
    static void tile_##i(const tile_call *t, int64_t first) { tile(i + 1, t, first); }
ROWS8(TILE_FN)

void oct_qconv_8x32_avx2(const oct_qconv_args *g)
{
#define TILE(i) tile_##i,
    static tile_fn *const tiles[] = {ROWS8(TILE)}; /* for 1 .. MR rows */
#undef TILE
    const int64_t k4 = ((int64_t)g->kc + 3) / 4;
    tile_call t = {.g = g, .scale = (const float *)((const __m256i *)g->w + PARTS * (1 + g->tap_count * k4))};
    t.small = oct_epilogue_is_small(g->e, t.scale, NR);
    const int64_t count = (g->m + MR - 1) / MR, rows = g->m / count, longer = g->m % count;
    for (int64_t i = 0, first = 0; i < count; i++) {
        const int64_t n = rows + (i < longer);
        tiles[n - 1](&t, first);
        first += n;
    }
}
