/* Q as early and DQ as late as legal (DESIGN 5.2), so that what lies between runs on codes: operators that only move values, and
 * those that pick by order (max pooling, Max, Min), which commute because quantization is monotone. Relu and Clip clamp codes where their
 * limits are numbers that codes have.  Then Q after DQ collapses. */
#include <math.h>
#include "num/num.h"
#include "opt/pass.h"

/* Moves values of its data inputs unchanged, or picks among them. */
static bool commutes(const oct_node *n)
{
    if (n->int8 || n->hold)
        return false;
    switch (n->op) {
    case OCT_OP_MAX_POOL:
    case OCT_OP_GLOBAL_MAX_POOL:
    case OCT_OP_WHERE:
    case OCT_OP_MIN:
    case OCT_OP_MAX:
        return true;
    case OCT_OP_PAD: /* zero is a code of every tensor */
        return !oct_pad_writes_value(n);
    case OCT_OP_RESIZE:
        return strcmp(oct_node_string(n, "mode", "nearest"), "nearest") == 0 &&
               strcmp(oct_node_string(n, "coordinate_transformation_mode", "half_pixel"), "tf_crop_and_resize") != 0;
    default:
        return oct_op_get(n->op)->flags & OCT_OPF_M;
    }
}

/* Inputs [first_input, last_input) hold the values; the others say what happens to them. */
static int first_input(const oct_node *n) { return n->op == OCT_OP_WHERE ? 1 : 0; }
static int last_input(const oct_node *n)
{
    bool all = n->op == OCT_OP_CONCAT || n->op == OCT_OP_WHERE || n->op == OCT_OP_MIN || n->op == OCT_OP_MAX;
    return all ? n->input_count : 1;
}

/* A new code tensor like v, with the parameters of `like`. */
static oct_status code_value(oct_graph *g, const oct_value *v, const oct_value *like, oct_value **out)
{
    OCT_TRY(oct_value_add(g, NULL, v->name, out));
    (*out)->dtype = like->dtype;
    (*out)->shape = v->shape;
    (*out)->quant = like->quant;
    return OCT_OK;
}

/* n, just made, stands for what `from` stands for: its own name need not be one of the model. */
static oct_status stand_for(oct_graph *g, oct_node *n, const oct_node *from)
{
    n->source_count = 0;
    return oct_node_add_source(g, n, from);
}

static oct_status move_dq(oct_graph *g, oct_node *n, const oct_node *dq)
{
    oct_value *codes = dq->inputs[0];
    for (int i = first_input(n); i < last_input(n); i++)
        OCT_TRY(oct_node_set_input(g, n, i, n->inputs[i]->producer->inputs[0]));
    for (int i = 0; i < n->output_count; i++) {
        oct_value *y = n->outputs[i], *c, *in[3] = {NULL, dq->inputs[1], oct_node_in(dq, 2)};
        oct_node *moved;
        if (!y)
            continue;
        OCT_TRY(code_value(g, y, codes, &c));
        OCT_TRY(oct_node_set_output(g, n, i, c));
        in[0] = c;
        OCT_TRY(oct_node_add(g, NULL, OCT_OP_DEQUANTIZE, dq->name, in[2] ? 3 : 2, in, 1, &y, &moved));
        OCT_TRY(stand_for(g, moved, dq));
    }
    return OCT_OK;
}

/* --- Relu and Clip between real numbers become a clamp of codes --- */
typedef struct code_clamp {
    bool exact;   /* the limits are numbers that codes have, or that no code passes: clamping codes is the same as clamping what they mean */
    bool nothing; /* no code is clamped */
} code_clamp;

static bool clamp_of_codes(const oct_node *n, const oct_value *codes, code_clamp *c)
{
    float lo, hi;
    if (n->int8 || n->hold || !oct_clamp_of(n, &lo, &hi) || isnan(lo) || isnan(hi))
        return false;
    const bool four = codes->dtype == OCT_U4 || codes->dtype == OCT_S4, is_signed = codes->dtype == OCT_S8 || codes->dtype == OCT_S4;
    const int32_t least = is_signed ? (four ? -8 : -128) : 0, most = least + (four ? 15 : 255), zero = codes->quant->zero[0];
    const float scale = codes->quant->scale[0];
    const int32_t qlo = oct_quantize(lo, scale, zero, least, most), qhi = oct_quantize(hi, scale, zero, least, most);
    c->exact = (lo <= oct_dequantize(least, scale, zero) || lo == oct_dequantize(qlo, scale, zero)) &&
               (hi >= oct_dequantize(most, scale, zero) || hi == oct_dequantize(qhi, scale, zero));
    c->nothing = qlo == least && qhi == most;
    return true;
}

/* Before a Q the clamp is part of a table or of the operator in front, which costs nothing. */
static bool dq_passes_clamp(const oct_node *n)
{
    code_clamp c;
    const oct_value *codes = oct_tensor_codes_of(oct_node_in(n, 0));
    return codes && !oct_only_quantize(n->outputs[0]) && clamp_of_codes(n, codes, &c) && c.exact;
}

oct_status oct_pass_dq_late(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        const bool clamps = dq_passes_clamp(n);
        if (!clamps && !commutes(n))
            continue;
        oct_value *first = oct_tensor_codes_of(oct_node_in(n, first_input(n)));
        bool all = first != NULL;
        for (int k = first_input(n) + 1; all && k < last_input(n); k++)
            all = oct_quant_equal(first, oct_tensor_codes_of(n->inputs[k]));
        if (!all)
            continue;
        OCT_TRY(oct_node_add_source(g, n, n->inputs[first_input(n)]->producer));
        OCT_TRY(move_dq(g, n, n->inputs[first_input(n)]->producer));
        n->int8 = clamps;
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

/* Q(clamp(x)) -> clamp of codes(Q(x)), where Q can go on beyond: behind an operator that computes, the clamp is fused into that. Rounding is
 * monotone, so any limits will do. */
static bool q_passes_clamp(const oct_node *n, const oct_node *q, code_clamp *c)
{
    const oct_value *x = n->inputs[0];
    return x && x->producer && commutes(x->producer) && oct_value_only_user(x) == n && clamp_of_codes(n, q->outputs[0], c);
}

/* A clamp that no code meets: u8 codes with zero point 0 are Relu already. */
static oct_status make_nothing(oct_graph *g, oct_node *n)
{
    for (int k = 1; k < n->input_count; k++)
        OCT_TRY(oct_node_set_input(g, n, k, NULL));
    n->input_count = 1;
    n->op = OCT_OP_IDENTITY;
    n->int8 = false;
    return OCT_OK;
}

oct_status oct_pass_q_early(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i], *q = sole_quantizer(n);
        code_clamp clamp;
        const bool clamps = q && q_passes_clamp(n, q, &clamp);
        if (!q || (!clamps && !commutes(n)))
            continue;
        n->int8 = clamps;
        for (int k = first_input(n); k < last_input(n); k++) {
            oct_value *c, *in[3] = {n->inputs[k], q->inputs[1], oct_node_in(q, 2)};
            oct_node *early;
            OCT_TRY(code_value(g, in[0], q->outputs[0], &c));
            OCT_TRY(oct_node_add(g, n, OCT_OP_QUANTIZE, q->name, in[2] ? 3 : 2, in, 1, &c, &early));
            OCT_TRY(stand_for(g, early, q));
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
        if (clamps && clamp.nothing)
            OCT_TRY(make_nothing(g, n));
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
            OCT_TRY(stand_for(g, r, q));
            r->int8 = true;
        }
        i--;
        ++*changes;
    }
    return OCT_OK;
}
