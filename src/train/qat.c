/* From a float model to the graph that is trained: passes, the placement's points found again where BatchNormalization stays,
 * quantizers put there. */
#include "train/qat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "opt/form.h"
#include "train/diff.h"
#include "train/qat_impl.h"

/* --- graphs --- */

static oct_status run_passes(oct_graph *g, bool fold_norms)
{
    static const char *const passes[] = {"identity", "fold", "shapes", "pad", "patterns", "batch_norm"};
    const int count = fold_norms ? 6 : 5;
    const oct_opt opt = {.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold};
    int64_t changes = 1, some;
    while (changes > 0) {
        changes = 0;
        for (int i = 0; i < count; i++) {
            OCT_TRY(oct_opt_pass(&opt, passes[i], &some));
            changes += some;
        }
        OCT_TRY(oct_graph_infer(g));
    }
    oct_graph_sweep(g);
    return OCT_OK;
}

/* BatchNormalization's constants become its own: exporters let equal ones be one, but each of these is trained or measured for
 * itself. */
static oct_status unshare_norms(oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++)
        for (int k = 1; g->nodes[i]->op == OCT_OP_BATCH_NORM && k < 5; k++) {
            oct_value *v = g->nodes[i]->inputs[k], *own;
            if (!v->data || v->user_count <= 1)
                continue;
            OCT_TRY(oct_value_const(g, v->name, v->dtype, v->shape.rank, v->shape.dim, v->data, &own));
            OCT_TRY(oct_node_set_input(g, g->nodes[i], k, own));
        }
    return OCT_OK;
}

/* One scale for all channels cannot absorb BatchNormalization, and behind a grouped transposed convolution one a channel cannot
 * either. */
static bool must_fold(const oct_graph *g, bool per_tensor)
{
    for (int64_t i = 0; i < g->node_count && !per_tensor; i++)
        if (g->nodes[i]->op == OCT_OP_CONV_TRANSPOSE && oct_node_int(g->nodes[i], "group", 1) > 1)
            return true;
    return per_tensor;
}

/* Losses take logits. */
static void drop_softmax(oct_graph *g)
{
    for (int64_t i = 0; i < g->output_count; i++) {
        oct_value *y = g->outputs[i];
        const oct_node *n = y->producer;
        const int64_t axis = n ? oct_node_int(n, "axis", -1) : 0;
        if (!n || n->op != OCT_OP_SOFTMAX || y->user_count > 0 || (axis != -1 && axis != y->shape.rank - 1) || n->inputs[0]->data ||
            n->inputs[0]->is_output)
            continue;
        y->is_output = false;
        g->outputs[i] = n->inputs[0];
        g->outputs[i]->is_output = true;
    }
    oct_graph_sweep(g);
}

static oct_status make_graphs(oct_qat *q)
{
    const oct_build_options bind = {.batch = q->opts.batch};
    OCT_TRY(oct_graph_clone(q->model->graph, &q->base));
    OCT_TRY(run_passes(q->base, must_fold(q->base, q->opts.per_tensor)));
    OCT_TRY(unshare_norms(q->base));
    OCT_TRY(oct_graph_clone(q->base, &q->plain));
    OCT_TRY(oct_build_bind(q->plain, &bind));
    OCT_TRY(oct_tape_simplify(q->plain));
    drop_softmax(q->plain);
    return oct_graph_clone(q->plain, &q->graph);
}

/* --- the placement's nodes in the trained graph --- */

static oct_status lost(const char *what, const char *name)
{
    return oct_fail_node(oct_fail(OCT_ERR_INTERNAL, "%s '%s' is not in the graph that is trained", what, name), name);
}

/* The node that stands for n, a node of the folded graph. *norm: the BatchNormalization folded into n, or NULL. */
static oct_status twin_of(const oct_graph *g, const oct_node *n, oct_node **out, oct_node **norm)
{
    const oct_value *y = oct_value_find(g, n->outputs[0]->name);
    oct_node *p = y ? y->producer : NULL;
    *norm = NULL;
    if (p && p->op == OCT_OP_BATCH_NORM && n->op != OCT_OP_BATCH_NORM) {
        *norm = p;
        p = p->inputs[0]->producer;
    }
    *out = p;
    return p && p->op == n->op ? OCT_OK : lost("node", n->name);
}

