/* oct_check_gradient: backward against central differences along random directions.  The public header states the measure. */
#include <octavo/train.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"
#include "onnx/model.h"
#include "train/tape.h"

#define DEFAULT_STEP 0.003
#define LONGEST      0.02   /* step of a tensor that hardly matters, as a share of its root mean square */
#define NOISE        0.0005 /* change of the loss, as a share of its terms, that float32's rounding comes near to */
#define GOOD         0.001  /* no shorter step is tried below this error */
enum { DEFAULT_DIRECTIONS = 4, STEPS = 4, SHORTER = 4 };

typedef struct check {
    oct_tape *tape;
    oct_rng rng;
    int64_t outputs;
    float **weights;    /* [outputs][elements]: the loss is sum <weights, output> */
    float *saved;       /* [largest tensor] */
    double loss, terms; /* at the point itself; 2-norm of the loss's terms */
    double step;
    int directions;
    double worst;
    const char *where;
} check;

static oct_status prepare_weights(check *c)
{
    oct_tape_value v;
    while (oct_tape_output(c->tape, c->outputs, &v))
        c->outputs++;
    c->weights = calloc((size_t)c->outputs, sizeof *c->weights);
    if (!c->weights)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the weights of the loss");
    for (int64_t i = 0; oct_tape_output(c->tape, i, &v); i++) {
        OCT_TRY(oct_alloc(v.count * (int64_t)sizeof(float), false, (void **)&c->weights[i]));
        for (int64_t k = 0; k < v.count; k++)
            c->weights[i][k] = (float)(2 * oct_rng_unit(&c->rng) - 1);
    }
    return OCT_OK;
}

static oct_status prepare_inputs(check *c)
{
    oct_tape_value v;
    int64_t largest = 1;
    for (int64_t i = 0; oct_tape_input(c->tape, i, &v); i++) {
        if (!v.data)
            return oct_fail(OCT_ERR_UNSUPPORTED,
                            "input '%s' is no float32 tensor that the model uses: its gradient cannot be checked", v.name);
        for (int64_t k = 0; k < v.count; k++)
            v.data[k] = (float)(2 * oct_rng_unit(&c->rng) - 1);
    }
    for (int64_t i = 0; oct_tape_value_at(c->tape, i, &v); i++)
        largest = oct_max64(largest, v.count);
    return oct_alloc(largest * (int64_t)sizeof(float), false, (void **)&c->saved);
}

/* Runs forward; *terms (may be NULL) gets the 2-norm of the sum's terms. */
static oct_status loss(const check *c, double *sum, double *terms)
{
    oct_tape_value y;
    double square = 0;
    OCT_TRY(oct_tape_forward(c->tape));
    *sum = 0;
    for (int64_t i = 0; oct_tape_output(c->tape, i, &y); i++)
        for (int64_t k = 0; k < y.count; k++) {
            const double term = (double)c->weights[i][k] * y.data[k];
            *sum += term;
            square += term * term;
        }
    if (!isfinite(*sum))
        return oct_fail(OCT_ERR_CONTENT, "an output is not finite: gradients cannot be checked");
    if (terms)
        *terms = sqrt(square);
    return OCT_OK;
}

/* Element k of a direction: half of them, at random, stand still; the others go up the gradient, or either way where it is zero. */
static double component(const oct_tape_value *v, uint64_t seed, int64_t k)
{
    const uint64_t bits = oct_rng_at(seed, (uint64_t)k);
    const bool up = v->grad[k] != 0 ? v->grad[k] > 0 : bits >> 62 & 1;
    return !(bits >> 63) && v->count > 1 ? 0 : up ? 1 : -1;
}

/* v.data = saved + h * direction. */
static void shift(const check *c, const oct_tape_value *v, uint64_t seed, double h)
{
    for (int64_t k = 0; k < v->count; k++)
        v->data[k] = (float)(c->saved[k] + h * component(v, seed, k));
}

/* <gradient, v(to) - v(from)> along the step that float32 really takes. */
static double predicted(const check *c, const oct_tape_value *v, uint64_t seed, double from, double to)
{
    double sum = 0;
    for (int64_t k = 0; k < v->count; k++) {
        const double u = component(v, seed, k);
        sum += v->grad[k] * ((double)(float)(c->saved[k] + to * u) - (double)(float)(c->saved[k] + from * u));
    }
    return sum;
}

static double relative(double found, double expected, double least)
{
    const double measure = fmax(expected, least);
    return measure == 0 ? 0 : fabs(found - expected) / measure;
}

