/* Integer operators from float operators between DQ and Q (DESIGN 5.2).  A formed node (node->int8) reads and writes code tensors; their
 * quant is the whole arithmetic. What lies between operator and Q is fused on the way: sum with a quantized residual, Relu, Clip. */
#include <math.h>
#include "opt/form.h"
#include "opt/pass.h"

bool oct_clamp_of(const oct_node *n, float *lo, float *hi)
{
    *lo = -INFINITY;
    *hi = INFINITY;
    if (n->op == OCT_OP_RELU) {
        *lo = 0;
        return true;
    }
    if (n->op != OCT_OP_CLIP)
        return false;
    const oct_value *a = oct_node_in(n, 1), *b = oct_node_in(n, 2);
    return (!a || oct_value_scalar(a, lo)) && (!b || oct_value_scalar(b, hi)) && *lo <= *hi;
}

void oct_fuse_clamp(oct_node *n, float lo, float hi)
{
    if (!n->fused.clamp) {
        n->fused.clamp = true;
        n->fused.lo = -INFINITY;
        n->fused.hi = INFINITY;
    }
    /* min(max(.)) of the inner clamp first: the outer limits clamp the inner ones too. */
    n->fused.lo = fminf(fmaxf(n->fused.lo, lo), hi);
    n->fused.hi = fminf(fmaxf(n->fused.hi, lo), hi);
}

/* What follows a value up to its Q: [Add residual] [Relu | Clip]* Q, each link with a single user. */
typedef struct chain {
    oct_node *add, *q, *acts[4];
    int act_count;
    oct_value *residual; /* codes */
} chain;

static bool follow(oct_value *y, bool may_add, chain *c)
{
    memset(c, 0, sizeof *c);
    oct_value *at = y;
    for (;;) {
        oct_node *u = oct_value_only_user(at);
        float lo, hi;
        if (!u || u->int8 || u->hold)
            return false;
        if (u->op == OCT_OP_QUANTIZE) {
            c->q = oct_only_quantize(at);
            return c->q != NULL;
        }
        if (u->op == OCT_OP_ADD && may_add && !c->add && !c->act_count && !u->fused.clamp) {
            oct_value *other = u->inputs[0] == at ? u->inputs[1] : u->inputs[0];
            c->residual = oct_tensor_codes_of(other);
            if (other == at || !c->residual || !oct_shape_equal(&other->shape, &at->shape))
                return false;
            c->add = u;
        } else if (oct_clamp_of(u, &lo, &hi) && u->inputs[0] == at && c->act_count < 4) {
            c->acts[c->act_count++] = u;
        } else {
            return false;
        }
        at = u->outputs[0];
    }
}

/* n takes over everything of the chain and writes the Q's codes. */
static oct_status absorb(oct_graph *g, oct_node *n, const chain *c)
{
    float lo, hi;
    if (c->add) {
        if (n->input_count == 2)
            OCT_TRY(oct_node_set_input(g, n, 2, NULL)); /* the bias slot stays a bias slot */
        n->fused.residual = 3;
        OCT_TRY(oct_node_set_input(g, n, 3, c->residual));
        OCT_TRY(oct_node_add_source(g, n, c->add));
    }
    for (int i = 0; i < c->act_count; i++) {
        oct_clamp_of(c->acts[i], &lo, &hi);
        oct_fuse_clamp(n, lo, hi);
        OCT_TRY(oct_node_add_source(g, n, c->acts[i]));
    }
    oct_value *codes = c->q->outputs[0];
    OCT_TRY(oct_node_add_source(g, n, c->q));
    oct_node_remove(g, c->q);
    OCT_TRY(oct_node_set_output(g, n, 0, codes));
    return OCT_OK;
}

/* --- weighted operators --- */
static bool is_weighted(oct_op op) { return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_GEMM || op == OCT_OP_MATMUL; }

