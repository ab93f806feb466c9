/* The scales of QuantizeLinear and DequantizeLinear go onto the code tensors themselves (value->quant), so that later passes ask the
 * tensor and not its neighbours.  Only codes of 8 and 4 bits with constant, finite, positive scales are lifted; everything else keeps running as
 * the Q and DQ nodes it is.  Also: equal Q nodes on one tensor become one. */
#include <math.h>
#include "opt/pass.h"

/* Scale and zero-point constants of a Q or DQ node as arrays; false when they are no constants or the form is not liftable. */
typedef struct qdq_params {
    int64_t n;
    const float *scale;
    const void *zero; /* NULL = 0 */
    oct_dtype zero_type;
    int64_t axis;
} qdq_params;

static bool read_params(const oct_node *n, qdq_params *p)
{
    int64_t zero_count;
    p->scale = oct_const_f32(oct_node_in(n, 1), &p->n);
    if (!p->scale || p->n < 1 || oct_node_int(n, "block_size", 0) != 0 || oct_node_in(n, 1)->shape.rank > 1)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        if (!(p->scale[i] > 0) || !isfinite(p->scale[i]))
            return false;
    const oct_value *z = oct_node_in(n, 2);
    p->zero = NULL;
    p->zero_type = OCT_DTYPE_NONE;
    if (z) {
        if (!z->data || oct_shape_count(&z->shape, &zero_count) != OCT_OK || zero_count != p->n)
            return false;
        p->zero = z->data;
        p->zero_type = z->dtype;
    }
    int rank = n->inputs[0]->shape.rank;
    p->axis = oct_node_int(n, "axis", 1);
    if (p->axis < 0)
        p->axis += rank;
    return p->n == 1 || (p->axis >= 0 && p->axis < rank);
}

static int32_t zero_at(const qdq_params *p, int64_t i)
{
    if (!p->zero)
        return 0;
    return p->zero_type == OCT_S8 || p->zero_type == OCT_S4 ? ((const int8_t *)p->zero)[i] : ((const uint8_t *)p->zero)[i];
}

static bool matches(const qdq_params *p, const oct_quant *q)
{
    if (!q || q->n != p->n || (p->n > 1 && q->axis != p->axis) || memcmp(q->scale, p->scale, (size_t)p->n * sizeof *p->scale) != 0)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        if (q->zero[i] != zero_at(p, i))
            return false;
    return true;
}

static oct_value *code_side(const oct_node *n) { return n->op == OCT_OP_QUANTIZE ? n->outputs[0] : n->inputs[0]; }

bool oct_is_lifted_node(const oct_node *n)
{
    qdq_params p;
    const oct_value *c = code_side(n);
    return c && c->quant && oct_is_code(c->dtype) && read_params(n, &p) && matches(&p, c->quant);
}

oct_status oct_pass_lift(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        qdq_params p;
        if (n->op != OCT_OP_QUANTIZE && n->op != OCT_OP_DEQUANTIZE)
            continue;
        oct_value *c = code_side(n);
        /* A DQ that reads codes otherwise than their Q wrote them stays an ordinary operator. */
        if (!c || c->quant || !oct_is_code(c->dtype) || !read_params(n, &p) || (p.zero && p.zero_type != c->dtype))
            continue;
        void *scale, *zero, *q;
        OCT_TRY(oct_arena_memdup(g->arena, p.scale, p.n * (int64_t)sizeof(float), &scale));
        OCT_TRY(oct_arena_alloc(g->arena, p.n * (int64_t)sizeof(int32_t), &zero));
        OCT_TRY(oct_arena_alloc(g->arena, sizeof(oct_quant), &q));
        for (int64_t k = 0; k < p.n; k++)
            ((int32_t *)zero)[k] = zero_at(&p, k);
        *(oct_quant *)q = (oct_quant){.n = (int32_t)p.n, .axis = p.n > 1 ? (int32_t)p.axis : 0, .scale = scale, .zero = zero};
        c->quant = q;
        ++*changes;
    }
    return OCT_OK;
}

oct_status oct_pass_share(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *q = g->nodes[i];
        if (q->op != OCT_OP_QUANTIZE || !oct_is_lifted_node(q) || (q->outputs[0]->user_count == 0 && !q->outputs[0]->is_output))
            continue;
        oct_value *x = q->inputs[0];
        for (int64_t u = 0; u < x->user_count; u++) {
            oct_node *other = x->users[u];
            if (other == q || other->op != OCT_OP_QUANTIZE || other->outputs[0]->is_output || !oct_is_lifted_node(other) ||
                !oct_quant_equal(other->outputs[0], q->outputs[0]) || other->outputs[0]->user_count == 0)
                continue;
            OCT_TRY(oct_value_replace_uses(g, other->outputs[0], q->outputs[0]));
            ++*changes;
        }
    }
    return OCT_OK;
}
