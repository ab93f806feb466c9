/* Unary elementwise operators.  Floats: one UNARY step that follows its input's layout. It writes
 * codes where a pass has given it a Q. Codes: a 256-entry table. Integers: the few
 * that ONNX defines. Clip with computed or integer limits is a pair of BINARY steps. */
#include "op/ops.h"

#include <math.h>
#include <string.h>
#include "op/code.h"

oct_status oct_op_infer_unary(oct_graph *g, oct_node *n)
{
    oct_value *x;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (n->op == OCT_OP_NOT && x->dtype != OCT_BOOL)
        return oct_op_bad(n, "the input has type %s, not bool", oct_dtype_name(x->dtype));
    if (n->op == OCT_OP_BITWISE_NOT && (x->dtype == OCT_F32 || x->dtype == OCT_F64 || x->dtype == OCT_F16 || x->dtype == OCT_BF16))
        return oct_op_bad(n, "the input has type %s, no integer", oct_dtype_name(x->dtype));
    for (int i = 1; i < n->input_count; i++) {
        oct_value *limit = n->inputs[i];
        if (limit && !n->int8 && limit->dtype != x->dtype)
            return oct_op_bad(n, "limit '%s' has type %s, the input %s", limit->name, oct_dtype_name(limit->dtype),
                              oct_dtype_name(x->dtype));
        if (limit && limit->shape.rank > 0 && !(limit->shape.rank == 1 && limit->shape.dim[0] == 1))
            return oct_op_bad(n, "limit '%s' is no scalar", limit->name);
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &x->shape));
    int64_t known[OCT_KNOWN_MAX];
    const int count = n->op == OCT_OP_NEG ? oct_infer_known(x, known) : -1;
    for (int i = 0; i < count; i++)
        known[i] = oct_known_literal(known[i]) && oct_known_literal(-known[i]) ? -known[i] : OCT_KNOWN_NONE;
    return count >= 0 ? oct_infer_set_known(g, n, 0, known, count) : OCT_OK;
}

static oct_status function_of(const oct_node *n, oct_p_unary *p)
{
    oct_p_unary r = {0};
    switch (n->op) {
    case OCT_OP_RELU:
        r.fn = OCT_UNARY_RELU;
        break;
    case OCT_OP_LEAKY_RELU:
        r.fn = OCT_UNARY_LEAKY_RELU;
        r.alpha = oct_node_float(n, "alpha", 0.01f);
        break;
    case OCT_OP_CLIP:
        r.fn = OCT_UNARY_CLIP;
        r.alpha = -INFINITY;
        r.beta = INFINITY;
        break;
    case OCT_OP_SIGMOID:
        r.fn = OCT_UNARY_SIGMOID;
        break;
    case OCT_OP_HARD_SIGMOID:
        r.fn = OCT_UNARY_HARD_SIGMOID;
        r.alpha = oct_node_float(n, "alpha", 0.2f);
        r.beta = oct_node_float(n, "beta", 0.5f);
        break;
    case OCT_OP_HARD_SWISH:
        r.fn = OCT_UNARY_HARD_SWISH;
        break;
    case OCT_OP_TANH:
        r.fn = OCT_UNARY_TANH;
        break;
    case OCT_OP_ELU:
        r.fn = OCT_UNARY_ELU;
        r.alpha = oct_node_float(n, "alpha", 1);
        break;
    case OCT_OP_SOFTPLUS:
        r.fn = OCT_UNARY_SOFTPLUS;
        break;
    case OCT_OP_ERF:
        r.fn = OCT_UNARY_ERF;
        break;
    case OCT_OP_EXP:
        r.fn = OCT_UNARY_EXP;
        break;
    case OCT_OP_LOG:
        r.fn = OCT_UNARY_LOG;
        break;
    case OCT_OP_SQRT:
        r.fn = OCT_UNARY_SQRT;
        break;
    case OCT_OP_NEG:
        r.fn = OCT_UNARY_NEG;
        break;
    case OCT_OP_ABS:
        r.fn = OCT_UNARY_ABS;
        break;
    case OCT_OP_RECIPROCAL:
        r.fn = OCT_UNARY_RECIPROCAL;
        break;
    case OCT_OP_GELU: {
        const char *mode = oct_node_string(n, "approximate", "none");
        if (strcmp(mode, "none") != 0 && strcmp(mode, "tanh") != 0)
            return oct_op_bad(n, "approximate is '%s'", mode);
        r.fn = strcmp(mode, "tanh") == 0 ? OCT_UNARY_GELU_TANH : OCT_UNARY_GELU;
        break;
    }
    case OCT_OP_SILU:
        r.fn = OCT_UNARY_SILU;
        break;
    case OCT_OP_FLOOR:
        r.fn = OCT_UNARY_FLOOR;
        break;
    case OCT_OP_CEIL:
        r.fn = OCT_UNARY_CEIL;
        break;
    case OCT_OP_NOT:
        r.fn = OCT_UNARY_NOT;
        break;
    case OCT_OP_ROUND:
        r.fn = OCT_UNARY_ROUND;
        break;
    case OCT_OP_SIGN:
        r.fn = OCT_UNARY_SIGN;
        break;
    case OCT_OP_SIN:
        r.fn = OCT_UNARY_SIN;
        break;
    case OCT_OP_COS:
        r.fn = OCT_UNARY_COS;
        break;
    case OCT_OP_TAN:
        r.fn = OCT_UNARY_TAN;
        break;
    case OCT_OP_ASIN:
        r.fn = OCT_UNARY_ASIN;
        break;
    case OCT_OP_ACOS:
        r.fn = OCT_UNARY_ACOS;
        break;
    case OCT_OP_ATAN:
        r.fn = OCT_UNARY_ATAN;
        break;
    case OCT_OP_SINH:
        r.fn = OCT_UNARY_SINH;
        break;
    case OCT_OP_COSH:
        r.fn = OCT_UNARY_COSH;
        break;
    case OCT_OP_ASINH:
        r.fn = OCT_UNARY_ASINH;
        break;
    case OCT_OP_ACOSH:
        r.fn = OCT_UNARY_ACOSH;
        break;
    case OCT_OP_ATANH:
        r.fn = OCT_UNARY_ATANH;
        break;
    case OCT_OP_BITWISE_NOT:
        r.fn = OCT_UNARY_BIT_NOT;
        break;
    default:
        return oct_fail(OCT_ERR_INTERNAL, "%s is not unary", oct_op_get(n->op)->name);
    }
    *p = r;
    return OCT_OK;
}

