/* MaxPool and AveragePool over one or two spatial axes.  MaxPool's gradient goes to the first largest element of each window;
 * AveragePool's is shared by the elements that were counted. */
#include "train/diff.h"

#include <math.h>
#include <string.h>
#include "op/infer.h"
#include "train/vector.h"

typedef struct pool_state {
    int64_t n, c, h, w, oh, ow; /* h = oh = 1 with one axis */
    int64_t sx[4], sy[4];       /* strides of x and y by n, c, h, w */
    int64_t k[2], stride[2], dilation[2], begin[2], end[2];
    bool include_pad;
    bool sample;      /* windows of one pixel, none of padding: rows of channels are copied */
    int32_t *largest; /* as y lies: which pixel of the plane was the largest; -1 none. MaxPool only */
} pool_state;

static oct_status prepare(oct_tape *t, oct_diff_node *d, pool_state **out)
{
    pool_state *s;
    const oct_node *n = d->node;
    const oct_shape *x = &n->inputs[0]->shape, *y = &n->outputs[0]->shape;
    int64_t kernel[3];
    int count;
    oct_window w;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    OCT_TRY(oct_infer_ints(n, "kernel_shape", kernel, 3, &count));
    if (count > 2)
        return oct_diff_unsupported(n, "three spatial axes");
    OCT_TRY(oct_window_read(n, count, x->dim + 2, kernel, &w));
    s->n = x->dim[0];
    s->c = x->dim[1];
    for (int k = 0; k < 2; k++) {
        int64_t *to = k ? s->sy : s->sx;
        const int64_t *from = (k ? d->out[0] : d->in[0])->strides;
        to[0] = from[0];
        to[1] = from[1];
        to[2] = count == 2 ? from[2] : 0;
        to[3] = from[x->rank - 1];
    }
    s->h = count == 2 ? x->dim[2] : 1;
    s->oh = count == 2 ? y->dim[2] : 1;
    s->w = x->dim[x->rank - 1];
    s->ow = y->dim[y->rank - 1];
    s->include_pad = oct_node_int(n, "count_include_pad", 0) != 0;
    s->k[0] = s->stride[0] = s->dilation[0] = 1;
    for (int i = 0; i < count; i++) {
        const int at = i + 2 - count;
        s->k[at] = w.kernel[i];
        s->stride[at] = w.stride[i];
        s->dilation[at] = w.dilation[i];
        s->begin[at] = w.begin[i];
        s->end[at] = w.end[i];
    }
    if (s->h * s->w > INT32_MAX)
        return oct_diff_unsupported(n, "a plane of more than 2^31 elements");
    *out = s;
    return OCT_OK;
}

/* Window elements that stand inside [lo, hi) along axis a for output index o: taps [first, last). */
static void taps_inside(const pool_state *s, int a, int64_t o, int64_t lo, int64_t hi, int64_t *first, int64_t *last)
{
    const int64_t from = o * s->stride[a] - s->begin[a], step = s->dilation[a];
    *first = from >= lo ? 0 : oct_div_up(lo - from, step);
    *last = from >= hi ? 0 : oct_min64(s->k[a], oct_div_up(hi - from, step));
    *first = oct_min64(*first, *last);
}

typedef struct window {
    int64_t i0, i1, j0, j1; /* taps inside the image */
    int64_t y, x;           /* where tap (0, 0) stands */
} window;

static window window_at(const pool_state *s, int64_t oi, int64_t oj)
{
    window v = {.y = oi * s->stride[0] - s->begin[0], .x = oj * s->stride[1] - s->begin[1]};
    taps_inside(s, 0, oi, 0, s->h, &v.i0, &v.i1);
    taps_inside(s, 1, oj, 0, s->w, &v.j0, &v.j1);
    return v;
}

/* --- MaxPool --- */
oct_status oct_diff_prepare_max_pool(oct_tape *t, oct_diff_node *d)
{
    pool_state *s;
    OCT_TRY(prepare(t, d, &s));
    s->sample = s->k[0] == 1 && s->k[1] == 1 && s->sx[1] == 1 && s->sy[1] == 1;
    for (int i = 0; i < 2; i++)
        s->sample = s->sample && s->begin[i] == 0 && s->end[i] == 0;
    s->sample = s->sample && (s->oh - 1) * s->stride[0] < s->h && (s->ow - 1) * s->stride[1] < s->w;
    return oct_diff_alloc(t, d->out[0]->count, sizeof *s->largest, (void **)&s->largest);
}

/* Rows of channels between y and every stride-th pixel of x. */
static void sample(const pool_state *s, const float *x, float *y, const float *dy, float *dx)
{
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++) {
                const int64_t at_x = n * s->sx[0] + oi * s->stride[0] * s->sx[2] + oj * s->stride[1] * s->sx[3],
                              at_y = n * s->sy[0] + oi * s->sy[2] + oj * s->sy[3];
                if (y)
                    memcpy(y + at_y, x + at_x, (size_t)s->c * sizeof *y);
                else
                    oct_vector()->add(s->c, dx + at_x, dy + at_y, dx + at_x);
            }
}

