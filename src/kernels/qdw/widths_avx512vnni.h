/* Makes BODY (a header) for vectors of 64, 32 and 16 bytes, on top of vec_avx512vnni.h. */
#define W         512
#define P(op)     _mm512_##op
#define VI        __m512i
#define VF        __m512
#define MASK      __mmask64
#define LANE_MASK __mmask16
#include "kernels/qdw/vec_avx512vnni.h"
#include BODY
#undef W
#undef P
#undef VI
#undef VF
#undef MASK
#undef LANE_MASK
#undef NAME2
#undef NAME1
#undef NAME
#undef BYTES
#define W         256
#define P(op)     _mm256_##op
#define VI        __m256i
#define VF        __m256
#define MASK      __mmask32
#define LANE_MASK __mmask8
#include "kernels/qdw/vec_avx512vnni.h"
#include BODY
#undef W
#undef P
#undef VI
#undef VF
#undef MASK
#undef LANE_MASK
#undef NAME2
#undef NAME1
#undef NAME
#undef BYTES
#define W         128
#define P(op)     _mm_##op
#define VI        __m128i
#define VF        __m128
#define MASK      __mmask16
#define LANE_MASK __mmask8
#include "kernels/qdw/vec_avx512vnni.h"
#include BODY
