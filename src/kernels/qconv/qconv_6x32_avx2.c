/* qconv for AVX2 without VNNI, up to 6 pixels x 32 columns, exact: nothing saturates on the way (DESIGN 3.4).
 *
 * vpmaddubsw would saturate at 16 bits, so both sides are widened: the even and the odd bytes of a dword as two 16-bit lanes each,
 * multiplied and added in pairs by vpmaddwd. A call goes through its pixels and panels in blocks, through the dwords of their taps in
 * chunks: both sides of a chunk are widened once a block, and the inner loop broadcasts and multiplies, 6 x 16 sums in registers.
 * Bound on Zen 3: four instructions for 32 products, 27 products a cycle measured. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/epilogue_avx2.h"
#include "kernels/kernel.h"
#include "kernels/qconv/parts_avx2.h"
#include "kernels/rows.h"

enum { MR = 6, NR = 32, PARTS = NR / 8 }; /* a part: 8 columns, one register */
/* A block: pixels, panels. A chunk: dwords of a pixel. The weights of 16 columns take 8 KB and stay in the first cache, the activations of
 * the block 57 KB and its sums at most 48 KB in the second. */
enum { BLOCK = 96, PANELS = 4, CHUNK = 64 };
enum { PACKED_TILES = 2 }; /* of a block, which make do with packed weights */

/* The even and the odd bytes of a chunk's dwords, each as two 16-bit lanes. The gaps keep the loads of a step in different banks of the
 * cache and take what is written beyond a run. */
enum { GAP = 12, STRIDE = 2 * (CHUNK + GAP) };
typedef struct wide_row {
    int32_t even[CHUNK + GAP], odd[CHUNK + GAP];
} wide_row;
typedef struct wide_weights {
    __m256i even[2], odd[2]; /* of 16 columns */
} wide_weights;
_Static_assert(sizeof(wide_weights) == PARTS * sizeof(__m256i), "a step of packed weights is as long");

/* Where a chunk starts: dword k of a tap. */
typedef struct place {
    int32_t tap;
    int64_t k;
} place;

typedef struct block {
    const oct_qconv_args *g;
    int64_t k4, count;                            /* dwords of a run; pixels */
    const __m256i *w;                             /* the first panel */
    int32_t n;                                    /* columns */
    const uint8_t *a[BLOCK];                      /* pixels */
    wide_row rows[BLOCK];
    wide_weights weights[CHUNK];
    __m256i sums[PANELS][BLOCK * PARTS];
} block;

/* --- both sides in 16 bits --- */
FORCE void widen8(__m256i v, int32_t *even, int32_t *odd)
{
    _mm256_storeu_si256((__m256i *)even, _mm256_and_si256(v, _mm256_set1_epi16(0xff)));
    _mm256_storeu_si256((__m256i *)odd, _mm256_srli_epi16(v, 8));
}

/* n dwords of a pixel from a place on, run by run. */
static void widen(const block *b, const uint8_t *pixel, place from, int64_t n, wide_row *wide)
{
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    for (int64_t at = 0; at < n; from = (place){from.tap + 1, 0}) {
        const uint8_t *x = pixel + b->g->taps[from.tap] + 4 * from.k;
        const int64_t left = b->k4 - from.k, count = left < n - at ? left : n - at;
        int64_t k = 0;
        for (; k + 8 <= count; k += 8)
            widen8(_mm256_loadu_si256((const __m256i *)(x + 4 * k)), wide->even + at + k, wide->odd + at + k);
        if (k < count) {
            const __m256i mask = _mm256_loadu_si256((const __m256i *)(masks + 8 - (count - k)));
            widen8(_mm256_maskload_epi32((const int *)(x + 4 * k), mask), wide->even + at + k, wide->odd + at + k);
        }
        at += count;
    }
}

FORCE __m256i even_of(__m256i w) { return _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8); }
FORCE __m256i odd_of(__m256i w) { return _mm256_srai_epi16(w, 8); }

