/* reduce and arg_max.  f32 sums run over the fixed tree of 16 lanes in the logical order of the reduced elements, whatever the
 * layout (DESIGN 3.7): dense rows through the vector loops, reductions over the outer dims of dense columns (NHWC means) with a
 * block of columns for each lane. Integers are exact through s64. */
#include "rt/exec_loop.h"

typedef struct reduce_job {
    const oct_nd_ops *ops;
    oct_reduce_fn fn;
    oct_dtype dtype;
    bool biased_in, biased_out;
    size_t size;
    const char *x;
    char *y;
    oct_nd_seq kept_in, kept_out, reduced;
    int64_t column_step; /* dense columns: elements of the innermost kept dim in one item */
} reduce_job;

static float finish(const reduce_job *job, const oct_nd_lanes *acc)
{
    const float v = oct_nd_lanes_end(job->fn, acc);
    return job->fn == OCT_REDUCE_MEAN ? v / (float)job->reduced.count : v;
}

static float reduce_row_f32(const reduce_job *job, const char *x)
{
    float chunk[OCT_ND_CHUNK];
    oct_nd_lanes acc;
    for (int i = 0; i < OCT_ND_LANES; i++)
        acc.v[i] = oct_nd_reduce_start(job->fn);
    if (oct_nd_seq_dense(&job->reduced, sizeof(float))) {
        job->ops->lanes(job->fn, (const float *)x, job->reduced.count, &acc);
    } else {
        for (int64_t i = 0; i < job->reduced.count; i += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, job->reduced.count - i);
            oct_nd_seq_gather(&job->reduced, sizeof(float), x, i, n, chunk);
            job->ops->lanes(job->fn, chunk, n, &acc);
        }
    }
    return finish(job, &acc);
}

static int64_t reduce_row_s64(const reduce_job *job, const char *x)
{
    int64_t acc = job->fn == OCT_REDUCE_PROD ? 1 : 0, v;
    for (int64_t i = 0; i < job->reduced.count; i++) {
        oct_nd_load_s64(job->dtype, job->biased_in, x + oct_nd_seq_at(&job->reduced, i), 0, 1, &v);
        switch (job->fn) {
        case OCT_REDUCE_MAX: acc = i == 0 || v > acc ? v : acc; break;
        case OCT_REDUCE_MIN: acc = i == 0 || v < acc ? v : acc; break;
        case OCT_REDUCE_PROD: acc = (int64_t)((uint64_t)acc * (uint64_t)v); break;
        default: acc = (int64_t)((uint64_t)acc + (uint64_t)v); break;
        }
    }
    return job->fn == OCT_REDUCE_MEAN && job->reduced.count > 0 ? acc / job->reduced.count : acc;
}

static double reduce_row_f64(const reduce_job *job, const char *x)
{
    double acc = job->fn == OCT_REDUCE_PROD ? 1.0 : 0.0, v;
    for (int64_t i = 0; i < job->reduced.count; i++) {
        oct_nd_load_f64(job->dtype, false, x + oct_nd_seq_at(&job->reduced, i), 0, 1, &v);
        switch (job->fn) {
        case OCT_REDUCE_MAX: acc = i == 0 || v > acc ? v : acc; break;
        case OCT_REDUCE_MIN: acc = i == 0 || v < acc ? v : acc; break;
        case OCT_REDUCE_PROD: acc *= v; break;
        default: acc += v; break;
        }
    }
    return job->fn == OCT_REDUCE_MEAN ? acc / (double)job->reduced.count : acc;
}

/* Items are output elements. */
static void reduce_rows(void *arg, int64_t first, int64_t last)
{
    const reduce_job *job = arg;
    for (int64_t i = first; i < last; i++) {
        const char *x = job->x + oct_nd_seq_at(&job->kept_in, i);
        char *y = job->y + oct_nd_seq_at(&job->kept_out, i);
        if (job->dtype == OCT_F32) {
            *(float *)y = reduce_row_f32(job, x);
        } else if (oct_nd_is_float(job->dtype)) {
            const double v = reduce_row_f64(job, x);
            oct_nd_cast(OCT_F64, false, &v, 0, job->dtype, false, y, 0, 1);
        } else {
            const int64_t v = reduce_row_s64(job, x);
            oct_nd_store_s64(job->dtype, job->biased_out, &v, 1, y, 0);
        }
    }
}

