/* The graph object: creation, copying, values and their names, symbols, metadata.  Nodes and edges are edited in edit.c.
 * Everything lives in the graph's arena, the graph struct included. */
#include "ir/graph_impl.h"

#include <string.h>

oct_status oct_graph_create(const char *name, oct_graph **out)
{
    oct_arena *arena = NULL;
    OCT_TRY(oct_arena_create(&arena));
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    oct_graph_index *index = NULL;
    OCT_TRY_DONE(oct_arena_alloc(arena, sizeof *g, (void **)&g));
    OCT_TRY_DONE(oct_arena_alloc(arena, sizeof *index, (void **)&index));
    index->values.arena = index->symbols.arena = index->stems.arena = index->metas.arena = arena;
    g->arena = arena;
    g->index = index;
    OCT_TRY_DONE(oct_arena_strdup(arena, name ? name : "", (char **)&g->name));
    *out = g;
done:
    if (s != OCT_OK)
        oct_arena_destroy(arena);
    return s;
}

void oct_graph_destroy(oct_graph *g)
{
    if (g)
        oct_arena_destroy(g->arena);
}

oct_status oct_graph_push(oct_graph *g, void ***items, int64_t *count, int64_t *capacity, void *item)
{
    if (*count == *capacity) {
        int64_t larger = *capacity ? *capacity * 2 : 4;
        void **p = NULL;
        OCT_TRY(oct_arena_alloc(g->arena, larger * (int64_t)sizeof *p, (void **)&p));
        if (*count)
            memcpy(p, *items, (size_t)*count * sizeof *p);
        *items = p;
        *capacity = larger;
    }
    (*items)[(*count)++] = item;
    return OCT_OK;
}

/* --- values --- */

int64_t oct_graph_position(const oct_graph *g, const oct_value *v)
{
    int64_t at = -1;
    return oct_strmap_find(&oct_graph_index_of(g)->values, v->name, &at) && g->values[at] == v ? at : -1;
}

oct_status oct_graph_reindex(oct_graph *g)
{
    oct_strmap *m = &oct_graph_index_of(g)->values;
    oct_strmap_clear(m);
    for (int64_t i = 0; i < g->value_count; i++)
        OCT_TRY(oct_strmap_put(m, g->values[i]->name, i));
    return OCT_OK;
}

oct_value *oct_value_find(const oct_graph *g, const char *name)
{
    int64_t at;
    return oct_strmap_find(&oct_graph_index_of(g)->values, name, &at) ? g->values[at] : NULL;
}

static oct_status fresh_name(oct_graph *g, const char *stem, char **out)
{
    oct_graph_index *index = oct_graph_index_of(g);
    int64_t number = 0;
    bool seen = oct_strmap_find(&index->stems, stem, &number);
    char *key = NULL, *name = NULL;
    if (!seen)
        OCT_TRY(oct_arena_strdup(g->arena, stem, &key));
    do
        OCT_TRY(oct_arena_printf(g->arena, &name, "%s_%lld", stem, (long long)++number));
    while (oct_value_find(g, name));
    OCT_TRY(oct_strmap_put(&index->stems, seen ? stem : key, number));
    *out = name;
    return OCT_OK;
}

oct_status oct_value_add(oct_graph *g, const char *name, const char *stem, oct_value **out)
{
    char *own = NULL;
    if (name && *name && !oct_value_find(g, name)) {
        OCT_TRY(oct_arena_strdup(g->arena, name, &own));
    } else {
        if (!stem || !*stem)
            stem = name && *name ? name : "value";
        OCT_TRY(fresh_name(g, stem, &own));
    }
    oct_value *v = NULL;
    OCT_TRY(oct_arena_alloc(g->arena, sizeof *v, (void **)&v));
    v->name = own;
    v->shape.rank = -1;
    OCT_TRY(oct_graph_push(g, (void ***)&g->values, &g->value_count, &g->value_capacity, v));
    OCT_TRY(oct_strmap_put(&oct_graph_index_of(g)->values, own, g->value_count - 1));
    *out = v;
    return OCT_OK;
}

static int64_t stored_size(oct_dtype dtype)
{
    return dtype == OCT_U4 || dtype == OCT_S4 ? 1 : (int64_t)oct_dtype_size(dtype); /* 4-bit codes are held in 8 bits */
}

