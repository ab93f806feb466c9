/* ONNX Runtime's integer operators (QLinear*, QGemm) in the form of Q/DQ models: DequantizeLinear on every operand, the float
 * operator, QuantizeLinear on the result.  Called by the upgrade of a node, with the shapes of its inputs inferred; the node itself
 * becomes the last one, so that the output keeps its producer. Nothing here decides what runs on codes: that is the passes' work,
 * as for any model. */
#include "onnx/proto.h"

#include <stdio.h>
#include <string.h>

/* How the inputs are read, from left to right:
 * a  codes, scale, zero point of one operand, per tensor      w  the same, per tensor or output channel (weights)
 * *  any number of a                                          c  an operand as it is
 * b  s32 bias with the scale of the product of the operands   y  scale, zero point of the result */
typedef struct expansion {
    const char *op_type, *domain, *groups;
    oct_op op;
    int64_t opset;       /* whose form of op the attributes have */
    int weight_axis;     /* of w: axis of the output channels */
    bool optional_scale; /* without y the result stays float */
} expansion;

static const char microsoft[] = "com.microsoft";
static const expansion rows[] = {
    {"QLinearConv", "", "awyb", OCT_OP_CONV, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearMatMul", "", "awy", OCT_OP_MATMUL, OCT_OPSET_CANONICAL, -1, false},
    {"QGemm", microsoft, "awby", OCT_OP_GEMM, OCT_OPSET_CANONICAL, 1, true},
    {"QLinearAdd", microsoft, "aay", OCT_OP_ADD, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearAveragePool", microsoft, "ay", OCT_OP_AVERAGE_POOL, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearConcat", microsoft, "y*", OCT_OP_CONCAT, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearGlobalAveragePool", microsoft, "ay", OCT_OP_GLOBAL_AVERAGE_POOL, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearLeakyRelu", microsoft, "ay", OCT_OP_LEAKY_RELU, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearMul", microsoft, "aay", OCT_OP_MUL, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearReduceMean", microsoft, "ay", OCT_OP_REDUCE_MEAN, 13, 0, false},
    {"QLinearSigmoid", microsoft, "ay", OCT_OP_SIGMOID, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearSoftmax", microsoft, "ay", OCT_OP_SOFTMAX, OCT_OPSET_CANONICAL, 0, false},
    {"QLinearWhere", microsoft, "caay", OCT_OP_WHERE, OCT_OPSET_CANONICAL, 0, false},
};

static const expansion *find_row(const char *op_type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].op_type, op_type) == 0)
            return &rows[i];
    return NULL;
}

bool oct_onnx_expands(const char *op_type, const char *domain)
{
    const expansion *e = find_row(op_type);
    return e && (!domain || strcmp(e->domain, domain) == 0);
}

/* What has been read of the node so far. */
typedef struct work {
    oct_graph *g;
    oct_node *n;
    const expansion *e;
    const char *name;     /* of n in the file */
    int at;               /* next input to read */
    oct_value **operands; /* floats, for the operator */
    int count;
    oct_value *scales[2]; /* of the first two operands */
    oct_value *y_scale, *y_zero;
    oct_dtype code; /* type of the first operand's codes */
} work;

static oct_status bad(const work *w, const char *what, const char *which)
{
    return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s lacks the %s of %s", w->name, w->e->op_type, what, which);
}

static oct_value *take(work *w)
{
    return w->at < w->n->input_count ? w->n->inputs[w->at++] : (w->at++, NULL);
}

static bool is_one(const oct_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1)
            return false;
    return s->rank >= 0;
}

/* A scale or zero point as the scalar or list that Q and DQ know: constant, and with 1s only before its last dimension. */
static oct_status as_list(work *w, oct_value *v, const char *what, bool may_list, oct_value **out)
{
    int64_t count;
    if (!v->data)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': the %s '%s' of operator %s is not a constant", w->name, what, v->name,
                        w->e->op_type);
    OCT_TRY(oct_shape_count(&v->shape, &count));
    if (!is_one(&v->shape) && (!may_list || v->shape.dim[v->shape.rank - 1] != count))
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': the %s '%s' of operator %s has %lld values", w->name, what, v->name,
                        w->e->op_type, (long long)count);
    *out = v;
    if (v->shape.rank <= 1)
        return OCT_OK;
    return oct_value_const(w->g, v->name, v->dtype, count == 1 ? 0 : 1, &count, v->data, out);
}

