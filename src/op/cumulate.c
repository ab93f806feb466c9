/* CumSum and CumProd along one axis that is known when the graph is lowered. */
#include "op/ops.h"

#include "plan/params.h"

oct_status oct_op_infer_cumulate(oct_graph *g, oct_node *n)
{
    oct_value *x, *axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &axis));
    return oct_infer_out(g, n, 0, x->dtype, &x->shape);
}

oct_status oct_op_lower_cumulate(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0];
    int64_t known[OCT_KNOWN_MAX];
    int axis;
    int32_t in, out;
    if (oct_infer_known(n->inputs[1], known) != 1 || !oct_known_literal(known[0]))
        return oct_op_unsupported(n, "an axis that is computed at run time");
    if (x->quant || n->int8)
        return oct_op_unsupported(n, "no INT8 form");
    OCT_TRY(oct_infer_axis(n, known[0], x->shape.rank, &axis));
    const oct_p_cumulate p = {axis, oct_node_int(n, "exclusive", 0) != 0, oct_node_int(n, "reverse", 0) != 0, n->op == OCT_OP_CUM_PROD};
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, n->outputs[0], oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_CUMULATE, oct_lower_precision(x), "", 1, &in, 1, &out, &p, sizeof p, NULL);
}