oct_status oct_value_const(oct_graph *g, const char *stem, oct_dtype dtype, int rank, const int64_t *dims, const void *data, oct_value **out)
{
    if (rank < 0 || rank > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "constant '%s': rank %d is above %d", stem, rank, OCT_MAX_RANK);
    int64_t size = stored_size(dtype), count, bytes;
    if (size == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "constant '%s': element type %s has no values", stem, oct_dtype_name(dtype));
    OCT_TRY(oct_size_count(dims, rank, &count));
    OCT_TRY(oct_size_mul(count, size, &bytes));
    void *copy = NULL;
    OCT_TRY(oct_arena_alloc(g->arena, bytes ? bytes : 1, &copy));
    if (bytes)
        memcpy(copy, data, (size_t)bytes);
    oct_value *v = NULL;
    OCT_TRY(oct_value_add(g, stem, stem, &v));
    v->dtype = dtype;
    v->shape.rank = rank;
    for (int i = 0; i < rank; i++)
        v->shape.dim[i] = dims[i];
    v->data = copy;
    v->bytes = bytes;
    *out = v;
    return OCT_OK;
}

/* --- symbols and metadata --- */

oct_status oct_graph_add_symbol(oct_graph *g, const char *name, int64_t *dim)
{
    oct_strmap *m = &oct_graph_index_of(g)->symbols;
    int64_t at;
    if (!oct_strmap_find(m, name, &at)) {
        char *own = NULL;
        OCT_TRY(oct_arena_strdup(g->arena, name, &own));
        OCT_TRY(oct_graph_push(g, (void ***)&g->symbols, &g->symbol_count, &g->symbol_capacity, own));
        at = g->symbol_count - 1;
        OCT_TRY(oct_strmap_put(m, own, at));
    }
    *dim = -1 - at;
    return OCT_OK;
}

const char *oct_graph_symbol_name(const oct_graph *g, int64_t dim)
{
    return dim < 0 && -1 - dim < g->symbol_count ? g->symbols[-1 - dim] : "?";
}

const char *oct_graph_meta(const oct_graph *g, const char *key)
{
    int64_t at;
    return oct_strmap_find(&oct_graph_index_of(g)->metas, key, &at) ? g->meta_values[at] : NULL;
}

oct_status oct_graph_set_meta(oct_graph *g, const char *key, const char *value)
{
    oct_strmap *m = &oct_graph_index_of(g)->metas;
    int64_t at;
    char *v = NULL, *k = NULL;
    OCT_TRY(oct_arena_strdup(g->arena, value, &v));
    if (oct_strmap_find(m, key, &at)) {
        g->meta_values[at] = v;
        return OCT_OK;
    }
    OCT_TRY(oct_arena_strdup(g->arena, key, &k));
    /* two parallel arrays of one capacity: push to both with the same state */
    int64_t count = g->meta_count, capacity = g->meta_capacity;
    OCT_TRY(oct_graph_push(g, (void ***)&g->meta_keys, &count, &capacity, k));
    OCT_TRY(oct_graph_push(g, (void ***)&g->meta_values, &g->meta_count, &g->meta_capacity, v));
    return oct_strmap_put(m, k, g->meta_count - 1);
}

/* Capacity of an array that only oct_graph_push has grown from nothing: 4, 8, 16... */
static int64_t implied_capacity(int64_t count)
{
    int64_t capacity = count ? 4 : 0;
    while (capacity < count)
        capacity *= 2;
    return capacity;
}

oct_status oct_graph_add_input(oct_graph *g, oct_value *v)
{
    int64_t capacity = implied_capacity(g->input_count);
    return oct_graph_push(g, (void ***)&g->inputs, &g->input_count, &capacity, v);
}

oct_status oct_graph_add_output(oct_graph *g, oct_value *v)
{
    int64_t capacity = implied_capacity(g->output_count);
    OCT_TRY(oct_graph_push(g, (void ***)&g->outputs, &g->output_count, &capacity, v));
    v->is_output = true;
    return OCT_OK;
}

/* --- copying --- */

static oct_status copy_quant(oct_graph *g, const oct_quant *q, const oct_quant **out)
{
    oct_quant *copy = NULL;
    OCT_TRY(oct_arena_memdup(g->arena, q, sizeof *q, (void **)&copy));
    OCT_TRY(oct_arena_memdup(g->arena, q->scale, q->n * (int64_t)sizeof *q->scale, (void **)&copy->scale));
    OCT_TRY(oct_arena_memdup(g->arena, q->zero, q->n * (int64_t)sizeof *q->zero, (void **)&copy->zero));
    *out = copy;
    return OCT_OK;
}

