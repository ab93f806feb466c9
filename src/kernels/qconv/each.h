/* For kernels that compute one row of pixels times one panel at a time: the loops over a call's panels and rows. */
#ifndef OCT_KERNELS_QCONV_EACH_H
#define OCT_KERNELS_QCONV_EACH_H

#include "kernels/epilogue.h"
#include "kernels/kernel.h"

/* Panel by panel: one(g) sees one panel, n <= nr, and all rows. */
static inline void oct_qconv_each_panel(const oct_qconv_args *args, int32_t nr, oct_qconv_fn *one)
{
    oct_qconv_args g = *args;
    const int32_t size = oct_epilogue_size(args->e);
    for (int32_t first = 0; first < args->n; first += nr) {
        g.n = args->n - first < nr ? args->n - first : nr;
        one(&g);
        g.w = (const uint8_t *)g.w + g.panel_bytes;
        g.c = (uint8_t *)g.c + nr * size;
        g.res = g.res ? g.res + nr : NULL;
    }
}

/* And row by row. */
static inline void oct_qconv_each_row(const oct_qconv_args *args, oct_qconv_fn *one)
{
    oct_qconv_args g = *args;
    for (int32_t r = 0; r < args->rows; r++) {
        one(&g);
        g.a += g.row_px;
        g.c = (uint8_t *)g.c + g.row_ldc;
        g.res = g.res ? g.res + g.row_ldr : NULL;
    }
}

#endif