/* One zero point for many scales is written once for each. */
static oct_status spread(work *w, const oct_value *scale, oct_value **zero)
{
    int64_t scales, zeros;
    void *data = NULL;
    OCT_TRY(oct_shape_count(&scale->shape, &scales));
    OCT_TRY(oct_shape_count(&(*zero)->shape, &zeros));
    if (zeros == scales || zeros != 1)
        return OCT_OK;
    const int64_t size = (*zero)->bytes;
    OCT_TRY(oct_arena_alloc(w->g->arena, scales * size, &data));
    for (int64_t i = 0; i < scales; i++)
        memcpy((char *)data + i * size, (*zero)->data, (size_t)size);
    return oct_value_const(w->g, (*zero)->name, (*zero)->dtype, 1, &scales, data, zero);
}

static oct_status infer(oct_graph *g, oct_node *n)
{
    return oct_op_get(n->op)->infer(g, n);
}

static oct_status dequantize(work *w, oct_value *codes, oct_value *scale, oct_value *zero, int64_t axis, const char *what,
                             oct_value **out)
{
    oct_value *in[3] = {codes, scale, zero};
    oct_node *dq = NULL;
    OCT_TRY(oct_onnx_insert(w->g, w->n, w->n, OCT_OP_DEQUANTIZE, what, zero ? 3 : 2, in, &dq));
    if (axis != 1)
        OCT_TRY(oct_node_set_int(w->g, dq, "axis", axis));
    OCT_TRY(infer(w->g, dq));
    *out = dq->outputs[0];
    return OCT_OK;
}

static oct_status read_operand(work *w, bool may_list)
{
    oct_value *codes = take(w), *scale = take(w), *zero = take(w), *real = NULL;
    if (!codes || !scale)
        return bad(w, codes ? "scale" : "codes", "an operand");
    OCT_TRY(as_list(w, scale, "scale", may_list, &scale));
    if (zero) {
        OCT_TRY(as_list(w, zero, "zero point", may_list, &zero));
        OCT_TRY(spread(w, scale, &zero));
    }
    if (w->count == 0)
        w->code = codes->dtype;
    if (w->count < 2)
        w->scales[w->count] = scale;
    int64_t axis = !may_list || is_one(&scale->shape) ? 1 : oct_node_int(w->n, "transB", 0) ? 0 : w->e->weight_axis;
    char what[24];
    snprintf(what, sizeof what, "real%d", w->count);
    OCT_TRY(dequantize(w, codes, scale, zero, axis, what, &real));
    w->operands[w->count++] = real;
    return OCT_OK;
}

/* The bias holds multiples of s_x * s_w[c] (of alpha as well, for QGemm). */
static oct_status read_bias(work *w)
{
    oct_value *bias = take(w), *scale = NULL, *real = NULL;
    const double alpha = w->e->op == OCT_OP_GEMM ? (double)oct_node_float(w->n, "alpha", 1) : 1;
    const float *sx = w->scales[0]->data, *sw = w->scales[1]->data;
    int64_t count;
    void *data = NULL;
    if (!bias)
        return OCT_OK;
    if (w->scales[0]->dtype != OCT_F32 || w->scales[1]->dtype != OCT_F32 || bias->dtype != OCT_S32)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s takes float scales and a bias of int32, not %s", w->name,
                        w->e->op_type, oct_dtype_name(bias->dtype));
    if (!(alpha > 0))
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s with a bias and alpha %g", w->name, w->e->op_type, alpha);
    OCT_TRY(oct_shape_count(&w->scales[1]->shape, &count));
    OCT_TRY(oct_arena_alloc(w->g->arena, count * (int64_t)sizeof(float), &data));
    for (int64_t i = 0; i < count; i++)
        ((float *)data)[i] = (float)(alpha * (double)sx[0] * (double)sw[i]);
    OCT_TRY(oct_value_const(w->g, bias->name, OCT_F32, count == 1 ? 0 : 1, &count, data, &scale));
    OCT_TRY(dequantize(w, bias, scale, NULL, count == 1 ? 1 : -1, "bias", &real));
    w->operands[w->count++] = real;
    return OCT_OK;
}

static oct_status read_result(work *w)
{
    oct_value *scale = take(w), *zero = take(w);
    if (!scale)
        return w->e->optional_scale && !zero ? OCT_OK : bad(w, "scale", "the result");
    OCT_TRY(as_list(w, scale, "scale", false, &w->y_scale));
    return zero ? as_list(w, zero, "zero point", false, &w->y_zero) : OCT_OK;
}

