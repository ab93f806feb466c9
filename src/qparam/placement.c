/* The placement rules, one sweep from the outputs to the inputs: a node that runs on codes asks for them at its inputs, and what only
 * moves values passes the question on.  Residual streams of transformers stay float, because LayerNorm and BatchNormalization do not ask. */
#include "qparam/placement.h"

#include <octavo/quant.h>
#include <stdlib.h>
#include <string.h>

typedef struct sweep {
    const oct_graph *g;
    int64_t *first;   /* node -> index of its first edge flag */
    bool *edge;       /* the use reads codes */
    int32_t *parent;  /* value -> union-find */
    bool *follows;    /* value is made by moving other points' values */
    bool functions;   /* functions of one value read codes too */
} sweep;

static bool *flag(const sweep *s, const oct_node *n, int input) { return &s->edge[s->first[n->mark] + input]; }

static int32_t find(const sweep *s, int32_t v)
{
    while (s->parent[v] != v)
        v = s->parent[v] = s->parent[s->parent[v]];
    return v;
}

/* v carries codes everywhere: no user reads its numbers as float, and it is no output of the graph. */
static bool wanted(const sweep *s, const oct_value *v)
{
    bool any = false;
    if (!v || v->is_output)
        return false;
    for (int64_t i = 0; i < v->user_count; i++)
        for (int k = 0; k < v->users[i]->input_count; k++) {
            if (v->users[i]->inputs[k] != v || v->users[i]->op == OCT_OP_SHAPE)
                continue;
            if (!*flag(s, v->users[i], k))
                return false;
            any = true;
        }
    return any;
}

static bool is_activation(const oct_value *v) { return v && !v->data && v->dtype == OCT_F32; }

static void ask(sweep *s, oct_node *n, int input) { *flag(s, n, input) = true; }

/* n's output has the values of this input: one scale for both. */
static void tie(sweep *s, oct_node *n, int output, int input)
{
    int32_t a = find(s, n->inputs[input]->mark), b = find(s, n->outputs[output]->mark);
    s->parent[a > b ? a : b] = a > b ? b : a;
    s->follows[n->outputs[output]->mark] = true;
}

/* --- weighted operators --- */

static bool is_constant_float(const oct_value *v) { return v && v->data && v->dtype == OCT_F32; }

bool oct_is_quantizable(const oct_node *n)
{
    const oct_value *w = oct_node_in(n, 1), *b = oct_node_in(n, 2);
    if (n->hold || !is_activation(oct_node_in(n, 0)) || !is_constant_float(w) || w->bytes == 0 || (b && !is_constant_float(b)))
        return false;
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_CONV_TRANSPOSE:
        return w->shape.rank >= 3;
    case OCT_OP_GEMM:
        return w->shape.rank == 2 && oct_node_int(n, "transA", 0) == 0 && oct_node_float(n, "alpha", 1) != 0;
    case OCT_OP_MATMUL:
        return w->shape.rank == 2;
    default:
        return false;
    }
}

/* --- sums --- */

/* y is a product into which an Add can be fused: its only user is that Add. A constant bias sum may stand between. */
static bool takes_sum(const oct_value *y)
{
    const oct_node *p = y->producer;
    if (!p || !oct_value_only_user(y))
        return false;
    if (p->op == OCT_OP_ADD) {
        const oct_value *product = p->inputs[0]->data ? p->inputs[1] : p->inputs[1]->data ? p->inputs[0] : NULL;
        return product && product->producer && product->producer->op == OCT_OP_MATMUL && oct_is_quantizable(product->producer) &&
               oct_value_only_user(product);
    }
    return p->op != OCT_OP_CONV_TRANSPOSE && oct_is_quantizable(p);
}

/* What the codes of an operator with fused activation are codes of. */
const oct_value *oct_behind_activation(const oct_value *y)
{
    const oct_node *u = oct_value_only_user(y);
    return u && !u->hold && (u->op == OCT_OP_RELU || u->op == OCT_OP_CLIP) && u->inputs[0] == y ? u->outputs[0] : y;
}

static void place_add(sweep *s, oct_node *n)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1];
    if (!is_activation(a) || !is_activation(b) || !oct_shape_equal(&a->shape, &b->shape) || !wanted(s, oct_behind_activation(n->outputs[0])))
        return;
    int fused = -1;
    /* The later of two products is fused: the other one's result exists by then. */
    if (a != b && takes_sum(a))
        fused = 0;
    if (a != b && takes_sum(b) && (fused < 0 || b->producer->mark > a->producer->mark))
        fused = 1;
    for (int k = 0; k < 2; k++)
        if (k != fused)
            ask(s, n, k);
}

/* --- operators without weights --- */

/* Output 0 has exactly the values of input 0 (and zeros), so that one scale serves both without loss. */
static bool keeps_values(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_MAX_POOL:
    case OCT_OP_GLOBAL_MAX_POOL:
    case OCT_OP_RESIZE:
        return true;
    case OCT_OP_CONCAT: /* has a rule of its own */
    case OCT_OP_GATHER: /* of tokens, or of a table: the rest may have another range */
        return false;
    case OCT_OP_SLICE: /* of tokens: the rest may have another range; of channels or pixels: it has not */
    case OCT_OP_SPLIT:
        return n->inputs[0]->shape.rank >= 4;
    case OCT_OP_PAD:
        return !oct_pad_writes_value(n);
    default:
        return oct_op_get(n->op)->flags & OCT_OPF_M;
    }
}

