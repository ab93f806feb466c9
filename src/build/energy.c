/* The energy, variable by variable.
 *
 * A unit is true in INT8. Of a tensor, B is true when codes of it are needed, A when it is never stored as float:
 *   - a unit that reads codes of it makes B true;
 *   - made by a unit that may write float or codes (a convolution or product): A only when the unit and all readers are INT8; INT8
 * without A pays the conversion to float, B without A pays the quantization;
 *   - made by a unit that has no such freedom (a sum, a pool, a mover: integer only when every reader takes codes): INT8 forbids
 * float readers, B without INT8 pays the quantization;
 *   - made in float always (a graph input, a layer that cannot be INT8): B pays the quantization; of a function of one value, which
 * can write codes itself, only when A is false. Every term is a cost of one variable, or of a pair with one true and one false: a
 * minimum cut finds the exact minimum. */
#include "build/energy.h"

#include <stdlib.h>
#include "build/cut.h"
#include "ir/op.h"

oct_status oct_units_create(oct_units *u)
{
    oct_graph *g = u->g;
    const int64_t nodes = g->node_count + 1, values = g->value_count + 1;
    OCT_TRY(oct_placement_make(g, &u->p));
    OCT_TRY(oct_arena_alloc(g->arena, nodes, (void **)&u->asks));
    OCT_TRY(oct_arena_alloc(g->arena, nodes, (void **)&u->capable));
    OCT_TRY(oct_arena_alloc(g->arena, nodes, (void **)&u->wanted));
    OCT_TRY(oct_arena_alloc(g->arena, nodes * (int64_t)sizeof *u->parent, (void **)&u->parent));
    OCT_TRY(oct_arena_alloc(g->arena, nodes * (int64_t)sizeof *u->unit, (void **)&u->unit));
    OCT_TRY(oct_arena_alloc(g->arena, nodes * (int64_t)sizeof *u->int8, (void **)&u->int8));
    OCT_TRY(oct_arena_alloc(g->arena, nodes * (int64_t)sizeof *u->floats, (void **)&u->floats));
    OCT_TRY(oct_arena_alloc(g->arena, values * (int64_t)sizeof *u->quantize, (void **)&u->quantize));
    OCT_TRY(oct_arena_alloc(g->arena, values * (int64_t)sizeof *u->dequantize, (void **)&u->dequantize));
    for (int64_t i = 0; i < g->node_count; i++)
        u->parent[i] = u->unit[i] = (int32_t)i;
    for (int64_t i = 0; i < u->p.edge_count; i++)
        u->asks[u->p.edges[i].index] = true;
    return OCT_OK;
}

void oct_units_destroy(oct_units *u)
{
    oct_placement_free(&u->p);
    oct_graph_destroy(u->g);
}

typedef struct builder {
    oct_units *u;
    oct_cut *cut;
    int32_t *variable; /* by unit; -1 = always float */
    int64_t *first;    /* by node: its first entry of code_use */
    bool *code_use;    /* by node and input: the use may read codes */
} builder;

static oct_status add_units(builder *b)
{
    oct_units *u = b->u;
    for (int64_t i = 0; i < u->g->node_count; i++)
        u->capable[u->unit[i]] |= u->asks[i];
    for (int64_t i = 0; i < u->g->node_count; i++) {
        b->variable[i] = -1;
        if (u->unit[i] == i && u->capable[i])
            OCT_TRY(oct_cut_variable(b->cut, u->floats[i], u->int8[i], &b->variable[i]));
    }
    for (int64_t i = 0; i < u->g->node_count; i++)
        if (u->wanted[i] && b->variable[u->unit[i]] >= 0)
            OCT_TRY(oct_cut_cost(b->cut, b->variable[u->unit[i]], OCT_CUT_NEVER, 0));
    return OCT_OK;
}

/* The node whose precision decides that of v: before activations that fuse with it. */
static const oct_node *maker_of(const oct_units *u, const oct_value *v)
{
    const oct_node *n = v->producer;
    while (n && !u->asks[n->mark] && (n->op == OCT_OP_RELU || n->op == OCT_OP_CLIP) && n->inputs[0]->producer &&
           u->unit[n->inputs[0]->producer->mark] == u->unit[n->mark])
        n = n->inputs[0]->producer;
    return n;
}

/* For each reader outside v's own unit: its variable when the use may read codes, -1 when it reads float. */
typedef struct readers {
    int32_t *variable;
    int64_t count;
    bool any_codes;
} readers;

static oct_status find_readers(const builder *b, const oct_value *v, readers *out)
{
    const oct_units *u = b->u;
    const int32_t own = v->producer ? u->unit[v->producer->mark] : -1;
    readers r = {0};
    OCT_TRY(oct_arena_alloc(u->g->arena, (v->user_count + 2) * (int64_t)sizeof *r.variable, (void **)&r.variable));
    for (int64_t i = 0; i < v->user_count; i++) {
        const oct_node *n = v->users[i];
        if (u->unit[n->mark] == own || n->op == OCT_OP_SHAPE)
            continue;
        int32_t variable = -1;
        for (int k = 0; k < n->input_count; k++)
            if (n->inputs[k] == v && b->code_use[b->first[n->mark] + k])
                variable = b->variable[u->unit[n->mark]];
        r.any_codes |= variable >= 0;
        r.variable[r.count++] = variable;
    }
    if (v->is_output)
        r.variable[r.count++] = -1;
    *out = r;
    return OCT_OK;
}

