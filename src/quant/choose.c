/* `auto`: which of the candidate ranges a tensor gets (docs/numerics.md "auto").
 *
 * Two probes a tensor tell what a unit of rounding error and a unit of clipping error cost at the model's output (or, where the model is too
 * large for that, at the outputs of the tensor's consumers): the tensor quantized over its whole range, and quantized with a range that
 * clips noticeably. The candidates are then compared by these two prices and the errors that the histogram of all samples predicts: few
 * kept samples never hold enough of the rare values that a range clips. */
#include "quant/choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"
#include "opt/opt.h"
#include "quant/meter.h"

/* Multiply-accumulates that choosing may cost: about ten seconds of float work on two cores. */
#define BUDGET 1.5e11
#define LEAST_SAMPLES 4
/* Bytes of activations held at a time. */
#define HOLD ((int64_t)64 << 20)
/* The clipping probe is the first whose clipping error is this many times its rounding error. */
#define NOTICEABLE 3.0
/* Scores closer than this are equal; then the wider range wins: samples yet unseen reach further than those seen. */
#define TIE 1.15

/* A tensor of the group under test: the values of its samples, and how the probe wants it. */
typedef struct source {
    const oct_value *value;  /* in the model's graph */
    char *input;             /* name of the probe's extra input */
    int64_t size;            /* of one sample */
    float *x;                /* samples x size */
} source;

typedef struct chooser {
    oct_calibrator *cal;
    const oct_placement *p;
    oct_meter meter;
    bool local;              /* targets are the consumers' outputs */
    source *sources;         /* one per root point, by point index; x only while held */
    float *work;             /* room for the largest source */
} chooser;

/* --- the probe of one group --- */

static oct_value *end_of_chain(oct_value *y)
{
    for (oct_node *u; (u = oct_value_only_user(y)) != NULL; y = u->outputs[0]) {
        bool bias = u->op == OCT_OP_ADD && (u->inputs[0]->data || u->inputs[1]->data);
        if (!bias && u->op != OCT_OP_RELU && u->op != OCT_OP_CLIP)
            break;
    }
    return y;
}

/* Only the consumers' outputs stay outputs of g. */
static oct_status aim_at_consumers(const chooser *c, oct_graph *g, int32_t group)
{
    for (int64_t i = 0; i < g->output_count; i++)
        g->outputs[i]->is_output = false;
    g->output_count = 0;
    for (int64_t i = 0; i < c->p->edge_count; i++) {
        const oct_qedge *e = &c->p->edges[i];
        if (c->p->points[e->point].group != group)
            continue;
        const oct_value *own = e->node->outputs[0];
        bool moves = !oct_is_quantizable(e->node) && e->node->op != OCT_OP_ADD && e->node->op != OCT_OP_MUL;
        oct_value *y = oct_value_find(g, own->name);
        if (!y || moves)
            continue;
        y = end_of_chain(y);
        if (!y->is_output)
            OCT_TRY(oct_graph_add_output(g, y));
    }
    return OCT_OK;
}

static oct_status open_probe(chooser *c, int32_t group, oct_probe *out)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL, *given;
    OCT_TRY(oct_graph_clone(c->cal->model->graph, &g));
    for (int64_t i = 0; i < c->p->point_count; i++) {
        const oct_qpoint *p = &c->p->points[i];
        oct_value *v = oct_value_find(g, p->value->name), *in;
        if (p->group != group || !p->root || !v)
            continue;
        OCT_TRY_DONE(oct_value_add(g, NULL, p->value->name, &in));
        in->dtype = v->dtype;
        in->shape = v->shape;
        OCT_TRY_DONE(oct_graph_add_input(g, in));
        free(c->sources[i].input);
        if (!(c->sources[i].input = strdup(in->name)))
            OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot build a probe");
        /* Nodes of a clone stand in the order of the original's. */
        for (int64_t e = 0; e < c->p->edge_count; e++)
            if (c->p->edges[e].point == i)
                OCT_TRY_DONE(oct_node_set_input(g, g->nodes[c->p->edges[e].index], c->p->edges[e].input, in));
    }
    if (c->local)
        OCT_TRY_DONE(aim_at_consumers(c, g, group));
    else
        oct_meter_mark(&c->meter, g);
    oct_graph_sweep(g);
    given = g;
    g = NULL;
    s = oct_probe_open(c->cal, given, OCT_OPT_EXPORT | OCT_OPT_FUSE, &c->cal->kept[0], out);
