/* qdw for AVX-512 VNNI, 3x3 kernels; fastest with stride 1 and 2. */
#include "kernels/qdw/pack_avx512vnni.h"

#define BODY "kernels/qdw/3x3_avx512vnni.h"
#include "kernels/qdw/widths_avx512vnni.h"

enum { GROUPS = 3 };
static int32_t tap_of(int64_t group, int32_t place, int64_t taps) { return place < 3 ? (int32_t)(3 * place + group) : -1; }

int64_t oct_qdw_3x3_avx512vnni_bytes(int32_t c, int32_t kh, int32_t kw) { return packed_size(c, GROUPS); }

void oct_qdw_3x3_avx512vnni_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                                 void *out)
{
    pack_all(c, GROUPS, 9, tap_of, w, bias, scale, fbias, out);
}

void oct_qdw_3x3_avx512vnni(const oct_qdw_args *args) { RUN_BLOCKS(args, GROUPS); }
