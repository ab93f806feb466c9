/* ConstantOfShape: one constant element seen through strides of 0. */
#include "op/ops.h"

#include <string.h>

/* The element: attribute 'value', default f32 0. */
static oct_status element(const oct_node *n, oct_dtype *dtype, const void **data)
{
    static const float zero = 0;
    const oct_attr *a = oct_node_attr(n, "value");
    *dtype = OCT_F32;
    *data = &zero;
    if (!a)
        return OCT_OK;
    if (a->kind != OCT_ATTR_TENSOR || oct_tensor_count(&a->tensor) != 1 || !a->tensor.data || !oct_dtype_size(a->tensor.dtype))
        return oct_op_bad(n, "attribute 'value' is no tensor of one element");
    *dtype = a->tensor.dtype;
    *data = a->tensor.data;
    return OCT_OK;
}

oct_status oct_op_infer_constant_of_shape(oct_graph *g, oct_node *n)
{
    oct_value *dims;
    oct_dtype dtype;
    const void *data;
    int64_t known[OCT_KNOWN_MAX];
    oct_shape y;
    OCT_TRY(oct_infer_need(n, 0, &dims));
    OCT_TRY(element(n, &dtype, &data));
    int count = oct_infer_known(dims, known);
    if (count < 0)
        return oct_infer_unknown(g, n, dtype);
    if (count > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", count, OCT_MAX_RANK);
    y.rank = count;
    for (int i = 0; i < count; i++) {
        if (known[i] == OCT_KNOWN_NONE)
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[i]));
        else if (oct_known_symbol(known[i]))
            y.dim[i] = oct_dim_of_symbol(known[i]);
        else if (known[i] < 0)
            return oct_op_bad(n, "%lld in the shape", (long long)known[i]);
        else
            y.dim[i] = known[i];
    }
    OCT_TRY(oct_infer_out(g, n, 0, dtype, &y));
    int64_t length = y.rank ? y.dim[0] : 1, value = 0, r[OCT_KNOWN_MAX];
    if (y.rank > 1 || length < 0 || length > OCT_KNOWN_MAX || (dtype != OCT_S64 && dtype != OCT_S32))
        return OCT_OK;
    value = dtype == OCT_S64 ? *(const int64_t *)data : *(const int32_t *)data;
    for (int64_t i = 0; i < length; i++)
        r[i] = oct_known_literal(value) ? value : OCT_KNOWN_NONE;
    return oct_infer_set_known(g, n, 0, r, (int)length);
}

oct_status oct_op_lower_constant_of_shape(oct_lower *l, oct_node *n)
{
    oct_dtype dtype;
    const void *data;
    int64_t strides[OCT_MAX_RANK] = {0};
    int32_t one;
    OCT_TRY(element(n, &dtype, &data));
    OCT_TRY(oct_lower_const(l, dtype, 0, NULL, data, &one));
    return oct_lower_view(l, n->outputs[0], one, strides, 0);
}
