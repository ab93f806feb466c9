/* The generic inner loops for AVX-512: the same source as the portable level, so the same bits; matmul with fused multiply-add. */
#if defined(__x86_64__)
#include <immintrin.h>
#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

typedef float vm __attribute__((vector_size(64)));
#define MM_W 16
#define MM_ROWS 8
#define MM_FMA(a, b, c) ((vm)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#include "kernels/nd/matmul_body.h"

OCT_ND_TABLE(oct_nd_ops_avx512vnni);
#endif
