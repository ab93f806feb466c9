/* Depthwise convolution, u8 x s8 and f32: one kernel call an output row, all channels.  Rows beyond the kernel's own repeat them:
 * weights that do not fit 8 bits come in parts that are added. */
#include "rt/exec_conv.h"

/* Pointers to the input rows of output row r into the worker's scratch. */
static const uint8_t **row_pointers(const oct_conv_job *job, const oct_conv_unit *u, int worker, int32_t r)
{
    const oct_p_conv *p = job->p;
    const uint8_t **rows = (const uint8_t **)(void *)(job->scratch + worker * job->worker_bytes);
    for (int32_t i = 0; i < p->tap_count; i++)
        rows[i] = u->a + ((int64_t)(r - u->r0) * p->sh + (int64_t)(i % p->kh) * p->dh) * u->row_bytes;
    return rows;
}

static void unit_q(void *arg, int64_t index, int worker)
{
    const oct_conv_job *job = arg;
    const oct_p_conv *p = job->p;
    const oct_qdw_kernel *k = job->kernel;
    oct_conv_unit u;
    oct_conv_unit_begin(job, index, worker, &u);
    for (int32_t r = u.r0; r < u.r1; r++)
        k->fn(&(oct_qdw_args){.rows = row_pointers(job, &u, worker, r), .px = p->sw * u.pixel_bytes, .kx_step = p->dw * u.pixel_bytes,
                              .kh = p->tap_count, .kw = p->kw, .c = p->c, .w = job->weights, .m = u.c1 - u.c0,
                              .out = oct_conv_out(job, &u, r), .ldc = job->yw, .res = oct_conv_res(job, &u, r), .ldr = job->rw, .e = &p->epi});
}

static void unit_f(void *arg, int64_t index, int worker)
{
    const oct_conv_job *job = arg;
    const oct_p_conv *p = job->p;
    const oct_fdw_kernel *k = job->kernel;
    oct_conv_unit u;
    oct_conv_unit_begin(job, index, worker, &u);
    for (int32_t r = u.r0; r < u.r1; r++)
        k->fn(&(oct_fdw_args){.rows = (const float *const *)(void *)row_pointers(job, &u, worker, r), .px = p->sw * u.pixel_bytes,
                              .kx_step = p->dw * u.pixel_bytes, .kh = p->tap_count, .kw = p->kw, .c = p->c, .w = job->weights, .m = u.c1 - u.c0,
                              .out = (float *)(void *)oct_conv_out(job, &u, r), .ldc = job->yw,
                              .res = (const float *)(const void *)oct_conv_res(job, &u, r), .ldr = job->rw, .lo = p->epi.flo, .hi = p->epi.fhi});
}

void oct_exec_dw_q(oct_exec *x)
{
    oct_conv_run(x, unit_q);
}

void oct_exec_dw_f(oct_exec *x)
{
    oct_conv_run(x, unit_f);
}
