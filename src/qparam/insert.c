/* Writes Q/DQ into a float graph: pairs where placement.c says, weights as s8 with their DequantizeLinear, biases left float
 * (DESIGN 4.6), on the engine's grid.  One home for the quantizer, which writes the result to a file, and the builder's calibrated
 * mode, which lowers it, so that both roads give the same codes. What has no range stays float. */
#include "qparam/insert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"
#include "qparam/placement.h"

typedef struct job {
    oct_graph *g;
    const oct_ranges *ranges;
    bool per_tensor;
    const oct_learned *learned;
    oct_placement placement;
    oct_qparams *params;     /* by group; scale 0 = the group has no range */
    oct_value **dequantized; /* by point; NULL: it has a narrow pair only */
    oct_value **narrow;      /* by point; NULL: it has no narrow pair */
    int64_t held;            /* nodes that the last round has found to lack a range */
} job;

/* --- ranges of groups --- */

typedef struct group_range {
    double min, max;
    oct_qparams params;
    bool found, mixed, user;
} group_range;

/* Points of a group share parameters: those of the cache when it gives all of them the same, else those of the union. Where the
 * user has set a range, the others of the group do not count. */
static oct_status group_params(const oct_placement *placement, const oct_ranges *ranges, oct_qparams *params, int64_t *matched)
{
    int64_t count = placement->group_count;
    group_range *r = calloc((size_t)count + 1, sizeof *r);
    if (!r)
        return oct_fail(OCT_ERR_MEMORY, "cannot quantize %lld tensors", (long long)count);
    for (int64_t i = 0; i < placement->point_count; i++) {
        const oct_qpoint *p = &placement->points[i];
        const oct_range_entry *e = oct_ranges_find(ranges, p->value->name);
        group_range *x = &r[p->group];
        if (!e)
            continue;
        ++*matched;
        bool user = strcmp(e->solver, OCT_SOLVER_USER) == 0;
        if (x->user && !user)
            continue;
        if (user && !x->user)
            *x = (group_range){.user = true};
        x->mixed |= x->found && (memcmp(&x->params.scale, &e->scale, sizeof e->scale) != 0 || x->params.zero != e->zero);
        x->min = x->found ? fmin(x->min, (double)e->min) : (double)e->min;
        x->max = x->found ? fmax(x->max, (double)e->max) : (double)e->max;
        x->params = (oct_qparams){e->scale, e->zero};
        x->found = true;
    }
    for (int64_t i = 0; i < count; i++) {
        if (r[i].mixed)
            r[i].params = ranges->scheme == OCT_SCHEME_AFFINE ? oct_qparams_affine_u8((float)r[i].min, (float)r[i].max, true)
                                                                 : oct_qparams_symmetric_s8((float)r[i].min, (float)r[i].max);
        params[i] = r[i].found ? r[i].params : (oct_qparams){0, 0};
    }
    free(r);
    return OCT_OK;
}

static oct_status none_fits(const oct_ranges *ranges)
{
    return oct_fail(OCT_ERR_CONTENT, "none of the %lld ranges belongs to a tensor that this model quantizes", (long long)ranges->count);
}

oct_status oct_placement_params(const oct_placement *p, const oct_ranges *ranges, oct_qparams *params)
{
    int64_t matched = 0;
    OCT_TRY(group_params(p, ranges, params, &matched));
    return p->point_count > 0 && matched == 0 ? none_fits(ranges) : OCT_OK;
}

/* --- tensors without range --- */

static bool has_range(const job *j, int32_t point)
{
    return j->params[j->placement.points[point].group].scale > 0;
}

static oct_status hold_for(job *j, oct_node *n, const oct_value *v)
{
    char *text;
    if (n->hold)
        return OCT_OK;
    OCT_TRY(oct_arena_printf(j->g->arena, &text, "tensor '%s' " OCT_NO_RANGE, v->name));
    n->hold = true;
    n->reason = text;
    j->held++;
    return OCT_OK;
}

/* What a layer with result y writes: behind the activation and, where y is the branch that a quantized sum is fused into, behind
 * the sum. */
static const oct_value *written(const bool *asks, const int32_t *point_of, const oct_value *y)
{
    y = oct_behind_activation(y);
    const oct_node *sum = point_of[y->mark] < 0 ? oct_value_only_user(y) : NULL;
    return sum && sum->op == OCT_OP_ADD && asks[sum->mark] ? oct_behind_activation(sum->outputs[0]) : y;
}

/* A layer runs on codes when each tensor of it that gets a pair has a range, its result included (DESIGN 5.1): the others are held.
 */
