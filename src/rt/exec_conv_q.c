/* Dense and grouped convolution and gemm, u8 x s8: all rows of a unit times its panels, group by group. */
#include "rt/exec_conv.h"

static void unit(void *arg, int64_t index, int worker)
{
    const oct_conv_job *job = arg;
    const oct_p_conv *p = job->p;
    const oct_qconv_kernel *k = job->kernel;
    const int32_t columns = p->oc / p->groups;
    oct_conv_unit u;
    oct_conv_unit_begin(job, index, worker, &u);
    oct_qconv_args g = {.px = p->sw * u.pixel_bytes, .taps = job->taps, .tap_count = p->tap_count, .kc = p->kc, .panel_bytes = p->panel_bytes,
                        .m = u.c1 - u.c0, .ldc = job->yw, .ldr = job->rw, .e = &p->epi, .rows = u.r1 - u.r0, .row_px = p->sh * u.row_bytes,
                        .row_ldc = job->yh, .row_ldr = job->rh};
    for (int32_t panel = u.p0, end; panel < u.p1; panel = end) {
        const int32_t group = panel / p->panels, first = panel % p->panels * k->nr;
        const int64_t column = (int64_t)group * columns + first;
        end = (int32_t)oct_min64(u.p1, (group + 1) * p->panels);
        g.w = job->weights + panel * p->panel_bytes;
        g.n = (int32_t)oct_min64(columns - first, (end - panel) * k->nr);
        g.a = u.a + (int64_t)group * (p->c / p->groups);
        g.c = oct_conv_out(job, &u, u.r0) + column * job->out_size;
        g.res = job->res ? oct_conv_res(job, &u, u.r0) + column : NULL;
        k->fn(&g);
    }
}

void oct_exec_conv_q(oct_exec *x)
{
    oct_conv_run(x, unit);
}
