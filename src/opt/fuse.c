/* Fusion into the operator before (node->fused): bias of a matrix product, float residual sum, Relu and Clip.  Runs on float
 * operators and on integer ones with float output; between Q and DQ form.c has done it already. */
#include "opt/pass.h"

static bool is_product(const oct_node *n)
{
    return n->op == OCT_OP_CONV || n->op == OCT_OP_CONV_TRANSPOSE || n->op == OCT_OP_GEMM ||
           (n->op == OCT_OP_MATMUL && n->inputs[1]->data && n->inputs[1]->shape.rank == 2);
}

/* Weights and bias may still be DequantizeLinear of constants when this runs. */
static const oct_value *constant_behind(const oct_value *v)
{
    if (v->data)
        return v;
    return v->producer && v->producer->op == OCT_OP_DEQUANTIZE && v->producer->inputs[0]->data ? v->producer->inputs[0] : NULL;
}

/* v has one value per column and nothing else: shape [..1, n]. */
static bool is_row(const oct_value *v, int64_t n)
{
    const oct_shape *s = &v->shape;
    if (s->rank < 1 || s->dim[s->rank - 1] != n)
        return false;
    for (int i = 0; i + 1 < s->rank; i++)
        if (s->dim[i] != 1)
            return false;
    return true;
}

oct_status oct_pass_bias(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *add = g->nodes[i];
        if (add->op != OCT_OP_ADD || add->int8 || add->fused.clamp)
            continue;
        for (int s = 0; s < 2; s++) {
            oct_value *y = add->inputs[s], *b = add->inputs[1 - s];
            oct_node *m = y->producer;
            if (!m || m->op != OCT_OP_MATMUL || m->input_count != 2 || oct_value_only_user(y) != add || m->fused.clamp ||
                (m->int8 && y->dtype != OCT_F32) || !constant_behind(m->inputs[1]) || m->inputs[1]->shape.rank != 2 || b == y ||
                b->dtype != OCT_F32 || !constant_behind(b) || !is_row(b, m->inputs[1]->shape.dim[1]) || b->shape.rank > y->shape.rank)
                continue;
            oct_value *out = add->outputs[0];
            OCT_TRY(oct_node_add_source(g, m, add));
            OCT_TRY(oct_node_set_input(g, m, 2, b));
            oct_node_remove(g, add);
            OCT_TRY(oct_node_set_output(g, m, 0, out));
            OCT_TRY(oct_graph_sort(g));
            i = -1;
            ++*changes;
            break;
        }
    }
    return OCT_OK;
}

static bool takes_residual(const oct_node *p, const oct_value *y, const oct_node *add)
{
    return p && is_product(p) && p->op != OCT_OP_CONV_TRANSPOSE && !p->int8 && !p->fused.residual && !p->fused.clamp &&
           oct_value_only_user(y) == add;
}

oct_status oct_pass_residual(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *add = g->nodes[i], *into = NULL;
        if (add->op != OCT_OP_ADD || add->int8 || add->fused.clamp || add->inputs[0] == add->inputs[1] ||
            !oct_shape_equal(&add->inputs[0]->shape, &add->inputs[1]->shape))
            continue;
        int at = 0;
        /* The later of two candidates, so that the other one's result exists by then. */
        for (int64_t k = i - 1; k >= 0 && !into; k--)
            for (int s = 0; s < 2; s++)
                if (add->inputs[s]->producer == g->nodes[k] && takes_residual(g->nodes[k], add->inputs[s], add)) {
                    into = g->nodes[k];
                    at = s;
                }
        if (!into)
            continue;
        oct_value *res = add->inputs[1 - at], *out = add->outputs[0];
        if (into->input_count == 2)
            OCT_TRY(oct_node_set_input(g, into, 2, NULL));
        OCT_TRY(oct_node_set_input(g, into, 3, res));
        into->fused.residual = 3;
        OCT_TRY(oct_node_add_source(g, into, add));
        oct_node_remove(g, add);
        OCT_TRY(oct_node_set_output(g, into, 0, out));
        OCT_TRY(oct_graph_sort(g));
        i = -1;
        ++*changes;
    }
    return OCT_OK;
}

oct_status oct_pass_activation(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *act = g->nodes[i];
        float lo, hi;
        if (act->int8 || !oct_clamp_of(act, &lo, &hi))
            continue;
        oct_value *x = act->inputs[0], *y = act->outputs[0];
        oct_node *p = x->producer;
        if (!p || x->dtype != OCT_F32 || oct_value_only_user(x) != act || !(is_product(p) || (p->op == OCT_OP_ADD && !p->int8)))
            continue;
        oct_fuse_clamp(p, lo, hi);
        OCT_TRY(oct_node_add_source(g, p, act));
        oct_node_remove(g, act);
        OCT_TRY(oct_node_set_output(g, p, 0, y));
        i--;
        ++*changes;
    }
    return OCT_OK;
}
