/* The generic inner loops for AVX-512: the same source as the portable level, so the same bits; matmul with fused multiply-add. */
#if defined(__x86_64__)
#include <immintrin.h>

#define ND_W 16
#define ND_MAX(v, s) ((vm)_mm512_max_ps((__m512)(v), (__m512)(s)))
#define ND_MIN(v, s) ((vm)_mm512_min_ps((__m512)(v), (__m512)(s)))

#define nd_pick(v, a, b) ((vm)_mm512_mask_mov_ps((__m512)(b), _mm512_movepi32_mask((__m512i)(v)), (__m512)(a)))
#define nd_scale(p, k)   ((vm)_mm512_scalef_ps((__m512)(p), (__m512)(k)))
#define nd_highest(v) _mm512_reduce_max_ps((__m512)(v))

static inline __attribute__((always_inline)) void nd_load_tail(float block[16], const float *x, int n, float fill)
{
    _mm512_storeu_ps(block, _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), x));
}
static inline __attribute__((always_inline)) void nd_store_tail(float *y, const float block[16], int n)
{
    _mm512_mask_storeu_ps(y, (__mmask16)((1u << n) - 1), _mm512_loadu_ps(block));
}

#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

#define MM_ROWS 8
#define MM_FMA(a, b, c) ((vm)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#include "kernels/nd/matmul_body.h"

OCT_ND_TABLE(oct_nd_ops_avx512vnni);
#endif
