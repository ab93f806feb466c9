/* The trained quantizers against the engine, code by code: the model that a tape stands for is built, and every tensor that has a
 * quantizer is read from both. */
#include "train/agree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "train/qat_impl.h"

/* A quantizer in the tape and the codes of it in the exported model. */
typedef struct pair {
    const char *value; /* in the tape */
    char *codes;       /* in the model */
    float scale;
} pair;

struct oct_agree {
    const oct_qat *qat;
    oct_model *model;
    oct_plan *plan;
    oct_context *context;
    pair *pairs;
    const char **taps;
    int count;
    float *room; /* of the largest tensor */
    int64_t room_count;
};

static oct_status add_pair(oct_agree *a, const oct_tape *t, const char *tensor, const char *kind, const oct_qat_codes *c)
{
    pair *p = &a->pairs[a->count];
    oct_tape_value scale, v;
    const size_t room = strlen(tensor) + strlen(kind) + sizeof "_quantized";
    OCT_TRY(oct_tape_find(t, c->scale, &scale));
    OCT_TRY(oct_tape_find(t, c->value, &v));
    p->codes = malloc(room);
    if (!p->codes)
        return oct_fail(OCT_ERR_MEMORY, "no memory for a comparison");
    snprintf(p->codes, room, "%s%s_quantized", tensor, kind);
    p->value = c->value;
    p->scale = scale.data[0];
    a->taps[a->count++] = p->codes;
    a->room_count = oct_max64(a->room_count, v.count);
    return OCT_OK;
}

static oct_status add_pairs(oct_agree *a, const oct_tape *t)
{
    const oct_qat *q = a->qat;
    for (int64_t i = 0; i < q->point_count; i++) {
        const oct_qat_point *p = &q->points[i];
        if (p->wide.scale)
            OCT_TRY(add_pair(a, t, p->tensor, "", &p->wide));
        if (p->narrow.scale)
            OCT_TRY(add_pair(a, t, p->tensor, p->wide.scale ? "_narrow" : "", &p->narrow));
    }
    return OCT_OK;
}

oct_status oct_agree_create(const oct_qat *q, const oct_tape *t, oct_agree **out)
{
    oct_status s = OCT_OK;
    oct_agree *a = calloc(1, sizeof *a);
    if (!a)
        return oct_fail(OCT_ERR_MEMORY, "no memory for a comparison");
    a->qat = q;
    OCT_TRY_DONE(oct_alloc((2 * q->point_count + 1) * (int64_t)sizeof *a->pairs, true, (void **)&a->pairs));
    OCT_TRY_DONE(oct_alloc((2 * q->point_count + 1) * (int64_t)sizeof *a->taps, true, (void **)&a->taps));
    OCT_TRY_DONE(add_pairs(a, t));
    OCT_TRY_DONE(oct_alloc((a->room_count + 1) * (int64_t)sizeof *a->room, true, (void **)&a->room));
    OCT_TRY_DONE(oct_qat_export(q, t, &a->model));
    OCT_TRY_DONE(
        oct_plan_build(a->model, &(oct_build_options){.batch = q->opts.batch, .taps = a->taps, .tap_count = a->count}, &a->plan));
    OCT_TRY_DONE(oct_context_create(a->plan, 1, &a->context));
    *out = a;
    a = NULL;
done:
    oct_agree_destroy(a);
    return s;
}

void oct_agree_destroy(oct_agree *a)
{
    if (!a)
        return;
    oct_context_destroy(a->context);
    oct_plan_destroy(a->plan);
    oct_model_destroy(a->model);
    for (int i = 0; i < a->count; i++)
        free(a->pairs[i].codes);
    oct_free(a->pairs);
    oct_free(a->taps);
    oct_free(a->room);
    free(a);
}

/* Element i of a dense tensor in ONNX's order, in v's memory. */
static int64_t place_of(const oct_tape_value *v, int64_t i)
{
    if (!v->channels_last)
        return i;
    int64_t plane = 1, c = v->shape->dim[1];
    for (int k = 2; k < v->shape->rank; k++)
        plane *= v->shape->dim[k];
    const int64_t pixel = i % plane, channel = i / plane % c, image = i / plane / c;
    return (image * plane + pixel) * c + channel;
}

static oct_status compare(oct_agree *a, const oct_tape *t, const pair *p, oct_agreement *sum)
{
    oct_tape_value v;
    oct_agreement here = {.worst_tensor = p->codes};
    OCT_TRY(oct_tape_find(t, p->value, &v));
    OCT_TRY(oct_context_get_tap(a->context, p->codes, a->room, v.count));
    for (int64_t i = 0; i < v.count; i++) {
        const int64_t at = place_of(&v, i);
        const float mine = v.codes ? v.codes[at] * p->scale : v.data[at];
        const double difference = fabs((double)mine - (double)a->room[i]) / (double)p->scale;
        here.differing += difference > 0.5;
        here.worst = fmax(here.worst, difference);
    }
    sum->codes += v.count;
    sum->differing += here.differing;
    if (here.worst > sum->worst) {
        sum->worst = here.worst;
        sum->worst_tensor = here.worst_tensor;
    }
    return OCT_OK;
}

oct_status oct_agree_add(oct_agree *a, const oct_tape *t, oct_agreement *sum)
{
    for (int i = 0; i < oct_plan_input_count(a->plan); i++) {
        oct_port port;
        oct_tape_value x;
        OCT_TRY(oct_plan_get_input(a->plan, i, &port));
        OCT_TRY(oct_tape_find(t, port.name, &x));
        oct_tensor in = {.data = x.data, .dtype = OCT_F32, .rank = x.shape->rank};
        memcpy(in.dims, x.shape->dim, (size_t)in.rank * sizeof *in.dims);
        OCT_TRY(oct_context_set_input(a->context, port.name, &in));
    }
    OCT_TRY(oct_context_run(a->context));
    for (int i = 0; i < a->count; i++)
        OCT_TRY(compare(a, t, &a->pairs[i], sum));
    return OCT_OK;
}
