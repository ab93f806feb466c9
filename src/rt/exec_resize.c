/* resize: nearest for any element size, linear (over up to three axes) for f32.  Coordinates as ONNX (kernels/nd/index.c).
 *
 * A row of output runs along the dim with the smallest output stride. When that dim is not resized (channels of NHWC) a pixel is one
 * move or one blend of dense spans; otherwise the index map of the row is made once for many rows. */
#include "rt/exec_loop.h"

#include <string.h>

enum { MAX_LINEAR_AXES = 3 };

typedef struct resize_job {
    const oct_p_resize *p;
    const oct_nd_ops *ops;
    const oct_view *in, *out;
    int64_t size;
    int32_t rank, axis[OCT_MAX_RANK];  /* output dims in falling order of stride, dims of 1 in both left out; the last is the row */
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
    return is_identity(job, d) ? i : oct_nd_resize_nearest((oct_resize_nearest)job->p->nearest, position(job, d, i), job->in->dims[d]);
}

static void nearest_rows(void *arg, int64_t first, int64_t last)
{
    const resize_job *job = arg;
    const int32_t row_axis = job->axis[job->rank - 1];
    const int64_t n = job->out->dims[row_axis], y_step = job->out->strides[row_axis] * job->size, x_step = job->in->strides[row_axis] * job->size;
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
    if (is_identity(job, d) || k->count == 1 << MAX_LINEAR_AXES) {
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

/* y[i] = sum over the corners, in their order, of weight * x. */
static void blend(const corners *k, const float *x, int64_t x_step, float *y, int64_t y_step, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = x[k->at[0] + i * x_step] * k->weight[0];
        for (int32_t c = 1; c < k->count; c++)
            v += x[k->at[c] + i * x_step] * k->weight[c];
        y[i * y_step] = v;
    }
}

static void linear_rows(void *arg, int64_t first, int64_t last)
{
    const resize_job *job = arg;
    const int32_t row_axis = job->axis[job->rank - 1];
    const int64_t n = job->out->dims[row_axis], y_step = job->out->strides[row_axis];
    for (int64_t row = first; row < last; row++) {
        corners outer = {1, {0}, {1.0f}};
        int64_t index[OCT_MAX_RANK], rest = row, to = 0;
        for (int32_t k = job->rank - 2; k >= 0; k--) {
            const int32_t d = job->axis[k];
            index[k] = rest % job->out->dims[d];
            rest /= job->out->dims[d];
            to += index[k] * job->out->strides[d];
        }
        for (int32_t k = 0; k < job->rank - 1; k++)
            corners_add(&outer, job, job->axis[k], index[k]);
        float *y = (float *)job->out->data + to;
        if (is_identity(job, row_axis)) {
            blend(&outer, job->in->data, job->in->strides[row_axis], y, y_step, n);
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            corners all = outer;
            corners_add(&all, job, row_axis, i);
            blend(&all, job->in->data, 0, y + i * y_step, 0, 1);
        }
    }
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

void oct_exec_resize(oct_exec *x)
{
    const oct_view *in = &x->in[0], *out = &x->out[0];
    resize_job job = {.p = x->params, .ops = oct_exec_ops(x), .in = in, .out = out, .size = (int64_t)oct_dtype_size(in->dtype), .rows_count = 1};
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
    const int64_t per = oct_exec_per_unit(4 * out->dims[job.axis[job.rank - 1]]);
    oct_exec_ranges(x, job.rows_count, per, job.p->mode == OCT_RESIZE_LINEAR ? linear_rows : nearest_rows, &job);
}
