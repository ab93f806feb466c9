/* Concat: every input is copied into its part of the output; 8-bit inputs with other parameters go through a table on the way. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

oct_status oct_op_infer_concat(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    oct_shape y = x->shape;
    int64_t known[OCT_KNOWN_MAX], part[OCT_KNOWN_MAX];
    int known_count = 0;
    char ta[OCT_SHAPE_TEXT], tb[OCT_SHAPE_TEXT];
    if (!oct_node_attr(n, "axis"))
        return oct_op_bad(n, "attribute 'axis' is missing");
    for (int i = 0; i < n->input_count; i++) {
        oct_value *v;
        OCT_TRY(oct_infer_need(n, i, &v));
        if (v->dtype != x->dtype && !n->int8)
            return oct_op_bad(n, "input %d has type %s, input 0 %s", i, oct_dtype_name(v->dtype), oct_dtype_name(x->dtype));
        if (v->shape.rank < 0)
            return oct_infer_unknown(g, n, x->dtype);
    }
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), y.rank, &axis));
    int64_t sum = 0, symbol = 0;
    int symbols = 0;
    for (int i = 0; i < n->input_count; i++) {
        const oct_value *v = n->inputs[i];
        bool fits = v->shape.rank == y.rank;
        for (int k = 0; fits && k < y.rank; k++) {
            if (k != axis && y.dim[k] < 0 && v->shape.dim[k] >= 0)
                y.dim[k] = v->shape.dim[k];
            fits = k == axis || v->shape.dim[k] < 0 || v->shape.dim[k] == y.dim[k];
        }
        if (!fits)
            return oct_op_bad(n, "inputs of shapes %s and %s do not join on axis %d", oct_shape_text(g, &x->shape, ta),
                              oct_shape_text(g, &v->shape, tb), axis);
        if (v->shape.dim[axis] < 0) {
            symbols++;
            symbol = v->shape.dim[axis];
        } else
            OCT_TRY(oct_size_add(sum, v->shape.dim[axis], &sum));
        int count = y.rank == 1 && known_count >= 0 ? oct_infer_known(v, part) : -1;
        if (count < 0 || known_count + count > OCT_KNOWN_MAX)
            known_count = -1;
        else {
            memcpy(known + known_count, part, (size_t)count * sizeof *part);
            known_count += count;
        }
    }
    if (symbols == 0)
        y.dim[axis] = sum;
    else if (symbols == 1 && sum == 0)
        y.dim[axis] = symbol;
    else
        OCT_TRY(oct_infer_fresh(g, n, axis, &y.dim[axis]));
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    return known_count >= 0 ? oct_infer_set_known(g, n, 0, known, known_count) : OCT_OK;
}

static oct_status lower_part(oct_lower *l, oct_value *x, oct_value *y, int32_t in, int32_t part)
{
    oct_stored_quant qx, qy;
    if (oct_value_stored_quant(x, &qx) && oct_value_stored_quant(y, &qy) && !oct_same_codes(&qx, &qy))
        return oct_lower_table(l, in, &qx, part, &qy, NULL);
    return oct_lower_step(l, OCT_STEP_COPY, oct_lower_precision(y), "", 1, &in, 1, &part, &(oct_p_none){0}, sizeof(oct_p_none),
                          NULL);
}

oct_status oct_op_lower_concat(oct_lower *l, oct_node *n)
{
    oct_value *y = n->outputs[0];
    oct_layout layout = OCT_LAYOUT_PLAIN;
    int axis;
    int32_t out, in, part;
    int64_t at = 0;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), y->shape.rank, &axis));
    if (n->input_count == 1) {
        OCT_TRY(oct_lower_moved(l, n->inputs[0], y, OCT_LAYOUT_ANY, &in));
        return oct_lower_bind(l, y, in);
    }
    for (int i = 0; i < n->input_count; i++)
        if (oct_lower_layout(l, n->inputs[i]) == OCT_LAYOUT_NHWC)
            layout = OCT_LAYOUT_NHWC;
    OCT_TRY(oct_lower_out(l, y, layout, &out));
    for (int i = 0; i < n->input_count; i++) {
        oct_value *x = n->inputs[i];
        const oct_plan_tensor *whole = oct_lower_tensor(l, out);
        int64_t strides[OCT_MAX_RANK], offset = at * whole->strides[axis] * (int64_t)oct_dtype_size((oct_dtype)whole->dtype);
        at += x->shape.dim[axis];
        if (x->shape.dim[axis] == 0)
            continue;
        memcpy(strides, whole->strides, sizeof strides);
        OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
        OCT_TRY(oct_lower_subview(l, out, x->shape.rank, x->shape.dim, strides, offset, &part));
        OCT_TRY(lower_part(l, x, y, in, part));
    }
    return OCT_OK;
}
