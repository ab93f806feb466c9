/* Rules for codes: found in the graph when a tape is made, filled with the present scales and statistics at every run. */
#include "train/codes.h"

#include <math.h>
#include "num/num.h"
#include "opt/form.h"
#include "opt/pass.h"
#include "train/vector.h"

enum { X, W, B };
enum { SCALE = 1 };                              /* of a quantizer */
enum { GAMMA = 1, BETA = 2, MEAN = 3, VAR = 4 }; /* of a BatchNormalization */

typedef enum rule_kind {
    OF_PRODUCT, /* a product's sums, with a residual's codes where there are any */
    OF_SUM,     /* two tensors of codes */
    OF_MEAN     /* the codes of a plane */
} rule_kind;

/* A tensor on a quantizer's grid: it may have been moved and picked from since. */
typedef struct grid {
    const oct_slot *at; /* NULL = none */
    const oct_diff_node *quantizer;
} grid;

struct oct_codes_rule {
    rule_kind kind;
    const oct_diff_node *product, *norm; /* norm NULL = none is folded */
    grid a, b;                           /* a product's residual; the terms of a sum; what a mean is of */
    float least, most;                   /* of the Relus and Clips on the way */
    int64_t rows, c, plane;              /* of the output: rows of c channels; planes where channels do not lie last */
    float *sign, *bias, *factor, *shift; /* [c], see oct_requant */
    float *sums;                         /* of means, [rows c] */
};

/* --- finding --- */

static oct_diff_node *producer(const oct_tape *t, const oct_value *v)
{
    for (int64_t i = 0; v->producer && i < t->node_count; i++)
        if (t->nodes[i].node == v->producer)
            return &t->nodes[i];
    return NULL;
}

static bool has_one_user(const oct_value *v)
{
    return v->user_count == 1 && !v->is_output;
}

static bool keeps_grid(const oct_node *n)
{
    return n->op == OCT_OP_MAX_POOL || n->op == OCT_OP_IDENTITY || (n->op == OCT_OP_PAD && !oct_pad_writes_value(n)) ||
           (oct_op_get(n->op)->flags & OCT_OPF_M);
}

static grid grid_of(const oct_tape *t, const oct_value *v, const oct_slot *slot)
{
    const oct_diff_node *d = producer(t, v);
    while (d && d->node->op != OCT_OP_FAKE_QUANT && keeps_grid(d->node) && d->node->op != OCT_OP_CONCAT)
        d = producer(t, d->node->inputs[0]);
    return d && d->node->op == OCT_OP_FAKE_QUANT && d->in[SCALE]->count == 1 ? (grid){slot, d} : (grid){0};
}

static const oct_diff_node *quantizer_before(const oct_tape *t, const oct_diff_node *d, int input)
{
    const oct_diff_node *q = producer(t, d->node->inputs[input]);
    return q && q->node->op == OCT_OP_FAKE_QUANT ? q : NULL;
}

static bool is_plain_gemm(const oct_diff_node *d)
{
    const oct_node *n = d->node;
    const oct_value *c = oct_node_in(n, B);
    int64_t count = 0;
    return n->op == OCT_OP_GEMM && oct_node_float(n, "alpha", 1) == 1 && oct_node_float(n, "beta", 1) == 1 &&
           oct_node_int(n, "transA", 0) == 0 &&
           (!c || (oct_shape_count(&c->shape, &count) == OCT_OK && count == n->outputs[0]->shape.dim[1]));
}

static bool is_conv_or_gemm(const oct_diff_node *d)
{
    return d && (d->node->op == OCT_OP_CONV || d->node->op == OCT_OP_GEMM);
}

static bool lies_in_rows(const oct_slot *s)
{
    return s->last || oct_diff_product(&s->value->shape, 2, s->value->shape.rank) == 1;
}

/* Are its codes all that is asked for? */
static bool only_multiplied(const oct_tape *t, const oct_slot *s)
{
    int64_t uses = 0;
    for (int64_t i = 0; i < t->node_count; i++)
        uses += t->nodes[i].quantizer[X] && t->nodes[i].in[X] == s &&
                t->nodes[i].in[W]->uses == 1; /* whose gradient can be scaled then */
    return uses == s->uses;
}

/* One matrix times weights, with a bias that is a row. */
static bool is_plain_matmul(const oct_node *n)
{
    return n->op == OCT_OP_MATMUL && n->inputs[1]->shape.rank == 2;
}

