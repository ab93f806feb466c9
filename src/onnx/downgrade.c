/* From canonical forms (opset 21) to the opset that a file is written in.  The exporter takes the smallest opset that expresses every
 * node, so only forms that have an older twin need a rule here. */
#include "onnx/proto.h"

#include <string.h>

enum { OLDEST_WRITTEN = 13 }; /* per-axis QuantizeLinear begins there, and all older forms have upgraded */

static bool reduces_by_attribute(oct_op op)
{
    return op == OCT_OP_REDUCE_MEAN || op == OCT_OP_REDUCE_MAX || op == OCT_OP_REDUCE_MIN || op == OCT_OP_REDUCE_PROD;
}

static bool is_wide_code(const oct_value *v)
{
    return v && (v->dtype == OCT_U16 || v->dtype == OCT_S16 || v->dtype == OCT_U4 || v->dtype == OCT_S4);
}

static int64_t reduce_needs(const oct_node *n)
{
    const oct_value *axes = oct_node_in(n, 1);
    if (n->inputs[0]->dtype == OCT_BOOL)
        return 20;
    return (axes && !axes->data) || ((!axes || axes->bytes == 0) && oct_node_int(n, "noop_with_empty_axes", 0)) ? 18 : 0;
}

static int64_t split_needs(const oct_node *n)
{
    const oct_shape *s = &n->inputs[0]->shape;
    int64_t axis = oct_node_int(n, "axis", 0);
    axis += axis < 0 ? s->rank : 0;
    if (oct_node_in(n, 1) || axis < 0 || axis >= s->rank || s->dim[axis] < 0)
        return 0;
    return s->dim[axis] % n->output_count ? 18 : 0; /* an uneven last part is new */
}

static int64_t resize_needs(const oct_node *n)
{
    if (strcmp(oct_node_string(n, "coordinate_transformation_mode", ""), "half_pixel_symmetric") == 0)
        return 19;
    return oct_node_attr(n, "antialias") || oct_node_attr(n, "axes") || oct_node_attr(n, "keep_aspect_ratio_policy") ? 18 : 0;
}

static int64_t quant_needs(const oct_node *n)
{
    if (oct_node_attr(n, "block_size") || is_wide_code(oct_node_in(n, 2)) || (n->op == OCT_OP_DEQUANTIZE && is_wide_code(n->inputs[0])))
        return 21;
    return n->inputs[1]->dtype == OCT_F32 ? 0 : 19;
}

static int64_t form_needs(const oct_node *n)
{
    oct_dtype x = n->input_count && n->inputs[0] ? n->inputs[0]->dtype : OCT_DTYPE_NONE;
    if (reduces_by_attribute(n->op))
        return reduce_needs(n);
    switch (n->op) {
    case OCT_OP_SPLIT: return split_needs(n);
    case OCT_OP_RESIZE: return resize_needs(n);
    case OCT_OP_QUANTIZE:
    case OCT_OP_DEQUANTIZE: return quant_needs(n);
    case OCT_OP_PAD: return strcmp(oct_node_string(n, "mode", ""), "wrap") == 0 ? 19 : oct_node_in(n, 3) ? 18 : 0;
    case OCT_OP_AVERAGE_POOL: return oct_node_attr(n, "dilations") ? 19 : 0;
    case OCT_OP_RESHAPE: return oct_node_attr(n, "allowzero") ? 14 : 0;
    case OCT_OP_SHAPE: return oct_node_attr(n, "start") || oct_node_attr(n, "end") ? 15 : 0;
    case OCT_OP_ADD:
    case OCT_OP_SUB:
    case OCT_OP_MUL:
    case OCT_OP_DIV: return x == OCT_U8 || x == OCT_S8 || x == OCT_U16 || x == OCT_S16 ? 14 : 0;
    default: return x == OCT_U4 || x == OCT_S4 ? 21 : 0;
    }
}

int64_t oct_onnx_needs(const oct_node *n)
{
    const oct_op_def *def = oct_op_get(n->op);
    int64_t since = *def->domain ? 0 : def->since;
    return oct_max64(OLDEST_WRITTEN, oct_max64(since, form_needs(n)));
}

oct_status oct_onnx_downgrade(oct_arena *arena, const oct_node *n, int64_t target, Onnx__NodeProto *p)
{
    static const char *const noop[] = {"noop_with_empty_axes", NULL}, *const parts[] = {"num_outputs", NULL};
    if (target >= 18)
        return oct_onnx_attrs_write(arena, n, NULL, p);
    if (n->op == OCT_OP_SPLIT)
        return oct_onnx_attrs_write(arena, n, parts, p);
    if (!reduces_by_attribute(n->op))
        return oct_onnx_attrs_write(arena, n, NULL, p);
    int64_t axes[OCT_MAX_RANK];
    int count = oct_value_ints(oct_node_in(n, 1), axes, OCT_MAX_RANK);
    p->n_input = 1;
    OCT_TRY(oct_onnx_attrs_write(arena, n, noop, p));
    return count > 0 ? oct_onnx_attr_add_ints(arena, p, "axes", axes, count) : OCT_OK;
}
