/* Q as early and DQ as late as legal (DESIGN 5.2), so that what lies between runs on codes: operators that only move values, and
 * max pooling, which commutes because quantization is monotone.  Then Q after DQ collapses. */
#include "opt/pass.h"

/* Zero is a code of every tensor, so padding with it commutes; the other modes repeat values. */
static bool pads_exactly(const oct_node *n)
{
    float value = 0;
    if (strcmp(oct_node_string(n, "mode", "constant"), "constant") != 0 || !oct_node_in(n, 2))
        return true;
    return oct_value_scalar(n->inputs[2], &value) && value == 0;
}

/* Moves values of input 0 (Concat: of all inputs) unchanged, or picks among them by order. */
static bool commutes(const oct_node *n)
{
    if (n->int8 || n->hold)
        return false;
    switch (n->op) {
    case OCT_OP_MAX_POOL:
    case OCT_OP_GLOBAL_MAX_POOL:
    case OCT_OP_RESHAPE:
    case OCT_OP_FLATTEN:
    case OCT_OP_SQUEEZE:
    case OCT_OP_UNSQUEEZE:
    case OCT_OP_TRANSPOSE:
    case OCT_OP_SLICE:
    case OCT_OP_SPLIT:
    case OCT_OP_GATHER:
    case OCT_OP_EXPAND:
    case OCT_OP_CONCAT:
    case OCT_OP_DEPTH_TO_SPACE:
    case OCT_OP_SPACE_TO_DEPTH:
    case OCT_OP_IDENTITY:
        return true;
    case OCT_OP_PAD:
        return pads_exactly(n);
    case OCT_OP_RESIZE:
        return strcmp(oct_node_string(n, "mode", "nearest"), "nearest") == 0 &&
               strcmp(oct_node_string(n, "coordinate_transformation_mode", "half_pixel"), "tf_crop_and_resize") != 0;
    default:
        return false;
    }
}

static int data_inputs(const oct_node *n) { return n->op == OCT_OP_CONCAT ? n->input_count : 1; }

/* A new code tensor like v, with the parameters of `like`. */
static oct_status code_value(oct_graph *g, const oct_value *v, const oct_value *like, oct_value **out)
{
    OCT_TRY(oct_value_add(g, NULL, v->name, out));
    (*out)->dtype = like->dtype;
    (*out)->shape = v->shape;
    (*out)->quant = like->quant;
    return OCT_OK;
}

static oct_status move_dq(oct_graph *g, oct_node *n, const oct_node *dq)
{
    oct_value *codes = dq->inputs[0];
    for (int i = 0; i < data_inputs(n); i++)
        OCT_TRY(oct_node_set_input(g, n, i, n->inputs[i]->producer->inputs[0]));
    for (int i = 0; i < n->output_count; i++) {
        oct_value *y = n->outputs[i], *c, *in[3] = {NULL, dq->inputs[1], oct_node_in(dq, 2)};
        oct_node *moved;
        if (!y)
            continue;
        OCT_TRY(code_value(g, y, codes, &c));
        OCT_TRY(oct_node_set_output(g, n, i, c));
        in[0] = c;
        OCT_TRY(oct_node_add(g, NULL, OCT_OP_DEQUANTIZE, NULL, in[2] ? 3 : 2, in, 1, &y, &moved));
    }
    return OCT_OK;
}

oct_status oct_pass_dq_late(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        if (!commutes(n))
            continue;
        oct_value *first = oct_tensor_codes_of(oct_node_in(n, 0));
        bool all = first != NULL;
        for (int k = 1; all && k < data_inputs(n); k++)
            all = oct_quant_equal(first, oct_tensor_codes_of(n->inputs[k]));
        if (!all)
            continue;
        OCT_TRY(move_dq(g, n, n->inputs[0]->producer));
        OCT_TRY(oct_graph_sort(g));
        ++*changes;
    }
    return OCT_OK;
}

/* Q(n(x)) -> n(Q(x)): every output of n is read by one Q, all with equal parameters. */
static oct_node *sole_quantizer(const oct_node *n)
{
    oct_node *first = NULL;
    for (int i = 0; i < n->output_count; i++) {
        if (!n->outputs[i])
            continue;
        oct_node *q = oct_only_quantize(n->outputs[i]);
        if (!q || (first && !oct_quant_equal(first->outputs[0], q->outputs[0])))
            return NULL;
        if (!first)
            first = q;
    }
    return first;
}

oct_status oct_pass_q_early(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i], *q;
        if (!commutes(n) || !(q = sole_quantizer(n)))
            continue;
        for (int k = 0; k < data_inputs(n); k++) {
            oct_value *c, *in[3] = {n->inputs[k], q->inputs[1], oct_node_in(q, 2)};
            oct_node *early;
            OCT_TRY(code_value(g, in[0], q->outputs[0], &c));
            OCT_TRY(oct_node_add(g, n, OCT_OP_QUANTIZE, NULL, in[2] ? 3 : 2, in, 1, &c, &early));
            OCT_TRY(oct_node_add_source(g, early, q));
            OCT_TRY(oct_node_set_input(g, n, k, c));
        }
        for (int k = 0; k < n->output_count; k++) {
            if (!n->outputs[k])
                continue;
            oct_node *late = oct_only_quantize(n->outputs[k]);
            oct_value *codes = late->outputs[0];
            oct_node_remove(g, late);
            OCT_TRY(oct_node_set_output(g, n, k, codes));
        }
        OCT_TRY(oct_graph_sort(g));
        ++*changes;
    }
    return OCT_OK;
}

oct_status oct_pass_collapse(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *q = g->nodes[i];
        if (q->op != OCT_OP_QUANTIZE || !oct_is_lifted(q->outputs[0]) || !oct_is_lifted_node(q))
            continue;
        oct_value *codes = oct_tensor_codes_of(q->inputs[0]), *out = q->outputs[0];
        if (!codes)
            continue;
        if (oct_quant_equal(codes, out) && !out->is_output) {
            OCT_TRY(oct_value_replace_uses(g, out, codes));
            oct_node_remove(g, q);
        } else {
            oct_node *r;
            oct_node_remove(g, q);
            OCT_TRY(oct_node_add(g, i < g->node_count ? g->nodes[i] : NULL, OCT_OP_REQUANTIZE, q->name, 1, &codes, 1, &out, &r));
            OCT_TRY(oct_node_add_source(g, r, q));
            r->int8 = true;
        }
        i--;
        ++*changes;
    }
    return OCT_OK;
}
