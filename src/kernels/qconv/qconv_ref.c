/* u8 x s8 convolution and gemm in plain C, the oracle of the family: one pixel at a time.  DESIGN 3.4, 3.5, 6.2. */
#include "kernels/kernel.h"

#include "kernels/epilogue.h"
#include "kernels/qconv/each.h"
#include "kernels/rows.h"

enum { NR = 16 };

static void one_row(const oct_qconv_args *g)
{
    const int64_t k4 = ((int64_t)g->kc + 3) / 4;
    for (int64_t i = 0; i < g->m; i++) {
        const int32_t *bias = g->w;
        const int8_t *w = (const int8_t *)(bias + NR);
        uint32_t acc[NR]; /* wraps, as the vectors of the variants do: a plan from a foreign hand may hold any bias */
        for (int j = 0; j < NR; j++)
            acc[j] = (uint32_t)bias[j];
        for (int32_t t = 0; t < g->tap_count; t++) {
            const uint8_t *a = g->a + i * g->px + g->taps[t];
            for (int64_t k = 0; k < k4; k++, a += 4, w += NR * 4)
                for (int j = 0; j < NR; j++)
                    acc[j] += (uint32_t)(a[0] * w[4 * j] + a[1] * w[4 * j + 1] + a[2] * w[4 * j + 2] + a[3] * w[4 * j + 3]);
        }
        const float *scale = (const float *)w;
        oct_epilogue_row((const int32_t *)acc, g->n, scale, scale + NR, g->e, g->res ? g->res + i * g->ldr : NULL, (uint8_t *)g->c + i * g->ldc);
    }
}

static void one_panel(const oct_qconv_args *g)
{
    oct_qconv_each_row(g, one_row);
}

void oct_qconv_ref(const oct_qconv_args *g)
{
    oct_qconv_each_panel(g, NR, one_panel);
}