static oct_status hold_rangeless(job *j)
{
    const oct_placement *p = &j->placement;
    int32_t *point_of; /* by the index that placement left in the values' marks; -1 = none */
    bool *asks;        /* by that of the nodes */
    OCT_TRY(oct_arena_alloc(j->g->arena, (j->g->value_count + 1) * (int64_t)sizeof *point_of, (void **)&point_of));
    OCT_TRY(oct_arena_alloc(j->g->arena, j->g->node_count + 1, (void **)&asks));
    for (int64_t i = 0; i < j->g->value_count; i++)
        point_of[i] = -1;
    for (int64_t i = 0; i < p->point_count; i++)
        point_of[p->points[i].value->mark] = (int32_t)i;
    for (int64_t i = 0; i < p->edge_count; i++)
        asks[p->edges[i].index] = true;
    for (int64_t i = 0; i < p->edge_count; i++) {
        oct_node *n = p->edges[i].node;
        if (!has_range(j, p->edges[i].point))
            OCT_TRY(hold_for(j, n, p->points[p->edges[i].point].value));
        for (int k = 0; k < n->output_count; k++) {
            const oct_value *y = n->outputs[k] ? written(asks, point_of, n->outputs[k]) : NULL;
            if (y && point_of[y->mark] >= 0 && !has_range(j, point_of[y->mark]))
                OCT_TRY(hold_for(j, n, y));
        }
    }
    return OCT_OK;
}

/* Placement for what is not held; each round may hold more, because a layer in float asks for no codes. */
static oct_status place(job *j)
{
    int64_t matched = 0;
    do {
        j->held = 0;
        oct_placement_free(&j->placement);
        OCT_TRY(oct_placement_make(j->g, &j->placement));
        OCT_TRY(oct_arena_alloc(j->g->arena, (j->placement.group_count + 1) * (int64_t)sizeof *j->params, (void **)&j->params));
        OCT_TRY(group_params(&j->placement, j->ranges, j->params, &matched));
        if (j->placement.point_count > 0 && matched == 0)
            return none_fits(j->ranges);
        OCT_TRY(hold_rangeless(j));
    } while (j->held);
    return OCT_OK;
}

static const oct_learned_weights *learned_weights(const job *j, const oct_node *n)
{
    for (int64_t i = 0; j->learned && i < j->learned->weight_count; i++)
        if (strcmp(j->learned->weights[i].node, n->name) == 0)
            return &j->learned->weights[i];
    return NULL;
}

static const oct_learned_input *learned_input(const job *j, const oct_value *v)
{
    for (int64_t i = 0; j->learned && i < j->learned->input_count; i++)
        if (strcmp(j->learned->inputs[i].tensor, v->name) == 0)
            return &j->learned->inputs[i];
    return NULL;
}

/* Does this use read the narrow pair? */
static bool reads_narrow(const job *j, const oct_qedge *e)
{
    if (!j->narrow[e->point])
        return false;
    const oct_learned_weights *w = e->input == 0 ? learned_weights(j, e->node) : NULL;
    return !j->dequantized[e->point] || (w && w->narrow_input);
}

static float edge_scale(const job *j, const oct_qedge *e)
{
    const oct_qpoint *p = &j->placement.points[e->point];
    return reads_narrow(j, e) ? learned_input(j, p->value)->params.scale : j->params[p->group].scale;
}

/* --- Q/DQ pairs --- */

static oct_status constant(oct_graph *g, const char *of, const char *what, oct_dtype dtype, int rank, const int64_t *dims,
                           const void *data, oct_value **out)
{
    char *stem;
    OCT_TRY(oct_arena_printf(g->arena, &stem, "%s_%s", of, what));
    return oct_value_const(g, stem, dtype, rank, dims, data, out);
}

static oct_status named_value(oct_graph *g, const char *of, const char *what, oct_dtype dtype, const oct_shape *shape,
                              oct_value **out)
{
    char *stem;
    OCT_TRY(oct_arena_printf(g->arena, &stem, "%s_%s", of, what));
    OCT_TRY(oct_value_add(g, stem, stem, out));
    (*out)->dtype = dtype;
    (*out)->shape = *shape;
    return OCT_OK;
}

static oct_status node_of(oct_graph *g, oct_op op, const char *of, const char *what, oct_value *const in[3], oct_value *out,
                          oct_node **n)
{
    char *name;
    OCT_TRY(oct_arena_printf(g->arena, &name, "%s_%s", of, what));
    OCT_TRY(oct_node_add(g, NULL, op, name, 3, in, 1, &out, n));
    (*n)->source_count = 0;
    return OCT_OK;
}

