/* What the AVX2 depthwise kernels share: blocks of 16 channels and their epilogue.
 *
 * Pairs of 16-bit lanes come from interleaving within the two 128-bit lanes, which leaves channels 0-3 and 8-11 in one vector of sums and
 * 4-7 and 12-15 in the other; the packs of the epilogue put them back in order for free, and so do bias and scales, packed that way. A
 * block in memory: [2 x 8 s32 bias'] [weights] [2 x 8 f32 scale] [2 x 8 f32 fbias]. */
#ifndef OCT_KERNELS_QDW_BLOCK_AVX2_H
#define OCT_KERNELS_QDW_BLOCK_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/epilogue_avx2.h"
#include "kernels/kernel.h"

#define FORCE static inline __attribute__((always_inline))

enum { BLOCK = 16 };

/* Where channel j of a block stands among its 16 sums. */
FORCE int32_t place_of(int32_t j) { return j / 4 % 2 * 8 + j / 8 * 4 + j % 4; }
/* Where the block of `first` really begins: a last block that is not full begins earlier and repeats channels of the block before. */
FORCE int32_t begin_of(int32_t c, int32_t first) { return c - first < BLOCK && c > BLOCK ? c - BLOCK : first; }

/* Bias and scales of the block of `first`; weights: vectors of them. */
static inline void pack_constants(int32_t c, int32_t first, const int32_t *bias, const float *scale, const float *fbias, int64_t weights, void *block)
{
    int32_t *bias_out = block;
    float *scale_out = (float *)((char *)(bias_out + BLOCK) + 32 * weights), *fbias_out = scale_out + BLOCK;
    for (int32_t j = 0; j < BLOCK && begin_of(c, first) + j < c; j++) {
        const int32_t ch = begin_of(c, first) + j, at = place_of(j);
        bias_out[at] = bias[ch];
        scale_out[at] = scale[ch];
        fbias_out[at] = fbias ? fbias[ch] : 0.0f;
    }
}

/* One block of one call. */
typedef struct block_call {
    const oct_qdw_args *g;
    const __m256i *w; /* bias first */
    const float *scale;
    int32_t first, n; /* channels */
    int32_t skip;     /* of them, those that the block before has written: a residual may stand where the output goes */
    bool small;       /* codes may be converted to s32 before they are clamped */
    __m256i zp;
    __m128i lo, hi;
} block_call;

/* weights: vectors of them. */
FORCE void block_begin(block_call *b, int32_t first, int64_t weights)
{
    const oct_qdw_args *g = b->g;
    b->first = begin_of(g->c, first);
    b->skip = first - b->first;
    b->n = g->c - b->first < BLOCK ? g->c - b->first : BLOCK;
    b->scale = (const float *)(b->w + 2 + weights);
    b->zp = _mm256_set1_epi16((int16_t)g->e->zp);
    b->lo = _mm_set1_epi8((char)g->e->lo);
    b->hi = _mm_set1_epi8((char)g->e->hi);
    b->small = g->e->kind == OCT_EPI_U8 && oct_epilogue_is_small(g->e, b->scale, BLOCK);
}

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
    const int64_t size = oct_epilogue_size(g->e);
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
    low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(low), _mm256_loadu_ps(b->scale)));
    high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_loadu_ps(b->scale + 8)));
    const __m256i v = _mm256_adds_epi16(_mm256_packs_epi32(low, high), b->zp);
    __m128i q = _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    q = _mm_min_epu8(_mm_max_epu8(q, b->lo), b->hi);
    uint8_t *out = (uint8_t *)b->g->out + i * b->g->ldc + b->first, part[BLOCK];
    if (b->n == BLOCK) {
        _mm_storeu_si128((__m128i *)out, q);
    } else {
        _mm_storeu_si128((__m128i *)part, q);
        memcpy(out, part, (size_t)b->n);
    }
}

#endif
