/* qdw for 64-bit Arm, any kernel, stride and dilation: 16 channels at a time, products of 16 bits added into 32. The packed form is the
 * reference's, so that any machine can pack for this one. */
#include "kernels/kernel.h"
#include "kernels/rows.h"

int64_t oct_qdw_neon_bytes(int32_t c, int32_t kh, int32_t kw) { return oct_qdw_ref_bytes(c, kh, kw); }

void oct_qdw_neon_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                       void *out)
{
    oct_qdw_ref_pack(c, kh, kw, w, bias, scale, fbias, out);
}

#ifdef __aarch64__
#include <arm_neon.h>
#include "kernels/epilogue.h"

enum { BLOCK = 16 };

static void sums_of(const oct_qdw_args *g, const int32_t *bias, const int8_t *w, int64_t i, int32_t first, int32_t sums[BLOCK])
{
    int32x4_t acc[4];
    for (int v = 0; v < 4; v++)
        acc[v] = vld1q_s32(bias + first + 4 * v);
    w += first;
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++, w += g->c) {
            const uint8x16_t x = vld1q_u8(g->rows[ky] + i * g->px + kx * g->kx_step + first);
            const int8x16_t k = vld1q_s8(w);
            /* u8 x s8 is -32,640 to 32,385: it fits 16 bits */
            const int16x8_t low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x))), vmovl_s8(vget_low_s8(k)));
            const int16x8_t high = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(x))), vmovl_s8(vget_high_s8(k)));
            acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
            acc[1] = vaddw_s16(acc[1], vget_high_s16(low));
            acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
            acc[3] = vaddw_s16(acc[3], vget_high_s16(high));
        }
    for (int v = 0; v < 4; v++)
        vst1q_s32(sums + 4 * v, acc[v]);
}

static void sums_of_rest(const oct_qdw_args *g, const int32_t *bias, const int8_t *w, int64_t i, int32_t first, int32_t n, int32_t *sums)
{
    for (int32_t j = 0; j < n; j++) {
        const int8_t *k = w + first + j;
        uint32_t sum = (uint32_t)bias[first + j];
        for (int32_t ky = 0; ky < g->kh; ky++)
            for (int32_t kx = 0; kx < g->kw; kx++, k += g->c)
                sum += (uint32_t)(g->rows[ky][i * g->px + kx * g->kx_step + first + j] * *k);
        sums[j] = (int32_t)sum;
    }
}

void oct_qdw_neon(const oct_qdw_args *g)
{
    const int32_t *bias = g->w;
    const float *scale = (const float *)(bias + g->c), *fbias = scale + g->c;
    const int8_t *w = (const int8_t *)(fbias + g->c);
    const int64_t size = oct_epilogue_size(g->e);
    for (int64_t i = 0; i < g->m; i++)
        for (int32_t first = 0; first < g->c; first += BLOCK) {
            const int32_t n = g->c - first < BLOCK ? g->c - first : BLOCK;
            int32_t sums[BLOCK];
            if (n == BLOCK)
                sums_of(g, bias, w, i, first, sums);
            else
                sums_of_rest(g, bias, w, i, first, n, sums);
            oct_epilogue_row(sums, n, scale + first, fbias + first, g->e, g->res ? g->res + i * g->ldr + first : NULL,
                             (uint8_t *)g->out + i * g->ldc + first * size);
        }
}
#endif