void oct_diff_use_codes(oct_tape *t)
{
    for (int64_t i = 0; i < t->node_count; i++) {
        oct_diff_node *d = &t->nodes[i];
        if (d->node->op != OCT_OP_CONV && !is_plain_gemm(d) && !is_plain_matmul(d->node))
            continue;
        const oct_diff_node *x = quantizer_before(t, d, X), *w = quantizer_before(t, d, W);
        if (!x || !w || !w->in[X]->value->data || x->in[SCALE]->count != 1 ||
            (w->in[SCALE]->count != 1 && oct_node_int(w->node, "axis", -1) != oct_weight_axis(d->node)))
            continue;
        d->in[X]->coded = d->in[W]->coded = d->out[0]->summed = true;
        d->quantizer[X] = x;
        d->quantizer[W] = w;
    }
    for (int64_t i = 0; i < t->node_count; i++) {
        oct_diff_node *d = &t->nodes[i];
        if (d->node->op == OCT_OP_FAKE_QUANT && d->out[0]->coded && !d->in[X]->value->data)
            d->out[0]->bare = only_multiplied(t, d->out[0]);
        if (d->node->op == OCT_OP_BATCH_NORM)
            d->in[X]->bare = lies_in_rows(d->in[X]) && is_conv_or_gemm(oct_codes_product_of(t, d->node->inputs[X]));
    }
}

const oct_diff_node *oct_codes_product_of(const oct_tape *t, const oct_value *v)
{
    const oct_diff_node *d = has_one_user(v) ? producer(t, v) : NULL;
    return d && d->out[0] && d->out[0]->summed ? d : NULL;
}

/* [BatchNormalization] of a product, nothing else reading what lies between. */
static bool find_product(const oct_tape *t, const oct_value *v, oct_codes_rule *r)
{
    const oct_diff_node *d = has_one_user(v) ? producer(t, v) : NULL;
    r->norm = d && d->node->op == OCT_OP_BATCH_NORM ? d : NULL;
    r->product = oct_codes_product_of(t, r->norm ? r->norm->node->inputs[0] : v);
    return r->product && !(r->norm && r->product->node->op == OCT_OP_MATMUL);
}

static bool find_sum(const oct_tape *t, const oct_diff_node *add, oct_codes_rule *r)
{
    const oct_node *n = add->node;
    if (!oct_shape_equal(&n->inputs[0]->shape, &n->inputs[1]->shape) || n->inputs[0] == n->inputs[1])
        return false;
    const grid g[2] = {grid_of(t, n->inputs[0], add->in[0]), grid_of(t, n->inputs[1], add->in[1])};
    if (g[0].at && g[1].at) {
        r->kind = OF_SUM;
        r->a = g[0];
        r->b = g[1];
        return true;
    }
    const int residual = g[0].at ? 0 : 1;
    r->kind = OF_PRODUCT;
    r->a = g[residual];
    return r->a.at && find_product(t, n->inputs[1 - residual], r);
}

/* Behind Flatten and its like: a mean's planes are one element, so its order does not depend on the layout. */
static bool find_mean(const oct_tape *t, const oct_diff_node *d, oct_codes_rule *r)
{
    while (d && (d->node->op == OCT_OP_FLATTEN || d->node->op == OCT_OP_RESHAPE || d->node->op == OCT_OP_SQUEEZE) &&
           has_one_user(d->node->inputs[0]))
        d = producer(t, d->node->inputs[0]);
    if (!d || (d->node->op != OCT_OP_GLOBAL_AVERAGE_POOL && !oct_is_spatial_mean(d->node)) || d->in[0]->value->shape.rank < 3)
        return false;
    r->kind = OF_MEAN;
    r->a = grid_of(t, d->node->inputs[0], d->in[0]);
    return r->a.at != NULL;
}

static bool find(const oct_tape *t, const oct_diff_node *q, oct_codes_rule *r)
{
    const oct_value *v = q->node->inputs[0];
    const oct_diff_node *d = has_one_user(v) ? producer(t, v) : NULL;
    float lo, hi;
    /* from the last clamp to the first: the later limits clamp the earlier ones */
    for (; d && oct_clamp_of(d->node, &lo, &hi); d = has_one_user(v) ? producer(t, v) : NULL) {
        r->least = fminf(fmaxf(lo, r->least), r->most);
        r->most = fminf(fmaxf(hi, r->least), r->most);
        v = d->node->inputs[0];
    }
    if (!d || q->in[SCALE]->count != 1)
        return false;
    if (d->node->op == OCT_OP_ADD)
        return find_sum(t, d, r);
    if (r->least == -INFINITY && r->most == INFINITY && find_mean(t, d, r))
        return true;
    r->kind = OF_PRODUCT;
    return find_product(t, v, r);
}

