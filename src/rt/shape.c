/* Changing a context's shape within its plan's profile: which plan runs, and where it comes from (the file, the context's own
 * store, or a new one).  DESIGN 5.7.  Contexts of one plan share nothing here, so they may change shape in parallel. */
#include <string.h>
#include "rt/context.h"

/* --- what may be asked for --- */
static oct_status out_of_profile(const oct_plan *p, int32_t input, int axis, int64_t length)
{
    const char *name = oct_plan_string(p, p->inputs[input].name);
    if (!p->profile)
        return oct_fail_node(
            oct_fail(OCT_ERR_USAGE,
                     "input '%s': axis %d is %lld, the plan was built for %lld (a plan with a profile takes other shapes)", name,
                     axis, (long long)length, (long long)p->inputs[input].dims[axis]),
            name);
    return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s': axis %d is %lld, the plan's profile allows %lld to %lld", name, axis,
                                  (long long)length, (long long)p->profile[input].min[axis],
                                  (long long)p->profile[input].max[axis]),
                         name);
}

static oct_status check_dims(const oct_plan *p, int32_t input, int rank, const int64_t *dims)
{
    const oct_plan_port *port = &p->inputs[input];
    const oct_plan_profile *row = p->profile ? &p->profile[input] : NULL;
    const char *name = oct_plan_string(p, port->name);
    if (rank != (int)port->rank)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s' has %u axes, not %d", name, port->rank, rank), name);
    for (int k = 0; k < rank; k++)
        if (row ? dims[k] < row->min[k] || dims[k] > row->max[k] : dims[k] != port->dims[k])
            return out_of_profile(p, input, k, dims[k]);
    return OCT_OK;
}

typedef struct axis_pair {
    int32_t input[2];
    int axis[2];
} axis_pair;

/* Two axes of one symbol and different lengths; false when there are none. */
static bool find_conflict(const oct_context *c, axis_pair *out)
{
    const oct_plan *p = c->plan;
    for (int32_t i = 0; p->profile && i < p->input_count; i++)
        for (int k = 0; k < (int)p->inputs[i].rank; k++)
            for (int32_t j = 0; p->profile[i].symbol[k] >= 0 && j <= i; j++)
                for (int m = 0; m < (int)p->inputs[j].rank; m++)
                    if (p->profile[j].symbol[m] == p->profile[i].symbol[k] && c->dims[j][m] != c->dims[i][k]) {
                        *out = (axis_pair){{j, i}, {m, k}};
                        return true;
                    }
    return false;
}

oct_status oct_context_unsettled(const oct_context *c)
{
    const oct_plan *p = c->plan;
    axis_pair at = {0};
    (void)find_conflict(c, &at);
    const char *a = oct_plan_string(p, p->inputs[at.input[0]].name), *b = oct_plan_string(p, p->inputs[at.input[1]].name);
    return oct_fail_node(
        oct_fail(OCT_ERR_USAGE, "axis %d of input '%s' is %lld and axis %d of input '%s' is %lld: they must be equal", at.axis[0],
                 a, (long long)c->dims[at.input[0]][at.axis[0]], at.axis[1], b, (long long)c->dims[at.input[1]][at.axis[1]]),
        b);
}

/* --- plans --- */
static bool fits(const oct_context *c, const oct_plan *p)
{
    return oct_plan_has_dims(p, (const int64_t(*)[OCT_MAX_RANK])c->dims);
}

/* Puts a plan in front of the store; the one that was used longest ago, but not the active one, leaves a full store. */
static void keep(oct_context *c, oct_plan *plan)
{
    int at = 0;
    while (at < OCT_CONTEXT_KEPT - 1 && c->kept[at] && c->kept[at] != plan)
        at++;
    if (c->kept[at] == c->active && c->active != plan)
        at--;
    if (c->kept[at] != plan)
        oct_plan_destroy(c->kept[at]);
    memmove(&c->kept[1], &c->kept[0], (size_t)at * sizeof c->kept[0]);
    c->kept[0] = plan;
}

static oct_status make_plan(oct_context *c, oct_plan **out)
{
    oct_plan *made = NULL;
    if (!oct_plan_for_shape)
        return oct_fail(OCT_ERR_UNSUPPORTED, "the plan file holds plans for the shapes min, opt and max of its profile only; "
                                             "liboctavo makes the others, liboctavo_rt does not");
    OCT_TRY(oct_plan_for_shape(c->plan, (const int64_t(*)[OCT_MAX_RANK])c->dims, &made));
    if (!oct_plan_same_ports(c->plan, made) || !fits(c, made)) {
        oct_plan_destroy(made);
        return oct_fail(OCT_ERR_CONTENT, "the plan's recipe gives a plan with other inputs or outputs");
    }
    *out = made;
    return OCT_OK;
}

static oct_status find_plan(oct_context *c, const oct_plan **out)
{
    oct_plan *kept = NULL;
    *out = fits(c, c->plan) ? c->plan : NULL;
    for (int32_t i = 0; !*out && i < c->plan->shape_count; i++)
        *out = fits(c, &c->plan->shapes[i]) ? &c->plan->shapes[i] : NULL;
    if (*out)
        return OCT_OK;
    for (int i = 0; !kept && i < OCT_CONTEXT_KEPT && c->kept[i]; i++)
        kept = fits(c, c->kept[i]) ? c->kept[i] : NULL;
    if (!kept)
        OCT_TRY(make_plan(c, &kept));
    keep(c, kept);
    *out = kept;
    return OCT_OK;
}

static oct_status settle(oct_context *c)
{
    axis_pair at;
    const oct_plan *plan;
    if (find_conflict(c, &at)) {
        c->settled = false;
        return OCT_OK;
    }
    if (!fits(c, c->active)) {
        OCT_TRY(find_plan(c, &plan));
        OCT_TRY(oct_context_activate(c, plan));
    }
    c->settled = true;
    return OCT_OK;
}

oct_status oct_context_set_shape(oct_context *c, const char *input, int rank, const int64_t *dims)
{
    const oct_plan *p = c->plan;
    int64_t old[OCT_MAX_RANK];
    int32_t i = 0;
    while (i < p->input_count && strcmp(oct_plan_string(p, p->inputs[i].name), input) != 0)
        i++;
    if (i == p->input_count)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no input '%s'", input), input);
    OCT_TRY(check_dims(p, i, rank, dims));
    const bool settled = c->settled;
    memcpy(old, c->dims[i], sizeof old);
    memcpy(c->dims[i], dims, (size_t)rank * sizeof *dims);
    oct_status s = settle(c);
    if (s != OCT_OK) {
        memcpy(c->dims[i], old, sizeof old);
        c->settled = settled;
    }
    return s;
}

oct_status oct_context_get_port(const oct_context *c, const char *name, oct_port *out)
{
    const oct_plan_port *port = oct_plan_find_port(c->active, name);
    if (!c->settled)
        return oct_context_unsettled(c);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no input, output or tap '%s'", name), name);
    oct_plan_describe_port(c->active, port, out);
    return OCT_OK;
}
