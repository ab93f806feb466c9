/* Packs the weights of a float convolution or gemm into panels: the one format that all fconv variants read (kernel.h). */
#include "kernels/kernel.h"

#include <string.h>

int64_t oct_fconv_panel_bytes(int32_t nr, int32_t tap_count, int32_t kc)
{
    return (1 + (int64_t)tap_count * kc) * nr * (int64_t)sizeof(float);
}

/* bias may be NULL (all 0). */
void oct_fconv_pack(int32_t nr, int32_t panel, int32_t oc, int32_t tap_count, int32_t kc, const float *w, const float *bias,
                    void *out)
{
    const int32_t first = panel * nr, n = oc - first < nr ? oc - first : nr;
    const int64_t k_total = (int64_t)tap_count * kc;
    float *packed = out;
    memset(out, 0, (size_t)oct_fconv_panel_bytes(nr, tap_count, kc));
    for (int32_t j = 0; j < n; j++) {
        packed[j] = bias ? bias[first + j] : 0.0f;
        for (int64_t k = 0; k < k_total; k++)
            packed[(1 + k) * nr + j] = w[(first + j) * k_total + k];
    }
}
