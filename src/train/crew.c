/* Micro-batches by a team of tapes, and the fixed order of their sum. */
#include "train/crew.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/team.h"
#include "train/loss.h"

typedef struct worker {
    oct_tape *tape, *teacher;
    float *seed; /* gradient by the first output */
} worker;

struct oct_crew {
    oct_crew_options opts;
    oct_team *team;
    worker *workers;
    int worker_count;
    oct_tape_block block;  /* shared values, summed gradients */
    float *memory, *micro; /* the block's; one gradient array for each micro-batch */
    double *loss;          /* of each micro-batch */
    oct_status *status;
    char (*message)[512];  /* of each micro-batch that failed: error records belong to threads */
    int64_t rows, classes; /* samples of a micro-batch; elements of an output row */
    int inputs;
    /* of the step that runs */
    const oct_batch *batch;
    bool normalize, learn;
};

/* --- one micro-batch --- */

static void feed(const oct_crew *c, oct_tape *t, int64_t micro)
{
    oct_tape_value v;
    for (int i = 0; i < c->inputs; i++) {
        oct_tape_input(t, i, &v);
        memcpy(v.data, (const float *)c->batch->inputs[i].data + micro * v.count, (size_t)v.count * sizeof *v.data);
    }
}

static oct_status objective(const oct_crew *c, const worker *w, int64_t micro, double *loss)
{
    const oct_objective *o = &c->opts.objective;
    const int64_t at = micro * c->rows, count = c->rows * c->classes;
    const oct_batch *b = c->batch;
    oct_tape_value y, taught = {0};
    oct_tape_output(w->tape, 0, &y);
    if (w->teacher)
        oct_tape_output(w->teacher, 0, &taught);
    memset(w->seed, 0, (size_t)count * sizeof *w->seed);
    *loss = 0;
    if (o->loss == OCT_LOSS_SQUARED && w->teacher) {
        oct_loss_squared(y.data, taught.data, count, 1, loss, w->seed);
        return OCT_OK;
    }
    if (o->loss == OCT_LOSS_SQUARED)
        return oct_loss_squared_labels(y.data, c->rows, c->classes, b->labels + at, 1, loss, w->seed);
    if (o->teacher < 1) {
        const oct_loss_targets targets = {b->labels + at, b->mix ? b->label2 + at : NULL, b->mix ? b->mix + at : NULL,
                                          o->smoothing};
        OCT_TRY(oct_loss_cross_entropy(y.data, c->rows, c->classes, &targets, 1 - o->teacher, loss, w->seed));
    }
    if (o->teacher > 0)
        OCT_TRY(oct_loss_distill(y.data, taught.data, c->rows, c->classes, o->temperature, o->teacher, loss, w->seed));
    return OCT_OK;
}

static oct_status run_micro(oct_crew *c, const worker *w, int64_t own)
{
    const int64_t micro = c->opts.first + own;
    const float *seeds[1] = {w->seed};
    oct_tape_set_block(w->tape, c->block.values, c->micro + own * c->block.room);
    oct_tape_set_training(w->tape, c->normalize);
    feed(c, w->tape, micro);
    OCT_TRY(oct_tape_forward(w->tape));
    if (!c->learn)
        return OCT_OK;
    if (w->teacher) {
        feed(c, w->teacher, micro);
        OCT_TRY(oct_tape_forward(w->teacher));
    }
    OCT_TRY(objective(c, w, micro, &c->loss[own]));
    return oct_tape_backward(w->tape, seeds);
}

static void run_unit(void *arg, int64_t own, int who)
{
    oct_crew *c = arg;
    c->status[own] = run_micro(c, &c->workers[who], own);
    if (c->status[own] != OCT_OK)
        snprintf(c->message[own], sizeof c->message[own], "%s", oct_last_error()->message);
}

/* --- the sum --- */

enum { CHUNK = 1 << 14 };

static void sum_unit(void *arg, int64_t unit, int who)
{
    const oct_crew *c = arg;
    const int64_t from = unit * CHUNK, to = oct_min64(from + CHUNK, c->block.room);
    (void)who;
    memcpy(c->block.grads + from, c->micro + from, (size_t)(to - from) * sizeof(float));
    for (int64_t k = 1; k < c->opts.micros; k++) {
        const float *g = c->micro + k * c->block.room;
        for (int64_t i = from; i < to; i++)
            c->block.grads[i] += g[i];
    }
}

static void scale_unit(void *arg, int64_t unit, int who)
{
    const oct_crew *c = arg;
    const int64_t from = unit * CHUNK, to = oct_min64(from + CHUNK, c->block.room);
    const float share = 1 / (float)c->opts.all;
    (void)who;
    for (int64_t i = from; i < to; i++)
        c->block.grads[i] *= share;
}

/* Sums over micro-batches and processes, then means. */
static oct_status reduce(oct_crew *c, double *loss)
{
    const oct_peers *p = c->opts.peers;
    const int64_t chunks = oct_div_up(c->block.room, CHUNK);
    double sum = 0;
    oct_team_for(c->team, chunks, sum_unit, c);
    for (int64_t k = 0; c->learn && k < c->opts.micros; k++)
        sum += c->loss[k];
    if (p) {
        OCT_TRY(p->sum(p->user, c->block.grads, c->block.room));
        OCT_TRY(p->sum_double(p->user, &sum, 1));
    }
    oct_team_for(c->team, chunks, scale_unit, c);
    *loss = sum / (double)c->opts.all;
    return OCT_OK;
}

