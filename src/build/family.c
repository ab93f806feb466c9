/* Plans of one recipe: for the shapes of a profile, in one block with what they were made of; and later, in a context, for any
 * other shape between them.  DESIGN 5.7.  Every plan comes from the stored bytes, so that one made later equals one made now. */
#include "build/family.h"

#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "build/recipe_file.h"
#include "onnx/model.h"
#include "rt/context.h"

/* --- the profile as it is set --- */
static oct_status check_lengths(const oct_value *v, const oct_profile *p)
{
    for (int k = 0; k < v->shape.rank; k++) {
        if (p->min[k] < (v->shape.dim[k] < 0) || p->min[k] > p->opt[k] || p->opt[k] > p->max[k] || p->max[k] > INT32_MAX)
            return oct_fail_node(oct_fail(OCT_ERR_USAGE,
                                          "input '%s', axis %d: %lld, %lld, %lld are no least, best and largest length", v->name, k,
                                          (long long)p->min[k], (long long)p->opt[k], (long long)p->max[k]),
                                 v->name);
        if (v->shape.dim[k] >= 0 && (p->min[k] != v->shape.dim[k] || p->max[k] != v->shape.dim[k]))
            return oct_fail_node(
                oct_fail(OCT_ERR_USAGE, "input '%s': the model fixes axis %d to %lld", v->name, k, (long long)v->shape.dim[k]),
                v->name);
    }
    return OCT_OK;
}

static oct_status check_symbols(const oct_graph *g, const oct_profile *a, const oct_profile *b)
{
    for (int i = 0; i < a->input->shape.rank; i++)
        for (int k = 0; k < b->input->shape.rank; k++)
            if (a->input->shape.dim[i] < 0 && a->input->shape.dim[i] == b->input->shape.dim[k] &&
                (a->min[i] != b->min[k] || a->opt[i] != b->opt[k] || a->max[i] != b->max[k]))
                return oct_fail_node(
                    oct_fail(OCT_ERR_USAGE, "axis %d of input '%s' and axis %d of input '%s' are both '%s' and need equal ranges",
                             i, a->input->name, k, b->input->name, oct_graph_symbol_name(g, a->input->shape.dim[i])),
                    a->input->name);
    return OCT_OK;
}

oct_status oct_builder_set_profile(oct_builder *b, const char *input, int rank, const int64_t *min, const int64_t *opt,
                                   const int64_t *max)
{
    const oct_graph *g = b->model->graph;
    oct_profile p = {0};
    int64_t at = 0;
    for (int64_t i = 0; i < g->input_count && !p.input; i++)
        p.input = strcmp(g->inputs[i]->name, input) == 0 ? g->inputs[i] : NULL;
    if (!p.input)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the model has no input '%s'", input), input);
    if (rank != p.input->shape.rank)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s' has %d axes, its profile %d", input, p.input->shape.rank, rank),
                             input);
    memcpy(p.min, min, (size_t)rank * sizeof *min);
    memcpy(p.opt, opt, (size_t)rank * sizeof *opt);
    memcpy(p.max, max, (size_t)rank * sizeof *max);
    OCT_TRY(check_lengths(p.input, &p));
    OCT_TRY(check_symbols(g, &p, &p));
    while (at < b->profile_count && b->profiles[at].input != p.input)
        at++;
    for (int64_t i = 0; i < b->profile_count; i++)
        if (i != at)
            OCT_TRY(check_symbols(g, &p, &b->profiles[i]));
    if (at == b->profile_count)
        return OCT_PUSH(b->profiles, b->profile_count, b->profile_capacity, p);
    b->profiles[at] = p;
    return OCT_OK;
}

/* --- shapes as build options --- */

/* opts with "input:axis=length" behind its dims for every free axis of an input; dims has a row an input, a NULL row leaves it
 * alone. */
