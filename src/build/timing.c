/* Measuring plans in turns: see timing.h.  Keeps the timing cache; chooses nothing (tactics.c and the precision search do). */
#include "build/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/team.h"
#include "build/cost.h"
#include "build/timing_cache.h"

#define BUDGET_SECONDS   0.3  /* of measured runs a call, where that allows the least number of turns */
#define PATIENCE_SECONDS 1.2  /* until the minima are settled on a busy machine, the budget included */
#define SETTLED          1.02 /* a minimum counts when this many times as much was seen WITNESSES times */
#define HOPELESS         4.0  /* times the fastest: such a plan gets few turns */
#define SHORT_SECONDS    0.05 /* a run that is made twice a turn */
enum { LEAST_TURNS = 5, FEW_TURNS = 2, MOST_TURNS = 300, RUNS_A_TURN = 2, WITNESSES = 3 };

struct oct_timer {
    oct_timer_options o; /* without what it points at */
    oct_timing_cache *cache;
    int threads;
    int64_t runs;
};

static oct_status read_caches(oct_timer *t, const oct_timer_options *o)
{
    if (o->cache && oct_path_exists(o->cache))
        OCT_TRY(oct_timing_cache_read(t->cache, o->cache));
    for (int i = 0; i < o->merge_count; i++)
        OCT_TRY(oct_timing_cache_read(t->cache, o->merge[i]));
    return OCT_OK;
}

oct_status oct_timer_create(const oct_timer_options *o, oct_isa isa, oct_timer **out)
{
    oct_status s = OCT_OK;
    oct_team *team = NULL;
    oct_timer *t = calloc(1, sizeof *t);
    if (!t)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a timer");
    t->o = *o;
    t->o.cache = NULL;
    t->o.merge = NULL;
    OCT_TRY_DONE(oct_timing_cache_create(isa, &t->cache));
    OCT_TRY_DONE(oct_team_create(o->threads, &team));
    t->threads = oct_team_size(team);
    OCT_TRY_DONE(read_caches(t, o));
    *out = t;
done:
    oct_team_destroy(team);
    if (s != OCT_OK)
        oct_timer_destroy(t);
    return s;
}

void oct_timer_destroy(oct_timer *t)
{
    if (!t)
        return;
    oct_timing_cache_destroy(t->cache);
    free(t);
}

int64_t oct_timer_runs(const oct_timer *t)
{
    return t->runs;
}
int oct_timer_threads(const oct_timer *t)
{
    return t->threads;
}

oct_status oct_timer_save(const oct_timer *t, const char *path)
{
    oct_status s = OCT_OK;
    oct_timing_cache *all = NULL;
    OCT_TRY_DONE(oct_timing_cache_create(t->cache->isa, &all));
    if (oct_path_exists(path))
        OCT_TRY_DONE(oct_timing_cache_read(all, path));
    OCT_TRY_DONE(oct_timing_cache_merge(all, t->cache));
    OCT_TRY_DONE(oct_timing_cache_write(all, path));
done:
    oct_timing_cache_destroy(all);
    return s;
}

/* --- runners: a context with inputs of its own --------------------------------------------------------------------------- */

typedef struct runner {
    const oct_plan *plan;
    oct_context *context;
    void **inputs; /* one a port */
    double guess;  /* seconds of a run, from the warm-up */
    int turns;
    bool hopeless;
    double best[WITNESSES]; /* shortest runs, ascending */
} runner;

/* Numbers that exercise a plan: floats in (-2, 2), codes and flags at random; indices are 0, which every table has. */
static void fill(const oct_plan_port *port, int index, void *data, int64_t count)
{
    oct_rng r = {(uint64_t)index + 1, 0};
    for (int64_t i = 0; i < count; i++)
        switch ((oct_dtype)port->dtype) {
        case OCT_F32:
            ((float *)data)[i] = (float)(4 * oct_rng_unit(&r) - 2);
            break;
        case OCT_F64:
            ((double *)data)[i] = 4 * oct_rng_unit(&r) - 2;
            break;
        case OCT_U8:
        case OCT_S8:
            ((uint8_t *)data)[i] = (uint8_t)oct_rng_below(&r, 256);
            break;
        case OCT_BOOL:
            ((uint8_t *)data)[i] = (uint8_t)oct_rng_below(&r, 2);
            break;
        default:
            break;
        }
}

