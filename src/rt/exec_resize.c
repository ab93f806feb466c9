/* resize: nearest for any element size, linear (over up to three axes) for f32.  Coordinates as ONNX (kernels/nd/index.c).
 *
 * A row of output runs along the dim with the smallest output stride. When that dim is not resized (channels of NHWC) a pixel is
 * one move or one blend of dense spans; otherwise the index map of the row is made once for many rows. */
#include "rt/exec_loop.h"

#include <string.h>

enum { MAX_LINEAR_AXES = 3 };

typedef struct resize_job {
    const oct_p_resize *p;
    const oct_nd_ops *ops;
    const oct_view *in, *out;
    int64_t size;
    int32_t rank, axis[OCT_MAX_RANK]; /* output dims in falling order of stride, dims of 1 in both left out; the last is the row */
    int64_t rows_count;
} resize_job;

static bool is_identity(const resize_job *job, int32_t d)
{
    return job->in->dims[d] == job->out->dims[d] && job->p->scale[d] == 1.0f;
}

static float position(const resize_job *job, int32_t d, int64_t i)
{
    return oct_nd_resize_at((oct_resize_coord)job->p->coord, i, job->in->dims[d], job->out->dims[d], job->p->scale[d]);
}

static int64_t nearest(const resize_job *job, int32_t d, int64_t i)
{
    return is_identity(job, d) ? i
                               : oct_nd_resize_nearest((oct_resize_nearest)job->p->nearest, position(job, d, i), job->in->dims[d]);
}

static void nearest_rows(void *arg, int64_t first, int64_t last)
{
    const resize_job *job = arg;
    const int32_t row_axis = job->axis[job->rank - 1];
    const int64_t n = job->out->dims[row_axis], y_step = job->out->strides[row_axis] * job->size,
                  x_step = job->in->strides[row_axis] * job->size;
    const bool same = is_identity(job, row_axis);
    int64_t map[OCT_ND_CHUNK];
    for (int64_t c = 0; c < n; c += OCT_ND_CHUNK) {
        const int64_t m = same ? n : oct_min64(OCT_ND_CHUNK, n - c);
        for (int64_t i = 0; i < m && !same; i++)
            map[i] = nearest(job, row_axis, c + i) * x_step;
        for (int64_t row = first; row < last; row++) {
            int64_t rest = row, from = 0, to = 0;
            for (int32_t k = job->rank - 2; k >= 0; k--) {
                const int32_t d = job->axis[k];
                const int64_t i = rest % job->out->dims[d];
                rest /= job->out->dims[d];
                to += i * job->out->strides[d];
                from += nearest(job, d, i) * job->in->strides[d];
            }
            const char *x = (const char *)job->in->data + from * job->size;
            char *y = (char *)job->out->data + to * job->size + c * y_step;
            if (same)
                oct_nd_move_row((size_t)job->size, x, x_step, n, y, y_step);
            else
                for (int64_t i = 0; i < m; i++)
                    memcpy(y + i * y_step, x + map[i], (size_t)job->size);
        }
        if (same)
            break;
    }
}

/* The corners around one output position: input offsets (elements) and weights, first resized axis outermost. */
typedef struct corners {
    int32_t count;
    int64_t at[1 << MAX_LINEAR_AXES];
    float weight[1 << MAX_LINEAR_AXES];
} corners;

static void corners_add(corners *k, const resize_job *job, int32_t d, int64_t i)
{
    int64_t i0 = i, i1 = i;
    float w1 = 0.0f;
    if (!is_identity(job, d))
        oct_nd_resize_linear(position(job, d, i), job->in->dims[d], &i0, &i1, &w1);
    const int64_t stride = job->in->strides[d];
    if (is_identity(job, d) || k->count == (1 << MAX_LINEAR_AXES)) {
        for (int32_t c = 0; c < k->count; c++)
            k->at[c] += i0 * stride;
        return;
    }
    for (int32_t c = k->count - 1; c >= 0; c--) {
        const int64_t at = k->at[c];
        const float w = k->weight[c];
        k->at[2 * c] = at + i0 * stride;
        k->at[2 * c + 1] = at + i1 * stride;
        k->weight[2 * c] = w * (1.0f - w1);
        k->weight[2 * c + 1] = w * w1;
    }
    k->count *= 2;
}

