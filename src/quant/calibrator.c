/* The calibrator: runs the float plan on samples and observes every activation that the plan materialises (DESIGN 4.1).  Streams: memory
 * does not depend on the number of samples. Solving is in solve.c, files are in state.c. */
#include "quant/calibrator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"
#include "qparam/placement.h"
#include "quant/quantize.h"
#include "quant/solver.h"

#define KEY_SEED 0x6f637461766f0001ull

/* --- what is watched --- */

static bool is_graph_output(const oct_graph *g, const oct_value *v)
{
    for (int64_t i = 0; i < g->output_count; i++)
        if (g->outputs[i] == v)
            return true;
    return false;
}

static oct_status add_watch(oct_calibrator *cal, const oct_value *v, int32_t input)
{
    for (int64_t i = 0; i < cal->watch_count; i++)
        if (strcmp(cal->watches[i].name, v->name) == 0)
            return OCT_OK;
    const oct_value *own = oct_value_find(cal->model->graph, v->name);
    if (!own)
        return OCT_OK; /* made by a pass: no tensor of the model */
    int rank = v->shape.rank;
    /* Channels: axis 1 of images, the last axis of everything else. */
    int axis = rank >= 4 ? 1 : rank - 1;
    oct_watch w = {.name = own->name, .input = input, .output = is_graph_output(cal->model->graph, own), .inner = 1, .channels = rank >= 2 && v->shape.dim[axis] > 0 ? v->shape.dim[axis] : 0};
    for (int k = axis + 1; k < rank; k++)
        w.inner *= oct_max64(v->shape.dim[k], 0);
    if (w.inner == 0)
        w.channels = 0;
    OCT_TRY(oct_observer_create(w.channels, &w.observer));
    oct_status s = OCT_PUSH(cal->watches, cal->watch_count, cal->watch_capacity, w);
    if (s != OCT_OK)
        oct_observer_destroy(w.observer);
    return s;
}

/* Graph inputs, what survives fusion, and every tensor that gets Q/DQ by its own values. Free dimensions are 1 here, whatever the batch, so
 * that the list is the same for every run. */
static oct_status find_watches(oct_calibrator *cal)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    oct_placement p = {0};
    const oct_graph *own = cal->model->graph;
    OCT_TRY(oct_placement_make(own, &p));
    OCT_TRY_DONE(oct_graph_clone(own, &g));
    int64_t *ones;
    OCT_TRY_DONE(oct_arena_alloc(g->arena, (g->symbol_count + 1) * (int64_t)sizeof *ones, (void **)&ones));
    for (int64_t i = 0; i < g->symbol_count; i++)
        ones[i] = 1;
    OCT_TRY_DONE(oct_graph_bind(g, ones));
    for (int64_t i = 0; i < p.point_count; i++) {
        oct_value *v = oct_value_find(g, p.points[i].value->name);
        if (v && p.points[i].root)
            v->is_output = true;
    }
    OCT_TRY_DONE(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT | OCT_OPT_FUSE, .fold = oct_build_fold}));
    for (int32_t i = 0; i < g->input_count; i++)
        if (g->inputs[i]->dtype == OCT_F32)
            OCT_TRY_DONE(add_watch(cal, g->inputs[i], i));
    for (int64_t i = 0; i < g->node_count; i++)
        for (int k = 0; k < g->nodes[i]->output_count; k++) {
            const oct_value *v = g->nodes[i]->outputs[k];
            if (v && !v->data && v->dtype == OCT_F32)
                OCT_TRY_DONE(add_watch(cal, v, -1));
        }
done:
    oct_placement_free(&p);
    oct_graph_destroy(g);
    return s;
}

/* --- making and unmaking --- */

static int kept_limit(const oct_graph *g)
{
    int64_t bytes = 0, limit;
    for (int64_t i = 0; i < g->input_count; i++) {
        const oct_shape *shape = &g->inputs[i]->shape;
        int64_t n = (int64_t)oct_dtype_size(g->inputs[i]->dtype);
        for (int k = 1; k < shape->rank; k++) {
            if (shape->dim[k] < 0 || oct_size_mul(n, shape->dim[k], &n) != OCT_OK)
                return OCT_KEPT_LEAST;
        }
        if (n > OCT_KEPT_BYTES)
            return OCT_KEPT_LEAST;
        bytes += n;
    }
    limit = OCT_KEPT_BYTES / oct_max64(bytes, 1);
    return (int)oct_max64(OCT_KEPT_LEAST, oct_min64(limit, OCT_KEPT_MOST));
}