static oct_status copy_value(oct_graph *g, const oct_value *from)
{
    oct_value *v = NULL;
    OCT_TRY(oct_value_add(g, from->name, from->name, &v));
    v->dtype = from->dtype;
    v->shape = from->shape;
    v->is_output = from->is_output;
    v->bytes = from->bytes;
    if (from->data) {
        void *copy = NULL;
        OCT_TRY(oct_arena_alloc(g->arena, from->bytes ? from->bytes : 1, &copy));
        if (from->bytes)
            memcpy(copy, from->data, (size_t)from->bytes);
        v->data = copy;
    }
    int64_t count;
    if (from->known) {
        OCT_TRY(oct_shape_count(&from->shape, &count));
        OCT_TRY(oct_arena_memdup(g->arena, from->known, count * (int64_t)sizeof *v->known, (void **)&v->known));
    }
    if (from->quant)
        OCT_TRY(copy_quant(g, from->quant, &v->quant));
    return OCT_OK;
}

/* Values keep their positions in a copy, so the twin of a value is found without touching the source. */
static oct_value *twin(const oct_graph *from, const oct_graph *g, const oct_value *v)
{
    return v ? g->values[oct_graph_position(from, v)] : NULL;
}

static oct_status twin_list(const oct_graph *from, oct_graph *g, oct_value *const *list, int64_t count, oct_value ***out)
{
    OCT_TRY(oct_arena_alloc(g->arena, count * (int64_t)sizeof **out, (void **)out));
    for (int64_t i = 0; i < count; i++)
        (*out)[i] = twin(from, g, list[i]);
    return OCT_OK;
}

static oct_status copy_node(const oct_graph *from, oct_graph *g, const oct_node *n)
{
    oct_value **in = NULL, **out = NULL;
    oct_node *copy = NULL;
    OCT_TRY(twin_list(from, g, n->inputs, n->input_count, &in));
    OCT_TRY(twin_list(from, g, n->outputs, n->output_count, &out));
    OCT_TRY(oct_node_add(g, NULL, n->op, n->name, n->input_count, in, n->output_count, out, &copy));
    for (int32_t i = 0; i < n->attr_count; i++)
        OCT_TRY(oct_node_set_attr(g, copy, &n->attrs[i]));
    copy->int8 = n->int8;
    copy->hold = n->hold;
    copy->fused = n->fused;
    if (n->fused.inner_quant)
        OCT_TRY(copy_quant(g, n->fused.inner_quant, &copy->fused.inner_quant));
    copy->source_count = 0;
    OCT_TRY(oct_node_add_source(g, copy, n));
    if (n->reason)
        OCT_TRY(oct_arena_strdup(g->arena, n->reason, (char **)&copy->reason));
    return OCT_OK;
}

static oct_status copy_into(const oct_graph *from, oct_graph *g)
{
    int64_t dim;
    g->opset = from->opset;
    for (int64_t i = 0; i < from->symbol_count; i++)
        OCT_TRY(oct_graph_add_symbol(g, from->symbols[i], &dim));
    for (int64_t i = 0; i < from->meta_count; i++)
        OCT_TRY(oct_graph_set_meta(g, from->meta_keys[i], from->meta_values[i]));
    for (int64_t i = 0; i < from->value_count; i++)
        OCT_TRY(copy_value(g, from->values[i]));
    for (int64_t i = 0; i < from->node_count; i++)
        OCT_TRY(copy_node(from, g, from->nodes[i]));
    for (int64_t i = 0; i < from->input_count; i++)
        OCT_TRY(oct_graph_add_input(g, twin(from, g, from->inputs[i])));
    for (int64_t i = 0; i < from->output_count; i++)
        OCT_TRY(oct_graph_add_output(g, twin(from, g, from->outputs[i])));
    return OCT_OK;
}

oct_status oct_graph_clone(const oct_graph *g, oct_graph **out)
{
    oct_graph *copy = NULL;
    OCT_TRY(oct_graph_create(g->name, &copy));
    oct_status s = copy_into(g, copy);
    if (s == OCT_OK)
        *out = copy;
    else
        oct_graph_destroy(copy);
    return s;
}
