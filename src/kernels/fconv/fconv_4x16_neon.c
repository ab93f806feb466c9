/* fconv for 64-bit Arm: 4 pixels x 16 columns. Every sum is one chain of fused multiply-adds in the order of k, starting from the
 * bias: the same bits as the AVX2 and AVX-512 variants, whatever m and n. */
#ifdef __aarch64__
#include <arm_neon.h>
#include "kernels/epilogue.h"
#include "kernels/kernel.h"
#include "kernels/rows.h"

enum { MR = 4, NR = 16, NV = NR / 4 };

static inline __attribute__((always_inline)) void tile(const int ROWS, const oct_fconv_args *g, int64_t first)
{
    const float *w = g->w;
    float32x4_t acc[MR][NV];
    for (int i = 0; i < ROWS; i++)
        for (int v = 0; v < NV; v++)
            acc[i][v] = vld1q_f32(w + 4 * v);
    w += NR;
    for (int32_t t = 0; t < g->tap_count; t++) {
        const char *a = (const char *)g->a + first * g->px + g->taps[t];
        for (int32_t k = 0; k < g->kc; k++, a += sizeof(float), w += NR)
            for (int v = 0; v < NV; v++) {
                const float32x4_t weights = vld1q_f32(w + 4 * v);
                for (int i = 0; i < ROWS; i++)
                    acc[i][v] = vfmaq_n_f32(acc[i][v], weights, *(const float *)(const void *)(a + i * g->px));
            }
    }
    for (int i = 0; i < ROWS; i++) {
        float *c = (float *)(void *)((char *)g->c + (first + i) * g->ldc), sums[NR];
        const float *res = g->res ? (const float *)(const void *)((const char *)g->res + (first + i) * g->ldr) : NULL;
        for (int v = 0; v < NV; v++)
            vst1q_f32(sums + 4 * v, acc[i][v]);
        for (int32_t j = 0; j < g->n; j++)
            c[j] = oct_clamp_f32(res ? sums[j] + res[j] : sums[j], g->lo, g->hi);
    }
}

void oct_fconv_4x16_neon(const oct_fconv_args *g)
{
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(4, g, i);
    for (; i < g->m; i++)
        tile(1, g, i);
}
#endif