oct_status oct_calibrator_from_bytes(void *bytes, int64_t size, const char *hash, const oct_quant_options *opts, oct_calibrator **out)
{
    static const oct_quant_options none;
    oct_status s = OCT_OK;
    oct_method method;
    oct_calibrator *cal = calloc(1, sizeof *cal);
    if (!cal) {
        free(bytes);
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a calibrator");
    }
    cal->bytes = bytes;
    cal->size = size;
    cal->opts = opts ? *opts : none;
    snprintf(cal->hash, sizeof cal->hash, "%s", hash);
    OCT_TRY_DONE(oct_method_make(cal->opts.solver, cal->opts.percentile, &method));
    if (cal->opts.scheme != OCT_SCHEME_AFFINE && cal->opts.scheme != OCT_SCHEME_SYMMETRIC)
        OCT_FAIL_DONE(OCT_ERR_USAGE, "there is no quantization scheme %d", (int)cal->opts.scheme);
    OCT_TRY_DONE(oct_model_load_memory(bytes, (size_t)size, "calibrated model", &cal->model));
    cal->kept_limit = kept_limit(cal->model->graph);
    OCT_TRY_DONE(find_watches(cal));
    OCT_TRY_DONE(oct_team_create(cal->opts.threads, &cal->team));
    cal->scratch = calloc((size_t)oct_team_size(cal->team), sizeof *cal->scratch);
    cal->shapes = calloc((size_t)cal->model->graph->input_count + 1, sizeof *cal->shapes);
    if (!cal->scratch || !cal->shapes)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a calibrator");
    *out = cal;
    cal = NULL;
done:
    oct_calibrator_destroy(cal);
    return s;
}

oct_status oct_calibrator_create(const oct_model *model, const oct_quant_options *opts, oct_calibrator **out)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL, *given;
    oct_model *optimised = NULL;
    void *bytes = NULL;
    int64_t size;
    char hash[17];
    OCT_TRY(oct_quantizable_model(model, hash));
    OCT_TRY_DONE(oct_graph_clone(model->graph, &g));
    OCT_TRY_DONE(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold}));
    given = g;
    g = NULL;
    OCT_TRY_DONE(oct_model_from_graph(given, NULL, &optimised));
    OCT_TRY_DONE(oct_model_save_memory(optimised, &bytes, &size));
    s = oct_calibrator_from_bytes(bytes, size, hash, opts, out);
done:
    oct_model_destroy(optimised);
    oct_graph_destroy(g);
    return s;
}

void oct_kept_free(oct_kept *k, int64_t inputs)
{
    for (int64_t i = 0; k->inputs && i < inputs; i++)
        oct_free(k->inputs[i].data);
    free(k->inputs);
    k->inputs = NULL;
}

static void drop_plan(oct_calibrator *cal)
{
    oct_context_destroy(cal->context);
    oct_plan_destroy(cal->plan);
    cal->context = NULL;
    cal->plan = NULL;
    for (int64_t i = 0; cal->shapes && cal->model && i < cal->model->graph->input_count; i++) {
        oct_free(cal->shapes[i].data);
        cal->shapes[i].data = NULL;
    }
    for (int i = 0; cal->scratch && i < oct_team_size(cal->team); i++) {
        oct_free(cal->scratch[i]);
        cal->scratch[i] = NULL;
    }
}

void oct_calibrator_destroy(oct_calibrator *cal)
{
    if (!cal)
        return;
    drop_plan(cal);
    for (int64_t i = 0; i < cal->watch_count; i++)
        oct_observer_destroy(cal->watches[i].observer);
    for (int i = 0; i < cal->kept_count; i++)
        oct_kept_free(&cal->kept[i], cal->model->graph->input_count);
    free(cal->watches);
    free(cal->scratch);
    free(cal->shapes);
    oct_team_destroy(cal->team);
    oct_model_destroy(cal->model);
    free(cal->bytes);
    free(cal);
}

