/* Constants and nothings: folding, shape arithmetic with known results, operators without effect.  Dead code goes with every
 * pass (oct_graph_sweep in the driver). DequantizeLinear of constants is left alone here: the Q/DQ passes need the codes. */
#include <math.h>
#include "opt/pass.h"

/* (Weights are dequantized whatever their size: products take no others.) Results larger than this, and larger than what they are made of, are cheaper to compute at run time than to store. */
enum { FOLD_BYTES = 1 << 22 };

static bool all_constant(const oct_node *n, int64_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]) {
            if (!n->inputs[i]->data)
                return false;
            *bytes += n->inputs[i]->bytes;
        }
    return true;
}

static bool is_four_bit(oct_dtype t) { return t == OCT_U4 || t == OCT_S4; }
/* Of a stored element; 4-bit codes are held as 8-bit ones. */
static int64_t element_size(oct_dtype t) { return is_four_bit(t) ? 1 : (int64_t)oct_dtype_size(t); }

static bool worth_folding(const oct_node *n, int64_t in_bytes)
{
    for (int i = 0; i < n->output_count; i++) {
        const oct_value *o = n->outputs[i];
        int64_t count;
        if (!o)
            continue;
        if (o->is_output || !element_size(o->dtype) || (is_four_bit(o->dtype) && n->op != OCT_OP_QUANTIZE) || !oct_shape_is_concrete(&o->shape) || oct_shape_count(&o->shape, &count) != OCT_OK)
            return false;
        int64_t bytes = count * element_size(o->dtype);
        if (bytes > FOLD_BYTES && bytes > in_bytes)
            return false;
    }
    return true;
}

/* Results have the types of plan outputs: Q to 4 bits is computed to 8, and what lies outside the 4 saturates. */
static oct_status fold_four_bit(const oct_opt *opt, oct_graph *g, oct_node *n)
{
    oct_value *zero = n->inputs[2], *y = n->outputs[0], *wide;
    const oct_dtype four = y->dtype;
    const int lo = four == OCT_S4 ? -8 : 0, hi = lo + 15;
    OCT_TRY(oct_value_const(g, zero->name, four == OCT_S4 ? OCT_S8 : OCT_U8, zero->shape.rank, zero->shape.dim, zero->data, &wide));
    OCT_TRY(oct_node_set_input(g, n, 2, wide));
    y->dtype = wide->dtype;
    OCT_TRY(opt->fold(opt->fold_user, g, n));
    y->dtype = four;
    uint8_t *codes = (uint8_t *)y->data;
    for (int64_t i = 0; i < y->bytes; i++) {
        const int q = four == OCT_S4 ? (int8_t)codes[i] : codes[i];
        codes[i] = (uint8_t)(q < lo ? lo : q > hi ? hi : q);
    }
    return OCT_OK;
}

static oct_status fold_nodes(const oct_opt *opt, bool dequantize, int64_t *changes)
{
    oct_graph *g = opt->g;
    if (!opt->fold)
        return OCT_OK;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        int64_t bytes;
        if ((n->op == OCT_OP_DEQUANTIZE) != dequantize || !all_constant(n, &bytes) || !worth_folding(n, dequantize ? INT64_MAX : bytes))
            continue;
        OCT_TRY(n->op == OCT_OP_QUANTIZE && is_four_bit(n->outputs[0]->dtype) ? fold_four_bit(opt, g, n) : opt->fold(opt->fold_user, g, n));
        oct_node_remove(g, n);
        i--;
        ++*changes;
    }
    return OCT_OK;
}

oct_status oct_pass_fold(const oct_opt *opt, int64_t *changes) { return fold_nodes(opt, false, changes); }
oct_status oct_pass_fold_dq(const oct_opt *opt, int64_t *changes)
{
    OCT_TRY(fold_nodes(opt, true, changes));
    return fold_nodes(opt, false, changes);
}

/* A literal entry of value->known: neither a symbol nor unknown (ir.h). */
static bool is_literal(int64_t k) { return k >= -(INT64_C(1) << 31); }

