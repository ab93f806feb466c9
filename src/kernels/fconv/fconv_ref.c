/* Float convolution and gemm in plain C, the oracle of the family: one pixel at a time.  DESIGN 3.7, 6.2.
 * y = (((bias + a0*w0) + a1*w1) ... ) + residual, each product and sum rounded. */
#include "kernels/kernel.h"

#include "kernels/epilogue.h"
#include "kernels/rows.h"

enum { NR = 16 };

void oct_fconv_ref(const oct_fconv_args *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        const float *w = g->w;
        float acc[NR];
        for (int j = 0; j < NR; j++)
            acc[j] = w[j];
        w += NR;
        for (int32_t t = 0; t < g->tap_count; t++) {
            const float *a = (const float *)((const char *)g->a + i * g->px + g->taps[t]);
            for (int32_t k = 0; k < g->kc; k++, w += NR)
                for (int j = 0; j < NR; j++)
                    acc[j] += a[k] * w[j];
        }
        float *c = (float *)((char *)g->c + i * g->ldc);
        const float *res = g->res ? (const float *)((const char *)g->res + i * g->ldr) : NULL;
        for (int32_t j = 0; j < g->n; j++)
            c[j] = oct_clamp_f32(res ? acc[j] + res[j] : acc[j], g->lo, g->hi);
    }
}
