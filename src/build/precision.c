/* The search: everything in INT8 and everything in float are built and timed step by step; steps that either plan fuses decide
 * together (a unit); times of units and of the conversions between them make an energy (energy.c) whose exact minimum is a third
 * plan; the fastest of the three, raced as whole runs, is taken. So the result is never slower than the float plan, whatever the
 * step times missed. */
#include "build/precision.h"

#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "build/energy.h"
#include "onnx/model.h"
#include "qparam/insert.h"

enum { AS_INT8, AS_FLOAT, AS_MIXED, KINDS };
static const char *const kind_name[KINDS] = {"int8", "float", "mixed"};

typedef struct search {
    const oct_builder *b;
    const oct_build_options *opts;
    oct_isa isa;
    oct_timer *timer;
    oct_recipe *r;
    oct_units units;
    bool *hold[KINDS]; /* by node of units.g: the layer stays float in this plan */
    oct_plan *plan[KINDS];
} search;

/* --- candidates --- */

static oct_status build_candidate(const search *w, const bool *hold, oct_plan **out)
{
    oct_graph *g = NULL;
    OCT_TRY(oct_graph_clone(w->units.g, &g));
    for (int64_t i = 0; i < g->node_count; i++)
        g->nodes[i]->hold |= hold[i];
    oct_status s = oct_recipe_finish(w->r, g, w->opts);
    if (s == OCT_OK)
        s = oct_build_lower(g, w->isa, out);
    oct_graph_destroy(g);
    return s;
}

/* --- units --- */

static int32_t root_of(const oct_units *u, int32_t node)
{
    while (u->parent[node] != node)
        node = u->parent[node] = u->parent[u->parent[node]];
    return node;
}

static oct_status map_sources(oct_units *u, oct_arena *arena)
{
    u->nodes.arena = arena;
    for (int64_t i = 0; i < u->g->node_count; i++)
        for (int32_t k = 0; k < u->g->nodes[i]->source_count; k++)
            OCT_TRY(oct_strmap_put(&u->nodes, u->g->nodes[i]->sources[k], i));
    return OCT_OK;
}

/* *node: one of the nodes that a step stands for; all of them are joined. -1 = a conversion that was put in. */
static oct_status join_step(oct_units *u, const oct_plan *p, int32_t step, int32_t *node)
{
    *node = -1;
    for (const char *at = oct_plan_string(p, p->steps[step].sources); *at;) {
        char *name;
        int64_t found;
        OCT_TRY(oct_source_next(u->g->arena, &at, &name));
        if (!oct_strmap_find(&u->nodes, name, &found))
            continue;
        const int32_t b = root_of(u, (int32_t)found), a = *node < 0 ? b : root_of(u, *node);
        u->parent[a > b ? a : b] = a > b ? b : a;
        *node = (int32_t)found;
    }
    return OCT_OK;
}

static oct_status time_units(search *w)
{
    oct_units *u = &w->units;
    const oct_plan *plans[2] = {w->plan[AS_INT8], w->plan[AS_FLOAT]};
    double *seconds[2] = {0}, *const cost[2] = {u->int8, u->floats};
    int32_t node;
    oct_status s = OCT_OK;
    for (int k = 0; k < 2; k++)
        OCT_TRY_DONE(oct_alloc((plans[k]->step_count + 1) * (int64_t)sizeof **seconds, true, (void **)&seconds[k]));
    OCT_TRY_DONE(oct_timer_steps(w->timer, plans, 2, seconds));
    for (int k = 0; k < 2; k++)
        for (int32_t i = 0; i < plans[k]->step_count; i++)
            OCT_TRY_DONE(join_step(u, plans[k], i, &node));
    for (int k = 0; k < 2; k++)
        for (int32_t i = 0; i < plans[k]->step_count; i++) {
            OCT_TRY_DONE(join_step(u, plans[k], i, &node));
            if (node >= 0)
                cost[k][root_of(u, node)] += seconds[k][i];
        }
    for (int64_t i = 0; i < u->g->node_count; i++)
        u->unit[i] = root_of(u, (int32_t)i);
done:
    for (int k = 0; k < 2; k++)
        oct_free(seconds[k]);
    return s;
}

/* --- conversions --- */

