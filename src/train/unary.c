/* Unary functions and their slopes, one row each.  v: input element; r: its result; a, b: attributes. dx += dy * slope.
 *
 * At a kink the slope is that of the side where the function is flat, or 0 for |v|, as the usual frameworks have it. */
#include "train/diff.h"

#include <math.h>
#include <string.h>
#include "train/vector.h"

typedef void forward_fn(int64_t n, const float *restrict x, float *restrict y, float a, float b);
typedef void backward_fn(int64_t n, const float *restrict x, const float *restrict y, const float *restrict dy, float *restrict dx,
                         float a, float b);

#define HALF_ROOT   0.70710678f /* 1 / sqrt(2) */
#define NORMAL      0.39894228f /* 1 / sqrt(2 pi) */
#define TWO_ROOT_PI 1.1283792f  /* 2 / sqrt(pi) */
#define TANH_A      0.79788456f /* sqrt(2 / pi): Hendrycks, Gimpel 2016, arXiv 1606.08415 */
#define TANH_B      0.044715f

static inline float sigmoid(float v)
{
    return 1 / (1 + expf(-v));
}
static inline float clamp(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
static inline float gelu_tanh(float v)
{
    return tanhf(TANH_A * (v + TANH_B * v * v * v));
}

#define UNARY(stem, result, slope)                                                                                                 \
    static void forward_##stem(int64_t n, const float *restrict x, float *restrict y, float a, float b)                            \
    {                                                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                                          \
            const float v = x[i];                                                                                                  \
            y[i] = (result);                                                                                                       \
        }                                                                                                                          \
    }                                                                                                                              \
    static void backward_##stem(int64_t n, const float *restrict x, const float *restrict y, const float *restrict dy,             \
                                float *restrict dx, float a, float b)                                                              \
    {                                                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                                          \
            const float v = x[i], r = y[i];                                                                                        \
            (void)v;                                                                                                               \
            (void)r;                                                                                                               \
            dx[i] += dy[i] * (slope);                                                                                              \
        }                                                                                                                          \
    }

UNARY(relu, v <= 0 ? 0 : v, (float)!(v <= 0))
UNARY(leaky_relu, v > 0 ? v : a * v, v > 0 ? 1 : a)
UNARY(clip, clamp(v, a, b), (float)((v > a) & (v < b)))
UNARY(sigmoid, sigmoid(v), r *(1 - r))
UNARY(hard_sigmoid, clamp(a *v + b, 0, 1), r > 0 && r < 1 ? a : 0)
UNARY(hard_swish, v *clamp(v / 6 + 0.5f, 0, 1), v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5f)
UNARY(silu, v *sigmoid(v), sigmoid(v) * (1 + v * (1 - sigmoid(v))))
UNARY(tanh, tanhf(v), 1 - r * r)
UNARY(gelu, 0.5f * v * (1 + erff(v * HALF_ROOT)), 0.5f * (1 + erff(v * HALF_ROOT)) + v * NORMAL * expf(-0.5f * v * v))
UNARY(gelu_tanh, 0.5f * v * (1 + gelu_tanh(v)),
      0.5f * (1 + gelu_tanh(v)) + 0.5f * v * (1 - gelu_tanh(v) * gelu_tanh(v)) * TANH_A * (1 + 3 * TANH_B * v * v))
UNARY(elu, v > 0 ? v : a * expm1f(v), v > 0 ? 1 : r + a)
UNARY(softplus, v > 0 ? v + log1pf(expf(-v)) : log1pf(expf(v)), sigmoid(v))
UNARY(erf, erff(v), TWO_ROOT_PI *expf(-v *v))
UNARY(exp, expf(v), r)
UNARY(log, logf(v), 1 / v)
UNARY(sqrt, sqrtf(v), 0.5f / r)
UNARY(neg, -v, -1)
UNARY(abs, fabsf(v), v > 0 ? 1 : v < 0 ? -1 : 0)
UNARY(reciprocal, 1 / v, -r *r)

