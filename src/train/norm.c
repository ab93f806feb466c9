/* BatchNormalization, LayerNormalization, Softmax and LogSoftmax.  Sums over a channel or row are double.
 *
 * With h = (x - mean) / sqrt(variance + eps) and y = scale h + bias, and the mean over the same elements written E:
 *   dscale = sum dy h,  dbias = sum dy,  dx = (g - E g - h E(g h)) / sqrt(variance + eps),  g = scale dy
 * (Ioffe, Szegedy 2015, arXiv 1502.03167, section 3; Ba, Kiros, Hinton 2016, arXiv 1607.06450). With fixed statistics the two means
 * are absent. */
#include "train/codes.h"

#include <math.h>
#include <string.h>
#include "train/vector.h"

/* --- BatchNormalization: x [n, c, plane] --- */
enum { X, SCALE, BIAS, MEAN, VAR, BN_INPUTS };

typedef struct bn_state {
    int64_t n, c, plane;
    float eps, momentum;
    double *mean, *inv;           /* [c] of the last forward: what it subtracted and multiplied by */
    bool batch;                   /* the last forward used the batch's statistics */
    bool rows;                    /* x lies as rows of channels */
    double *sum[2];               /* [c] */
    float *term[3];               /* [c] y or dx as a combination of what is read */
    const oct_diff_node *product; /* of codes, whose sums are read instead of x = worth sum + bias; NULL = x is no such */
    double *worth;                /* [c] */
} bn_state;

oct_status oct_diff_prepare_batch_norm(oct_tape *t, oct_diff_node *d)
{
    bn_state *s;
    const oct_node *n = d->node;
    const oct_shape *x = &n->inputs[X]->shape;
    for (int i = SCALE; i < BN_INPUTS; i++)
        if (!n->inputs[i]->data)
            return oct_diff_unsupported(n, "scale, bias or statistics that are computed");
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    s->n = x->dim[0];
    s->c = x->dim[1];
    s->plane = oct_diff_product(x, 2, x->rank);
    s->eps = oct_node_float(n, "epsilon", 1e-5f);
    s->momentum = oct_node_float(n, "momentum", 0.9f);
    s->rows = d->in[X]->last || s->plane == 1;
    if (d->in[X]->bare) {
        s->product = oct_codes_product_of(t, n->inputs[X]);
        OCT_TRY(oct_diff_alloc(t, s->c, sizeof *s->worth, (void **)&s->worth));
    }
    for (int i = 0; i < 2; i++)
        OCT_TRY(oct_diff_alloc(t, s->c, sizeof **s->sum, (void **)&s->sum[i]));
    for (int i = 0; i < 3; i++)
        OCT_TRY(oct_diff_alloc(t, s->c, sizeof **s->term, (void **)&s->term[i]));
    OCT_TRY(oct_diff_alloc(t, s->c, sizeof *s->mean, (void **)&s->mean));
    return oct_diff_alloc(t, s->c, sizeof *s->inv, (void **)&s->inv);
}

/* --- rows of channels --- */

/* Mean and population variance of every channel. Sums are of differences from the first row, so that a large mean costs no digits.
 */
static void row_statistics(bn_state *s, const float *x, double *mean, double *variance)
{
    const int64_t rows = s->n * s->plane;
    memcpy(s->term[0], x, (size_t)s->c * sizeof *x);
    for (int i = 0; i < 2; i++)
        memset(s->sum[i], 0, (size_t)s->c * sizeof(double));
    oct_vector()->moments(rows, s->c, x, s->term[0], s->sum[0], s->sum[1]);
    for (int64_t c = 0; c < s->c; c++) {
        const double d = s->sum[0][c] / (double)rows;
        mean[c] = (double)s->term[0][c] + d;
        variance[c] = fmax(s->sum[1][c] / (double)rows - d * d, 0);
    }
}

static double worth_of(const bn_state *s, int64_t c)
{
    return s->product ? s->worth[c] : 1;
}

