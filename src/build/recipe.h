/* A recipe: all that decides a plan beside the model, the shapes and the CPU level.  The user's settings and the searches
 * (precision.c, tactics.c) only fill it; making the plan is then the same deterministic road for every caller. */
#ifndef OCT_BUILD_RECIPE_H
#define OCT_BUILD_RECIPE_H

#include <octavo/engine.h>
#include "cpu/cpu.h"
#include "ir/ir.h"
#include "qparam/qparam.h"

typedef struct oct_held {
    const char *layer; /* a source-model node */
    const char *reason;
} oct_held;

typedef struct oct_recipe_io {
    const char *name; /* a graph input or output */
    oct_io io;
    int channel_axis; /* of pixels: 1 or 3, in the model's order of axes; else 0 */
} oct_recipe_io;

typedef struct oct_recipe {
    oct_arena *arena;            /* owns all strings */
    bool as_float;               /* no integer operators at all */
    oct_ranges *ranges;          /* calibrated mode: Q/DQ for these go in first; owned; NULL = the graph is obeyed as it is */
    struct oct_tactics *tactics; /* which kernel runs each step; owned; NULL = by shape */
    oct_held *held;
    int64_t held_count, held_capacity;
    oct_recipe_io *io;
    int64_t io_count, io_capacity;
} oct_recipe;

oct_status oct_recipe_create(oct_recipe **out);
void oct_recipe_destroy(oct_recipe *r);
oct_status oct_recipe_hold(oct_recipe *r, const char *layer, const char *reason); /* strings are copied */

oct_status oct_recipe_set_io(oct_recipe *r, const char *name, oct_io io, int channel_axis); /* the name is copied */
/* The axis of the model's input that is axis `axis` of the plan's port. */
int oct_recipe_model_axis(const oct_recipe *r, const char *input, int axis);

/* A copy of the source graph with taps and held layers marked; in calibrated mode after the EXPORT passes, which is the graph that
 * precision is chosen on. Shapes stay free. */
oct_status oct_recipe_export(const oct_recipe *r, const oct_graph *source, const oct_build_options *opts, oct_graph **out);
/* From there to the graph that is lowered: Q/DQ of the ranges, shapes bound, passes, inputs and outputs as r->io says. g is
 * changed. */
oct_status oct_recipe_finish(const oct_recipe *r, oct_graph *g, const oct_build_options *opts);
/* export, finish and lower: the plan for the shapes of opts. Nothing is searched or timed. */
oct_status oct_recipe_plan(const oct_recipe *r, const oct_graph *source, const oct_build_options *opts, oct_isa isa,
                           oct_plan **out);

#endif