int64_t oct_calibrator_sample_count(const oct_calibrator *cal) { return cal->samples; }

/* --- the plan --- */

/* "input:axis=value" for every free axis behind the first. */
oct_status oct_calibrator_dims(const oct_calibrator *cal, const oct_tensor *inputs, oct_arena *arena, const char *const **out, int *count)
{
    const oct_graph *g = cal->model->graph;
    const char **dims;
    *count = 0;
    OCT_TRY(oct_arena_alloc(arena, (g->input_count * OCT_MAX_RANK + 1) * (int64_t)sizeof *dims, (void **)&dims));
    for (int64_t i = 0; i < g->input_count; i++)
        for (int k = 1; k < g->inputs[i]->shape.rank; k++)
            if (g->inputs[i]->shape.dim[k] < 0)
                OCT_TRY(oct_arena_printf(arena, (char **)&dims[(*count)++], "%s:%d=%lld", g->inputs[i]->name, k, (long long)inputs[i].dims[k]));
    *out = dims;
    return OCT_OK;
}

static oct_status find_output(const oct_plan *plan, const char *name, oct_port *port)
{
    for (int i = 0; i < oct_plan_output_count(plan); i++) {
        OCT_TRY(oct_plan_get_output(plan, i, port));
        if (strcmp(port->name, name) == 0)
            return OCT_OK;
    }
    return oct_fail(OCT_ERR_INTERNAL, "the plan has no output '%s'", name);
}

/* Room for a chunk of every input and for one tap a worker; false in *sliced when a tap's first axis is not the batch. */
static oct_status make_room(oct_calibrator *cal, bool *sliced)
{
    int64_t most = 1;
    oct_port port;
    *sliced = true;
    for (int i = 0; i < oct_plan_input_count(cal->plan); i++) {
        OCT_TRY(oct_plan_get_input(cal->plan, i, &port));
        oct_tensor *t = &cal->shapes[i];
        int64_t count;
        *t = (oct_tensor){.dtype = port.dtype, .rank = port.rank};
        memcpy(t->dims, port.dims, sizeof t->dims);
        OCT_TRY(oct_size_count(t->dims, t->rank, &count));
        OCT_TRY(oct_alloc(count * (int64_t)oct_dtype_size(t->dtype), true, &t->data));
    }
    for (int64_t i = 0; i < cal->watch_count; i++) {
        oct_watch *w = &cal->watches[i];
        if (w->input >= 0) {
            w->elements = oct_tensor_count(&cal->shapes[w->input]);
        } else {
            OCT_TRY(w->output ? find_output(cal->plan, w->name, &port) : oct_plan_get_tap(cal->plan, w->name, &port));
            OCT_TRY(oct_size_count(port.dims, port.rank, &w->elements));
            *sliced &= port.rank > 0 && port.dims[0] == cal->batch;
        }
        most = oct_max64(most, w->elements);
    }
    for (int i = 0; i < oct_team_size(cal->team); i++)
        OCT_TRY(oct_alloc(most * (int64_t)sizeof(float), false, (void **)&cal->scratch[i]));
    return OCT_OK;
}

static oct_status build(oct_calibrator *cal, const oct_tensor *inputs, int64_t batch, bool *sliced)
{
    oct_status s = OCT_OK;
    oct_arena *arena = NULL;
    const oct_graph *g = cal->model->graph;
    oct_build_options o = {.batch = batch, .mode = OCT_BUILD_FLOAT};
    const char **taps;
    drop_plan(cal);
    OCT_TRY(oct_arena_create(&arena));
    OCT_TRY_DONE(oct_arena_alloc(arena, (cal->watch_count + 1) * (int64_t)sizeof *taps, (void **)&taps));
    for (int64_t i = 0; i < cal->watch_count; i++)
        if (cal->watches[i].input < 0 && !cal->watches[i].output)
            taps[o.tap_count++] = cal->watches[i].name;
    o.taps = taps;
    OCT_TRY_DONE(oct_calibrator_dims(cal, inputs, arena, &o.dims, &o.dim_count));
    OCT_TRY_DONE(oct_plan_build(cal->model, &o, &cal->plan));
    OCT_TRY_DONE(oct_context_create(cal->plan, cal->opts.threads, &cal->context));
    cal->batch = g->inputs[0]->shape.dim[0] > 0 ? g->inputs[0]->shape.dim[0] : batch;
    s = make_room(cal, sliced);
done:
    if (s != OCT_OK)
        drop_plan(cal);
    oct_arena_destroy(arena);
    return s;
}

