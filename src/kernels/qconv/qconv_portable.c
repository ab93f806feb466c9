/* u8 x s8 convolution and gemm for every machine with 128-bit vectors, in the compilers' generic vector types.
 *
 * The four weights of a column lie in one dword; as two 16-bit lanes, a shift gives taps 0 and 2 or 1 and 3 with their signs.
 * A product of u8 and s8 fits 16 bits, the two lanes of a dword are then added as 32 bits. Up to 4 pixels share the weights.
 * Little-endian, as every target of this library. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/qconv/each.h"
#include "kernels/rows.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lanes of a dword are read as little-endian");

typedef int16_t v8s16 __attribute__((vector_size(16)));
typedef uint16_t v8u16 __attribute__((vector_size(16)));
typedef int32_t v4s32 __attribute__((vector_size(16)));
typedef uint32_t v4u32 __attribute__((vector_size(16)));

enum { NR = 16, MR = 4, NV = NR / 4 };

/* Both halves of each dword, sign-extended and added. */
static inline v4s32 add_halves(v8s16 products)
{
    const v4s32 d = (v4s32)products;
    return ((v4s32)((v4u32)d << 16) >> 16) + (d >> 16);
}

static inline void tile(const oct_qconv_args *g, int64_t first, const int pixels)
{
    const int64_t k4 = ((int64_t)g->kc + 3) / 4;
    const v4s32 *bias = g->w;
    const v8s16 *w = (const v8s16 *)(bias + NV);
    v4s32 acc[MR][NV];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < NV; v++)
            acc[p][v] = bias[v];
    for (int32_t t = 0; t < g->tap_count; t++) {
        const uint8_t *a = g->a + first * g->px + g->taps[t];
        for (int64_t k = 0; k < k4; k++, a += 4, w += NV)
            for (int v = 0; v < NV; v++) {
                const v8s16 w02 = (v8s16)((v8u16)w[v] << 8) >> 8, w13 = w[v] >> 8;
                for (int p = 0; p < pixels; p++) {
                    uint32_t x;
                    memcpy(&x, a + p * g->px, 4);
                    const uint32_t x02 = x & 0x00ff00ff, x13 = x >> 8 & 0x00ff00ff;
                    acc[p][v] +=
                        add_halves((v8s16)(v4u32){x02, x02, x02, x02} * w02) + add_halves((v8s16)(v4u32){x13, x13, x13, x13} * w13);
                }
            }
    }
    const float *scale = (const float *)w;
    for (int p = 0; p < pixels; p++) {
        int32_t sums[NR];
        memcpy(sums, acc[p], sizeof sums);
        oct_epilogue_row(sums, g->n, scale, scale + NR, g->e, g->res ? g->res + (first + p) * g->ldr : NULL,
                         (uint8_t *)g->c + (first + p) * g->ldc);
    }
}

static void one_row(const oct_qconv_args *g)
{
    int64_t i = 0;
    for (; i + MR <= g->m; i += MR)
        tile(g, i, MR);
    for (; i < g->m; i++)
        tile(g, i, 1);
}

static void one_panel(const oct_qconv_args *g)
{
    oct_qconv_each_row(g, one_row);
}

void oct_qconv_portable(const oct_qconv_args *g)
{
    oct_qconv_each_panel(g, NR, one_panel);
}
