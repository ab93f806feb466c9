/* Invariants of a graph, checked after import and, in dev builds, after every pass.  O(size of the graph).
 * A breach is a bug in Octavo (INTERNAL); bad content of a file is refused before it becomes a graph. */
#include <math.h>
#include <stdlib.h>
#include "base/rng.h"
#include "ir/graph_impl.h"
#include "ir/op.h"

typedef struct facts {
    uint64_t uses_by_nodes; /* sum of hashes of (node pointer) over the inputs that name this value */
    int64_t count;
    int64_t defined;        /* position + 1 of the producer; 0 = not yet */
} facts;

static uint64_t edge_hash(const oct_node *n) { return oct_rng_at(0x0c7a, (uint64_t)(uintptr_t)n); }

static oct_status check_quant(const oct_value *v, const char *where)
{
    const oct_quant *q = v->quant;
    if (q->n < 1 || !q->scale || !q->zero)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' has quantization parameters without content", where, v->name);
    if (q->n > 1 && v->shape.rank >= 0 && (q->axis < 0 || q->axis >= v->shape.rank || (v->shape.dim[q->axis] >= 0 && v->shape.dim[q->axis] != q->n)))
        return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' has %d scales on axis %d", where, v->name, (int)q->n, (int)q->axis);
    for (int32_t i = 0; i < q->n; i++)
        if (!(q->scale[i] > 0) || !isfinite(q->scale[i]))
            return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' has scale %g", where, v->name, (double)q->scale[i]);
    return OCT_OK;
}

static bool is_weighted(const oct_node *n)
{
    return n->op == OCT_OP_CONV || n->op == OCT_OP_CONV_TRANSPOSE || n->op == OCT_OP_GEMM || n->op == OCT_OP_MATMUL;
}

static oct_status check_int8(const oct_node *n, const char *where)
{
    const oct_value *x = oct_node_in(n, 0);
    if (!x || !x->quant)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: int8 node '%s' reads a tensor without quantization parameters", where, n->name);
    if (is_weighted(n)) {
        const oct_value *w = oct_node_in(n, 1);
        if (!w || !w->quant)
            return oct_fail(OCT_ERR_INTERNAL, "after %s: int8 node '%s' has weights without quantization parameters", where, n->name);
    }
    return OCT_OK;
}

static oct_status check_value(const oct_graph *g, int64_t at, const char *where)
{
    const oct_value *v = g->values[at];
    if (!v->name || !*v->name)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: a value has no name", where);
    if (oct_graph_position(g, v) != at)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: the name '%s' is taken twice or not indexed", where, v->name);
    if (v->shape.rank > OCT_MAX_RANK || v->shape.rank < -1)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' has rank %d", where, v->name, (int)v->shape.rank);
    for (int i = 0; i < v->shape.rank; i++)
        if (v->shape.dim[i] < -g->symbol_count)
            return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' has an unknown symbol", where, v->name);
    if (v->data && v->producer)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: constant '%s' has a producer", where, v->name);
    if (v->data && !oct_shape_is_concrete(&v->shape))
        return oct_fail(OCT_ERR_INTERNAL, "after %s: constant '%s' has no shape", where, v->name);
    return v->quant ? check_quant(v, where) : OCT_OK;
}

static oct_status check_node(const oct_graph *g, int64_t at, facts *f, const char *where)
{
    const oct_node *n = g->nodes[at];
    if (n->op <= OCT_OP_NONE || n->op >= OCT_OP_COUNT)
        return oct_fail(OCT_ERR_INTERNAL, "after %s: node '%s' has no operator", where, n->name);
    const oct_op_def *def = oct_op_get(n->op);
    int max_in = is_weighted(n) ? (n->fused.residual ? 4 : 3) : def->max_in; /* bias and residual may be fused: op_defs.inc */
    if (n->input_count < def->min_in || (max_in >= 0 && n->input_count > max_in) || n->output_count < def->min_out ||
        (def->max_out >= 0 && n->output_count > def->max_out))
        return oct_fail(OCT_ERR_INTERNAL, "after %s: %s '%s' has %d inputs and %d outputs", where, def->name, n->name, (int)n->input_count,
                        (int)n->output_count);
    if (n->fused.residual < 0 || n->fused.residual >= n->input_count || (n->fused.residual && !n->inputs[n->fused.residual]))
        return oct_fail(OCT_ERR_INTERNAL, "after %s: node '%s' has no input %d for its residual", where, n->name, (int)n->fused.residual);
    for (int32_t i = 0; i < n->input_count; i++) {
        const oct_value *v = n->inputs[i];
        int64_t k = v ? oct_graph_position(g, v) : -1;
        if (v && k < 0)
            return oct_fail(OCT_ERR_INTERNAL, "after %s: node '%s' reads '%s', which is not in the graph", where, n->name, v->name);
        if (!v)
            continue;
        if (v->producer && !f[k].defined)
            return oct_fail(OCT_ERR_INTERNAL, "after %s: node '%s' reads '%s' before it is computed", where, n->name, v->name);
        f[k].count++;
        f[k].uses_by_nodes += edge_hash(n);
    }
    for (int32_t i = 0; i < n->output_count; i++) {
        const oct_value *v = n->outputs[i];
        int64_t k = v ? oct_graph_position(g, v) : -1;
        if (v && (k < 0 || v->producer != n || f[k].defined))
            return oct_fail(OCT_ERR_INTERNAL, "after %s: '%s' is not the output of '%s' alone", where, v->name, n->name);
        if (v)
            f[k].defined = at + 1;
    }
    return n->int8 ? check_int8(n, where) : OCT_OK;
}

oct_status oct_graph_verify(const oct_graph *g, const char *where)
{
    oct_status s = OCT_OK;
    facts *f = calloc((size_t)g->value_count + 1, sizeof *f);
    if (!f)
        return oct_fail(OCT_ERR_MEMORY, "out of memory while verifying graph '%s'", g->name);
    for (int64_t i = 0; i < g->value_count; i++)
        OCT_TRY_DONE(check_value(g, i, where));
    for (int64_t i = 0; i < g->node_count; i++)
        OCT_TRY_DONE(check_node(g, i, f, where));
    for (int64_t i = 0; i < g->value_count; i++) {
        const oct_value *v = g->values[i];
        uint64_t uses = 0;
        for (int64_t u = 0; u < v->user_count; u++)
            uses += edge_hash(v->users[u]);
        if (v->user_count != f[i].count || uses != f[i].uses_by_nodes)
            OCT_FAIL_DONE(OCT_ERR_INTERNAL, "after %s: the use list of '%s' is wrong", where, v->name);
        if (v->producer && !f[i].defined)
            OCT_FAIL_DONE(OCT_ERR_INTERNAL, "after %s: the producer of '%s' is not in the graph", where, v->name);
    }
    for (int64_t i = 0; i < g->input_count; i++)
        if (oct_graph_position(g, g->inputs[i]) < 0 || g->inputs[i]->producer || g->inputs[i]->data)
            OCT_FAIL_DONE(OCT_ERR_INTERNAL, "after %s: graph input '%s' is not free", where, g->inputs[i]->name);
    for (int64_t i = 0; i < g->output_count; i++)
        if (oct_graph_position(g, g->outputs[i]) < 0 || !g->outputs[i]->is_output)
            OCT_FAIL_DONE(OCT_ERR_INTERNAL, "after %s: graph output '%s' is lost", where, g->outputs[i]->name);
done:
    free(f);
    return s;
}
