/* Steps that only move elements: copy (layout changes, Expand), where, fill, pad by reflection, gather. */
#include "rt/exec_loop.h"

#include <string.h>

void oct_exec_copy(oct_exec *x) { oct_exec_move(x, &x->out[0], &x->in[0]); }

/* --- where ------------------------------------------------------------------------------------------------------------ */
#define WHERE(T)                                                                                                                   \
    for (int64_t r = 0; r < t->rows; r++) {                                                                                        \
        char *y = t->data[0] + r * t->row_step[0];                                                                                 \
        const char *k = t->data[1] + r * t->row_step[1], *a = t->data[2] + r * t->row_step[2],                                     \
                   *b = t->data[3] + r * t->row_step[3];                                                                           \
        for (int64_t c = 0; c < t->cols; c++)                                                                                      \
            *(T *)(y + c * t->col_step[0]) = *(const uint8_t *)(k + c * t->col_step[1]) ? *(const T *)(a + c * t->col_step[2])     \
                                                                                        : *(const T *)(b + c * t->col_step[3]);    \
    }                                                                                                                              \
    break

static void where_tile(void *arg, const oct_nd_tile *t)
{
    switch (*(const size_t *)arg) {
    case 1: WHERE(uint8_t);
    case 2: WHERE(uint16_t);
    case 4: WHERE(uint32_t);
    default: WHERE(uint64_t);
    }
}

void oct_exec_where(oct_exec *x)
{
    size_t size = oct_dtype_size(x->out[0].dtype);
    oct_exec_elementwise(x, 0, 3, OCT_ND_GRAIN, where_tile, &size);
}

/* --- fill ------------------------------------------------------------------------------------------------------------- */
static void fill_tile(void *arg, const oct_nd_tile *t)
{
    const oct_p_fill *p = arg;
    for (int64_t r = 0; r < t->rows; r++) {
        char *y = t->data[0] + r * t->row_step[0];
        if (p->size == 1 && t->col_step[0] == 1)
            memset(y, (int)(p->bits & 255), (size_t)t->cols);
        else
            oct_nd_move_row((size_t)p->size, &p->bits, 0, t->cols, y, t->col_step[0]);
    }
}

void oct_exec_fill(oct_exec *x)
{
    oct_p_fill p = *(const oct_p_fill *)x->params;
    oct_exec_elementwise(x, 0, 0, OCT_ND_GRAIN, fill_tile, &p);
}

/* --- pad by reflection, edge or wrap ------------------------------------------------------------------------------------ */
typedef struct pad_job {
    const oct_p_pad *p;
    const oct_view *in, *out;
    size_t size;
} pad_job;

/* Items are rows of the output: all dims but the last. */
static void pad_rows(void *arg, int64_t first, int64_t last)
{
    const pad_job *job = arg;
    const oct_view *in = job->in, *out = job->out;
    const int64_t size = (int64_t)job->size;
    const int32_t inner = out->rank - 1;
    for (int64_t row = first; row < last; row++) {
        int64_t rest = row, to = 0, from = 0;
        for (int32_t d = inner - 1; d >= 0; d--) {
            const int64_t i = rest % out->dims[d];
            rest /= out->dims[d];
            to += i * out->strides[d];
            from += oct_nd_pad_index(job->p->mode, i - job->p->begin[d], in->dims[d]) * in->strides[d];
        }
        char *y = (char *)out->data + to * size;
        const char *x = (const char *)in->data + from * size;
        const int64_t n = out->dims[inner], m = in->dims[inner], begin = job->p->begin[inner];
        const int64_t y_step = out->strides[inner] * size, x_step = in->strides[inner] * size;
        const int64_t body = oct_max64(0, begin), end = oct_min64(n, begin + m);
        for (int64_t i = 0; i < n; i++) {
            if (i == body && end > body) {
                oct_nd_move_row(job->size, x + (body - begin) * x_step, x_step, end - body, y + body * y_step, y_step);
                i = end - 1;
                continue;
            }
            memcpy(y + i * y_step, x + oct_nd_pad_index(job->p->mode, i - begin, m) * x_step, job->size);
        }
    }
}

