/* From the form of an old opset to the canonical one (opset 21, ir/op_defs.inc).  One row per operator that changed; a row says up to
 * which opset it applies.  Runs node by node in execution order, with the shapes of the node's inputs inferred. */
#include "onnx/functions.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include "num/num.h"

typedef oct_status upgrade_fn(oct_graph *g, oct_node *n, int64_t opset);

oct_op oct_onnx_op_find(const char *op_type, const char *domain)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    if (strcmp(domain, "octavo") == 0)
        return OCT_OP_NONE; /* internal: never in files */
    if (oct_onnx_expands(op_type, domain))
        return OCT_OP_QUANTIZE; /* what it ends with */
    if (!*domain && oct_function_find(op_type))
        return OCT_OP_IDENTITY; /* until its body takes its place */
    if (strcmp(domain, "com.microsoft") == 0) {
        static const char *const same[] = {"QuantizeLinear", "DequantizeLinear", "Gelu"}; /* newer forms in older opsets */
        for (size_t i = 0; i < sizeof same / sizeof *same; i++)
            if (strcmp(op_type, same[i]) == 0)
                return oct_op_find(op_type, "");
    }
    if (!*domain && strcmp(op_type, "Dropout") == 0)
        return OCT_OP_IDENTITY;
    if (!*domain && strcmp(op_type, "Upsample") == 0)
        return OCT_OP_RESIZE;
    if (!*domain && strcmp(op_type, "Scatter") == 0)
        return OCT_OP_SCATTER_ELEMENTS;
    return oct_op_find(op_type, domain);
}

static oct_status unsupported(const oct_node *n, const char *what)
{
    return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': %s", n->name, what);
}

/* --- attributes to inputs --- */

/* Put v at input `index`; inputs in between are absent. */
static oct_status put_input(oct_graph *g, oct_node *n, int index, oct_value *v)
{
    while (n->input_count < index)
        OCT_TRY(oct_node_set_input(g, n, n->input_count, NULL));
    return oct_node_set_input(g, n, index, v);
}

static oct_status const_name(oct_graph *g, const oct_node *n, const char *what, char **out)
{
    return oct_arena_printf(g->arena, out, "%s_%s", n->name, what);
}

static oct_status ints_to_input(oct_graph *g, oct_node *n, const char *attr, int index)
{
    const oct_attr *a = oct_node_attr(n, attr);
    char *name = NULL;
    oct_value *v = NULL;
    if (!a)
        return OCT_OK;
    if (oct_node_in(n, index))
        return oct_fail(OCT_ERR_CONTENT, "node '%s' has both attribute '%s' and input %d", n->name, attr, index);
    OCT_TRY(const_name(g, n, attr, &name));
    OCT_TRY(oct_value_const(g, name, OCT_S64, 1, &a->n, a->ints, &v));
    oct_node_drop_attr(n, attr);
    return put_input(g, n, index, v);
}

/* A scalar of the node's own element type. */
static oct_status float_to_input(oct_graph *g, oct_node *n, const char *what, float f, int index)
{
    oct_dtype dtype = n->inputs[0] ? n->inputs[0]->dtype : OCT_F32;
    double d = (double)f;
    uint16_t h = dtype == OCT_F16 ? oct_f32_to_f16(f) : oct_f32_to_bf16(f);
    const void *data = dtype == OCT_F64 ? (const void *)&d : dtype == OCT_F16 || dtype == OCT_BF16 ? (const void *)&h : (const void *)&f;
    if (dtype != OCT_F64 && dtype != OCT_F16 && dtype != OCT_BF16)
        dtype = OCT_F32;
    char *name = NULL;
    oct_value *v = NULL;
    OCT_TRY(const_name(g, n, what, &name));
    OCT_TRY(oct_value_const(g, name, dtype, 0, NULL, data, &v));
    return put_input(g, n, index, v);
}

static oct_status up_clip(oct_graph *g, oct_node *n, int64_t opset)
{
    float lo = oct_node_float(n, "min", -FLT_MAX), hi = oct_node_float(n, "max", FLT_MAX);
    if (opset >= 11)
        return OCT_OK;
    oct_node_drop_attr(n, "min");
    oct_node_drop_attr(n, "max");
    if (lo > -FLT_MAX)
        OCT_TRY(float_to_input(g, n, "min", lo, 1));
    return hi < FLT_MAX ? float_to_input(g, n, "max", hi, 2) : OCT_OK;
}

static oct_status up_axes(oct_graph *g, oct_node *n, int64_t opset) { return ints_to_input(g, n, "axes", 1); }

static oct_status up_slice(oct_graph *g, oct_node *n, int64_t opset)
{
    OCT_TRY(ints_to_input(g, n, "starts", 1));
    OCT_TRY(ints_to_input(g, n, "ends", 2));
    return ints_to_input(g, n, "axes", 3);
}

