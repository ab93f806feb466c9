/* The tape: slots for values, one block for data and one for gradients, a list of nodes run forward and backward.  Operators are in
 * files of their own. */
#include "train/diff.h"

#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "train/codes.h"

static const oct_diff_op ops[OCT_OP_COUNT] = {
#define OCT_DIFF(id, stem, learn, traits)                                                                                          \
    [OCT_OP_##id] = {oct_diff_prepare_##stem, oct_diff_forward_##stem, oct_diff_backward_##stem, NULL, learn, 0, traits},
#define OCT_DIFF_MEASURED(id, stem, learn, measured, traits)                                                                       \
    [OCT_OP_##id] = {oct_diff_prepare_##stem,                                                                                      \
                     oct_diff_forward_##stem,                                                                                      \
                     oct_diff_backward_##stem,                                                                                     \
                     oct_diff_update_##stem,                                                                                       \
                     learn,                                                                                                        \
                     measured,                                                                                                     \
                     traits},
#include "train/ops.inc"
#undef OCT_DIFF
#undef OCT_DIFF_MEASURED
};

oct_status oct_diff_alloc(oct_tape *t, int64_t count, size_t element, void **out)
{
    int64_t bytes;
    OCT_TRY(oct_size_mul(count, (int64_t)element, &bytes));
    return oct_arena_alloc(t->arena, bytes, out);
}

oct_status oct_diff_unsupported(const oct_node *n, const char *text)
{
    return oct_fail_node(
        oct_fail(OCT_ERR_UNSUPPORTED, "%s '%s': %s: training does not support it", oct_op_get(n->op)->name, n->name, text),
        n->name);
}

int64_t oct_diff_product(const oct_shape *s, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++)
        count *= s->dim[i];
    return count;
}

oct_status oct_tape_simplify(oct_graph *g)
{
    static const char *const passes[] = {"identity", "fold", "shapes", "patterns"};
    const oct_opt opt = {.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold};
    int64_t changes = 1, some;
    while (changes > 0) {
        changes = 0;
        for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
            OCT_TRY(oct_opt_pass(&opt, passes[i], &some));
            changes += some;
        }
        OCT_TRY(oct_graph_infer(g));
    }
    oct_graph_sweep(g);
    return OCT_OK;
}

/* --- making --- */

static bool is_float(const oct_value *v)
{
    return v && v->dtype == OCT_F32;
}

static oct_slot *slot_of(const oct_tape *t, const oct_value *v)
{
    return is_float(v) && v->mark >= 0 ? &t->slots[v->mark] : NULL;
}

static oct_status check_node(const oct_node *n)
{
    if (!ops[n->op].forward)
        return oct_fail_node(oct_fail(OCT_ERR_UNSUPPORTED, "operator %s of node '%s' has no gradient: training does not support it",
                                      oct_op_get(n->op)->name, n->name),
                             n->name);
    if (n->int8 || n->fused.residual || n->fused.clamp)
        return oct_diff_unsupported(n, "a fused or quantized operator");
    for (int i = 0; i < n->output_count; i++) {
        if (!n->outputs[i] && n->op != OCT_OP_LAYER_NORM)
            return oct_diff_unsupported(n, "an output that is left out");
        if (n->outputs[i] && !is_float(n->outputs[i]))
            return oct_diff_unsupported(n, oct_dtype_name(n->outputs[i]->dtype));
    }
    if (!is_float(n->inputs[0]))
        return oct_diff_unsupported(n, oct_dtype_name(n->inputs[0]->dtype));
    return OCT_OK;
}

/* One slot for each float value of the graph. */
static oct_status make_slots(oct_tape *t)
{
    const oct_graph *g = t->graph;
    OCT_TRY(oct_diff_alloc(t, g->value_count, sizeof *t->slots, (void **)&t->slots));
    for (int64_t i = 0; i < g->value_count; i++) {
        oct_value *v = g->values[i];
        v->mark = -1;
        if (!is_float(v) || (!v->data && !v->producer && v->user_count == 0 && !v->is_output))
            continue;
        oct_slot *s = &t->slots[t->slot_count];
        OCT_TRY(oct_shape_count(&v->shape, &s->count));
        s->value = v;
        s->uses = v->user_count;
        v->mark = (int32_t)t->slot_count++;
    }
    for (int64_t i = 0; i < g->output_count; i++) {
        if (!slot_of(t, g->outputs[i]))
            return oct_fail(OCT_ERR_UNSUPPORTED, "output '%s' is no float32 tensor: training does not support it",
                            g->outputs[i]->name);
        slot_of(t, g->outputs[i])->uses++;
    }
    return OCT_OK;
}

