/* Two models, one input, tensor by tensor.
 *
 * Both are built with taps on the tensors whose names they share. In a Q/DQ model a tap must not change what is measured:
 * the value of a quantized tensor is read behind its DequantizeLinear, and a tensor that the engine keeps inside a fused
 * integer layer (between a convolution and the Q behind its activation) is left out, because tapping it would make that
 * layer run in float. */
#include <stdlib.h>
#include <string.h>

#include "eval/stats.h"
#include "eval/widen.h"
#include "ir/op.h"
#include "onnx/model.h"
#include <octavo/eval.h>

/* One model's half of the comparison. */
typedef struct half {
    const oct_model *model;
    const char **taps; /* per row */
    oct_plan *plan;
    oct_context *context;
} half;

typedef struct comparison {
    half a, b;
    const char **names; /* per row, of model a */
    int64_t rows;
} comparison;

static const oct_value *behind_quantize(const oct_node *q)
{
    const oct_value *codes = q->outputs[0];
    for (int64_t i = 0; i < codes->user_count; i++)
        if (codes->users[i]->op == OCT_OP_DEQUANTIZE && codes->users[i]->inputs[0] == codes)
            return codes->users[i]->outputs[0];
    return NULL;
}

static bool fuses(oct_op op)
{
    return op == OCT_OP_RELU || op == OCT_OP_CLIP || op == OCT_OP_ADD || op == OCT_OP_SUM || op == OCT_OP_MUL || op == OCT_OP_LEAKY_RELU ||
           op == OCT_OP_PRELU || op == OCT_OP_SIGMOID || op == OCT_OP_HARD_SIGMOID || op == OCT_OP_HARD_SWISH || op == OCT_OP_SILU ||
           op == OCT_OP_TANH || op == OCT_OP_ELU || op == OCT_OP_GELU || op == OCT_OP_BATCH_NORM || op == OCT_OP_MIN || op == OCT_OP_MAX;
}

/* Where to read tensor v without disturbing the layers around it; NULL when that is impossible. */
static const oct_value *tap_of(const oct_value *v)
{
    for (int64_t i = 0; i < v->user_count; i++)
        if (v->users[i]->op == OCT_OP_QUANTIZE && v->users[i]->inputs[0] == v)
            return behind_quantize(v->users[i]);
    const oct_value *end = v;
    enum { LONGEST_CHAIN = 8 };
    for (int hops = 0; hops < LONGEST_CHAIN; hops++) {
        const oct_node *user = end->user_count == 1 && !end->is_output ? end->users[0] : NULL;
        if (!user)
            return v;
        if (user->op == OCT_OP_QUANTIZE)
            return NULL;
        if (!fuses(user->op))
            return v;
        end = user->outputs[0];
    }
    return v;
}

static bool is_computed_float(const oct_value *v)
{
    return v && !v->data && v->producer && v->producer->op != OCT_OP_DEQUANTIZE && (v->dtype == OCT_F32 || v->dtype == OCT_F16);
}

/* Rows in the execution order of model a. */
static oct_status find_rows(comparison *c)
{
    const oct_graph *g = c->a.model->graph;
    OCT_TRY(oct_alloc((g->value_count + 1) * (int64_t)sizeof *c->names, true, (void **)&c->names));
    OCT_TRY(oct_alloc((g->value_count + 1) * (int64_t)sizeof *c->a.taps, true, (void **)&c->a.taps));
    OCT_TRY(oct_alloc((g->value_count + 1) * (int64_t)sizeof *c->b.taps, true, (void **)&c->b.taps));
    for (int64_t i = 0; i < g->node_count; i++)
        for (int32_t k = 0; k < g->nodes[i]->output_count; k++) {
            const oct_value *va = g->nodes[i]->outputs[k];
            const oct_value *vb = is_computed_float(va) ? oct_value_find(c->b.model->graph, va->name) : NULL;
            const oct_value *ta = is_computed_float(vb) ? tap_of(va) : NULL, *tb = ta ? tap_of(vb) : NULL;
            if (!tb)
                continue;
            c->names[c->rows] = va->name;
            c->a.taps[c->rows] = ta->name;
            c->b.taps[c->rows] = tb->name;
            c->rows++;
        }
    if (c->rows == 0)
        return oct_fail(OCT_ERR_CONTENT, "the two models have no tensor of the same name");
    return OCT_OK;
}

/* Input i of the model among what the caller gives: by name, else by place. */
static const oct_tensor *input_for(const oct_model *m, int i, const char *const *names, const oct_tensor *inputs, int count)
{
    const char *name = m->graph->inputs[i]->name;
    for (int k = 0; k < count; k++)
        if (names && names[k] && strcmp(names[k], name) == 0)
            return &inputs[k];
    return i < count && (!names || !names[i]) ? &inputs[i] : NULL;
}

