/* Winograd convolution, u8 x s8: the copied band of a unit through the kernel, whose scratch lies behind it. */
#include "rt/exec_conv.h"

static void unit(void *arg, int64_t index, int worker)
{
    const oct_conv_job *job = arg;
    const oct_p_conv *p = job->p;
    const oct_qwino_kernel *k = job->kernel;
    oct_conv_unit u;
    oct_conv_unit_begin(job, index, worker, &u);
    const int32_t first = u.p0 * k->nr;
    const oct_qwino_args g = {
        .a = u.a,
        .row_bytes = u.row_bytes,
        .c = p->c,
        .rows = u.r1 - u.r0,
        .cols = u.c1 - u.c0,
        .n = (int32_t)oct_min64(p->oc, (int64_t)u.p1 * k->nr) - first,
        .w = job->weights + u.p0 * p->panel_bytes,
        .panel_bytes = p->panel_bytes,
        .out = oct_conv_out(job, &u, u.r0) + first * job->out_size,
        .ldc = job->yw,
        .row_ldc = job->yh,
        .res = job->res ? oct_conv_res(job, &u, u.r0) + first : NULL,
        .ldr = job->rw,
        .row_ldr = job->rh,
        .e = &p->epi,
        .scratch = job->scratch + worker * job->worker_bytes + job->t.copy_bytes,
    };
    k->fn(&g);
}

void oct_exec_wino_q(oct_exec *x)
{
    oct_conv_run(x, unit);
}
