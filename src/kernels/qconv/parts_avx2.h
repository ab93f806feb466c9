/* What the direct and the Winograd convolutions u8 x s8 for AVX2 share: products of 16-bit pairs, and sums to rounded numbers. */
#ifndef OCT_KERNELS_QCONV_PARTS_AVX2_H
#define OCT_KERNELS_QCONV_PARTS_AVX2_H

#include <immintrin.h>
#include "kernels/kernel.h"

#define FORCE static inline __attribute__((always_inline))

/* One pixel's pair of lanes times 16 columns. Assembly, because with intrinsics GCC 12 keeps some of the sums in memory, and in this
 * order, because the two products side by side take a tenth longer. */
#define DOT16(acc0, acc1, x, w0, w1)                                                                                               \
    do {                                                                                                                           \
        __m256i both, products;                                                                                                    \
        __asm__("vpbroadcastd %4, %2\n\tvpmaddwd %5, %2, %3\n\tvpaddd %3, %0, %0\n\tvpmaddwd %6, %2, %3\n\tvpaddd %3, %1, %1"      \
                : "+x"(acc0), "+x"(acc1), "=&x"(both), "=&x"(products) : "m"(x), "x"(w0), "x"(w1));                                \
    } while (0)

/* fl(fl(acc) * scale), with a residual + fl((res - res_zp) * res_scale), rounded to integers. */
FORCE __m256i rounded(__m256i acc, const float *scale, const uint8_t *res, const oct_qepilogue *e)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_load_ps(scale));
    if (res) {
        const __m256i r = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)res)), _mm256_set1_epi32(e->res_zp));
        v = _mm256_add_ps(v, _mm256_mul_ps(_mm256_cvtepi32_ps(r), _mm256_set1_ps(e->res_scale)));
    }
    return _mm256_cvtps_epi32(v);
}

#endif