void oct_qat_norm_factors(const oct_node *bn, int64_t channels, double *k)
{
    const float *gamma = bn->inputs[1]->data, *var = bn->inputs[4]->data;
    for (int64_t c = 0; c < channels; c++)
        k[c] = (double)gamma[c] / sqrt((double)var[c] + (double)oct_node_float(bn, "epsilon", 1e-5f));
}

typedef struct plan {
    oct_qat *q;
    oct_graph *folded;
    oct_placement placement;
    oct_qparams *params;          /* by group */
    const oct_node *first, *last; /* weighted nodes */
    int32_t *points_of_group;
    oct_value **wide, **narrow; /* by point: what its users read */
    oct_value **group_scale, **group_zero;
} plan;

static bool is_weighted(const oct_qedge *e)
{
    return e->input == 0 && oct_is_quantizable(e->node);
}

static bool is_edge_layer(const plan *p, const oct_node *n)
{
    return !p->q->opts.narrow_edges && (n == p->first || n == p->last);
}

static bool wants_narrow(const plan *p, const oct_qedge *e)
{
    return p->q->opts.activation_bits < 8 && is_weighted(e) && !is_edge_layer(p, e->node);
}

static oct_status analyse(plan *p, const oct_ranges *ranges)
{
    oct_qat *q = p->q;
    OCT_TRY(oct_graph_clone(q->base, &p->folded));
    OCT_TRY(oct_opt_run(&(oct_opt){.g = p->folded, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold}));
    OCT_TRY(oct_hold_rangeless(p->folded, ranges));
    OCT_TRY(oct_placement_make(p->folded, &p->placement));
    const int64_t points = p->placement.point_count + 1, groups = p->placement.group_count + 1;
    OCT_TRY(oct_arena_alloc(q->arena, groups * (int64_t)sizeof *p->params, (void **)&p->params));
    OCT_TRY(oct_arena_alloc(q->arena, groups * (int64_t)sizeof *p->points_of_group, (void **)&p->points_of_group));
    OCT_TRY(oct_arena_alloc(q->arena, groups * (int64_t)sizeof *p->group_scale, (void **)&p->group_scale));
    OCT_TRY(oct_arena_alloc(q->arena, groups * (int64_t)sizeof *p->group_zero, (void **)&p->group_zero));
    OCT_TRY(oct_arena_alloc(q->arena, points * (int64_t)sizeof *p->wide, (void **)&p->wide));
    OCT_TRY(oct_arena_alloc(q->arena, points * (int64_t)sizeof *p->narrow, (void **)&p->narrow));
    OCT_TRY(oct_arena_alloc(q->arena, points * (int64_t)sizeof *q->points, (void **)&q->points));
    OCT_TRY(oct_arena_alloc(q->arena, (p->placement.edge_count + 1) * (int64_t)sizeof *q->weights, (void **)&q->weights));
    OCT_TRY(oct_placement_params(&p->placement, ranges, p->params));
    for (int64_t i = 0; i < p->placement.edge_count; i++)
        if (is_weighted(&p->placement.edges[i])) {
            p->first = p->first ? p->first : p->placement.edges[i].node;
            p->last = p->placement.edges[i].node;
        }
    for (int64_t i = 0; i < p->placement.point_count; i++)
        p->points_of_group[p->placement.points[i].group]++;
    return OCT_OK;
}

/* --- activation quantizers --- */

static oct_status constant(oct_graph *g, const char *of, const char *what, int64_t count, bool scalar, const float *data,
                           oct_value **out)
{
    char *stem;
    OCT_TRY(oct_arena_printf(g->arena, &stem, "%s_%s", of, what));
    return oct_value_const(g, stem, OCT_F32, scalar ? 0 : 1, &count, data, out);
}

static oct_status name_of(oct_qat *q, const oct_value *v, const char **out)
{
    return oct_arena_strdup(q->arena, v->name, (char **)out);
}

static oct_status add_wide(plan *p, int64_t i, oct_value *x)
{
    oct_qat *q = p->q;
    oct_qat_point *at = &q->points[i];
    const int32_t group = at->group;
    const oct_fake_quant f = {q->scheme == OCT_SCHEME_AFFINE ? 0 : -128, q->scheme == OCT_SCHEME_AFFINE ? 255 : 127, -1,
                              q->opts.mode, 0};
    const float zero = (float)p->params[group].zero;
    char *name;
    if (!p->group_scale[group]) {
        OCT_TRY(constant(q->graph, at->tensor, "scale", 1, true, &p->params[group].scale, &p->group_scale[group]));
        OCT_TRY(constant(q->graph, at->tensor, "zero", 1, true, &zero, &p->group_zero[group]));
    }
    OCT_TRY(oct_arena_printf(q->arena, &name, "%s_quantizer", at->tensor));
    OCT_TRY(oct_fake_quant_add(q->graph, name, x, p->group_scale[group], p->group_zero[group], &f, &p->wide[i]));
    at->wide.lo = f.lo;
    at->wide.hi = f.hi;
    OCT_TRY(name_of(q, p->wide[i], &at->wide.value));
    OCT_TRY(name_of(q, p->group_scale[group], &at->wide.scale));
    return name_of(q, p->group_zero[group], &at->wide.zero);
}

