/* softmax, log-softmax and layer normalisation in f32.  Sums run over the fixed tree of 16 lanes in logical order, so the bits do
 * not depend on layout, batch, threads or ISA level (DESIGN 3.7). Dense rows are one call; others go through chunks with the same
 * steps. */
#include "rt/exec_loop.h"

#include <math.h>

static void lanes_zero(oct_nd_lanes *acc)
{
    for (int i = 0; i < OCT_ND_LANES; i++)
        acc->v[i] = 0.0f;
}

/* --- softmax ---------------------------------------------------------------------------------------------------------------- */
typedef struct softmax_job {
    const oct_nd_ops *ops;
    bool log;
    int64_t n, x_step, y_step; /* the axis, bytes */
    const char *x;
    char *y;
    oct_nd_seq at_x, at_y;
} softmax_job;

static const float *chunk_of(const char *x, int64_t step, int64_t first, int64_t n, float *buffer)
{
    if (step == sizeof(float))
        return (const float *)(x + first * step);
    oct_nd_gather_row(sizeof(float), x + first * step, step, n, buffer);
    return buffer;
}

static void softmax_row(const softmax_job *job, const char *x, char *y)
{
    float in[OCT_ND_CHUNK], out[OCT_ND_CHUNK], max = -INFINITY;
    oct_nd_lanes acc;
    const int64_t n = job->n;
    const bool direct = job->y_step == sizeof(float);
    lanes_zero(&acc);
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        max = job->ops->max(chunk_of(x, job->x_step, i, m, in), m, max);
    }
    max = max == -INFINITY ? 0.0f : max; /* a row of -infinity: 0/0, not infinity - infinity */
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        float *e = direct && !job->log ? (float *)(y + i * job->y_step) : out;
        job->ops->exp_lanes(chunk_of(x, job->x_step, i, m, in), e, m, max, &acc);
        if (!job->log && !direct)
            oct_nd_scatter_row(sizeof(float), y + i * job->y_step, job->y_step, m, out);
    }
    const float sum = oct_nd_lanes_end(OCT_REDUCE_SUM, &acc), scale = 1.0f / sum, shift = job->log ? oct_logf(sum) : 0.0f;
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        const float *v = job->log ? chunk_of(x, job->x_step, i, m, in) : chunk_of(y, job->y_step, i, m, in);
        float *to = direct ? (float *)(y + i * job->y_step) : out;
        if (job->log) {
            job->ops->binary(OCT_BINARY_SUB, v, 1, &max, 0, to, m, -INFINITY, INFINITY);
            job->ops->binary(OCT_BINARY_SUB, to, 1, &shift, 0, to, m, -INFINITY, INFINITY);
        } else {
            job->ops->binary(OCT_BINARY_MUL, v, 1, &scale, 0, to, m, -INFINITY, INFINITY);
        }
        if (!direct)
            oct_nd_scatter_row(sizeof(float), y + i * job->y_step, job->y_step, m, out);
    }
}

static void softmax_rows(void *arg, int64_t first, int64_t last)
{
    const softmax_job *job = arg;
    const int64_t f = sizeof(float);
    if (job->x_step == f && job->y_step == f && !job->log && job->at_x.rank <= 1 && job->at_y.rank <= 1) {
        job->ops->softmax((const float *)(job->x + oct_nd_seq_at(&job->at_x, first)), job->at_x.rank ? job->at_x.step[0] / f : 0,
                          (float *)(job->y + oct_nd_seq_at(&job->at_y, first)), job->at_y.rank ? job->at_y.step[0] / f : 0,
                          last - first, job->n);
        return;
    }
    for (int64_t i = first; i < last; i++)
        softmax_row(job, job->x + oct_nd_seq_at(&job->at_x, i), job->y + oct_nd_seq_at(&job->at_y, i));
}

void oct_exec_softmax(oct_exec *x)
{
    const oct_p_softmax *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const int64_t f = sizeof(float);
    softmax_job job = {.ops = oct_exec_ops(x),
                       .log = p->log != 0,
                       .n = in->dims[p->axis],
                       .x_step = in->strides[p->axis] * f,
                       .y_step = out->strides[p->axis] * f,
                       .x = in->data,
                       .y = out->data};
    const uint32_t kept = ~(1u << p->axis);
    oct_nd_seq_init(&job.at_x, in->rank, in->dims, in->strides, sizeof(float), kept);
    oct_nd_seq_init(&job.at_y, out->rank, out->dims, out->strides, sizeof(float), kept);
    oct_exec_ranges(x, job.at_x.count, oct_exec_per_unit(8 * job.n), softmax_rows, &job);
}

