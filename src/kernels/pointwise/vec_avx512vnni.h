/* Vector pieces that the AVX-512 spans share: requantization of 16 values by the rule of num.h, packing, masks. */
#ifndef OCT_KERNELS_POINTWISE_VEC_AVX512VNNI_H
#define OCT_KERNELS_POINTWISE_VEC_AVX512VNNI_H

#include <immintrin.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE static inline __attribute__((always_inline))

/* The first n of 16 lanes. */
FORCE __mmask16 lanes16(int64_t n)
{
    return n >= 16 ? 0xffff : (__mmask16)((1 << n) - 1);
}
/* The first n of 64 lanes, n >= 1. */
FORCE __mmask64 lanes64(int64_t n)
{
    return n >= 64 ? ~(__mmask64)0 : ~(__mmask64)0 >> (64 - n);
}

typedef struct limits {
    __m512 lo, hi; /* less the zero point */
    __m512i zp;
} limits;
FORCE limits limits_of(int32_t z, int32_t lo, int32_t hi)
{
    return (limits){_mm512_set1_ps((float)(lo - z)), _mm512_set1_ps((float)(hi - z)), _mm512_set1_epi32(z)};
}
/* clamp(rne(v) + z): the clamp comes first, on integral limits; NaN gives lo. */
FORCE __m512i requantize16(__m512 v, limits l)
{
    v = _mm512_min_ps(_mm512_max_ps(v, l.lo), l.hi);
    return _mm512_add_epi32(_mm512_cvtps_epi32(v), l.zp);
}

/* Four vectors of s32 -> 64 codes in order: + z, then the limits, by saturation. For values that fit s32 before the clamp. */
typedef struct packer {
    __m512i order, zp, lo, hi;
} packer;
FORCE packer packer_of(int32_t z, int32_t lo, int32_t hi)
{
    return (packer){_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), _mm512_set1_epi16((int16_t)z),
                    _mm512_set1_epi8((char)lo), _mm512_set1_epi8((char)hi)};
}
FORCE __m512i pack64(__m512i v0, __m512i v1, __m512i v2, __m512i v3, packer p)
{
    const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v0, v1), p.zp), b = _mm512_adds_epi16(_mm512_packs_epi32(v2, v3), p.zp);
    const __m512i q = _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(a, b), p.lo), p.hi);
    return _mm512_permutexvar_epi32(p.order, q);
}

/* 16 codes -> (float)(code - zero). */
FORCE __m512 centered(__m128i codes, __m512i zero)
{
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(codes), zero));
}

#endif