/* Codes and scale are filled in by oct_qat_solve. */
static oct_status add_narrow(plan *p, int64_t i, oct_value *x)
{
    oct_qat *q = p->q;
    oct_qat_point *at = &q->points[i];
    const oct_fake_quant f = {0, (1 << q->opts.activation_bits) - 1, -1, q->opts.mode, 0};
    const float one = 1, none = 0;
    oct_value *scale, *zero;
    char *name;
    OCT_TRY(constant(q->graph, at->tensor, "narrow_scale", 1, true, &one, &scale));
    OCT_TRY(constant(q->graph, at->tensor, "narrow_zero", 1, true, &none, &zero));
    OCT_TRY(oct_arena_printf(q->arena, &name, "%s_narrow_quantizer", at->tensor));
    OCT_TRY(oct_fake_quant_add(q->graph, name, x, scale, zero, &f, &p->narrow[i]));
    OCT_TRY(name_of(q, p->narrow[i], &at->narrow.value));
    OCT_TRY(name_of(q, scale, &at->narrow.scale));
    OCT_TRY(name_of(q, zero, &at->narrow.zero));
    return oct_observer_create(0, &at->observer);
}

static oct_status add_points(plan *p)
{
    oct_qat *q = p->q;
    const int64_t count = p->placement.point_count;
    bool *narrow, *wide;
    OCT_TRY(oct_arena_alloc(q->arena, count + 1, (void **)&narrow));
    OCT_TRY(oct_arena_alloc(q->arena, count + 1, (void **)&wide));
    for (int64_t i = 0; i < p->placement.edge_count; i++) {
        const oct_qedge *e = &p->placement.edges[i];
        *(wants_narrow(p, e) ? &narrow[e->point] : &wide[e->point]) = true;
    }
    for (int64_t i = 0; i < count; i++) {
        const oct_qpoint *from = &p->placement.points[i];
        oct_qat_point *at = &q->points[i];
        oct_value *x = oct_value_find(q->graph, from->value->name);
        if (!x)
            return lost("tensor", from->value->name);
        at->group = from->group;
        OCT_TRY(name_of(q, from->value, &at->tensor));
        q->point_count = i + 1;
        if (wide[i] || p->points_of_group[at->group] > 1)
            OCT_TRY(add_wide(p, i, x));
        if (narrow[i])
            OCT_TRY(add_narrow(p, i, p->wide[i] ? p->wide[i] : x));
    }
    return OCT_OK;
}

/* --- weight quantizers --- */

/* Scales of the folded weights: at 8 bits PTQ's, below of the least error. */
static oct_status choose_scales(const plan *p, const oct_qedge *e, const oct_qat_weights *w, float *scale)
{
    const oct_node *n = e->node;
    if (w->hi == 127)
        return oct_choose_weight_scales(p->folded, n, w->count == 1 && w->channels != 1,
                                        p->params[p->placement.points[e->point].group].scale, scale);
    const float *data = n->inputs[1]->data;
    for (int64_t c = 0; c < w->count; c++)
        scale[c] = w->count == 1 ? oct_solve_narrow_weights(data, w->outer * w->channels * w->inner, 0,
                                                            w->outer * w->channels * w->inner, w->lo, w->hi)
                                 : oct_solve_narrow_weights(data + c * w->inner, w->outer * w->inner, w->channels * w->inner,
                                                            w->inner, w->lo, w->hi);
    return OCT_OK;
}

static double absmax(const oct_qat_weights *w, const float *data, int64_t scale)
{
    double most = 0;
    for (int64_t o = 0; o < w->outer; o++)
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t i = 0; (w->count == 1 || c == scale) && i < w->inner; i++)
                most = fmax(most, fabs((double)data[(o * w->channels + c) * w->inner + i]));
    return most;
}

/* Few weights feed an output of a depthwise convolution, so each jump between codes shows: these are held still, by the mean over
 * an output's weights. */
