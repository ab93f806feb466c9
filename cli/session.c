/* A plan run in pieces: cuts a longer first axis into the plan's batch, fills up the last piece, joins the outputs.  DESIGN 8. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BATCH 8

/* Whether every input and output of the model has a free first axis, and the arrays agree on its length. */
static bool can_cut(const oct_model *m, const cli_arrays *a)
{
    for (int i = 0; i < a->count; i++)
        if (a->ports[i].rank < 1 || a->ports[i].dims[0] >= 0 || a->tensors[i].dims[0] != a->tensors[0].dims[0])
            return false;
    for (int i = 0; i < oct_model_output_count(m); i++) {
        oct_port p;
        if (oct_model_get_output(m, i, &p) != OCT_OK || p.rank < 1 || p.dims[0] >= 0 || strcmp(p.dim_names[0], a->ports[0].dim_names[0]) != 0)
            return false;
    }
    return a->count > 0;
}

/* Build options for these arrays: the values of all free axes but one that is cut. */
static oct_status build_for_arrays(cli_session *s, const cli *c, const oct_model *m, const cli_arrays *a, const cli_texts *given, bool as_float)
{
    bool cut = can_cut(m, a);
    int64_t n = a->tensors[0].dims[0], batch = c->o.batch ? c->o.batch : DEFAULT_BATCH, count = 0;
    size_t room = (size_t)a->count * OCT_MAX_RANK + (size_t)(given ? given->count : 0) + 1;
    const char **dims = calloc(room, sizeof *dims);
    char(*texts)[320] = calloc(room, sizeof *texts);
    oct_status status = dims && texts ? OCT_OK : OCT_ERR_MEMORY;
    for (int i = 0; status == OCT_OK && i < a->count; i++)
        for (int k = cut; k < a->ports[i].rank; k++)
            if (a->ports[i].dims[k] < 0) {
                snprintf(texts[count], sizeof texts[count], "%.280s:%d=%lld", a->names[i], k, (long long)a->tensors[i].dims[k]);
                dims[count] = texts[count];
                count++;
            }
    for (int i = 0; status == OCT_OK && given && i < given->count; i++)
        dims[count++] = given->items[i];
    oct_build_options options = {.batch = batch < n ? batch : n, .dims = dims, .dim_count = (int)count, .mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST,
                                 .taps = s->taps ? s->taps->items : NULL, .tap_count = s->taps ? s->taps->count : 0};
    if (status == OCT_OK)
        status = oct_plan_build(m, &options, &s->owned);
    free(texts);
    free(dims);
    return status;
}

/* Does the plan take other shapes than the one it shows? */
static bool has_profile(const oct_plan *plan)
{
    oct_port p;
    int64_t min[OCT_MAX_RANK], opt[OCT_MAX_RANK], max[OCT_MAX_RANK];
    for (int i = 0; i < oct_plan_input_count(plan); i++)
        if (oct_plan_get_input(plan, i, &p) == OCT_OK && oct_plan_get_profile(plan, p.name, min, opt, max) == OCT_OK && memcmp(min, max, sizeof *min * (size_t)p.rank) != 0)
            return true;
    return false;
}

/* A plan with a profile: the shapes of the arrays, and the ports that follow from them. */
static oct_status take_shapes(cli_session *s, const cli_arrays *a)
{
    oct_status status = OCT_OK;
    for (int i = 0; status == OCT_OK && i < s->input_count; i++)
        status = oct_context_set_shape(s->context, s->inputs[i].name, a->tensors[i].rank, a->tensors[i].dims);
    for (int i = 0; status == OCT_OK && i < s->input_count; i++) {
        status = oct_context_get_port(s->context, s->inputs[i].name, &s->inputs[i]);
        memcpy(s->bound[i].dims, s->inputs[i].dims, sizeof s->bound[i].dims);
    }
    for (int i = 0; status == OCT_OK && i < s->output_count; i++) {
        status = oct_context_get_port(s->context, s->outputs[i].port.name, &s->outputs[i].port);
        s->outputs[i].port.dtype = s->outputs[i].tap ? OCT_F32 : s->outputs[i].port.dtype;
    }
    return status;
}

static bool keeps(const oct_plan *plan, const char *name)
{
    oct_port p;
    return oct_plan_get_tap(plan, name, &p) == OCT_OK;
}

/* Taps that the plan does not keep are added from what it was made of. */
static oct_status add_taps(cli_session *s)
{
    int missing = 0;
    const char **names = s->taps && s->taps->count ? calloc((size_t)s->taps->count, sizeof *names) : NULL;
    for (int i = 0; names && i < s->taps->count; i++)
        if (!keeps(s->plan, s->taps->items[i]))
            names[missing++] = s->taps->items[i];
    oct_status status = missing ? oct_plan_add_taps(s->plan, names, missing, &s->owned) : OCT_OK;
    free(names);
    return status;
}

static bool is_output(const cli_session *s, const char *name)
{
    for (int i = 0; i < s->output_count; i++)
        if (strcmp(s->outputs[i].port.name, name) == 0)
            return true;
    return false;
}