static bool same_layout(const oct_slot *a, const oct_slot *b)
{
    return !a || (a->count == b->count && a->last == b->last);
}

oct_status oct_codes_rule_make(oct_tape *t, oct_diff_node *q, oct_codes_rule **out)
{
    oct_codes_rule found = {.least = -INFINITY, .most = INFINITY};
    const oct_slot *x = q->in[X];
    *out = NULL;
    if (x->value->data || !find(t, q, &found))
        return OCT_OK;
    const oct_slot *from = found.kind == OF_PRODUCT ? found.product->out[0] : found.kind == OF_SUM ? found.b.at : x;
    if (!same_layout(from, x) || (found.kind != OF_MEAN && !same_layout(found.a.at, x)))
        return OCT_OK;
    const oct_shape *y = &from->value->shape, *planes = found.kind == OF_MEAN ? &found.a.at->value->shape : y;
    const int axis = found.product && found.product->node->op == OCT_OP_MATMUL ? planes->rank - 1 : 1; /* of the channels */
    found.plane = oct_diff_product(planes, axis + 1, planes->rank);
    found.c = planes->rank > axis ? planes->dim[axis] : 1;
    found.rows = oct_diff_product(planes, 0, axis) * (found.kind == OF_MEAN ? 1 : found.plane);
    if (found.kind == OF_MEAN)
        OCT_TRY(oct_diff_alloc(t, found.rows * found.c, sizeof(float), (void **)&found.sums));
    float **arrays[] = {&found.sign, &found.bias, &found.factor, &found.shift};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        OCT_TRY(oct_diff_alloc(t, found.c, sizeof(float), (void **)arrays[i]));
    OCT_TRY(oct_diff_alloc(t, 1, sizeof **out, (void **)out));
    **out = found;
    return OCT_OK;
}

/* --- running --- */

bool oct_codes_rule_holds(const oct_codes_rule *r, bool training)
{
    return r && !(training && r->norm);
}

static float scale_of(const oct_diff_node *quantizer, int64_t channel)
{
    return quantizer->in[SCALE]->data[quantizer->in[SCALE]->count == 1 ? 0 : channel];
}

void oct_codes_worth(const oct_diff_node *product, int64_t channels, double *worth)
{
    for (int64_t c = 0; c < channels; c++)
        worth[c] = (double)scale_of(product->quantizer[X], 0) * (double)scale_of(product->quantizer[W], c);
}

void oct_codes_scale_gradient(oct_diff_node *product)
{
    oct_slot *w = product->in[W];
    const float scale = scale_of(product->quantizer[X], 0);
    for (int64_t i = 0; i < w->count; i++)
        w->grad[i] *= scale;
}

float oct_folded_scale(float scale, double k)
{
    const double s = k != 0 ? (double)scale * fabs(k) : (double)scale;
    return (float)fmin(fmax(s, 0x1p-62), 0x1p62);
}

/* One output channel of a product with its BatchNormalization, as export folds it: in double, the bias then on the grid of the
 * sums. */
typedef struct folded {
    double k;            /* factor of the BatchNormalization, 1 without */
    float weights, bias; /* scale of the folded weights; folded bias */
    int32_t whole;       /* the bias in units of the grid */
    bool fits;           /* false: it is too large for that */
} folded;

static folded fold(const oct_diff_node *product, const oct_diff_node *norm, int64_t c)
{
    const float sx = scale_of(product->quantizer[X], 0);
    const oct_slot *bias = oct_diff_in(product, B);
    folded f = {.k = 1};
    double shift = 0;
    if (norm) {
        f.k = (double)norm->in[GAMMA]->data[c] /
              sqrt((double)norm->in[VAR]->data[c] + (double)oct_node_float(norm->node, "epsilon", 1e-5f));
        shift = (double)norm->in[BETA]->data[c] - (double)norm->in[MEAN]->data[c] * f.k;
    }
    f.weights = oct_folded_scale(scale_of(product->quantizer[W], c), f.k);
    f.bias = (float)((bias ? (double)bias->data[c] * f.k : 0.0) + shift);
    if (oct_quantize_bias(f.bias, sx, f.weights, &f.whole))
        f.bias = (float)((double)f.whole * sx * f.weights);
    f.fits = oct_quantize_bias(f.bias, sx, f.weights, &f.whole);
    return f;
}

static float sign_of(double k)
{
    return k > 0 ? 1 : k < 0 ? -1 : 0;
}

