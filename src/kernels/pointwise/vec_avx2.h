/* Vector pieces that the AVX2 spans share: requantization of 8 values by the rule of num.h, packing of 32. */
#ifndef OCT_KERNELS_POINTWISE_VEC_AVX2_H
#define OCT_KERNELS_POINTWISE_VEC_AVX2_H

#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE static inline __attribute__((always_inline))

typedef struct limits {
    __m256 lo, hi; /* less the zero point */
    __m256i zp, order;
} limits;
FORCE limits limits_of(int32_t z, int32_t lo, int32_t hi)
{
    return (limits){_mm256_set1_ps((float)(lo - z)), _mm256_set1_ps((float)(hi - z)), _mm256_set1_epi32(z),
                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)};
}
/* clamp(rne(v) + z): the clamp comes first, on integral limits; NaN gives lo. */
FORCE __m256i requantize8(__m256 v, limits l)
{
    v = _mm256_min_ps(_mm256_max_ps(v, l.lo), l.hi);
    return _mm256_add_epi32(_mm256_cvtps_epi32(v), l.zp);
}
/* Four vectors of codes as s32 -> 32 bytes in order. */
FORCE __m256i pack32(__m256i v0, __m256i v1, __m256i v2, __m256i v3, limits l)
{
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(_mm256_packs_epi32(v0, v1), _mm256_packs_epi32(v2, v3)), l.order);
}
/* 8 codes -> (float)(code - zero). */
FORCE __m256 centered(const uint8_t *codes, __m256i zero)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)codes)), zero));
}

#endif