static void runner_close(runner *r)
{
    oct_context_destroy(r->context);
    for (int32_t i = 0; r->inputs && i < r->plan->input_count; i++)
        oct_free(r->inputs[i]);
    oct_free(r->inputs);
}

static oct_status runner_open(const oct_timer *t, const oct_plan *plan, runner *r)
{
    r->plan = plan;
    OCT_TRY(oct_context_create(plan, t->threads, &r->context));
    OCT_TRY(oct_alloc(plan->input_count * (int64_t)sizeof *r->inputs, true, (void **)&r->inputs));
    for (int32_t i = 0; i < plan->input_count; i++) {
        const oct_plan_port *port = &plan->inputs[i];
        oct_tensor x = {.dtype = (oct_dtype)port->dtype, .rank = (int32_t)port->rank};
        int64_t count, bytes;
        memcpy(x.dims, port->dims, sizeof *port->dims * port->rank);
        OCT_TRY(oct_size_count(x.dims, x.rank, &count));
        OCT_TRY(oct_size_mul(count, (int64_t)oct_dtype_size(x.dtype), &bytes));
        OCT_TRY(oct_alloc(bytes, true, &r->inputs[i]));
        fill(port, i, r->inputs[i], count);
        x.data = r->inputs[i];
        OCT_TRY(oct_context_set_input(r->context, oct_plan_string(plan, port->name), &x));
    }
    return OCT_OK;
}

static oct_status timed_run(oct_timer *t, runner *r, double *seconds)
{
    double start = oct_now();
    t->runs++;
    OCT_TRY(oct_context_run(r->context));
    *seconds = oct_now() - start;
    return OCT_OK;
}

/* --- turns ---------------------------------------------------------------------------------------------------------------- */

/* How many turns each runner gets: as many as the budget holds, the same for all that may win. Returns that number. */
static int share_turns(const oct_timer *t, runner *r, int count)
{
    double fastest = INFINITY, all = 0;
    for (int i = 0; i < count; i++)
        fastest = fmin(fastest, r[i].guess);
    for (int i = 0; i < count; i++)
        all += r[i].guess <= HOPELESS * fastest ? r[i].guess : 0;
    const double wanted = BUDGET_SECONDS / fmax(all * RUNS_A_TURN, 1e-9);
    const int turns = t->o.rounds > 0        ? t->o.rounds
                      : wanted < LEAST_TURNS ? LEAST_TURNS
                      : wanted > MOST_TURNS  ? MOST_TURNS
                                             : (int)wanted;
    for (int i = 0; i < count; i++) {
        r[i].hopeless = r[i].guess > HOPELESS * fastest && t->o.rounds == 0;
        r[i].turns = r[i].hopeless ? FEW_TURNS : turns;
        for (int k = 0; k < WITNESSES; k++)
            r[i].best[k] = INFINITY;
    }
    return turns;
}

static void witness(runner *r, double seconds)
{
    for (int k = 0; k < WITNESSES; k++)
        if (seconds < r->best[k]) {
            double t = r->best[k];
            r->best[k] = seconds;
            seconds = t;
        }
}

static bool all_settled(const runner *r, int count)
{
    for (int i = 0; i < count; i++)
        if (!r[i].hopeless && r[i].best[WITNESSES - 1] > SETTLED * r[i].best[0])
            return false;
    return true;
}

/* What a turn's run adds to the result of runner i. */
typedef oct_status after_run(void *user, int i, const runner *r, double seconds);

static oct_status take_turn(oct_timer *t, runner *r, int i, bool profile, after_run *after, void *user)
{
    double seconds;
    for (int k = 0; k < (r->guess < SHORT_SECONDS ? RUNS_A_TURN : 1); k++) {
        oct_context_profile(r->context, false); /* forget the last run */
        oct_context_profile(r->context, profile);
        OCT_TRY(timed_run(t, r, &seconds));
        witness(r, seconds);
        OCT_TRY(after(user, i, r, seconds));
    }
    return OCT_OK;
}