static oct_status with_dims(const oct_graph *g, const int64_t *const *dims, const oct_build_options *opts, oct_arena *arena,
                            oct_build_options *out)
{
    const char **texts;
    int64_t room;
    int n = opts->dim_count;
    OCT_TRY(oct_size_mul(g->input_count, OCT_MAX_RANK, &room));
    OCT_TRY(oct_arena_alloc(arena, (room + n + 1) * (int64_t)sizeof *texts, (void **)&texts));
    if (n)
        memcpy(texts, opts->dims, (size_t)n * sizeof *texts);
    for (int64_t i = 0; i < g->input_count; i++)
        for (int k = 0; dims[i] && k < g->inputs[i]->shape.rank; k++)
            if (g->inputs[i]->shape.dim[k] < 0) {
                char *text;
                OCT_TRY(oct_arena_printf(arena, &text, "%s:%d=%lld", g->inputs[i]->name, k, (long long)dims[i][k]));
                texts[n++] = text;
            }
    *out = *opts;
    out->dims = texts;
    out->dim_count = n;
    return OCT_OK;
}

oct_status oct_family_options(const oct_builder *b, const oct_build_options *opts, const oct_recipe *r, oct_build_options *out)
{
    const oct_graph *g = b->model->graph;
    const int64_t **rows;
    *out = *opts;
    if (!b->profile_count)
        return OCT_OK;
    OCT_TRY(oct_arena_alloc(r->arena, g->input_count * (int64_t)sizeof *rows, (void **)&rows));
    for (int64_t i = 0; i < g->input_count; i++)
        for (int64_t k = 0; k < b->profile_count; k++)
            if (b->profiles[k].input == g->inputs[i])
                rows[i] = b->profiles[k].opt;
    return with_dims(g, rows, opts, r->arena, out);
}

/* The plan for the dims of the ports, a row an input. */
static oct_status plan_for(const oct_stored_recipe *r, const int64_t (*dims)[OCT_MAX_RANK], oct_isa isa, oct_plan **out)
{
    const oct_graph *g = r->model->graph;
    const int64_t **rows;
    oct_build_options opts;
    OCT_TRY(oct_arena_alloc(r->recipe->arena, g->input_count * (int64_t)sizeof *rows, (void **)&rows));
    for (int64_t i = 0; i < g->input_count; i++) {
        int64_t *row;
        OCT_TRY(oct_arena_alloc(r->recipe->arena, sizeof dims[i], (void **)&row));
        for (int k = 0; k < OCT_MAX_RANK; k++)
            row[oct_recipe_model_axis(r->recipe, g->inputs[i]->name, k)] = dims[i][k];
        rows[i] = row;
    }
    OCT_TRY(with_dims(g, rows, &r->opts, r->recipe->arena, &opts));
    return oct_recipe_plan(r->recipe, g, &opts, isa, out);
}

oct_status oct_plan_for_shape(const oct_plan *plan, const int64_t (*dims)[OCT_MAX_RANK], oct_plan **out)
{
    oct_stored_recipe r = {0};
    oct_status s = oct_recipe_of_plan(plan, &r);
    if (s == OCT_OK && r.model->graph->input_count != plan->input_count)
        s = oct_fail(OCT_ERR_CONTENT, "the plan's recipe is for a model with other inputs");
    if (s == OCT_OK)
        s = plan_for(&r, dims, (oct_isa)plan->header->isa, out);
    oct_stored_recipe_free(&r);
    return s;
}

/* --- the family --- */

