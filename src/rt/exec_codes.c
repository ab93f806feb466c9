/* Elementwise steps on u8 codes: table, add, multiply.  DESIGN 3.5, 3.6. Rows that are dense go straight into the span kernels, the
 * others through a chunk on the stack; both operands broadcast. */
#include "rt/exec_loop.h"

#include <string.h>

typedef struct table_job {
    oct_table_span_fn *fn;
    const uint8_t *table;
} table_job;

static void table_tile(void *arg, const oct_nd_tile *t)
{
    const table_job *job = arg;
    uint8_t chunk[OCT_ND_CHUNK];
    for (int64_t r = 0; r < t->rows; r++) {
        uint8_t *y = (uint8_t *)t->data[0] + r * t->row_step[0];
        const uint8_t *x = (const uint8_t *)t->data[1] + r * t->row_step[1];
        if (t->col_step[0] == 1 && t->col_step[1] == 1) {
            job->fn(x, y, t->cols, job->table);
            continue;
        }
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            oct_nd_gather_row(1, x + c * t->col_step[1], t->col_step[1], n, chunk);
            job->fn(chunk, chunk, n, job->table);
            oct_nd_scatter_row(1, y + c * t->col_step[0], t->col_step[0], n, chunk);
        }
    }
}

void oct_exec_table(oct_exec *x)
{
    const oct_table_kernel *kernel = x->kernel ? x->kernel : oct_table_best(oct_exec_isa(x));
    table_job job = {kernel->fn, oct_exec_const(x, ((const oct_p_table *)x->params)->table_at)};
    oct_exec_elementwise(x, 0, 1, 4 * OCT_ND_GRAIN, table_tile, &job);
}

typedef struct binary_job {
    oct_qbinary_span_fn *fn;
    oct_qbinary q, swapped; /* both operations commute in every rounding, so a may stand second */
} binary_job;

static void binary_chunks(const binary_job *job, const uint8_t *a, int64_t a_step, const uint8_t *b, int64_t b_step, uint8_t *y,
                          int64_t y_step, int64_t n)
{
    uint8_t pa[OCT_ND_CHUNK], pb[OCT_ND_CHUNK];
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        oct_nd_gather_row(1, a + i * a_step, a_step, m, pa);
        oct_nd_gather_row(1, b + i * b_step, b_step, m, pb);
        job->fn(pa, pb, 1, pa, m, &job->q);
        oct_nd_scatter_row(1, y + i * y_step, y_step, m, pa);
    }
}

/* One short row of b for all rows of a (the gate of each channel, NHWC): repeated, so that several rows make one span. */
static void binary_repeated(const binary_job *job, const oct_nd_tile *t)
{
    uint8_t row[OCT_ND_CHUNK];
    const int64_t together = oct_min64(OCT_ND_CHUNK / t->cols, t->rows);
    for (int64_t i = 0; i < together; i++)
        memcpy(row + i * t->cols, t->data[2], (size_t)t->cols);
    for (int64_t r = 0; r < t->rows; r += together)
        job->fn((const uint8_t *)t->data[1] + r * t->cols, row, 1, (uint8_t *)t->data[0] + r * t->cols, oct_min64(together, t->rows - r) * t->cols, &job->q);
}

static void binary_tile(void *arg, const oct_nd_tile *t)
{
    const binary_job *job = arg;
    const int64_t sa = t->col_step[1], sb = t->col_step[2];
    if (sa == 1 && sb == 1 && t->col_step[0] == 1 && t->row_step[2] == 0 && t->row_step[0] == t->cols && t->row_step[1] == t->cols && t->rows > 1 &&
        2 * t->cols <= OCT_ND_CHUNK) {
        binary_repeated(job, t);
        return;
    }
    for (int64_t r = 0; r < t->rows; r++) {
        uint8_t *y = (uint8_t *)t->data[0] + r * t->row_step[0];
        const uint8_t *a = (const uint8_t *)t->data[1] + r * t->row_step[1], *b = (const uint8_t *)t->data[2] + r * t->row_step[2];
        if (t->col_step[0] == 1 && sa == 1 && (sb == 1 || sb == 0))
            job->fn(a, b, (int)sb, y, t->cols, &job->q);
        else if (t->col_step[0] == 1 && sa == 0 && sb == 1)
            job->fn(b, a, 0, y, t->cols, &job->swapped);
        else
            binary_chunks(job, a, sa, b, sb, y, t->col_step[0], t->cols);
    }
}

static void run_binary(oct_exec *x, oct_qbinary_span_fn *fn, bool is_mul)
{
    const oct_qbinary q = ((const oct_p_qbinary *)x->params)->q;
    binary_job job = {fn, q, q};
    job.swapped.za = q.zb;
    job.swapped.zb = q.za;
    if (!is_mul) {
        job.swapped.ma = q.mb;
        job.swapped.mb = q.ma;
    }
    oct_exec_elementwise(x, 0, 2, 2 * OCT_ND_GRAIN, binary_tile, &job);
}

void oct_exec_qadd(oct_exec *x)
{
    const oct_qadd_kernel *kernel = x->kernel ? x->kernel : oct_qadd_best(oct_exec_isa(x));
    run_binary(x, kernel->fn, false);
}

void oct_exec_qmul(oct_exec *x)
{
    const oct_qmul_kernel *kernel = x->kernel ? x->kernel : oct_qmul_best(oct_exec_isa(x));
    run_binary(x, kernel->fn, true);
}