/* Warm up (twice: the second run says how long one takes), then turns; more of them while a busy machine hides the minima. A turn
 * has two runs in a row where they are short: the first brings back into the caches what the other plans have displaced. */
static oct_status run_in_turns(oct_timer *t, runner *r, int count, bool profile, const char *what, after_run *after, void *user)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 2; k++)
            OCT_TRY(timed_run(t, &r[i], &r[i].guess));
    const int rounds = share_turns(t, r, count);
    const double start = oct_now();
    for (int round = 0; round < rounds || (t->o.rounds == 0 && !all_settled(r, count) && oct_now() - start < PATIENCE_SECONDS);
         round++) {
        for (int i = 0; i < count; i++)
            if (!r[i].hopeless || round < r[i].turns)
                OCT_TRY(take_turn(t, &r[i], i, profile, after, user));
        if (t->o.progress && round < rounds)
            t->o.progress(t->o.user, what, round + 1, rounds);
    }
    return OCT_OK;
}

static oct_status keep_least_run(void *user, int i, const runner *r, double seconds)
{
    double *least = user;
    (void)r;
    least[i] = fmin(least[i], seconds);
    return OCT_OK;
}

/* Plans as the sums of their steps, all asked for at once, so that all come from one source. */
static oct_status sum_steps(oct_timer *t, const oct_plan *const *plans, int count, double *seconds)
{
    oct_status s = OCT_OK;
    double **steps = NULL;
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *steps, true, (void **)&steps));
    for (int i = 0; i < count; i++)
        OCT_TRY_DONE(oct_alloc(plans[i]->step_count * (int64_t)sizeof **steps, true, (void **)&steps[i]));
    OCT_TRY_DONE(oct_timer_steps(t, plans, count, steps));
    for (int i = 0; i < count; i++) {
        seconds[i] = 0;
        for (int32_t k = 0; k < plans[i]->step_count; k++)
            seconds[i] += steps[i][k];
    }
done:
    for (int i = 0; steps && i < count; i++)
        oct_free(steps[i]);
    oct_free(steps);
    return s;
}

oct_status oct_timer_race(oct_timer *t, const oct_plan *const *plans, int count, double *seconds)
{
    oct_status s = OCT_OK;
    runner *r = NULL;
    double *least = NULL;
    if (t->o.deterministic)
        return sum_steps(t, plans, count, seconds);
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *r, true, (void **)&r));
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *least, true, (void **)&least));
    for (int i = 0; i < count; i++) {
        least[i] = INFINITY;
        OCT_TRY_DONE(runner_open(t, plans[i], &r[i]));
    }
    OCT_TRY_DONE(run_in_turns(t, r, count, false, "timing plans", keep_least_run, least));
    memcpy(seconds, least, sizeof *seconds * (size_t)count);
done:
    for (int i = 0; r && i < count; i++)
        runner_close(&r[i]);
    oct_free(r);
    oct_free(least);
    return s;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

/* The steps of one plan in a measurement. */
typedef struct subject {
    const oct_plan *plan;
    char **signatures; /* one a step */
    double *least;     /* of the runs so far */
    bool unknown;      /* the cache lacks a step */
    int turns;         /* that the plan got */
} subject;

static oct_status subject_open(const oct_timer *t, const oct_plan *plan, subject *u)
{
    double seconds;
    u->plan = plan;
    OCT_TRY(oct_alloc(plan->step_count * (int64_t)sizeof *u->signatures, true, (void **)&u->signatures));
    OCT_TRY(oct_alloc(plan->step_count * (int64_t)sizeof *u->least, true, (void **)&u->least));
    for (int32_t i = 0; i < plan->step_count; i++) {
        OCT_TRY(oct_step_signature(plan, &plan->steps[i], t->threads, &u->signatures[i]));
        u->least[i] = INFINITY;
        u->unknown = u->unknown || !oct_timing_cache_find(t->cache, u->signatures[i], &seconds);
    }
    return OCT_OK;
}

static void subject_close(subject *u)
{
    for (int32_t i = 0; u->signatures && i < u->plan->step_count; i++)
        free(u->signatures[i]);
    oct_free(u->signatures);
    oct_free(u->least);
}

