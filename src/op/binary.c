/* Elementwise operators of two inputs with broadcasting.  Floats and integers: one BINARY step. Codes: QADD (Add, Sub) and QMUL.
 * Contents of small integer tensors are followed through arithmetic and Equal, so that shapes computed in the graph resolve. */
#include "op/ops.h"

#include <math.h>
#include <string.h>
#include "kernels/kernel.h"
#include "num/num.h"
#include "op/code.h"

static bool is_comparison(oct_op op)
{
    return op == OCT_OP_EQUAL || op == OCT_OP_GREATER || op == OCT_OP_LESS || op == OCT_OP_GREATER_EQUAL || op == OCT_OP_LESS_EQUAL;
}

/* One element of a followed computation; symbols are dimensions, hence never negative. */
static int64_t known_result(oct_op op, int64_t a, int64_t b)
{
    int64_t r = OCT_KNOWN_NONE;
    if (a == OCT_KNOWN_NONE || b == OCT_KNOWN_NONE)
        return OCT_KNOWN_NONE;
    bool la = oct_known_literal(a), lb = oct_known_literal(b);
    switch (op) {
    case OCT_OP_ADD:
        if (la && lb)
            return __builtin_add_overflow(a, b, &r) || !oct_known_literal(r) ? OCT_KNOWN_NONE : r;
        return a == 0 ? b : b == 0 ? a : OCT_KNOWN_NONE;
    case OCT_OP_SUB:
        if (la && lb)
            return __builtin_sub_overflow(a, b, &r) || !oct_known_literal(r) ? OCT_KNOWN_NONE : r;
        return b == 0 ? a : a == b ? 0 : OCT_KNOWN_NONE;
    case OCT_OP_MUL:
        if (la && lb)
            return __builtin_mul_overflow(a, b, &r) || !oct_known_literal(r) ? OCT_KNOWN_NONE : r;
        return a == 1 ? b : b == 1 ? a : a == 0 || b == 0 ? 0 : OCT_KNOWN_NONE;
    case OCT_OP_DIV:
        if (la && lb)
            return b == 0 ? OCT_KNOWN_NONE : a / b;
        return b == 1 ? a : OCT_KNOWN_NONE;
    case OCT_OP_MOD:
        if (la && lb && b > 0)
            return (a % b + b) % b;
        return b == 1 ? 0 : OCT_KNOWN_NONE;
    case OCT_OP_EQUAL:
        if (a == b)
            return 1;
        if (la && lb)
            return 0;
        return (la && a < 0) || (lb && b < 0) ? 0 : OCT_KNOWN_NONE;
    default:
        return OCT_KNOWN_NONE;
    }
}