static float dampening_share(const oct_node *n, int bits)
{
    const oct_shape *w = &n->inputs[1]->shape;
    if (n->op != OCT_OP_CONV || bits > 4 || w->dim[1] != 1 || oct_node_int(n, "group", 1) == 1)
        return 0;
    return 1 / (float)oct_diff_product(w, 1, w->rank);
}

static oct_status add_weights(plan *p, const oct_qedge *e)
{
    oct_qat *q = p->q;
    oct_qat_weights *w = &q->weights[q->weight_count++];
    oct_node *n, *norm;
    OCT_TRY(twin_of(q->graph, e->node, &n, &norm));
    oct_value *x = n->inputs[1], *scales, *zeros, *y;
    const int axis = oct_weight_axis(n), bits = is_edge_layer(p, e->node) ? 8 : q->opts.weight_bits;
    float *scale, *zero;
    double *k;
    char *name;
    *w =
        (oct_qat_weights){.axis = axis, .outer = 1, .channels = x->shape.dim[axis], .inner = 1, .narrow_input = wants_narrow(p, e)};
    w->lo = bits == 8 ? -127 : -(1 << (bits - 1));
    w->hi = (1 << (bits - 1)) - 1;
    for (int i = 0; i < x->shape.rank; i++)
        *(i < axis ? &w->outer : &w->inner) *= i == axis ? 1 : x->shape.dim[i];
    w->count = q->opts.per_tensor ? 1 : w->channels;
    OCT_TRY(oct_arena_alloc(q->arena, w->count * (int64_t)sizeof *scale, (void **)&scale));
    OCT_TRY(oct_arena_alloc(q->arena, w->count * (int64_t)sizeof *zero, (void **)&zero));
    OCT_TRY(oct_arena_alloc(q->arena, w->count * (int64_t)sizeof *w->ratio, (void **)&w->ratio));
    OCT_TRY(oct_arena_alloc(q->arena, w->channels * (int64_t)sizeof *k, (void **)&k));
    OCT_TRY(choose_scales(p, e, w, scale));
    if (norm)
        oct_qat_norm_factors(norm, w->channels, k);
    for (int64_t c = 0; c < w->count; c++) {
        if (norm)
            scale[c] = k[c] != 0 ? (float)((double)scale[c] / fabs(k[c])) : 1;
        const double most = absmax(w, x->data, c);
        w->ratio[c] = most > 0 ? (float)((double)scale[c] / most) : 0;
    }
    const bool follows = q->opts.mode == OCT_SCALES_EMA || q->opts.mode == OCT_SCALES_CLIP;
    const oct_fake_quant f = {w->lo, w->hi, w->count == 1 ? -1 : axis, follows ? OCT_SCALES_CALIBRATED : q->opts.mode,
                              dampening_share(n, bits)};
    OCT_TRY(constant(q->graph, n->name, "weights_scale", w->count, w->count == 1, scale, &scales));
    OCT_TRY(constant(q->graph, n->name, "weights_zero", w->count, w->count == 1, zero, &zeros));
    OCT_TRY(oct_arena_printf(q->arena, &name, "%s_weights_quantizer", n->name));
    OCT_TRY(oct_fake_quant_add(q->graph, name, x, scales, zeros, &f, &y));
    OCT_TRY(oct_node_set_input(q->graph, n, 1, y));
    OCT_TRY(name_of(q, x, &w->weights));
    OCT_TRY(name_of(q, scales, &w->scale));
    OCT_TRY(oct_arena_strdup(q->arena, n->name, (char **)&w->node));
    return norm ? oct_arena_strdup(q->arena, norm->name, (char **)&w->norm) : OCT_OK;
}

static oct_status insert(plan *p)
{
    OCT_TRY(add_points(p));
    for (int64_t i = 0; i < p->placement.edge_count; i++) {
        const oct_qedge *e = &p->placement.edges[i];
        oct_value *x = wants_narrow(p, e) ? p->narrow[e->point] : p->wide[e->point];
        oct_node *n, *norm;
        OCT_TRY(twin_of(p->q->graph, e->node, &n, &norm));
        if (is_weighted(e))
            OCT_TRY(add_weights(p, e));
        OCT_TRY(oct_node_set_input(p->q->graph, n, e->input, x));
    }
    return oct_graph_sort(p->q->graph);
}

