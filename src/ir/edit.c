/* Nodes and edges: adding, rewiring, removing, ordering, sweeping; and the small questions about shapes and constants that
 * passes ask.  Use lists and producers are kept right by every function here; nobody else writes them.
 * oct_graph_sort and oct_graph_sweep use the `mark` fields. */
#include <stdlib.h>
#include <string.h>
#include "ir/graph_impl.h"
#include "num/num.h"

/* --- edges --- */

static oct_status add_use(oct_graph *g, oct_value *v, oct_node *n)
{
    return oct_graph_push(g, (void ***)&v->users, &v->user_count, &v->user_capacity, n);
}

static void drop_use(oct_value *v, const oct_node *n)
{
    for (int64_t i = v->user_count - 1; i >= 0; i--)
        if (v->users[i] == n) {
            memmove(&v->users[i], &v->users[i + 1], (size_t)(v->user_count - i - 1) * sizeof *v->users);
            v->user_count--;
            return;
        }
}

static int64_t node_position(const oct_graph *g, const oct_node *n)
{
    for (int64_t i = g->node_count - 1; i >= 0; i--)
        if (g->nodes[i] == n)
            return i;
    return -1;
}

oct_status oct_node_add(oct_graph *g, oct_node *before, oct_op op, const char *name, int n_in, oct_value *const *in, int n_out,
                        oct_value *const *out, oct_node **node)
{
    oct_node *n = NULL;
    int64_t at = before ? node_position(g, before) : g->node_count;
    if (at < 0)
        return oct_fail(OCT_ERR_INTERNAL, "node '%s': its successor '%s' is not in the graph", name ? name : "", before->name);
    OCT_TRY(oct_arena_alloc(g->arena, sizeof *n, (void **)&n));
    n->op = op;
    OCT_TRY(oct_arena_strdup(g->arena, name ? name : "", (char **)&n->name));
    OCT_TRY(oct_arena_alloc(g->arena, n_in * (int64_t)sizeof *n->inputs, (void **)&n->inputs));
    OCT_TRY(oct_arena_alloc(g->arena, n_out * (int64_t)sizeof *n->outputs, (void **)&n->outputs));
    OCT_TRY(oct_arena_alloc(g->arena, (int64_t)sizeof *n->sources, (void **)&n->sources));
    n->sources[0] = n->name;
    n->source_count = 1;
    n->input_count = n_in;
    n->output_count = n_out;
    for (int i = 0; i < n_in; i++) {
        n->inputs[i] = in[i];
        if (in[i])
            OCT_TRY(add_use(g, in[i], n));
    }
    for (int i = 0; i < n_out; i++) {
        n->outputs[i] = out[i];
        if (out[i])
            out[i]->producer = n;
    }
    OCT_TRY(oct_graph_push(g, (void ***)&g->nodes, &g->node_count, &g->node_capacity, n));
    memmove(&g->nodes[at + 1], &g->nodes[at], (size_t)(g->node_count - 1 - at) * sizeof *g->nodes);
    g->nodes[at] = n;
    *node = n;
    return OCT_OK;
}

/* Make *list one longer when index == *count; INTERNAL when it is beyond. */
static oct_status reach(oct_graph *g, const oct_node *n, oct_value ***list, int32_t *count, int index)
{
    if (index < 0 || index > *count)
        return oct_fail(OCT_ERR_INTERNAL, "node '%s': edge %d is out of reach, it has %d", n->name, index, (int)*count);
    if (index < *count)
        return OCT_OK;
    oct_value **longer = NULL;
    OCT_TRY(oct_arena_alloc(g->arena, (*count + 1) * (int64_t)sizeof *longer, (void **)&longer));
    memcpy(longer, *list, (size_t)*count * sizeof *longer);
    *list = longer;
    ++*count;
    return OCT_OK;
}

oct_status oct_node_set_input(oct_graph *g, oct_node *n, int index, oct_value *v)
{
    OCT_TRY(reach(g, n, &n->inputs, &n->input_count, index));
    if (n->inputs[index] == v)
        return OCT_OK;
    if (v)
        OCT_TRY(add_use(g, v, n));
    if (n->inputs[index])
        drop_use(n->inputs[index], n);
    n->inputs[index] = v;
    return OCT_OK;
}

oct_status oct_node_set_output(oct_graph *g, oct_node *n, int index, oct_value *v)
{
    OCT_TRY(reach(g, n, &n->outputs, &n->output_count, index));
    if (n->outputs[index] && n->outputs[index]->producer == n)
        n->outputs[index]->producer = NULL;
    n->outputs[index] = v;
    if (v)
        v->producer = n;
    return OCT_OK;
}

