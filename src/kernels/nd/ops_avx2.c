/* The generic inner loops for AVX2: the same source as the portable level, so the same bits; matmul with fused multiply-add. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#define ND_W 8
#define ND_MAX(v, s) ((vm)_mm256_max_ps((__m256)(v), (__m256)(s)))
#define ND_MIN(v, s) ((vm)_mm256_min_ps((__m256)(v), (__m256)(s)))

#define nd_pick(v, a, b) ((vm)_mm256_blendv_ps((__m256)(b), (__m256)(a), (__m256)(v)))
#define nd_scale(p, k)   ((vm)scaled((__m256)(p), (__m256)(k)))
/* 2^k in two factors, of which only the second product rounds: k reaches -150 and 128. */
static inline __m256 scaled(__m256 p, __m256 k)
{
    const __m256i n = _mm256_cvtps_epi32(k), half = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}
#define nd_highest(v) highest((__m256)(v))
static inline float highest(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static const int32_t tail_masks[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
static inline __m256i tail_mask(int n, int half) { return _mm256_loadu_si256((const __m256i *)(tail_masks + 16 - n + 8 * half)); }

static inline __attribute__((always_inline)) void nd_load_tail(float block[16], const float *x, int n, float fill)
{
    for (int half = 0; half < 2; half++) {
        const __m256i mask = tail_mask(n, half);
        const __m256 v = _mm256_maskload_ps(x + 8 * half, mask);
        _mm256_storeu_ps(block + 8 * half, _mm256_blendv_ps(_mm256_set1_ps(fill), v, _mm256_castsi256_ps(mask)));
    }
}
static inline __attribute__((always_inline)) void nd_store_tail(float *y, const float block[16], int n)
{
    _mm256_maskstore_ps(y, tail_mask(n, 0), _mm256_loadu_ps(block));
    _mm256_maskstore_ps(y + 8, tail_mask(n, 1), _mm256_loadu_ps(block + 8));
}

#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

#define MM_ROWS 6
#define MM_FMA(a, b, c) ((vm)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "kernels/nd/matmul_body.h"

OCT_ND_TABLE(oct_nd_ops_avx2);
#endif