/* Rows of the plan file: the builder's profiles; an axis of another input with the same symbol follows, what is left is fixed. */
static oct_status profile_rows(const oct_builder *b, const oct_plan *plan, const oct_recipe *r, oct_plan_profile **out)
{
    const oct_graph *g = b->model->graph;
    oct_plan_profile *rows;
    if (plan->input_count > OCT_PROFILE_MAX_INPUTS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a profile of a model with %d inputs: at most %d", plan->input_count,
                        OCT_PROFILE_MAX_INPUTS);
    OCT_TRY(oct_arena_alloc(r->arena, plan->input_count * (int64_t)sizeof *rows, (void **)&rows));
    for (int32_t i = 0; i < plan->input_count; i++)
        for (int k = 0; k < g->inputs[i]->shape.rank; k++) {
            const int64_t dim = g->inputs[i]->shape.dim[oct_recipe_model_axis(r, g->inputs[i]->name, k)],
                          length = plan->inputs[i].dims[k];
            rows[i].min[k] = rows[i].opt[k] = rows[i].max[k] = length;
            rows[i].symbol[k] = -1;
            for (int64_t p = 0; dim < 0 && p < b->profile_count; p++)
                for (int m = 0; m < b->profiles[p].input->shape.rank; m++)
                    if (b->profiles[p].input->shape.dim[m] == dim) {
                        rows[i].min[k] = b->profiles[p].min[m];
                        rows[i].max[k] = b->profiles[p].max[m];
                        rows[i].symbol[k] = (int32_t)(-1 - dim);
                    }
        }
    *out = rows;
    return OCT_OK;
}

enum { AT_OPT, AT_MIN, AT_MAX, SHAPES };

/* Lengths of one of the profile's three shapes. */
static oct_status shape_of(const oct_plan_profile *rows, int32_t inputs, int which, oct_arena *arena, int64_t (**out)[OCT_MAX_RANK])
{
    OCT_TRY(oct_arena_alloc(arena, (inputs + 1) * (int64_t)sizeof **out, (void **)out));
    for (int32_t i = 0; i < inputs; i++)
        memcpy((*out)[i], which == AT_MIN ? rows[i].min : which == AT_MAX ? rows[i].max : rows[i].opt, sizeof(*out)[i]);
    return OCT_OK;
}

static oct_status make(const void *data, int64_t size, const oct_plan_profile *rows, int32_t inputs, oct_isa isa, oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_stored_recipe r = {0};
    oct_plan *plans[SHAPES] = {NULL};
    int64_t(*dims[SHAPES])[OCT_MAX_RANK];
    int count = 0;
    OCT_TRY_DONE(oct_recipe_read(data, size, &r));
    if (rows && r.model->graph->input_count != inputs)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "the plan's recipe is for a model with other inputs");
    for (int k = 0; k < (rows ? SHAPES : 1); k++) {
        bool have = false;
        if (rows)
            OCT_TRY_DONE(shape_of(rows, inputs, k, r.recipe->arena, &dims[count]));
        for (int i = 0; i < count; i++)
            have |= memcmp(dims[i], dims[count], (size_t)inputs * sizeof *dims[i]) == 0;
        if (have)
            continue;
        if (rows)
            OCT_TRY_DONE(plan_for(&r, (const int64_t(*)[OCT_MAX_RANK])dims[count], isa, &plans[count]));
        else
            OCT_TRY_DONE(oct_recipe_plan(r.recipe, r.model->graph, &r.opts, isa, &plans[count]));
        count++;
    }
    OCT_TRY_DONE(oct_plan_compose(plans[0], data, size, rows, (const oct_plan *const *)&plans[1], count - 1, out));
done:
    for (int i = 0; i < SHAPES; i++)
        oct_plan_destroy(plans[i]);
    oct_stored_recipe_free(&r);
    return s;
}

oct_status oct_family_complete(const oct_builder *b, const oct_build_options *opts, const oct_recipe *r, oct_plan **plan)
{
    oct_plan *whole = NULL;
    oct_plan_profile *rows = NULL;
    void *data = NULL;
    int64_t size;
    if (!b->profile_count && !opts->refit)
        return OCT_OK;
    if (b->profile_count)
        OCT_TRY(profile_rows(b, *plan, r, &rows));
    OCT_TRY(oct_recipe_write(r, b->model, opts, &data, &size));
    oct_status s = make(data, size, rows, (*plan)->input_count, (oct_isa)(*plan)->header->isa, &whole);
    free(data);
    if (s != OCT_OK)
        return s;
    oct_plan_destroy(*plan);
    *plan = whole;
    return OCT_OK;
}

oct_status oct_family_remake(const oct_plan *like, const void *recipe, int64_t size, oct_plan **out)
{
    return make(recipe, size, like->profile, like->input_count, (oct_isa)like->header->isa, out);
}
