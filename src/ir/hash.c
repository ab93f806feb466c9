/* Hash of a graph and its weights: decides whether ranges belong to a model (DESIGN 4.3).
 *
 * Canonical: operators, attributes (in order of names), the names of activations (ranges are kept by them), types and fixed
 * dimensions of the graph's inputs, contents of constants.  Not part of it: names of nodes, constants and symbols, the
 * order of nodes and attributes, metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "ir/graph_impl.h"
#include "ir/op.h"

static uint64_t mix(uint64_t h, const void *p, size_t size) { return oct_hash64(p, size, h); }
static uint64_t mix_int(uint64_t h, int64_t v) { return mix(h, &v, sizeof v); }
static uint64_t mix_string(uint64_t h, const char *s) { return mix(h, s, strlen(s) + 1); }

static uint64_t attr_hash(const oct_attr *a)
{
    uint64_t h = mix_int(mix_string(1, a->name), a->kind);
    switch (a->kind) {
    case OCT_ATTR_INT: return mix_int(h, a->i);
    case OCT_ATTR_FLOAT: return mix(h, &a->f, sizeof a->f);
    case OCT_ATTR_STRING: return mix_string(h, a->s);
    case OCT_ATTR_INTS: return mix(mix_int(h, a->n), a->ints, (size_t)a->n * sizeof *a->ints);
    case OCT_ATTR_FLOATS: return mix(mix_int(h, a->n), a->floats, (size_t)a->n * sizeof *a->floats);
    case OCT_ATTR_STRINGS:
        for (int64_t i = 0; i < a->n; i++)
            h = mix_string(h, a->strings[i]);
        return h;
    case OCT_ATTR_TENSOR:
        h = mix(mix_int(h, a->tensor.dtype), a->tensor.dims, (size_t)a->tensor.rank * sizeof *a->tensor.dims);
        return mix(h, a->tensor.data, (size_t)oct_tensor_count(&a->tensor) * oct_dtype_size(a->tensor.dtype));
    }
    return h;
}

static uint64_t const_hash(const oct_value *v)
{
    uint64_t h = mix_int(2, v->dtype);
    h = mix(mix_int(h, v->shape.rank), v->shape.dim, (size_t)v->shape.rank * sizeof *v->shape.dim);
    return mix(h, v->data, (size_t)v->bytes);
}

/* Sums make the order of attributes and nodes irrelevant; names of activations are unique, so no two nodes look alike. */
static uint64_t node_hash(const oct_graph *g, const oct_node *n, const uint64_t *constants)
{
    uint64_t h = mix_string(mix_string(3, oct_op_get(n->op)->domain), oct_op_get(n->op)->name), attrs = 0;
    for (int32_t i = 0; i < n->attr_count; i++)
        attrs += attr_hash(&n->attrs[i]);
    h = mix_int(h, (int64_t)attrs);
    for (int32_t i = 0; i < n->input_count; i++) {
        const oct_value *v = n->inputs[i];
        h = !v ? mix_int(h, 0) : v->data ? mix_int(h, (int64_t)constants[oct_graph_position(g, v)]) : mix_string(h, v->name);
    }
    h = mix_int(h, n->output_count);
    for (int32_t i = 0; i < n->output_count; i++)
        h = n->outputs[i] ? mix_string(h, n->outputs[i]->name) : mix_int(h, 0);
    return h;
}

oct_status oct_graph_hash(const oct_graph *g, char out[17])
{
    uint64_t *constants = calloc((size_t)g->value_count + 1, sizeof *constants);
    if (!constants)
        return oct_fail(OCT_ERR_MEMORY, "out of memory while hashing graph '%s'", g->name);
    for (int64_t i = 0; i < g->value_count; i++)
        if (g->values[i]->data && g->values[i]->user_count)
            constants[i] = const_hash(g->values[i]);
    uint64_t h = 0, nodes = 0;
    for (int64_t i = 0; i < g->node_count; i++)
        nodes += node_hash(g, g->nodes[i], constants);
    free(constants);
    h = mix_int(h, (int64_t)nodes);
    for (int64_t i = 0; i < g->input_count; i++) {
        const oct_value *v = g->inputs[i];
        h = mix_int(mix_int(mix_string(h, v->name), v->dtype), v->shape.rank);
        for (int k = 0; k < v->shape.rank; k++)
            h = mix_int(h, oct_max64(v->shape.dim[k], -1));
    }
    for (int64_t i = 0; i < g->output_count; i++)
        h = mix_string(h, g->outputs[i]->name);
    snprintf(out, 17, "%016llx", (unsigned long long)h);
    return OCT_OK;
}
