/* Spelled-out activations become one operator: x*sigmoid(x) = SiLU; x*hardsigmoid(x), x*clip(x+3,0,6)/6 = hard-swish;
 * 0.5*x*(1+erf(x/sqrt 2)) = GELU.  Constants must match within float rounding. */
#include <math.h>
#include "opt/pass.h"

static bool is_scalar(const oct_value *v, float want)
{
    float got;
    return v && oct_value_scalar(v, &got) && fabsf(got - want) <= 1e-5f * fabsf(want);
}

/* n = op(a, constant near want) in either order for commutative ops; returns a, else NULL. */
static oct_value *with_scalar(const oct_node *n, oct_op op, float want)
{
    if (!n || n->op != op || n->input_count != 2)
        return NULL;
    if (is_scalar(n->inputs[1], want))
        return n->inputs[0];
    if ((op == OCT_OP_ADD || op == OCT_OP_MUL) && is_scalar(n->inputs[0], want))
        return n->inputs[1];
    return NULL;
}

static bool single(const oct_value *v) { return v->producer && oct_value_only_user(v) != NULL; }

/* The factor f of a Mul node m = f * x where f is computed from x by the pattern; NULL when m is no product with x. */
typedef bool gate_fn(const oct_value *gate, const oct_value *x);

static bool is_sigmoid_gate(const oct_value *f, const oct_value *x)
{
    return single(f) && f->producer->op == OCT_OP_SIGMOID && f->producer->inputs[0] == x;
}

/* clip(x + 3, 0, 6) */
static bool is_relu6_of_x3(const oct_value *v, const oct_value *x)
{
    float lo, hi;
    if (!single(v) || !oct_clamp_of(v->producer, &lo, &hi) || lo != 0 || hi != 6)
        return false;
    const oct_value *sum = v->producer->inputs[0];
    return single(sum) && with_scalar(sum->producer, OCT_OP_ADD, 3) == x;
}

static bool is_hard_gate(const oct_value *f, const oct_value *x)
{
    if (!single(f))
        return false;
    const oct_node *p = f->producer;
    if (p->op == OCT_OP_HARD_SIGMOID)
        return p->inputs[0] == x && fabsf(oct_node_float(p, "alpha", 0.2f) - 1.0f / 6) < 1e-6f && oct_node_float(p, "beta", 0.5f) == 0.5f;
    const oct_value *num = with_scalar(p, OCT_OP_DIV, 6);
    if (!num)
        num = with_scalar(p, OCT_OP_MUL, 1.0f / 6);
    return num && is_relu6_of_x3(num, x);
}

/* 1 + erf(x / sqrt 2), optionally times 0.5 */
static bool is_gelu_gate(const oct_value *f, const oct_value *x)
{
    const oct_value *e = single(f) ? with_scalar(f->producer, OCT_OP_ADD, 1) : NULL;
    if (!e || !single(e) || e->producer->op != OCT_OP_ERF)
        return false;
    const oct_value *arg = e->producer->inputs[0];
    if (!single(arg))
        return false;
    return with_scalar(arg->producer, OCT_OP_DIV, (float)M_SQRT2) == x || with_scalar(arg->producer, OCT_OP_MUL, (float)M_SQRT1_2) == x;
}
static bool is_half_gelu_gate(const oct_value *f, const oct_value *x)
{
    const oct_value *in = single(f) ? with_scalar(f->producer, OCT_OP_MUL, 0.5f) : NULL;
    return in && is_gelu_gate(in, x);
}

/* m = Mul(a, b) with gate(b, a) or gate(a, b): returns x. */
static oct_value *gated(const oct_node *m, gate_fn *gate)
{
    if (!m || m->op != OCT_OP_MUL)
        return NULL;
    for (int s = 0; s < 2; s++)
        if (gate(m->inputs[1 - s], m->inputs[s]))
            return m->inputs[s];
    return NULL;
}

/* Products scaled afterwards: 0.5 * (x * gate), or (x * clip(x+3)) / 6. */
static oct_value *scaled(const oct_node *m, oct_op op, float k, gate_fn *gate)
{
    const oct_value *in = with_scalar(m, op, k);
    return in && single(in) ? gated(in->producer, gate) : NULL;
}

/* (0.5 * x) * gate(x) */
static oct_value *half_first(const oct_node *m)
{
    if (m->op != OCT_OP_MUL)
        return NULL;
    for (int s = 0; s < 2; s++) {
        const oct_value *h = m->inputs[s];
        oct_value *x = single(h) ? with_scalar(h->producer, OCT_OP_MUL, 0.5f) : NULL;
        if (x && is_gelu_gate(m->inputs[1 - s], x))
            return x;
    }
    return NULL;
}

static oct_op recognise(const oct_node *m, oct_value **x)
{
    if ((*x = gated(m, is_sigmoid_gate)))
        return OCT_OP_SILU;
    if ((*x = gated(m, is_hard_gate)) || (*x = scaled(m, OCT_OP_DIV, 6, is_relu6_of_x3)) || (*x = scaled(m, OCT_OP_MUL, 1.0f / 6, is_relu6_of_x3)))
        return OCT_OP_HARD_SWISH;
    if ((*x = gated(m, is_half_gelu_gate)) || (*x = scaled(m, OCT_OP_MUL, 0.5f, is_gelu_gate)) || (*x = half_first(m)))
        return OCT_OP_GELU;
    return OCT_OP_NONE;
}

/* Names of everything between x and m: the new node stands for them. */
static oct_status collect(oct_graph *g, oct_node *into, const oct_node *m, const oct_value *x)
{
    const oct_node *stack[16];
    int depth = 0;
    stack[depth++] = m;
    while (depth) {
        const oct_node *n = stack[--depth];
        OCT_TRY(oct_node_add_source(g, into, n));
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i] && n->inputs[i] != x && n->inputs[i]->producer && depth < 16)
                stack[depth++] = n->inputs[i]->producer;
    }
    return OCT_OK;
}

oct_status oct_pass_patterns(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *m = g->nodes[i], *n;
        oct_value *x, *y = m->outputs[0];
        oct_op op = recognise(m, &x);
        if (op == OCT_OP_NONE || x->dtype != OCT_F32)
            continue;
        OCT_TRY(oct_node_add(g, m, op, m->name, 1, &x, 0, NULL, &n));
        OCT_TRY(collect(g, n, m, x));
        oct_node_remove(g, m);
        OCT_TRY(oct_node_set_output(g, n, 0, y));
        ++*changes;
    }
    return OCT_OK;
}
