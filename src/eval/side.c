/* A side of a comparison.  Decides how its inputs are bound and when its plan must be built anew; knows nothing of the other side.
 */
#include "eval/side.h"

#include <string.h>
#include "onnx/model.h"
#include "plan/plan.h"

static int side_input_count(const oct_side *s)
{
    return s->what->plan ? s->what->plan->input_count : (int)s->what->model->graph->input_count;
}

static const char *side_input_name(const oct_side *s, int i)
{
    return s->what->plan ? oct_plan_string(s->what->plan, s->what->plan->inputs[i].name) : s->what->model->graph->inputs[i]->name;
}

/* The number of samples that input i must have; -1 when it is free. */
static int64_t fixed_batch(const oct_side *s, int i)
{
    if (s->what->plan)
        return s->what->plan->inputs[i].rank ? s->what->plan->inputs[i].dims[0] : -1;
    const oct_shape *shape = &s->what->model->graph->inputs[i]->shape;
    return shape->rank > 0 ? shape->dim[0] : -1;
}

oct_status oct_side_open(oct_side *s, const oct_compare_side *what, int threads, int64_t most)
{
    s->what = what;
    s->threads = threads;
    s->input_count = side_input_count(s);
    OCT_TRY(oct_alloc((most + 1) * (int64_t)sizeof *s->taps, true, (void **)&s->taps));
    OCT_TRY(oct_alloc((s->input_count + 1) * (int64_t)sizeof *s->inputs, true, (void **)&s->inputs));
    OCT_TRY(oct_alloc((s->input_count + 1) * (int64_t)sizeof *s->names, true, (void **)&s->names));
    OCT_TRY(oct_alloc((s->input_count + 1) * (int64_t)sizeof *s->fill, true, (void **)&s->fill));
    for (int i = 0; i < s->input_count; i++)
        s->names[i] = side_input_name(s, i);
    return OCT_OK;
}

void oct_side_close(oct_side *s)
{
    oct_context_destroy(s->context);
    oct_plan_destroy(s->owned);
    for (int i = 0; s->fill && i < s->input_count; i++)
        oct_free(s->fill[i]);
    oct_free(s->fill);
    oct_free(s->names);
    oct_free(s->inputs);
    oct_free(s->taps);
    *s = (oct_side){0};
}

/* A whole fixed batch of samples: those of t, then copies of the last one. */
static oct_status fill_up(oct_side *s, int i, int64_t batch, oct_tensor *t)
{
    int64_t row = 0, bytes;
    const int64_t have = t->dims[0];
    OCT_TRY(oct_size_count(t->dims + 1, t->rank - 1, &row));
    OCT_TRY(oct_size_mul(row, (int64_t)oct_dtype_size(t->dtype), &row));
    OCT_TRY(oct_size_mul(row, batch, &bytes));
    oct_free(s->fill[i]);
    s->fill[i] = NULL;
    OCT_TRY(oct_alloc(bytes, false, &s->fill[i]));
    for (int64_t k = 0; k < batch; k++)
        memcpy((char *)s->fill[i] + k * row, (const char *)t->data + oct_min64(k, have - 1) * row, (size_t)row);
    t->dims[0] = batch;
    t->data = s->fill[i];
    return OCT_OK;
}

/* Input i from what the caller gives, as long as this side wants it. *changed: its shape is not that of the run before. */
static oct_status take_input(oct_side *s, int i, const char *const *names, const oct_tensor *inputs, int count, bool *changed)
{
    const char *name = s->names[i];
    const int64_t batch = fixed_batch(s, i);
    int at = 0;
    while (at < count && strcmp(names[at], name) != 0)
        at++;
    if (at == count)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no data are given for input '%s'", name), name);
    oct_tensor t = inputs[at];
    if (batch > 0 && t.rank > 0 && t.dims[0] > batch)
        return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' takes %lld samples at once, not %lld", name, (long long)batch,
                                      (long long)t.dims[0]),
                             name);
    if (batch > 0 && t.rank > 0 && t.dims[0] > 0 && t.dims[0] < batch)
        OCT_TRY(fill_up(s, i, batch, &t));
    *changed = *changed || t.rank != s->inputs[i].rank || memcmp(t.dims, s->inputs[i].dims, sizeof *t.dims * (size_t)t.rank) != 0;
    s->inputs[i] = t;
    return OCT_OK;
}

/* Free dimensions take the values that the input tensors have. */
static oct_status build(oct_side *s)
{
    oct_status status = OCT_OK;
    oct_arena *arena = NULL;
    const oct_graph *g = s->what->model->graph;
    const char **dims = NULL;
    int dim_count = 0;
    oct_context_destroy(s->context);
    oct_plan_destroy(s->owned);
    s->context = NULL;
    s->owned = NULL;
    OCT_TRY(oct_arena_create(&arena));
    status = oct_arena_alloc(arena, (g->input_count * OCT_MAX_RANK + 1) * (int64_t)sizeof *dims, (void **)&dims);
    for (int i = 0; status == OCT_OK && i < s->input_count; i++) {
        const oct_value *v = g->inputs[i];
        if (v->shape.rank >= 0 && s->inputs[i].rank != v->shape.rank)
            status = oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' has rank %d, the data have rank %d", v->name,
                                            v->shape.rank, s->inputs[i].rank),
                                   v->name);
        for (int k = 0; status == OCT_OK && k < v->shape.rank; k++)
            if (v->shape.dim[k] < 0)
                status =
                    oct_arena_printf(arena, (char **)&dims[dim_count++], "%s:%d=%lld", v->name, k, (long long)s->inputs[i].dims[k]);
    }
    oct_build_options options = {
        .dims = dims, .dim_count = dim_count, .mode = s->what->mode, .taps = s->taps, .tap_count = (int)s->tap_count};
    if (status == OCT_OK)
        status = oct_plan_build(s->what->model, &options, &s->owned);
    oct_arena_destroy(arena);
    return status;
}

static const oct_plan *plan_of(const oct_side *s)
{
    return s->what->plan ? s->what->plan : s->owned;
}

oct_status oct_side_run(oct_side *s, const char *const *names, const oct_tensor *inputs, int count)
{
    bool changed = false;
    for (int i = 0; i < s->input_count; i++)
        OCT_TRY(take_input(s, i, names, inputs, count, &changed));
    if (s->what->peer)
        return s->what->peer->run(s->what->peer->user, s->names, s->inputs, s->input_count);
    if (s->what->model && (changed || !s->owned))
        OCT_TRY(build(s));
    if (!s->context)
        OCT_TRY(oct_context_create(plan_of(s), s->threads, &s->context));
    for (int i = 0; i < s->input_count; i++)
        OCT_TRY(oct_context_set_input(s->context, s->names[i], &s->inputs[i]));
    return oct_context_run(s->context);
}

oct_status oct_side_port(const oct_side *s, int64_t tap, oct_port *out)
{
    return oct_plan_get_tap(plan_of(s), s->taps[tap], out);
}

oct_status oct_side_read(const oct_side *s, int64_t tap, float *data, int64_t count)
{
    if (s->what->peer)
        return s->what->peer->read(s->what->peer->user, (int)tap, data, count);
    return oct_context_get_tap(s->context, s->taps[tap], data, count);
}