static oct_dtype type_of(oct_scheme scheme) { return scheme == OCT_SCHEME_AFFINE ? OCT_U8 : OCT_S8; }

/* x -> Q -> codes -> DQ -> real, named after the tensor. */
static oct_status add_pair(oct_graph *g, const char *name, oct_value *x, oct_dtype type, oct_qparams q, oct_value *real)
{
    uint8_t zero = (uint8_t)q.zero;
    oct_value *codes, *in[3] = {x, NULL, NULL};
    oct_node *n;
    OCT_TRY(constant(g, name, "scale", OCT_F32, 0, NULL, &q.scale, &in[1]));
    OCT_TRY(constant(g, name, "zero_point", type, 0, NULL, &zero, &in[2]));
    OCT_TRY(named_value(g, name, "quantized", type, &x->shape, &codes));
    OCT_TRY(node_of(g, OCT_OP_QUANTIZE, name, "QuantizeLinear", in, codes, &n));
    in[0] = codes;
    return node_of(g, OCT_OP_DEQUANTIZE, name, "DequantizeLinear", in, real, &n);
}

static oct_status add_point(job *j, int64_t point)
{
    const oct_qpoint *p = &j->placement.points[point];
    OCT_TRY(named_value(j->g, p->value->name, "dequantized", OCT_F32, &p->value->shape, &j->dequantized[point]));
    return add_pair(j->g, p->value->name, p->value, type_of(j->ranges->scheme), j->params[p->group], j->dequantized[point]);
}

/* A type of 4 bits that holds these codes, or the one of 8. */
static oct_dtype narrow_type(const job *j, int32_t lo, int32_t hi)
{
    if (j->learned->int4 && lo >= 0 && hi <= 15)
        return OCT_U4;
    if (j->learned->int4 && lo >= -8 && hi <= 7)
        return OCT_S4;
    return type_of(j->ranges->scheme);
}

/* [wide pair ->] Clip -> narrow pair. Where the type saturates at the grid's ends itself there is no Clip. */
static oct_status add_narrow(job *j, int64_t point, const oct_learned_input *l)
{
    oct_graph *g = j->g;
    oct_value *x = l->alone ? j->placement.points[point].value : j->dequantized[point], *in[3] = {x}, *clipped;
    const oct_dtype type = narrow_type(j, l->lo, l->hi);
    const float lo = oct_dequantize(l->lo, l->params.scale, l->params.zero), hi = oct_dequantize(l->hi, l->params.scale, l->params.zero);
    char *name;
    oct_node *n;
    OCT_TRY(oct_arena_printf(g->arena, &name, l->alone ? "%s" : "%s_narrow", l->tensor));
    OCT_TRY(named_value(g, name, "dequantized", OCT_F32, &x->shape, &j->narrow[point]));
    if (type == type_of(j->ranges->scheme)) {
        OCT_TRY(constant(g, name, "least", OCT_F32, 0, NULL, &lo, &in[1]));
        OCT_TRY(constant(g, name, "most", OCT_F32, 0, NULL, &hi, &in[2]));
        OCT_TRY(named_value(g, name, "clipped", OCT_F32, &x->shape, &clipped));
        OCT_TRY(node_of(g, OCT_OP_CLIP, name, "Clip", in, clipped, &n));
        x = clipped;
    }
    return add_pair(g, name, x, type, l->params, j->narrow[point]);
}

oct_status oct_insert_output_pair(oct_graph *g, oct_value *output, const oct_ranges *ranges)
{
    const oct_range_entry *e = oct_ranges_find(ranges, output->name);
    oct_node *n = output->producer;
    oct_value *x;
    int k = 0;
    if (!e || !n || n->op == OCT_OP_DEQUANTIZE || output->dtype != OCT_F32)
        return OCT_OK;
    OCT_TRY(named_value(g, output->name, "float", OCT_F32, &output->shape, &x));
    OCT_TRY(oct_value_replace_uses(g, output, x));
    while (n->outputs[k] != output)
        k++;
    OCT_TRY(oct_node_set_output(g, n, k, x));
    OCT_TRY(add_pair(g, output->name, x, type_of(ranges->scheme), (oct_qparams){e->scale, e->zero}, output));
    return oct_graph_sort(g);
}

/* --- weights --- */