static oct_status up_split(oct_graph *g, oct_node *n, int64_t opset)
{
    OCT_TRY(ints_to_input(g, n, "split", 1));
    if (!oct_node_in(n, 1) && !oct_node_attr(n, "num_outputs"))
        return oct_node_set_int(g, n, "num_outputs", n->output_count);
    return OCT_OK;
}

static oct_status up_pad(oct_graph *g, oct_node *n, int64_t opset)
{
    float value = oct_node_float(n, "value", 0);
    OCT_TRY(ints_to_input(g, n, "pads", 1));
    oct_node_drop_attr(n, "value");
    return value != 0 ? float_to_input(g, n, "value", value, 2) : OCT_OK;
}

/* --- Resize --- */

static oct_status absent_when_empty(oct_graph *g, oct_node *n, int index)
{
    const oct_value *v = oct_node_in(n, index);
    return v && v->data && v->bytes == 0 ? oct_node_set_input(g, n, index, NULL) : OCT_OK;
}

/* Opset 10's Resize and Upsample: asymmetric; nearest rounds down where an axis grows and up where it shrinks. */
static oct_status up_resize_10(oct_graph *g, oct_node *n)
{
    oct_value *scales = oct_node_in(n, 1);
    bool grows = false, shrinks = false, nearest = strcmp(oct_node_string(n, "mode", "nearest"), "nearest") == 0;
    if (n->input_count != 2 || !scales)
        return oct_fail(OCT_ERR_CONTENT, "node '%s' has no scales", n->name);
    OCT_TRY(oct_node_set_input(g, n, 1, NULL));
    OCT_TRY(put_input(g, n, 2, scales));
    OCT_TRY(oct_node_set_string(g, n, "coordinate_transformation_mode", "asymmetric"));
    if (!nearest)
        return OCT_OK;
    if (!scales->data || scales->dtype != OCT_F32)
        return unsupported(n, "nearest resizing of opset 10 and older by scales that are not constant is not supported");
    for (int64_t i = 0; i < scales->bytes / 4; i++) {
        grows |= ((const float *)scales->data)[i] > 1;
        shrinks |= ((const float *)scales->data)[i] < 1;
    }
    if (grows && shrinks)
        return unsupported(n, "nearest resizing of opset 10 and older that grows one axis and shrinks another is not supported");
    return oct_node_set_string(g, n, "nearest_mode", shrinks ? "ceil" : "floor");
}

static oct_status up_resize(oct_graph *g, oct_node *n, int64_t opset)
{
    if (opset <= 10)
        return up_resize_10(g, n);
    for (int i = 1; i <= 3; i++) /* exporters write empty tensors for what they do not use */
        OCT_TRY(absent_when_empty(g, n, i));
    if (oct_node_in(n, 1) && strcmp(oct_node_string(n, "coordinate_transformation_mode", "half_pixel"), "tf_crop_and_resize") != 0)
        OCT_TRY(oct_node_set_input(g, n, 1, NULL)); /* the region has no meaning in other modes */
    return OCT_OK;
}

static oct_status up_upsample(oct_graph *g, oct_node *n, int64_t opset)
{
    const oct_attr *a = oct_node_attr(n, "scales");
    char *name = NULL;
    oct_value *v = NULL;
    if (opset >= 10)
        return unsupported(n, "operator Upsample is not part of opset 10 and newer");
    if (strcmp(oct_node_string(n, "mode", "nearest"), "bilinear") == 0) /* the name of version 1 */
        OCT_TRY(oct_node_set_string(g, n, "mode", "linear"));
    if (a && n->input_count == 1) {
        OCT_TRY(const_name(g, n, "scales", &name));
        OCT_TRY(oct_value_const(g, name, OCT_F32, 1, &a->n, a->floats, &v));
        oct_node_drop_attr(n, "scales");
        OCT_TRY(put_input(g, n, 1, v));
    }
    return up_resize_10(g, n);
}

/* --- Softmax and LogSoftmax below opset 13: over everything from axis on, as one row --- */

oct_status oct_onnx_insert(oct_graph *g, const oct_node *of, oct_node *before, oct_op op, const char *what, int n_in, oct_value *const *in,
                           oct_node **out)
{
    char *name = NULL;
    oct_value *v = NULL;
    OCT_TRY(const_name(g, of, what, &name));
    OCT_TRY(oct_value_add(g, name, name, &v));
    OCT_TRY(oct_node_add(g, before, op, name, n_in, in, 1, &v, out));
    (*out)->source_count = 0;
    return oct_node_add_source(g, *out, of);
}

