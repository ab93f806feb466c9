/* Spans f32 -> u8 and back for AVX-512. The division is a true one (DESIGN 3.1), which bounds quantize at 16 elements in 6
 * cycles on Zen 4. */
#include "kernels/pointwise/vec_avx512vnni.h"

int64_t oct_quantize_avx512vnni(const float *x, uint8_t *q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi)
{
    const limits l = limits_of(z, lo, hi);
    const __m512 step = _mm512_set1_ps(s);
    int64_t nan = 0;
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = lanes16(n - i);
        const __m512 v = _mm512_maskz_loadu_ps(lanes, x + i);
        const __mmask16 numbers = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);
        nan += 16 - __builtin_popcount(numbers);
        /* NaN becomes 0 and so z, because lo <= z <= hi */
        const __m128i codes = _mm512_cvtepi32_epi8(requantize16(_mm512_maskz_div_ps(numbers, v, step), l));
        if (lanes == 0xffff)
            _mm_storeu_si128((__m128i *)(q + i), codes);
        else
            _mm_mask_storeu_epi8(q + i, lanes, codes);
    }
    return nan;
}

void oct_dequantize_avx512vnni(const uint8_t *q, float *x, int64_t n, float s, int32_t z)
{
    const __m512i zero = _mm512_set1_epi32(z);
    const __m512 step = _mm512_set1_ps(s);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, _mm512_mul_ps(centered(_mm_loadu_si128((const __m128i *)(q + i)), zero), step));
    if (i < n) {
        const __mmask16 lanes = lanes16(n - i);
        _mm512_mask_storeu_ps(x + i, lanes, _mm512_mul_ps(centered(_mm_maskz_loadu_epi8(lanes, q + i), zero), step));
    }
}
