/* The trained model as ONNX: trained values into the base graph, weights put onto their grid, BatchNormalization folded, Q/DQ by
 * src/qparam with exactly the scales that were learned. */
#include "train/qat.h"

#include <math.h>
#include <string.h>
#include "build/build.h"
#include "num/num.h"
#include "train/codes.h"
#include "train/qat_impl.h"

/* Values that belong to a quantizer are not the model's. */
static bool is_quantizers(const oct_qat *q, const char *name)
{
    const oct_value *v = oct_value_find(q->graph, name);
    for (int64_t i = 0; v && i < v->user_count; i++)
        if (v->users[i]->op == OCT_OP_FAKE_QUANT && v->users[i]->inputs[0] != v)
            return true;
    return false;
}

static oct_value *constant_of(const oct_graph *g, const char *name, int64_t count)
{
    oct_value *v = oct_value_find(g, name);
    return v && v->data && v->bytes == count * (int64_t)sizeof(float) ? v : NULL;
}

bool oct_qat_keeps(const oct_qat *q, const char *name, int64_t count)
{
    return is_quantizers(q, name) || constant_of(q->base, name, count);
}

static oct_status take_values(const oct_qat *q, const oct_tape *t, oct_graph *g)
{
    oct_tape_value v;
    for (int64_t i = 0; oct_tape_value_at(t, i, &v); i++) {
        if (!(v.parameter || v.statistic) || is_quantizers(q, v.name))
            continue;
        oct_value *to = constant_of(g, v.name, v.count);
        if (!to)
            continue; /* it has not been trained: oct_qat_keeps */
        OCT_TRY(oct_arena_memdup(g->arena, v.data, to->bytes, (void **)&to->data));
    }
    return OCT_OK;
}

static oct_node *node_called(const oct_graph *g, const char *name)
{
    for (int64_t i = 0; name && i < g->node_count; i++)
        if (strcmp(g->nodes[i]->name, name) == 0)
            return g->nodes[i];
    return NULL;
}

/* Weights become codes * scale; *out: the scale behind BatchNormalization. */
static oct_status put_on_grid(const oct_tape *t, oct_graph *g, const oct_qat_weights *w, float *out)
{
    oct_node *n = node_called(g, w->node), *norm = node_called(g, w->norm);
    oct_tape_value scale;
    if (!n)
        return oct_fail(OCT_ERR_INTERNAL, "node '%s' is not in the model", w->node);
    oct_value *x = n->inputs[1], *y;
    const float *from = x->data;
    float *to;
    double *k;
    OCT_TRY(oct_tape_find(t, w->scale, &scale));
    OCT_TRY(oct_arena_alloc(g->arena, x->bytes, (void **)&to));
    OCT_TRY(oct_arena_alloc(g->arena, w->channels * (int64_t)sizeof *k, (void **)&k));
    for (int64_t o = 0; o < w->outer; o++)
        for (int64_t c = 0; c < w->channels; c++)
            for (int64_t i = 0; i < w->inner; i++) {
                const int64_t at = (o * w->channels + c) * w->inner + i;
                const float s = scale.data[w->count == 1 ? 0 : c];
                to[at] = oct_dequantize(oct_quantize(from[at], s, 0, w->lo, w->hi), s, 0);
            }
    if (norm)
        oct_qat_norm_factors(norm, w->channels, k);
    for (int64_t c = 0; c < w->count; c++) {
        out[c] = oct_folded_scale(scale.data[c], norm ? k[c] : 1);
    }
    OCT_TRY(oct_value_const(g, x->name, OCT_F32, x->shape.rank, x->shape.dim, to, &y));
    return oct_node_set_input(g, n, 1, y);
}