static double bias_of(const bn_state *s, int64_t c)
{
    const oct_slot *bias = s->product ? oct_diff_in(s->product, 2) : NULL;
    return bias ? (double)bias->data[c] : 0;
}

static const float *rows_of(const oct_slot *x)
{
    return x->bare ? x->sums : x->data;
}

/* Everything below is of u, what is read: x = worth u + bias. Without a product u is x. */
static void measure_rows(bn_state *s, oct_diff_node *d)
{
    row_statistics(s, rows_of(d->in[X]), s->mean, s->inv);
    for (int64_t c = 0; c < s->c; c++) {
        s->mean[c] = worth_of(s, c) * s->mean[c] + bias_of(s, c);
        s->inv[c] *= worth_of(s, c) * worth_of(s, c);
        d->in[MEAN]->grad[c] = (float)s->mean[c];
        d->in[VAR]->grad[c] = (float)s->inv[c];
    }
}

static void forward_rows(bn_state *s, oct_diff_node *d)
{
    const int64_t rows = s->n * s->plane;
    double *variance = s->inv; /* becomes it in place */
    if (s->product)
        oct_codes_worth(s->product, s->c, s->worth);
    if (s->batch)
        measure_rows(s, d);
    for (int64_t c = 0; c < s->c; c++) {
        s->mean[c] = s->batch ? s->mean[c] : (double)d->in[MEAN]->data[c];
        s->inv[c] = 1 / sqrt((s->batch ? variance[c] : (double)d->in[VAR]->data[c]) + (double)s->eps);
        const double scale = (double)d->in[SCALE]->data[c] * s->inv[c];
        s->term[0][c] = (float)(scale * worth_of(s, c));
        s->term[1][c] = (float)((double)d->in[BIAS]->data[c] - scale * (s->mean[c] - bias_of(s, c)));
    }
    if (s->product && !s->batch)
        oct_codes_terms(s->product, d, s->c, s->term[0], s->term[1]);
    oct_vector()->affine_rows(rows, s->c, rows_of(d->in[X]), s->term[0], s->term[1], d->relu, d->out[0]->data);
}

/* dx = a dy + b x + c by channel: the formula above, sorted by what is read. */
static void backward_rows(bn_state *s, oct_diff_node *d)
{
    const int64_t rows = s->n * s->plane;
    const double count = (double)rows;
    const float *r = d->relu ? d->out[0]->data : NULL, *u = rows_of(d->in[X]);
    for (int64_t c = 0; c < s->c; c++)
        s->term[0][c] = (float)((s->mean[c] - bias_of(s, c)) / worth_of(s, c));
    for (int i = 0; i < 2; i++)
        memset(s->sum[i], 0, (size_t)s->c * sizeof(double));
    oct_vector()->products(rows, s->c, d->out[0]->grad, r, u, s->term[0], s->sum[0], s->sum[1]);
    for (int64_t c = 0; c < s->c; c++) {
        const double worth = worth_of(s, c), sum = s->sum[0][c], inv = s->inv[c], scale = (double)d->in[SCALE]->data[c] * inv;
        /* the sums were taken about the mean as float holds it */
        const double off = s->mean[c] - bias_of(s, c) - worth * (double)s->term[0][c],
                     sum_h = (worth * s->sum[1][c] - off * sum) * inv;
        if (d->in[SCALE]->grad)
            d->in[SCALE]->grad[c] += (float)sum_h;
        if (d->in[BIAS]->grad)
            d->in[BIAS]->grad[c] += (float)sum;
        const double b = s->batch ? -scale * sum_h * inv / count : 0;
        s->term[0][c] = (float)scale;
        s->term[1][c] = (float)(b * worth);
        s->term[2][c] = (float)(s->batch ? -scale * sum / count - b * (s->mean[c] - bias_of(s, c)) : 0);
    }
    if (d->in[X]->grad)
        oct_vector()->combine_rows(rows, s->c, d->out[0]->grad, r, u, s->term[0], s->term[1], s->term[2], oct_diff_fresh(d->in[X]),
                                   d->in[X]->grad);
}

