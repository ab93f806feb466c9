/* u8 x s8 depthwise convolution in plain C: the oracle of the family and the portable tactic.  DESIGN 3.4, 3.5, 6.2.
 * Packed: [c s32 bias'][c f32 scale][c f32 fbias][kh*kw][c s8]. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/rows.h"

enum { BLOCK = 64 }; /* channels that accumulate together */

int64_t oct_qdw_ref_bytes(int32_t c, int32_t kh, int32_t kw)
{
    return (12 + (int64_t)kh * kw) * c;
}

void oct_qdw_ref_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale,
                      const float *fbias, void *out)
{
    const int64_t taps = (int64_t)kh * kw;
    int32_t *packed_bias = out;
    float *packed_scale = (float *)(packed_bias + c), *packed_fbias = packed_scale + c;
    int8_t *packed = (int8_t *)(packed_fbias + c);
    memcpy(packed_bias, bias, sizeof(int32_t) * (size_t)c);
    memcpy(packed_scale, scale, sizeof(float) * (size_t)c);
    for (int32_t ch = 0; ch < c; ch++) {
        packed_fbias[ch] = fbias ? fbias[ch] : 0.0f;
        for (int64_t t = 0; t < taps; t++)
            packed[t * c + ch] = w[ch * taps + t];
    }
}

/* Channels [first, first + n) of output pixel i. */
static inline void block(const oct_qdw_args *g, int64_t i, int32_t first, int32_t n)
{
    const int32_t *bias = g->w;
    const float *scale = (const float *)(bias + g->c), *fbias = scale + g->c;
    const int8_t *w = (const int8_t *)(fbias + g->c) + first;
    uint32_t acc[BLOCK]; /* wraps, as the vectors of the variants do: a plan from a foreign hand may hold any bias */
    memcpy(acc, bias + first, sizeof(int32_t) * (size_t)n);
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++, w += g->c) {
            const uint8_t *x = g->rows[ky] + i * g->px + kx * g->kx_step + first;
            for (int32_t j = 0; j < n; j++)
                acc[j] += (uint32_t)(int16_t)(x[j] * w[j]);
        }
    const int64_t size = oct_epilogue_size(g->e);
    oct_epilogue_row((const int32_t *)acc, n, scale + first, fbias + first, g->e, g->res ? g->res + i * g->ldr + first : NULL,
                     (uint8_t *)g->out + i * g->ldc + first * size);
}

void oct_qdw_ref(const oct_qdw_args *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        int32_t first = 0;
        for (; first + BLOCK <= g->c; first += BLOCK)
            block(g, i, first, BLOCK);
        if (first < g->c)
            block(g, i, first, g->c - first);
    }
}
