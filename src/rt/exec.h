/* One step at run time: resolved views, kernel and scratch. Each step kind has one oct_exec_<stem> in src/rt. */
#ifndef OCT_RT_EXEC_H
#define OCT_RT_EXEC_H

#include "base/team.h"
#include "plan/plan.h"

/* A tensor in memory: strides in elements, as in the plan. */
typedef struct oct_view {
    void *data;
    oct_dtype dtype;
    int32_t rank;
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
} oct_view;

typedef struct oct_exec {
    const oct_plan *plan;
    const oct_plan_step *step;
    const void *params;          /* the params struct of the step's kind */
    int32_t in_count, out_count;
    oct_view *in, *out;
    const void *kernel;          /* row of the family the tactic names; NULL when the kind has no tactic */
    oct_team *team;
    int threads;
    uint8_t *scratch;            /* step->scratch_bytes, shared */
    uint8_t *worker_scratch;     /* worker i owns [i*worker_bytes, (i+1)*worker_bytes) */
    int64_t nan_count;           /* quantize adds what it saw */
} oct_exec;

/* No failure is possible at run time: everything was checked when the plan was made. No allocation, no printing. The result
 * must not depend on the number of threads. Units of work must not share cache lines of output where avoidable. */
typedef void oct_exec_fn(oct_exec *x);
#define OCT_STEP_DEF(id, text, stem, params) void oct_exec_##stem(oct_exec *x);
#include "plan/steps.inc"
#undef OCT_STEP_DEF

/* Constant section access: NULL for -1. */
static inline const void *oct_exec_const(const oct_exec *x, int64_t at) { return at < 0 ? NULL : x->plan->constants + at; }

#endif
