/* The builder: the user's ranges and constraints, and the order of a build: recipe, precision, plan, check, report.  What is chosen
 * is chosen elsewhere; here is who asks whom. */
#include "build/builder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "build/bind_io.h"
#include "build/build.h"
#include "build/family.h"
#include "build/precision.h"
#include "build/tactics.h"
#include "onnx/model.h"
#include "qparam/insert.h"
#include "qparam/placement.h"

oct_status oct_builder_create(const oct_model *model, oct_builder **out)
{
    oct_builder *b = calloc(1, sizeof *b);
    if (!b)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a builder");
    b->model = model;
    oct_status s = oct_arena_create(&b->arena);
    if (s != OCT_OK) {
        free(b);
        return s;
    }
    *out = b;
    return OCT_OK;
}

void oct_builder_destroy(oct_builder *b)
{
    if (!b)
        return;
    oct_ranges_destroy(b->cache);
    oct_ranges_destroy(b->user);
    free(b->constraints);
    free(b->profiles);
    free(b->io);
    free(b->report);
    oct_arena_destroy(b->arena);
    free(b);
}

/* --- ranges --- */

static oct_status check_float(const oct_builder *b)
{
    if (!oct_model_is_quantized(b->model))
        return OCT_OK;
    return oct_fail(OCT_ERR_CONTENT,
                    "the model '%s' is quantized already: its Q/DQ scales are obeyed, ranges have no place beside them",
                    b->model->name);
}

oct_status oct_builder_set_range(oct_builder *b, const char *tensor, float min, float max)
{
    OCT_TRY(check_float(b));
    const oct_value *v = oct_value_find(b->model->graph, tensor);
    if (!v || v->data)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no tensor '%s' is computed by this model", tensor), tensor);
    if (!b->user)
        OCT_TRY(oct_ranges_create(OCT_SCHEME_AFFINE, &b->user));
    return oct_ranges_set(b->user, tensor, min, max);
}

oct_status oct_builder_add_ranges(oct_builder *b, const oct_ranges *ranges)
{
    char hash[17];
    OCT_TRY(check_float(b));
    OCT_TRY(oct_graph_hash(b->model->graph, hash));
    OCT_TRY(oct_ranges_check_model(ranges, hash));
    if (!b->cache)
        return oct_ranges_clone(ranges, &b->cache);
    if (b->cache->scheme != ranges->scheme)
        return oct_fail(OCT_ERR_CONTENT, "two calibration caches, one affine and one symmetric, do not go together");
    for (int64_t i = 0; i < ranges->count; i++)
        OCT_TRY(oct_ranges_put(b->cache, &ranges->entries[i]));
    return OCT_OK;
}

oct_status oct_builder_load_ranges(oct_builder *b, const char *path)
{
    oct_ranges *r = NULL;
    OCT_TRY(oct_ranges_load(path, &r));
    oct_status s = oct_builder_add_ranges(b, r);
    oct_ranges_destroy(r);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}

/* Cache and user's ranges in one; NULL when there are none. */
static oct_status merge_ranges(const oct_builder *b, oct_ranges **out)
{
    oct_ranges *r = NULL;
    *out = NULL;
    if (!b->cache && !b->user)
        return OCT_OK;
    OCT_TRY(oct_ranges_clone(b->cache ? b->cache : b->user, &r));
    oct_status s = OCT_OK;
    for (int64_t i = 0; s == OCT_OK && b->user && i < b->user->count; i++)
        s = oct_ranges_set(r, b->user->entries[i].tensor, b->user->entries[i].min, b->user->entries[i].max);
    if (s == OCT_OK)
        *out = r;
    else
        oct_ranges_destroy(r);
    return s;
}

