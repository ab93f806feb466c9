/* matmul of two activations, f32 or codes, with broadcast batch dims and any strides; units are blocks of rows of one product.  Rank-1
 * operands are matrices by the time they get here (the lowering adds the dim of 1). Constant matrices run as convolution steps
 * instead. */
#include "rt/exec_loop.h"

enum { BLOCK_ROWS = 96 };

typedef struct matmul_job {
    const oct_nd_ops *ops;
    oct_nd_matmul g;
    int64_t blocks;
    oct_nd_seq batch[3]; /* a, b, y */
} matmul_job;

static void matmul_blocks(void *arg, int64_t first, int64_t last)
{
    const matmul_job *job = arg;
    for (int64_t i = first; i < last; i++) {
        const int64_t batch = i / job->blocks, row = i % job->blocks * BLOCK_ROWS;
        oct_nd_matmul g = job->g;
        g.m = oct_min64(BLOCK_ROWS, job->g.m - row);
        g.a = (const float *)((const char *)job->g.a + oct_nd_seq_at(&job->batch[0], batch)) + row * g.a_row;
        g.b = (const float *)((const char *)job->g.b + oct_nd_seq_at(&job->batch[1], batch));
        g.c = (float *)((char *)job->g.c + oct_nd_seq_at(&job->batch[2], batch)) + row * g.c_row;
        job->ops->matmul(&g);
    }
}

/* Batch dims of v, broadcast to those of out. */
static void batch_seq(oct_nd_seq *s, const oct_view *out, const oct_view *v) /* offsets in bytes of v's elements */
{
    int64_t strides[OCT_MAX_RANK];
    for (int32_t d = 0; d + 2 < out->rank; d++) {
        const int32_t i = d - (out->rank - v->rank);
        strides[d] = i < 0 || v->dims[i] == 1 ? 0 : v->strides[i];
    }
    oct_nd_seq_init(s, out->rank - 2, out->dims, strides, oct_dtype_size(v->dtype), ~0u);
}

void oct_exec_matmul(oct_exec *x)
{
    const oct_view *a = &x->in[0], *b = &x->in[1], *y = &x->out[0];
    const int32_t ra = a->rank, rb = b->rank, ry = y->rank;
    if (oct_view_count(y) == 0)
        return;
    matmul_job job = {.ops = oct_exec_ops(x),
                      .g = {.m = y->dims[ry - 2],
                            .n = y->dims[ry - 1],
                            .k = a->dims[ra - 1],
                            .a = a->data,
                            .b = b->data,
                            .c = y->data,
                            .a_row = a->strides[ra - 2],
                            .a_k = a->strides[ra - 1],
                            .b_k = b->strides[rb - 2],
                            .b_col = b->strides[rb - 1],
                            .c_row = y->strides[ry - 2],
                            .c_col = y->strides[ry - 1],
                            .alpha = ((const oct_p_matmul *)x->params)->alpha}};
    job.blocks = oct_div_up(job.g.m, BLOCK_ROWS);
    batch_seq(&job.batch[0], y, a);
    batch_seq(&job.batch[1], y, b);
    batch_seq(&job.batch[2], y, y);
    const int64_t rows = oct_min64(BLOCK_ROWS, job.g.m);
    const int64_t per = oct_exec_per_unit(oct_min64(OCT_ND_GRAIN, rows * job.g.n / 16 * oct_max64(1, job.g.k)));
    oct_exec_ranges(x, job.batch[2].count * job.blocks, per, matmul_blocks, &job);
}

/* --- codes: s32 sums --------------------------------------------------------------------------------------------------------- */
enum { SUM_COLUMNS = 256 };

typedef struct sums_job {
    const oct_view *a, *b, *y;
    int64_t m, n, k;
    int32_t za, zb;
    oct_nd_seq batch[3]; /* a, b, y */
} sums_job;

/* Sums wrap in unsigned arithmetic; the lowering has seen that they fit. */
static void sums_columns(const sums_job *job, const uint8_t *a, const uint8_t *b, int64_t n, uint32_t *acc)
{
    const int64_t a_k = job->a->strides[job->a->rank - 1], b_k = job->b->strides[job->b->rank - 2], b_col = job->b->strides[job->b->rank - 1];
    for (int64_t j = 0; j < n; j++)
        acc[j] = 0;
    for (int64_t p = 0; p < job->k; p++, b += b_k) {
        const int32_t factor = a[p * a_k] - job->za;
        if (b_col == 1)
            for (int64_t j = 0; j < n; j++)
                acc[j] += (uint32_t)(factor * (b[j] - job->zb));
        else
            for (int64_t j = 0; j < n; j++)
                acc[j] += (uint32_t)(factor * (b[j * b_col] - job->zb));
    }
}

static void sums_rows(void *arg, int64_t first, int64_t last)
{
    const sums_job *job = arg;
    const oct_view *a = job->a, *b = job->b, *y = job->y;
    uint32_t acc[SUM_COLUMNS];
    for (int64_t i = first; i < last; i++) {
        const int64_t batch = i / job->m, row = i % job->m;
        const uint8_t *pa = (const uint8_t *)a->data + oct_nd_seq_at(&job->batch[0], batch) + row * a->strides[a->rank - 2];
        const uint8_t *pb = (const uint8_t *)b->data + oct_nd_seq_at(&job->batch[1], batch);
        int32_t *py = (int32_t *)(void *)((char *)y->data + oct_nd_seq_at(&job->batch[2], batch)) + row * y->strides[y->rank - 2];
        for (int64_t j = 0; j < job->n; j += SUM_COLUMNS) {
            const int64_t n = oct_min64(SUM_COLUMNS, job->n - j);
            sums_columns(job, pa, pb + j * b->strides[b->rank - 1], n, acc);
            for (int64_t c = 0; c < n; c++)
                py[(j + c) * y->strides[y->rank - 1]] = (int32_t)acc[c];
        }
    }
}

void oct_exec_matmul_s32(oct_exec *x)
{
    const oct_view *a = &x->in[0], *b = &x->in[1], *y = &x->out[0];
    if (oct_view_count(y) == 0)
        return;
    sums_job job = {.a = a, .b = b, .y = y, .m = y->dims[y->rank - 2], .n = y->dims[y->rank - 1], .k = a->dims[a->rank - 1],
                    .za = *(const uint8_t *)x->in[2].data, .zb = *(const uint8_t *)x->in[3].data};
    batch_seq(&job.batch[0], y, a);
    batch_seq(&job.batch[1], y, b);
    batch_seq(&job.batch[2], y, y);
    oct_exec_ranges(x, job.batch[2].count * job.m, oct_exec_per_unit(oct_min64(OCT_ND_GRAIN, job.n * oct_max64(1, job.k) / 8)), sums_rows, &job);
}
