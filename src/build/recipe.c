/* From a recipe and a source graph to the graph that is lowered.  Decides nothing. */
#include "build/recipe.h"

#include <stdlib.h>
#include <string.h>
#include "build/bind_io.h"
#include "build/build.h"
#include "build/tactics.h"
#include "qparam/insert.h"

oct_status oct_recipe_create(oct_recipe **out)
{
    oct_recipe *r = calloc(1, sizeof *r);
    if (!r)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a recipe");
    oct_status s = oct_arena_create(&r->arena);
    if (s != OCT_OK) {
        free(r);
        return s;
    }
    *out = r;
    return OCT_OK;
}

void oct_recipe_destroy(oct_recipe *r)
{
    if (!r)
        return;
    oct_ranges_destroy(r->ranges);
    oct_tactics_destroy(r->tactics);
    free(r->held);
    free(r->io);
    oct_arena_destroy(r->arena);
    free(r);
}

oct_status oct_recipe_hold(oct_recipe *r, const char *layer, const char *reason)
{
    char *name, *why;
    OCT_TRY(oct_arena_strdup(r->arena, layer, &name));
    OCT_TRY(oct_arena_strdup(r->arena, reason, &why));
    return OCT_PUSH(r->held, r->held_count, r->held_capacity, ((oct_held){name, why}));
}

oct_status oct_recipe_set_io(oct_recipe *r, const char *name, oct_io io, int channel_axis)
{
    char *kept;
    OCT_TRY(oct_arena_strdup(r->arena, name, &kept));
    return OCT_PUSH(r->io, r->io_count, r->io_capacity, ((oct_recipe_io){kept, io, channel_axis}));
}

int oct_recipe_model_axis(const oct_recipe *r, const char *input, int axis)
{
    static const int from_nhwc[] = {0, 2, 3, 1};
    for (int64_t i = 0; i < r->io_count; i++)
        if (r->io[i].io == OCT_IO_PIXELS_NHWC && r->io[i].channel_axis == 1 && axis < 4 && strcmp(r->io[i].name, input) == 0)
            return from_nhwc[axis];
    return axis;
}

static oct_status mark_taps(oct_graph *g, const oct_build_options *opts)
{
    for (int i = 0; opts && i < opts->tap_count; i++) {
        oct_value *v = oct_value_find(g, opts->taps[i]);
        if (!v || v->data)
            return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no tensor '%s' is computed by this model", opts->taps[i]), opts->taps[i]);
        v->is_output = true;
    }
    return OCT_OK;
}

static oct_status mark_held(const oct_recipe *r, oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        for (int64_t k = 0; k < r->held_count && !n->hold; k++)
            for (int32_t s = 0; s < n->source_count && !n->hold; s++)
                if (strcmp(n->sources[s], r->held[k].layer) == 0) {
                    char *why;
                    OCT_TRY(oct_arena_strdup(g->arena, r->held[k].reason, &why));
                    n->hold = true;
                    n->reason = why;
                }
    }
    return OCT_OK;
}

oct_status oct_recipe_export(const oct_recipe *r, const oct_graph *source, const oct_build_options *opts, oct_graph **out)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    OCT_TRY_DONE(oct_graph_clone(source, &g));
    OCT_TRY_DONE(mark_taps(g, opts));
    if (r->ranges)
        OCT_TRY_DONE(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold}));
    OCT_TRY_DONE(mark_held(r, g));
    *out = g;
    g = NULL;
done:
    oct_graph_destroy(g);
    return s;
}

static oct_status insert(const oct_recipe *r, oct_graph *g)
{
    OCT_TRY(oct_insert_qdq(g, r->ranges, false));
    for (int64_t i = 0; i < r->io_count; i++)
        for (int64_t k = 0; k < g->output_count; k++)
            if (r->io[i].io == OCT_IO_CODES && strcmp(g->outputs[k]->name, r->io[i].name) == 0)
                OCT_TRY(oct_insert_output_pair(g, g->outputs[k], r->ranges));
    return OCT_OK;
}

/* Inserted before shapes are bound, on the graph that the quantizer sees too: both roads place the same pairs. */
oct_status oct_recipe_finish(const oct_recipe *r, oct_graph *g, const oct_build_options *opts)
{
    if (r->ranges && !r->as_float)
        OCT_TRY(insert(r, g));
    OCT_TRY(oct_build_bind(g, opts));
    OCT_TRY(oct_opt_run(
        &(oct_opt){.g = g, .stages = OCT_OPT_EXPORT | OCT_OPT_FUSE | (r->as_float ? 0 : OCT_OPT_QDQ), .fold = oct_build_fold}));
    return oct_bind_io(g, r);
}

oct_status oct_recipe_plan(const oct_recipe *r, const oct_graph *source, const oct_build_options *opts, oct_isa isa, oct_plan **out)
{
    oct_graph *g = NULL;
    OCT_TRY(oct_recipe_export(r, source, opts, &g));
    oct_status s = oct_recipe_finish(r, g, opts);
    if (s == OCT_OK)
        s = oct_build_lower_with(g, isa, r->tactics, out);
    oct_graph_destroy(g);
    return s;
}