static oct_status keep_least_steps(void *user, int i, const runner *r, double seconds)
{
    double *const *least = user;
    (void)seconds;
    for (int32_t k = 0; k < r->plan->step_count; k++) {
        oct_step_profile p;
        OCT_TRY(oct_context_get_profile(r->context, k, &p));
        least[i][k] = fmin(least[i][k], p.seconds);
    }
    return OCT_OK;
}

/* A measured step, for gathering those of one signature. */
typedef struct sample {
    const char *signature;
    double seconds;
    int turns;
} sample;

/* The best observed first. */
static int by_signature(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    int order = strcmp(x->signature, y->signature);
    return order ? order : y->turns - x->turns;
}

/* Means of equal signatures into the cache, unless it knows them; samples of hopeless plans count only where there are no others.
 */
static oct_status learn(oct_timer *t, const subject *u, int count)
{
    oct_status s = OCT_OK;
    sample *all = NULL;
    int64_t n = 0, room = 0;
    double known;
    for (int i = 0; i < count; i++)
        room += u[i].plan->step_count;
    OCT_TRY_DONE(oct_alloc(room * (int64_t)sizeof *all, true, (void **)&all));
    for (int i = 0; i < count; i++)
        for (int32_t k = 0; u[i].unknown && k < u[i].plan->step_count; k++)
            if (!oct_timing_cache_find(t->cache, u[i].signatures[k], &known))
                all[n++] = (sample){u[i].signatures[k], u[i].least[k], u[i].turns};
    qsort(all, (size_t)n, sizeof *all, by_signature);
    for (int64_t i = 0, next; i < n; i = next) {
        double sum = 0;
        int64_t counted = 0;
        for (next = i; next < n && strcmp(all[next].signature, all[i].signature) == 0; next++)
            if (all[next].turns == all[i].turns) {
                sum += all[next].seconds;
                counted++;
            }
        OCT_TRY_DONE(oct_timing_cache_put(t->cache, all[i].signature, sum / (double)counted));
    }
done:
    oct_free(all);
    return s;
}

/* Run the plans that hold a step the cache lacks. */
static oct_status measure(oct_timer *t, subject *u, int count)
{
    oct_status s = OCT_OK;
    runner *r = NULL;
    double **least = NULL;
    int n = 0;
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *r, true, (void **)&r));
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *least, true, (void **)&least));
    for (int i = 0; i < count; i++)
        if (u[i].unknown) {
            least[n++] = u[i].least;
            OCT_TRY_DONE(runner_open(t, u[i].plan, &r[n - 1]));
        }
    if (n)
        OCT_TRY_DONE(run_in_turns(t, r, n, true, "timing steps", keep_least_steps, least));
    for (int i = 0, k = 0; i < count; i++)
        if (u[i].unknown)
            u[i].turns = r[k++].turns;
done:
    for (int i = 0; r && i < n; i++)
        runner_close(&r[i]);
    oct_free(r);
    oct_free(least);
    return s;
}

oct_status oct_timer_steps(oct_timer *t, const oct_plan *const *plans, int count, double *const *seconds)
{
    oct_status s = OCT_OK;
    subject *u = NULL;
    OCT_TRY_DONE(oct_alloc(count * (int64_t)sizeof *u, true, (void **)&u));
    for (int i = 0; i < count; i++)
        OCT_TRY_DONE(subject_open(t, plans[i], &u[i]));
    bool model = false;
    for (int i = 0; i < count; i++)
        model = model || (t->o.deterministic && u[i].unknown);
    if (!t->o.deterministic) {
        OCT_TRY_DONE(measure(t, u, count));
        OCT_TRY_DONE(learn(t, u, count));
    }
    for (int i = 0; i < count; i++)
        for (int32_t k = 0; k < plans[i]->step_count; k++)
            if (model || !oct_timing_cache_find(t->cache, u[i].signatures[k], &seconds[i][k]))
                seconds[i][k] = oct_cost_step(plans[i], &plans[i]->steps[k]);
done:
    for (int i = 0; u && i < count; i++)
        subject_close(&u[i]);
    oct_free(u);
    return s;
}