/* Largest |bias| by weight channel, in units of the product (Gemm scales both parts). NULL in *out without a bias. */
static oct_status channel_bias(oct_graph *g, const oct_node *n, int64_t channels, float **out)
{
    const oct_value *b = oct_node_in(n, 2);
    int64_t count;
    *out = NULL;
    if (!b)
        return OCT_OK;
    OCT_TRY(oct_shape_count(&b->shape, &count));
    OCT_TRY(oct_arena_alloc(g->arena, (channels + 1) * (int64_t)sizeof **out, (void **)out));
    float ratio = n->op == OCT_OP_GEMM ? oct_node_float(n, "beta", 1) / oct_node_float(n, "alpha", 1) : 1;
    /* Conv: one bias a channel. Transposed with groups: a weight channel serves every group. Gemm: one value for all, or a row. */
    for (int64_t i = 0; i < oct_max64(count, channels); i++) {
        float v = fabsf(((const float *)b->data)[i % oct_max64(count, 1)] * ratio);
        (*out)[i % channels] = v > (*out)[i % channels] || v != v ? v : (*out)[i % channels];
    }
    return OCT_OK;
}

oct_status oct_choose_weight_scales(oct_graph *g, const oct_node *n, bool per_tensor, float input_scale, float *scale)
{
    const oct_value *w = n->inputs[1];
    const int axis = oct_weight_axis(n);
    float *bias;
    OCT_TRY(channel_bias(g, n, w->shape.dim[axis], &bias));
    const oct_status s = oct_weight_scales(w->data, w->shape.rank, w->shape.dim, axis, per_tensor, input_scale, bias, scale);
    return s == OCT_OK ? s : oct_fail_node(s, n->name);
}

/* The Add of a constant row behind a MatMul, which the engine takes for its bias; *input is the constant's place. NULL = none. */
static oct_node *bias_sum(const oct_node *n, int *input)
{
    oct_node *add = oct_value_only_user(n->outputs[0]);
    const int64_t columns = n->inputs[1]->shape.dim[1];
    int64_t count;
    if (!add || add->op != OCT_OP_ADD)
        return NULL;
    *input = add->inputs[0] == n->outputs[0] ? 1 : 0;
    const oct_value *b = add->inputs[*input];
    bool row = b->data && b->dtype == OCT_F32 && b->shape.rank >= 1 && b->shape.dim[b->shape.rank - 1] == columns &&
               oct_shape_count(&b->shape, &count) == OCT_OK && count == columns;
    return row ? add : NULL;
}

/* Bias values on the grid that the engine rounds them to (DESIGN 3.5): still float in the file, but another runtime that computes
 * the Q/DQ form in float then adds the very numbers that the engine adds. Costs nothing: the engine would round them anyway. */
static oct_status put_bias_on_grid(job *j, oct_node *n, float input_scale, const float *scale, int64_t scales)
{
    oct_graph *g = j->g;
    oct_node *at = n;
    int input = 2;
    if (n->op == OCT_OP_MATMUL)
        at = bias_sum(n, &input);
    oct_value *b = at ? oct_node_in(at, input) : NULL, *out;
    const float alpha = n->op == OCT_OP_GEMM ? oct_node_float(n, "alpha", 1) : 1,
                beta = n->op == OCT_OP_GEMM ? oct_node_float(n, "beta", 1) : 1;
    int64_t count;
    float *rounded;
    if (!b || beta == 0)
        return OCT_OK;
    OCT_TRY(oct_shape_count(&b->shape, &count));
    if (count == 1 && scales > 1)
        return OCT_OK; /* one value for channels of different grids */
    OCT_TRY(oct_arena_alloc(g->arena, count * (int64_t)sizeof *rounded, (void **)&rounded));
    for (int64_t i = 0; i < count; i++) {
        float v = ((const float *)b->data)[i], step = scale[i % scales] * alpha;
        int32_t q;
        rounded[i] = oct_quantize_bias(v * beta, input_scale, step, &q) ? (float)((double)q * input_scale * step / beta) : v;
    }
    OCT_TRY(oct_value_const(g, b->name, OCT_F32, b->shape.rank, b->shape.dim, rounded, &out));
    return oct_node_set_input(g, at, input, out);
}

static bool fit_4_bits(const int8_t *codes, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (codes[i] < -8 || codes[i] > 7)
            return false;
    return true;
}