/* A plan for samples of these shapes: the one there is, or a new one. */
static oct_status ensure_plan(oct_calibrator *cal, const oct_tensor *inputs)
{
    bool fits = cal->plan != NULL, sliced;
    for (int64_t i = 0; fits && i < cal->model->graph->input_count; i++)
        fits = memcmp(cal->shapes[i].dims + 1, inputs[i].dims + 1, (size_t)(inputs[i].rank - 1) * sizeof inputs[i].dims[0]) == 0;
    if (fits)
        return OCT_OK;
    OCT_TRY(build(cal, inputs, cal->opts.batch > 0 ? cal->opts.batch : 1, &sliced));
    /* A tensor that mixes the batch into another axis cannot be cut into samples: then one sample at a time. */
    if (!sliced && cal->batch > 1 && cal->model->graph->inputs[0]->shape.dim[0] < 0)
        OCT_TRY(build(cal, inputs, 1, &sliced));
    return OCT_OK;
}

/* --- the reservoir --- */

oct_status oct_calibrator_keep(oct_calibrator *cal, int64_t id, const oct_tensor *inputs)
{
    int64_t count = cal->model->graph->input_count;
    oct_kept k = {.key = oct_rng_at(KEY_SEED, (uint64_t)id), .id = id};
    int at = cal->kept_count;
    while (at > 0 && (cal->kept[at - 1].key > k.key || (cal->kept[at - 1].key == k.key && cal->kept[at - 1].id > id)))
        at--;
    if (at > 0 && cal->kept[at - 1].id == id)
        return oct_fail(OCT_ERR_CONTENT, "sample %lld was pushed or merged twice", (long long)id);
    if (at == cal->kept_limit)
        return OCT_OK;
    k.inputs = calloc((size_t)count + 1, sizeof *k.inputs);
    oct_status s = k.inputs ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot keep a sample");
    for (int64_t i = 0; s == OCT_OK && i < count; i++) {
        k.inputs[i] = inputs[i];
        k.inputs[i].dims[0] = 1;
        int64_t bytes = oct_tensor_count(&k.inputs[i]) * (int64_t)oct_dtype_size(inputs[i].dtype);
        k.inputs[i].data = NULL;
        s = oct_alloc(bytes, false, &k.inputs[i].data);
        if (s == OCT_OK)
            memcpy(k.inputs[i].data, inputs[i].data, (size_t)bytes);
    }
    if (s != OCT_OK) {
        oct_kept_free(&k, count);
        return s;
    }
    if (cal->kept_count == cal->kept_limit)
        oct_kept_free(&cal->kept[--cal->kept_count], count);
    memmove(&cal->kept[at + 1], &cal->kept[at], (size_t)(cal->kept_count - at) * sizeof k);
    cal->kept[at] = k;
    cal->kept_count++;
    return OCT_OK;
}

/* --- pushing --- */

static oct_status check_inputs(const oct_calibrator *cal, const oct_tensor *inputs, int input_count)
{
    const oct_graph *g = cal->model->graph;
    if (input_count != g->input_count || g->input_count == 0)
        return oct_fail(OCT_ERR_USAGE, "the model has %lld inputs, %d were pushed", (long long)g->input_count, input_count);
    for (int i = 0; i < input_count; i++) {
        const oct_value *v = g->inputs[i];
        const oct_tensor *t = &inputs[i];
        bool ok = t->dtype == v->dtype && t->rank == v->shape.rank && t->rank > 0;
        for (int k = 1; ok && k < t->rank; k++)
            ok = t->dims[k] > 0 && (v->shape.dim[k] < 0 || v->shape.dim[k] == t->dims[k]);
        if (!ok)
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "samples for input '%s' do not have its type and shape", v->name), v->name);
        if (t->dims[0] != inputs[0].dims[0] || t->dims[0] < 0)
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' has another number of samples than the first input", v->name), v->name);
    }
    return OCT_OK;
}