static bool literal_contents(const oct_value *v, int64_t *count)
{
    if (!v || !v->known || v->data || v->is_output || (v->dtype != OCT_S64 && v->dtype != OCT_S32) || !oct_shape_is_concrete(&v->shape) ||
        oct_shape_count(&v->shape, count) != OCT_OK)
        return false;
    for (int64_t i = 0; i < *count; i++)
        if (!is_literal(v->known[i]))
            return false;
    return true;
}

oct_status oct_pass_shapes(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        int64_t count;
        if (n->output_count != 1 || !literal_contents(n->outputs[0], &count))
            continue;
        oct_value *v = n->outputs[0];
        void *data;
        int64_t size = (int64_t)oct_dtype_size(v->dtype);
        OCT_TRY(oct_arena_alloc(g->arena, count * size, &data));
        for (int64_t k = 0; k < count; k++)
            if (v->dtype == OCT_S64)
                ((int64_t *)data)[k] = v->known[k];
            else
                ((int32_t *)data)[k] = (int32_t)v->known[k];
        v->data = data;
        v->bytes = count * size;
        oct_node_remove(g, n);
        i--;
        ++*changes;
    }
    return OCT_OK;
}

/* --- operators without effect --- */
static bool is_identity_perm(const oct_node *n)
{
    int64_t perm[OCT_MAX_RANK];
    int count = oct_node_ints(n, "perm", perm, OCT_MAX_RANK);
    if (!count)
        return n->inputs[0]->shape.rank == 0 || n->inputs[0]->shape.rank == 1;
    for (int i = 0; i < count; i++)
        if (perm[i] != i)
            return false;
    return true;
}

static bool is_nothing(const oct_node *n)
{
    const oct_value *x = oct_node_in(n, 0), *y = n->outputs[0];
    if (!x || !y || n->output_count != 1)
        return false;
    int64_t pads[2 * OCT_MAX_RANK];
    float lo, hi;
    switch (n->op) {
    case OCT_OP_IDENTITY:
        return true;
    case OCT_OP_CAST:
        return x->dtype != OCT_DTYPE_NONE && x->dtype == y->dtype;
    case OCT_OP_TRANSPOSE:
        return is_identity_perm(n);
    case OCT_OP_CONCAT:
    case OCT_OP_SUM:
    case OCT_OP_MIN:
    case OCT_OP_MAX:
        return n->input_count == 1;
    case OCT_OP_PAD: {
        int count = oct_value_ints(oct_node_in(n, 1), pads, 2 * OCT_MAX_RANK);
        for (int i = 0; i < count; i++)
            if (pads[i])
                return false;
        return count > 0;
    }
    case OCT_OP_CLIP:
        return oct_clamp_of(n, &lo, &hi) && lo == -INFINITY && hi == INFINITY;
    case OCT_OP_RESHAPE:
    case OCT_OP_EXPAND:
    case OCT_OP_FLATTEN:
        return x->shape.rank >= 0 && oct_shape_is_concrete(&x->shape) && oct_shape_equal(&x->shape, &y->shape);
    default:
        return false;
    }
}

oct_status oct_pass_identity(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        if (!is_nothing(n))
            continue;
        oct_value *x = n->inputs[0], *y = n->outputs[0];
        if (!y->is_output) {
            OCT_TRY(oct_value_replace_uses(g, y, x));
        } else if (x->producer && !x->is_output && x->user_count == 1) {
            /* The graph output keeps its name: the producer of x makes y directly. */
            oct_node *p = x->producer;
            for (int k = 0; k < p->output_count; k++)
                if (p->outputs[k] == x) {
                    oct_node_remove(g, n);
                    OCT_TRY(oct_node_set_output(g, p, k, y));
                    OCT_TRY(oct_node_add_source(g, p, n));
                    break;
                }
            i--;
            ++*changes;
            continue;
        } else {
            continue;
        }
        oct_node_remove(g, n);
        i--;
        ++*changes;
    }
    return OCT_OK;
}
