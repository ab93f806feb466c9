/* Float product of two activations (attention), compiled per ISA level with ops_body.h. The includer defines MM_ROWS (rows of a
 * tile, at most 8) and MM_FMA(a, b, c) = a*b + c on vectors; levels with a fused multiply-add round differently.
 *
 * Two vectors of columns (one at the edge) by MM_ROWS rows in registers; B goes through a small panel on the stack unless its
 * columns are dense. Products by constant matrices do not come here: they are convolution steps with packed weights. */
#include "kernels/nd/nd.h"

enum { MM_NR = 2 * ND_W };

static inline vm mm_load(const float *p, int64_t step, int64_t n)
{
    float edge[ND_W] = {0};
    if (step == 1 && n == ND_W)
        return *(const vmu *)p;
    for (int64_t q = 0; q < n; q++)
        edge[q] = p[q * step];
    return *(const vmu *)edge;
}

static inline void mm_store(float *p, int64_t step, int64_t n, vm v)
{
    float edge[ND_W];
    if (step == 1 && n == ND_W) {
        *(vmu *)p = v;
        return;
    }
    *(vmu *)edge = v;
    for (int64_t q = 0; q < n; q++)
        p[q * step] = edge[q];
}

/* rows x n of C over kc terms from b (ldb floats between terms), n <= vectors * ND_W: acc starts at C or 0. */
static inline __attribute__((always_inline)) void mm_tile(const oct_nd_matmul *g, const int rows, const int vectors, const float *a,
                                                          float *c, int64_t kc, bool first, float alpha, const float *b,
                                                          int64_t ldb, int64_t n)
{
    vm acc[MM_ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            acc[r][v] = first
                            ? (vm){0}
                            : mm_load(c + r * g->c_row + v * ND_W * g->c_col, g->c_col, n - v * ND_W < ND_W ? n - v * ND_W : ND_W);
    for (int64_t t = 0; t < kc; t++, b += ldb, a += g->a_k) {
        const vm b0 = *(const vmu *)b, b1 = vectors > 1 ? (vm) * (const vmu *)(b + ND_W) : b0;
        for (int r = 0; r < rows; r++) {
            const vm x = a[r * g->a_row] - (vm){0};
            acc[r][0] = MM_FMA(x, b0, acc[r][0]);
            if (vectors > 1)
                acc[r][1] = MM_FMA(x, b1, acc[r][1]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            mm_store(c + r * g->c_row + v * ND_W * g->c_col, g->c_col, n - v * ND_W < ND_W ? n - v * ND_W : ND_W,
                     acc[r][v] * alpha);
}

/* All rows of one panel, in tiles as even as possible: a remainder of one row would wait for its own sums. */
static inline __attribute__((always_inline)) void mm_rows(const oct_nd_matmul *g, const int vectors, int64_t j, int64_t p,
                                                          int64_t kc, const float *b, int64_t ldb, int64_t n)
{
    const int64_t tiles = (g->m + MM_ROWS - 1) / MM_ROWS;
    const float alpha = p + kc == g->k ? g->alpha : 1.0f;
    for (int64_t t = 0, i = 0; t < tiles; t++) {
        const int64_t rows = (g->m - i + tiles - t - 1) / (tiles - t);
        const float *a = g->a + i * g->a_row + p * g->a_k;
        float *c = g->c + i * g->c_row + j * g->c_col;
        i += rows;
#define MM_CASE(k)                                                                                                                 \
    case k:                                                                                                                        \
        if (k <= MM_ROWS)                                                                                                          \
            mm_tile(g, k <= MM_ROWS ? k : 1, vectors, a, c, kc, p == 0, alpha, b, ldb, n);                                         \
        break;
        switch (rows) {
            MM_CASE(1)
            MM_CASE(2)
            MM_CASE(3)
            MM_CASE(4)
            MM_CASE(5)
            MM_CASE(6)
            MM_CASE(7)
            MM_CASE(8)
        default: break;
        }
#undef MM_CASE
    }
}

/* kc terms of n columns from column j on, zeros beyond n. */
static void mm_pack(const oct_nd_matmul *g, int64_t j, int64_t p, int64_t kc, int64_t n, float *panel)
{
    const float *b = g->b + p * g->b_k + j * g->b_col;
    if (n < MM_NR)
        memset(panel, 0, sizeof(float) * (size_t)(kc * MM_NR));
    if (g->b_k == 1) {
        nd_transpose(sizeof(float), n, kc, b, g->b_col * (int64_t)sizeof(float), panel, MM_NR * (int64_t)sizeof(float));
        return;
    }
    for (int64_t t = 0; t < kc; t++)
        for (int64_t q = 0; q < n; q++)
            panel[t * MM_NR + q] = b[t * g->b_k + q * g->b_col];
}

static void nd_matmul(const oct_nd_matmul *g)
{
    float panel[OCT_ND_MATMUL_K * MM_NR] __attribute__((aligned(64)));
    for (int64_t j = 0; j < g->n; j += MM_NR) {
        const int64_t n = g->n - j < MM_NR ? g->n - j : MM_NR;
        for (int64_t p = 0; p < g->k || p == 0; p += OCT_ND_MATMUL_K) {
            const int64_t kc = g->k - p < OCT_ND_MATMUL_K ? g->k - p : OCT_ND_MATMUL_K;
            const float *b = panel;
            int64_t ldb = MM_NR;
            if (g->b_col == 1 && (n == MM_NR || n == ND_W)) {
                b = g->b + p * g->b_k + j;
                ldb = g->b_k;
            } else {
                mm_pack(g, j, p, kc, n, panel);
            }
            if (n > ND_W)
                mm_rows(g, 2, j, p, kc, b, ldb, n);
            else
                mm_rows(g, 1, j, p, kc, b, ldb, n);
        }
    }
}
