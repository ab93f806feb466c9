/* QuantizeLinear behind a float function of one value: the function writes the codes itself, and its float result is never stored.
 * The arithmetic stays that of the two nodes, so the codes are the same bytes. What becomes a table of codes has done so before. */
#include "opt/pass.h"

/* One step computes it from floats alone. */
static bool is_float_function(const oct_node *n)
{
    float lo, hi;
    if (n->int8 || !(oct_op_get(n->op)->flags & OCT_OPF_U) || n->op == OCT_OP_NOT ||
        (n->op == OCT_OP_CLIP && !oct_clamp_of(n, &lo, &hi)))
        return false;
    return n->inputs[0]->dtype == OCT_F32 && n->outputs[0]->dtype == OCT_F32;
}

oct_status oct_pass_unary_codes(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        oct_node *q = is_float_function(n) ? oct_only_quantize(n->outputs[0]) : NULL;
        if (!q)
            continue;
        oct_value *codes = q->outputs[0];
        OCT_TRY(oct_node_add_source(g, n, q));
        oct_node_remove(g, q);
        OCT_TRY(oct_node_set_output(g, n, 0, codes));
        ++*changes;
    }
    return OCT_OK;
}
