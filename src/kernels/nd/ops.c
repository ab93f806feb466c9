/* The generic inner loops for the portable level, and the choice of a level's table. */
#include "kernels/nd/nd.h"

#include "kernels/nd/ops_body.h"
#include "kernels/nd/ops_tables.h"

typedef float vm __attribute__((vector_size(16)));
#define MM_W 4
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