static oct_status params_of(const oct_tape *t, const oct_qat_codes *c, oct_qparams *out)
{
    oct_tape_value scale, zero;
    OCT_TRY(oct_tape_find(t, c->scale, &scale));
    OCT_TRY(oct_tape_find(t, c->zero, &zero));
    const float z = oct_rne(zero.data[0]);
    *out = (oct_qparams){scale.data[0], (int32_t)fminf(fmaxf(z, (float)c->lo), (float)c->hi)};
    return OCT_OK;
}

static oct_status put_range(oct_ranges *r, const char *tensor, const oct_qat_codes *c, oct_qparams p)
{
    return oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)tensor,
                                                .min = oct_dequantize(c->lo, p.scale, p.zero),
                                                .max = oct_dequantize(c->hi, p.scale, p.zero),
                                                .scale = p.scale,
                                                .zero = p.zero,
                                                .solver = (char *)"trained",
                                                .error = -1});
}

static oct_status collect(const oct_qat *q, const oct_tape *t, oct_graph *g, oct_ranges *ranges, oct_learned *out)
{
    oct_learned_weights *weights;
    oct_learned_input *inputs;
    OCT_TRY(oct_arena_alloc(g->arena, (q->weight_count + 1) * (int64_t)sizeof *weights, (void **)&weights));
    OCT_TRY(oct_arena_alloc(g->arena, (q->point_count + 1) * (int64_t)sizeof *inputs, (void **)&inputs));
    for (int64_t i = 0; i < q->weight_count; i++) {
        const oct_qat_weights *w = &q->weights[i];
        float *scale;
        OCT_TRY(oct_arena_alloc(g->arena, w->count * (int64_t)sizeof *scale, (void **)&scale));
        OCT_TRY(put_on_grid(t, g, w, scale));
        weights[i] = (oct_learned_weights){w->node, scale, w->count, w->lo, w->hi, w->narrow_input};
    }
    *out = (oct_learned){.weights = weights, .inputs = inputs, .weight_count = q->weight_count, .int4 = q->opts.int4};
    for (int64_t i = 0; i < q->point_count; i++) {
        const oct_qat_point *p = &q->points[i];
        oct_qparams wide, narrow;
        if (p->wide.scale) {
            OCT_TRY(params_of(t, &p->wide, &wide));
            OCT_TRY(put_range(ranges, p->tensor, &p->wide, wide));
        }
        if (!p->narrow.scale)
            continue;
        OCT_TRY(params_of(t, &p->narrow, &narrow));
        inputs[out->input_count++] = (oct_learned_input){p->tensor, narrow, p->narrow.lo, p->narrow.hi, !p->wide.scale};
        if (!p->wide.scale)
            OCT_TRY(put_range(ranges, p->tensor, &p->narrow, narrow));
    }
    return OCT_OK;
}

static oct_status quantize(const oct_qat *q, const oct_tape *t, oct_graph *g)
{
    oct_status s = OCT_OK;
    oct_ranges *ranges = NULL;
    oct_learned learned;
    OCT_TRY_DONE(oct_ranges_create(q->scheme, &ranges));
    OCT_TRY_DONE(oct_ranges_set_method(ranges, "trained"));
    OCT_TRY_DONE(collect(q, t, g, ranges, &learned));
    OCT_TRY_DONE(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT, .fold = oct_build_fold}));
    OCT_TRY_DONE(oct_insert_learned(g, ranges, q->opts.per_tensor, &learned));
    if (q->opts.int4 && g->opset < 21)
        g->opset = 21;
done:
    oct_ranges_destroy(ranges);
    return s;
}

oct_status oct_qat_export(const oct_qat *q, const oct_tape *t, oct_model **out)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL, *done_graph;
    OCT_TRY(oct_graph_clone(q->base, &g));
    OCT_TRY_DONE(take_values(q, t, g));
    if (q->quantized)
        OCT_TRY_DONE(quantize(q, t, g));
    done_graph = g;
    g = NULL;
    s = oct_model_from_graph(done_graph, q->model, out);
done:
    oct_graph_destroy(g);
    return s;
}
