/* The generic inner loops for the portable level, and the choice of a level's table. */
#include "kernels/nd/nd.h"

#define ND_W 4
#define ND_MAX(v, s) nd_select((v) > (s), (v), (s))
#define ND_MIN(v, s) nd_select((v) < (s), (v), (s))
typedef float nd_v4 __attribute__((vector_size(16)));
typedef int32_t nd_v4i __attribute__((vector_size(16)));
static inline nd_v4 nd_select(nd_v4i c, nd_v4 a, nd_v4 b) { return (nd_v4)(((nd_v4i)a & c) | ((nd_v4i)b & ~c)); }

static inline __attribute__((always_inline)) void nd_load_tail(float block[16], const float *x, int n, float fill)
{
    for (int i = 0; i < 16; i++)
        block[i] = i < n ? x[i] : fill;
}
static inline __attribute__((always_inline)) void nd_store_tail(float *y, const float block[16], int n)
{
    for (int i = 0; i < n; i++)
        y[i] = block[i];
}

#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

#define MM_ROWS 4
#define MM_FMA(a, b, c) ((a) * (b) + (c))
#include "kernels/nd/matmul_body.h"

OCT_ND_TABLE(oct_nd_ops_portable);

const oct_nd_ops *oct_nd_ops_get(oct_isa isa)
{
    switch (isa) {
#if defined(__x86_64__)
    case OCT_ISA_AVX2: return &oct_nd_ops_avx2;
    case OCT_ISA_AVX512VNNI: return &oct_nd_ops_avx512vnni;
#endif
    default: return &oct_nd_ops_portable;
    }
}
