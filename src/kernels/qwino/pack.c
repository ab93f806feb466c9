/* Packs the weights of a Winograd convolution: U = G g G^T in 16 bits, panel by panel; sizes of panels and scratch.  Layout: kernel.h. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/qwino/transform.h"

int64_t oct_qwino_panel_bytes(int32_t nr, int32_t c)
{
    return 12 * (int64_t)nr + (int64_t)QWINO_POINTS * c * nr * 2;
}

int64_t oct_qwino_scratch_bytes(int32_t rows, int32_t cols, int32_t c)
{
    return QWINO_POINTS * (qwino_stride(qwino_tiles(rows) * qwino_tiles(cols), c) * 2 + (int64_t)QWINO_BLOCK * QWINO_NR * 4);
}

bool oct_qwino_is_exact(int32_t count, const int8_t *w, int32_t bias)
{
    int64_t least = bias, most = bias;
    for (int32_t i = 0; i < count; i++)
        *(w[i] < 0 ? &least : &most) += 255 * w[i];
    return least >= -(1 << 25) && most < 1 << 25;
}

/* y[6] = G w, where the three weights stand `step` apart. */
static void transform(const int32_t *w, int step, int32_t y[QWINO_IN])
{
    const int32_t a = w[0], b = w[step], c = w[2 * step];
    y[0] = 6 * a;
    y[1] = -4 * (a + b + c);
    y[2] = -4 * (a - b + c);
    y[3] = a + 2 * b + 4 * c;
    y[4] = a - 2 * b + 4 * c;
    y[5] = 6 * c;
}

/* One input channel of one output channel: 9 weights, `step` apart -> 36 points. */
static void transform_weights(const int8_t *w, int64_t step, int32_t u[QWINO_POINTS])
{
    int32_t g[9], half[QWINO_IN][3];
    for (int t = 0; t < 9; t++)
        g[t] = w[t * step];
    for (int x = 0; x < 3; x++) {
        int32_t column[QWINO_IN];
        transform(g + x, 3, column);
        for (int i = 0; i < QWINO_IN; i++)
            half[i][x] = column[i];
    }
    for (int i = 0; i < QWINO_IN; i++)
        transform(half[i], 1, u + QWINO_IN * i);
}

void oct_qwino_pack(int32_t nr, int32_t panel, int32_t oc, int32_t c, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                    void *out)
{
    const int32_t first = panel * nr, n = oc - first < nr ? oc - first : nr;
    memset(out, 0, (size_t)oct_qwino_panel_bytes(nr, c));
    int32_t *packed_bias = out;
    int16_t *rows = (int16_t *)(packed_bias + nr);
    float *packed_scale = (float *)(void *)(rows + (int64_t)QWINO_POINTS * c * nr), *packed_fbias = packed_scale + nr;
    for (int32_t j = 0; j < n; j++) {
        packed_bias[j] = bias[first + j];
        packed_scale[j] = scale[first + j];
        packed_fbias[j] = fbias ? fbias[first + j] : 0.0f;
        for (int32_t i = 0; i < c; i++) {
            int32_t u[QWINO_POINTS];
            transform_weights(w + (int64_t)(first + j) * 9 * c + i, c, u);
            for (int p = 0; p < QWINO_POINTS; p++)
                rows[(((int64_t)p * (c / 2) + i / 2) * nr + j) * 2 + i % 2] = (int16_t)u[p];
        }
    }
}
