/* Float product of two activations (attention), compiled per ISA level. The includer defines the vector type vm, MM_W (floats of a
 * vector), MM_ROWS (rows of a tile) and MM_FMA(a, b, c) = a*b + c; levels with a fused multiply-add round differently.
 *
 * Two vectors of columns by MM_ROWS rows in registers; B goes through a small panel on the stack unless its columns are dense.
 * Products by constant matrices do not come here: they are convolution steps with packed weights. */
#include <string.h>
#include "kernels/nd/nd.h"

enum { MM_NR = 2 * MM_W };
typedef float vmu __attribute__((vector_size(4 * MM_W), aligned(4), may_alias));

/* rows x n of C over kc terms from b (ldb floats between terms): acc starts at C or 0. */
static inline __attribute__((always_inline)) void mm_tile(const oct_nd_matmul *g, const int rows, int64_t i, int64_t j, int64_t p, int64_t kc,
                                                          const float *b, int64_t ldb, int64_t n)
{
    vm acc[MM_ROWS][2];
    float edge[MM_NR];
    const float *a = g->a + i * g->a_row + p * g->a_k;
    float *c = g->c + i * g->c_row + j * g->c_col;
    const bool direct = g->c_col == 1 && n == MM_NR;
    for (int r = 0; r < rows; r++) {
        if (p == 0) {
            acc[r][0] = acc[r][1] = (vm){0};
        } else if (direct) {
            acc[r][0] = *(const vmu *)(c + r * g->c_row);
            acc[r][1] = *(const vmu *)(c + r * g->c_row + MM_W);
        } else {
            memset(edge, 0, sizeof edge);
            for (int64_t q = 0; q < n; q++)
                edge[q] = c[r * g->c_row + q * g->c_col];
            acc[r][0] = *(const vmu *)edge;
            acc[r][1] = *(const vmu *)(edge + MM_W);
        }
    }
    for (int64_t t = 0; t < kc; t++, b += ldb, a += g->a_k) {
        const vm b0 = *(const vmu *)b, b1 = *(const vmu *)(b + MM_W);
        for (int r = 0; r < rows; r++) {
            const vm x = a[r * g->a_row] - (vm){0};
            acc[r][0] = MM_FMA(x, b0, acc[r][0]);
            acc[r][1] = MM_FMA(x, b1, acc[r][1]);
        }
    }
    const float alpha = p + kc == g->k ? g->alpha : 1.0f;
    for (int r = 0; r < rows; r++) {
        const vm v0 = acc[r][0] * alpha, v1 = acc[r][1] * alpha;
        if (direct) {
            *(vmu *)(c + r * g->c_row) = v0;
            *(vmu *)(c + r * g->c_row + MM_W) = v1;
        } else {
            *(vmu *)edge = v0;
            *(vmu *)(edge + MM_W) = v1;
            for (int64_t q = 0; q < n; q++)
                c[r * g->c_row + q * g->c_col] = edge[q];
        }
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
            int64_t ldb = MM_NR, i = 0;
            if (g->b_col == 1 && n == MM_NR) {
                b = g->b + p * g->b_k + j;
                ldb = g->b_k;
            } else {
                mm_pack(g, j, p, kc, n, panel);
            }
            for (; i + MM_ROWS <= g->m; i += MM_ROWS)
                mm_tile(g, MM_ROWS, i, j, p, kc, b, ldb, n);
            if (i + MM_ROWS / 2 <= g->m) {
                mm_tile(g, MM_ROWS / 2, i, j, p, kc, b, ldb, n);
                i += MM_ROWS / 2;
            }
            for (; i < g->m; i++)
                mm_tile(g, 1, i, j, p, kc, b, ldb, n);
        }
    }
}