/* --- constraints --- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_layer(const oct_graph *g, const char *name)
{
    for (int64_t i = 0; i < g->node_count; i++)
        for (int32_t k = 0; k < g->nodes[i]->source_count; k++)
            if (strcmp(g->nodes[i]->sources[k], name) == 0)
                return true;
    return false;
}

oct_status oct_builder_set_precision(oct_builder *b, const char *layer, oct_layer_precision precision)
{
    char *name;
    if (!is_layer(b->model->graph, layer))
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no layer is named '%s' in this model", layer), layer);
    for (int64_t i = 0; i < b->constraint_count; i++)
        if (strcmp(b->constraints[i].layer, layer) == 0) {
            b->constraints[i].precision = precision;
            return OCT_OK;
        }
    OCT_TRY(oct_arena_strdup(b->arena, layer, &name));
    return OCT_PUSH(b->constraints, b->constraint_count, b->constraint_capacity, ((oct_constraint){name, precision}));
}

/* Does the layer stand in a step's list of sources (joined by line ends)? */
static bool stands_for(const char *sources, const char *layer)
{
    const size_t length = strlen(layer);
    for (const char *at = sources; *at;) {
        size_t n = strcspn(at, "\n");
        if (n == length && memcmp(at, layer, n) == 0)
            return true;
        at += n + (at[n] == '\n');
    }
    return false;
}

/* Is the layer what was asked for? *why: of a step of it that is not. */
static bool is_met(const oct_plan *p, const oct_constraint *c, const char **why)
{
    bool met = false, other = false;
    *why = "it is no step of its own: it moves no data, or only constants";
    for (int32_t i = 0; i < p->step_count; i++) {
        const oct_plan_step *s = &p->steps[i];
        if (!stands_for(oct_plan_string(p, s->sources), c->layer) || s->precision == OCT_PREC_CONVERT)
            continue;
        if (s->precision == (c->precision == OCT_LAYER_INT8 ? OCT_PREC_INT8 : OCT_PREC_FLOAT)) {
            met = true;
        } else if (!other) {
            other = true;
            *why = c->precision == OCT_LAYER_INT8 ? oct_plan_string(p, s->reason) : "it has no float form";
        }
    }
    return met && !other;
}

static oct_status check_constraints(const oct_builder *b, const oct_build_options *opts, const oct_plan *p, oct_build_notes *notes)
{
    const char *why;
    for (int64_t i = 0; i < b->constraint_count; i++) {
        const oct_constraint *c = &b->constraints[i];
        if (c->precision == OCT_LAYER_ANY || is_met(p, c, &why))
            continue;
        const char *wanted = c->precision == OCT_LAYER_INT8 ? "INT8" : "float";
        if (opts->obey)
            return oct_fail_node(oct_fail(OCT_ERR_DEMAND, "layer '%s' cannot run in %s: %s", c->layer, wanted, why), c->layer);
        OCT_TRY(oct_build_note(notes, "layer '%s' does not run in %s: %s", c->layer, wanted, why));
    }
    return OCT_OK;
}

/* --- notes on ranges --- */

/* Which tensors kept layers in float because nobody gave them a range: the first few by name. */
static oct_status note_missing_ranges(const oct_plan *p, oct_build_notes *notes)
{
    enum { NAMED = 4 };
    const char *named[NAMED], *why;
    int layers = 0, count = 0;
    oct_text list = {0};
    for (int32_t i = 0; i < p->step_count; i++) {
        bool again = false;
        why = oct_plan_string(p, p->steps[i].reason);
        if (p->steps[i].precision != OCT_PREC_FLOAT || !ends_with(why, OCT_NO_RANGE))
            continue;
        layers++;
        for (int k = 0; k < count; k++)
            again |= strcmp(named[k], why) == 0;
        if (!again && count < NAMED) {
            oct_text_printf(&list, "%s%s", count ? ", " : "", why);
            named[count++] = why;
        }
    }
    char *text = NULL;
    oct_status s = oct_text_finish(&list, &text);
    if (s == OCT_OK && layers)
        s = oct_build_note(notes, "%d steps stay in float: %s", layers, text);
    free(text);
    return s;
}