/* x -> Flatten(axis) -> Softmax(1) -> Reshape(Shape(x)) */
static oct_status wrap_softmax(oct_graph *g, oct_node *n, int axis)
{
    oct_value *x = n->inputs[0];
    oct_node *shape = NULL, *flat = NULL, *rows = NULL;
    OCT_TRY(oct_onnx_insert(g, n, n, OCT_OP_SHAPE, "shape", 1, &x, &shape));
    OCT_TRY(oct_onnx_insert(g, n, n, OCT_OP_FLATTEN, "flat", 1, &x, &flat));
    if (axis != 1)
        OCT_TRY(oct_node_set_int(g, flat, "axis", axis));
    OCT_TRY(oct_onnx_insert(g, n, n, n->op, "rows", 1, flat->outputs, &rows));
    OCT_TRY(oct_op_get(shape->op)->infer(g, shape));
    OCT_TRY(oct_op_get(flat->op)->infer(g, flat));
    OCT_TRY(oct_op_get(rows->op)->infer(g, rows));
    /* n itself becomes the Reshape, so that the node after which the output is named stays last */
    n->op = OCT_OP_RESHAPE;
    oct_node_drop_attr(n, "axis");
    OCT_TRY(oct_node_set_input(g, n, 0, rows->outputs[0]));
    return put_input(g, n, 1, shape->outputs[0]);
}

static oct_status up_softmax(oct_graph *g, oct_node *n, int64_t opset)
{
    const oct_value *x = oct_node_in(n, 0);
    int64_t axis = oct_node_int(n, "axis", opset < 13 ? 1 : -1);
    if (opset >= 13 || !x) {
        if (axis == -1)
            oct_node_drop_attr(n, "axis");
        return OCT_OK;
    }
    if (x->shape.rank < 0)
        return unsupported(n, "softmax of opset 12 and older over a tensor of unknown rank is not supported");
    int rank = x->shape.rank;
    if (axis < -rank || axis > rank || (rank == 0 && axis != 0))
        return oct_fail(OCT_ERR_CONTENT, "node '%s': axis %lld of a tensor of rank %d", n->name, (long long)axis, rank);
    axis += axis < 0 ? rank : 0;
    int only = -1, others = 0; /* one dimension other than 1 behind the axis: the new form along that one is the same */
    for (int i = (int)axis; i < rank; i++)
        if (x->shape.dim[i] != 1)
            only = i, others++;
    if (others > 1)
        return wrap_softmax(g, n, (int)axis);
    if (others == 0)
        only = rank - 1;
    if (rank == 0 || axis == rank)
        return unsupported(n, "softmax over no dimension is not supported");
    if (only != rank - 1)
        return oct_node_set_int(g, n, "axis", only);
    oct_node_drop_attr(n, "axis");
    return OCT_OK;
}

/* --- training forms and types --- */

static oct_status up_dropout(oct_graph *g, oct_node *n, int64_t opset)
{
    const oct_value *training = oct_node_in(n, 2);
    if (training && (!training->data || training->bytes != 1 || *(const uint8_t *)training->data))
        return unsupported(n, "Dropout in training mode is not supported");
    for (int i = 1; i < n->input_count; i++)
        OCT_TRY(oct_node_set_input(g, n, i, NULL));
    return OCT_OK;
}

static oct_status up_quantize(oct_graph *g, oct_node *n, int64_t opset)
{
    oct_dtype dtype = (oct_dtype)oct_node_int(n, "output_dtype", 0);
    const oct_value *scale = oct_node_in(n, 1), *zero = oct_node_in(n, 2);
    if (dtype == OCT_DTYPE_NONE || zero) {
        if (zero && dtype != OCT_DTYPE_NONE && zero->dtype != dtype)
            return oct_fail(OCT_ERR_CONTENT, "node '%s': output_dtype is %s and the zero point %s", n->name, oct_dtype_name(dtype),
                            oct_dtype_name(zero->dtype));
        oct_node_drop_attr(n, "output_dtype");
        return OCT_OK;
    }
    int64_t size = dtype == OCT_U4 || dtype == OCT_S4 ? 1 : (int64_t)oct_dtype_size(dtype), count;
    if (size == 0 || size > 2 || dtype == OCT_BOOL || dtype == OCT_F16 || dtype == OCT_BF16 || !scale)
        return unsupported(n, "this output_dtype is not supported");
    OCT_TRY(oct_shape_count(&scale->shape, &count));
    char *name = NULL;
    void *zeros = NULL;
    oct_value *v = NULL;
    OCT_TRY(const_name(g, n, "zero", &name));
    OCT_TRY(oct_arena_alloc(g->arena, count * size, &zeros));
    OCT_TRY(oct_value_const(g, name, dtype, scale->shape.rank, scale->shape.dim, zeros, &v));
    oct_node_drop_attr(n, "output_dtype");
    return put_input(g, n, 2, v);
}