static void place_mover(sweep *s, oct_node *n)
{
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && !wanted(s, n->outputs[i]))
            return;
    ask(s, n, 0);
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i])
            tie(s, n, i, 0);
}

static void place_concat(sweep *s, oct_node *n)
{
    for (int k = 0; k < n->input_count; k++)
        if (!is_activation(n->inputs[k]))
            return;
    if (!wanted(s, n->outputs[0]))
        return;
    for (int k = 0; k < n->input_count; k++) {
        ask(s, n, k);
        tie(s, n, 0, k);
    }
}

/* Of one value, and no part of the product in front of it. */
static bool is_function(const oct_node *n) { return (oct_op_get(n->op)->flags & OCT_OPF_U) && n->op != OCT_OP_RELU && n->op != OCT_OP_CLIP; }

static void place(sweep *s, oct_node *n)
{
    if (n->hold)
        return;
    if (oct_is_quantizable(n)) {
        ask(s, n, 0);
        return;
    }
    if (!is_activation(oct_node_in(n, 0)) || !is_activation(oct_node_out(n, 0)))
        return;
    switch (n->op) {
    case OCT_OP_ADD:
        place_add(s, n);
        break;
    case OCT_OP_MUL: /* the gate of a squeeze-and-excitation block */
        if (n->inputs[0]->shape.rank == 4 && is_activation(n->inputs[1]) && n->inputs[1]->shape.rank == 4 && wanted(s, n->outputs[0])) {
            ask(s, n, 0);
            ask(s, n, 1);
        }
        break;
    case OCT_OP_AVERAGE_POOL:
    case OCT_OP_GLOBAL_AVERAGE_POOL:
        if (wanted(s, n->outputs[0]))
            ask(s, n, 0);
        break;
    case OCT_OP_REDUCE_MEAN:
        if (oct_is_spatial_mean(n) && wanted(s, n->outputs[0]))
            ask(s, n, 0);
        break;
    case OCT_OP_CONCAT:
        place_concat(s, n);
        break;
    default:
        if (keeps_values(n))
            place_mover(s, n);
        else if (s->functions && is_function(n) && wanted(s, n->outputs[0]))
            ask(s, n, 0);
    }
}

/* --- result --- */

static oct_status collect(const sweep *s, oct_placement *p)
{
    const oct_graph *g = s->g;
    int32_t *point_of = malloc((size_t)(g->value_count + 1) * sizeof *point_of), *group_of = malloc((size_t)(g->value_count + 1) * sizeof *group_of);
    oct_status status = point_of && group_of ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot place Q/DQ in %lld values", (long long)g->value_count);
    for (int64_t i = 0; status == OCT_OK && i < g->value_count; i++)
        point_of[i] = group_of[i] = -1;
    for (int64_t i = 0; status == OCT_OK && i < g->node_count; i++)
        for (int k = 0; status == OCT_OK && k < g->nodes[i]->input_count; k++) {
            oct_value *v = g->nodes[i]->inputs[k];
            if (!s->edge[s->first[i] + k])
                continue;
            if (point_of[v->mark] < 0) {
                int32_t root = find(s, v->mark);
                if (group_of[root] < 0)
                    group_of[root] = p->group_count++;
                point_of[v->mark] = (int32_t)p->point_count;
                status = OCT_PUSH(p->points, p->point_count, p->point_capacity,
                                  ((oct_qpoint){.value = v, .group = group_of[root], .root = !s->follows[v->mark]}));
            }
            if (status == OCT_OK)
                status = OCT_PUSH(p->edges, p->edge_count, p->edge_capacity,
                                  ((oct_qedge){.node = g->nodes[i], .index = i, .input = k, .point = point_of[v->mark]}));
        }
    free(point_of);
    free(group_of);
    return status;
}

oct_status oct_placement_make(const oct_graph *g, oct_placement *out)
{
    oct_status status = OCT_OK;
    sweep s = {.g = g, .first = calloc((size_t)g->node_count + 1, sizeof *s.first), .parent = calloc((size_t)g->value_count + 1, sizeof *s.parent),
               .follows = calloc((size_t)g->value_count + 1, sizeof *s.follows)};
    const char *functions = oct_graph_meta(g, OCT_FUNCTIONS_KEY);
    int64_t uses = 0;
    s.functions = functions && strcmp(functions, "codes") == 0;
    memset(out, 0, sizeof *out);
    for (int64_t i = 0; s.first && i < g->node_count; i++) {
        g->nodes[i]->mark = (int32_t)i;
        s.first[i] = uses;
        uses += g->nodes[i]->input_count;
    }
    s.edge = calloc((size_t)uses + 1, sizeof *s.edge);
    if (!s.first || !s.parent || !s.follows || !s.edge) {
        status = oct_fail(OCT_ERR_MEMORY, "cannot place Q/DQ in %lld nodes", (long long)g->node_count);
        goto done;
    }
    for (int64_t i = 0; i < g->value_count; i++)
        g->values[i]->mark = s.parent[i] = (int32_t)i;
    for (int64_t i = g->node_count - 1; i >= 0; i--)
        place(&s, g->nodes[i]);
    status = collect(&s, out);
    if (status != OCT_OK)
        oct_placement_free(out);
done:
    free(s.first);
    free(s.edge);
    free(s.parent);
    free(s.follows);
    return status;
}

void oct_placement_free(oct_placement *p)
{
    free(p->points);
    free(p->edges);
    memset(p, 0, sizeof *p);
}