done:
    oct_graph_destroy(g);
    return s;
}

/* --- errors of one quantizer on the held samples --- */

typedef struct measured {
    double round, clip;  /* sums of squared error inside and outside of the limits */
    double cost;         /* at the targets */
} measured;

static void fake_quantize(const chooser *c, const oct_solution *q, const float *x, int64_t n, float *to, measured *m)
{
    int32_t lo = c->cal->opts.scheme == OCT_SCHEME_AFFINE ? 0 : -128, hi = c->cal->opts.scheme == OCT_SCHEME_AFFINE ? 255 : 127;
    float least = oct_dequantize(lo, q->scale, q->zero), most = oct_dequantize(hi, q->scale, q->zero);
    for (int64_t i = 0; i < n; i++) {
        float v = oct_dequantize(oct_quantize(x[i], q->scale, q->zero, lo, hi), q->scale, q->zero);
        double d = (double)v - (double)x[i], e = d == d ? d * d : 0;
        *(x[i] < least || x[i] > most ? &m->clip : &m->round) += e;
        if (to)
            to[i] = v;
    }
}

static void errors_of(const chooser *c, int32_t group, const oct_solution *q, measured *m)
{
    *m = (measured){0};
    for (int64_t i = 0; i < c->p->point_count; i++)
        if (c->p->points[i].group == group && c->sources[i].x)
            fake_quantize(c, q, c->sources[i].x, c->sources[i].size * c->meter.samples, NULL, m);
}

/* Distance of the consumers' outputs from those of the unquantized tensor. */
typedef struct local_want {
    float *y;
    int64_t size, capacity;
} local_want;

static oct_status read_local(const oct_probe *p, local_want *w)
{
    w->size = 0;
    for (int i = 0; i < oct_plan_output_count(p->plan); i++) {
        oct_port port;
        int64_t n;
        OCT_TRY(oct_plan_get_output(p->plan, i, &port));
        OCT_TRY(oct_probe_size(p, port.name, &n));
        OCT_TRY(oct_grow((void **)&w->y, &w->capacity, w->size + n, sizeof *w->y));
        OCT_TRY(oct_probe_read(p, port.name, w->y + w->size, n));
        w->size += n;
    }
    return OCT_OK;
}

static oct_status feed(chooser *c, oct_probe *p, int32_t group, int sample, const oct_solution *q)
{
    measured unused = {0};
    OCT_TRY(oct_probe_set_sample(p, &c->cal->kept[sample]));
    for (int64_t i = 0; i < c->p->point_count; i++) {
        const source *s = &c->sources[i];
        if (c->p->points[i].group != group || !s->x)
            continue;
        const float *x = s->x + sample * s->size;
        if (q)
            fake_quantize(c, q, x, s->size, c->work, &unused);
        OCT_TRY(oct_probe_set(p, s->input, q ? c->work : x, s->size));
    }
    return oct_probe_run(p);
}

static oct_status cost_of(chooser *c, oct_probe *p, int32_t group, const oct_solution *q, double *cost)
{
    oct_status s = OCT_OK;
    local_want want = {0}, got = {0};
    *cost = 0;
    for (int k = 0; k < c->meter.samples; k++) {
        if (c->local) {
            double distance = 0, energy = 0;
            OCT_TRY_DONE(feed(c, p, group, k, NULL));
            OCT_TRY_DONE(read_local(p, &want));
            OCT_TRY_DONE(feed(c, p, group, k, q));
            OCT_TRY_DONE(read_local(p, &got));
            for (int64_t i = 0; i < want.size; i++) {
                double d = (double)got.y[i] - (double)want.y[i];
                distance += d * d;
                energy += (double)want.y[i] * (double)want.y[i];
            }
            *cost += energy > 0 ? distance / energy : 0;
        } else {
            OCT_TRY_DONE(feed(c, p, group, k, q));
            OCT_TRY_DONE(oct_meter_add(&c->meter, p, k, cost));
        }
    }
done:
    free(want.y);
    free(got.y);
    return s;
}