static oct_status read_inputs(work *w)
{
    oct_value *plain;
    OCT_TRY(oct_arena_alloc(w->g->arena, (int64_t)(w->n->input_count + 3) * (int64_t)sizeof *w->operands, (void **)&w->operands));
    for (const char *group = w->e->groups; *group; group++)
        switch (*group) {
        case 'a':
            OCT_TRY(read_operand(w, false));
            break;
        case 'w':
            OCT_TRY(read_operand(w, true));
            break;
        case 'b':
            OCT_TRY(read_bias(w));
            break;
        case 'y':
            OCT_TRY(read_result(w));
            break;
        case 'c':
            plain = take(w);
            if (!plain)
                return bad(w, "condition", "its choice");
            w->operands[w->count++] = plain;
            break;
        default:
            do
                OCT_TRY(read_operand(w, false));
            while (w->at < w->n->input_count);
        }
    if (w->n->input_count > w->at)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s has %d inputs", w->name, w->e->op_type, (int)w->n->input_count);
    return OCT_OK;
}

/* Channels to axis 1, or from there to the end. */
static oct_status turn(work *w, oct_value **v, bool to_front)
{
    int64_t perm[OCT_MAX_RANK];
    const int rank = (*v)->shape.rank;
    oct_node *t = NULL;
    if (rank < 3)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s with channels last over a tensor of rank %d", w->name,
                        w->e->op_type, rank);
    perm[0] = 0;
    for (int i = 1; i < rank; i++)
        perm[i] = to_front ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    OCT_TRY(oct_onnx_insert(w->g, w->n, w->n, OCT_OP_TRANSPOSE, to_front ? "first" : "last", 1, v, &t));
    OCT_TRY(oct_node_set_ints(w->g, t, "perm", perm, rank));
    OCT_TRY(infer(w->g, t));
    *v = t->outputs[0];
    return OCT_OK;
}

/* The float operator, with the attributes of n in canonical form. */
static oct_status add_operator(work *w, oct_value **result)
{
    oct_node *m = NULL;
    const bool last = oct_node_int(w->n, "channels_last", 0) != 0;
    const int64_t opset = oct_node_int(w->n, "opset", w->e->opset);
    oct_node_drop_attr(w->n, "channels_last");
    oct_node_drop_attr(w->n, "opset");
    if (last)
        OCT_TRY(turn(w, &w->operands[0], true));
    OCT_TRY(oct_onnx_insert(w->g, w->n, w->n, w->e->op, "float", w->count, w->operands, &m));
    m->attrs = w->n->attrs;
    m->attr_count = w->n->attr_count;
    w->n->attrs = NULL;
    w->n->attr_count = 0;
    m->name = w->name;
    if (m->op == OCT_OP_SOFTMAX && !oct_node_attr(m, "axis"))
        OCT_TRY(oct_node_set_int(w->g, m, "axis", -1));
    OCT_TRY(oct_onnx_upgrade(w->g, m, oct_op_get(m->op)->name, opset));
    OCT_TRY(infer(w->g, m));
    *result = m->outputs[0];
    return last ? turn(w, result, false) : OCT_OK;
}

/* n reads what `in` holds and nothing else. */
static oct_status replace_inputs(oct_graph *g, oct_node *n, oct_value *const *in, int count)
{
    for (int i = 0; i < count || i < n->input_count; i++)
        OCT_TRY(oct_node_set_input(g, n, i, i < count ? in[i] : NULL));
    n->input_count = count;
    return OCT_OK;
}

oct_status oct_onnx_expand(oct_graph *g, oct_node *n, const char *op_type)
{
    static const uint8_t none[1];
    work w = {.g = g, .n = n, .e = find_row(op_type), .name = n->name};
    oct_value *in[3] = {NULL};
    char *name = NULL;
    OCT_TRY(read_inputs(&w));
    OCT_TRY(add_operator(&w, &in[0]));
    OCT_TRY(oct_arena_printf(g->arena, &name, w.y_scale ? "%s_quantize" : "%s_result", w.name));
    n->name = name;
    if (!w.y_scale) {
        n->op = OCT_OP_IDENTITY;
        return replace_inputs(g, n, in, 1);
    }
    in[1] = w.y_scale;
    in[2] = w.y_zero;
    if (!in[2]) /* the result has the type of the operands */
        OCT_TRY(oct_value_const(g, name, w.code, 0, NULL, none, &in[2]));
    return replace_inputs(g, n, in, 3);
}
