/* Packs the weights of a float depthwise convolution: [c bias][kh*kw][c weights], the one format of the family (kernel.h). */
#include "kernels/kernel.h"

int64_t oct_fdw_packed_bytes(int32_t c, int32_t kh, int32_t kw)
{
    return (1 + (int64_t)kh * kw) * c * (int64_t)sizeof(float);
}

/* w[c][kh*kw]; bias may be NULL (all 0). */
void oct_fdw_pack(int32_t c, int32_t kh, int32_t kw, const float *w, const float *bias, void *out)
{
    const int64_t taps = (int64_t)kh * kw;
    float *packed = out;
    for (int32_t ch = 0; ch < c; ch++) {
        packed[ch] = bias ? bias[ch] : 0.0f;
        for (int64_t t = 0; t < taps; t++)
            packed[(1 + t) * c + ch] = w[ch * taps + t];
    }
}