/* --- planes of pixels --- */

/* *sum += sum d, *sum_x += sum d (x - mean) over n elements, in independent lanes: one chain of additions would wait for each. */
static void add_sums(int64_t n, const float *d, const float *x, double mean, double *sum, double *sum_x)
{
    enum { LANES = 8 };
    double a[LANES] = {0}, b[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            a[k] += d[i + k];
            b[k] += d[i + k] * (x[i + k] - mean);
        }
    for (; i < n; i++) {
        a[0] += d[i];
        b[0] += d[i] * (x[i] - mean);
    }
    for (int k = 0; k < LANES; k++) {
        *sum += a[k];
        *sum_x += b[k];
    }
}

/* Mean and population variance of channel c over the batch, in two passes: sum x (x - mean) = sum (x - mean)^2. */
static void channel_statistics(const bn_state *s, const float *x, int64_t c, double *mean, double *variance)
{
    const double count = (double)(s->n * s->plane);
    double sum = 0, square = 0, unused = 0;
    for (int64_t b = 0; b < s->n; b++)
        add_sums(s->plane, x + (b * s->c + c) * s->plane, x + (b * s->c + c) * s->plane, 0, &sum, &unused);
    *mean = sum / count;
    for (int64_t b = 0; b < s->n; b++)
        add_sums(s->plane, x + (b * s->c + c) * s->plane, x + (b * s->c + c) * s->plane, *mean, &unused, &square);
    *variance = fmax(square, 0) / count;
}

oct_status oct_diff_forward_batch_norm(oct_tape *t, oct_diff_node *d)
{
    bn_state *s = d->state;
    const float *x = d->in[X]->data;
    const float *running[2] = {d->in[MEAN]->data, d->in[VAR]->data};
    s->batch = t->training;
    if (s->rows) {
        forward_rows(s, d);
        return OCT_OK;
    }
    for (int64_t c = 0; c < s->c; c++) {
        double mean = running[0][c], variance = running[1][c];
        if (s->batch) {
            channel_statistics(s, x, c, &mean, &variance);
            d->in[MEAN]->grad[c] = (float)mean;
            d->in[VAR]->grad[c] = (float)variance;
        }
        s->mean[c] = mean;
        s->inv[c] = 1 / sqrt(variance + (double)s->eps);
        const float factor = (float)(d->in[SCALE]->data[c] * s->inv[c]),
                    offset = (float)(d->in[BIAS]->data[c] - d->in[SCALE]->data[c] * s->inv[c] * mean);
        for (int64_t b = 0; b < s->n; b++) {
            const int64_t at = (b * s->c + c) * s->plane;
            for (int64_t i = 0; i < s->plane; i++)
                d->out[0]->data[at + i] = x[at + i] * factor + offset;
        }
    }
    return OCT_OK;
}

/* ONNX: running = running * momentum + current * (1 - momentum), population variance. */
void oct_diff_update_batch_norm(oct_diff_node *d)
{
    const bn_state *s = d->state;
    const double keep = (double)s->momentum;
    for (int input = MEAN; input <= VAR; input++)
        for (int64_t c = 0; c < s->c; c++)
            d->in[input]->data[c] = (float)(d->in[input]->data[c] * keep + d->in[input]->grad[c] * (1 - keep));
}