int oct_weight_axis(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_CONV:
        return 0;
    case OCT_OP_CONV_TRANSPOSE:
        return 1;
    case OCT_OP_GEMM:
        return oct_node_int(n, "transB", 0) ? 0 : 1;
    default:
        return n->inputs[1]->shape.rank - 1;
    }
}

static bool weights_fit(const oct_node *n, const oct_value *w)
{
    if (!w || !w->data || !w->quant)
        return false;
    if (n->op == OCT_OP_MATMUL && w->shape.rank != 2)
        return false;
    return w->quant->n == 1 || w->quant->axis == oct_weight_axis(n);
}

/* Gemm's bias may have the shape of its whole result; only one value, or one a column, fits an integer product. */
static bool is_row(const oct_value *b)
{
    for (int i = 0; i + 1 < b->shape.rank; i++)
        if (b->shape.dim[i] != 1)
            return false;
    return true;
}

static bool bias_fits(const oct_node *n)
{
    const oct_value *b = n->op == OCT_OP_MATMUL ? NULL : oct_node_in(n, 2);
    if (!b)
        return true;
    /* A bias given as s32 codes is folded to float by fold_dq. */
    bool constant = b->data || (b->producer && b->producer->op == OCT_OP_DEQUANTIZE && b->producer->inputs[0]->data && oct_node_in(b->producer, 1)->data);
    return constant && (n->op != OCT_OP_GEMM || is_row(b));
}

static bool is_blocked(const oct_node *dq) { return dq && dq->op == OCT_OP_DEQUANTIZE && oct_node_int(dq, "block_size", 0) != 0; }

oct_status oct_pass_form_weighted(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        if (!is_weighted(n->op) || n->int8 || n->hold)
            continue;
        oct_value *x = oct_tensor_codes_of(n->inputs[0]), *w = oct_codes_of(n->inputs[1]);
        if (x && !n->reason && is_blocked(n->inputs[1]->producer))
            OCT_TRY(oct_arena_printf(g->arena, (char **)&n->reason, "weights '%s' have scales for blocks of %lld", n->inputs[1]->name,
                                     (long long)oct_node_int(n->inputs[1]->producer, "block_size", 0)));
        if (!x || x->data || !weights_fit(n, w) || !bias_fits(n) || (n->op == OCT_OP_GEMM && !(oct_node_float(n, "alpha", 1) > 0)))
            continue;
        chain c;
        bool through = follow(n->outputs[0], n->op == OCT_OP_CONV || n->op == OCT_OP_GEMM || n->op == OCT_OP_MATMUL, &c);
        OCT_TRY(oct_node_add_source(g, n, n->inputs[0]->producer));
        OCT_TRY(oct_node_set_input(g, n, 0, x));
        OCT_TRY(oct_node_set_input(g, n, 1, w));
        n->int8 = true;
        if (through)
            OCT_TRY(absorb(g, n, &c));
        OCT_TRY(oct_graph_sort(g));
        ++*changes;
    }
    return OCT_OK;
}

/* --- operators without weights: DQ on every input and Q on the output --- */
bool oct_is_spatial_mean(const oct_node *n)
{
    int64_t axes[OCT_MAX_RANK];
    int rank = n->inputs[0]->shape.rank, count = oct_value_ints(oct_node_in(n, 1), axes, OCT_MAX_RANK);
    if (n->op != OCT_OP_REDUCE_MEAN || rank != 4 || count != 2)
        return false;
    for (int i = 0; i < 2; i++)
        axes[i] += axes[i] < 0 ? rank : 0;
    return (axes[0] == 2 && axes[1] == 3) || (axes[0] == 3 && axes[1] == 2);
}