/* n dwords of 16 columns, of 8 without both. */
static void widen_weights(const __m256i *w, int64_t n, bool both, wide_weights weights[CHUNK])
{
    for (int64_t k = 0; k < n; k++, w += PARTS) {
        _mm_prefetch((const char *)(w + 12 * PARTS), _MM_HINT_T0);
        _mm_prefetch((const char *)(w + 12 * PARTS + 2), _MM_HINT_T0);
        for (int i = 0; i <= both; i++) {
            weights[k].even[i] = even_of(w[i]);
            weights[k].odd[i] = odd_of(w[i]);
        }
    }
}

/* --- the inner loop --- */
/* The same for 8 columns. */
#define DOT8(acc, x, w)                                                                                                            \
    do {                                                                                                                           \
        __m256i products;                                                                                                          \
        __asm__("vpbroadcastd %2, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(products) : "m"(x), "x"(w));  \
    } while (0)

#define ROWS6(X) X(0) X(1) X(2) X(3) X(4) X(5)

/* sums[PARTS*i + 0, 1] = from[from_step*i + 0, 1] + widened row i x n dwords of 16 columns, of 8 without BOTH. The weights are widened too;
 * or PACKED, for so few pixels that it is not worth while to store them. */
FORCE void multiply(const int ROWS, const bool BOTH, const bool PACKED, const wide_row *rows, const void *weights, int64_t n,
                    const __m256i *from, int from_step, __m256i *sums)
{
    const __m256i *w = weights;
#define LOAD(i) __m256i c##i = from[ROWS > i ? from_step * i : 0], d##i = from[(ROWS > i ? from_step * i : 0) + BOTH];
    ROWS6(LOAD)
#undef LOAD
    const int32_t *x = (const int32_t *)rows;
    for (int64_t k = 0; k < n; k++, w += PARTS, x++) { /* four vectors a step, packed or widened */
#define STEP(i, lane, at)                                                                                                          \
    if (ROWS > i && BOTH)                                                                                                          \
        DOT16(c##i, d##i, x[i * STRIDE + at], lane##0, lane##1);                                                                   \
    else if (ROWS > i)                                                                                                             \
        DOT8(c##i, x[i * STRIDE + at], lane##0);
#define EVEN(i) STEP(i, even, 0)
#define ODD(i) STEP(i, odd, STRIDE / 2)
        const __m256i even0 = PACKED ? even_of(w[0]) : w[0], even1 = !BOTH ? even0 : PACKED ? even_of(w[1]) : w[1];
        ROWS6(EVEN)
        const __m256i odd0 = PACKED ? odd_of(w[0]) : w[2], odd1 = !BOTH ? odd0 : PACKED ? odd_of(w[1]) : w[3];
        ROWS6(ODD)
#undef EVEN
#undef ODD
#undef STEP
    }
#define STORE(i)                                                                                                                   \
    if (ROWS > i)                                                                                                                  \
        sums[PARTS * i] = c##i;                                                                                                    \
    if (ROWS > i && BOTH)                                                                                                          \
        sums[PARTS * i + 1] = d##i;
    ROWS6(STORE)
#undef STORE
}

typedef void multiply_fn(const wide_row *rows, const void *weights, int64_t n, const __m256i *from, int from_step, __m256i *sums);
#define MULTIPLY_FN(name, i, both, packed)                                                                                         \
    static void name##_##i(const wide_row *rows, const void *weights, int64_t n, const __m256i *from, int from_step, __m256i *sums)  \
    {                                                                                                                              \
        multiply(i + 1, both, packed, rows, weights, n, from, from_step, sums);                                                    \
    }
#define MULTIPLY_FNS(i)                                                                                                            \
    MULTIPLY_FN(wide8, i, false, false)                                                                                            \
    MULTIPLY_FN(wide16, i, true, false)                                                                                            \
    MULTIPLY_FN(packed8, i, false, true)                                                                                           \
    MULTIPLY_FN(packed16, i, true, true)
ROWS6(MULTIPLY_FNS)

/* --- sums to codes --- */
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

/* One panel of all pixels: those are m to a row, and the block starts at `first` of the call. */
static void finish(const block *b, int panel, const float *scale, int32_t n, int64_t first)
{
    const oct_qconv_args *g = b->g;
    const int64_t size = oct_epilogue_size(g->e), at = (g->n - b->n) + (int64_t)NR * panel;
    const bool small = oct_epilogue_is_small(g->e, scale, NR);
    int64_t row = first / g->m, column = first % g->m;
    for (int64_t i = 0; i < b->count; i++, column++) {
        if (column == g->m)
            row++, column = 0;
        const __m256i *sums = b->sums[panel] + PARTS * i;
        const uint8_t *res = g->res ? g->res + row * g->row_ldr + column * g->ldr + at : NULL;
        uint8_t *c = (uint8_t *)g->c + row * g->row_ldc + column * g->ldc + at * size;
        if (small)
            for (int32_t j = 0; j < n; j += 16)
                finish_small(sums + j / 8, scale + j, g->e, n - j, res ? res + j : NULL, c + j);
        else
            oct_epilogue_row_avx2((const int32_t *)sums, n, scale, scale + NR, g->e, res, c);
    }
}

/* All pixels times n dwords of 16 columns (8 without both), which start at w. */
static void multiply_chunk(block *b, const __m256i *w, int64_t n, bool both, const __m256i *bias, __m256i *sums)
{
#define FN(name) {name##_0, name##_1, name##_2, name##_3, name##_4, name##_5}
    static multiply_fn *const fns[2][2][MR] = {{FN(wide8), FN(wide16)}, {FN(packed8), FN(packed16)}}; /* for 1 .. MR pixels */
#undef FN
    const int64_t tiles = (b->count + MR - 1) / MR;
    const bool packed = tiles <= PACKED_TILES;
    if (!packed)
        widen_weights(w, n, both, b->weights);
    for (int64_t i = 0, first = 0; i < tiles; i++) {
        const int64_t rows = (b->count - first) / (tiles - i);
        __m256i *to = sums + PARTS * first;
        fns[packed][both][rows - 1](b->rows + first, packed ? (const void *)w : b->weights, n, bias ? bias : to, bias ? 0 : PARTS, to);
        first += rows;
    }
}

static void run(block *b, int64_t first)
{
    const oct_qconv_args *g = b->g;
    const int64_t dwords = g->tap_count * b->k4, chunks = (dwords + CHUNK - 1) / CHUNK, panel_size = g->panel_bytes / (int64_t)sizeof *b->w;
    const int panels = (b->n < PANELS * NR ? b->n + NR - 1 : PANELS * NR) / NR;
    place from = {0, 0};
    for (int64_t i = 0, at = 0; i < chunks; i++) {
        const int64_t n = (dwords - at) / (chunks - i);
        for (int64_t j = 0; j < b->count; j++)
            widen(b, b->a[j], from, n, &b->rows[j]);
        for (int panel = 0; panel < panels; panel++)
            for (int part = 0; part < PARTS && NR * panel + 8 * part < b->n; part += 2) {
                const __m256i *bias = b->w + panel * panel_size + part;
                multiply_chunk(b, bias + PARTS * (1 + at), n, b->n - NR * panel - 8 * part > 8, i == 0 ? bias : NULL, b->sums[panel] + part);
            }
        at += n;
        from = (place){(int32_t)(at / b->k4), at % b->k4};
    }
    for (int panel = 0; panel < panels; panel++) {
        const float *scale = (const float *)(b->w + panel * panel_size + PARTS * (1 + dwords));
        const int32_t left = b->n - NR * panel;
        finish(b, panel, scale, left < NR ? left : NR, first);
    }
}

void oct_qconv_6x32_avx2(const oct_qconv_args *g)
{
    block b;
    b.g = g;
    b.k4 = ((int64_t)g->kc + 3) / 4;
    const int64_t total = g->m * g->rows, blocks = (total + BLOCK - 1) / BLOCK;
    for (int64_t i = 0, first = 0; i < blocks; i++) {
        int64_t row = first / g->m, column = first % g->m;
        b.count = (total - first) / (blocks - i);
        for (int64_t j = 0; j < b.count; j++, column++) {
            if (column == g->m)
                row++, column = 0;
            b.a[j] = g->a + row * g->row_px + column * g->px;
        }
        b.w = g->w;
        for (b.n = g->n; b.n > 0; b.n -= PANELS * NR) {
            run(&b, first);
            b.w += PANELS * (g->panel_bytes / (int64_t)sizeof *b.w);
        }
        first += b.count;
    }
}
