/* The inside of a context, for its two halves: running (context.c) and changing shape (shape.c). */
#ifndef OCT_RT_CONTEXT_H
#define OCT_RT_CONTEXT_H

#include "rt/exec.h"

enum { OCT_CONTEXT_KEPT = 8 }; /* plans made for shapes that are in no file */

struct oct_context {
    const oct_plan *plan;   /* the caller's */
    const oct_plan *active; /* what runs: that plan, one of its shapes, or one of kept */
    oct_team *team;
    uint8_t *arena, *workers; /* as large as any shape so far has needed */
    int64_t arena_bytes, worker_bytes;
    oct_exec *execs;
    oct_view *views;    /* of all steps, inputs before outputs */
    const void **bound; /* one an input: the caller's data, NULL = not set */
    bool profile;
    double *seconds; /* one a step */
    int64_t runs;
    int64_t nan_before;               /* of shapes before this one */
    int64_t (*dims)[OCT_MAX_RANK];    /* one an input: the shape asked for */
    bool settled;                     /* active has these dims; else axes that must be equal are not */
    oct_plan *kept[OCT_CONTEXT_KEPT]; /* owned; last used first */
};

/* Let the context run `plan`, which has the ports of c->plan. Inputs are unbound, profile and views start anew. Unchanged on
 * failure. */
oct_status oct_context_activate(oct_context *c, const oct_plan *plan);
/* USAGE that names two axes that are unequal. */
oct_status oct_context_unsettled(const oct_context *c);

/* The plan for other shapes of a plan's profile, made of its recipe: dims has a row an input. Defined where plans are built
 * (src/build/family.c); NULL in liboctavo_rt, which holds no builder. */
extern oct_status oct_plan_for_shape(const oct_plan *plan, const int64_t (*dims)[OCT_MAX_RANK], oct_plan **out)
    __attribute__((weak, visibility("hidden")));

#endif
