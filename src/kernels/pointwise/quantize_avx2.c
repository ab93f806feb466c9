/* Spans f32 -> u8 and back for AVX2, by true division; the rest of a span goes to the reference. */
#include "kernels/pointwise/vec_avx2.h"

/* Eight quotients as codes; NaN becomes 0 and so z, because lo <= z <= hi. */
FORCE __m256i eight(const float *x, __m256 s, limits l, int64_t *nan)
{
    const __m256 v = _mm256_loadu_ps(x), numbers = _mm256_cmp_ps(v, v, _CMP_ORD_Q);
    *nan += 8 - __builtin_popcount((unsigned)_mm256_movemask_ps(numbers));
    return requantize8(_mm256_and_ps(_mm256_div_ps(v, s), numbers), l);
}

int64_t oct_quantize_avx2(const float *x, uint8_t *q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi)
{
    const limits l = limits_of(z, lo, hi);
    const __m256 step = _mm256_set1_ps(s);
    int64_t nan = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i v0 = eight(x + i, step, l, &nan), v1 = eight(x + i + 8, step, l, &nan), v2 = eight(x + i + 16, step, l, &nan),
                      v3 = eight(x + i + 24, step, l, &nan);
        _mm256_storeu_si256((__m256i *)(q + i), pack32(v0, v1, v2, v3, l));
    }
    return nan + oct_quantize_ref(x + i, q + i, n - i, s, z, lo, hi);
}

void oct_dequantize_avx2(const uint8_t *q, float *x, int64_t n, float s, int32_t z)
{
    const __m256i zero = _mm256_set1_epi32(z);
    const __m256 step = _mm256_set1_ps(s);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(centered(q + i, zero), step));
    oct_dequantize_ref(q + i, x + i, n - i, s, z);
}
