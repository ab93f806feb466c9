/* u8 x s8 convolution and gemm in plain C: the oracle of the family and the portable tactic.  DESIGN 3.4, 3.5, 6.2.
 *
 * Up to 4 pixels share one widening of the weights; every product of a u8 and an s8 fits 16 bits, which lets compilers use
 * the 16-bit multipliers that every vector unit has. */
#include "kernels/kernel.h"

#include "kernels/epilogue.h"
#include "kernels/rows.h"

enum { NR = 16, MR = 4 };

/* acc[p][j] += the dot product of pixel p's k4 block (4 codes) with column j. */
static inline void add_block(int32_t acc[MR][NR], const uint8_t *const a[MR], const int8_t *restrict w, int32_t pixels)
{
    int16_t wide[4][NR];
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < NR; j++)
            wide[k][j] = w[j * 4 + k];
    for (int32_t p = 0; p < pixels; p++)
        for (int k = 0; k < 4; k++) {
            const int16_t x = a[p][k];
            for (int j = 0; j < NR; j++)
                acc[p][j] += (int16_t)(x * wide[k][j]);
        }
}

static void tile(const oct_qconv_args *g, int64_t first, int32_t pixels)
{
    const int64_t k4 = ((int64_t)g->kc + 3) / 4;
    const int32_t *bias = g->w;
    const int8_t *w = (const int8_t *)(bias + NR);
    int32_t acc[MR][NR];
    for (int p = 0; p < MR; p++)
        for (int j = 0; j < NR; j++)
            acc[p][j] = bias[j];
    for (int32_t t = 0; t < g->tap_count; t++) {
        const uint8_t *a[MR];
        for (int32_t p = 0; p < MR; p++)
            a[p] = g->a + (first + (p < pixels ? p : 0)) * g->px + g->taps[t];
        for (int64_t k = 0; k < k4; k++, w += NR * 4) {
            if (pixels == MR)
                add_block(acc, a, w, MR);
            else
                add_block(acc, a, w, pixels);
            for (int p = 0; p < MR; p++)
                a[p] += 4;
        }
    }
    const float *scale = (const float *)w;
    for (int32_t p = 0; p < pixels; p++)
        oct_epilogue_row(acc[p], g->n, scale, scale + NR, g->e, g->res ? g->res + (first + p) * g->ldr : NULL,
                         (uint8_t *)g->c + (first + p) * g->ldc);
}

void oct_qconv_ref(const oct_qconv_args *g)
{
    for (int64_t i = 0; i < g->m; i += MR)
        tile(g, i, g->m - i < MR ? (int32_t)(g->m - i) : MR);
}