static oct_status make_node(oct_tape *t, const oct_node *n, oct_diff_node *d)
{
    d->node = n;
    d->op = &ops[n->op];
    OCT_TRY(check_node(n));
    OCT_TRY(oct_diff_alloc(t, n->input_count, sizeof *d->in, (void **)&d->in));
    OCT_TRY(oct_diff_alloc(t, n->output_count, sizeof *d->out, (void **)&d->out));
    bool needs = false;
    for (int i = 0; i < n->input_count; i++) {
        oct_slot *s = d->in[i] = slot_of(t, n->inputs[i]);
        needs = needs || (s && s->needs_grad);
    }
    for (int i = 0; i < n->output_count; i++) {
        d->out[i] = slot_of(t, n->outputs[i]);
        if (d->out[i])
            d->out[i]->needs_grad = needs;
    }
    return OCT_OK;
}

/* Before nodes are made: a constant may be a parameter to a later node only. */
static void mark_parameters(oct_tape *t)
{
    for (int64_t k = 0; k < t->graph->node_count; k++) {
        const oct_node *n = t->graph->nodes[k];
        for (int i = 0; i < n->input_count && i < 32; i++) {
            oct_slot *s = slot_of(t, n->inputs[i]);
            if (s && s->value->data && (s->count > 1 || n->op == OCT_OP_FAKE_QUANT) && ops[n->op].learn >> i & 1)
                s->parameter = s->needs_grad = true;
            if (s && s->value->data && ops[n->op].measured >> i & 1)
                s->statistic = true;
        }
    }
}

static oct_status make_nodes(oct_tape *t, const oct_tape_options *opts)
{
    const oct_graph *g = t->graph;
    for (int64_t i = 0; i < g->input_count; i++)
        if (slot_of(t, g->inputs[i]))
            slot_of(t, g->inputs[i])->needs_grad = opts->input_gradients;
    OCT_TRY(oct_diff_alloc(t, g->node_count, sizeof *t->nodes, (void **)&t->nodes));
    t->node_count = g->node_count;
    mark_parameters(t);
    for (int64_t i = 0; i < g->node_count; i++)
        OCT_TRY(make_node(t, g->nodes[i], &t->nodes[i]));
    return OCT_OK;
}

enum { STEP = OCT_ALIGN / sizeof(float) };

static bool in_block(const oct_slot *s)
{
    return s->parameter || s->statistic;
}

/* Room for `count` floats more, in 64-byte steps. */
static oct_status grow(int64_t *room, int64_t count)
{
    return oct_size_add(*room, oct_round_up(count, STEP), room);
}

/* Places of parameters, then of statistics, in the block, filled with the graph's values. */
static oct_status place_block(oct_tape *t)
{
    int64_t bytes;
    for (int statistics = 0; statistics < 2; statistics++) {
        for (int64_t i = 0; i < t->slot_count; i++) {
            oct_slot *s = &t->slots[i];
            if (!in_block(s) || s->parameter == (bool)statistics)
                continue;
            s->at = t->block.room;
            OCT_TRY(grow(&t->block.room, s->count));
        }
        if (!statistics)
            t->block.trained = t->block.room;
    }
    OCT_TRY(oct_size_mul(t->block.room, 2 * sizeof(float), &bytes));
    OCT_TRY(oct_alloc(bytes, true, (void **)&t->own));
    oct_tape_set_block(t, t->own, t->own + t->block.room);
    for (int64_t i = 0; i < t->slot_count; i++)
        if (in_block(&t->slots[i]))
            memcpy(t->slots[i].data, t->slots[i].value->data, (size_t)t->slots[i].count * sizeof(float));
    return OCT_OK;
}

static float *take(float *block, int64_t *used, int64_t count)
{
    float *at = block + *used;
    *used += oct_round_up(count, STEP);
    return at;
}

