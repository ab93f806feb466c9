/* What the four convolution steps share: the job, its units, and the copy of a band of input with its padding.  Units: plan/conv.h. */
#ifndef OCT_RT_EXEC_CONV_H
#define OCT_RT_EXEC_CONV_H

#include "plan/conv.h"
#include "rt/exec.h"

typedef struct oct_conv_job {
    oct_step_kind kind;
    const oct_p_conv *p;
    oct_conv_tiling t;
    const void *kernel;
    const uint8_t *x, *res;
    uint8_t *y;
    int64_t size, out_size;              /* bytes of an input and an output element */
    int64_t xn, xh, xw;                  /* bytes between images, rows, pixels */
    int64_t yn, yh, yw, rn, rh, rw;
    const uint8_t *weights;
    const int64_t *taps;
    uint8_t *scratch;
    int64_t worker_bytes;
} oct_conv_job;

/* A unit's share: output rows [r0, r1), columns [c0, c1) of one image, panels [p0, p1). */
typedef struct oct_conv_unit {
    int64_t image;
    int32_t r0, r1, c0, c1, p0, p1;
    const uint8_t *a;                    /* input of output pixel (r0, c0), tap 0: in place or in scratch */
    int64_t row_bytes, pixel_bytes;      /* between input rows and pixels there */
} oct_conv_unit;

/* The step: every unit on the team, with the job for arg. */
void oct_conv_run(oct_exec *x, oct_team_fn *unit);
/* Unit number -> its share; copies the band where the step asks for it. */
void oct_conv_unit_begin(const oct_conv_job *job, int64_t unit, int worker, oct_conv_unit *u);

static inline uint8_t *oct_conv_out(const oct_conv_job *job, const oct_conv_unit *u, int32_t row)
{
    return job->y + u->image * job->yn + row * job->yh + u->c0 * job->yw;
}
static inline const uint8_t *oct_conv_res(const oct_conv_job *job, const oct_conv_unit *u, int32_t row)
{
    return job->res ? job->res + u->image * job->rn + row * job->rh + u->c0 * job->rw : NULL;
}

#endif
