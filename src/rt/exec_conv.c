/* Convolution steps: views to a job, units to bands, and the padded copy.  A unit copies what it needs into its worker's scratch, so
 * no barrier stands between copy and arithmetic. Every byte between the taps of a band is written, so kernels may read past a run. */
#include "rt/exec_conv.h"

#include <string.h>

static void job_init(oct_conv_job *job, const oct_exec *x)
{
    const oct_p_conv *p = x->params;
    const oct_step_kind kind = (oct_step_kind)x->step->kind;
    const oct_view *in = &x->in[0], *out = &x->out[0], *res = p->residual ? &x->in[p->residual] : NULL;
    const int64_t size = oct_conv_size(kind), out_size = (int64_t)oct_dtype_size(out->dtype);
    *job = (oct_conv_job){
        .kind = kind,
        .p = p,
        .kernel = x->kernel,
        .x = in->data,
        .y = out->data,
        .size = size,
        .out_size = out_size,
        .xn = in->strides[0] * size, .xh = in->strides[2] * size, .xw = in->strides[3] * size,
        .yn = out->strides[0] * out_size, .yh = out->strides[2] * out_size, .yw = out->strides[3] * out_size,
        .weights = oct_exec_const(x, p->weights_at),
        .taps = oct_exec_const(x, p->taps_at),
        .scratch = x->worker_scratch,
        .worker_bytes = x->step->worker_bytes,
    };
    if (res) {
        const int64_t res_size = (int64_t)oct_dtype_size(res->dtype);
        job->res = res->data;
        job->rn = res->strides[0] * res_size;
        job->rh = res->strides[2] * res_size;
        job->rw = res->strides[3] * res_size;
    }
    (void)oct_conv_tile(kind, p, &job->t); /* the check of the plan has seen it succeed */
}

void oct_conv_run(oct_exec *x, oct_team_fn *unit)
{
    oct_conv_job job;
    job_init(&job, x);
    oct_team_for(x->team, job.t.units, unit, &job);
}

/* count pixels of a row from virtual column `first` (0 = left edge of the padding) on. */
static void copy_pixels(const oct_conv_job *job, const uint8_t *row, int64_t first, int64_t count, uint8_t *to)
{
    const oct_p_conv *p = job->p;
    const int64_t pixel = (int64_t)p->c * job->size, at = first - p->pl;
    if (p->up_w == 1) {
        const int64_t left = oct_min64(count, oct_max64(0, -at)), body = oct_max64(0, oct_min64(count, p->w - at) - left);
        const uint8_t *from = row + (at + left) * job->xw;
        memset(to, p->zp_in, (size_t)(left * pixel));
        to += left * pixel;
        if (job->xw == pixel)
            memcpy(to, from, (size_t)(body * pixel));
        else
            for (int64_t i = 0; i < body; i++)
                memcpy(to + i * pixel, from + i * job->xw, (size_t)pixel);
        memset(to + body * pixel, p->zp_in, (size_t)((count - left - body) * pixel));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t v = at + i;
        if (v >= 0 && v % p->up_w == 0 && v / p->up_w < p->w)
            memcpy(to + i * pixel, row + v / p->up_w * job->xw, (size_t)pixel);
        else
            memset(to + i * pixel, p->zp_in, (size_t)pixel);
    }
}

static void copy_band(const oct_conv_job *job, const oct_conv_unit *u, uint8_t *to)
{
    const oct_p_conv *p = job->p;
    const int64_t rows = oct_conv_rows(job->kind, p, u->r1 - u->r0), cols = oct_conv_cols(job->kind, p, u->c1 - u->c0);
    const int64_t top = (int64_t)u->r0 * p->sh - p->pt, left = (int64_t)u->c0 * p->sw;
    const uint8_t *image = job->x + u->image * job->xn;
    for (int64_t i = 0; i < rows; i++, to += job->t.row_bytes) {
        const int64_t v = top + i;
        if (v >= 0 && v % p->up_h == 0 && v / p->up_h < p->h)
            copy_pixels(job, image + v / p->up_h * job->xh, left, cols, to);
        else
            memset(to, p->zp_in, (size_t)(cols * p->c * job->size));
    }
}

void oct_conv_unit_begin(const oct_conv_job *job, int64_t unit, int worker, oct_conv_unit *u)
{
    const oct_p_conv *p = job->p;
    const oct_conv_tiling *t = &job->t;
    const int64_t col = unit % t->col_bands, row = unit / t->col_bands % t->row_bands;
    const int64_t image = unit / ((int64_t)t->col_bands * t->row_bands) % p->n, group = unit / ((int64_t)t->col_bands * t->row_bands * p->n);
    u->image = image;
    u->r0 = (int32_t)(row * t->rows);
    u->r1 = (int32_t)oct_min64(p->oh, (row + 1) * t->rows);
    u->c0 = (int32_t)(col * t->cols);
    u->c1 = (int32_t)oct_min64(p->ow, (col + 1) * t->cols);
    u->p0 = (int32_t)(group * t->panel_step);
    u->p1 = (int32_t)oct_min64((int64_t)p->groups * p->panels, (group + 1) * t->panel_step);
    if (p->copy) {
        uint8_t *copy = job->scratch + worker * job->worker_bytes + t->pointer_bytes;
        copy_band(job, u, copy);
        u->a = copy;
        u->row_bytes = t->row_bytes;
        u->pixel_bytes = (int64_t)p->c * job->size;
    } else {
        u->a = job->x + u->image * job->xn + (int64_t)u->r0 * p->sh * job->xh + (int64_t)u->c0 * p->sw * job->xw;
        u->row_bytes = job->xh;
        u->pixel_bytes = job->xw;
    }
}
