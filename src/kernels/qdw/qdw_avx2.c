/* qdw for AVX2, any kernel, stride and dilation: blocks of 16 channels, taps in pairs.
 *
 * The bytes of two taps are interleaved into 16-bit pairs, which vpmaddwd multiplies with the pair's weights and adds into 32 bits:
 * exact, nothing saturates. Interleaving within the two 128-bit lanes leaves channels 0-3 and 8-11 in one vector of sums and 4-7 and
 * 12-15 in the other; the packs of the epilogue put them back in order for free, and so do bias and scales, packed that way:
 *   for each block [2 x 8 s32 bias'] [pair: 2 x 8 x 2 s16]* [2 x 8 f32 scale] [2 x 8 f32 fbias]
 * A last block that is not full begins earlier and repeats channels of the block before; with fewer than 16 channels in all, it is read
 * through a buffer, so that nothing outside of the image is touched. */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/epilogue_avx2.h"
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE      static inline __attribute__((always_inline))
#define PIXELS4(X) X(0) X(1) X(2) X(3)

enum { BLOCK = 16 };

static int64_t pair_count(int32_t kh, int32_t kw) { return ((int64_t)kh * kw + 1) / 2; }
static int64_t block_bytes(int64_t pairs) { return 12 * BLOCK + pairs * 4 * BLOCK; }
/* Where channel j of a block stands among its 16 sums. */
static int32_t place_of(int32_t j) { return j / 4 % 2 * 8 + j / 8 * 4 + j % 4; }

int64_t oct_qdw_avx2_bytes(int32_t c, int32_t kh, int32_t kw) { return (int64_t)(c + BLOCK - 1) / BLOCK * block_bytes(pair_count(kh, kw)); }

/* Where the block of `first` really begins. */
static int32_t begin_of(int32_t c, int32_t first) { return c - first < BLOCK && c > BLOCK ? c - BLOCK : first; }

void oct_qdw_avx2_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                       void *out)
{
    const int64_t pairs = pair_count(kh, kw), taps = (int64_t)kh * kw;
    memset(out, 0, (size_t)oct_qdw_avx2_bytes(c, kh, kw));
    char *block = out;
    for (int32_t first = 0; first < c; first += BLOCK, block += block_bytes(pairs)) {
        int32_t *bias_out = (int32_t *)block;
        int16_t *w_out = (int16_t *)(bias_out + BLOCK);
        float *scale_out = (float *)(w_out + 2 * pairs * BLOCK), *fbias_out = scale_out + BLOCK;
        for (int32_t j = 0; j < BLOCK && begin_of(c, first) + j < c; j++) {
            const int32_t ch = begin_of(c, first) + j, at = place_of(j);
            bias_out[at] = bias[ch];
            scale_out[at] = scale[ch];
            fbias_out[at] = fbias ? fbias[ch] : 0.0f;
            for (int64_t t = 0; t < taps; t++)
                w_out[(t / 2 * BLOCK + at) * 2 + t % 2] = w[ch * taps + t];
        }
    }
}

/* One block of one call. */
typedef struct block_call {
    const oct_qdw_args *g;
    const __m256i *w; /* bias first */
    const float *scale;
    int64_t pairs;
    int32_t first, n; /* channels */
    int32_t skip;     /* of them, those that the block before has written: a residual may stand where the output goes */
    bool small;       /* codes may be converted to s32 before they are clamped */
} block_call;

/* n < 16 bytes: nothing behind them is read. */
FORCE __m256i load16(const uint8_t *x, const bool full, int32_t n)
{
    if (full)
        return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)x));
    uint8_t part[BLOCK] = {0};
    memcpy(part, x, (size_t)n);
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)part));
}

static __attribute__((noinline)) void finish_any(const block_call *b, __m256i low, __m256i high, int64_t i)
{
    int32_t sums[BLOCK], stored[BLOCK];
    float scale[BLOCK], fbias[BLOCK];
    _mm256_storeu_si256((__m256i *)stored, low);
    _mm256_storeu_si256((__m256i *)(stored + 8), high);
    for (int32_t j = 0; j < BLOCK; j++) {
        const int32_t at = place_of(j);
        sums[j] = stored[at], scale[j] = b->scale[at], fbias[j] = b->scale[BLOCK + at];
    }
    const oct_qdw_args *g = b->g;
    const int64_t size = g->e->kind == OCT_EPI_F32 || g->e->kind == OCT_EPI_S32 ? 4 : 1;
    const int32_t first = b->first + b->skip;
    oct_epilogue_row_avx2(sums + b->skip, b->n - b->skip, scale + b->skip, fbias + b->skip, g->e, g->res ? g->res + i * g->ldr + first : NULL,
                     (uint8_t *)g->out + i * g->ldc + first * size);
}

