/* Refit and taps: a plan that carries its recipe, made again with other numbers or with more tensors readable.  DESIGN 5.7.
 * Nothing is searched: precision, kernels and shapes are those of the old plan, and a change that would give other steps is
 * refused. */
#include <stdlib.h>
#include <string.h>
#include "build/family.h"
#include "build/recipe_file.h"
#include "onnx/model.h"

/* --- is the new plan the old one with other numbers? --- */
static oct_status other_step(const oct_plan *a, const oct_plan *b, int32_t i, const char *what)
{
    const oct_plan *p = i < a->step_count ? a : b;
    const char *name = oct_plan_string(p, p->steps[i].name);
    return oct_fail_node(
        oct_fail(OCT_ERR_DEMAND, "these numbers do not fit the plan: step %d ('%s') %s; build the model anew", i, name, what),
        name);
}

static bool same_text(const oct_plan *a, uint32_t x, const oct_plan *b, uint32_t y)
{
    return strcmp(oct_plan_string(a, x), oct_plan_string(b, y)) == 0;
}

static bool same_tensor(const oct_plan_tensor *x, const oct_plan_tensor *y)
{
    return x->place == y->place && x->dtype == y->dtype && x->rank == y->rank && x->biased == y->biased && x->root == y->root &&
           x->port == y->port && memcmp(x->dims, y->dims, sizeof x->dims) == 0 &&
           memcmp(x->strides, y->strides, sizeof x->strides) == 0 && x->bytes == y->bytes &&
           (x->place == OCT_PLACE_CONST || x->offset == y->offset);
}

static bool same_list(const oct_plan *a, uint32_t x, uint32_t n, const oct_plan *b, uint32_t y, uint32_t m)
{
    return n == m && memcmp(a->index + x, b->index + y, sizeof *a->index * n) == 0;
}

static oct_status check_same(const oct_plan *a, const oct_plan *b)
{
    for (int32_t i = 0; i < a->step_count && i < b->step_count; i++) {
        const oct_plan_step *x = &a->steps[i], *y = &b->steps[i];
        if (x->kind != y->kind || !same_text(a, x->name, b, y->name))
            return other_step(a, b, i, "would become another one");
        if (x->precision != y->precision || !same_text(a, x->tactic, b, y->tactic))
            return other_step(a, b, i, "would change its precision or kernel");
        if (!same_list(a, x->in_first, x->in_count, b, y->in_first, y->in_count) ||
            !same_list(a, x->out_first, x->out_count, b, y->out_first, y->out_count))
            return other_step(a, b, i, "would read or write other tensors");
    }
    if (a->step_count != b->step_count)
        return other_step(a, b, (int32_t)oct_min64(a->step_count, b->step_count), "would come or go");
    bool same =
        a->tensor_count == b->tensor_count && a->header->arena_bytes == b->header->arena_bytes && a->shape_count == b->shape_count;
    for (int32_t i = 0; same && i < a->tensor_count; i++)
        same = same_tensor(&a->tensors[i], &b->tensors[i]);
    if (!same)
        return oct_fail(OCT_ERR_DEMAND, "these numbers do not fit the plan: its tensors would change; build the model anew");
    for (int32_t i = 0; i < a->shape_count; i++)
        OCT_TRY(check_same(&a->shapes[i], &b->shapes[i]));
    return OCT_OK;
}

static oct_status remake(const oct_plan *plan, const oct_stored_recipe *r, oct_plan **out)
{
    void *data = NULL;
    int64_t size;
    OCT_TRY(oct_recipe_write(r->recipe, r->model, &r->opts, &data, &size));
    oct_status s = oct_family_remake(plan, data, size, out);
    free(data);
    return s;
}

/* --- numbers --- */
static oct_status set_weight(const oct_graph *g, const oct_refit_weight *w)
{
    oct_value *v = oct_value_find(g, w->name);
    const oct_tensor *t = &w->tensor;
    void *data;
    if (!v || !v->data)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no weight of the model is named '%s'", w->name), w->name);
    if (t->dtype != v->dtype || t->rank != v->shape.rank ||
        (t->rank && memcmp(t->dims, v->shape.dim, sizeof *t->dims * (size_t)t->rank) != 0))
        return oct_fail_node(
            oct_fail(OCT_ERR_CONTENT,
                     "the new '%s' is %s of rank %d and does not have the type and shape of the old one (%s of rank %d)", w->name,
                     oct_dtype_name(t->dtype), t->rank, oct_dtype_name(v->dtype), v->shape.rank),
            w->name);
    if (!t->data && v->bytes)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the new '%s' has no data", w->name), w->name);
    OCT_TRY(oct_arena_memdup(g->arena, t->data, v->bytes, &data));
    v->data = data;
    return OCT_OK;
}

static oct_status set_range(const oct_stored_recipe *r, const oct_refit_range *range)
{
    const oct_value *v = oct_value_find(r->model->graph, range->name);
    if (!r->recipe->ranges)
        return oct_fail(OCT_ERR_USAGE,
                        "the plan was built without ranges: the scales of a model with Q/DQ layers are weights of it");
    if (!v || v->data)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "no tensor '%s' is computed by this model", range->name), range->name);
    return oct_ranges_set(r->recipe->ranges, range->name, range->min, range->max);
}

oct_status oct_plan_refit(const oct_plan *plan, const oct_refit_weight *weights, int weight_count, const oct_refit_range *ranges,
                          int range_count, oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_stored_recipe r = {0};
    oct_plan *made = NULL;
    OCT_TRY_DONE(oct_recipe_of_plan(plan, &r));
    for (int i = 0; i < weight_count; i++)
        OCT_TRY_DONE(set_weight(r.model->graph, &weights[i]));
    for (int i = 0; i < range_count; i++)
        OCT_TRY_DONE(set_range(&r, &ranges[i]));
    OCT_TRY_DONE(remake(plan, &r, &made));
    OCT_TRY_DONE(check_same(plan, made));
    *out = made;
    made = NULL;
done:
    oct_plan_destroy(made);
    oct_stored_recipe_free(&r);
    return s;
}

/* --- taps --- */
oct_status oct_plan_add_taps(const oct_plan *plan, const char *const *names, int count, oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_stored_recipe r = {0};
    const char **taps;
    if (!plan->recipe_size && count > 0)
        return oct_fail_node(
            oct_fail(OCT_ERR_USAGE,
                     "the plan does not keep tensor '%s' and does not carry its model: build it with that tap, or with --refit",
                     names[0]),
            names[0]);
    OCT_TRY_DONE(oct_recipe_of_plan(plan, &r));
    OCT_TRY_DONE(oct_arena_alloc(r.recipe->arena, ((int64_t)r.opts.tap_count + count + 1) * (int64_t)sizeof *taps, (void **)&taps));
    for (int i = 0; i < r.opts.tap_count; i++)
        taps[i] = r.opts.taps[i];
    for (int i = 0; i < count; i++) {
        bool have = false;
        for (int k = 0; k < r.opts.tap_count; k++)
            have |= strcmp(taps[k], names[i]) == 0;
        if (!have)
            taps[r.opts.tap_count++] = names[i];
    }
    r.opts.taps = taps;
    OCT_TRY_DONE(remake(plan, &r, out));
done:
    oct_stored_recipe_free(&r);
    return s;
}
