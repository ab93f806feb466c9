/* Shape inference over a graph: calls each operator's own function in execution order.  What an operator does with shapes
 * stands in src/op; here is only the walk, and the binding of symbols. */
#include "ir/op.h"

oct_status oct_graph_infer(oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        oct_status s = oct_op_get(n->op)->infer(g, n);
        if (s != OCT_OK)
            return oct_fail_node(s, n->name);
    }
    return OCT_OK;
}

oct_status oct_graph_bind(oct_graph *g, const int64_t *dim_values)
{
    for (int64_t i = 0; i < g->input_count; i++) {
        oct_shape *s = &g->inputs[i]->shape;
        for (int k = 0; k < s->rank; k++)
            if (s->dim[k] < 0 && dim_values[-1 - s->dim[k]] >= 0)
                s->dim[k] = dim_values[-1 - s->dim[k]];
    }
    for (int64_t i = 0; i < g->value_count; i++) {
        oct_value *v = g->values[i];
        if (!v->producer)
            continue; /* graph inputs and constants keep what they are */
        if (!v->quant) /* code tensors keep the type that a pass gave them */
            v->dtype = OCT_DTYPE_NONE;
        v->shape.rank = -1;
        v->known = NULL;
    }
    return oct_graph_infer(g);
}
