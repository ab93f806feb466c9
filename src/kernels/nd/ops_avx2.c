/* The generic inner loops for AVX2: the same source as the portable level, so the same bits; matmul with fused multiply-add. */
#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

typedef float vm __attribute__((vector_size(32)));
#define MM_W 8
#define MM_ROWS 6
#define MM_FMA(a, b, c) ((vm)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "kernels/nd/matmul_body.h"

OCT_ND_TABLE(oct_nd_ops_avx2);
#endif
