/* Float depthwise convolution in plain C: the oracle of the family and the portable tactic.  DESIGN 3.7, 6.2.
 * y = bias + products in the order of the taps, + residual, clamped; each step rounded. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/rows.h"

enum { BLOCK = 32 }; /* channels that accumulate together */

/* Channels [first, first + n) of output pixel i. */
static inline void block(const oct_fdw_args *g, int64_t i, int32_t first, int32_t n)
{
    const float *w = (const float *)g->w + first;
    float acc[BLOCK];
    memcpy(acc, w, sizeof(float) * (size_t)n);
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++) {
            const float *x = (const float *)((const char *)g->rows[ky] + i * g->px + kx * g->kx_step) + first;
            w += g->c;
            for (int32_t j = 0; j < n; j++)
                acc[j] += x[j] * w[j];
        }
    float *out = (float *)((char *)g->out + i * g->ldc) + first;
    const float *res = g->res ? (const float *)((const char *)g->res + i * g->ldr) + first : NULL;
    for (int32_t j = 0; j < n; j++)
        out[j] = oct_clamp_f32(res ? acc[j] + res[j] : acc[j], g->lo, g->hi);
}

void oct_fdw_ref(const oct_fdw_args *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        int32_t first = 0;
        for (; first + BLOCK <= g->c; first += BLOCK)
            block(g, i, first, BLOCK);
        if (first < g->c)
            block(g, i, first, g->c - first);
    }
}