/* v as the bias of a product with so many columns: a constant row. */
static bool is_row(const oct_value *v, int64_t columns)
{
    int64_t count;
    return v->data && v->dtype == OCT_F32 && v->shape.rank >= 1 && v->shape.dim[v->shape.rank - 1] == columns &&
           oct_shape_count(&v->shape, &count) == OCT_OK && count == columns;
}

/* The sum of a row behind a quantized MatMul becomes its bias, as in the engine, which rounds it to the grid of the sums. */
static oct_status take_biases(oct_graph *g)
{
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i], *add = oct_value_only_user(n->outputs[0]);
        const oct_value *w = n->op == OCT_OP_MATMUL ? n->inputs[1] : NULL;
        if (!w || n->input_count > 2 || w->shape.rank != 2 || !w->producer || w->producer->op != OCT_OP_FAKE_QUANT || !add ||
            add->op != OCT_OP_ADD)
            continue;
        oct_value *b = add->inputs[add->inputs[0] == n->outputs[0] ? 1 : 0], *y = add->outputs[0];
        if (!is_row(b, w->shape.dim[1]) || !oct_shape_equal(&y->shape, &n->outputs[0]->shape))
            continue;
        OCT_TRY(oct_node_set_input(g, n, 2, b));
        oct_node_remove(g, add);
        OCT_TRY(oct_node_set_output(g, n, 0, y));
        OCT_TRY(oct_graph_sort(g));
        i = -1;
    }
    return OCT_OK;
}

static oct_status add_quantizers(oct_qat *q, const oct_ranges *ranges)
{
    plan p = {.q = q};
    oct_status s = OCT_OK;
    OCT_TRY_DONE(analyse(&p, ranges));
    OCT_TRY_DONE(insert(&p));
    OCT_TRY_DONE(take_biases(q->graph));
done:
    oct_placement_free(&p.placement);
    oct_graph_destroy(p.folded);
    return s;
}

/* --- making --- */

oct_status oct_qat_create(const oct_model *model, const oct_ranges *ranges, const oct_qat_options *opts, oct_qat **out)
{
    oct_status s = OCT_OK;
    oct_qat *q = calloc(1, sizeof *q);
    if (!q)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for training");
    q->model = model;
    q->opts = *opts;
    q->quantized = ranges != NULL;
    OCT_TRY_DONE(oct_arena_create(&q->arena));
    if (oct_model_is_quantized(model))
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "the model '%s' is quantized already", model->name ? model->name : "");
    OCT_TRY_DONE(make_graphs(q));
    if (ranges) {
        char hash[17];
        OCT_TRY_DONE(oct_graph_hash(model->graph, hash));
        OCT_TRY_DONE(oct_ranges_check_model(ranges, hash));
        q->scheme = ranges->scheme;
        OCT_TRY_DONE(add_quantizers(q, ranges));
    }
    *out = q;
    q = NULL;
done:
    oct_qat_destroy(q);
    return s;
}

void oct_qat_destroy(oct_qat *q)
{
    if (!q)
        return;
    for (int64_t i = 0; i < q->point_count; i++)
        oct_observer_destroy(q->points[i].observer);
    oct_graph_destroy(q->base);
    oct_graph_destroy(q->plain);
    oct_graph_destroy(q->graph);
    oct_arena_destroy(q->arena);
    free(q);
}

const oct_graph *oct_qat_float_graph(const oct_qat *q)
{
    return q->plain;
}
const oct_graph *oct_qat_graph(const oct_qat *q)
{
    return q->graph;
}

/* --- narrow activations --- */

bool oct_qat_wants_data(const oct_qat *q)
{
    for (int64_t i = 0; i < q->point_count; i++)
        if (q->points[i].observer)
            return true;
    return false;
}

oct_status oct_qat_observe(oct_qat *q, const oct_tape *float_tape)
{
    for (int64_t i = 0; i < q->point_count; i++) {
        oct_tape_value v;
        if (!q->points[i].observer)
            continue;
        OCT_TRY(oct_tape_find(float_tape, q->points[i].tensor, &v));
        const int64_t row = v.count / q->opts.batch;
        for (int64_t b = 0; b < q->opts.batch; b++)
            OCT_TRY(oct_observer_push(q->points[i].observer, v.data + b * row, row, 1));
    }
    return OCT_OK;
}

/* Constants of the graph are the arena's own memory. */
static void set_constant(oct_graph *g, const char *name, float v)
{
    *(float *)oct_value_find(g, name)->data = v;
}