/* w -> s8 codes, scale(s) -> DequantizeLinear -> the node. */
static oct_status quantize_weights(job *j, oct_node *n, float input_scale)
{
    oct_graph *g = j->g;
    oct_value *w = n->inputs[1], *in[3], *real;
    const oct_learned_weights *l = learned_weights(j, n);
    int axis = oct_weight_axis(n), rank = w->shape.rank;
    int64_t channels = w->shape.dim[axis], count, scales = l ? l->count : j->per_tensor ? 1 : channels;
    const bool per_tensor = scales == 1 && (j->per_tensor || channels != 1);
    float *scale;
    int8_t *codes, *zero;
    oct_node *dq;
    OCT_TRY(oct_shape_count(&w->shape, &count));
    OCT_TRY(oct_arena_alloc(g->arena, scales * (int64_t)sizeof *scale, (void **)&scale));
    OCT_TRY(oct_arena_alloc(g->arena, scales, (void **)&zero));
    OCT_TRY(oct_arena_alloc(g->arena, count, (void **)&codes));
    if (l)
        memcpy(scale, l->scale, (size_t)scales * sizeof *scale);
    else
        OCT_TRY(oct_choose_weight_scales(g, n, j->per_tensor, input_scale, scale));
    OCT_TRY(oct_weight_codes(w->data, rank, w->shape.dim, axis, scales, scale, codes));
    const oct_dtype type = l && j->learned->int4 && l->lo >= -8 && fit_4_bits(codes, count) ? OCT_S4 : OCT_S8;
    OCT_TRY(put_bias_on_grid(j, n, input_scale, scale, scales));
    OCT_TRY(constant(g, w->name, "quantized", type, rank, w->shape.dim, codes, &in[0]));
    OCT_TRY(constant(g, w->name, "scale", OCT_F32, per_tensor ? 0 : 1, &channels, scale, &in[1]));
    OCT_TRY(constant(g, w->name, "zero_point", type, per_tensor ? 0 : 1, &channels, zero, &in[2]));
    OCT_TRY(named_value(g, w->name, "dequantized", OCT_F32, &w->shape, &real));
    OCT_TRY(node_of(g, OCT_OP_DEQUANTIZE, w->name, "DequantizeLinear", in, real, &dq));
    if (!per_tensor)
        OCT_TRY(oct_node_set_int(g, dq, "axis", axis));
    return oct_node_set_input(g, n, 1, real);
}

static oct_status insert(job *j)
{
    for (int64_t i = 0; i < j->placement.point_count; i++) {
        const oct_learned_input *l = learned_input(j, j->placement.points[i].value);
        if (!l || !l->alone)
            OCT_TRY(add_point(j, i));
        if (l)
            OCT_TRY(add_narrow(j, i, l));
    }
    for (int64_t i = 0; i < j->placement.edge_count; i++) {
        const oct_qedge *e = &j->placement.edges[i];
        if (oct_is_quantizable(e->node) && e->input == 0)
            OCT_TRY(quantize_weights(j, e->node, edge_scale(j, e)));
        OCT_TRY(oct_node_set_input(j->g, e->node, e->input, reads_narrow(j, e) ? j->narrow[e->point] : j->dequantized[e->point]));
    }
    OCT_TRY(oct_graph_sort(j->g));
    oct_graph_sweep(j->g);
    return oct_graph_infer(j->g);
}

oct_status oct_hold_rangeless(oct_graph *g, const oct_ranges *ranges)
{
    job j = {.g = g, .ranges = ranges};
    oct_status s = place(&j);
    oct_placement_free(&j.placement);
    return s;
}

oct_status oct_insert_qdq(oct_graph *g, const oct_ranges *ranges, bool per_tensor) { return oct_insert_learned(g, ranges, per_tensor, NULL); }

oct_status oct_insert_learned(oct_graph *g, const oct_ranges *ranges, bool per_tensor, const oct_learned *learned)
{
    oct_status s = OCT_OK;
    job j = {.g = g, .ranges = ranges, .per_tensor = per_tensor, .learned = learned};
    OCT_TRY_DONE(place(&j));
    const int64_t room = (j.placement.point_count + 1) * (int64_t)sizeof(oct_value *);
    OCT_TRY_DONE(oct_arena_alloc(g->arena, room, (void **)&j.dequantized));
    OCT_TRY_DONE(oct_arena_alloc(g->arena, room, (void **)&j.narrow));
    OCT_TRY_DONE(insert(&j));
    OCT_TRY_DONE(oct_graph_set_meta(g, "octavo.scheme", ranges->scheme == OCT_SCHEME_AFFINE ? "affine" : "symmetric"));
    OCT_TRY_DONE(oct_graph_set_meta(g, "octavo.solver", ranges->method));
done:
    oct_placement_free(&j.placement);
    return s;
}
