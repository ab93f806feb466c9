/* Fake quantization with the straight-through estimator.  DESIGN 3.1, 7.2; anchors: docs/training.md "scales".
 *
 * With v = x / s, the codes' limits lo, hi and the zero point z (rounded where it is used):
 *   y = rne(clamp(v, lo - z, hi - z)) s
 *   dx = dy inside of the limits, 0 outside
 *   learned (Esser et al. 2020, arXiv 1902.08153):  ds = g sum dy (rne(v) - v inside, the limit itself outside),  g = 1 / sqrt(n q)
 *   clip (Choi et al. 2018, arXiv 1805.06085): the limit a = s q is what is learned, da = sum of dy at the upper limit minus that
 * at the lower; ds = da / q moves it as a step of the same rate on a would Dampening of strength d (Nagel et al. 2022, arXiv
 * 2203.11086): the loss gets d k sum (x - y)^2 over the elements inside, y taken as constant, which draws weights away from the
 * edges between codes, where they would jump to and fro; k is the node's own share. With statistics that stay, codes behind a
 * product are those of the engine's epilogue instead (codes.h), the same but for rounding ties. q = max(hi - z, z - lo); n =
 * elements of a sample of an activation, of a channel of weights. ema: dscale and dzero hold the batch's extremes. */
#include "train/fake_quant.h"

#include <math.h>
#include "num/num.h"
#include "train/codes.h"
#include "train/diff.h"
#include "train/vector.h"

enum { X, SCALE, ZERO };

typedef struct fake_state {
    oct_fake_quant q;
    int64_t outer, channels, inner; /* x as [outer, channels, inner] around the axis; one channel without */
    double norm;                    /* n of the gradient scale */
    oct_codes_rule *rule;           /* NULL = codes are x / scale, rounded */
} fake_state;

/* --- nodes --- */

oct_status oct_fake_quant_add(oct_graph *g, const char *name, oct_value *x, oct_value *scale, oct_value *zero,
                              const oct_fake_quant *q, oct_value **y)
{
    oct_node *n;
    OCT_TRY(oct_value_add(g, NULL, name, y));
    OCT_TRY(oct_node_add(g, NULL, OCT_OP_FAKE_QUANT, name, 3, (oct_value *[]){x, scale, zero}, 1, y, &n));
    (*y)->dtype = x->dtype;
    (*y)->shape = x->shape;
    OCT_TRY(oct_node_set_int(g, n, "lo", q->lo));
    OCT_TRY(oct_node_set_int(g, n, "hi", q->hi));
    OCT_TRY(oct_node_set_int(g, n, "axis", q->axis));
    if (q->dampen > 0)
        OCT_TRY(oct_node_set_float(g, n, "dampen", q->dampen));
    return oct_node_set_int(g, n, "mode", q->mode);
}

void oct_fake_quant_read(const oct_node *n, oct_fake_quant *out)
{
    *out =
        (oct_fake_quant){(int32_t)oct_node_int(n, "lo", 0), (int32_t)oct_node_int(n, "hi", 255), (int)oct_node_int(n, "axis", -1),
                         (oct_scale_mode)oct_node_int(n, "mode", OCT_SCALES_LEARNED), oct_node_float(n, "dampen", 0)};
}

/* --- one run of elements with one scale: the rest is in vector.h --- */

static void extremes_run(const float *x, int64_t n, float *least, float *most)
{
    float lo = *least, hi = *most;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    *least = lo;
    *most = hi;
}

/* --- the operator --- */

oct_status oct_diff_prepare_fake_quant(oct_tape *t, oct_diff_node *d)
{
    const oct_node *n = d->node;
    const oct_shape *x = &n->inputs[X]->shape;
    fake_state *s;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    oct_fake_quant_read(n, &s->q);
    *s = (fake_state){.q = s->q, .outer = 1, .channels = 1, .inner = d->in[X]->count};
    if (s->q.axis >= 0) {
        s->outer = oct_diff_product(x, 0, s->q.axis);
        s->channels = x->dim[s->q.axis];
        s->inner = oct_diff_product(x, s->q.axis + 1, x->rank);
    }
    if (d->in[SCALE]->count != s->channels || d->in[ZERO]->count != s->channels)
        return oct_fail_node(oct_fail(OCT_ERR_INTERNAL, "quantizer '%s' has %lld scales for %lld channels", n->name,
                                      (long long)d->in[SCALE]->count, (long long)s->channels),
                             n->name);
    const bool weights = n->inputs[X]->data != NULL;
    s->norm = (double)d->in[X]->count / (double)(weights || x->rank < 1 ? s->channels : oct_max64(1, x->dim[0]));
    return oct_codes_rule_make(t, d, &s->rule);
}

