/* qdw for AVX-512 VNNI, any kernel, stride and dilation. */
#include "kernels/qdw/pack_avx512vnni.h"

#define BODY "kernels/qdw/any_avx512vnni.h"
#include "kernels/qdw/widths_avx512vnni.h"

static int64_t group_count(int32_t kh, int32_t kw)
{
    return ((int64_t)kh * kw + 3) / 4;
}
static int32_t tap_of(int64_t group, int32_t place, int64_t taps)
{
    const int64_t tap = 4 * group + place;
    return tap < taps ? (int32_t)tap : -1;
}

int64_t oct_qdw_any_avx512vnni_bytes(int32_t c, int32_t kh, int32_t kw)
{
    return packed_size(c, group_count(kh, kw));
}

void oct_qdw_any_avx512vnni_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale,
                                 const float *fbias, void *out)
{
    const dw_source s = {group_count(kh, kw), (int64_t)kh * kw, tap_of, w, bias, scale, fbias};
    pack_all(&s, c, out);
}

void oct_qdw_any_avx512vnni(const oct_qdw_args *args)
{
    RUN_BLOCKS(args, group_count(args->kh, args->kw));
}
