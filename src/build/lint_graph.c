/* Findings on the codes of weights and the scales of activations, in a graph after the passes.  What is said of a scale is proved
 * by interval arithmetic: no input whatever can give the codes that are called unused. */
#include "build/lint.h"

#include <math.h>
#include "num/num.h"
#include "opt/form.h"

enum { FEW_CODES = 64, BY_CHANCE = 4 }; /* 64 of 256: two bits are lost; so many weights may round to the limit in a small tensor */
#define MANY_CLIPPED 0.02               /* evenly spread weights come to 0.4 to 0.8 % */

static int code_at(const oct_value *v, int64_t i)
{
    return v->dtype == OCT_S8 ? ((const int8_t *)v->data)[i] : ((const uint8_t *)v->data)[i];
}
static bool is_code(const oct_value *v)
{
    return v && v->quant && (v->dtype == OCT_U8 || v->dtype == OCT_S8);
}
static bool is_weighted(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_GEMM || op == OCT_OP_MATMUL;
}

/* Channels of a weight tensor: element i belongs to channel i / inner % count. */
typedef struct channels {
    int64_t count, inner, total;
} channels;

static channels channels_of(const oct_node *n, const oct_value *w)
{
    const int axis = oct_weight_axis(n);
    channels c = {.count = w->shape.dim[axis], .inner = 1, .total = 1};
    for (int k = 0; k < w->shape.rank; k++) {
        c.total *= w->shape.dim[k];
        c.inner *= k > axis ? w->shape.dim[k] : 1;
    }
    return c;
}

static int32_t zero_at(const oct_quant *q, int64_t channel)
{
    return q->zero[q->n > 1 ? channel : 0];
}
static float scale_at(const oct_quant *q, int64_t channel)
{
    return q->scale[q->n > 1 ? channel : 0];
}

/* --- weights --- */

static oct_status lint_weights(const oct_node *n, const oct_value *w, cJSON *list)
{
    const channels c = channels_of(n, w);
    const bool u8 = w->dtype == OCT_U8;
    int64_t at_limit = 0, dead = 0, first = -1;
    bool two_sided = u8;
    for (int64_t channel = 0; channel < c.count; channel++) {
        const int32_t zero = zero_at(w->quant, channel);
        bool alive = false;
        for (int64_t block = channel * c.inner; block < c.total; block += c.count * c.inner)
            for (int64_t i = block; i < block + c.inner; i++) {
                const int code = code_at(w, i);
                alive = alive || code != zero;
                at_limit += u8 ? code == 0 || code == 255 : code <= -127 || code == 127;
            }
        two_sided = two_sided || zero != 0;
        if (!alive && dead++ == 0)
            first = channel;
    }
    /* A scale from the largest weight puts that one weight at the limit; of a two-sided range both ends. */
    const int64_t expected = (w->quant->n > 1 ? c.count : 1) * (two_sided ? 2 : 1);
    if (dead)
        OCT_TRY(oct_lint_add(list, "dead-channel", "tensor", w->name,
                             "remove such channels, or use a scale per channel where small weights are rounded to nothing",
                             "%lld of %lld output channels of '%s' have no weight that is not 0 (the first: %lld)", (long long)dead,
                             (long long)c.count, n->name, (long long)first));
    if (at_limit - expected > BY_CHANCE && at_limit - expected > MANY_CLIPPED * (double)c.total)
        OCT_TRY(oct_lint_add(list, "clipped-weights", "tensor", w->name, "use a larger scale, or one per channel",
                             "%.1f %% of the weights of '%s' stand at the limits of the code: they are most likely cut off",
                             100 * (double)at_limit / (double)c.total, n->name));
    return OCT_OK;
}

/* --- scales --- */

typedef struct interval {
    double lo, hi;
} interval;

/* What a code tensor can hold; 0 is always inside. */
static interval grid_of(const oct_value *v)
{
    const double lo = v->dtype == OCT_S8 ? -128 : 0, s = (double)v->quant->scale[0], z = v->quant->zero[0];
    return (interval){(lo - z) * s, (lo + 255 - z) * s};
}

