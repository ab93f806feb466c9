/* FakeQuant: values on the grid of a quantizer, still float.  Training puts it in and takes it out again, so no plan ever holds one. */
#include "op/ops.h"

oct_status oct_op_infer_fake_quant(oct_graph *g, oct_node *n)
{
    oct_value *x;
    OCT_TRY(oct_infer_need(n, 0, &x));
    return oct_infer_out(g, n, 0, x->dtype, &x->shape);
}

oct_status oct_op_lower_fake_quant(oct_lower *l, oct_node *n)
{
    (void)l;
    return oct_op_unsupported(n, "a quantizer of training in a model that is to be run");
}
