/* Max and average pools, u8 and f32, over one or two spatial axes.  DESIGN 3.7.
 *
 * With dense channels each output pixel is one call of a pool kernel on the list of its taps; long lists (global pools of large
 * images) and other layouts take plain loops with the same arithmetic. */
#include "rt/exec_loop.h"

#include <math.h>
#include "num/num.h"

enum { MAX_TAPS = 512, BLOCK = 64 };

typedef struct pool_job {
    const oct_p_pool *p;
    const void *kernel;
    bool is_u8, dense;
    int64_t n, c, h, w, oh, ow;
    const char *x;
    char *y;
    int64_t xn, xc, xh, xw, yn, yc, yh, yw; /* bytes */
    int64_t span, spans;                    /* columns of a piece of a row, pieces of a row */
} pool_job;

/* Taps of one output pixel that lie inside the image: ky in [y0, y1), kx in [x0, x1). */
typedef struct window {
    int64_t y0, y1, x0, x1, top, left;
    int32_t taps, count; /* count: what the average divides by */
} window;

/* Taps k of first + k*dilation that fall into [0, size). */
static void axis_range(int64_t first, int64_t size, int32_t k, int32_t dilation, int64_t *k0, int64_t *k1)
{
    *k0 = 0;
    *k1 = k;
    if (first >= 0 && first + (int64_t)(k - 1) * dilation < size)
        return;
    *k0 = first < 0 ? oct_div_up(-first, dilation) : 0;
    *k1 = oct_min64(k, first < size ? oct_div_up(size - first, dilation) : 0);
    *k1 = oct_max64(*k0, *k1);
}

static void window_row(const pool_job *job, int64_t oy, window *v)
{
    v->top = oy * job->p->sh - job->p->pt;
    axis_range(v->top, job->h, job->p->kh, job->p->dh, &v->y0, &v->y1);
}

static void window_column(const pool_job *job, int64_t ox, window *v)
{
    const oct_p_pool *p = job->p;
    v->left = ox * p->sw - p->pl;
    axis_range(v->left, job->w, p->kw, p->dw, &v->x0, &v->x1);
    v->taps = (int32_t)((v->y1 - v->y0) * (v->x1 - v->x0));
    v->count = v->taps > 0 ? v->taps : 1;
    if (p->include_pad) { /* ONNX counts the padding, but not what ceil_mode adds beyond it */
        const int64_t bottom = job->h + p->pb, right = job->w + p->pr;
        const int64_t rows = oct_min64(p->kh, oct_div_up(bottom - v->top, p->dh)),
                      cols = oct_min64(p->kw, oct_div_up(right - v->left, p->dw));
        v->count = (int32_t)(rows * cols);
    }
}

static float factor_u8(const pool_job *job, const window *v) { return (float)(job->p->scale / (double)v->count); }
static float factor_f32(const window *v) { return 1.0f / (float)v->count; }

static const char *tap(const pool_job *job, const window *v, const char *image, int64_t ky, int64_t kx)
{
    return image + (v->top + ky * job->p->dh) * job->xh + (v->left + kx * job->p->dw) * job->xw;
}

static void pixel_kernel(const pool_job *job, const window *v, const char *image, char *y)
{
    const oct_p_pool *p = job->p;
    const void *taps[MAX_TAPS];
    const int64_t kx_step = p->dw * job->xw;
    int32_t n = 0;
    for (int64_t ky = v->y0; ky < v->y1; ky++) {
        const char *x = tap(job, v, image, ky, v->x0);
        for (int64_t kx = v->x0; kx < v->x1; kx++, x += kx_step)
            taps[n++] = x;
    }
    if (p->is_max && job->is_u8)
        ((const oct_maxpool_u8_kernel *)job->kernel)->fn((const uint8_t *const *)taps, n, job->c, (uint8_t *)y);
    else if (p->is_max)
        ((const oct_maxpool_f32_kernel *)job->kernel)->fn((const float *const *)taps, n, job->c, (float *)y);
    else if (job->is_u8)
        ((const oct_avgpool_u8_kernel *)job->kernel)
            ->fn((const uint8_t *const *)taps, n, job->c, p->zx, factor_u8(job, v), p->z, p->lo, p->hi, (uint8_t *)y);
    else
        ((const oct_avgpool_f32_kernel *)job->kernel)->fn((const float *const *)taps, n, job->c, factor_f32(v), (float *)y);
}

static void pixel_u8(const pool_job *job, const window *v, const char *image, char *y)
{
    const oct_p_pool *p = job->p;
    for (int64_t first = 0; first < job->c; first += BLOCK) {
        const int64_t n = oct_min64(BLOCK, job->c - first);
        int32_t acc[BLOCK];
        for (int64_t i = 0; i < n; i++)
            acc[i] = p->is_max ? 0 : -v->taps * p->zx;
        for (int64_t ky = v->y0; ky < v->y1; ky++)
            for (int64_t kx = v->x0; kx < v->x1; kx++) {
                const char *x = tap(job, v, image, ky, kx) + first * job->xc;
                for (int64_t i = 0; i < n; i++) {
                    const int32_t q = *(const uint8_t *)(x + i * job->xc);
                    acc[i] = p->is_max ? (q > acc[i] ? q : acc[i]) : acc[i] + q;
                }
            }
        const float m = factor_u8(job, v);
        for (int64_t i = 0; i < n; i++)
            *(uint8_t *)(y + (first + i) * job->yc) = (uint8_t)(p->is_max ? acc[i] : oct_requantize(acc[i], m, p->z, p->lo, p->hi));
    }
}