static oct_status up_dequantize(oct_graph *g, oct_node *n, int64_t opset)
{
    int64_t dtype = oct_node_int(n, "output_dtype", 0);
    const oct_value *scale = oct_node_in(n, 1);
    if (dtype != 0 && (!scale || dtype != (int64_t)scale->dtype))
        return unsupported(n, "an output_dtype other than the scale's is not supported");
    oct_node_drop_attr(n, "output_dtype");
    return OCT_OK;
}

/* --- operators on indices --- */

static oct_status up_scatter(oct_graph *g, oct_node *n, int64_t opset)
{
    return opset < 11 ? OCT_OK : unsupported(n, "operator Scatter is not part of opset 11 and newer");
}

static oct_status up_top_k(oct_graph *g, oct_node *n, int64_t opset)
{
    const int64_t k = oct_node_int(n, "k", 0), one = 1;
    char *name = NULL;
    oct_value *v = NULL;
    OCT_TRY(const_name(g, n, "k", &name));
    OCT_TRY(oct_value_const(g, name, OCT_S64, 1, &one, &k, &v));
    oct_node_drop_attr(n, "k");
    return put_input(g, n, 1, v);
}

/* --- the table --- */

static const struct {
    const char *op_type;
    int64_t below; /* applies to opsets below this one; 0 = to all */
    upgrade_fn *fn;
} table[] = {
    {"Clip", 11, up_clip},
    {"Dropout", 0, up_dropout},
    {"DequantizeLinear", 0, up_dequantize},
    {"LogSoftmax", 0, up_softmax},
    {"Pad", 11, up_pad},
    {"QuantizeLinear", 0, up_quantize},
    {"ReduceL1", 18, up_axes},
    {"ReduceL2", 18, up_axes},
    {"ReduceLogSum", 18, up_axes},
    {"ReduceLogSumExp", 18, up_axes},
    {"ReduceSumSquare", 18, up_axes},
    {"ReduceMax", 18, up_axes},
    {"ReduceMean", 18, up_axes},
    {"ReduceMin", 18, up_axes},
    {"ReduceProd", 18, up_axes},
    {"ReduceSum", 13, up_axes},
    {"Resize", 0, up_resize},
    {"Slice", 10, up_slice},
    {"Softmax", 0, up_softmax},
    {"Split", 18, up_split},
    {"Squeeze", 13, up_axes},
    {"Unsqueeze", 13, up_axes},
    {"Scatter", 0, up_scatter},
    {"TopK", 10, up_top_k},
    {"Upsample", 0, up_upsample},
};

static bool is_needed(const oct_value *v) { return v && (v->user_count > 0 || v->is_output); }

/* Optional outputs that nobody reads (training statistics, masks, indices) go; so do absent inputs at the end. */
static oct_status trim(oct_graph *g, oct_node *n, const oct_op_def *def, const char *op_type)
{
    while (n->output_count > def->min_out) {
        oct_value *last = n->outputs[n->output_count - 1];
        if (is_needed(last))
            break;
        if (last)
            last->producer = NULL;
        n->output_count--;
    }
    if (def->max_out >= 0 && n->output_count > def->max_out)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': output %d ('%s') of operator %s is not supported", n->name, (int)n->output_count - 1,
                        n->outputs[n->output_count - 1]->name, op_type);
    while (n->input_count > def->min_in && !n->inputs[n->input_count - 1])
        n->input_count--;
    return OCT_OK;
}

oct_status oct_onnx_upgrade(oct_graph *g, oct_node *n, const char *op_type, int64_t opset)
{
    const oct_op_def *def = oct_op_get(n->op);
    const oct_function *function = n->op == OCT_OP_IDENTITY ? oct_function_find(op_type) : NULL;
    bool splits = def->max_out < 0; /* every output of Split counts, read or not */
    if (oct_onnx_expands(op_type, NULL))
        OCT_TRY(oct_onnx_expand(g, n, op_type));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].op_type, op_type) == 0 && (table[i].below == 0 || opset < table[i].below))
            OCT_TRY(table[i].fn(g, n, opset));
    OCT_TRY(oct_onnx_attrs_check(n, op_type, opset));
    if (function)
        OCT_TRY(oct_function_expand(g, n, function, op_type, opset));
    def = oct_op_get(n->op);
    if (!splits)
        OCT_TRY(trim(g, n, def, op_type));
    int max_in = n->op == OCT_OP_MATMUL ? 2 : def->max_in; /* its bias exists only in graphs that the optimizer made */
    if (n->input_count < def->min_in || (max_in >= 0 && n->input_count > max_in))
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s (opset %lld) has %d inputs", n->name, op_type, (long long)opset, (int)n->input_count);
    if (n->output_count < def->min_out)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s has %d outputs", n->name, op_type, (int)n->output_count);
    for (int i = 0; i < def->min_in; i++)
        if (!n->inputs[i])
            return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s (opset %lld) lacks input %d", n->name, op_type, (long long)opset, i);
    return OCT_OK;
}