void oct_node_remove(oct_graph *g, oct_node *n)
{
    int64_t at = node_position(g, n);
    if (at < 0)
        return;
    for (int32_t i = 0; i < n->input_count; i++)
        if (n->inputs[i])
            drop_use(n->inputs[i], n);
    for (int32_t i = 0; i < n->output_count; i++)
        if (n->outputs[i] && n->outputs[i]->producer == n)
            n->outputs[i]->producer = NULL;
    memmove(&g->nodes[at], &g->nodes[at + 1], (size_t)(g->node_count - at - 1) * sizeof *g->nodes);
    g->node_count--;
}

oct_status oct_value_replace_uses(oct_graph *g, oct_value *from, oct_value *to)
{
    if (from == to)
        return OCT_OK;
    for (int64_t u = 0; u < from->user_count; u++) {
        oct_node *n = from->users[u];
        OCT_TRY(add_use(g, to, n)); /* one entry a use on both sides */
        for (int32_t i = 0; i < n->input_count; i++)
            if (n->inputs[i] == from) {
                n->inputs[i] = to;
                break;
            }
    }
    from->user_count = 0;
    return OCT_OK;
}

oct_status oct_node_add_source(oct_graph *g, oct_node *n, const oct_node *from)
{
    int32_t total = n->source_count;
    const char **list = NULL;
    OCT_TRY(oct_arena_alloc(g->arena, (int64_t)(total + from->source_count) * (int64_t)sizeof *list, (void **)&list));
    if (total)
        memcpy(list, n->sources, (size_t)total * sizeof *list);
    for (int32_t i = 0; i < from->source_count; i++) {
        bool have = false;
        for (int32_t k = 0; k < total && !have; k++)
            have = strcmp(list[k], from->sources[i]) == 0;
        if (!have)
            OCT_TRY(oct_arena_strdup(g->arena, from->sources[i], (char **)&list[total++]));
    }
    n->sources = list;
    n->source_count = total;
    n->hold |= from->hold;
    if (from->hold && !n->reason)
        n->reason = from->reason;
    return OCT_OK;
}

/* --- order --- */

static bool in_order(const oct_graph *g) /* marks hold positions */
{
    for (int64_t i = 0; i < g->node_count; i++)
        for (int32_t k = 0; k < g->nodes[i]->input_count; k++) {
            const oct_value *v = g->nodes[i]->inputs[k];
            if (v && v->producer && v->producer->mark >= i)
                return false;
        }
    return true;
}

/* Binary min-heap of original positions: the ready node that stood first comes first, so the order is stable. */
static void heap_push(int32_t *heap, int64_t *count, int32_t item)
{
    int64_t i = (*count)++;
    for (; i > 0 && heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = item;
}

static int32_t heap_pop(int32_t *heap, int64_t *count)
{
    int32_t top = heap[0], last = heap[--*count];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < *count; i = child) {
        if (child + 1 < *count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

oct_status oct_graph_sort(oct_graph *g)
{
    if (g->node_count > INT32_MAX)
        return oct_fail(OCT_ERR_CONTENT, "graph '%s': too many nodes", g->name);
    for (int64_t i = 0; i < g->node_count; i++)
        g->nodes[i]->mark = (int32_t)i;
    if (in_order(g))
        return OCT_OK;

    oct_status s = OCT_OK;
    size_t n = (size_t)g->node_count;
    int64_t *waits = calloc(n, sizeof *waits); /* inputs of node i that are not yet computed, one per use */
    int32_t *heap = malloc(n * sizeof *heap);
    oct_node **sorted = malloc(n * sizeof *sorted);
    int64_t ready = 0, done = 0;
    if (!waits || !heap || !sorted)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "graph '%s': out of memory while sorting", g->name);
    for (int64_t i = 0; i < g->node_count; i++) {
        for (int32_t k = 0; k < g->nodes[i]->input_count; k++)
            waits[i] += g->nodes[i]->inputs[k] && g->nodes[i]->inputs[k]->producer;
        if (waits[i] == 0)
            heap_push(heap, &ready, (int32_t)i);
    }
    while (ready) {
        oct_node *node = g->nodes[heap_pop(heap, &ready)];
        sorted[done++] = node;
        for (int32_t k = 0; k < node->output_count; k++)
            for (int64_t u = 0; node->outputs[k] && u < node->outputs[k]->user_count; u++) {
                int32_t user = node->outputs[k]->users[u]->mark;
                if (--waits[user] == 0)
                    heap_push(heap, &ready, user);
            }
    }
    for (int64_t i = 0; i < g->node_count; i++)
        if (waits[i] > 0) {
            s = oct_fail(OCT_ERR_CONTENT, "node '%s' is on or behind a cycle", g->nodes[i]->name);
            oct_fail_node(s, g->nodes[i]->name);
            goto done;
        }
    memcpy(g->nodes, sorted, n * sizeof *sorted);
done:
    free(waits);
    free(heap);
    free(sorted);
    return s;
}

enum { DEAD = 0, LIVE = 1 };

static void keep_live_users(oct_value *v)
{
    int64_t kept = 0;
    for (int64_t u = 0; u < v->user_count; u++)
        if (v->users[u]->mark == LIVE)
            v->users[kept++] = v->users[u];
    v->user_count = kept;
}

void oct_graph_sweep(oct_graph *g)
{
    for (int64_t i = 0; i < g->value_count; i++)
        g->values[i]->mark = g->values[i]->is_output ? LIVE : DEAD;
    for (int64_t i = g->node_count - 1; i >= 0; i--) { /* users stand behind producers, so one way back decides all */
        oct_node *n = g->nodes[i];
        n->mark = DEAD;
        for (int32_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] && n->outputs[k]->mark == LIVE)
                n->mark = LIVE;
        for (int32_t k = 0; n->mark == LIVE && k < n->input_count; k++)
            if (n->inputs[k])
                n->inputs[k]->mark = LIVE;
    }
    for (int64_t i = 0; i < g->value_count; i++)
        keep_live_users(g->values[i]);
    for (int64_t i = 0; i < g->input_count; i++)
        g->inputs[i]->mark = LIVE;
    int64_t nodes = 0, values = 0;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        for (int32_t k = 0; n->mark == LIVE && k < n->output_count; k++)
            if (n->outputs[k])
                n->outputs[k]->mark = LIVE;
        if (n->mark == LIVE)
            g->nodes[nodes++] = n;
    }
    for (int64_t i = 0; i < g->value_count; i++)
        if (g->values[i]->mark == LIVE)
            g->values[values++] = g->values[i];
    g->node_count = nodes;
    g->value_count = values;
    (void)oct_graph_reindex(g); /* cannot fail: the table never shrinks, so it holds fewer keys than before */
}