/* Constant limits of Clip into p; *steps when a limit is computed at run time. */
static oct_status clip_limits(const oct_node *n, oct_p_unary *p, bool *steps)
{
    const oct_value *lo = oct_node_in(n, 1), *hi = oct_node_in(n, 2);
    *steps = (lo && !oct_value_scalar(lo, &p->alpha)) || (hi && !oct_value_scalar(hi, &p->beta));
    if (isnan(p->alpha) || isnan(p->beta))
        return oct_op_bad(n, "a limit is NaN");
    return OCT_OK;
}

static oct_status binary_step(oct_lower *l, oct_binary_fn fn, int32_t a, int32_t b, int32_t y, oct_precision precision)
{
    oct_p_binary p = {fn, -INFINITY, INFINITY};
    int32_t in[2] = {a, b};
    return oct_lower_step(l, OCT_STEP_BINARY, precision, "", 2, in, 1, &y, &p, sizeof p, NULL);
}

/* Clip with limits as tensors: max, then min. */
static oct_status lower_clip_steps(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0], *lo = oct_node_in(n, 1), *hi = oct_node_in(n, 2);
    oct_precision precision = oct_lower_precision(x);
    int32_t in, low, out, limit;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    if (!lo && !hi)
        return oct_lower_bind(l, y, in);
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    low = in;
    if (lo) {
        low = out;
        if (hi)
            OCT_TRY(oct_lower_temp_like(l, in, x->dtype, &low));
        OCT_TRY(oct_lower_in(l, lo, OCT_LAYOUT_ANY, &limit));
        OCT_TRY(binary_step(l, OCT_BINARY_MAX, in, limit, low, precision));
    }
    if (!hi)
        return OCT_OK;
    OCT_TRY(oct_lower_in(l, hi, OCT_LAYOUT_ANY, &limit));
    return binary_step(l, OCT_BINARY_MIN, low, limit, out, precision);
}

static oct_status lower_codes(oct_lower *l, oct_node *n, const oct_p_unary *p)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_stored_quant qx, qy;
    int32_t in, out;
    OCT_TRY(oct_lower_quant(l, x, &qx));
    OCT_TRY(oct_lower_quant(l, y, &qy));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_table(l, in, &qx, out, &qy, p);
}

/* Floats to codes. The codes keep the layout: bytes are moved more cheaply than floats, should a reader want another. */
static oct_status lower_to_codes(oct_lower *l, oct_node *n, oct_p_unary *p)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_stored_quant q;
    int32_t in, out;
    OCT_TRY(oct_lower_quant(l, y, &q));
    p->scale = q.scale;
    p->zero = q.zero;
    p->lo = q.lo;
    p->hi = q.hi;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    const char *tactic = oct_lower_pick(l, OCT_FAMILY_quantize, 0, 0, oct_quantize_best(l->isa)->name);
    return oct_lower_step(l, OCT_STEP_UNARY, OCT_PREC_FLOAT, tactic, 1, &in, 1, &out, p, sizeof *p, NULL);
}

oct_status oct_op_lower_unary(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_unary p;
    bool steps = false;
    OCT_TRY(function_of(n, &p));
    if (n->op == OCT_OP_CLIP)
        OCT_TRY(clip_limits(n, &p, &steps));
    if (n->int8 && steps)
        return oct_op_unsupported(n, "INT8 needs constant limits");
    if (n->int8)
        return lower_codes(l, n, &p);
    if (x->dtype == OCT_F32 && y->dtype != OCT_F32)
        return lower_to_codes(l, n, &p);
    bool exact =
        n->op == OCT_OP_RELU || n->op == OCT_OP_NEG || n->op == OCT_OP_ABS || n->op == OCT_OP_NOT || n->op == OCT_OP_SIGN || n->op == OCT_OP_BITWISE_NOT; /* defined on integers */
    if (n->op == OCT_OP_CLIP && (steps || x->dtype != OCT_F32))
        return lower_clip_steps(l, n);
    if (x->dtype != OCT_F32 && (!exact || oct_lower_precision(x) == OCT_PREC_FLOAT))
        return oct_op_unsupported(n, "type %s", oct_dtype_name(x->dtype));
    int32_t in, out;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_UNARY, oct_lower_precision(x), "", 1, &in, 1, &out, &p, sizeof p, NULL);
}