oct_status oct_diff_backward_batch_norm(oct_tape *t, oct_diff_node *d)
{
    bn_state *s = d->state;
    const float *x = d->in[X]->data, *dy = d->out[0]->grad;
    const double count = (double)(s->n * s->plane);
    (void)t;
    if (s->rows) {
        backward_rows(s, d);
        return OCT_OK;
    }
    if (d->in[X]->grad && oct_diff_fresh(d->in[X]))
        memset(d->in[X]->grad, 0, (size_t)d->in[X]->count * sizeof(float));
    for (int64_t c = 0; c < s->c; c++) {
        const double mean = s->mean[c], inv = s->inv[c];
        double sum = 0, sum_h = 0; /* of dy and of dy h */
        for (int64_t b = 0; b < s->n; b++)
            add_sums(s->plane, dy + (b * s->c + c) * s->plane, x + (b * s->c + c) * s->plane, mean, &sum, &sum_h);
        sum_h *= inv;
        if (d->in[SCALE]->grad)
            d->in[SCALE]->grad[c] += (float)sum_h;
        if (d->in[BIAS]->grad)
            d->in[BIAS]->grad[c] += (float)sum;
        if (!d->in[X]->grad)
            continue;
        /* factor (dy - E dy - h E(dy h)) as of_dy dy + of_x x + rest */
        const double factor = d->in[SCALE]->data[c] * inv, e = s->batch ? sum / count : 0, e_h = s->batch ? sum_h / count : 0;
        const float of_dy = (float)factor, of_x = (float)(-factor * inv * e_h), rest = (float)(factor * (mean * inv * e_h - e));
        for (int64_t b = 0; b < s->n; b++) {
            const int64_t at = (b * s->c + c) * s->plane;
            float *dx = d->in[X]->grad + at;
            for (int64_t i = 0; i < s->plane; i++)
                dx[i] += of_dy * dy[at + i] + of_x * x[at + i] + rest;
        }
    }
    return OCT_OK;
}

/* --- LayerNormalization: x [rows, n], scale and bias [n] --- */
typedef struct ln_state {
    int64_t rows, n;
    float eps;
    double *mean, *inv; /* [rows] */
} ln_state;

oct_status oct_diff_prepare_layer_norm(oct_tape *t, oct_diff_node *d)
{
    ln_state *s;
    const oct_node *n = d->node;
    const oct_shape *x = &n->inputs[0]->shape;
    const int64_t axis = oct_node_int(n, "axis", -1);
    const int from = (int)(axis < 0 ? axis + x->rank : axis);
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    s->rows = oct_diff_product(x, 0, from);
    s->n = oct_diff_product(x, from, x->rank);
    s->eps = oct_node_float(n, "epsilon", 1e-5f);
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && (n->outputs[i]->user_count > 0 || n->outputs[i]->is_output))
            return oct_diff_unsupported(n, "its mean or deviation as an output");
    for (int i = 1; i < 3; i++)
        if (oct_diff_in(d, i) && d->in[i]->count != s->n)
            return oct_diff_unsupported(n, "a scale or bias that is broadcast");
    OCT_TRY(oct_diff_alloc(t, s->rows, sizeof *s->mean, (void **)&s->mean));
    return oct_diff_alloc(t, s->rows, sizeof *s->inv, (void **)&s->inv);
}

oct_status oct_diff_forward_layer_norm(oct_tape *t, oct_diff_node *d)
{
    ln_state *s = d->state;
    const float *scale = d->in[1]->data, *bias = oct_diff_in(d, 2) ? d->in[2]->data : NULL;
    (void)t;
    for (int64_t r = 0; r < s->rows; r++) {
        const float *x = d->in[0]->data + r * s->n;
        float *y = d->out[0]->data + r * s->n;
        double sum = 0, square = 0;
        for (int64_t i = 0; i < s->n; i++)
            sum += x[i];
        const double mean = sum / (double)s->n;
        for (int64_t i = 0; i < s->n; i++)
            square += (x[i] - mean) * (x[i] - mean);
        s->mean[r] = mean;
        s->inv[r] = 1 / sqrt(square / (double)s->n + (double)s->eps);
        for (int64_t i = 0; i < s->n; i++)
            y[i] = (float)((x[i] - mean) * s->inv[r] * scale[i]) + (bias ? bias[i] : 0);
    }
    return OCT_OK;
}

