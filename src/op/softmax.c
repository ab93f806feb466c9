/* Softmax and LogSoftmax along one axis, always in float (DESIGN 3.7). */
#include "op/ops.h"

oct_status oct_op_infer_softmax(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank >= 0)
        OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), x->shape.rank, &axis));
    return oct_infer_out(g, n, 0, x->dtype, &x->shape);
}

oct_status oct_op_lower_softmax(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0];
    oct_p_softmax p = {.log = n->op == OCT_OP_LOG_SOFTMAX};
    int axis;
    int32_t in, out;
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", -1), x->shape.rank, &axis));
    if (x->dtype != OCT_F32)
        return oct_op_unsupported(n, "type %s", oct_dtype_name(x->dtype));
    p.axis = axis;
    oct_lower_reason(l, p.log ? "no INT8 form of LogSoftmax" : "no INT8 form of Softmax");
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, n->outputs[0], oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_SOFTMAX, OCT_PREC_FLOAT, "", 1, &in, 1, &out, &p, sizeof p, NULL);
}
