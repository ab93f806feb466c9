/* GlobalAveragePool and GlobalMaxPool: a POOL step whose window is the whole plane, any number of spatial axes. */
#include "op/ops.h"

#include "op/code.h"

oct_status oct_op_infer_global_pool(oct_graph *g, oct_node *n)
{
    oct_value *x;
    char text[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (x->shape.rank < 2)
        return oct_op_bad(n, "the input %s has no channels", oct_shape_text(g, &x->shape, text));
    oct_shape y = x->shape;
    for (int i = 2; i < y.rank; i++)
        y.dim[i] = 1;
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

oct_status oct_op_lower_global_pool(oct_lower *l, oct_node *n)
{
    bool is_max = n->op == OCT_OP_GLOBAL_MAX_POOL;
    int32_t out;
    if (n->inputs[0]->shape.rank == 2) {
        OCT_TRY(oct_lower_moved(l, n->inputs[0], n->outputs[0], OCT_LAYOUT_ANY, &out));
        return oct_lower_bind(l, n->outputs[0], out);
    }
    OCT_TRY(oct_lower_out(l, n->outputs[0], OCT_LAYOUT_PLAIN, &out));
    return oct_lower_plane_pool(l, n->inputs[0], n->outputs[0], out, is_max);
}