oct_status oct_diff_backward_layer_norm(oct_tape *t, oct_diff_node *d)
{
    const ln_state *s = d->state;
    const float *scale = d->in[1]->data;
    float *dscale = d->in[1]->grad, *dbias = oct_diff_grad(d, 2);
    (void)t;
    for (int64_t r = 0; r < s->rows; r++) {
        const float *x = d->in[0]->data + r * s->n, *dy = d->out[0]->grad + r * s->n;
        double sum = 0, sum_h = 0; /* of g and of g h */
        for (int64_t i = 0; i < s->n; i++) {
            const double h = (x[i] - s->mean[r]) * s->inv[r], g = (double)dy[i] * scale[i];
            sum += g;
            sum_h += g * h;
            if (dscale)
                dscale[i] += (float)(dy[i] * h);
            if (dbias)
                dbias[i] += dy[i];
        }
        for (int64_t i = 0; d->in[0]->grad && i < s->n; i++) {
            const double h = (x[i] - s->mean[r]) * s->inv[r], g = (double)dy[i] * scale[i];
            d->in[0]->grad[r * s->n + i] += (float)((g - (sum + h * sum_h) / (double)s->n) * s->inv[r]);
        }
    }
    return OCT_OK;
}

/* --- Softmax: x [outer, n, inner] along the middle axis.  y = exp(x) / sum exp(x): dx = y (dy - sum y dy).
 *     LogSoftmax: y = x - log sum exp(x): dx = dy - exp(y) sum dy --- */
typedef struct softmax_state {
    int64_t outer, n, inner;
    bool log;
} softmax_state;

oct_status oct_diff_prepare_softmax(oct_tape *t, oct_diff_node *d)
{
    softmax_state *s;
    const oct_shape *x = &d->node->inputs[0]->shape;
    const int64_t given = oct_node_int(d->node, "axis", -1);
    const int axis = (int)(given < 0 ? given + x->rank : given);
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    s->outer = oct_diff_product(x, 0, axis);
    s->n = x->rank ? x->dim[axis] : 1;
    s->inner = oct_diff_product(x, axis + 1, x->rank);
    s->log = d->node->op == OCT_OP_LOG_SOFTMAX;
    return OCT_OK;
}

oct_status oct_diff_forward_softmax(oct_tape *t, oct_diff_node *d)
{
    const softmax_state *s = d->state;
    (void)t;
    for (int64_t r = 0; r < s->outer * s->inner; r++) {
        const int64_t at = r / s->inner * s->n * s->inner + r % s->inner;
        const float *x = d->in[0]->data + at;
        float *y = d->out[0]->data + at, most = -INFINITY;
        double sum = 0;
        for (int64_t i = 0; i < s->n; i++)
            most = fmaxf(most, x[i * s->inner]);
        for (int64_t i = 0; i < s->n; i++)
            sum += exp((double)x[i * s->inner] - most);
        for (int64_t i = 0; i < s->n; i++) {
            const double v = (double)x[i * s->inner] - most;
            y[i * s->inner] = (float)(s->log ? v - log(sum) : exp(v) / sum);
        }
    }
    return OCT_OK;
}

oct_status oct_diff_backward_softmax(oct_tape *t, oct_diff_node *d)
{
    const softmax_state *s = d->state;
    (void)t;
    for (int64_t r = 0; r < s->outer * s->inner; r++) {
        const int64_t at = r / s->inner * s->n * s->inner + r % s->inner;
        const float *y = d->out[0]->data + at, *dy = d->out[0]->grad + at;
        float *dx = d->in[0]->grad + at;
        double sum = 0;
        for (int64_t i = 0; i < s->n; i++)
            sum += (s->log ? 1 : (double)y[i * s->inner]) * dy[i * s->inner];
        for (int64_t i = 0; i < s->n; i++) {
            const int64_t k = i * s->inner;
            dx[k] += (float)(s->log ? dy[k] - exp((double)y[k]) * sum : y[k] * (dy[k] - sum));
        }
    }
    return OCT_OK;
}
