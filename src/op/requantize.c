/* Requantize (internal): codes of one scale to codes of another through a table: quantize(dequantize(q)). */
#include "op/ops.h"

#include "op/code.h"

oct_status oct_op_infer_requantize(oct_graph *g, oct_node *n)
{
    oct_value *x, *y = oct_node_out(n, 0);
    OCT_TRY(oct_infer_need(n, 0, &x));
    /* The type of the result is the pass's choice and stands on the value. */
    oct_dtype dtype = y && y->dtype != OCT_DTYPE_NONE ? y->dtype : x->dtype;
    return oct_infer_out(g, n, 0, dtype, &x->shape);
}

oct_status oct_op_lower_requantize(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_stored_quant qx, qy;
    int32_t in, out;
    OCT_TRY(oct_lower_quant(l, x, &qx));
    OCT_TRY(oct_lower_quant(l, y, &qy));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_table(l, in, &qx, out, &qy, NULL);
}
