/* Packs the weights of a u8 x s8 convolution or gemm into panels: the one format that all qconv variants read.
 * Layout: kernel.h. Not the place where bias' is computed: the caller folds the zero point of the input. */
#include "kernels/kernel.h"

#include <string.h>

int64_t oct_qconv_panel_bytes(int32_t nr, int32_t tap_count, int32_t kc)
{
    int64_t k4 = ((int64_t)kc + 3) / 4;
    return 12 * (int64_t)nr + tap_count * k4 * nr * 4;
}

void oct_qconv_pack(int32_t nr, int32_t panel, int32_t oc, int32_t tap_count, int32_t kc, const int8_t *w, const int32_t *bias,
                    const float *scale, const float *fbias, void *out)
{
    const int32_t first = panel * nr, n = oc - first < nr ? oc - first : nr;
    const int64_t k4 = ((int64_t)kc + 3) / 4, k_total = (int64_t)tap_count * kc;
    memset(out, 0, (size_t)oct_qconv_panel_bytes(nr, tap_count, kc));
    int32_t *packed_bias = out;
    int8_t *rows = (int8_t *)(packed_bias + nr);
    float *packed_scale = (float *)(rows + tap_count * k4 * nr * 4), *packed_fbias = packed_scale + nr;
    for (int32_t j = 0; j < n; j++) {
        packed_bias[j] = bias[first + j];
        packed_scale[j] = scale[first + j];
        packed_fbias[j] = fbias ? fbias[first + j] : 0.0f;
        const int8_t *column = w + (first + j) * k_total;
        for (int32_t t = 0; t < tap_count; t++)
            for (int32_t k = 0; k < kc; k++)
                rows[((t * k4 + k / 4) * nr + j) * 4 + k % 4] = column[(int64_t)t * kc + k];
    }
}