typedef struct chunk {
    oct_calibrator *cal;
    int64_t rows;            /* of the batch that hold samples */
    oct_status status[8];    /* by worker, folded into 8 */
} chunk;

static void observe(void *arg, int64_t unit, int worker)
{
    chunk *c = arg;
    oct_watch *w = &c->cal->watches[unit];
    const float *x = c->cal->scratch[worker];
    int64_t batch = c->cal->batch, each = w->elements / batch;
    oct_status s = OCT_OK;
    oct_tensor y;
    if (w->input >= 0)
        x = c->cal->shapes[w->input].data;
    else if (w->output)
        x = (s = oct_context_get_output(c->cal->context, w->name, &y)) == OCT_OK ? y.data : NULL;
    else
        s = oct_context_get_tap(c->cal->context, w->name, c->cal->scratch[worker], w->elements);
    /* Without a batch axis in front the tensor is one sample. */
    bool whole = w->elements % batch != 0;
    for (int64_t r = 0; s == OCT_OK && r < (whole ? 1 : c->rows); r++)
        s = oct_observer_push(w->observer, x + r * each, whole ? w->elements : each, w->inner);
    if (s != OCT_OK)
        c->status[worker % 8] = s;
}

/* Rows [first, first + rows) of the pushed samples, padded to a whole batch with copies of the first of them. */
static oct_status run_chunk(oct_calibrator *cal, const oct_tensor *inputs, int64_t first, int64_t rows)
{
    chunk c = {.cal = cal, .rows = rows};
    for (int64_t i = 0; i < cal->model->graph->input_count; i++) {
        oct_tensor *t = &cal->shapes[i];
        size_t row = (size_t)(oct_tensor_count(t) / cal->batch) * oct_dtype_size(t->dtype);
        for (int64_t r = 0; r < cal->batch; r++)
            memcpy((char *)t->data + (size_t)r * row, (const char *)inputs[i].data + (size_t)(first + (r < rows ? r : 0)) * row, row);
        OCT_TRY(oct_context_set_input(cal->context, cal->model->graph->inputs[i]->name, t));
    }
    OCT_TRY(oct_context_run(cal->context));
    oct_team_for(cal->team, cal->watch_count, observe, &c);
    for (int i = 0; i < 8; i++)
        if (c.status[i] != OCT_OK)
            return oct_fail(c.status[i], "the tensors of a sample could not be observed");
    return OCT_OK;
}

oct_status oct_calibrator_push(oct_calibrator *cal, const oct_tensor *inputs, int input_count, int64_t sample_id)
{
    OCT_TRY(check_inputs(cal, inputs, input_count));
    int64_t n = inputs[0].dims[0];
    if (n == 0)
        return OCT_OK;
    OCT_TRY(ensure_plan(cal, inputs));
    for (int64_t at = 0; at < n; at += cal->batch)
        OCT_TRY(run_chunk(cal, inputs, at, oct_min64(cal->batch, n - at)));
    for (int64_t r = 0; r < n; r++) {
        oct_tensor *one;
        oct_status s = OCT_OK;
        if (!(one = malloc((size_t)input_count * sizeof *one)))
            return oct_fail(OCT_ERR_MEMORY, "cannot keep a sample");
        for (int i = 0; i < input_count; i++) {
            one[i] = inputs[i];
            one[i].data = (char *)inputs[i].data + (size_t)(oct_tensor_count(&inputs[i]) / n * r) * oct_dtype_size(inputs[i].dtype);
        }
        s = oct_calibrator_keep(cal, sample_id + r, one);
        free(one);
        OCT_TRY(s);
    }
    cal->samples += n;
    return OCT_OK;
}
