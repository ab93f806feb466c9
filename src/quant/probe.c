/* Building and running variants of the calibrated model, a sample at a time. */
#include "quant/probe.h"

#include <stdlib.h>
#include <string.h>
#include "build/build.h"

static oct_status bind_inputs(oct_probe *p)
{
    p->input_count = oct_plan_input_count(p->plan);
    p->inputs = calloc((size_t)p->input_count + 1, sizeof *p->inputs);
    if (!p->inputs)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a probe");
    for (int i = 0; i < p->input_count; i++) {
        oct_port port;
        int64_t count;
        oct_tensor *t = &p->inputs[i];
        OCT_TRY(oct_plan_get_input(p->plan, i, &port));
        *t = (oct_tensor){.dtype = port.dtype, .rank = port.rank};
        memcpy(t->dims, port.dims, sizeof t->dims);
        OCT_TRY(oct_size_count(t->dims, t->rank, &count));
        OCT_TRY(oct_alloc(count * (int64_t)oct_dtype_size(t->dtype), true, &t->data));
        OCT_TRY(oct_context_set_input(p->context, port.name, t));
    }
    return OCT_OK;
}

oct_status oct_probe_open(const oct_calibrator *cal, oct_graph *g, unsigned stages, const oct_kept *like, oct_probe *out)
{
    oct_status s = OCT_OK;
    oct_build_options o = {.batch = 1};
    oct_probe p = {.cal = cal};
    OCT_TRY_DONE(oct_calibrator_dims(cal, like->inputs, g->arena, &o.dims, &o.dim_count));
    OCT_TRY_DONE(oct_build_graph(g, &o, stages, &p.plan));
    OCT_TRY_DONE(oct_context_create(p.plan, cal->opts.threads, &p.context));
    OCT_TRY_DONE(bind_inputs(&p));
    *out = p;
done:
    oct_graph_destroy(g);
    if (s != OCT_OK)
        oct_probe_close(&p);
    return s;
}

void oct_probe_close(oct_probe *p)
{
    oct_context_destroy(p->context);
    oct_plan_destroy(p->plan);
    for (int i = 0; p->inputs && i < p->input_count; i++)
        oct_free(p->inputs[i].data);
    free(p->inputs);
    memset(p, 0, sizeof *p);
}

oct_status oct_probe_set_sample(oct_probe *p, const oct_kept *k)
{
    const oct_graph *model = p->cal->model->graph;
    for (int i = 0; i < p->input_count; i++) {
        oct_port port;
        OCT_TRY(oct_plan_get_input(p->plan, i, &port));
        for (int64_t m = 0; m < model->input_count; m++) {
            if (strcmp(model->inputs[m]->name, port.name) != 0)
                continue;
            /* A model with a fixed batch gets the sample in every row. */
            size_t row = (size_t)oct_tensor_count(&k->inputs[m]) * oct_dtype_size(port.dtype);
            for (int64_t r = 0; r < p->inputs[i].dims[0]; r++)
                memcpy((char *)p->inputs[i].data + (size_t)r * row, k->inputs[m].data, row);
        }
    }
    return OCT_OK;
}

oct_status oct_probe_set(oct_probe *p, const char *name, const float *x, int64_t count)
{
    for (int i = 0; i < p->input_count; i++) {
        oct_port port;
        OCT_TRY(oct_plan_get_input(p->plan, i, &port));
        if (strcmp(port.name, name) != 0)
            continue;
        const int64_t total = oct_tensor_count(&p->inputs[i]);
        if (port.dtype != OCT_F32 || count <= 0 || total % count != 0)
            break;
        for (int64_t at = 0; at < total; at += count)
            memcpy((float *)p->inputs[i].data + at, x, (size_t)count * sizeof *x);
        return OCT_OK;
    }
    return oct_fail(OCT_ERR_INTERNAL, "the probe has no float input '%s' of %lld elements", name, (long long)count);
}

oct_status oct_probe_run(oct_probe *p) { return oct_context_run(p->context); }

/* The output of that name; false when it is a kept value. */
static bool find_output(const oct_probe *p, const char *name, oct_port *port)
{
    for (int i = 0; i < oct_plan_output_count(p->plan); i++)
        if (oct_plan_get_output(p->plan, i, port) == OCT_OK && strcmp(port->name, name) == 0)
            return true;
    return false;
}

oct_status oct_probe_size(const oct_probe *p, const char *name, int64_t *count)
{
    oct_port port;
    if (!find_output(p, name, &port))
        OCT_TRY(oct_plan_get_tap(p->plan, name, &port));
    return oct_size_count(port.dims, port.rank, count);
}

oct_status oct_probe_read(const oct_probe *p, const char *name, float *x, int64_t count)
{
    oct_port port;
    oct_tensor t;
    if (!find_output(p, name, &port))
        return oct_context_get_tap(p->context, name, x, count);
    OCT_TRY(oct_context_get_output(p->context, name, &t));
    if (t.dtype != OCT_F32 || oct_tensor_count(&t) != count)
        return oct_fail(OCT_ERR_INTERNAL, "output '%s' is not %lld floats", name, (long long)count);
    memcpy(x, t.data, (size_t)count * sizeof *x);
    return OCT_OK;
}
