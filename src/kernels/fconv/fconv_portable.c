/* Float convolution and gemm for every machine with 128-bit vectors, in the compilers' generic vector types: the sums of the
 * reference, bit for bit, two pixels at a time. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/rows.h"

typedef float v4f32 __attribute__((vector_size(16)));

enum { NR = 16, MR = 2, NV = NR / 4 };

static inline void tile(const oct_fconv_args *g, int64_t first, const int pixels)
{
    const v4f32 *w = g->w;
    v4f32 acc[MR][NV];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < NV; v++)
            acc[p][v] = w[v];
    w += NV;
    for (int32_t t = 0; t < g->tap_count; t++) {
        const char *a = (const char *)g->a + first * g->px + g->taps[t];
        for (int32_t k = 0; k < g->kc; k++, a += sizeof(float), w += NV)
            for (int p = 0; p < pixels; p++) {
                const float x = *(const float *)(a + p * g->px);
                for (int v = 0; v < NV; v++)
                    acc[p][v] += x * w[v];
            }
    }
    for (int p = 0; p < pixels; p++) {
        float *c = (float *)((char *)g->c + (first + p) * g->ldc), sums[NR];
        const float *res = g->res ? (const float *)((const char *)g->res + (first + p) * g->ldr) : NULL;
        memcpy(sums, acc[p], sizeof sums);
        for (int32_t j = 0; j < g->n; j++)
            c[j] = oct_clamp_f32(res ? sums[j] + res[j] : sums[j], g->lo, g->hi);
    }
}

void oct_fconv_portable(const oct_fconv_args *g)
{
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(g, i, MR);
    if (i < g->m)
        tile(g, i, 1);
}