/* --- scoring --- */

/* A range that clips noticeably on the held samples; false when they hold too few values for one. */
static bool clipping_probe(const chooser *c, const oct_share *share, oct_solution *q)
{
    static const double percents[] = {99.99, 99.9, 99, 95};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        measured m;
        oct_solve(share->observer, c->cal->opts.scheme, (oct_method){OCT_SOLVER_PERCENTILE, percents[i], ""}, q);
        errors_of(c, share->group, q, &m);
        if (m.clip > NOTICEABLE * m.round)
            return true;
    }
    return false;
}

static oct_status score(chooser *c, oct_share *share)
{
    oct_status s = OCT_OK;
    oct_probe p = {0};
    oct_solution clipping;
    measured wide, narrow;
    double price_round, price_clip, least = INFINITY;
    if (!clipping_probe(c, share, &clipping))
        return OCT_OK; /* `max` stands */
    OCT_TRY(open_probe(c, share->group, &p));
    errors_of(c, share->group, &share->candidate[0], &wide);
    errors_of(c, share->group, &clipping, &narrow);
    OCT_TRY_DONE(cost_of(c, &p, share->group, &share->candidate[0], &wide.cost));
    OCT_TRY_DONE(cost_of(c, &p, share->group, &clipping, &narrow.cost));
    if (!(wide.round > 0) || !isfinite(wide.cost) || !isfinite(narrow.cost))
        goto done;
    price_round = wide.cost / wide.round;
    price_clip = fmax((narrow.cost - price_round * narrow.round) / narrow.clip, price_round);
    for (int i = 0; i < share->count; i++) {
        double j = price_round * share->candidate[i].round + price_clip * share->candidate[i].clip;
        /* Candidates come widest first as a rule; a narrower one must be better by more than a tie. */
        bool wider = share->candidate[i].scale > share->candidate[share->chosen].scale;
        if (j * (wider ? 1 : TIE) < least * (wider ? TIE : 1) || i == 0) {
            share->chosen = i;
            least = j;
        }
    }
done:
    oct_probe_close(&p);
    return s;
}

/* --- holding activations --- */

static oct_status open_float(chooser *c, oct_probe *out)
{
    oct_graph *g;
    OCT_TRY(oct_graph_clone(c->cal->model->graph, &g));
    for (int64_t i = 0; i < c->p->point_count; i++) {
        oct_value *v = oct_value_find(g, c->p->points[i].value->name);
        if (v && c->p->points[i].root && v->producer)
            v->is_output = true;
    }
    return oct_probe_open(c->cal, g, OCT_OPT_EXPORT | OCT_OPT_FUSE, &c->cal->kept[0], out);
}

static const float *model_input(const chooser *c, const oct_value *v, int sample)
{
    const oct_graph *g = c->cal->model->graph;
    for (int64_t i = 0; i < g->input_count; i++)
        if (g->inputs[i] == v)
            return c->cal->kept[sample].inputs[i].data;
    return NULL;
}

/* Run the float model and keep the sources of shares [first, last). */
static oct_status hold(chooser *c, oct_probe *p, const oct_share *shares, int64_t first, int64_t last)
{
    for (int64_t i = 0; i < c->p->point_count; i++) {
        source *s = &c->sources[i];
        free(s->x);
        s->x = NULL;
        bool asked = false;
        for (int64_t k = first; k < last && !asked; k++)
            asked = shares[k].group == c->p->points[i].group && shares[k].count > 1;
        if (asked && c->p->points[i].root && !(s->x = malloc((size_t)(s->size * c->meter.samples) * sizeof *s->x)))
            return oct_fail(OCT_ERR_MEMORY, "cannot hold the activations of %d samples", c->meter.samples);
    }
    for (int k = 0; k < c->meter.samples; k++) {
        OCT_TRY(oct_probe_set_sample(p, &c->cal->kept[k]));
        OCT_TRY(oct_probe_run(p));
        for (int64_t i = 0; i < c->p->point_count; i++) {
            source *s = &c->sources[i];
            const float *in = model_input(c, s->value, k);
            if (!s->x)
                continue;
            if (in)
                memcpy(s->x + k * s->size, in, (size_t)s->size * sizeof *in);
            else
                OCT_TRY(oct_probe_read(p, s->value->name, s->x + k * s->size, s->size));
        }
    }
    return OCT_OK;
}

