/* Spans f32 -> u8 and back for AVX-512.
 *
 * The quotient is that of a true division (DESIGN 3.1), which bounds quantize at 16 elements in 6 cycles on Zen 4. Three multiplications
 * give the same bits: with y = 1/s rounded and q = x*y, the remainder x - q*s is exact in an fma, and q plus remainder times y, in
 * another, is x/s rounded, as long as nothing on the way leaves the normal range. Scales of everyday size and quotients clamped to 2^17
 * see to that; a remainder of tiny x that is not exact cannot reach the rounding to 1.
 * Source: P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990. */
#include "kernels/pointwise/vec_avx512vnni.h"

/* What the quotient by multiplication needs. */
typedef struct divisor {
    __m512 s, y, most, least; /* most, least: +-2^17 steps */
} divisor;

/* 16 quotients, rounded; NaN gives 0 and is counted. Beyond 2^17 the codes are at their limits. */
FORCE __m512i quotients(const float *x, const divisor *d, int64_t *nan)
{
    __m512 v = _mm512_loadu_ps(x);
    const __mmask16 numbers = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);
    *nan += 16 - __builtin_popcount(numbers);
    v = _mm512_min_ps(_mm512_maskz_max_ps(numbers, v, d->least), d->most);
    const __m512 q = _mm512_mul_ps(v, d->y);
    return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_fnmadd_ps(q, d->s, v), d->y, q));
}

int64_t oct_quantize_avx512vnni(const float *x, uint8_t *q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi)
{
    const limits l = limits_of(z, lo, hi);
    const __m512 step = _mm512_set1_ps(s);
    int64_t nan = 0, i = 0;
    if (s > 0x1p-60f && s < 0x1p60f) {
        const divisor d = {step, _mm512_set1_ps(1.0f / s), _mm512_set1_ps(s * 0x1p17f), _mm512_set1_ps(s * -0x1p17f)};
        const packer p = packer_of(z, lo, hi);
        for (; i + 64 <= n; i += 64) {
            const __m512i v0 = quotients(x + i, &d, &nan), v1 = quotients(x + i + 16, &d, &nan), v2 = quotients(x + i + 32, &d, &nan),
                          v3 = quotients(x + i + 48, &d, &nan);
            _mm512_storeu_si512(q + i, pack64(v0, v1, v2, v3, p));
        }
    }
    for (; i < n; i += 16) {
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
