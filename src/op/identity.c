/* Identity: the output is a view of the input. */
#include "op/ops.h"

#include "op/code.h"

oct_status oct_op_infer_identity(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int64_t known[OCT_KNOWN_MAX];
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &x->shape));
    int count = oct_infer_known(x, known);
    return count >= 0 ? oct_infer_set_known(g, n, 0, known, count) : OCT_OK;
}

oct_status oct_op_lower_identity(oct_lower *l, oct_node *n)
{
    int32_t in;
    OCT_TRY(oct_lower_moved(l, n->inputs[0], n->outputs[0], OCT_LAYOUT_ANY, &in));
    return oct_lower_bind(l, n->outputs[0], in);
}
