/* Measuring plans: seconds of steps (remembered in a timing cache) and of whole runs.  DESIGN 5.4.
 *
 * The machine is noisy: plans that are compared run in turns, the minimum of all runs counts, and turns go on (for a bounded time)
 * until each plan has come near its minimum several times; a plan that takes several times as long as another gets few turns. A
 * step's figure holds the reading of the clock, which is the same for all. With as many threads as cores, any neighbour spoils the
 * figures: one thread is the steadier choice on a shared machine. One thread at a time may use a timer. */
#ifndef OCT_BUILD_TIMING_H
#define OCT_BUILD_TIMING_H

#include <octavo/engine.h>
#include "cpu/cpu.h"
#include "plan/plan.h"

typedef struct oct_timer oct_timer;

typedef struct oct_timer_options {
    int threads; /* of the contexts that run; 0 = all cores */
    int rounds;  /* turns of every plan; 0 = by the time that runs take: about 0.3 s a call, at least 5 turns, up to 1.2 s on a busy
                    machine */
    bool deterministic;       /* nothing runs: the cache where it knows all that is compared, else the cost model (cost.h) */
    const char *cache;        /* file, read when it exists; NULL = none */
    const char *const *merge; /* further cache files, which must exist */
    int merge_count;
    void (*progress)(void *user, const char *what, int64_t done, int64_t total); /* NULL = none; once a round */
    void *user;
} oct_timer_options;

/* Copies what it needs of the options. isa: level of the plans. CONTENT (naming the file) when a cache file is damaged or of
 * another version, CPU level, CPU model or kernel list; IO when a merge file cannot be read. */
oct_status oct_timer_create(const oct_timer_options *o, oct_isa isa, oct_timer **out);
void oct_timer_destroy(oct_timer *t);

/* Seconds of every step of every plan: seconds[i] has room for step_count(plans[i]) doubles. Steps that the cache knows are not
 * measured; plans with others run in turns, each with its own context and plausible inputs, and the cache learns, for each
 * signature, the mean over its steps of their minimum over all runs. So steps of one signature get one figure, and it is the figure
 * that a later timer with this cache gives. Deterministic: the cache's figures when it knows every step of every plan, else the
 * model's for all (the two are never mixed in one comparison); nothing is learnt. */
oct_status oct_timer_steps(oct_timer *t, const oct_plan *const *plans, int count, double *const *seconds);
/* Seconds of a whole run of every plan, in turns, minimum over all runs; not remembered. Deterministic: the sum of the steps. */
oct_status oct_timer_race(oct_timer *t, const oct_plan *const *plans, int count, double *seconds);
/* Write the cache atomically, merged with what the file holds by then. CONTENT when the file there is no cache of this machine: it
 * is left as it is. */
oct_status oct_timer_save(const oct_timer *t, const char *path);
/* How often a plan has been run so far, warm-up included. */
int64_t oct_timer_runs(const oct_timer *t);
int oct_timer_threads(const oct_timer *t);

/* What decides the time of a step, as one line of text: kind, tactic, threads, type, dims and layout of inputs and outputs,
 * geometry. No names, weights, scales or clamps. free() it. */
oct_status oct_step_signature(const oct_plan *p, const oct_plan_step *s, int threads, char **out);

#endif