static oct_status size_sources(chooser *c, const oct_probe *p)
{
    int64_t most = 1;
    for (int64_t i = 0; i < c->p->point_count; i++) {
        source *s = &c->sources[i];
        s->value = c->p->points[i].value;
        if (!c->p->points[i].root)
            continue;
        if (s->value->producer) {
            OCT_TRY(oct_probe_size(p, s->value->name, &s->size));
        } else {
            for (int64_t k = 0; k < c->cal->model->graph->input_count; k++)
                if (c->cal->model->graph->inputs[k] == s->value)
                    s->size = oct_tensor_count(&c->cal->kept[0].inputs[k]);
        }
        most = oct_max64(most, s->size);
    }
    c->work = malloc((size_t)most * sizeof *c->work);
    return c->work ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot hold an activation");
}

static int64_t share_bytes(const chooser *c, const oct_share *share)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < c->p->point_count; i++)
        if (share->count > 1 && c->p->points[i].group == share->group)
            bytes += c->sources[i].size * c->meter.samples * (int64_t)sizeof(float);
    return bytes;
}

static oct_status score_all(chooser *c, oct_share *shares, int64_t count)
{
    oct_status s = OCT_OK;
    oct_probe p = {0};
    OCT_TRY(open_float(c, &p));
    OCT_TRY_DONE(size_sources(c, &p));
    for (int64_t first = 0, last; first < count; first = last) {
        int64_t bytes = 0;
        for (last = first; last < count && (last == first || bytes + share_bytes(c, &shares[last]) <= HOLD); last++)
            bytes += share_bytes(c, &shares[last]);
        if (bytes == 0)
            continue;
        OCT_TRY_DONE(hold(c, &p, shares, first, last));
        for (int64_t i = first; i < last; i++)
            if (shares[i].count > 1)
                OCT_TRY_DONE(score(c, &shares[i]));
    }
done:
    oct_probe_close(&p);
    return s;
}

/* --- the whole --- */

static oct_status macs_of_sample(const oct_calibrator *cal, double *out)
{
    oct_graph *g;
    OCT_TRY(oct_graph_clone(cal->model->graph, &g));
    oct_status s;
    int64_t *ones = NULL;
    s = oct_arena_alloc(g->arena, (g->symbol_count + 1) * (int64_t)sizeof *ones, (void **)&ones);
    for (int64_t i = 0; s == OCT_OK && i < g->symbol_count; i++)
        ones[i] = 1;
    if (s == OCT_OK)
        s = oct_graph_bind(g, ones);
    *out = 1;
    for (int64_t i = 0; s == OCT_OK && i < g->node_count; i++)
        *out += (double)oct_node_macs(g->nodes[i]);
    oct_graph_destroy(g);
    return s;
}

oct_status oct_choose(oct_calibrator *cal, const oct_placement *p, oct_share *shares, int64_t count)
{
    oct_status s = OCT_OK;
    chooser c = {.cal = cal, .p = p};
    int64_t open = 0;
    double macs;
    for (int64_t i = 0; i < count; i++)
        open += shares[i].count > 1;
    if (open == 0 || cal->kept_count == 0)
        return OCT_OK;
    OCT_TRY(macs_of_sample(cal, &macs));
    /* Two probes a share; each costs the part of the model behind the tensor. */
    double afford = BUDGET / ((double)open * macs);
    c.local = afford < LEAST_SAMPLES;
    c.sources = calloc((size_t)p->point_count + 1, sizeof *c.sources);
    if (!c.sources)
        return oct_fail(OCT_ERR_MEMORY, "cannot choose ranges");
    OCT_TRY_DONE(oct_meter_open(cal, c.local ? OCT_KEPT_LEAST / 2 : (int)fmin(afford, OCT_KEPT_LEAST), &c.meter));
    s = score_all(&c, shares, count);
done:
    oct_meter_close(&c.meter);
    for (int64_t i = 0; i < p->point_count; i++) {
        free(c.sources[i].input);
        free(c.sources[i].x);
    }
    free(c.sources);
    free(c.work);
    return s;
}