static oct_status read_taps(cli_session *s)
{
    for (int i = 0; s->taps && i < s->taps->count; i++) {
        cli_output *o = &s->outputs[s->output_count];
        if (is_output(s, s->taps->items[i]))
            continue;
        oct_status status = oct_plan_get_tap(s->plan, s->taps->items[i], &o->port);
        if (status != OCT_OK)
            return status;
        o->port.dtype = OCT_F32;
        o->tap = true;
        s->output_count++;
    }
    return OCT_OK;
}

static oct_status read_ports(cli_session *s)
{
    s->input_count = oct_plan_input_count(s->plan);
    s->output_count = oct_plan_output_count(s->plan);
    s->inputs = calloc((size_t)s->input_count + 1, sizeof *s->inputs);
    s->bound = calloc((size_t)s->input_count + 1, sizeof *s->bound);
    s->fill = calloc((size_t)s->input_count + 1, sizeof *s->fill);
    s->outputs = calloc((size_t)s->output_count + (s->taps ? (size_t)s->taps->count : 0) + 1, sizeof *s->outputs);
    if (!s->inputs || !s->bound || !s->fill || !s->outputs)
        return OCT_ERR_MEMORY;
    oct_status status = OCT_OK;
    for (int i = 0; status == OCT_OK && i < s->input_count; i++) {
        status = oct_plan_get_input(s->plan, i, &s->inputs[i]);
        if (status != OCT_OK)
            break;
        const oct_port *p = &s->inputs[i];
        s->bound[i] = (oct_tensor){.dtype = p->dtype, .rank = p->rank};
        memcpy(s->bound[i].dims, p->dims, sizeof p->dims);
        int64_t first = p->rank > 0 ? p->dims[0] : 0;
        s->batch = i == 0 || s->batch == first ? first : 0;
    }
    for (int i = 0; status == OCT_OK && i < s->output_count; i++)
        status = oct_plan_get_output(s->plan, i, &s->outputs[i].port);
    return status == OCT_OK ? read_taps(s) : status;
}

oct_status cli_session_open(cli_session *s, const cli *c, const cli_subject *subject, const cli_arrays *arrays, int64_t batch, const cli_texts *dims,
                            bool as_float)
{
    oct_status status = OCT_OK;
    *s = (cli_session){.plan = subject->plan, .taps = s->taps};
    if (!s->plan && arrays && arrays->count) {
        status = build_for_arrays(s, c, subject->model, arrays, dims, as_float);
    } else if (!s->plan) {
        oct_build_options options = {.batch = c->o.batch ? c->o.batch : batch, .dims = dims ? dims->items : NULL, .dim_count = dims ? dims->count : 0,
                                     .mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST,
                                 .taps = s->taps ? s->taps->items : NULL, .tap_count = s->taps ? s->taps->count : 0};
        status = oct_plan_build(subject->model, &options, &s->owned);
    }
    else
        status = add_taps(s);
    if (status == OCT_OK) {
        s->plan = s->owned ? s->owned : s->plan;
        status = read_ports(s);
    }
    if (status == OCT_OK)
        status = oct_context_create(s->plan, (int)c->o.threads, &s->context);
    if (status == OCT_OK && arrays && has_profile(s->plan))
        status = take_shapes(s, arrays);
    if (status != OCT_OK)
        cli_session_close(s);
    return status;
}

void cli_session_close(cli_session *s)
{
    oct_context_destroy(s->context);
    oct_plan_destroy(s->owned);
    for (int i = 0; s->fill && i < s->input_count; i++)
        free(s->fill[i]);
    for (int i = 0; s->outputs && i < s->output_count; i++)
        free(s->outputs[i].data);
    free(s->inputs);
    free(s->bound);
    free(s->fill);
    free(s->outputs);
    *s = (cli_session){0};
}

oct_status cli_session_bind(cli_session *s, const oct_tensor *tensors, int64_t first, int64_t count)
{
    for (int i = 0; i < s->input_count; i++) {
        oct_tensor *b = &s->bound[i];
        size_t sample = (size_t)(oct_tensor_count(b) / (s->batch ? s->batch : 1)) * oct_dtype_size(b->dtype);
        char *from = (char *)tensors[i].data + (size_t)first * sample;
        b->data = from;
        if (s->batch && count < s->batch) {
            if (!s->fill[i] && !(s->fill[i] = malloc(sample * (size_t)s->batch + 1)))
                return OCT_ERR_MEMORY;
            memcpy(s->fill[i], from, sample * (size_t)count);
            for (int64_t k = count; k < s->batch; k++)
                memcpy((char *)s->fill[i] + (size_t)k * sample, from + (size_t)(count - 1) * sample, sample);
            b->data = s->fill[i];
        }
        oct_status status = oct_context_set_input(s->context, s->inputs[i].name, b);
        if (status != OCT_OK)
            return status;
    }
    return OCT_OK;
}

