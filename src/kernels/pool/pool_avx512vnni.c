/* The four pool families for AVX-512: vectors over channels, all taps of a block of channels before the next block. */
#include "kernels/pointwise/vec_avx512vnni.h"

void oct_maxpool_u8_avx512vnni(const uint8_t *const *taps, int32_t tap_count, int64_t c, uint8_t *y)
{
    int64_t first = 0;
    for (; first + 64 <= c; first += 64) {
        __m512i best = _mm512_loadu_si512(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            best = _mm512_max_epu8(best, _mm512_loadu_si512(taps[t] + first));
        _mm512_storeu_si512(y + first, best);
    }
    if (first < c) {
        const __mmask64 lanes = lanes64(c - first);
        __m512i best = _mm512_maskz_loadu_epi8(lanes, taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            best = _mm512_max_epu8(best, _mm512_maskz_loadu_epi8(lanes, taps[t] + first));
        _mm512_mask_storeu_epi8(y + first, lanes, best);
    }
}

void oct_maxpool_f32_avx512vnni(const float *const *taps, int32_t tap_count, int64_t c, float *y)
{
    for (int64_t first = 0; first < c; first += 16) {
        const __mmask16 lanes = lanes16(c - first);
        __m512 best = _mm512_maskz_loadu_ps(lanes, taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++) /* x > best ? x : best, as the reference does it with NaN */
            best = _mm512_max_ps(_mm512_maskz_loadu_ps(lanes, taps[t] + first), best);
        _mm512_mask_storeu_ps(y + first, lanes, best);
    }
}

/* Channels [first, first + 32): sums of 16 bits hold 257 codes, then they are emptied into 32 bits. */
FORCE void average32(const uint8_t *const *taps, int32_t tap_count, int64_t first, __mmask32 lanes, __m512i start, __m512 m,
                     limits l, uint8_t *y)
{
    __m512i lo = start, hi = start;
    for (int32_t t = 0; t < tap_count;) {
        const int32_t end = tap_count - t > 257 ? t + 257 : tap_count;
        __m512i sum = _mm512_setzero_si512();
        for (; t < end; t++)
            sum = _mm512_add_epi16(sum, _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(lanes, taps[t] + first)));
        lo = _mm512_add_epi32(lo, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sum)));
        hi = _mm512_add_epi32(hi, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(sum, 1)));
    }
    const __m128i a = _mm512_cvtepi32_epi8(requantize16(_mm512_mul_ps(_mm512_cvtepi32_ps(lo), m), l));
    const __m128i b = _mm512_cvtepi32_epi8(requantize16(_mm512_mul_ps(_mm512_cvtepi32_ps(hi), m), l));
    _mm256_mask_storeu_epi8(y + first, lanes, _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1));
}

void oct_avgpool_u8_avx512vnni(const uint8_t *const *taps, int32_t tap_count, int64_t c, int32_t zx, float m, int32_t z, int32_t lo,
                               int32_t hi, uint8_t *y)
{
    const limits l = limits_of(z, lo, hi);
    const __m512i start = _mm512_set1_epi32(-tap_count * zx);
    const __m512 factor = _mm512_set1_ps(m);
    int64_t first = 0;
    for (; first + 32 <= c; first += 32)
        average32(taps, tap_count, first, 0xffffffff, start, factor, l, y);
    if (first < c)
        average32(taps, tap_count, first, (__mmask32)lanes64(c - first), start, factor, l, y);
}

void oct_avgpool_f32_avx512vnni(const float *const *taps, int32_t tap_count, int64_t c, float m, float *y)
{
    for (int64_t first = 0; first < c; first += 16) {
        const __mmask16 lanes = lanes16(c - first);
        __m512 sum = _mm512_maskz_loadu_ps(lanes, taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, taps[t] + first));
        _mm512_mask_storeu_ps(y + first, lanes, _mm512_mul_ps(sum, _mm512_set1_ps(m)));
    }
}
