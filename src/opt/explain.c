/* Of each operator that computes in float: why it is not INT8 (DESIGN 5.8, promise 5).  Changes no graph. */
#include "opt/pass.h"

static oct_status say(oct_graph *g, oct_node *n, const char *format, const char *name)
{
    char *text;
    OCT_TRY(oct_arena_printf(g->arena, &text, format, name));
    n->reason = text;
    return OCT_OK;
}
#define SAY(format, name) say(g, n, format, name)

/* Why a value that an integer operator would read is no code tensor. */
static oct_status explain_input(oct_graph *g, oct_node *n, const oct_value *v)
{
    const oct_value *c = v->producer && v->producer->op == OCT_OP_DEQUANTIZE ? v->producer->inputs[0] : NULL;
    if (!c)
        return SAY("input '%s' has no Q/DQ", v->name);
    if (!oct_is_code(c->dtype))
        return SAY("input '%s' is quantized to a type that is not 8-bit", v->name);
    if (!c->quant || !oct_is_lifted_node(v->producer))
        return SAY("the scale of input '%s' is not a constant", v->name);
    return SAY("input '%s' is quantized per channel", v->name);
}

static oct_status explain_weighted(oct_graph *g, oct_node *n)
{
    if (!oct_tensor_codes_of(n->inputs[0]))
        return explain_input(g, n, n->inputs[0]);
    if (!n->inputs[1]->data && !(n->inputs[1]->producer && n->inputs[1]->producer->op == OCT_OP_DEQUANTIZE))
        return SAY("both factors are activations: '%s' is no constant", n->inputs[1]->name);
    return SAY("weights '%s' are not 8-bit codes with one scale a tensor or an output channel", n->inputs[1]->name);
}

oct_status oct_pass_explain(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    bool quantized = oct_graph_is_quantized(g);
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        const oct_value *y = oct_node_out(n, 0);
        if (n->int8 || n->reason || !y || y->dtype != OCT_F32 || n->op == OCT_OP_DEQUANTIZE)
            continue;
        if (!quantized) {
            n->reason = "the model is not quantized";
            continue;
        }
        switch (n->op) {
        case OCT_OP_CONV:
        case OCT_OP_CONV_TRANSPOSE:
        case OCT_OP_GEMM:
        case OCT_OP_MATMUL:
            OCT_TRY(explain_weighted(g, n));
            break;
        default: {
            const oct_value *bad = NULL;
            for (int k = 0; k < n->input_count && !bad; k++)
                if (n->inputs[k] && !n->inputs[k]->data && n->inputs[k]->dtype == OCT_F32 && !oct_tensor_codes_of(n->inputs[k]))
                    bad = n->inputs[k];
            if (bad)
                OCT_TRY(explain_input(g, n, bad));
            else
                OCT_TRY(SAY("output '%s' has no Q", y->name));
        }
        }
    }
    (void)changes;
    return OCT_OK;
}