oct_status oct_crew_step(oct_crew *c, const oct_batch *batch, bool normalize, bool learn, double *loss)
{
    double mean = 0;
    c->batch = batch;
    c->normalize = normalize;
    c->learn = learn;
    oct_team_begin(c->team);
    oct_team_for(c->team, c->opts.micros, run_unit, c);
    oct_tape_set_block(c->workers[0].tape, c->block.values, c->block.grads);
    oct_status s = OCT_OK;
    for (int64_t k = 0; s == OCT_OK && k < c->opts.micros; k++)
        if (c->status[k] != OCT_OK)
            s = oct_fail(c->status[k], "%s", c->message[k]);
    if (s == OCT_OK)
        s = reduce(c, &mean);
    oct_team_end(c->team);
    if (loss)
        *loss = mean;
    return s;
}

/* --- making --- */

static oct_status check_ports(oct_crew *c, const oct_graph *g)
{
    const oct_value *y = g->outputs[0];
    c->inputs = (int)g->input_count;
    for (int64_t i = 0; i < g->input_count; i++) {
        const oct_value *x = g->inputs[i];
        if (x->dtype != OCT_F32)
            return oct_fail_node(
                oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' is %s: training takes float32", x->name, oct_dtype_name(x->dtype)),
                x->name);
        if (x->shape.rank < 1 || x->shape.dim[0] < 1 || (i > 0 && x->shape.dim[0] != c->rows))
            return oct_fail_node(
                oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' does not have the batch as its first dimension", x->name), x->name);
        c->rows = x->shape.dim[0];
    }
    int64_t count;
    OCT_TRY(oct_shape_count(&y->shape, &count));
    if (c->inputs < 1 || y->shape.rank < 1 || y->shape.dim[0] != c->rows || count == 0)
        return oct_fail_node(oct_fail(OCT_ERR_UNSUPPORTED, "output '%s' does not have the batch as its first dimension", y->name),
                             y->name);
    c->classes = count / c->rows;
    return OCT_OK;
}

static oct_status make_workers(oct_crew *c, const oct_graph *graph, const oct_graph *teacher)
{
    for (int i = 0; i < c->worker_count; i++) {
        worker *w = &c->workers[i];
        OCT_TRY(oct_tape_create(graph, &(oct_tape_options){.training = true, .bf16 = c->opts.bf16}, &w->tape));
        if (teacher)
            OCT_TRY(oct_tape_create(teacher, &(oct_tape_options){.bf16 = c->opts.bf16}, &w->teacher));
        OCT_TRY(oct_alloc(c->rows * c->classes * (int64_t)sizeof(float), true, (void **)&w->seed));
    }
    return OCT_OK;
}

static oct_status make_block(oct_crew *c)
{
    oct_tape_block own;
    int64_t bytes, all;
    oct_tape_get_block(c->workers[0].tape, &own);
    c->block = own;
    OCT_TRY(oct_size_mul(own.room, 2 * sizeof(float), &bytes));
    OCT_TRY(oct_alloc(bytes, true, (void **)&c->memory));
    OCT_TRY(oct_size_mul(own.room * (int64_t)sizeof(float), c->opts.micros, &all));
    OCT_TRY(oct_alloc(all, true, (void **)&c->micro));
    memcpy(c->memory, own.values, (size_t)own.room * sizeof(float));
    c->block.values = c->memory;
    c->block.grads = c->memory + own.room;
    oct_tape_set_block(c->workers[0].tape, c->block.values, c->block.grads);
    return OCT_OK;
}

oct_status oct_crew_create(const oct_graph *graph, const oct_graph *teacher, const oct_crew_options *opts, oct_crew **out)
{
    oct_status s = OCT_OK;
    oct_crew *c = calloc(1, sizeof *c);
    if (!c)
        return oct_fail(OCT_ERR_MEMORY, "no memory for training");
    c->opts = *opts;
    OCT_TRY_DONE(check_ports(c, graph));
    OCT_TRY_DONE(oct_team_create(opts->threads, &c->team));
    c->worker_count = oct_team_size(c->team);
    OCT_TRY_DONE(oct_alloc((int64_t)sizeof *c->workers * c->worker_count, true, (void **)&c->workers));
    OCT_TRY_DONE(oct_alloc((int64_t)sizeof *c->loss * opts->micros, true, (void **)&c->loss));
    OCT_TRY_DONE(oct_alloc((int64_t)sizeof *c->status * opts->micros, true, (void **)&c->status));
    OCT_TRY_DONE(oct_alloc((int64_t)sizeof *c->message * opts->micros, true, (void **)&c->message));
    OCT_TRY_DONE(make_workers(c, graph, teacher));
    OCT_TRY_DONE(make_block(c));
    *out = c;
    c = NULL;
done:
    oct_crew_destroy(c);
    return s;
}

void oct_crew_destroy(oct_crew *c)
{
    if (!c)
        return;
    for (int i = 0; c->workers && i < c->worker_count; i++) {
        oct_tape_destroy(c->workers[i].tape);
        oct_tape_destroy(c->workers[i].teacher);
        oct_free(c->workers[i].seed);
    }
    oct_team_destroy(c->team);
    oct_free(c->workers);
    oct_free(c->memory);
    oct_free(c->micro);
    oct_free(c->loss);
    oct_free(c->status);
    oct_free(c->message);
    free(c);
}

int64_t oct_crew_classes(const oct_crew *c)
{
    return c->classes;
}
void oct_crew_set_dampening(oct_crew *c, double strength)
{
    for (int i = 0; i < c->worker_count; i++)
        oct_tape_set_dampening(c->workers[i].tape, strength);
}

oct_tape *oct_crew_tape(const oct_crew *c)
{
    return c->workers[0].tape;
}