typedef struct function {
    oct_op op;
    forward_fn *forward;
    backward_fn *backward;
} function;

static const function functions[] = {
#define ROW(id, stem)                                                                                                              \
    {                                                                                                                              \
        OCT_OP_##id, forward_##stem, backward_##stem                                                                               \
    }
    ROW(RELU, relu),
    ROW(LEAKY_RELU, leaky_relu),
    ROW(CLIP, clip),
    ROW(SIGMOID, sigmoid),
    ROW(HARD_SIGMOID, hard_sigmoid),
    ROW(HARD_SWISH, hard_swish),
    ROW(SILU, silu),
    ROW(TANH, tanh),
    ROW(GELU, gelu),
    ROW(ELU, elu),
    ROW(SOFTPLUS, softplus),
    ROW(ERF, erf),
    ROW(EXP, exp),
    ROW(LOG, log),
    ROW(SQRT, sqrt),
    ROW(NEG, neg),
    ROW(ABS, abs),
    ROW(RECIPROCAL, reciprocal),
#undef ROW
};
static const function tanh_form = {OCT_OP_GELU, forward_gelu_tanh, backward_gelu_tanh};

typedef struct unary_state {
    const function *f;
    float a, b;
} unary_state;

static oct_status read_attributes(const oct_node *n, unary_state *s)
{
    const oct_value *lo = oct_node_in(n, 1), *hi = oct_node_in(n, 2);
    if (n->op == OCT_OP_LEAKY_RELU)
        s->a = oct_node_float(n, "alpha", 0.01f);
    if (n->op == OCT_OP_ELU)
        s->a = oct_node_float(n, "alpha", 1);
    if (n->op == OCT_OP_HARD_SIGMOID) {
        s->a = oct_node_float(n, "alpha", 0.2f);
        s->b = oct_node_float(n, "beta", 0.5f);
    }
    if (n->op == OCT_OP_GELU && strcmp(oct_node_string(n, "approximate", "none"), "tanh") == 0)
        s->f = &tanh_form;
    if (n->op == OCT_OP_CLIP) {
        s->a = -INFINITY;
        s->b = INFINITY;
        if ((lo && !oct_value_scalar(lo, &s->a)) || (hi && !oct_value_scalar(hi, &s->b)))
            return oct_diff_unsupported(n, "limits that are computed");
    }
    return OCT_OK;
}

oct_status oct_diff_prepare_unary(oct_tape *t, oct_diff_node *d)
{
    unary_state *s;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i].op == d->node->op)
            s->f = &functions[i];
    return read_attributes(d->node, s);
}

oct_status oct_diff_forward_unary(oct_tape *t, oct_diff_node *d)
{
    const unary_state *s = d->state;
    (void)t;
    if (d->node->op == OCT_OP_RELU)
        oct_vector()->relu(d->out[0]->count, d->in[0]->data, d->out[0]->data);
    else
        s->f->forward(d->out[0]->count, d->in[0]->data, d->out[0]->data, s->a, s->b);
    return OCT_OK;
}

oct_status oct_diff_backward_unary(oct_tape *t, oct_diff_node *d)
{
    const unary_state *s = d->state;
    oct_slot *x = d->in[0];
    const bool fresh = oct_diff_fresh(x);
    (void)t;
    if (d->node->op == OCT_OP_RELU || d->node->op == OCT_OP_CLIP) {
        const bool clip = d->node->op == OCT_OP_CLIP;
        oct_vector()->pass(x->count, x->data, d->out[0]->grad, clip ? s->a : 0, clip ? s->b : INFINITY, fresh, x->grad);
        return OCT_OK;
    }
    if (fresh)
        memset(x->grad, 0, (size_t)x->count * sizeof *x->grad);
    s->f->backward(x->count, x->data, d->out[0]->data, d->out[0]->grad, x->grad, s->a, s->b);
    return OCT_OK;
}
