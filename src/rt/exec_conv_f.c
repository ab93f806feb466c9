/* Dense and grouped convolution and gemm in f32: the walk of exec_conv_q.c in floats. */
#include "rt/exec_conv.h"

static void unit(void *arg, int64_t index, int worker)
{
    const oct_conv_job *job = arg;
    const oct_p_conv *p = job->p;
    const oct_fconv_kernel *k = job->kernel;
    const int32_t columns = p->oc / p->groups;
    oct_conv_unit u;
    oct_conv_unit_begin(job, index, worker, &u);
    oct_fconv_args g = {.px = p->sw * u.pixel_bytes, .taps = job->taps, .tap_count = p->tap_count, .kc = p->kc, .m = u.c1 - u.c0,
                        .ldc = job->yw, .ldr = job->rw, .lo = p->epi.flo, .hi = p->epi.fhi};
    for (int32_t panel = u.p0; panel < u.p1; panel++) {
        const int32_t group = panel / p->panels, first = panel % p->panels * k->nr;
        const int64_t column = (int64_t)group * columns + first;
        g.w = job->weights + panel * p->panel_bytes;
        g.n = (int32_t)oct_min64(k->nr, columns - first);
        for (int32_t r = u.r0; r < u.r1; r++) {
            g.a = (const float *)(u.a + (int64_t)(r - u.r0) * p->sh * u.row_bytes) + (int64_t)group * (p->c / p->groups);
            g.c = (float *)oct_conv_out(job, &u, r) + column;
            g.res = job->res ? (const float *)oct_conv_res(job, &u, r) + column : NULL;
            k->fn(&g);
        }
    }
}

void oct_exec_conv_f(oct_exec *x)
{
    oct_conv_run(x, unit);
}