static oct_status follow(oct_graph *g, oct_node *n)
{
    int64_t a[OCT_KNOWN_MAX], b[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    int na = oct_infer_known(n->inputs[0], a), nb = oct_infer_known(n->inputs[1], b);
    if (na < 0 || nb < 0 || (na != nb && na != 1 && nb != 1))
        return OCT_OK;
    int count = na == 1 ? nb : na;
    for (int i = 0; i < count; i++)
        r[i] = known_result(n->op, a[na == 1 ? 0 : i], b[nb == 1 ? 0 : i]);
    return oct_infer_set_known(g, n, 0, r, count);
}

/* Whether the operator works on the bits of integers (or, And to Xor, on bool). */
static bool takes(oct_op op, oct_dtype t)
{
    const bool is_float = t == OCT_F32 || t == OCT_F64 || t == OCT_F16 || t == OCT_BF16;
    switch (op) {
    case OCT_OP_AND:
    case OCT_OP_OR:
    case OCT_OP_XOR:
        return t == OCT_BOOL;
    case OCT_OP_BIT_SHIFT:
    case OCT_OP_BITWISE_AND:
    case OCT_OP_BITWISE_OR:
    case OCT_OP_BITWISE_XOR:
        return !is_float && t != OCT_BOOL;
    default:
        return true;
    }
}

oct_status oct_op_infer_binary(oct_graph *g, oct_node *n)
{
    oct_value *a, *b;
    oct_shape s;
    OCT_TRY(oct_infer_need(n, 0, &a));
    OCT_TRY(oct_infer_need(n, 1, &b));
    if (a->dtype != b->dtype && n->op != OCT_OP_POW && !n->int8)
        return oct_op_bad(n, "the inputs have types %s and %s", oct_dtype_name(a->dtype), oct_dtype_name(b->dtype));
    if (!takes(n->op, a->dtype))
        return oct_op_bad(n, "the inputs have type %s", oct_dtype_name(a->dtype));
    OCT_TRY(oct_infer_broadcast(g, n, &a->shape, &b->shape, &s));
    if (n->op == OCT_OP_PRELU && a->shape.rank >= 0 && b->shape.rank > a->shape.rank)
        return oct_op_bad(n, "the slope has rank %d, the input %d", (int)b->shape.rank, (int)a->shape.rank);
    OCT_TRY(oct_infer_out(g, n, 0, is_comparison(n->op) ? OCT_BOOL : a->dtype, &s));
    if (oct_op_get(n->op)->flags & OCT_OPF_S)
        return follow(g, n);
    return OCT_OK;
}

static oct_binary_fn function_of(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_GREATER_EQUAL:
        return OCT_BINARY_GREATER_EQUAL;
    case OCT_OP_LESS_EQUAL:
        return OCT_BINARY_LESS_EQUAL;
    case OCT_OP_MOD:
        return oct_node_int(n, "fmod", 0) ? OCT_BINARY_FMOD : OCT_BINARY_MOD;
    case OCT_OP_AND:
    case OCT_OP_BITWISE_AND:
        return OCT_BINARY_AND;
    case OCT_OP_OR:
    case OCT_OP_BITWISE_OR:
        return OCT_BINARY_OR;
    case OCT_OP_XOR:
    case OCT_OP_BITWISE_XOR:
        return OCT_BINARY_XOR;
    case OCT_OP_BIT_SHIFT:
        return strcmp(oct_node_string(n, "direction", "LEFT"), "RIGHT") == 0 ? OCT_BINARY_SHIFT_RIGHT : OCT_BINARY_SHIFT_LEFT;
    case OCT_OP_SUB:
        return OCT_BINARY_SUB;
    case OCT_OP_MUL:
        return OCT_BINARY_MUL;
    case OCT_OP_DIV:
        return OCT_BINARY_DIV;
    case OCT_OP_POW:
        return OCT_BINARY_POW;
    case OCT_OP_PRELU:
        return OCT_BINARY_PRELU;
    case OCT_OP_EQUAL:
        return OCT_BINARY_EQUAL;
    case OCT_OP_GREATER:
        return OCT_BINARY_GREATER;
    case OCT_OP_LESS:
        return OCT_BINARY_LESS;
    default:
        return OCT_BINARY_ADD;
    }
}

