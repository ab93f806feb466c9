/* The plan's public getters: ports, taps, metadata, steps. */
#include <string.h>
#include "plan/conv.h"

void oct_plan_describe_port(const oct_plan *p, const oct_plan_port *from, oct_port *out)
{
    oct_port r = {.name = oct_plan_string(p, from->name), .dtype = (oct_dtype)from->dtype, .rank = (int32_t)from->rank, .scale = from->scale, .zero = from->zero};
    for (uint32_t i = 0; i < from->rank; i++) {
        r.dims[i] = from->dims[i];
        r.dim_names[i] = "";
    }
    *out = r;
}

int oct_plan_input_count(const oct_plan *plan) { return plan->input_count; }
int oct_plan_output_count(const oct_plan *plan) { return plan->output_count; }
int oct_plan_step_count(const oct_plan *plan) { return plan->step_count; }

oct_status oct_plan_get_input(const oct_plan *plan, int index, oct_port *out)
{
    if (index < 0 || index >= plan->input_count)
        return oct_fail(OCT_ERR_USAGE, "input %d of %d", index, plan->input_count);
    oct_plan_describe_port(plan, &plan->inputs[index], out);
    return OCT_OK;
}

oct_status oct_plan_get_output(const oct_plan *plan, int index, oct_port *out)
{
    if (index < 0 || index >= plan->output_count)
        return oct_fail(OCT_ERR_USAGE, "output %d of %d", index, plan->output_count);
    oct_plan_describe_port(plan, &plan->outputs[index], out);
    return OCT_OK;
}

static const oct_plan_port *find_port(const oct_plan *p, const oct_plan_port *ports, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (strcmp(oct_plan_string(p, ports[i].name), name) == 0)
            return &ports[i];
    return NULL;
}

oct_status oct_plan_get_tap(const oct_plan *plan, const char *name, oct_port *out)
{
    const oct_plan_port *port = find_port(plan, plan->taps, plan->tap_count, name);
    if (!port)
        port = find_port(plan, plan->outputs, plan->output_count, name);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan keeps no tensor '%s'", name), name);
    oct_plan_describe_port(plan, port, out);
    return OCT_OK;
}

const oct_plan_port *oct_plan_find_port(const oct_plan *p, const char *name)
{
    const oct_plan_port *port = find_port(p, p->inputs, p->input_count, name);
    if (!port)
        port = find_port(p, p->outputs, p->output_count, name);
    return port ? port : find_port(p, p->taps, p->tap_count, name);
}

oct_status oct_plan_get_quant(const oct_plan *plan, const char *name, float *scale, int32_t *zero)
{
    const oct_plan_port *port = oct_plan_find_port(plan, name);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no input, output or tap '%s'", name), name);
    if (port->scale == 0)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "'%s' is %s without a scale", name, oct_dtype_name((oct_dtype)port->dtype)), name);
    *scale = port->scale;
    *zero = port->zero;
    return OCT_OK;
}

oct_status oct_plan_get_profile(const oct_plan *plan, const char *input, int64_t *min, int64_t *opt, int64_t *max)
{
    const oct_plan_port *port = find_port(plan, plan->inputs, plan->input_count, input);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no input '%s'", input), input);
    const oct_plan_profile *row = plan->profile ? &plan->profile[port - plan->inputs] : NULL;
    memcpy(min, row ? row->min : port->dims, sizeof port->dims);
    memcpy(opt, row ? row->opt : port->dims, sizeof port->dims);
    memcpy(max, row ? row->max : port->dims, sizeof port->dims);
    return OCT_OK;
}

/* --- plans of several shapes --- */
static bool same_list(const oct_plan *a, const oct_plan_port *x, int32_t n, const oct_plan *b, const oct_plan_port *y, int32_t m)
{
    bool same = n == m;
    for (int32_t i = 0; same && i < n; i++)
        same = x[i].dtype == y[i].dtype && x[i].rank == y[i].rank && strcmp(oct_plan_string(a, x[i].name), oct_plan_string(b, y[i].name)) == 0;
    return same;
}

bool oct_plan_same_ports(const oct_plan *a, const oct_plan *b)
{
    return same_list(a, a->inputs, a->input_count, b, b->inputs, b->input_count) && same_list(a, a->outputs, a->output_count, b, b->outputs, b->output_count);
}

bool oct_plan_has_dims(const oct_plan *p, const int64_t (*dims)[OCT_MAX_RANK])
{
    for (int32_t i = 0; i < p->input_count; i++)
        if (memcmp(p->inputs[i].dims, dims[i], sizeof dims[i][0] * p->inputs[i].rank) != 0)
            return false;
    return true;
}

const char *oct_plan_get_metadata(const oct_plan *plan, const char *key)
{
    for (int32_t i = 0; i < plan->meta_count; i++)
        if (strcmp(oct_plan_string(plan, plan->meta[i].key), key) == 0)
            return oct_plan_string(plan, plan->meta[i].value);
    return NULL;
}

double oct_plan_peak(const oct_plan *plan, bool int8) { return oct_cpu_peak((oct_isa)plan->header->isa, int8); }

static int64_t bytes_of(const oct_plan_tensor *t)
{
    int64_t n = (int64_t)oct_dtype_size((oct_dtype)t->dtype);
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

oct_step_bytes oct_step_traffic(const oct_plan *p, const oct_plan_step *s)
{
    oct_step_bytes b = {0};
    for (uint32_t i = 0; i < s->in_count; i++) {
        const oct_plan_tensor *t = &p->tensors[p->index[s->in_first + i]];
        *(t->place == OCT_PLACE_CONST ? &b.weights : &b.in) += bytes_of(t);
    }
    for (uint32_t i = 0; i < s->out_count; i++)
        b.out += bytes_of(&p->tensors[p->index[s->out_first + i]]);
    if (oct_step_is_conv((oct_step_kind)s->kind)) {
        const oct_p_conv *q = (const oct_p_conv *)(const void *)(p->params + s->params);
        b.weights += q->panel_bytes * (oct_step_is_depthwise((oct_step_kind)s->kind) ? 1 : (int64_t)q->groups * q->panels);
    }
    return b;
}

oct_status oct_plan_get_step(const oct_plan *plan, int step, oct_step_profile *out)
{
    if (step < 0 || step >= plan->step_count)
        return oct_fail(OCT_ERR_USAGE, "step %d of %d", step, plan->step_count);
    const oct_plan_step *s = &plan->steps[step];
    const oct_step_bytes bytes = oct_step_traffic(plan, s);
    *out = (oct_step_profile){.name = oct_plan_string(plan, s->name),
                              .op = oct_plan_string(plan, s->op),
                              .precision = oct_precision_name((oct_precision)s->precision),
                              .tactic = oct_plan_string(plan, s->tactic),
                              .macs = s->macs,
                              .bytes = bytes.in + bytes.out + bytes.weights};
    return OCT_OK;
}