/* The output, whole, behind what there is; of a batch of `of` samples the first `rows` count. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Floats get values as normalised pixels have them; codes are random; anything wider (indices) stays 0, always legal. */
oct_status cli_session_random(cli_session *s, uint64_t seed)
{
    uint64_t state = seed;
    for (int i = 0; i < s->input_count; i++) {
        oct_tensor *t = &s->bound[i];
        int64_t n = oct_tensor_count(t);
        free(s->fill[i]);
        t->data = s->fill[i] = calloc((size_t)n + 1, oct_dtype_size(t->dtype));
        if (!t->data)
            return OCT_ERR_MEMORY;
        for (int64_t k = 0; k < n; k++) {
            if (t->dtype == OCT_F32)
                ((float *)t->data)[k] = (float)(next_random(&state) >> 40) * 0x1p-22f - 2;
            else if (t->dtype == OCT_U8 || t->dtype == OCT_S8)
                ((uint8_t *)t->data)[k] = (uint8_t)next_random(&state);
        }
        oct_status status = oct_context_set_input(s->context, s->inputs[i].name, t);
        if (status != OCT_OK)
            return status;
    }
    return OCT_OK;
}

static oct_status append(const oct_context *context, cli_output *o, int64_t rows, int64_t of)
{
    oct_status status = OCT_OK;
    oct_tensor y = {.dtype = o->port.dtype, .rank = o->port.rank};
    memcpy(y.dims, o->port.dims, sizeof y.dims);
    if (!o->tap)
        status = oct_context_get_output(context, o->port.name, &y);
    if (status != OCT_OK)
        return status;
    int64_t bytes = oct_tensor_count(&y) * (int64_t)oct_dtype_size(y.dtype);
    if (o->bytes + bytes > o->capacity) {
        int64_t larger = (o->bytes + bytes) * 2;
        char *p = realloc(o->data, (size_t)larger + 1);
        if (!p)
            return OCT_ERR_MEMORY;
        o->data = p;
        o->capacity = larger;
    }
    if (o->tap)
        status = oct_context_get_tap(context, o->port.name, (float *)(void *)(o->data + o->bytes), oct_tensor_count(&y));
    else if (bytes)
        memcpy(o->data + o->bytes, y.data, (size_t)bytes);
    o->bytes += of ? bytes / of * rows : bytes;
    o->rows += rows;
    return status;
}

oct_status cli_session_run(cli_session *s, int64_t count)
{
    oct_status status = oct_context_run(s->context);
    for (int i = 0; status == OCT_OK && i < s->output_count; i++)
        status = append(s->context, &s->outputs[i], count, s->batch);
    return status;
}

static bool same_dims(const oct_tensor *t, const oct_port *p, int from)
{
    for (int k = from; k < p->rank; k++)
        if (t->dims[k] != p->dims[k])
            return false;
    return t->rank == p->rank;
}

static void print_dims(char *to, size_t size, int rank, const int64_t *dims)
{
    snprintf(to, size, "[");
    for (int k = 0; k < rank; k++)
        snprintf(to + strlen(to), size - strlen(to), "%s%lld", k ? ", " : "", (long long)dims[k]);
    snprintf(to + strlen(to), size - strlen(to), "]");
}

static int wrong_shape(const cli *c, const oct_tensor *t, const oct_port *p)
{
    char has[160], wants[160];
    print_dims(has, sizeof has, t->rank, t->dims);
    print_dims(wants, sizeof wants, p->rank, p->dims);
    return cli_error(c, OCT_ERR_CONTENT, "input '%s': the array has shape %s, the model wants %s", p->name, has, wants);
}

int cli_session_run_arrays(cli_session *s, const cli *c, const cli_arrays *arrays, int64_t *samples)
{
    bool whole = true;
    int64_t n = arrays->count && arrays->tensors[0].rank ? arrays->tensors[0].dims[0] : 1;
    for (int i = 0; i < s->input_count; i++)
        whole = whole && same_dims(&arrays->tensors[i], &s->inputs[i], 0);
    for (int i = 0; !whole && i < s->input_count; i++) {
        const oct_tensor *t = &arrays->tensors[i];
        if (!s->batch || !same_dims(t, &s->inputs[i], 1) || t->dims[0] != n || n < 1)
            return wrong_shape(c, t, &s->inputs[i]);
    }
    for (int i = 0; !whole && i < s->output_count; i++)
        if (s->outputs[i].port.rank < 1 || s->outputs[i].port.dims[0] != s->batch)
            return wrong_shape(c, &arrays->tensors[0], &s->inputs[0]);
    if (whole)
        s->batch = 0; /* one run, outputs as they are */
    oct_status status = OCT_OK;
    for (int64_t first = 0; status == OCT_OK && first < (whole ? 1 : n); first += whole ? 1 : s->batch) {
        int64_t count = whole ? n : first + s->batch <= n ? s->batch : n - first;
        status = cli_session_bind(s, arrays->tensors, first, count);
        if (status == OCT_OK)
            status = cli_session_run(s, count);
    }
    *samples = n;
    return status == OCT_OK ? 0 : cli_report(c, status);
}