static void pixel_f32(const pool_job *job, const window *v, const char *image, char *y)
{
    const oct_p_pool *p = job->p;
    for (int64_t first = 0; first < job->c; first += BLOCK) {
        const int64_t n = oct_min64(BLOCK, job->c - first);
        float acc[BLOCK];
        bool start = true;
        for (int64_t ky = v->y0; ky < v->y1; ky++)
            for (int64_t kx = v->x0; kx < v->x1; kx++, start = false) {
                const char *x = tap(job, v, image, ky, kx) + first * job->xc;
                for (int64_t i = 0; i < n; i++) {
                    const float q = *(const float *)(x + i * job->xc);
                    acc[i] = start ? q : p->is_max ? (q > acc[i] ? q : acc[i]) : acc[i] + q;
                }
            }
        const float m = p->is_max ? 1.0f : factor_f32(v);
        for (int64_t i = 0; i < n; i++)
            *(float *)(y + (first + i) * job->yc) = acc[i] * m;
    }
}

/* Dilation can step over the whole image, so that every tap meets padding: the lowest value, or a mean of zeros. */
static void pixel_empty(const pool_job *job, char *y)
{
    const oct_p_pool *p = job->p;
    for (int64_t i = 0; i < job->c; i++)
        if (job->is_u8)
            *(uint8_t *)(y + i * job->yc) = (uint8_t)(p->is_max ? 0 : oct_requantize(0, 1.0f, p->z, p->lo, p->hi));
        else
            *(float *)(y + i * job->yc) = p->is_max ? -INFINITY : 0.0f;
}

/* Items are output rows; long ones are cut into spans of columns. */
static void pool_rows(void *arg, int64_t first, int64_t last)
{
    const pool_job *job = arg;
    for (int64_t i = first; i < last; i++) {
        const int64_t from = i % job->spans * job->span, row = i / job->spans, oy = row % job->oh, n = row / job->oh;
        const int64_t to = oct_min64(job->ow, from + job->span);
        const char *image = job->x + n * job->xn;
        window v;
        window_row(job, oy, &v);
        for (int64_t ox = from; ox < to; ox++) {
            char *y = job->y + n * job->yn + oy * job->yh + ox * job->yw;
            window_column(job, ox, &v);
            if (v.taps == 0)
                pixel_empty(job, y);
            else if (job->dense && v.taps <= MAX_TAPS)
                pixel_kernel(job, &v, image, y);
            else if (job->is_u8)
                pixel_u8(job, &v, image, y);
            else
                pixel_f32(job, &v, image, y);
        }
    }
}

static const void *default_kernel(const oct_exec *x, bool is_max, bool is_u8)
{
    const oct_isa isa = oct_exec_isa(x);
    if (is_u8)
        return is_max ? (const void *)oct_maxpool_u8_best(isa) : (const void *)oct_avgpool_u8_best(isa);
    return is_max ? (const void *)oct_maxpool_f32_best(isa) : (const void *)oct_avgpool_f32_best(isa);
}

/* A maximum over one element is a choice of pixels: a copy from a view with longer strides. */
static bool is_choice(const oct_p_pool *p) { return p->is_max && p->kh == 1 && p->kw == 1 && !(p->pt | p->pl | p->pb | p->pr); }

static void choose_pixels(oct_exec *x)
{
    const oct_p_pool *p = x->params;
    oct_view in = x->in[0];
    const int32_t last = in.rank - 1;
    for (int32_t d = 2; d <= last; d++) {
        in.strides[d] *= d == last ? p->sw : p->sh;
        in.dims[d] = x->out[0].dims[d];
    }
    oct_exec_move(x, &x->out[0], &in);
}

void oct_exec_pool(oct_exec *x)
{
    const oct_p_pool *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const bool two = in->rank >= 4; /* rank 3: the one spatial axis is w */
    const int32_t last = in->rank - 1;
    const int64_t size = (int64_t)oct_dtype_size(in->dtype);
    if (is_choice(p)) {
        choose_pixels(x);
        return;
    }
    pool_job job = {
        .p = p,
        .is_u8 = in->dtype == OCT_U8,
        .n = in->dims[0],
        .c = in->dims[1],
        .h = two ? in->dims[last - 1] : 1,
        .w = in->dims[last],
        .oh = two ? out->dims[last - 1] : 1,
        .ow = out->dims[last],
        .x = in->data,
        .y = out->data,
        .xn = in->strides[0] * size,
        .xc = in->strides[1] * size,
        .xh = two ? in->strides[last - 1] * size : 0,
        .xw = in->strides[last] * size,
        .yn = out->strides[0] * size,
        .yc = out->strides[1] * size,
        .yh = two ? out->strides[last - 1] * size : 0,
        .yw = out->strides[last] * size,
    };
    job.kernel = x->kernel ? x->kernel : default_kernel(x, p->is_max != 0, job.is_u8);
    job.dense = (job.xc == size && job.yc == size) || job.c == 1;
    const int64_t pixels = oct_exec_per_unit(job.c * p->kh * p->kw / 4);
    job.span = oct_max64(1, oct_min64(job.ow, pixels));
    job.spans = oct_div_up(job.ow, job.span);
    oct_exec_ranges(x, job.n * job.oh * job.spans, oct_max64(1, pixels / job.span), pool_rows, &job);
}
