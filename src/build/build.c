/* The builder's tools: give free dimensions their values, run the passes, lower, place memory, serialise.
 * Chooses nothing: what is decided comes with the graph. */
#include "build/build.h"

#include <stdlib.h>
#include <string.h>
#include "build/tactics.h"
#include "op/lower.h"

/* "name=value" or "input:axis=value". */
static oct_status bind_option(oct_graph *g, const char *text, int64_t *values)
{
    const char *equals = strrchr(text, '=');
    char *end = NULL;
    long long value = equals ? strtoll(equals + 1, &end, 10) : -1;
    if (!equals || end == equals + 1 || *end || value < 1 || value > INT32_MAX)
        return oct_fail(OCT_ERR_USAGE, "dimension '%s' is not of the form name=value with a positive value", text);
    size_t length = (size_t)(equals - text);
    for (int64_t i = 0; i < g->symbol_count; i++)
        if (strlen(g->symbols[i]) == length && strncmp(g->symbols[i], text, length) == 0) {
            values[i] = value;
            return OCT_OK;
        }
    const char *colon = equals;
    while (colon > text && *colon != ':')
        colon--;
    for (int64_t i = 0; colon > text && i < g->input_count; i++) {
        const oct_value *v = g->inputs[i];
        if (strlen(v->name) != (size_t)(colon - text) || strncmp(v->name, text, (size_t)(colon - text)) != 0)
            continue;
        long axis = strtol(colon + 1, &end, 10);
        if (end != equals || axis < 0 || axis >= v->shape.rank)
            return oct_fail(OCT_ERR_USAGE, "dimension '%s': input '%s' has axes 0 to %d", text, v->name, v->shape.rank - 1);
        if (v->shape.dim[axis] >= 0)
            return oct_fail(OCT_ERR_USAGE, "dimension '%s': axis %ld of input '%s' is fixed to %lld", text, axis, v->name, (long long)v->shape.dim[axis]);
        values[-1 - v->shape.dim[axis]] = value;
        return OCT_OK;
    }
    return oct_fail(OCT_ERR_USAGE, "dimension '%.*s' is no free dimension of this model", (int)length, text);
}

oct_status oct_build_bind(oct_graph *g, const oct_build_options *opts)
{
    static const oct_build_options none;
    if (!opts)
        opts = &none;
    int64_t *values;
    OCT_TRY(oct_arena_alloc(g->arena, (g->symbol_count + 1) * (int64_t)sizeof *values, (void **)&values));
    for (int64_t i = 0; i < g->symbol_count; i++)
        values[i] = -1;
    for (int i = 0; i < opts->dim_count; i++)
        OCT_TRY(bind_option(g, opts->dims[i], values));
    for (int64_t i = 0; i < g->input_count; i++) {
        const oct_value *v = g->inputs[i];
        if (v->shape.rank < 0)
            return oct_fail_node(oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' has no declared rank", v->name), v->name);
        for (int k = 0; k < v->shape.rank; k++) {
            if (v->shape.dim[k] >= 0)
                continue;
            int64_t *value = &values[-1 - v->shape.dim[k]];
            if (*value < 0 && k == 0)
                *value = opts->batch > 0 ? opts->batch : 1;
            if (*value < 0)
                return oct_fail_node(oct_fail(OCT_ERR_UNSUPPORTED, "free dimension '%s' (axis %d of input '%s') needs a value", oct_graph_symbol_name(g, v->shape.dim[k]), k, v->name), v->name);
        }
    }
    return oct_graph_bind(g, values);
}

/* Scale and zero of the ports that hold codes: what a caller who binds or reads codes needs. */
static void describe_ports(const oct_graph *g, oct_draft *d)
{
    for (int which = OCT_PORT_INPUT; which <= OCT_PORT_TAP; which++)
        for (int64_t i = 0; i < d->port_count[which]; i++) {
            const oct_value *v = oct_value_find(g, d->port_names[which][i]);
            if (v && v->quant && v->quant->n == 1 && (v->dtype == OCT_U8 || v->dtype == OCT_S8)) {
                d->ports[which][i].scale = v->quant->scale[0];
                d->ports[which][i].zero = v->quant->zero[0];
            }
        }
}

oct_status oct_build_lower_with(oct_graph *g, oct_isa isa, const oct_tactics *tactics, oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_lower *l = NULL;
    oct_plan *plan = NULL;
    OCT_TRY_DONE(oct_lower_create(g, isa, &l));
    oct_tactics_install(tactics, l);
    OCT_TRY_DONE(oct_lower_graph(l));
    describe_ports(g, l->d);
    for (int64_t i = 0; i < g->meta_count; i++)
        OCT_TRY_DONE(oct_draft_meta(l->d, g->meta_keys[i], g->meta_values[i]));
    OCT_TRY_DONE(oct_build_memory(l->d));
    OCT_TRY_DONE(oct_draft_finish(l->d, &plan));
    *out = plan;
done:
    oct_lower_destroy(l);
    return s;
}

oct_status oct_build_lower(oct_graph *g, oct_isa isa, oct_plan **out) { return oct_build_lower_with(g, isa, NULL, out); }

oct_status oct_build_graph(oct_graph *g, const oct_build_options *opts, unsigned stages, oct_plan **out)
{
    oct_isa isa;
    OCT_TRY(oct_cpu_isa(&isa));
    OCT_TRY(oct_build_bind(g, opts));
    OCT_TRY(oct_opt_run(&(oct_opt){.g = g, .stages = stages, .fold = oct_build_fold}));
    return oct_build_lower(g, isa, out);
}
