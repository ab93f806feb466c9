/* fdw for 64-bit Arm: 8 channels together, one chain of fused multiply-adds for each output in the order of the taps: the same bits as
 * the AVX2 and AVX-512 variants. DESIGN 3.7. */
#ifdef __aarch64__
#include <arm_neon.h>
#include <math.h>
#include "kernels/epilogue.h"
#include "kernels/kernel.h"
#include "kernels/rows.h"

static float one(const oct_fdw_args *g, int64_t i, int32_t ch)
{
    const float *w = (const float *)g->w + ch;
    float sum = *w;
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++)
            sum = fmaf(*((const float *)(const void *)((const char *)g->rows[ky] + i * g->px + kx * g->kx_step) + ch), *(w += g->c), sum);
    return sum;
}

static void eight(const oct_fdw_args *g, int64_t i, int32_t first, float sums[8])
{
    const float *w = (const float *)g->w + first;
    float32x4_t a = vld1q_f32(w), b = vld1q_f32(w + 4);
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++) {
            const float *x = (const float *)(const void *)((const char *)g->rows[ky] + i * g->px + kx * g->kx_step) + first;
            w += g->c;
            a = vfmaq_f32(a, vld1q_f32(x), vld1q_f32(w));
            b = vfmaq_f32(b, vld1q_f32(x + 4), vld1q_f32(w + 4));
        }
    vst1q_f32(sums, a);
    vst1q_f32(sums + 4, b);
}

void oct_fdw_neon(const oct_fdw_args *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        float *out = (float *)(void *)((char *)g->out + i * g->ldc), sums[8];
        const float *res = g->res ? (const float *)(const void *)((const char *)g->res + i * g->ldr) : NULL;
        for (int32_t first = 0; first < g->c; first += 8) {
            const int32_t n = g->c - first < 8 ? g->c - first : 8;
            if (n == 8)
                eight(g, i, first, sums);
            for (int32_t j = 0; j < n; j++) {
                const float v = n == 8 ? sums[j] : one(g, i, first + j);
                out[first + j] = oct_clamp_f32(res ? v + res[first + j] : v, g->lo, g->hi);
            }
        }
    }
}
#endif