/* A range set by hand on a tensor whose codes no layer reads or writes has no effect: it may have been meant for a neighbour. */
static oct_status note_unused_ranges(const oct_builder *b, const oct_build_options *opts, const oct_recipe *r,
                                     oct_build_notes *notes)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    oct_placement p = {0};
    if (!b->user || r->as_float)
        return OCT_OK;
    OCT_TRY_DONE(oct_recipe_export(r, b->model->graph, opts, &g));
    OCT_TRY_DONE(oct_placement_make(g, &p));
    for (int64_t i = 0; i < b->user->count; i++) {
        bool used = false;
        for (int64_t k = 0; k < p.point_count && !used; k++)
            used = strcmp(p.points[k].value->name, b->user->entries[i].tensor) == 0;
        for (int64_t k = 0; k < r->io_count && !used; k++)
            used = r->io[k].io == OCT_IO_CODES && strcmp(r->io[k].name, b->user->entries[i].tensor) == 0;
        if (!used)
            OCT_TRY_DONE(oct_build_note(notes, "the range of tensor '%s' is not used: no layer reads or writes codes of it",
                                        b->user->entries[i].tensor));
    }
done:
    oct_placement_free(&p);
    oct_graph_destroy(g);
    return s;
}

/* --- building --- */

static oct_status fill_recipe(const oct_builder *b, const oct_build_options *opts, oct_recipe *r)
{
    r->as_float = opts->mode == OCT_BUILD_FLOAT;
    OCT_TRY(merge_ranges(b, &r->ranges));
    for (int64_t i = 0; i < b->constraint_count; i++)
        if (b->constraints[i].precision == OCT_LAYER_FLOAT)
            OCT_TRY(oct_recipe_hold(r, b->constraints[i].layer, "held in float by request"));
    return oct_io_fill(b, r);
}

#define WORTH_IT 0.98 /* of the standard kernels' time: less gain of a run than this is noise */

/* Steps were timed one by one on a machine that may be busy: whole runs decide whether the kernels by time are kept. */
static oct_status keep_if_faster(oct_isa isa, oct_timer *timer, oct_graph *g, oct_recipe *r)
{
    oct_status s = OCT_OK;
    oct_plan *plans[2] = {0};
    double seconds[2];
    OCT_TRY_DONE(oct_build_lower(g, isa, &plans[0]));
    OCT_TRY_DONE(oct_build_lower_with(g, isa, r->tactics, &plans[1]));
    bool same = plans[0]->header->total == plans[1]->header->total &&
                memcmp(plans[0]->header, plans[1]->header, plans[0]->header->total) == 0;
    if (!same)
        OCT_TRY_DONE(oct_timer_race(timer, (const oct_plan *const *)plans, 2, seconds));
    if (!same && seconds[1] >= WORTH_IT * seconds[0]) {
        oct_tactics_destroy(r->tactics);
        r->tactics = NULL;
    }
done:
    oct_plan_destroy(plans[0]);
    oct_plan_destroy(plans[1]);
    return s;
}

/* The kernels of the final graph's steps. */
static oct_status decide_tactics(const oct_build_options *opts, oct_isa isa, oct_timer *timer, oct_graph *g, oct_recipe *r)
{
    if (opts->random_tactics)
        return oct_tactics_random(g, isa, opts->tactic_seed, &r->tactics);
    if (opts->level < OCT_TACTICS_TIMED)
        return OCT_OK;
    OCT_TRY(oct_tactics_choose(g, isa, timer, opts->level, &r->tactics));
    return opts->deterministic ? OCT_OK : keep_if_faster(isa, timer, g, r);
}

static oct_status open_timer(const oct_build_options *opts, oct_isa isa, oct_timer **out)
{
    return oct_timer_create(&(oct_timer_options){.threads = opts->threads,
                                                 .deterministic = opts->deterministic || opts->level < 1,
                                                 .cache = opts->timing_cache,
                                                 .merge = opts->timing_merge,
                                                 .merge_count = opts->timing_merge_count,
                                                 .progress = opts->progress,
                                                 .user = opts->user},
                            isa, out);
}

