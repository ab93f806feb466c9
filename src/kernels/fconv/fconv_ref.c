/* Float convolution and gemm in plain C: the oracle of the family and the portable tactic.  DESIGN 3.7, 6.2.
 *
 * y = (((bias + a0*w0) + a1*w1) ... ) + residual, each product and sum rounded; a column's sum never depends on the tile. */
#include "kernels/kernel.h"

#include "kernels/epilogue.h"
#include "kernels/rows.h"

enum { NR = 16, MR = 4 };

static inline void tile(const oct_fconv_args *g, int64_t first, int32_t pixels)
{
    const float *w = g->w;
    float acc[MR][NR];
    for (int p = 0; p < MR; p++)
        for (int j = 0; j < NR; j++)
            acc[p][j] = w[j];
    w += NR;
    for (int32_t t = 0; t < g->tap_count; t++) {
        const float *a = (const float *)((const char *)g->a + first * g->px + g->taps[t]);
        for (int32_t k = 0; k < g->kc; k++, w += NR)
            for (int32_t p = 0; p < pixels; p++) {
                const float x = *(const float *)((const char *)(a + k) + p * g->px);
                for (int j = 0; j < NR; j++)
                    acc[p][j] += x * w[j];
            }
    }
    for (int32_t p = 0; p < pixels; p++) {
        float *c = (float *)((char *)g->c + (first + p) * g->ldc);
        const float *res = g->res ? (const float *)((const char *)g->res + (first + p) * g->ldr) : NULL;
        for (int32_t j = 0; j < g->n; j++)
            c[j] = oct_clamp_f32(res ? acc[p][j] + res[j] : acc[p][j], g->lo, g->hi);
    }
}

void oct_fconv_ref(const oct_fconv_args *g)
{
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(g, i, MR);
    for (; i < g->m; i++)
        tile(g, i, 1);
}