oct_status oct_qat_solve(oct_qat *q)
{
    for (int64_t i = 0; i < q->point_count; i++) {
        oct_qat_point *p = &q->points[i];
        if (!p->observer)
            continue;
        const oct_narrow r = oct_solve_narrow(p->observer, q->scheme, q->opts.activation_bits);
        oct_value *scale = oct_value_find(q->graph, p->narrow.scale);
        p->narrow.lo = r.lo;
        p->narrow.hi = r.hi;
        set_constant(q->graph, p->narrow.scale, r.params.scale);
        set_constant(q->graph, p->narrow.zero, (float)r.params.zero);
        for (int64_t k = 0; k < scale->user_count; k++) {
            OCT_TRY(oct_node_set_int(q->graph, scale->users[k], "lo", r.lo));
            OCT_TRY(oct_node_set_int(q->graph, scale->users[k], "hi", r.hi));
        }
        oct_observer_destroy(p->observer);
        p->observer = NULL;
    }
    return OCT_OK;
}

/* --- after a step --- */

/* A scale that its gradient drives to 0 or below would end the run: it stays a small positive number. */
static void keep_positive(oct_tape_value v)
{
    const float least = 0x1p-40f;
    for (int64_t i = 0; i < v.count; i++)
        v.data[i] = v.data[i] > least || v.data[i] != v.data[i] ? v.data[i] : least;
}

/* The ends of the grid go a hundredth of the way to the batch's extremes, which stand in the gradients' places. The zero point is
 * kept unrounded, so that no small move is lost. */
static void follow_extremes(const oct_qat *q, const oct_qat_codes *c, oct_tape_value scale, oct_tape_value zero)
{
    const double keep = 0.99, s = (double)scale.data[0], z = (double)zero.data[0];
    const double least = keep * (c->lo - z) * s + (1 - keep) * (double)zero.grad[0],
                 most = keep * (c->hi - z) * s + (1 - keep) * (double)scale.grad[0];
    if (q->scheme == OCT_SCHEME_SYMMETRIC || c->lo == z) {
        scale.data[0] = (float)(fmax(most, -least) / c->hi);
        return;
    }
    scale.data[0] = (float)((most - least) / (c->hi - c->lo));
    zero.data[0] = (float)(c->lo - least / (double)scale.data[0]);
}

static bool is_first_of_group(const oct_qat *q, int64_t i)
{
    for (int64_t k = 0; k < i; k++)
        if (q->points[k].group == q->points[i].group && q->points[k].wide.scale)
            return false;
    return true;
}

static oct_status settle_activations(const oct_qat *q, const oct_tape *t)
{
    for (int64_t i = 0; i < q->point_count; i++) {
        const oct_qat_codes *codes[2] = {&q->points[i].wide, &q->points[i].narrow};
        for (int k = 0; k < 2; k++) {
            oct_tape_value scale, zero;
            if (!codes[k]->scale)
                continue;
            OCT_TRY(oct_tape_find(t, codes[k]->scale, &scale));
            OCT_TRY(oct_tape_find(t, codes[k]->zero, &zero));
            if (q->opts.mode == OCT_SCALES_EMA && (k == 1 || is_first_of_group(q, i)))
                follow_extremes(q, codes[k], scale, zero);
            keep_positive(scale);
        }
    }
    return OCT_OK;
}

oct_status oct_qat_settle(oct_qat *q, const oct_tape *t)
{
    const bool follows = q->opts.mode == OCT_SCALES_EMA || q->opts.mode == OCT_SCALES_CLIP;
    oct_tape_value scale, weights;
    OCT_TRY(settle_activations(q, t));
    for (int64_t i = 0; i < q->weight_count; i++) {
        const oct_qat_weights *w = &q->weights[i];
        OCT_TRY(oct_tape_find(t, w->scale, &scale));
        OCT_TRY(oct_tape_find(t, w->weights, &weights));
        for (int64_t c = 0; follows && c < w->count; c++)
            if (w->ratio[c] > 0)
                scale.data[c] = (float)(w->ratio[c] * absmax(w, weights.data, c));
        keep_positive(scale);
    }
    return OCT_OK;
}

bool oct_qat_scale(const oct_qat *q, const oct_tape *t, int64_t i, const char **name, float *scale)
{
    oct_tape_value v;
    if (i < 0 || i >= q->point_count)
        return false;
    const oct_qat_point *p = &q->points[i];
    *name = p->tensor;
    *scale = oct_tape_find(t, p->narrow.scale ? p->narrow.scale : p->wide.scale, &v) == OCT_OK ? v.data[0] : 0;
    return true;
}