/* The CPU level of the plan; `tuned` gets no timing where that level cannot run. */
static oct_status target_level(const oct_build_options *opts, oct_build_options *tuned, oct_isa *isa)
{
    *tuned = *opts;
    OCT_TRY(oct_cpu_isa(isa));
    if (!opts->target)
        return OCT_OK;
    const int level = oct_isa_parse(opts->target);
    if (level < 0)
        return oct_fail(OCT_ERR_USAGE, "target '%s' is no CPU level; the levels are portable, avx2, avx512vnni, neon", opts->target);
    if (!oct_isa_runs(*isa, (oct_isa)level)) {
        tuned->level = 0;
        tuned->deterministic = true;
    }
    *isa = (oct_isa)level;
    return OCT_OK;
}

/* Decide what time decides, lower. */
static oct_status build_by_recipe(const oct_builder *b, const oct_build_options *opts, oct_recipe *r, oct_search_result *found,
                                  oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_isa isa;
    oct_timer *timer = NULL;
    oct_graph *g = NULL;
    oct_build_options tuned;
    OCT_TRY(target_level(opts, &tuned, &isa));
    opts = &tuned;
    OCT_TRY_DONE(open_timer(opts, isa, &timer));
    if (r->ranges && opts->mode == OCT_BUILD_FASTEST)
        OCT_TRY_DONE(oct_precision_choose(b, opts, isa, timer, r, found));
    OCT_TRY_DONE(oct_recipe_export(r, b->model->graph, opts, &g));
    OCT_TRY_DONE(oct_recipe_finish(r, g, opts));
    OCT_TRY_DONE(decide_tactics(opts, isa, timer, g, r));
    OCT_TRY_DONE(oct_build_lower_with(g, isa, r->tactics, out));
    if (opts->timing_cache && !opts->deterministic)
        OCT_TRY_DONE(oct_timer_save(timer, opts->timing_cache));
done:
    oct_graph_destroy(g);
    oct_timer_destroy(timer);
    return s;
}

oct_status oct_builder_build(oct_builder *b, const oct_build_options *opts, oct_plan **out)
{
    static const oct_build_options none;
    oct_status s = OCT_OK;
    oct_recipe *r = NULL;
    oct_plan *plan = NULL;
    oct_build_notes notes = {0};
    oct_search_result found = {0};
    oct_build_options tuned;
    opts = opts ? opts : &none;
    free(b->report);
    b->report = NULL;
    if (opts->level < 0 || opts->level > OCT_TACTICS_LEVEL_MAX)
        return oct_fail(OCT_ERR_USAGE, "optimization level %d: there are 0 to %d", opts->level, OCT_TACTICS_LEVEL_MAX);
    OCT_TRY_DONE(oct_recipe_create(&r));
    notes.arena = r->arena;
    OCT_TRY_DONE(fill_recipe(b, opts, r));
    OCT_TRY_DONE(oct_family_options(b, opts, r, &tuned)); /* for the profile's opt shape from here on */
    opts = &tuned;
    OCT_TRY_DONE(note_unused_ranges(b, opts, r, &notes)); /* before the search holds layers */
    OCT_TRY_DONE(build_by_recipe(b, opts, r, &found, &plan));
    OCT_TRY_DONE(check_constraints(b, opts, plan, &notes));
    OCT_TRY_DONE(note_missing_ranges(plan, &notes));
    OCT_TRY_DONE(oct_build_report(b->model->graph, plan, r, &found, &notes, &b->report));
    OCT_TRY_DONE(oct_family_complete(b, opts, r, &plan));
    *out = plan;
    plan = NULL;
done:
    oct_plan_destroy(plan);
    free(notes.text);
    oct_recipe_destroy(r);
    return s;
}

oct_status oct_builder_report_json(const oct_builder *b, char **json)
{
    if (!b->report)
        return oct_fail(OCT_ERR_USAGE, "nothing was built yet");
    char *copy = strdup(b->report);
    if (!copy)
        return oct_fail(OCT_ERR_MEMORY, "no memory for a report");
    *json = copy;
    return OCT_OK;
}

oct_status oct_plan_build(const oct_model *model, const oct_build_options *opts, oct_plan **out)
{
    oct_builder *b = NULL;
    OCT_TRY(oct_builder_create(model, &b));
    oct_status s = oct_builder_build(b, opts, out);
    oct_builder_destroy(b);
    return s;
}
