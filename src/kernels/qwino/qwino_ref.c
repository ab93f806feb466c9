/* Winograd convolution u8 x s8 in plain C, the oracle of the family: one tile and one output channel at a time. */
#include "kernels/epilogue.h"
#include "kernels/kernel.h"
#include "kernels/qwino/transform.h"
#include "kernels/rows.h"

#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define TIMES4(a) (4 * (a))

/* The 6 x 6 inputs of one channel -> 36 points. */
static void transform_input(const uint8_t *a, ptrdiff_t row_bytes, int32_t c, int16_t *v)
{
    int32_t half[QWINO_IN][QWINO_IN];
    for (int x = 0; x < QWINO_IN; x++) {
        int32_t d[QWINO_IN], y[QWINO_IN];
        for (int r = 0; r < QWINO_IN; r++)
            d[r] = a[r * row_bytes + (ptrdiff_t)x * c];
        QWINO_INPUT(int32_t, ADD, SUB, TIMES4, d, y);
        for (int i = 0; i < QWINO_IN; i++)
            half[i][x] = y[i];
    }
    for (int i = 0; i < QWINO_IN; i++) {
        int32_t y[QWINO_IN];
        QWINO_INPUT(int32_t, ADD, SUB, TIMES4, half[i], y);
        for (int j = 0; j < QWINO_IN; j++)
            v[(QWINO_IN * i + j) * c] = (int16_t)y[j];
    }
}

/* 36 sums of products -> 16 sums of the convolution, bias added. */
static void transform_output(const uint32_t *m, int32_t bias, int32_t *acc)
{
    uint32_t half[QWINO_IN][QWINO_TILE];
    for (int i = 0; i < QWINO_IN; i++)
        QWINO_OUTPUT(uint32_t, ADD, SUB, TIMES4, m + QWINO_IN * i, half[i]);
    for (int x = 0; x < QWINO_TILE; x++) {
        uint32_t column[QWINO_IN], y[QWINO_TILE];
        for (int i = 0; i < QWINO_IN; i++)
            column[i] = half[i][x];
        QWINO_OUTPUT(uint32_t, ADD, SUB, TIMES4, column, y);
        for (int r = 0; r < QWINO_TILE; r++)
            acc[QWINO_TILE * r + x] = (int32_t)(y[r] * QWINO_INVERSE + ((uint32_t)bias << QWINO_SHIFT)) >> QWINO_SHIFT;
    }
}

static void one_channel(const oct_qwino_args *g, int32_t y0, int32_t x0, int32_t channel, const int16_t *v)
{
    const uint8_t *panel = (const uint8_t *)g->w + channel / QWINO_NR * g->panel_bytes;
    const int32_t *bias = (const int32_t *)(const void *)panel;
    const int16_t *w = (const int16_t *)(bias + QWINO_NR);
    const float *scale = (const float *)(const void *)(w + (int64_t)QWINO_POINTS * g->c * QWINO_NR);
    const int32_t j = channel % QWINO_NR, size = oct_epilogue_size(g->e);
    uint32_t m[QWINO_POINTS] = {0};
    int32_t acc[QWINO_TILE * QWINO_TILE];
    for (int p = 0; p < QWINO_POINTS; p++)
        for (int32_t i = 0; i < g->c; i++)
            m[p] += (uint32_t)(v[p * g->c + i] * w[(((int64_t)p * (g->c / 2) + i / 2) * QWINO_NR + j) * 2 + i % 2]);
    transform_output(m, bias[j], acc);
    for (int32_t y = y0; y < y0 + QWINO_TILE && y < g->rows; y++)
        for (int32_t x = x0; x < x0 + QWINO_TILE && x < g->cols; x++)
            oct_epilogue_row(&acc[QWINO_TILE * (y - y0) + x - x0], 1, scale + j, scale + QWINO_NR + j, g->e,
                             g->res ? g->res + y * g->row_ldr + x * g->ldr + channel : NULL,
                             (uint8_t *)g->out + y * g->row_ldc + x * g->ldc + (ptrdiff_t)channel * size);
}

void oct_qwino_ref(const oct_qwino_args *g)
{
    int16_t *v = g->scratch;
    for (int32_t y = 0; y < g->rows; y += QWINO_TILE)
        for (int32_t x = 0; x < g->cols; x += QWINO_TILE) {
            for (int32_t i = 0; i < g->c; i++)
                transform_input(g->a + y * g->row_bytes + (ptrdiff_t)x * g->c + i, g->row_bytes, g->c, v + i);
            for (int32_t j = 0; j < g->n; j++)
                one_channel(g, y, x, j, v);
        }
}