/* --- layer normalisation ------------------------------------------------------------------------------------------------------ */
typedef struct norm_job {
    const oct_nd_ops *ops;
    float eps;
    const char *x, *scale, *bias;
    char *y;
    oct_nd_seq at_x, at_y;                        /* rows */
    oct_nd_seq row_x, row_y, row_scale, row_bias; /* within a row */
    bool dense;                                   /* all four of them */
} norm_job;

static const float *row_chunk(const oct_nd_seq *s, const char *base, int64_t first, int64_t n, float *buffer)
{
    if (oct_nd_seq_dense(s, sizeof(float)))
        return (const float *)base + first;
    oct_nd_seq_gather(s, sizeof(float), base, first, n, buffer);
    return buffer;
}

static void norm_row(const norm_job *job, const char *x, char *y)
{
    float in[OCT_ND_CHUNK], scale[OCT_ND_CHUNK], bias[OCT_ND_CHUNK], out[OCT_ND_CHUNK];
    const int64_t n = job->row_x.count;
    const bool direct = oct_nd_seq_dense(&job->row_y, sizeof(float));
    oct_nd_lanes acc;
    if (job->dense) {
        job->ops->layer_norm((const float *)x, (float *)y, n, job->eps, (const float *)job->scale, (const float *)job->bias);
        return;
    }
    lanes_zero(&acc);
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        job->ops->lanes(OCT_REDUCE_SUM, row_chunk(&job->row_x, x, i, m, in), m, &acc);
    }
    const float mean = oct_nd_lanes_end(OCT_REDUCE_SUM, &acc) / (float)n;
    lanes_zero(&acc);
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        job->ops->lanes_square(row_chunk(&job->row_x, x, i, m, in), m, mean, &acc);
    }
    const float inv = 1.0f / sqrtf(oct_nd_lanes_end(OCT_REDUCE_SUM, &acc) / (float)n + job->eps);
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        const float *v = row_chunk(&job->row_x, x, i, m, in), *s = row_chunk(&job->row_scale, job->scale, i, m, scale);
        const float *b = job->bias ? row_chunk(&job->row_bias, job->bias, i, m, bias) : NULL;
        float *to = direct ? (float *)y + i : out;
        job->ops->normalise(v, to, m, mean, inv, s, b);
        if (!direct)
            oct_nd_seq_scatter(&job->row_y, sizeof(float), y, i, m, out);
    }
}

static void norm_rows(void *arg, int64_t first, int64_t last)
{
    const norm_job *job = arg;
    for (int64_t i = first; i < last; i++)
        norm_row(job, job->x + oct_nd_seq_at(&job->at_x, i), job->y + oct_nd_seq_at(&job->at_y, i));
}

/* scale or bias, broadcast to the normalised dims of x. */
static void parameter_seq(oct_nd_seq *s, const oct_view *x, const oct_view *v, int32_t axis)
{
    int64_t strides[OCT_MAX_RANK];
    for (int32_t d = 0; d < x->rank; d++) {
        const int32_t i = d - (x->rank - v->rank);
        strides[d] = i < 0 || v->dims[i] == 1 ? 0 : v->strides[i];
    }
    oct_nd_seq_init(s, x->rank, x->dims, strides, sizeof(float), ~0u << axis);
}

void oct_exec_layer_norm(oct_exec *x)
{
    const oct_p_layer_norm *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const bool has_bias = x->in_count > 2;
    norm_job job = {.ops = oct_exec_ops(x),
                    .eps = p->eps,
                    .x = in->data,
                    .scale = x->in[1].data,
                    .bias = has_bias ? x->in[2].data : NULL,
                    .y = out->data};
    const uint32_t rows = (1u << p->axis) - 1;
    oct_nd_seq_init(&job.at_x, in->rank, in->dims, in->strides, sizeof(float), rows);
    oct_nd_seq_init(&job.at_y, out->rank, out->dims, out->strides, sizeof(float), rows);
    oct_nd_seq_init(&job.row_x, in->rank, in->dims, in->strides, sizeof(float), ~rows);
    oct_nd_seq_init(&job.row_y, out->rank, out->dims, out->strides, sizeof(float), ~rows);
    parameter_seq(&job.row_scale, in, &x->in[1], p->axis);
    if (has_bias)
        parameter_seq(&job.row_bias, in, &x->in[2], p->axis);
    if (job.row_x.count == 0)
        return;
    const size_t size = sizeof(float);
    job.dense = oct_nd_seq_dense(&job.row_x, size) && oct_nd_seq_dense(&job.row_y, size) &&
                oct_nd_seq_dense(&job.row_scale, size) && (!has_bias || oct_nd_seq_dense(&job.row_bias, size));
    oct_exec_ranges(x, job.at_x.count, oct_exec_per_unit(3 * job.row_x.count), norm_rows, &job);
}