void oct_exec_pad(oct_exec *x)
{
    oct_view in = x->in[0], out = x->out[0];
    if (oct_view_count(&out) == 0 || oct_view_count(&in) == 0)
        return;
    if (out.rank == 0) {
        oct_exec_copy(x);
        return;
    }
    pad_job job = {x->params, &in, &out, oct_dtype_size(out.dtype)};
    const int64_t n = out.dims[out.rank - 1];
    oct_exec_ranges(x, oct_view_count(&out) / n, oct_exec_per_unit(n), pad_rows, &job);
}

/* --- gather ------------------------------------------------------------------------------------------------------------- */
typedef struct gather_job {
    const oct_view *data, *index, *out;
    int32_t axis;
    size_t size;
    int64_t indices; /* positions of the index tensor */
    oct_nd_seq pre_data, pre_out, at_index, at_out;
    oct_nd_loop block; /* one block of the dims behind the axis; data pointers are set for each item */
} gather_job;

/* Wraps negative indices; run-time data out of range is clamped, so that nothing outside is read. */
static int64_t read_index(const gather_job *job, int64_t i)
{
    const char *at = (const char *)job->index->data + oct_nd_seq_at(&job->at_index, i);
    const int64_t n = job->data->dims[job->axis];
    int64_t v = job->index->dtype == OCT_S64 ? *(const int64_t *)at : *(const int32_t *)at;
    v += v < 0 ? n : 0;
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

static void gather_tile(void *arg, const oct_nd_tile *t)
{
    const size_t size = *(const size_t *)arg;
    for (int64_t r = 0; r < t->rows; r++)
        oct_nd_move_row(size, t->data[1] + r * t->row_step[1], t->col_step[1], t->cols, t->data[0] + r * t->row_step[0],
                        t->col_step[0]);
}

/* Items: (position before the axis, index position). */
static void gather_items(void *arg, int64_t first, int64_t last)
{
    const gather_job *job = arg;
    const int64_t step = job->data->strides[job->axis] * (int64_t)job->size;
    size_t size = job->size;
    oct_nd_loop block = job->block;
    for (int64_t item = first; item < last; item++) {
        const int64_t pre = item / job->indices, i = item % job->indices;
        block.data[0] = job->block.data[0] + oct_nd_seq_at(&job->pre_out, pre) + oct_nd_seq_at(&job->at_out, i);
        block.data[1] = job->block.data[1] + oct_nd_seq_at(&job->pre_data, pre) + read_index(job, i) * step;
        for (int64_t unit = 0; unit < block.units; unit++)
            oct_nd_loop_unit(&block, unit, gather_tile, &size);
    }
}

void oct_exec_gather(oct_exec *x)
{
    const oct_view *data = &x->in[0], *index = &x->in[1], *out = &x->out[0];
    const int32_t axis = ((const oct_p_axis *)x->params)->axis;
    const size_t size = oct_dtype_size(data->dtype);
    gather_job job = {data, index, out, axis, size, oct_view_count(index), {0}, {0}, {0}, {0}, {0}};
    if (oct_view_count(out) == 0 || oct_view_count(data) == 0)
        return;
    const uint32_t pre = (1u << axis) - 1;
    oct_nd_seq_init(&job.pre_data, data->rank, data->dims, data->strides, size, pre);
    oct_nd_seq_init(&job.pre_out, out->rank, out->dims, out->strides, size, pre);
    oct_nd_seq_init(&job.at_index, index->rank, index->dims, index->strides, oct_dtype_size(index->dtype), ~0u);
    oct_nd_seq_init(&job.at_out, index->rank, out->dims + axis, out->strides + axis, size, ~0u);
    const int32_t post = data->rank - axis - 1;
    const oct_nd_operand op[2] = {
        {out->data, post, size, out->dims + axis + index->rank, out->strides + axis + index->rank},
        {data->data, post, size, data->dims + axis + 1, data->strides + axis + 1},
    };
    oct_nd_loop_init(&job.block, 2, op, OCT_ND_GRAIN);
    const int64_t items = job.pre_data.count * job.indices;
    oct_exec_ranges(x, items, oct_exec_per_unit(oct_view_count(out) / items), gather_items, &job);
}