/* Items are blocks of up to OCT_ND_COLUMNS output elements that lie side by side in the input. */
static void reduce_columns(void *arg, int64_t first, int64_t last)
{
    const reduce_job *job = arg;
    const int64_t inner = job->column_step, blocks = oct_div_up(inner, OCT_ND_COLUMNS);
    const oct_nd_seq *r = &job->reduced;
    const float start = oct_nd_reduce_start(job->fn);
    const int64_t run = r->rank > 0 ? r->dims[r->rank - 1] : 1, step = r->rank > 0 ? r->step[r->rank - 1] : 0;
    for (int64_t item = first; item < last; item++) {
        const int64_t from = item % blocks * OCT_ND_COLUMNS, n = oct_min64(OCT_ND_COLUMNS, inner - from),
                      at = item / blocks * inner + from;
        const char *x = job->x + oct_nd_seq_at(&job->kept_in, at);
        float lanes[OCT_ND_LANES][OCT_ND_COLUMNS];
        for (int lane = 0; lane < OCT_ND_LANES; lane++)
            for (int64_t c = 0; c < OCT_ND_COLUMNS; c++)
                lanes[lane][c] = start;
        for (int64_t k = 0; k < r->count; k += run)
            job->ops->fold(job->fn, (const float *)(x + oct_nd_seq_at(r, k)), step, k, run, lanes, n);
        for (int half = OCT_ND_LANES / 2; half > 0; half /= 2) /* the tree of oct_nd_lanes_end on all columns at once */
            job->ops->fold(job->fn, lanes[half], sizeof lanes[0], 0, half, lanes, n);
        for (int64_t c = 0; c < n && job->fn == OCT_REDUCE_MEAN; c++)
            lanes[0][c] /= (float)r->count;
        oct_nd_seq_scatter(&job->kept_out, sizeof(float), job->y, at, n, lanes[0]);
    }
}

/* The order in which outputs are visited: the input's dense dim last, so that columns lie side by side. */
static int32_t kept_order(const oct_view *in, const oct_view *out, uint32_t axes, int64_t *dims, int64_t *in_strides,
                          int64_t *out_strides)
{
    int32_t n = 0, dense = -1;
    for (int32_t d = 0; d < in->rank; d++)
        if (!(axes >> d & 1) && in->strides[d] == 1 && in->dims[d] > 1)
            dense = d;
    for (int32_t d = 0; d < in->rank; d++)
        if (!(axes >> d & 1) && d != dense) {
            dims[n] = in->dims[d];
            in_strides[n] = in->strides[d];
            out_strides[n++] = out->strides[d];
        }
    if (dense >= 0) {
        dims[n] = in->dims[dense];
        in_strides[n] = 1;
        out_strides[n++] = out->strides[dense];
    }
    return n;
}

