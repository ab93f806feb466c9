/* The learning rate as a pure function of the step, so that a resumed run needs no state for it.  anchors/algorithms.md 7.5.
 *
 * Warm-up (Goyal et al. 2017, arXiv 1706.02677): step t < warmup has rate (t + 1) / warmup. Behind it, u = t - warmup:
 *   constant  rate
 *   step      rate * factor^floor(u / every)
 *   cosine    rate * (last + (1 - last) (1 + cos(pi u / (steps - warmup))) / 2)   (Loshchilov, Hutter 2016, 1608.03983)
 * From step `steps` on the cosine stays at rate * last. */
#ifndef OCT_TRAIN_SCHEDULE_H
#define OCT_TRAIN_SCHEDULE_H

#include <stdint.h>
#include "base/status.h"

typedef enum oct_schedule_kind { OCT_SCHEDULE_CONSTANT, OCT_SCHEDULE_STEP, OCT_SCHEDULE_COSINE } oct_schedule_kind;

typedef struct oct_schedule {
    oct_schedule_kind kind;
    double rate;    /* > 0 */
    int64_t warmup; /* steps, 0 = none */
    int64_t steps;  /* cosine: all steps, > warmup */
    double last;    /* cosine: 0 to 1 */
    int64_t every;  /* step: > 0 */
    double factor;  /* step: > 0 to 1 */
} oct_schedule;

/* USAGE names the field. */
oct_status oct_schedule_check(const oct_schedule *s);
/* The rate of step 0, 1, ... of a schedule that was checked. */
double oct_schedule_rate(const oct_schedule *s, int64_t step);

#endif