/* --- looking --- */

bool oct_shape_is_concrete(const oct_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0)
            return false;
    return s->rank >= 0;
}

bool oct_shape_equal(const oct_shape *a, const oct_shape *b)
{
    return a->rank == b->rank && (a->rank <= 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0);
}

oct_status oct_shape_count(const oct_shape *s, int64_t *out)
{
    if (!oct_shape_is_concrete(s))
        return oct_fail(OCT_ERR_CONTENT, "a shape is needed in numbers, and has free dimensions");
    return oct_size_count(s->dim, s->rank, out);
}

int oct_value_ints(const oct_value *v, int64_t *out, int max)
{
    if (!v || !v->data || (v->dtype != OCT_S64 && v->dtype != OCT_S32))
        return -1;
    int64_t count = v->bytes / (v->dtype == OCT_S64 ? 8 : 4);
    if (count > max)
        return -1;
    for (int64_t i = 0; i < count; i++)
        out[i] = v->dtype == OCT_S64 ? ((const int64_t *)v->data)[i] : ((const int32_t *)v->data)[i];
    return (int)count;
}

bool oct_value_scalar(const oct_value *v, float *out)
{
    if (!v || !v->data)
        return false;
    const void *p = v->data;
    size_t size = 0;
    float f;
    switch (v->dtype) {
    case OCT_F32: size = 4, f = *(const float *)p; break;
    case OCT_F16: size = 2, f = oct_f16_to_f32(*(const uint16_t *)p); break;
    case OCT_S64: size = 8, f = (float)*(const int64_t *)p; break;
    case OCT_S32: size = 4, f = (float)*(const int32_t *)p; break;
    case OCT_S8: size = 1, f = (float)*(const int8_t *)p; break;
    case OCT_U8: size = 1, f = (float)*(const uint8_t *)p; break;
    default: return false;
    }
    if (v->bytes != (int64_t)size)
        return false;
    *out = f;
    return true;
}

bool oct_pad_writes_value(const oct_node *n)
{
    float value = 0;
    if (strcmp(oct_node_string(n, "mode", "constant"), "constant") != 0 || !oct_node_in(n, 2))
        return false;
    return !oct_value_scalar(n->inputs[2], &value) || value != 0;
}

bool oct_graph_is_quantized(const oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++)
        switch (g->nodes[i]->op) {
        case OCT_OP_QUANTIZE:
        case OCT_OP_DEQUANTIZE:
        case OCT_OP_DYNAMIC_QUANTIZE:
        case OCT_OP_CONV_INTEGER:
        case OCT_OP_MATMUL_INTEGER:
            return true;
        default:
            if (g->nodes[i]->int8)
                return true;
        }
    return false;
}

oct_node *oct_value_only_user(const oct_value *v) { return v->user_count == 1 && !v->is_output ? v->users[0] : NULL; }