/* `yes` forbids float readers. */
static oct_status forbid_float_readers(const builder *b, int32_t yes, const readers *r)
{
    for (int64_t i = 0; i < r->count; i++)
        if (r->variable[i] >= 0)
            OCT_TRY(oct_cut_pair(b->cut, yes, r->variable[i], OCT_CUT_NEVER));
        else
            OCT_TRY(oct_cut_cost(b->cut, yes, 0, OCT_CUT_NEVER));
    return OCT_OK;
}

/* A function of one value in float: when its result is only read as codes, it writes them itself (opt/unary_codes.c). */
static bool is_function(const oct_node *n)
{
    return n && (oct_op_get(n->op)->flags & OCT_OPF_U) != 0;
}

/* The tensor is stored as float unless every reader takes codes: then quantizing costs nothing beyond its maker. */
static oct_status add_free_choice(const builder *b, const oct_value *v, const readers *r, int32_t needed, int32_t maker)
{
    int32_t never_float;
    OCT_TRY(oct_cut_variable(b->cut, 0, 0, &never_float));
    OCT_TRY(forbid_float_readers(b, never_float, r));
    OCT_TRY(oct_cut_pair(b->cut, needed, never_float, b->u->quantize[v->mark]));
    if (maker < 0)
        return OCT_OK;
    OCT_TRY(oct_cut_pair(b->cut, never_float, maker, OCT_CUT_NEVER));
    return oct_cut_pair(b->cut, maker, never_float, b->u->dequantize[v->mark]);
}

static oct_status add_value(const builder *b, const oct_value *v)
{
    const oct_units *u = b->u;
    const int32_t maker = v->producer ? b->variable[u->unit[v->producer->mark]] : -1;
    const bool function = maker < 0 && is_function(v->producer);
    const oct_node *n = maker_of(u, v);
    readers r;
    int32_t needed;
    OCT_TRY(find_readers(b, v, &r));
    if (!r.any_codes)
        return OCT_OK; /* what an INT8 unit writes here is float in every plan */
    OCT_TRY(oct_cut_variable(b->cut, 0, maker < 0 && !function ? u->quantize[v->mark] : 0, &needed));
    for (int64_t i = 0; i < r.count; i++)
        if (r.variable[i] >= 0)
            OCT_TRY(oct_cut_pair(b->cut, r.variable[i], needed, OCT_CUT_NEVER));
    if (maker < 0)
        return function ? add_free_choice(b, v, &r, needed, maker) : OCT_OK;
    if (!n || !u->asks[n->mark] || oct_is_quantizable(n))
        return add_free_choice(b, v, &r, needed, maker);
    OCT_TRY(oct_cut_pair(b->cut, needed, maker, u->quantize[v->mark]));
    return forbid_float_readers(b, maker, &r);
}

static oct_status mark_code_uses(builder *b)
{
    const oct_units *u = b->u;
    int64_t uses = 0;
    OCT_TRY(oct_arena_alloc(u->g->arena, (u->g->node_count + 1) * (int64_t)sizeof *b->variable, (void **)&b->variable));
    OCT_TRY(oct_arena_alloc(u->g->arena, (u->g->node_count + 1) * (int64_t)sizeof *b->first, (void **)&b->first));
    for (int64_t i = 0; i < u->g->node_count; i++) {
        b->first[i] = uses;
        uses += u->g->nodes[i]->input_count;
    }
    OCT_TRY(oct_arena_alloc(u->g->arena, uses + 1, (void **)&b->code_use));
    for (int64_t i = 0; i < u->p.edge_count; i++)
        b->code_use[b->first[u->p.edges[i].index] + u->p.edges[i].input] = true;
    return OCT_OK;
}

oct_status oct_energy_minimise(oct_units *u, bool *hold)
{
    oct_status s = OCT_OK;
    builder b = {.u = u};
    bool *value = NULL;
    int32_t last;
    OCT_TRY_DONE(mark_code_uses(&b));
    OCT_TRY_DONE(oct_cut_create(&b.cut));
    OCT_TRY_DONE(add_units(&b));
    for (int64_t i = 0; i < u->g->value_count; i++)
        if (!u->g->values[i]->data)
            OCT_TRY_DONE(add_value(&b, u->g->values[i]));
    OCT_TRY_DONE(oct_cut_variable(b.cut, 0, 0, &last));
    OCT_TRY_DONE(oct_alloc(last + 1, true, (void **)&value));
    OCT_TRY_DONE(oct_cut_solve(b.cut, value));
    for (int64_t i = 0; i < u->g->node_count; i++) {
        const int32_t variable = b.variable[u->unit[i]];
        hold[i] = u->asks[i] && !(variable >= 0 && value[variable]);
    }
done:
    oct_free(value);
    oct_cut_destroy(b.cut);
    return s;
}