/* Free dimensions take the values that the input tensors have. */
static oct_status build_half(half *h, int64_t rows, const char *const *names, const oct_tensor *inputs, int count, oct_arena *arena)
{
    const oct_graph *g = h->model->graph;
    const char **dims = NULL;
    int dim_count = 0;
    OCT_TRY(oct_arena_alloc(arena, (g->input_count * OCT_MAX_RANK + 1) * (int64_t)sizeof *dims, (void **)&dims));
    for (int i = 0; i < g->input_count; i++) {
        const oct_value *v = g->inputs[i];
        const oct_tensor *t = input_for(h->model, i, names, inputs, count);
        if (!t)
            return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no data are given for input '%s'", v->name), v->name);
        if (v->shape.rank >= 0 && t->rank != v->shape.rank)
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' has rank %d, the data have rank %d", v->name, v->shape.rank, t->rank), v->name);
        for (int k = 0; k < v->shape.rank; k++)
            if (v->shape.dim[k] < 0)
                OCT_TRY(oct_arena_printf(arena, (char **)&dims[dim_count++], "%s:%d=%lld", v->name, k, (long long)t->dims[k]));
    }
    oct_build_options build = {.dims = dims, .dim_count = dim_count, .taps = h->taps, .tap_count = (int)rows};
    return oct_plan_build(h->model, &build, &h->plan);
}

static oct_status run_half(half *h, int threads, const char *const *names, const oct_tensor *inputs, int count)
{
    OCT_TRY(oct_context_create(h->plan, threads, &h->context));
    for (int i = 0; i < h->model->graph->input_count; i++) {
        const char *name = h->model->graph->inputs[i]->name;
        OCT_TRY(oct_context_set_input(h->context, name, input_for(h->model, i, names, inputs, count)));
    }
    return oct_context_run(h->context);
}

static bool is_plan_output(const oct_plan *plan, const char *name)
{
    oct_port p;
    for (int i = 0; i < oct_plan_output_count(plan); i++)
        if (oct_plan_get_output(plan, i, &p) == OCT_OK && strcmp(p.name, name) == 0)
            return true;
    return false;
}

/* The tensor's values as floats: an output of the plan, or a tap. */
static oct_status read_tap(const half *h, const char *name, oct_arena *arena, float **data, int64_t *count)
{
    bool output = is_plan_output(h->plan, name);
    oct_tensor y = {0};
    oct_port p;
    if (output) {
        OCT_TRY(oct_context_get_output(h->context, name, &y));
        OCT_TRY(oct_size_count(y.dims, y.rank, count));
    } else {
        OCT_TRY(oct_plan_get_tap(h->plan, name, &p));
        OCT_TRY(oct_size_count(p.dims, p.rank, count));
    }
    int64_t bytes;
    OCT_TRY(oct_size_mul(*count, sizeof(float), &bytes));
    OCT_TRY(oct_arena_alloc(arena, bytes, (void **)data));
    return output ? oct_widen(y.data, y.dtype, *count, *data) : oct_context_get_tap(h->context, name, *data, *count);
}

static oct_status diff_row(const comparison *c, int64_t row, oct_tensor_diff *out)
{
    oct_status s = OCT_OK;
    oct_arena *arena = NULL;
    float *a = NULL, *b = NULL;
    int64_t na = 0, nb = 0;
    OCT_TRY(oct_arena_create(&arena));
    OCT_TRY_DONE(read_tap(&c->a, c->a.taps[row], arena, &a, &na));
    OCT_TRY_DONE(read_tap(&c->b, c->b.taps[row], arena, &b, &nb));
    if (na != nb)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "tensor '%s' has %lld elements in one model and %lld in the other", c->names[row], (long long)na, (long long)nb);
    oct_likeness l = {0};
    oct_likeness_add(&l, a, b, na);
    *out = (oct_tensor_diff){c->names[row], l.max_abs, oct_likeness_rel_l2(&l), oct_likeness_cosine(&l)};
done:
    oct_arena_destroy(arena);
    return s;
}

static void half_free(half *h)
{
    oct_context_destroy(h->context);
    oct_plan_destroy(h->plan);
    oct_free(h->taps);
}

oct_status oct_compare(const oct_model *a, const oct_model *b, const char *const *names, const oct_tensor *inputs, int input_count, int threads,
                       oct_tensor_diff **rows, int64_t *count)
{
    oct_status s = OCT_OK;
    oct_arena *arena = NULL;
    oct_tensor_diff *diffs = NULL;
    comparison c = {.a.model = a, .b.model = b};
    OCT_TRY_DONE(oct_arena_create(&arena));
    OCT_TRY_DONE(find_rows(&c));
    OCT_TRY_DONE(build_half(&c.a, c.rows, names, inputs, input_count, arena));
    OCT_TRY_DONE(build_half(&c.b, c.rows, names, inputs, input_count, arena));
    OCT_TRY_DONE(run_half(&c.a, threads, names, inputs, input_count));
    OCT_TRY_DONE(run_half(&c.b, threads, names, inputs, input_count));
    diffs = calloc((size_t)c.rows, sizeof *diffs);
    if (!diffs)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate %lld rows", (long long)c.rows);
    for (int64_t i = 0; i < c.rows; i++)
        OCT_TRY_DONE(diff_row(&c, i, &diffs[i]));
    *rows = diffs;
    *count = c.rows;
    diffs = NULL;
done:
    free(diffs);
    half_free(&c.a);
    half_free(&c.b);
    oct_free(c.names);
    oct_arena_destroy(arena);
    return s;
}
