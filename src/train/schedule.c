/* Learning rates: constant, in steps, cosine, each behind a linear warm-up. Formulas and sources in the header. */
#include "train/schedule.h"

#include <math.h>

oct_status oct_schedule_check(const oct_schedule *s)
{
    if (!(s->rate > 0 && isfinite(s->rate)))
        return oct_fail(OCT_ERR_USAGE, "schedule: a learning rate of %g; it is above 0 and finite", s->rate);
    if (s->warmup < 0)
        return oct_fail(OCT_ERR_USAGE, "schedule: a warm-up of %lld steps", (long long)s->warmup);
    switch (s->kind) {
    case OCT_SCHEDULE_CONSTANT:
        return OCT_OK;
    case OCT_SCHEDULE_STEP:
        if (s->every < 1 || !(s->factor > 0 && s->factor <= 1))
            return oct_fail(OCT_ERR_USAGE, "schedule: a factor of %g every %lld steps; it is in (0, 1], and steps are 1 or more",
                            s->factor, (long long)s->every);
        return OCT_OK;
    case OCT_SCHEDULE_COSINE:
        if (s->steps <= s->warmup || !(s->last >= 0 && s->last <= 1))
            return oct_fail(OCT_ERR_USAGE,
                            "schedule: %lld steps with a warm-up of %lld down to a share of %g; "
                            "the steps are more than the warm-up, the share is 0 to 1",
                            (long long)s->steps, (long long)s->warmup, s->last);
        return OCT_OK;
    }
    return oct_fail(OCT_ERR_USAGE, "schedule: unknown kind %d", (int)s->kind);
}

double oct_schedule_rate(const oct_schedule *s, int64_t step)
{
    if (step < s->warmup)
        return s->rate * (double)(step + 1) / (double)s->warmup;
    const int64_t u = step - s->warmup;
    if (s->kind == OCT_SCHEDULE_STEP)
        return s->rate * pow(s->factor, (double)(u / s->every));
    if (s->kind == OCT_SCHEDULE_COSINE) {
        const double done = fmin((double)u / (double)(s->steps - s->warmup), 1);
        return s->rate * (s->last + (1 - s->last) * 0.5 * (1 + cos(M_PI * done)));
    }
    return s->rate;
}