void oct_exec_reduce(oct_exec *x)
{
    const oct_p_reduce *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const size_t size = oct_dtype_size(in->dtype);
    reduce_job job = {.ops = oct_exec_ops(x),
                      .fn = (oct_reduce_fn)p->fn,
                      .dtype = in->dtype,
                      .biased_in = oct_exec_in_biased(x, 0),
                      .biased_out = oct_exec_out_biased(x, 0),
                      .size = size,
                      .x = in->data,
                      .y = out->data};
    int64_t dims[OCT_MAX_RANK], in_strides[OCT_MAX_RANK], out_strides[OCT_MAX_RANK];
    const int32_t kept = kept_order(in, out, p->axes, dims, in_strides, out_strides);
    oct_nd_seq_init(&job.kept_in, kept, dims, in_strides, size, ~0u);
    oct_nd_seq_init(&job.kept_out, kept, dims, out_strides, size, ~0u);
    oct_nd_seq_init(&job.reduced, in->rank, in->dims, in->strides, size, p->axes);
    const int64_t outputs = job.kept_in.count;
    if (outputs == 0)
        return;
    const bool columns = in->dtype == OCT_F32 && kept > 0 && in_strides[kept - 1] == 1 && dims[kept - 1] > 1 &&
                         !oct_nd_seq_dense(&job.reduced, size);
    if (columns) {
        job.column_step = dims[kept - 1];
        oct_exec_ranges(x, outputs / job.column_step * oct_div_up(job.column_step, OCT_ND_COLUMNS),
                        oct_exec_per_unit(job.reduced.count * OCT_ND_COLUMNS), reduce_columns, &job);
    } else {
        oct_exec_ranges(x, outputs, oct_exec_per_unit(job.reduced.count), reduce_rows, &job);
    }
}

/* --- arg_max -------------------------------------------------------------------------------------------------------------- */
typedef struct arg_max_job {
    const oct_view *in, *out;
    int32_t axis;
    bool last; /* of equal values the last one */
    bool least;
    oct_nd_seq kept_in, kept_out;
} arg_max_job;

static int64_t arg_max_row(const arg_max_job *job, const char *x)
{
    const int64_t n = job->in->dims[job->axis], step = job->in->strides[job->axis] * (int64_t)oct_dtype_size(job->in->dtype);
    const bool is_float = oct_nd_is_float(job->in->dtype);
    union {
        double f[OCT_ND_CHUNK];
        int64_t i[OCT_ND_CHUNK];
    } v;
    double best_f = 0.0;
    int64_t best_i = 0, best = -1;
    for (int64_t first = 0; first < n; first += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - first);
        if (is_float)
            oct_nd_load_f64(job->in->dtype, false, x + first * step, step, m, v.f);
        else
            oct_nd_load_s64(job->in->dtype, false, x + first * step, step, m, v.i);
        for (int64_t k = 0; k < m; k++) {
            const bool more = job->least ? (is_float ? v.f[k] < best_f : v.i[k] < best_i) : is_float ? v.f[k] > best_f : v.i[k] > best_i, same = is_float ? v.f[k] == best_f : v.i[k] == best_i;
            if (best < 0 || more || (same && job->last)) {
                best = first + k;
                if (is_float)
                    best_f = v.f[k];
                else
                    best_i = v.i[k];
            }
        }
    }
    return best < 0 ? 0 : best;
}

static void arg_max_rows(void *arg, int64_t first, int64_t last)
{
    const arg_max_job *job = arg;
    for (int64_t i = first; i < last; i++) {
        const int64_t best = arg_max_row(job, (const char *)job->in->data + oct_nd_seq_at(&job->kept_in, i));
        oct_nd_store_s64(job->out->dtype, false, &best, 1, (char *)job->out->data + oct_nd_seq_at(&job->kept_out, i), 0);
    }
}

/* The output keeps the axis as a dim of 1 or drops it. Codes order like their values, so a bias does not matter. */
void oct_exec_arg_max(oct_exec *x)
{
    const oct_p_axis *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    arg_max_job job = {.in = in, .out = out, .axis = p->axis, .last = p->flag & OCT_ARG_LAST, .least = p->flag & OCT_ARG_LEAST};
    const uint32_t kept = ~(1u << p->axis);
    oct_nd_seq_init(&job.kept_in, in->rank, in->dims, in->strides, oct_dtype_size(in->dtype), kept);
    oct_nd_seq_init(&job.kept_out, out->rank, out->dims, out->strides, oct_dtype_size(out->dtype),
                    out->rank == in->rank ? kept : ~0u);
    oct_exec_ranges(x, job.kept_in.count, oct_exec_per_unit(in->dims[p->axis]), arg_max_rows, &job);
}