FORCE void finish(const block_call *b, __m256i low, __m256i high, int64_t i)
{
    if (!b->small) {
        finish_any(b, low, high, i);
        return;
    }
    const oct_qepilogue *e = b->g->e;
    low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(b->scale)));
    high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(b->scale + 8)));
    const __m256i v = _mm256_adds_epi16(_mm256_packs_epi32(low, high), _mm256_set1_epi16((int16_t)e->zp));
    __m128i q = _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    q = _mm_min_epu8(_mm_max_epu8(q, _mm_set1_epi8((char)e->lo)), _mm_set1_epi8((char)e->hi));
    uint8_t *out = (uint8_t *)b->g->out + i * b->g->ldc + b->first, part[BLOCK];
    if (b->n == BLOCK) {
        _mm_storeu_si128((__m128i *)out, q);
    } else {
        _mm_storeu_si128((__m128i *)part, q);
        memcpy(out, part, (size_t)b->n);
    }
}

/* Pixels [i, i + N) of the block, N = 1 or 4. */
FORCE void pixels(const block_call *b, const int N, int64_t i, const bool full)
{
    const oct_qdw_args *g = b->g;
    const __m256i *w = b->w;
    const ptrdiff_t px = g->px, at = i * px + b->first;
    const int32_t taps = g->kh * g->kw;
#define INIT(p) __m256i low##p = w[0], high##p = w[1];
    PIXELS4(INIT)
#undef INIT
    w += 2;
    int32_t ky = 0, kx = 0;
    for (int32_t t = 0; t < taps; t += 2, w += 2) {
        const uint8_t *x = g->rows[ky] + kx * g->kx_step + at, *y = x; /* a pair without a second tap meets a zero weight */
        if (++kx == g->kw)
            kx = 0, ky++;
        if (t + 1 < taps) {
            y = g->rows[ky] + kx * g->kx_step + at;
            if (++kx == g->kw)
                kx = 0, ky++;
        }
        const __m256i w0 = w[0], w1 = w[1];
#define STEP(p)                                                                                                                    \
    if (N > p) {                                                                                                                   \
        const __m256i u = load16(x + p * px, full, b->n), v = load16(y + p * px, full, b->n);                                      \
        low##p = _mm256_add_epi32(low##p, _mm256_madd_epi16(_mm256_unpacklo_epi16(u, v), w0));                                     \
        high##p = _mm256_add_epi32(high##p, _mm256_madd_epi16(_mm256_unpackhi_epi16(u, v), w1));                                   \
    }
        PIXELS4(STEP)
#undef STEP
    }
#define END(p)                                                                                                                     \
    if (N > p)                                                                                                                     \
        finish(b, low##p, high##p, i + p);
    PIXELS4(END)
#undef END
}

FORCE void block(const block_call *b, const bool full)
{
    int64_t i = 0;
    for (; i + 4 <= b->g->m; i += 4)
        pixels(b, 4, i, full);
    for (; i < b->g->m; i++)
        pixels(b, 1, i, full);
}

void oct_qdw_avx2(const oct_qdw_args *g)
{
    block_call b = {.g = g, .w = g->w, .pairs = pair_count(g->kh, g->kw)};
    for (int32_t first = 0; first < g->c; first += BLOCK) {
        b.first = begin_of(g->c, first);
        b.skip = first - b.first;
        b.n = g->c - b.first < BLOCK ? g->c - b.first : BLOCK;
        b.scale = (const float *)(b.w + 2 + 2 * b.pairs);
        b.small = g->e->kind == OCT_EPI_U8 && oct_epilogue_is_small(g->e, b.scale, BLOCK);
        if (b.n == BLOCK)
            block(&b, true);
        else
            block(&b, false);
        b.w = (const __m256i *)((const char *)b.w + block_bytes(b.pairs));
    }
}
