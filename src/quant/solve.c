/* From what a calibrator has seen to ranges: tensors that share a scale are solved once, on their merged statistics (DESIGN 4.2, 4.6).  With
 * `auto` several candidates are made and quant/choose.c picks. */
#include <stdlib.h>
#include <string.h>
#include "qparam/qparam.h"
#include "quant/choose.h"

typedef struct job {
    oct_calibrator *cal;
    oct_placement placement;
    oct_share *shares;
    int64_t share_count;
    int32_t *group_of;    /* watch -> group, or -1 - index of its own share */
} job;

static int64_t find_watch(const oct_calibrator *cal, const char *name)
{
    for (int64_t i = 0; i < cal->watch_count; i++)
        if (strcmp(cal->watches[i].name, name) == 0)
            return i;
    return -1;
}

/* The share of a group gets the statistics of one more root. */
static oct_status join(oct_share *s, const oct_observer *o)
{
    if (!s->observer) {
        s->observer = o;
        return OCT_OK;
    }
    if (!s->owned) {
        OCT_TRY(oct_observer_create(0, &s->owned));
        const oct_observer *first = s->observer;
        s->observer = s->owned;
        OCT_TRY(oct_observer_merge_counts(s->owned, first));
    }
    return oct_observer_merge_counts(s->owned, o);
}

static oct_status make_shares(job *j)
{
    oct_calibrator *cal = j->cal;
    int64_t groups = j->placement.group_count;
    j->shares = calloc((size_t)(groups + cal->watch_count) + 1, sizeof *j->shares);
    j->group_of = malloc((size_t)(cal->watch_count + 1) * sizeof *j->group_of);
    if (!j->shares || !j->group_of)
        return oct_fail(OCT_ERR_MEMORY, "cannot solve %lld tensors", (long long)cal->watch_count);
    for (int64_t i = 0; i < cal->watch_count; i++)
        j->group_of[i] = -1;
    for (int64_t i = 0; i < groups; i++)
        j->shares[i].group = (int32_t)i;
    for (int64_t i = 0; i < j->placement.point_count; i++) {
        const oct_qpoint *p = &j->placement.points[i];
        int64_t w = find_watch(cal, p->value->name);
        if (w >= 0)
            j->group_of[w] = p->group;
        if (w >= 0 && p->root)
            OCT_TRY(join(&j->shares[p->group], cal->watches[w].observer));
    }
    j->share_count = groups;
    for (int64_t i = 0; i < cal->watch_count; i++)
        if (j->group_of[i] < 0) {
            j->group_of[i] = -1 - (int32_t)j->share_count;
            j->shares[j->share_count++] = (oct_share){.observer = cal->watches[i].observer, .group = -1};
        }
    return OCT_OK;
}

static oct_status put(oct_ranges *r, const char *name, const oct_observer *o, const oct_solution *s)
{
    return oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)name, .min = s->min, .max = s->max, .scale = s->scale, .zero = s->zero,
                                                .solver = (char *)s->name, .digest = oct_observer_mean_square(o), .error = s->round + s->clip});
}

static oct_status write_ranges(const job *j, oct_ranges *r)
{
    for (int64_t i = 0; i < j->cal->watch_count; i++) {
        const oct_watch *w = &j->cal->watches[i];
        const oct_share *s = &j->shares[j->group_of[i] >= 0 ? j->group_of[i] : -1 - j->group_of[i]];
        if (s->observer)
            OCT_TRY(put(r, w->name, w->observer, &s->candidate[s->chosen]));
    }
    /* Tensors that only move values were perhaps not observed themselves: they have their group's range. */
    for (int64_t i = 0; i < j->placement.point_count; i++) {
        const oct_qpoint *p = &j->placement.points[i];
        const oct_share *s = &j->shares[p->group];
        if (s->observer && !oct_ranges_find(r, p->value->name))
            OCT_TRY(put(r, p->value->name, s->observer, &s->candidate[s->chosen]));
    }
    return OCT_OK;
}

/* Candidates of `auto`, widest first; those whose limits differ by less than 2 % are one. */
static void make_candidates(const oct_calibrator *cal, oct_share *s)
{
    static const oct_method methods[] = {{OCT_SOLVER_MAX, 0, "max"}, {OCT_SOLVER_PERCENTILE, 99.9999, "percentile 99.9999"},
                                         {OCT_SOLVER_PERCENTILE, 99.999, "percentile 99.999"}, {OCT_SOLVER_PERCENTILE, 99.99, "percentile 99.99"},
                                         {OCT_SOLVER_MSE, 3, "mse3"}, {OCT_SOLVER_MSE, 2, "mse"}, {OCT_SOLVER_ENTROPY, 0, "entropy"}};
    for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
        oct_solution x;
        bool known = false;
        oct_solve(s->observer, cal->opts.scheme, methods[m], &x);
        for (int i = 0; i < s->count; i++)
            known |= x.scale > 0.98f * s->candidate[i].scale && x.scale < 1.02f * s->candidate[i].scale && abs(x.zero - s->candidate[i].zero) <= 2;
        if (!known)
            s->candidate[s->count++] = x;
        if (s->group < 0 || (x.flags & OCT_SOLVED_DEAD))
            break; /* nobody reads its codes: `max` stands */
    }
}

oct_status oct_calibrator_solve(oct_calibrator *cal, oct_ranges **out)
{
    oct_status s = OCT_OK;
    job j = {.cal = cal};
    oct_ranges *r = NULL;
    oct_method method;
    if (cal->samples == 0)
        return oct_fail(OCT_ERR_DEMAND, "no sample was pushed: there is nothing to calibrate from");
    OCT_TRY(oct_method_make(cal->opts.solver, cal->opts.percentile, &method));
    OCT_TRY(oct_placement_make(cal->model->graph, &j.placement));
    OCT_TRY_DONE(make_shares(&j));
    for (int64_t i = 0; i < j.share_count; i++) {
        oct_share *x = &j.shares[i];
        if (!x->observer)
            continue;
        if (method.solver == OCT_SOLVER_AUTO)
            make_candidates(cal, x);
        else
            oct_solve(x->observer, cal->opts.scheme, method, &x->candidate[x->count++]);
    }
    if (method.solver == OCT_SOLVER_AUTO)
        OCT_TRY_DONE(oct_choose(cal, &j.placement, j.shares, j.share_count));
    OCT_TRY_DONE(oct_ranges_create(cal->opts.scheme, &r));
    memcpy(r->hash, cal->hash, sizeof r->hash);
    r->samples = cal->samples;
    OCT_TRY_DONE(oct_ranges_set_method(r, method.name));
    OCT_TRY_DONE(write_ranges(&j, r));
    *out = r;
    r = NULL;
done:
    oct_ranges_destroy(r);
    for (int64_t i = 0; j.shares && i < j.share_count; i++)
        oct_observer_destroy(j.shares[i].owned);
    free(j.shares);
    free(j.group_of);
    oct_placement_free(&j.placement);
    return s;
}