/* Inputs that must be code tensors; 0 = the operator has no integer form. */
static int code_inputs(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_ADD:
    case OCT_OP_SUB:
    case OCT_OP_MUL:
        return 2;
    case OCT_OP_AVERAGE_POOL:
    case OCT_OP_GLOBAL_AVERAGE_POOL:
        return 1;
    case OCT_OP_REDUCE_MEAN:
        return oct_is_spatial_mean(n) ? 1 : 0;
    case OCT_OP_RESIZE:
        return strcmp(oct_node_string(n, "mode", "nearest"), "linear") == 0 ? 1 : 0;
    case OCT_OP_NOT:
    case OCT_OP_FLOOR:
    case OCT_OP_CEIL:
        return 0;
    case OCT_OP_CLIP: {
        float lo, hi;
        return oct_clamp_of(n, &lo, &hi) ? 1 : 0;
    }
    default:
        return oct_op_get(n->op)->flags & OCT_OPF_U ? 1 : 0;
    }
}

oct_status oct_pass_form_elementwise(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        int inputs = n->int8 || n->hold ? 0 : code_inputs(n);
        bool ok = inputs > 0;
        for (int k = 0; ok && k < inputs; k++)
            ok = k < n->input_count && oct_tensor_codes_of(n->inputs[k]) != NULL;
        if (!ok)
            continue;
        chain c;
        /* Activations are fused into Add only; behind other operators they are tables of their own. */
        if (!follow(n->outputs[0], false, &c) || (c.act_count && n->op != OCT_OP_ADD && n->op != OCT_OP_SUB))
            continue;
        for (int k = 0; k < inputs; k++) {
            OCT_TRY(oct_node_add_source(g, n, n->inputs[k]->producer));
            OCT_TRY(oct_node_set_input(g, n, k, n->inputs[k]->producer->inputs[0]));
        }
        n->int8 = true;
        OCT_TRY(absorb(g, n, &c));
        ++*changes;
    }
    return OCT_OK;
}

/* Conv -> Q -> (codes) -> int8 Add: the graph quantizes the convolution's result before the sum; the second epilogue of DESIGN 3.5 does both. */
oct_status oct_pass_inner(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *add = g->nodes[i];
        if (add->op != OCT_OP_ADD || !add->int8 || !oct_shape_equal(&add->inputs[0]->shape, &add->inputs[1]->shape))
            continue;
        /* The later of two candidates: the other one's result exists by then. */
        oct_node *conv = NULL;
        int at = 0;
        for (int64_t k = 0; k < i; k++)
            for (int s = 0; s < 2; s++) {
                oct_node *p = g->nodes[k];
                if (p == add->inputs[s]->producer && p->op == OCT_OP_CONV && p->int8 && !p->fused.residual &&
                    oct_value_only_user(add->inputs[s]) == add && add->inputs[0] != add->inputs[1] && oct_is_lifted(p->outputs[0])) {
                    conv = p;
                    at = s;
                }
            }
        if (!conv)
            continue;
        oct_value *res = add->inputs[1 - at], *sum = add->outputs[0];
        if (conv->input_count == 2)
            OCT_TRY(oct_node_set_input(g, conv, 2, NULL));
        conv->fused.residual = 3;
        conv->fused.residual_inner = true;
        conv->fused.inner_quant = conv->outputs[0]->quant;
        conv->fused.inner_dtype = conv->outputs[0]->dtype;
        conv->fused.inner_clamp = conv->fused.clamp;
        conv->fused.inner_lo = conv->fused.lo;
        conv->fused.inner_hi = conv->fused.hi;
        conv->fused.clamp = add->fused.clamp;
        conv->fused.lo = add->fused.lo;
        conv->fused.hi = add->fused.hi;
        OCT_TRY(oct_node_set_input(g, conv, 3, res));
        OCT_TRY(oct_node_add_source(g, conv, add));
        oct_node_remove(g, add);
        OCT_TRY(oct_node_set_output(g, conv, 0, sum));
        OCT_TRY(oct_graph_sort(g));
        i = -1; /* the order has changed */
        ++*changes;
    }
    return OCT_OK;
}