/* All that a weighted node can give: per channel the sum of each weight's worst case, then the widest channel. */
static bool products(const oct_node *n, interval x, interval *y)
{
    const oct_value *w = n->inputs[1], *b = oct_node_in(n, 2);
    if (n->op == OCT_OP_CONV_TRANSPOSE || oct_node_float(n, "alpha", 1) != 1 || oct_node_float(n, "beta", 1) != 1)
        return false;
    const channels c = channels_of(n, w);
    int64_t bias_count = 0;
    if (b && (!b->data || b->dtype != OCT_F32 || oct_shape_count(&b->shape, &bias_count) != OCT_OK ||
              (bias_count != 1 && bias_count != c.count)))
        return false;
    *y = (interval){INFINITY, -INFINITY};
    for (int64_t channel = 0; channel < c.count; channel++) {
        const int32_t zero = zero_at(w->quant, channel);
        const double s = (double)scale_at(w->quant, channel),
                     bias = b ? (double)((const float *)b->data)[bias_count > 1 ? channel : 0] : 0;
        double lo = bias, hi = bias;
        for (int64_t block = channel * c.inner; block < c.total; block += c.count * c.inner)
            for (int64_t i = block; i < block + c.inner; i++) {
                const double v = (code_at(w, i) - zero) * s;
                lo += fmin(v * x.lo, v * x.hi);
                hi += fmax(v * x.lo, v * x.hi);
            }
        *y = (interval){fmin(y->lo, lo), fmax(y->hi, hi)};
    }
    return c.count > 0;
}

static bool results(const oct_node *n, interval *y)
{
    const oct_value *x = oct_node_in(n, 0), *other = oct_node_in(n, n->op == OCT_OP_ADD ? 1 : n->fused.residual);
    if (!is_code(x) || x->quant->n != 1)
        return false;
    *y = grid_of(x);
    if (is_weighted(n->op) && !(is_code(n->inputs[1]) && n->inputs[1]->data && products(n, *y, y)))
        return false;
    if (!is_weighted(n->op) && n->op != OCT_OP_ADD && n->op != OCT_OP_MAX_POOL && n->op != OCT_OP_AVERAGE_POOL &&
        n->op != OCT_OP_GLOBAL_AVERAGE_POOL)
        return false;
    if (n->op == OCT_OP_ADD || n->fused.residual) {
        if (!is_code(other) || other->quant->n != 1)
            return false;
        const interval r = grid_of(other);
        *y = (interval){y->lo + r.lo, y->hi + r.hi};
    }
    if (n->fused.clamp)
        *y = (interval){fmin(fmax(y->lo, (double)n->fused.lo), (double)n->fused.hi),
                        fmin(fmax(y->hi, (double)n->fused.lo), (double)n->fused.hi)};
    return true;
}

static oct_status lint_scale(const oct_node *n, cJSON *list)
{
    const oct_value *y = oct_node_out(n, 0);
    interval r;
    if (!is_code(y) || y->quant->n != 1 || !results(n, &r))
        return OCT_OK;
    const int32_t lo = y->dtype == OCT_S8 ? -128 : 0, zero = y->quant->zero[0];
    const int codes = oct_quantize((float)r.hi, y->quant->scale[0], zero, lo, lo + 255) -
                      oct_quantize((float)r.lo, y->quant->scale[0], zero, lo, lo + 255) + 1;
    const interval grid = grid_of(y);
    if (codes >= FEW_CODES)
        return OCT_OK;
    return oct_lint_add(list, "unused-codes", "tensor", y->name,
                        "calibrate this tensor again: its scale is too large for what comes in",
                        "only %d of 256 codes can occur: the scale reaches from %g to %g, '%s' can give %g to %g", codes, grid.lo,
                        grid.hi, n->name, r.lo, r.hi);
}

oct_status oct_lint_graph(const oct_graph *g, cJSON *list)
{
    for (int64_t i = 0; i < g->node_count; i++) {
        const oct_node *n = g->nodes[i];
        if (!n->int8)
            continue;
        if (is_weighted(n->op) && is_code(n->inputs[1]) && n->inputs[1]->data)
            OCT_TRY(lint_weights(n, n->inputs[1], list));
        OCT_TRY(lint_scale(n, list));
    }
    return OCT_OK;
}