typedef struct limits {
    float scale, lo, hi; /* lo, hi: codes from the zero point */
} limits;

static limits limits_of(const oct_diff_node *d, int64_t channel)
{
    const fake_state *s = d->state;
    const float zero = oct_rne(d->in[ZERO]->data[channel]);
    return (limits){d->in[SCALE]->data[channel], (float)s->q.lo - zero, (float)s->q.hi - zero};
}

oct_status oct_diff_forward_fake_quant(oct_tape *t, oct_diff_node *d)
{
    const fake_state *s = d->state;
    oct_slot *y = d->out[0];
    if (oct_codes_rule_holds(s->rule, t->training)) {
        const limits l = limits_of(d, 0);
        oct_codes_rule_run(s->rule, d, l.scale, l.lo, l.hi);
        return OCT_OK;
    }
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < s->channels; c++) {
            const limits l = limits_of(d, c);
            const int64_t at = (o * s->channels + c) * s->inner;
            oct_vector()->quantize(s->inner, d->in[X]->data + at, l.scale, l.lo, l.hi, y->codes ? y->codes + at : NULL,
                                   y->data ? y->data + at : NULL);
        }
    return OCT_OK;
}

/* dx of one channel, and the sum that its scale's gradient is made of. */
static double backward_channel(oct_diff_node *d, int64_t channel, limits l, bool fresh)
{
    const fake_state *s = d->state;
    double sum = 0;
    for (int64_t o = 0; o < s->outer; o++) {
        const int64_t at = (o * s->channels + channel) * s->inner;
        float *dx = d->in[X]->grad ? d->in[X]->grad + at : NULL;
        sum += oct_vector()->quantize_back(s->inner, d->in[X]->data + at, d->out[0]->grad + at, l.scale, l.lo, l.hi,
                                           s->q.mode == OCT_SCALES_LEARNED, fresh, dx);
    }
    return sum;
}

static void dampen(oct_diff_node *d, int64_t channel, limits l, double strength)
{
    const fake_state *s = d->state;
    const float pull = (float)(2 * strength);
    for (int64_t o = 0; o < s->outer; o++) {
        const int64_t at = (o * s->channels + channel) * s->inner;
        const float *x = d->in[X]->data + at, *y = d->out[0]->data + at;
        for (int64_t i = 0; i < s->inner; i++)
            if (x[i] / l.scale >= l.lo && x[i] / l.scale <= l.hi)
                d->in[X]->grad[at + i] += pull * (x[i] - y[i]);
    }
}

oct_status oct_diff_backward_fake_quant(oct_tape *t, oct_diff_node *d)
{
    const fake_state *s = d->state;
    const bool fresh = oct_diff_fresh(d->in[X]);
    for (int64_t c = 0; c < s->channels; c++) {
        const limits l = limits_of(d, c);
        const double sum = backward_channel(d, c, l, fresh), q = fmax((double)l.hi, -(double)l.lo);
        if (s->q.dampen > 0 && t->dampening > 0 && d->in[X]->grad)
            dampen(d, c, l, t->dampening * (double)s->q.dampen);
        if (s->q.mode == OCT_SCALES_LEARNED)
            d->in[SCALE]->grad[c] += (float)(sum / sqrt(s->norm * q));
        if (s->q.mode == OCT_SCALES_CLIP)
            d->in[SCALE]->grad[c] += (float)(sum / (q * q));
    }
    if (s->q.mode == OCT_SCALES_EMA)
        extremes_run(d->in[X]->data, d->in[X]->count, d->in[ZERO]->grad, d->in[SCALE]->grad);
    return OCT_OK;
}