/* One output pixel of one channel; x is that channel's plane. */
static void largest_in(const pool_state *s, const float *x, const window *v, float *most, int32_t *which)
{
    *most = -INFINITY;
    *which = -1;
    for (int64_t i = v->i0; i < v->i1; i++)
        for (int64_t j = v->j0; j < v->j1; j++) {
            const int64_t row = v->y + i * s->dilation[0], column = v->x + j * s->dilation[1];
            const float value = x[row * s->sx[2] + column * s->sx[3]];
            if (*which < 0 || value > *most) {
                *most = value;
                *which = (int32_t)(row * s->w + column);
            }
        }
}

oct_status oct_diff_forward_max_pool(oct_tape *t, oct_diff_node *d)
{
    pool_state *s = d->state;
    (void)t;
    if (s->sample) {
        sample(s, d->in[0]->data, d->out[0]->data, NULL, NULL);
        return OCT_OK;
    }
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++) {
                const window v = window_at(s, oi, oj);
                const float *x = d->in[0]->data + n * s->sx[0];
                const int64_t to = n * s->sy[0] + oi * s->sy[2] + oj * s->sy[3];
                for (int64_t c = 0; c < s->c; c++)
                    largest_in(s, x + c * s->sx[1], &v, &d->out[0]->data[to + c * s->sy[1]], &s->largest[to + c * s->sy[1]]);
            }
    return OCT_OK;
}

oct_status oct_diff_backward_max_pool(oct_tape *t, oct_diff_node *d)
{
    const pool_state *s = d->state;
    (void)t;
    if (s->sample) {
        sample(s, NULL, NULL, d->out[0]->grad, d->in[0]->grad);
        return OCT_OK;
    }
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++)
                for (int64_t c = 0; c < s->c; c++) {
                    const int64_t from = n * s->sy[0] + oi * s->sy[2] + oj * s->sy[3] + c * s->sy[1], at = s->largest[from];
                    if (at >= 0)
                        d->in[0]->grad[n * s->sx[0] + c * s->sx[1] + at / s->w * s->sx[2] + at % s->w * s->sx[3]] +=
                            d->out[0]->grad[from];
                }
    return OCT_OK;
}

/* --- AveragePool --- */
/* Elements that a window counts: with count_include_pad also those of the padding (but none beyond it, as ceil_mode would have). */
static float weight_of(const pool_state *s, int64_t oi, int64_t oj, const window *v)
{
    int64_t i0 = v->i0, i1 = v->i1, j0 = v->j0, j1 = v->j1;
    if (s->include_pad) {
        taps_inside(s, 0, oi, -s->begin[0], s->h + s->end[0], &i0, &i1);
        taps_inside(s, 1, oj, -s->begin[1], s->w + s->end[1], &j0, &j1);
    }
    const int64_t count = (i1 - i0) * (j1 - j0);
    return count > 0 ? 1.0f / (float)count : 0;
}

oct_status oct_diff_prepare_average_pool(oct_tape *t, oct_diff_node *d)
{
    pool_state *s;
    return prepare(t, d, &s);
}

oct_status oct_diff_forward_average_pool(oct_tape *t, oct_diff_node *d)
{
    const pool_state *s = d->state;
    (void)t;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++) {
                const window v = window_at(s, oi, oj);
                const float weight = weight_of(s, oi, oj, &v);
                for (int64_t c = 0; c < s->c; c++) {
                    const float *x = d->in[0]->data + n * s->sx[0] + c * s->sx[1];
                    float sum = 0;
                    for (int64_t i = v.i0; i < v.i1; i++)
                        for (int64_t j = v.j0; j < v.j1; j++)
                            sum += x[(v.y + i * s->dilation[0]) * s->sx[2] + (v.x + j * s->dilation[1]) * s->sx[3]];
                    d->out[0]->data[n * s->sy[0] + oi * s->sy[2] + oj * s->sy[3] + c * s->sy[1]] = sum * weight;
                }
            }
    return OCT_OK;
}

oct_status oct_diff_backward_average_pool(oct_tape *t, oct_diff_node *d)
{
    const pool_state *s = d->state;
    (void)t;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++) {
                const window v = window_at(s, oi, oj);
                const float weight = weight_of(s, oi, oj, &v);
                for (int64_t c = 0; c < s->c; c++) {
                    float *dx = d->in[0]->grad + n * s->sx[0] + c * s->sx[1];
                    const float share = d->out[0]->grad[n * s->sy[0] + oi * s->sy[2] + oj * s->sy[3] + c * s->sy[1]] * weight;
                    for (int64_t i = v.i0; i < v.i1; i++)
                        for (int64_t j = v.j0; j < v.j1; j++)
                            dx[(v.y + i * s->dilation[0]) * s->sx[2] + (v.x + j * s->dilation[1]) * s->sx[3]] += share;
                }
            }
    return OCT_OK;
}
