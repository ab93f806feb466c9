/* Add, Sub, Mul and Div with NumPy's broadcasting: a repeated operand's gradient is the sum over its repetitions. */
#include "train/diff.h"

#include <math.h>
#include <string.h>
#include "train/vector.h"
#include "train/walk.h"

/* Streams: y, first operand, second operand. */
typedef void forward_fn(const oct_walk *w, const float *u, const float *v, float *y);
typedef void backward_fn(const oct_walk *w, const float *u, const float *v, const float *dy, float *du, float *dv);

/* a, b: one element of each operand; slopes are those of the result by a and by b. du or dv may be NULL. */
#define BINARY(stem, result, slope_a, slope_b)                                                                                     \
    static void forward_##stem(const oct_walk *w, const float *u, const float *v, float *y)                                        \
    {                                                                                                                              \
        oct_run r;                                                                                                                 \
        for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))                                                   \
            for (int64_t i = 0; i < oct_run_length(w); i++) {                                                                      \
                const float a = u[r.at[1] + i * oct_run_step(w, 1)], b = v[r.at[2] + i * oct_run_step(w, 2)];                      \
                y[r.at[0] + i * oct_run_step(w, 0)] = (result);                                                                    \
            }                                                                                                                      \
    }                                                                                                                              \
    static void backward_##stem(const oct_walk *w, const float *u, const float *v, const float *dy, float *du, float *dv)          \
    {                                                                                                                              \
        oct_run r;                                                                                                                 \
        for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))                                                   \
            for (int64_t i = 0; i < oct_run_length(w); i++) {                                                                      \
                const int64_t at_a = r.at[1] + i * oct_run_step(w, 1), at_b = r.at[2] + i * oct_run_step(w, 2);                    \
                const float a = u[at_a], b = v[at_b], d = dy[r.at[0] + i * oct_run_step(w, 0)];                                    \
                (void)a;                                                                                                           \
                (void)b;                                                                                                           \
                if (du)                                                                                                            \
                    du[at_a] += d * (slope_a);                                                                                     \
                if (dv)                                                                                                            \
                    dv[at_b] += d * (slope_b);                                                                                     \
            }                                                                                                                      \
    }

BINARY(add, a + b, 1, 1)
BINARY(sub, a - b, 1, -1)
BINARY(mul, a *b, b, a)
BINARY(div, a / b, 1 / b, -a / (b * b))

typedef struct binary_state {
    forward_fn *forward;
    backward_fn *backward;
    oct_walk w;
    bool plain_sum; /* Add of equal shapes in equal layouts: the sum of residual networks */
} binary_state;

oct_status oct_diff_prepare_binary(oct_tape *t, oct_diff_node *d)
{
    static const struct {
        oct_op op;
        forward_fn *forward;
        backward_fn *backward;
    } functions[] = {{OCT_OP_ADD, forward_add, backward_add},
                     {OCT_OP_SUB, forward_sub, backward_sub},
                     {OCT_OP_MUL, forward_mul, backward_mul},
                     {OCT_OP_DIV, forward_div, backward_div}};
    binary_state *s;
    const oct_shape *y = &d->node->outputs[0]->shape;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i].op == d->node->op) {
            s->forward = functions[i].forward;
            s->backward = functions[i].backward;
        }
    oct_walk_init(&s->w, y);
    oct_walk_strided(&s->w, 0, y, d->out[0]->strides);
    oct_walk_strided(&s->w, 1, &d->node->inputs[0]->shape, d->in[0]->strides);
    oct_walk_strided(&s->w, 2, &d->node->inputs[1]->shape, d->in[1]->strides);
    oct_walk_sort(&s->w);
    oct_walk_merge(&s->w);
    s->plain_sum =
        d->node->op == OCT_OP_ADD && s->w.rank == 1 && s->w.step[0][0] == 1 && s->w.step[1][0] == 1 && s->w.step[2][0] == 1;
    return OCT_OK;
}

oct_status oct_diff_forward_binary(oct_tape *t, oct_diff_node *d)
{
    const binary_state *s = d->state;
    (void)t;
    if (s->plain_sum)
        (d->relu ? oct_vector()->add_relu : oct_vector()->add)(d->out[0]->count, d->in[0]->data, d->in[1]->data, d->out[0]->data);
    else
        s->forward(&s->w, d->in[0]->data, d->in[1]->data, d->out[0]->data);
    return OCT_OK;
}

oct_status oct_diff_backward_binary(oct_tape *t, oct_diff_node *d)
{
    const binary_state *s = d->state;
    (void)t;
    for (int i = 0; i < 2; i++) {
        oct_slot *x = d->in[i];
        if (!x->grad)
            continue;
        const bool fresh = oct_diff_fresh(x);
        if (d->relu)
            oct_vector()->pass(x->count, d->out[0]->data, d->out[0]->grad, 0, INFINITY, fresh, x->grad);
        else if (s->plain_sum && fresh)
            memcpy(x->grad, d->out[0]->grad, (size_t)x->count * sizeof *x->grad);
        else if (s->plain_sum)
            oct_vector()->add(x->count, x->grad, d->out[0]->grad, x->grad);
        else if (fresh)
            memset(x->grad, 0, (size_t)x->count * sizeof *x->grad);
    }
    if (!s->plain_sum)
        s->backward(&s->w, d->in[0]->data, d->in[1]->data, d->out[0]->grad, d->in[0]->grad, d->in[1]->grad);
    return OCT_OK;
}