static void fill_product(const oct_codes_rule *r, float scale)
{
    const float sx = scale_of(r->product->quantizer[X], 0);
    for (int64_t c = 0; c < r->c; c++) {
        const folded f = fold(r->product, r->norm, c);
        r->sign[c] = sign_of(f.k);
        r->bias[c] = f.fits ? (float)f.whole : 0;
        r->factor[c] = (float)((double)sx * (double)f.weights / (double)scale);
        r->shift[c] = f.fits ? 0 : (float)((double)f.bias / (double)scale);
    }
}

void oct_codes_terms(const oct_diff_node *product, const oct_diff_node *norm, int64_t channels, float *factor, float *shift)
{
    const float sx = scale_of(product->quantizer[X], 0);
    for (int64_t c = 0; c < channels; c++) {
        const folded f = fold(product, norm, c);
        factor[c] = sign_of(f.k) * (float)((double)sx * (double)f.weights);
        shift[c] = f.bias;
    }
}

/* Of sums that come as they are. */
static void fill_plain(const oct_codes_rule *r, float factor)
{
    for (int64_t c = 0; c < r->c; c++) {
        r->sign[c] = 1;
        r->bias[c] = r->shift[c] = 0;
        r->factor[c] = factor;
    }
}

static float code(float x, float scale)
{
    return oct_rne(x / scale);
}

static void sum_planes(const oct_codes_rule *r)
{
    const oct_slot *x = r->a.at;
    const float s = scale_of(r->a.quantizer, 0);
    for (int64_t n = 0; n < r->rows; n++)
        for (int64_t c = 0; c < r->c; c++) {
            const float *from = x->data + n * r->c * r->plane + (x->last ? c : c * r->plane);
            float sum = 0;
            for (int64_t i = 0; i < r->plane; i++)
                sum += code(from[x->last ? i * r->c : i], s);
            r->sums[n * r->c + c] = sum;
        }
}

/* Sums of two tensors of codes. */
static void run_sum(const oct_codes_rule *r, oct_diff_node *q, const oct_requant *how)
{
    const float sa = scale_of(r->a.quantizer, 0), sb = scale_of(r->b.quantizer, 0);
    const float fa = (float)((double)sa / (double)how->scale), fb = (float)((double)sb / (double)how->scale);
    oct_slot *y = q->out[0];
    for (int64_t i = 0; i < y->count; i++) {
        const float v = code(r->a.at->data[i], sa) * fa + code(r->b.at->data[i], sb) * fb,
                    c = oct_rne(oct_clamp_nan_lo(v, how->lo, how->hi));
        if (y->data)
            y->data[i] = c * how->scale;
        if (y->codes)
            y->codes[i] = c;
    }
}

/* Rows of channels; or, where these do not lie last, planes of one channel. */
static void run_rows(const oct_codes_rule *r, oct_diff_node *q, const float *x, const oct_requant *how)
{
    oct_slot *y = q->out[0];
    const bool planes = !y->last && r->plane > 1 && r->kind == OF_PRODUCT;
    if (!planes) {
        oct_vector()->requantize(r->rows, r->c, x, how, y->codes, y->data);
        return;
    }
    for (int64_t at = 0; at < y->count; at += r->plane) {
        const int64_t c = at / r->plane % r->c;
        oct_requant one = *how;
        one.sign += c;
        one.bias += c;
        one.factor += c;
        one.shift += c;
        one.residual = how->residual ? how->residual + at : NULL;
        oct_vector()->requantize(r->plane, 1, x + at, &one, y->codes ? y->codes + at : NULL, y->data ? y->data + at : NULL);
    }
}

void oct_codes_rule_run(const oct_codes_rule *r, oct_diff_node *q, float scale, float lo, float hi)
{
    oct_requant how = {
        .sign = r->sign, .bias = r->bias, .factor = r->factor, .shift = r->shift, .scale = scale, .lo = lo, .hi = hi};
    how.lo = fminf(fmaxf(oct_rne(fminf(fmaxf(r->least / scale, lo), hi)), lo), hi);
    how.hi = fminf(fmaxf(oct_rne(fminf(fmaxf(r->most / scale, lo), hi)), lo), hi);
    if (r->kind == OF_SUM) {
        run_sum(r, q, &how);
        return;
    }
    if (r->kind == OF_MEAN) {
        fill_plain(r, (float)((double)scale_of(r->a.quantizer, 0) / (double)scale / (double)r->plane));
        sum_planes(r);
        run_rows(r, q, r->sums, &how);
        return;
    }
    fill_product(r, scale);
    if (r->a.at) {
        how.residual = r->a.at->data;
        how.residual_scale = scale_of(r->a.quantizer, 0);
        how.residual_factor = (float)((double)how.residual_scale / (double)scale);
    }
    run_rows(r, q, r->product->out[0]->sums, &how);
}