/* Place of each other slot in the tape's two blocks; fills in constants. */
static oct_status place(oct_tape *t)
{
    int64_t data = 0, grad = 0, bytes;
    OCT_TRY(place_block(t));
    for (int64_t i = 0; i < t->slot_count; i++) {
        if (in_block(&t->slots[i]) || t->slots[i].absent)
            continue;
        if (!t->slots[i].bare)
            OCT_TRY(grow(&data, t->slots[i].count));
        if (t->slots[i].needs_grad)
            OCT_TRY(grow(&grad, t->slots[i].count));
        if (t->slots[i].coded)
            OCT_TRY(grow(&data, t->slots[i].count));
        if (t->slots[i].summed)
            OCT_TRY(grow(&data, t->slots[i].count));
    }
    OCT_TRY(oct_size_mul(data, sizeof(float), &bytes));
    OCT_TRY(oct_size_mul(grad, sizeof(float), &t->grad_bytes));
    OCT_TRY(oct_alloc(bytes, true, (void **)&t->values));
    OCT_TRY(oct_alloc(t->grad_bytes, true, (void **)&t->grads));
    data = grad = 0;
    for (int64_t i = 0; i < t->slot_count; i++) {
        oct_slot *s = &t->slots[i];
        if (in_block(s) || s->absent)
            continue;
        s->data = s->bare ? NULL : take(t->values, &data, s->count);
        s->codes = s->coded ? take(t->values, &data, s->count) : NULL;
        s->sums = s->summed ? take(t->values, &data, s->count) : NULL;
        if (s->value->data)
            memcpy(s->data, s->value->data, (size_t)s->count * sizeof *s->data);
        if (!s->needs_grad)
            continue;
        s->grad = take(t->grads, &grad, s->count);
    }
    return OCT_OK;
}

static oct_status prepare_nodes(oct_tape *t)
{
    int64_t scratch = OCT_ALIGN;
    for (int64_t i = 0; i < t->node_count; i++) {
        oct_status s = t->nodes[i].op->prepare(t, &t->nodes[i]);
        if (s != OCT_OK)
            return oct_fail_node(s, t->nodes[i].node->name);
        scratch = oct_max64(scratch, t->nodes[i].scratch);
    }
    return oct_alloc(scratch, false, &t->scratch);
}

oct_status oct_tape_create(const oct_graph *g, const oct_tape_options *opts, oct_tape **out)
{
    static const oct_tape_options defaults = {0};
    oct_status s = OCT_OK;
    const int threads = oct_dnn_enter();
    oct_tape *t = calloc(1, sizeof *t);
    if (!t)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for a tape");
    opts = opts ? opts : &defaults;
    t->training = opts->training;
    t->bf16 = opts->bf16;
    OCT_TRY_DONE(oct_arena_create(&t->arena));
    OCT_TRY_DONE(oct_graph_clone(g, &t->graph));
    OCT_TRY_DONE(oct_dnn_create(&t->dnn));
    OCT_TRY_DONE(make_slots(t));
    OCT_TRY_DONE(make_nodes(t, opts));
    oct_diff_choose_layouts(t);
    oct_diff_absorb_relus(t);
    if (!opts->real_products)
        oct_diff_use_codes(t);
    OCT_TRY_DONE(place(t));
    OCT_TRY_DONE(prepare_nodes(t));
    *out = t;
    t = NULL;
done:
    oct_tape_destroy(t);
    oct_dnn_leave(threads);
    return s;
}

void oct_tape_destroy(oct_tape *t)
{
    if (!t)
        return;
    oct_dnn_destroy(t->dnn);
    oct_free(t->values);
    oct_free(t->grads);
    oct_free(t->own);
    oct_free(t->scratch);
    oct_graph_destroy(t->graph);
    oct_arena_destroy(t->arena);
    free(t);
}

/* --- looking --- */

void oct_tape_set_training(oct_tape *t, bool training)
{
    t->training = training;
}
void oct_tape_set_dampening(oct_tape *t, double strength)
{
    t->dampening = strength;
}

void oct_tape_get_block(const oct_tape *t, oct_tape_block *out)
{
    *out = t->block;
}

void oct_tape_set_block(oct_tape *t, float *values, float *grads)
{
    t->block.values = values;
    t->block.grads = grads;
    for (int64_t i = 0; i < t->slot_count; i++) {
        oct_slot *s = &t->slots[i];
        if (!in_block(s))
            continue;
        s->data = values + s->at;
        s->grad = grads + s->at;
    }
}

void oct_tape_update_statistics(oct_tape *t)
{
    for (int64_t i = 0; i < t->node_count; i++)
        if (t->nodes[i].op->update)
            t->nodes[i].op->update(&t->nodes[i]);
}

