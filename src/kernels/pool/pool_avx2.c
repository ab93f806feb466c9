/* The four pool families for AVX2: vectors over channels, all taps of a block of channels before the next block. A last block that is
 * not full overlaps the one before; fewer channels than a vector go to the reference. */
#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

/* First channel of the block after the one at `first`: the last block of `width` ends with channel c. */
static int64_t next(int64_t first, int64_t c, int64_t width)
{
    const int64_t left = c - first - width;
    return left <= 0 ? c : left < width ? c - width : first + width;
}

void oct_maxpool_u8_avx2(const uint8_t *const *taps, int32_t tap_count, int64_t c, uint8_t *y)
{
    if (c < 32) {
        oct_maxpool_u8_ref(taps, tap_count, c, y);
        return;
    }
    for (int64_t first = 0; first < c; first = next(first, c, 32)) {
        __m256i best = _mm256_loadu_si256((const __m256i *)(taps[0] + first));
        for (int32_t t = 1; t < tap_count; t++)
            best = _mm256_max_epu8(best, _mm256_loadu_si256((const __m256i *)(taps[t] + first)));
        _mm256_storeu_si256((__m256i *)(y + first), best);
    }
}

void oct_maxpool_f32_avx2(const float *const *taps, int32_t tap_count, int64_t c, float *y)
{
    if (c < 8) {
        oct_maxpool_f32_ref(taps, tap_count, c, y);
        return;
    }
    for (int64_t first = 0; first < c; first = next(first, c, 8)) {
        __m256 best = _mm256_loadu_ps(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++) /* x > best ? x : best, as the reference does it with NaN */
            best = _mm256_max_ps(_mm256_loadu_ps(taps[t] + first), best);
        _mm256_storeu_ps(y + first, best);
    }
}

/* Eight sums -> codes in the low bytes of dwords: the clamp comes first, on integral limits. */
static inline __m256i requantize8(__m256i sum, __m256 m, int32_t z, int32_t lo, int32_t hi)
{
    const __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), m);
    const __m256 in = _mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps((float)(lo - z))), _mm256_set1_ps((float)(hi - z)));
    return _mm256_add_epi32(_mm256_cvtps_epi32(in), _mm256_set1_epi32(z));
}

void oct_avgpool_u8_avx2(const uint8_t *const *taps, int32_t tap_count, int64_t c, int32_t zx, float m, int32_t z, int32_t lo, int32_t hi,
                         uint8_t *y)
{
    if (c < 16) {
        oct_avgpool_u8_ref(taps, tap_count, c, zx, m, z, lo, hi, y);
        return;
    }
    const __m256i start = _mm256_set1_epi32(-tap_count * zx);
    const __m256 factor = _mm256_set1_ps(m);
    for (int64_t first = 0; first < c; first = next(first, c, 16)) {
        __m256i low = start, high = start;
        for (int32_t t = 0; t < tap_count;) { /* sums of 16 bits hold 257 codes, then they are emptied into 32 bits */
            const int32_t end = tap_count - t > 257 ? t + 257 : tap_count;
            __m256i sum = _mm256_setzero_si256();
            for (; t < end; t++)
                sum = _mm256_add_epi16(sum, _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(taps[t] + first))));
            low = _mm256_add_epi32(low, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sum)));
            high = _mm256_add_epi32(high, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sum, 1)));
        }
        const __m256i both = _mm256_packs_epi32(requantize8(low, factor, z, lo, hi), requantize8(high, factor, z, lo, hi));
        const __m256i v = _mm256_permute4x64_epi64(both, 0xd8);
        _mm_storeu_si128((__m128i *)(y + first), _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
    }
}

void oct_avgpool_f32_avx2(const float *const *taps, int32_t tap_count, int64_t c, float m, float *y)
{
    if (c < 8) {
        oct_avgpool_f32_ref(taps, tap_count, c, m, y);
        return;
    }
    for (int64_t first = 0; first < c; first = next(first, c, 8)) {
        __m256 sum = _mm256_loadu_ps(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(taps[t] + first));
        _mm256_storeu_ps(y + first, _mm256_mul_ps(sum, _mm256_set1_ps(m)));
    }
}