/* Error along one direction. Where the difference straddles a kink it is wrong whatever the gradient is, less often so with a
 * shorter step, and on one side only: the smallest error over up to four steps counts, of the shorter ones the one-sided
 * differences too. A wrong gradient is wrong in all of them. */
static oct_status check_direction(const check *c, const oct_tape_value *v, uint64_t seed, double *error)
{
    double square = 0, slope = 0, above, below;
    for (int64_t k = 0; k < v->count; k++) {
        square += (double)v->data[k] * v->data[k];
        slope += v->grad[k] * component(v, seed, k);
    }
    double h = LONGEST * (square > 0 ? sqrt(square / (double)v->count) : 1), least = NOISE * c->terms;
    if (2 * h * slope > c->step * c->terms)
        h = c->step * c->terms / (2 * slope);
    *error = INFINITY;
    for (int i = 0; i<STEPS && * error> GOOD; i++, h /= SHORTER, least /= SHORTER) {
        shift(c, v, seed, h);
        OCT_TRY(loss(c, &above, NULL));
        shift(c, v, seed, -h);
        OCT_TRY(loss(c, &below, NULL));
        *error = fmin(*error, relative(above - below, predicted(c, v, seed, -h, h), least));
        if (i > 0) {
            *error = fmin(*error, relative(above - c->loss, predicted(c, v, seed, 0, h), least / 2));
            *error = fmin(*error, relative(c->loss - below, predicted(c, v, seed, -h, 0), least / 2));
        }
        memcpy(v->data, c->saved, (size_t)v->count * sizeof *c->saved);
    }
    return OCT_OK;
}

static oct_status check_tensor(check *c, const oct_tape_value *v)
{
    memcpy(c->saved, v->data, (size_t)v->count * sizeof *c->saved);
    for (int i = 0; i < c->directions; i++) {
        double error;
        OCT_TRY(check_direction(c, v, oct_rng_next(&c->rng), &error));
        if (!c->where || error > c->worst) {
            c->worst = error;
            c->where = v->name;
        }
    }
    return OCT_OK;
}

static oct_status check_all(check *c)
{
    oct_tape_value v;
    OCT_TRY(prepare_inputs(c));
    OCT_TRY(prepare_weights(c));
    OCT_TRY(loss(c, &c->loss, &c->terms));
    OCT_TRY(oct_tape_backward(c->tape, (const float *const *)c->weights));
    for (int64_t i = 0; oct_tape_input(c->tape, i, &v); i++)
        OCT_TRY(check_tensor(c, &v));
    for (int64_t i = 0; oct_tape_value_at(c->tape, i, &v); i++)
        if (v.parameter)
            OCT_TRY(check_tensor(c, &v));
    return OCT_OK;
}

static oct_status open_tape(const oct_model *model, const oct_gradient_options *opts, oct_tape **out)
{
    const oct_build_options bind = {.batch = opts->batch, .dims = opts->dims, .dim_count = opts->dim_count};
    const oct_tape_options tape = {.training = opts->training, .input_gradients = true};
    oct_graph *g = NULL;
    oct_status s = OCT_OK;
    OCT_TRY_DONE(oct_graph_clone(model->graph, &g));
    OCT_TRY_DONE(oct_build_bind(g, &bind));
    OCT_TRY_DONE(oct_tape_simplify(g));
    OCT_TRY_DONE(oct_tape_create(g, &tape, out));
done:
    oct_graph_destroy(g);
    return s;
}

oct_status oct_check_gradient(const oct_model *model, const oct_gradient_options *opts, double *worst, char **where)
{
    static const oct_gradient_options defaults = {0};
    oct_status s = OCT_OK;
    opts = opts ? opts : &defaults;
    check c = {.rng = {opts->seed, 0},
               .step = opts->step == 0 ? DEFAULT_STEP : opts->step,
               .directions = opts->directions == 0 ? DEFAULT_DIRECTIONS : opts->directions};
    char *name = NULL;
    if (opts->batch < 0 || opts->directions < 0 || !(c.step > 0) || !isfinite(c.step))
        OCT_FAIL_DONE(OCT_ERR_USAGE, "the options of a gradient check hold a negative number or a step that is not finite");
    OCT_TRY_DONE(open_tape(model, opts, &c.tape));
    OCT_TRY_DONE(check_all(&c));
    if (where && !(name = strdup(c.where ? c.where : "")))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for a name");
    *worst = c.worst;
    if (where)
        *where = name;
done:
    for (int64_t i = 0; c.weights && i < c.outputs; i++)
        oct_free(c.weights[i]);
    free(c.weights);
    oct_free(c.saved);
    oct_tape_destroy(c.tape);
    return s;
}