static void describe(const oct_slot *s, oct_tape_value *out)
{
    *out = (oct_tape_value){s->value->name, &s->value->shape, s->count,     s->last,     s->data,
                            s->grad,        s->codes,         s->parameter, s->statistic};
}

static bool describe_value(const oct_tape *t, const oct_value *v, oct_tape_value *out)
{
    const oct_slot *s = slot_of(t, v);
    *out = (oct_tape_value){.name = v->name, .shape = &v->shape};
    if (s)
        describe(s, out);
    return true;
}

bool oct_tape_input(const oct_tape *t, int64_t i, oct_tape_value *out)
{
    return i >= 0 && i < t->graph->input_count && describe_value(t, t->graph->inputs[i], out);
}

bool oct_tape_output(const oct_tape *t, int64_t i, oct_tape_value *out)
{
    return i >= 0 && i < t->graph->output_count && describe_value(t, t->graph->outputs[i], out);
}

bool oct_tape_value_at(const oct_tape *t, int64_t i, oct_tape_value *out)
{
    if (i < 0 || i >= t->slot_count)
        return false;
    describe(&t->slots[i], out);
    return true;
}

oct_status oct_tape_find(const oct_tape *t, const char *name, oct_tape_value *out)
{
    const oct_value *v = oct_value_find(t->graph, name);
    if (!slot_of(t, v) || slot_of(t, v)->absent)
        return oct_fail(OCT_ERR_USAGE, "no float tensor of the graph is called '%s', or it is not kept", name);
    describe(slot_of(t, v), out);
    return OCT_OK;
}

/* --- running --- */

oct_status oct_tape_forward(oct_tape *t)
{
    oct_status s = OCT_OK;
    const int threads = oct_dnn_enter();
    for (int64_t i = 0; i < t->node_count && s == OCT_OK; i++) {
        if (t->nodes[i].absorbed)
            continue;
        s = t->nodes[i].op->forward(t, &t->nodes[i]);
        if (s != OCT_OK)
            s = oct_fail_node(s, t->nodes[i].node->name);
    }
    oct_dnn_leave(threads);
    return s;
}

static bool wants_backward(const oct_diff_node *d)
{
    for (int i = 0; i < d->node->output_count; i++)
        if (d->out[i] && d->out[i]->needs_grad)
            return true;
    return false;
}

static void clear(oct_slot *s)
{
    memset(s->grad, 0, (size_t)s->count * sizeof *s->grad);
    s->fresh = false;
}

/* Parameters start from zero, all else with its first gradient. */
static void start_gradients(oct_tape *t, const float *const *seeds)
{
    memset(t->block.grads, 0, (size_t)t->block.trained * sizeof(float));
    for (int64_t i = 0; i < t->slot_count; i++)
        t->slots[i].fresh = t->slots[i].grad && !in_block(&t->slots[i]);
    for (int64_t i = 0; i < t->graph->output_count; i++) {
        oct_slot *y = slot_of(t, t->graph->outputs[i]);
        if (!seeds[i] || !y->grad)
            continue;
        if (y->fresh)
            clear(y);
        for (int64_t k = 0; k < y->count; k++)
            y->grad[k] += seeds[i][k];
    }
}

/* An output that nothing has asked for has gradient zero, and so has an input whose operator only adds. */
static void clear_fresh(oct_diff_node *d)
{
    for (int i = 0; i < d->node->output_count; i++)
        if (d->out[i] && d->out[i]->fresh)
            clear(d->out[i]);
    for (int i = 0; i < d->node->input_count && !(d->op->traits & OCT_SETS); i++)
        if (d->in[i] && d->in[i]->fresh)
            clear(d->in[i]);
}

oct_status oct_tape_backward(oct_tape *t, const float *const *seeds)
{
    oct_status s = OCT_OK;
    const int threads = oct_dnn_enter();
    start_gradients(t, seeds);
    for (int64_t i = t->node_count - 1; i >= 0 && s == OCT_OK; i--) {
        if (t->nodes[i].absorbed || !wants_backward(&t->nodes[i]))
            continue;
        clear_fresh(&t->nodes[i]);
        s = t->nodes[i].op->backward(t, &t->nodes[i]);
        if (s != OCT_OK)
            s = oct_fail_node(s, t->nodes[i].node->name);
    }
    for (int64_t i = 0; i < t->slot_count; i++)
        if (t->slots[i].fresh)
            clear(&t->slots[i]);
    oct_dnn_leave(threads);
    return s;
}