static oct_status lower_codes(oct_lower *l, oct_node *n)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1], *y = n->outputs[0];
    bool mul = n->op == OCT_OP_MUL, sub = n->op == OCT_OP_SUB;
    oct_stored_quant qa, qb, qy;
    int32_t in[2], out;
    if (n->op == OCT_OP_PRELU) {
        oct_p_unary p = {.fn = OCT_UNARY_LEAKY_RELU};
        if (!oct_value_scalar(b, &p.alpha))
            return oct_op_unsupported(n, "INT8 needs one constant slope");
        OCT_TRY(oct_lower_quant(l, a, &qa));
        OCT_TRY(oct_lower_quant(l, y, &qy));
        OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_ANY, &in[0]));
        OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, a), &out));
        return oct_lower_table(l, in[0], &qa, out, &qy, &p);
    }
    if (!mul && !sub && n->op != OCT_OP_ADD)
        return oct_op_unsupported(n, "no INT8 form");
    OCT_TRY(oct_lower_quant(l, a, &qa));
    OCT_TRY(oct_lower_quant(l, b, &qb));
    OCT_TRY(oct_lower_quant(l, y, &qy));
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_in(l, b, OCT_LAYOUT_ANY, &in[1]));
    OCT_TRY(oct_lower_out(l, y, oct_lower_joint_layout(l, n), &out));
    oct_p_qbinary p = {{.za = qa.zero, .zb = qb.zero, .z = qy.zero, .lo = qy.lo, .hi = qy.hi}};
    if (mul)
        p.q.ma = (float)((double)qa.scale * qb.scale / qy.scale);
    else {
        p.q.ma = (float)((double)qa.scale / qy.scale);
        p.q.mb = (float)((double)qb.scale / qy.scale * (sub ? -1 : 1));
    }
    if (n->fused.clamp) {
        p.q.lo = oct_quantize(n->fused.lo, qy.scale, qy.zero, qy.lo, qy.hi);
        p.q.hi = oct_quantize(n->fused.hi, qy.scale, qy.zero, qy.lo, qy.hi);
    }
    /* The kernels stream the first input; sums and products commute exactly, so the smaller operand goes second. */
    if (!oct_shape_equal(&a->shape, &y->shape) && oct_shape_equal(&b->shape, &y->shape)) {
        int32_t t = in[0];
        in[0] = in[1];
        in[1] = t;
        oct_qbinary q = p.q;
        p.q.za = q.zb;
        p.q.zb = q.za;
        if (!mul) {
            p.q.ma = q.mb;
            p.q.mb = q.ma;
        }
    }
    const char *tactic = mul ? oct_lower_pick(l, OCT_FAMILY_qmul, 0, 0, oct_qmul_best(l->isa)->name)
                             : oct_lower_pick(l, OCT_FAMILY_qadd, 0, 0, oct_qadd_best(l->isa)->name);
    return oct_lower_step(l, mul ? OCT_STEP_QMUL : OCT_STEP_QADD, OCT_PREC_INT8, tactic, 2, in, 1, &out, &p, sizeof p, NULL);
}

/* Powers that frameworks write often are exact products: x^2, x^3 = x*x*x, sqrt. *done when handled. */
static oct_status lower_power(oct_lower *l, oct_node *n, bool *done)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    float exponent;
    int32_t in[2], square, out;
    *done = false;
    if (x->dtype != OCT_F32 || !oct_value_scalar(n->inputs[1], &exponent) || !oct_shape_equal(&x->shape, &y->shape) ||
        (exponent != 2 && exponent != 3 && exponent != 0.5f))
        return OCT_OK;
    *done = true;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    if (exponent == 0.5f) {
        oct_p_unary p = {.fn = OCT_UNARY_SQRT};
        OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
        return oct_lower_step(l, OCT_STEP_UNARY, OCT_PREC_FLOAT, "", 1, in, 1, &out, &p, sizeof p, NULL);
    }
    oct_p_binary p = {OCT_BINARY_MUL, -INFINITY, INFINITY};
    in[1] = in[0];
    if (exponent == 3) {
        OCT_TRY(oct_lower_temp_like(l, in[0], OCT_F32, &square));
        OCT_TRY(oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &square, &p, sizeof p, NULL));
        in[0] = square;
    }
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &out, &p, sizeof p, NULL);
}

oct_status oct_op_lower_binary(oct_lower *l, oct_node *n)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1];
    if (n->int8)
        return lower_codes(l, n);
    if (n->op == OCT_OP_POW) {
        bool done;
        OCT_TRY(lower_power(l, n, &done));
        if (done)
            return OCT_OK;
    }
    oct_p_binary p = {function_of(n), -INFINITY, INFINITY};
    if (n->fused.clamp) {
        p.lo = n->fused.lo;
        p.hi = n->fused.hi;
    }
    int32_t in[2], out, cast;
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_in(l, b, OCT_LAYOUT_ANY, &in[1]));
    if (a->dtype != b->dtype) { /* Pow: the exponent in the type of the base */
        OCT_TRY(oct_lower_temp_like(l, in[1], a->dtype, &cast));
        OCT_TRY(oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &in[1], 1, &cast, &(oct_p_none){0}, sizeof(oct_p_none),
                               NULL));
        in[1] = cast;
    }
    OCT_TRY(oct_lower_out(l, n->outputs[0], oct_lower_joint_layout(l, n), &out));
    return oct_lower_step(l, OCT_STEP_BINARY, oct_lower_precision(a), "", 2, in, 1, &out, &p, sizeof p, NULL);
}
