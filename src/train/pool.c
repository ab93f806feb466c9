/* MaxPool and AveragePool over one or two spatial axes.  MaxPool's gradient goes to the first largest element of each window; AveragePool's is shared by the
 * elements that were counted. */
#include "train/diff.h"

#include <math.h>
#include "op/infer.h"

typedef struct pool_state {
    int64_t planes, h, w, oh, ow;             /* planes: images times channels; h = oh = 1 with one axis */
    int64_t k[2], stride[2], dilation[2], begin[2], end[2];
    bool include_pad;
    int32_t *largest;                         /* [planes, oh, ow]: which element of the plane was the largest; -1 none. MaxPool only */
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
    s->planes = x->dim[0] * x->dim[1];
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
    return oct_diff_alloc(t, d->out[0]->count, sizeof *s->largest, (void **)&s->largest);
}

oct_status oct_diff_forward_max_pool(oct_tape *t, oct_diff_node *d)
{
    pool_state *s = d->state;
    int64_t to = 0;
    (void)t;
    for (int64_t p = 0; p < s->planes; p++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++, to++) {
                const float *x = d->in[0]->data + p * s->h * s->w;
                const window v = window_at(s, oi, oj);
                float most = -INFINITY;
                s->largest[to] = -1;
                for (int64_t i = v.i0; i < v.i1; i++)
                    for (int64_t j = v.j0; j < v.j1; j++) {
                        const int64_t at = (v.y + i * s->dilation[0]) * s->w + v.x + j * s->dilation[1];
                        if (s->largest[to] < 0 || x[at] > most) {
                            most = x[at];
                            s->largest[to] = (int32_t)at;
                        }
                    }
                d->out[0]->data[to] = most;
            }
    return OCT_OK;
}

oct_status oct_diff_backward_max_pool(oct_tape *t, oct_diff_node *d)
{
    const pool_state *s = d->state;
    const int64_t per_plane = s->oh * s->ow;
    (void)t;
    for (int64_t to = 0; to < d->out[0]->count; to++)
        if (s->largest[to] >= 0)
            d->in[0]->grad[to / per_plane * s->h * s->w + s->largest[to]] += d->out[0]->grad[to];
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
    int64_t to = 0;
    (void)t;
    for (int64_t p = 0; p < s->planes; p++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++, to++) {
                const float *x = d->in[0]->data + p * s->h * s->w;
                const window v = window_at(s, oi, oj);
                float sum = 0;
                for (int64_t i = v.i0; i < v.i1; i++)
                    for (int64_t j = v.j0; j < v.j1; j++)
                        sum += x[(v.y + i * s->dilation[0]) * s->w + v.x + j * s->dilation[1]];
                d->out[0]->data[to] = sum * weight_of(s, oi, oj, &v);
            }
    return OCT_OK;
}

oct_status oct_diff_backward_average_pool(oct_tape *t, oct_diff_node *d)
{
    const pool_state *s = d->state;
    int64_t from = 0;
    (void)t;
    for (int64_t p = 0; p < s->planes; p++)
        for (int64_t oi = 0; oi < s->oh; oi++)
            for (int64_t oj = 0; oj < s->ow; oj++, from++) {
                float *dx = d->in[0]->grad + p * s->h * s->w;
                const window v = window_at(s, oi, oj);
                const float share = d->out[0]->grad[from] * weight_of(s, oi, oj, &v);
                for (int64_t i = v.i0; i < v.i1; i++)
                    for (int64_t j = v.j0; j < v.j1; j++)
                        dx[(v.y + i * s->dilation[0]) * s->w + v.x + j * s->dilation[1]] += share;
            }
    return OCT_OK;
}
