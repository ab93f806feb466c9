/* SGD with momentum and AdamW over a list of parameters; formulas and sources in the header.
 *
 * State and values are float, the factors that all elements share are computed in double and rounded once. Knows nothing of graphs,
 * files or epochs. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define LANES 8 /* partial sums of the norm: a fixed tree, so the compiler may use vectors and the result stays */

struct oct_optimizer {
    oct_optimizer_options options;
    oct_param *params; /* those with a gradient */
    int64_t param_count, total;
    float *slot[2];
    int slots;
    int64_t steps;
};

void oct_optimizer_default(oct_optimizer_kind kind, oct_optimizer_options *out)
{
    *out = (oct_optimizer_options){.kind = kind, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    for (int k = 0; k < OCT_PARAM_KINDS; k++)
        out->rate_factor[k] = 1;
}

static bool is_rate(double v)
{
    return v >= 0 && v <= 1e30;
}
static bool is_share(double v)
{
    return v >= 0 && v < 1;
}

static oct_status check_options(const oct_optimizer_options *o)
{
    if (o->kind != OCT_OPTIMIZER_SGD && o->kind != OCT_OPTIMIZER_ADAMW)
        return oct_fail(OCT_ERR_USAGE, "optimizer: unknown kind %d", (int)o->kind);
    if (o->kind == OCT_OPTIMIZER_SGD && (!is_share(o->momentum) || (o->nesterov && o->momentum == 0)))
        return oct_fail(OCT_ERR_USAGE, "optimizer: a momentum of %g; it is in [0, 1), and above 0 with Nesterov", o->momentum);
    if (o->kind == OCT_OPTIMIZER_ADAMW && (!is_share(o->beta1) || !is_share(o->beta2) || !is_rate(o->epsilon) || o->epsilon == 0))
        return oct_fail(OCT_ERR_USAGE, "optimizer: betas of %g and %g and an epsilon of %g; betas are in [0, 1), epsilon above 0",
                        o->beta1, o->beta2, o->epsilon);
    if (!is_rate(o->weight_decay) || !is_rate(o->max_norm))
        return oct_fail(OCT_ERR_USAGE, "optimizer: a weight decay of %g and a norm of %g; both are finite and not negative",
                        o->weight_decay, o->max_norm);
    for (int k = 0; k < OCT_PARAM_KINDS; k++)
        if (!is_rate(o->rate_factor[k]))
            return oct_fail(OCT_ERR_USAGE, "optimizer: a rate factor of %g", o->rate_factor[k]);
    return OCT_OK;
}

oct_status oct_optimizer_create(const oct_param *params, int64_t count, const oct_optimizer_options *options, oct_optimizer **out)
{
    oct_status s = OCT_OK;
    OCT_TRY(check_options(options));
    oct_optimizer *o = calloc(1, sizeof *o);
    if (!o)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an optimizer");
    o->options = *options;
    o->slots = options->kind == OCT_OPTIMIZER_ADAMW ? 2 : 1;
    o->params = calloc((size_t)oct_max64(count, 1), sizeof *o->params);
    if (!o->params)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate an optimizer of %lld parameters", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        if (!params[i].grad)
            continue;
        OCT_TRY_DONE(oct_size_add(o->total, params[i].count, &o->total));
        o->params[o->param_count++] = params[i];
    }
    int64_t bytes;
    OCT_TRY_DONE(oct_size_mul(o->total, (int64_t)sizeof(float), &bytes));
    for (int k = 0; k < o->slots; k++)
        OCT_TRY_DONE(oct_alloc(bytes, true, (void **)&o->slot[k]));
    *out = o;
    o = NULL;
done:
    oct_optimizer_destroy(o);
    return s;
}

void oct_optimizer_destroy(oct_optimizer *o)
{
    if (!o)
        return;
    for (int k = 0; k < o->slots; k++)
        oct_free(o->slot[k]);
    free(o->params);
    free(o);
}

void oct_optimizer_get_state(oct_optimizer *o, oct_optimizer_state *out)
{
    *out = (oct_optimizer_state){.slot = {o->slot[0], o->slot[1]}, .slots = o->slots, .count = o->total, .steps = &o->steps};
}

/* In double no square of a float overflows: the sum is finite exactly when every gradient is. */
static double gradient_norm(const oct_optimizer *o)
{
    double lanes[LANES] = {0};
    for (int64_t p = 0; p < o->param_count; p++) {
        const float *g = o->params[p].grad;
        const int64_t n = o->params[p].count, whole = n / LANES * LANES;
        for (int64_t i = 0; i < whole; i += LANES)
            for (int k = 0; k < LANES; k++)
                lanes[k] += (double)g[i + k] * (double)g[i + k];
        for (int64_t i = whole; i < n; i++)
            lanes[i - whole] += (double)g[i] * (double)g[i];
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lanes[k] += lanes[k + half];
    return sqrt(lanes[0]);
}

static void step_sgd(const oct_optimizer *o, const oct_param *p, float *velocity, double rate, double decay, float scale)
{
    const float r = (float)rate, d = (float)decay, momentum = (float)o->options.momentum;
    const bool nesterov = o->options.nesterov;
    for (int64_t i = 0; i < p->count; i++) {
        const float g = p->grad[i] * scale + d * p->value[i];
        velocity[i] = momentum * velocity[i] + g;
        p->value[i] -= r * (nesterov ? g + momentum * velocity[i] : velocity[i]);
    }
}

static void step_adamw(const oct_optimizer *o, const oct_param *p, float *m, float *v, double rate, double decay, float scale)
{
    const oct_optimizer_options *x = &o->options;
    const float keep = (float)(1 - rate * decay), b1 = (float)x->beta1, b2 = (float)x->beta2, c1 = (float)(1 - x->beta1),
                c2 = (float)(1 - x->beta2);
    /* r m' / (sqrt(v') + e) with both corrections taken out of the loop. */
    const float r = (float)(rate / (1 - pow(x->beta1, (double)o->steps))),
                root = (float)(1 / sqrt(1 - pow(x->beta2, (double)o->steps)));
    const float epsilon = (float)x->epsilon;
    for (int64_t i = 0; i < p->count; i++) {
        const float g = p->grad[i] * scale;
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * (g * g);
        p->value[i] = p->value[i] * keep - r * m[i] / (sqrtf(v[i]) * root + epsilon);
    }
}

oct_status oct_optimizer_step(oct_optimizer *o, double rate, oct_optimizer_report *report)
{
    if (!is_rate(rate))
        return oct_fail(OCT_ERR_USAGE, "optimizer: a learning rate of %g", rate);
    const double norm = gradient_norm(o), limit = o->options.max_norm;
    *report =
        (oct_optimizer_report){.norm = norm, .applied = isfinite(norm), .clipped = isfinite(norm) && limit > 0 && norm > limit};
    if (!report->applied)
        return OCT_OK;
    o->steps++;
    const float scale = report->clipped ? (float)(limit / norm) : 1.0f;
    int64_t at = 0;
    for (int64_t i = 0; i < o->param_count; i++) {
        const oct_param *p = &o->params[i];
        const double r = rate * o->options.rate_factor[p->kind] * (p->rate > 0 ? p->rate : 1),
                     decay = p->kind == OCT_PARAM_WEIGHT ? o->options.weight_decay : 0;
        if (o->options.kind == OCT_OPTIMIZER_SGD)
            step_sgd(o, p, o->slot[0] + at, r, decay, scale);
        else
            step_adamw(o, p, o->slot[0] + at, o->slot[1] + at, r, decay, scale);
        at += p->count;
    }
    return OCT_OK;
}
