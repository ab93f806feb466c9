/* From what a calibrator has seen to ranges: tensors that share a scale are solved once, on their merged statistics (DESIGN 4.2, 4.6).  With
 * `auto` several candidates are made and quant/choose.c picks. */
#include <stdlib.h>
#include <string.h>
#include "opt/opt.h"
#include "qparam/qparam.h"
#include "quant/choose.h"
#include "quant/meter.h"
#include "qparam/insert.h"

/* A plain configuration replaces the tensor-by-tensor choice when its error is below this part of the choice's. */
#define KEEP 0.97

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

/* Which candidate of each share a set of ranges takes. */
typedef enum pick { PICK_CHOSEN, PICK_FIRST, PICK_MSE } pick;

static const oct_solution *picked(const oct_share *s, pick how)
{
    for (int i = 0; how == PICK_MSE && i < s->count; i++)
        if (strcmp(s->candidate[i].name, "mse") == 0)
            return &s->candidate[i];
    return &s->candidate[how == PICK_CHOSEN ? s->chosen : 0];
}

static oct_status put(oct_ranges *r, const char *name, const oct_observer *o, const oct_solution *s)
{
    return oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)name, .min = s->min, .max = s->max, .scale = s->scale, .zero = s->zero,
                                                .solver = (char *)s->name, .digest = oct_observer_mean_square(o), .error = s->round + s->clip});
}

static oct_status write_ranges(const job *j, pick how, oct_ranges *r)
{
    for (int64_t i = 0; i < j->cal->watch_count; i++) {
        const oct_watch *w = &j->cal->watches[i];
        const oct_share *s = &j->shares[j->group_of[i] >= 0 ? j->group_of[i] : -1 - j->group_of[i]];
        if (s->observer)
            OCT_TRY(put(r, w->name, w->observer, picked(s, how)));
    }
    /* Tensors that only move values were perhaps not observed themselves: they have their group's range. */
    for (int64_t i = 0; i < j->placement.point_count; i++) {
        const oct_qpoint *p = &j->placement.points[i];
        const oct_share *s = &j->shares[p->group];
        if (s->observer && !oct_ranges_find(r, p->value->name))
            OCT_TRY(put(r, p->value->name, s->observer, picked(s, how)));
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

static oct_status make_ranges(const job *j, const char *method, pick how, oct_ranges **out)
{
    oct_ranges *r = NULL;
    OCT_TRY(oct_ranges_create(j->cal->opts.scheme, &r));
    memcpy(r->hash, j->cal->hash, sizeof r->hash);
    r->samples = j->cal->samples;
    oct_status s = oct_ranges_set_method(r, method);
    if (s == OCT_OK)
        s = write_ranges(j, how, r);
    if (s == OCT_OK)
        *out = r;
    else
        oct_ranges_destroy(r);
    return s;
}

/* Distance of the model quantized with these ranges from the float model, on the meter's samples. */
static oct_status model_error(const oct_calibrator *cal, oct_meter *m, const oct_ranges *r, double *error)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL, *given;
    oct_probe p = {0};
    *error = 0;
    OCT_TRY(oct_graph_clone(cal->model->graph, &g));
    oct_meter_mark(m, g);
    OCT_TRY_DONE(oct_insert_qdq(g, r, cal->opts.per_tensor));
    given = g;
    g = NULL;
    OCT_TRY_DONE(oct_probe_open(cal, given, OCT_OPT_EXPORT | OCT_OPT_QDQ | OCT_OPT_FUSE, &cal->kept[0], &p));
    for (int i = 0; i < m->samples; i++) {
        OCT_TRY_DONE(oct_probe_set_sample(&p, &cal->kept[i]));
        OCT_TRY_DONE(oct_probe_run(&p));
        OCT_TRY_DONE(oct_meter_add(m, &p, i, error));
    }
done:
    oct_graph_destroy(g);
    oct_probe_close(&p);
    return s;
}

/* `auto` against the plain answers, whole models side by side: the choice tensor by tensor cannot see how errors add up. */
static oct_status confirm(const job *j, oct_ranges **out)
{
    static const pick picks[] = {PICK_CHOSEN, PICK_FIRST, PICK_MSE};
    oct_status s = OCT_OK;
    oct_meter m = {0};
    oct_ranges *best = NULL, *other = NULL;
    double least = 0, error;
    OCT_TRY(make_ranges(j, "auto", PICK_CHOSEN, &best));
    if (j->placement.point_count > 0 && j->cal->kept_count > 0) {
        OCT_TRY_DONE(oct_meter_open(j->cal, OCT_KEPT_MOST, &m));
        OCT_TRY_DONE(model_error(j->cal, &m, best, &least));
        for (size_t i = 1; i < sizeof picks / sizeof picks[0]; i++) {
            OCT_TRY_DONE(make_ranges(j, "auto", picks[i], &other));
            OCT_TRY_DONE(model_error(j->cal, &m, other, &error));
            if (error < KEEP * least) {
                oct_ranges_destroy(best);
                best = other;
                least = error;
            } else {
                oct_ranges_destroy(other);
            }
            other = NULL;
        }
    }
    *out = best;
    best = NULL;
done:
    oct_ranges_destroy(best);
    oct_ranges_destroy(other);
    oct_meter_close(&m);
    return s;
}

oct_status oct_calibrator_solve(oct_calibrator *cal, oct_ranges **out)
{
    oct_status s = OCT_OK;
    job j = {.cal = cal};
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
    if (method.solver == OCT_SOLVER_AUTO) {
        OCT_TRY_DONE(oct_choose(cal, &j.placement, j.shares, j.share_count));
        s = confirm(&j, out);
    } else {
        s = make_ranges(&j, method.name, PICK_FIRST, out);
    }
done:
    for (int64_t i = 0; j.shares && i < j.share_count; i++)
        oct_observer_destroy(j.shares[i].owned);
    free(j.shares);
    free(j.group_of);
    oct_placement_free(&j.placement);
    return s;
}