/* Q and DQ of a list of `count` floats, in a graph of their own. */
static oct_status add_pair(oct_graph *g, int64_t count, const char *stem)
{
    const float scale = 0.1f;
    const uint8_t zero = 128;
    oct_value *in[3], *codes, *back;
    oct_node *n;
    OCT_TRY(oct_value_add(g, NULL, stem, &in[0]));
    in[0]->dtype = OCT_F32;
    in[0]->shape = (oct_shape){.rank = 1, .dim = {count}};
    OCT_TRY(oct_graph_add_input(g, in[0]));
    OCT_TRY(oct_value_const(g, "scale", OCT_F32, 0, NULL, &scale, &in[1]));
    OCT_TRY(oct_value_const(g, "zero", OCT_U8, 0, NULL, &zero, &in[2]));
    OCT_TRY(oct_value_add(g, NULL, "codes", &codes));
    OCT_TRY(oct_node_add(g, NULL, OCT_OP_QUANTIZE, NULL, 3, in, 1, &codes, &n));
    OCT_TRY(oct_value_add(g, NULL, "back", &back));
    in[0] = codes;
    OCT_TRY(oct_node_add(g, NULL, OCT_OP_DEQUANTIZE, NULL, 3, in, 1, &back, &n));
    return oct_graph_add_output(g, back);
}

static oct_status time_pairs(search *w, const int64_t *counts, int64_t n, double *quantize, double *dequantize)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    oct_plan *plan = NULL;
    double *seconds = NULL;
    OCT_TRY_DONE(oct_graph_create("conversions", &g));
    for (int64_t i = 0; i < n; i++)
        OCT_TRY_DONE(add_pair(g, counts[i], "x"));
    OCT_TRY_DONE(oct_graph_infer(g));
    OCT_TRY_DONE(oct_build_lower(g, w->isa, &plan));
    OCT_TRY_DONE(oct_alloc((plan->step_count + 1) * (int64_t)sizeof *seconds, true, (void **)&seconds));
    OCT_TRY_DONE(oct_timer_steps(w->timer, &(const oct_plan *){plan}, 1, &seconds));
    int64_t q = 0, d = 0;
    for (int32_t i = 0; i < plan->step_count; i++) {
        if (plan->steps[i].kind == OCT_STEP_QUANTIZE && q < n)
            quantize[q++] = seconds[i];
        if (plan->steps[i].kind == OCT_STEP_DEQUANTIZE && d < n)
            dequantize[d++] = seconds[i];
    }
done:
    oct_free(seconds);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
    return s;
}

/* Elements of g's values where shapes are bound. */
static oct_status bound_counts(const search *w, int64_t *count)
{
    oct_graph *g = NULL;
    OCT_TRY(oct_graph_clone(w->units.g, &g));
    oct_status s = oct_build_bind(g, w->opts);
    for (int64_t i = 0; s == OCT_OK && i < w->units.g->value_count; i++) {
        const oct_value *v = oct_value_find(g, w->units.g->values[i]->name);
        if (!v || oct_shape_count(&v->shape, &count[i]) != OCT_OK)
            count[i] = 0;
    }
    oct_graph_destroy(g);
    return s;
}

/* One measurement a size, for all tensors that get a pair. */
static oct_status time_conversions(search *w)
{
    oct_units *u = &w->units;
    oct_arena *arena = u->g->arena;
    int64_t *count, *sizes, *size_of, n = 0;
    double *q, *d;
    OCT_TRY(oct_arena_alloc(arena, (u->g->value_count + 1) * (int64_t)sizeof *count, (void **)&count));
    OCT_TRY(oct_arena_alloc(arena, (u->p.point_count + 1) * (int64_t)sizeof *sizes, (void **)&sizes));
    OCT_TRY(oct_arena_alloc(arena, (u->p.point_count + 1) * (int64_t)sizeof *size_of, (void **)&size_of));
    OCT_TRY(oct_arena_alloc(arena, (u->p.point_count + 1) * (int64_t)sizeof *q, (void **)&q));
    OCT_TRY(oct_arena_alloc(arena, (u->p.point_count + 1) * (int64_t)sizeof *d, (void **)&d));
    OCT_TRY(bound_counts(w, count));
    for (int64_t i = 0; i < u->p.point_count; i++) {
        int64_t elements = oct_max64(count[u->p.points[i].value->mark], 1), k = 0;
        while (k < n && sizes[k] != elements)
            k++;
        if (k == n)
            sizes[n++] = elements;
        size_of[i] = k;
    }
    if (n)
        OCT_TRY(time_pairs(w, sizes, n, q, d));
    for (int64_t i = 0; i < u->p.point_count; i++) {
        int32_t value = u->p.points[i].value->mark;
        u->quantize[value] = q[size_of[i]];
        u->dequantize[value] = d[size_of[i]];
    }
    return OCT_OK;
}

/* --- the choice --- */

static oct_status apply_wishes(search *w)
{
    int64_t node;
    for (int64_t i = 0; i < w->b->constraint_count; i++)
        if (w->b->constraints[i].precision == OCT_LAYER_INT8 &&
            oct_strmap_find(&w->units.nodes, w->b->constraints[i].layer, &node) && w->units.asks[node]) {
            w->units.wanted[node] = true;
            w->units.any_wanted = true;
        }
    return OCT_OK;
}