/* Output row -> offset of its first element, and the corners of all axes but the row's. */
static int64_t outer_corners(const resize_job *job, int64_t row, corners *k)
{
    int64_t index[OCT_MAX_RANK], to = 0;
    for (int32_t a = job->rank - 2; a >= 0; a--) {
        const int32_t d = job->axis[a];
        index[a] = row % job->out->dims[d];
        row /= job->out->dims[d];
        to += index[a] * job->out->strides[d];
    }
    *k = (corners){1, {0}, {1.0f}};
    for (int32_t a = 0; a < job->rank - 1; a++)
        corners_add(k, job, job->axis[a], index[a]);
    return to;
}

/* The row is not resized (channels of NHWC): one blend of whole spans. */
static void linear_spans(void *arg, int64_t first, int64_t last)
{
    const resize_job *job = arg;
    const int32_t d = job->axis[job->rank - 1];
    const int64_t n = job->out->dims[d], y_step = job->out->strides[d], x_step = job->in->strides[d];
    float chunk[OCT_ND_CHUNK];
    for (int64_t row = first; row < last; row++) {
        corners k;
        const float *x[1 << MAX_LINEAR_AXES];
        float *y = (float *)job->out->data + outer_corners(job, row, &k);
        for (int32_t c = 0; c < k.count; c++)
            x[c] = (const float *)job->in->data + k.at[c];
        if (x_step == 1 && y_step == 1) {
            job->ops->blend(k.count, x, k.weight, y, n);
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            job->ops->blend(k.count, x, k.weight, chunk, 1);
            y[i * y_step] = chunk[0];
            for (int32_t c = 0; c < k.count; c++)
                x[c] += x_step;
        }
    }
}

/* The row is resized: its index map is made once for all rows of the unit, a chunk at a time. */
static void linear_rows(void *arg, int64_t first, int64_t last)
{
    const resize_job *job = arg;
    const int32_t d = job->axis[job->rank - 1];
    const int64_t n = job->out->dims[d], y_step = job->out->strides[d], x_step = job->in->strides[d];
    int64_t i0[OCT_ND_CHUNK], i1[OCT_ND_CHUNK];
    float w1[OCT_ND_CHUNK], acc[OCT_ND_CHUNK];
    for (int64_t from = 0; from < n; from += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - from);
        for (int64_t i = 0; i < m; i++) {
            oct_nd_resize_linear(position(job, d, from + i), job->in->dims[d], &i0[i], &i1[i], &w1[i]);
            i0[i] *= x_step;
            i1[i] *= x_step;
        }
        for (int64_t row = first; row < last; row++) {
            corners k;
            float *y = (float *)job->out->data + outer_corners(job, row, &k) + from * y_step;
            for (int32_t c = 0; c < k.count; c++) {
                const float *x = (const float *)job->in->data + k.at[c];
                const float w = k.weight[c];
                for (int64_t i = 0; i < m; i++) {
                    const float start = c == 0 ? 0.0f : acc[i];
                    acc[i] = (start + x[i0[i]] * (w * (1.0f - w1[i]))) + x[i1[i]] * (w * w1[i]);
                }
            }
            oct_nd_scatter_row(sizeof(float), y, y_step * (int64_t)sizeof(float), m, acc);
        }
    }
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

void oct_exec_resize(oct_exec *x)
{
    const oct_view *in = &x->in[0], *out = &x->out[0];
    resize_job job = {
        .p = x->params, .ops = oct_exec_ops(x), .in = in, .out = out, .size = (int64_t)oct_dtype_size(in->dtype), .rows_count = 1};
    if (oct_view_count(out) == 0 || oct_view_count(in) == 0)
        return;
    for (int32_t d = 0; d < out->rank; d++) {
        if (in->dims[d] == 1 && out->dims[d] == 1)
            continue;
        int32_t at = job.rank++;
        for (; at > 0 && magnitude(out->strides[job.axis[at - 1]]) < magnitude(out->strides[d]); at--)
            job.axis[at] = job.axis[at - 1];
        job.axis[at] = d;
    }
    if (job.rank == 0) {
        memcpy(out->data, in->data, (size_t)job.size);
        return;
    }
    for (int32_t k = 0; k + 1 < job.rank; k++)
        job.rows_count *= out->dims[job.axis[k]];
    const int32_t row_axis = job.axis[job.rank - 1];
    oct_exec_range_fn *fn = job.p->mode == OCT_RESIZE_NEAREST ? nearest_rows
                            : is_identity(&job, row_axis)     ? linear_spans
                                                              : linear_rows;
    oct_exec_ranges(x, job.rows_count, oct_exec_per_unit(4 * out->dims[row_axis]), fn, &job);
}