/* The third candidate, unless it is one of the other two. */
static oct_status mix(search *w)
{
    bool same[2] = {true, true};
    OCT_TRY(oct_energy_minimise(&w->units, w->hold[AS_MIXED]));
    for (int64_t i = 0; i < w->units.g->node_count; i++)
        for (int k = 0; k < 2; k++)
            same[k] &= w->hold[AS_MIXED][i] == w->hold[k][i];
    return same[0] || same[1] ? OCT_OK : build_candidate(w, w->hold[AS_MIXED], &w->plan[AS_MIXED]);
}

static oct_status race(search *w, int *winner, oct_search_result *found)
{
    const oct_plan *plans[KINDS];
    int kind[KINDS], n = 0;
    double seconds[KINDS];
    for (int k = 0; k < KINDS; k++)
        if (w->plan[k] && !(k == AS_FLOAT && w->units.any_wanted)) {
            plans[n] = w->plan[k];
            kind[n++] = k;
        }
    OCT_TRY(oct_timer_race(w->timer, plans, n, seconds));
    int best = 0;
    for (int i = 0; i < n; i++) {
        found->candidates[i] = (oct_candidate_time){kind_name[kind[i]], seconds[i]};
        best = seconds[i] < seconds[best] ? i : best;
    }
    found->candidate_count = n;
    found->chosen = kind_name[kind[best]];
    *winner = kind[best];
    return OCT_OK;
}

static oct_status report(search *w, int winner, oct_search_result *found)
{
    const oct_units *u = &w->units;
    OCT_TRY(oct_arena_alloc(w->r->arena, (u->g->node_count + 1) * (int64_t)sizeof *found->layers, (void **)&found->layers));
    for (int64_t i = 0; i < u->g->node_count; i++) {
        const oct_node *n = u->g->nodes[i];
        const double int8 = u->int8[u->unit[i]], floats = u->floats[u->unit[i]];
        char *name, why[160];
        if (!u->capable[u->unit[i]] || !n->source_count)
            continue;
        OCT_TRY(oct_arena_strdup(w->r->arena, n->sources[0], &name));
        found->layers[found->layer_count++] = (oct_layer_time){name, int8, floats};
        if (!w->hold[winner][i])
            continue;
        if (winner == AS_FLOAT)
            snprintf(why, sizeof why, "the whole model is faster in float (layer: float %.2f us, INT8 %.2f us)", floats * 1e6,
                     int8 * 1e6);
        else
            snprintf(why, sizeof why, "float is faster here%s (float %.2f us, INT8 %.2f us)",
                     floats > int8 ? " with the conversions" : "", floats * 1e6, int8 * 1e6);
        OCT_TRY(oct_recipe_hold(w->r, name, why));
    }
    return OCT_OK;
}

static oct_status prepare(search *w)
{
    oct_units *u = &w->units;
    OCT_TRY(oct_recipe_export(w->r, w->b->model->graph, w->opts, &u->g));
    OCT_TRY(oct_hold_rangeless(u->g, w->r->ranges));
    OCT_TRY(oct_units_create(u));
    for (int k = 0; k < KINDS; k++)
        OCT_TRY(oct_arena_alloc(u->g->arena, u->g->node_count + 1, (void **)&w->hold[k]));
    for (int64_t i = 0; i < u->g->node_count; i++)
        w->hold[AS_FLOAT][i] = u->asks[i];
    OCT_TRY(map_sources(u, u->g->arena));
    return apply_wishes(w);
}

oct_status oct_precision_choose(const oct_builder *b, const oct_build_options *opts, oct_isa isa, oct_timer *timer, oct_recipe *r,
                                oct_search_result *found)
{
    oct_status s = OCT_OK;
    search w = {.b = b, .opts = opts, .isa = isa, .timer = timer, .r = r};
    int winner;
    OCT_TRY_DONE(prepare(&w));
    for (int k = AS_INT8; k <= AS_FLOAT; k++)
        OCT_TRY_DONE(build_candidate(&w, w.hold[k], &w.plan[k]));
    OCT_TRY_DONE(time_units(&w));
    OCT_TRY_DONE(time_conversions(&w));
    OCT_TRY_DONE(mix(&w));
    OCT_TRY_DONE(race(&w, &winner, found));
    OCT_TRY_DONE(report(&w, winner, found));
done:
    for (int k = 0; k < KINDS; k++)
        oct_plan_destroy(w.plan[k]);
    oct_units_destroy(&w.units);
    return s;
}
