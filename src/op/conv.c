/* Conv, ConvTranspose and ConvInteger over one or two spatial axes.  A transposed convolution is a convolution with stride 1 and flipped weights over the
 * input with stride-1 zeros between its pixels. Three spatial axes are refused by name. */
#include "op/ops.h"

#include <math.h>
#include "op/product.h"

typedef struct conv_shape {
    oct_window w;
    int64_t groups, oc, icg;    /* icg: input channels of a group */
    int64_t out_pad[3];         /* ConvTranspose */
} conv_shape;

static oct_status read_kernel(const oct_node *n, const oct_shape *ws, int spatial, int64_t *kernel)
{
    int count;
    OCT_TRY(oct_infer_ints(n, "kernel_shape", kernel, 3, &count));
    for (int i = 0; i < spatial; i++) {
        if (count >= 0 && (count != spatial || (ws->dim[i + 2] >= 0 && kernel[i] != ws->dim[i + 2])))
            return oct_op_bad(n, "kernel_shape does not suit the weights");
        kernel[i] = ws->dim[i + 2];
        if (kernel[i] < 0)
            return oct_op_unsupported(n, "weights whose shape is not known");
    }
    return OCT_OK;
}

/* Everything but the output shape; x has rank >= 3, weights the same rank. */
static oct_status read_shape(oct_graph *g, const oct_node *n, conv_shape *c)
{
    const oct_value *x = n->inputs[0], *w = n->inputs[1], *b = n->op == OCT_OP_CONV_INTEGER ? NULL : oct_node_in(n, 2);
    char xt[OCT_SHAPE_TEXT], wt[OCT_SHAPE_TEXT];
    int64_t kernel[3];
    const bool transposed = n->op == OCT_OP_CONV_TRANSPOSE;
    oct_shape_text(g, &x->shape, xt);
    oct_shape_text(g, &w->shape, wt);
    if (x->shape.rank < 3 || w->shape.rank != x->shape.rank)
        return oct_op_bad(n, "input %s with weights %s", xt, wt);
    if (x->shape.rank > 5)
        return oct_op_unsupported(n, "%d spatial axes", (int)x->shape.rank - 2);
    c->groups = oct_node_int(n, "group", 1);
    const int64_t ic = x->shape.dim[1], w0 = w->shape.dim[0], w1 = w->shape.dim[1];
    if (c->groups < 1 || w0 < 1 || w1 < 1 || w0 % c->groups || (ic >= 0 && ic != (transposed ? w0 : w1 * c->groups)))
        return oct_op_bad(n, "input %s, weights %s and %lld groups do not fit", xt, wt, (long long)c->groups);
    c->oc = transposed ? w1 * c->groups : w0;
    c->icg = transposed ? w0 / c->groups : w1;
    if (b && b->shape.rank >= 0 && (b->shape.rank != 1 || (b->shape.dim[0] >= 0 && b->shape.dim[0] != c->oc)))
        return oct_op_bad(n, "the bias has not one value for each of %lld output channels", (long long)c->oc);
    OCT_TRY(read_kernel(n, &w->shape, x->shape.rank - 2, kernel));
    return oct_window_read(n, x->shape.rank - 2, x->shape.dim + 2, kernel, &c->w);
}

static oct_status infer_conv(oct_graph *g, oct_node *n, oct_dtype dtype)
{
    oct_value *x = n->inputs[0], *w = n->inputs[1];
    conv_shape c;
    if (x->shape.rank < 0 || w->shape.rank < 0)
        return oct_infer_unknown(g, n, dtype);
    OCT_TRY(read_shape(g, n, &c));
    if (n->op == OCT_OP_CONV_INTEGER)
        OCT_TRY(oct_sums_check(n, c.oc));
    oct_shape y = x->shape;
    y.dim[1] = c.oc;
    for (int i = 0; i < c.w.n; i++)
        OCT_TRY(oct_window_out(g, n, &c.w, i, x->shape.dim[i + 2], &y.dim[i + 2]));
    return oct_infer_out(g, n, 0, dtype, &y);
}

oct_status oct_op_infer_conv(oct_graph *g, oct_node *n)
{
    oct_value *x, *w;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &w));
    return infer_conv(g, n, x->dtype);
}

oct_status oct_op_infer_conv_integer(oct_graph *g, oct_node *n)
{
    oct_value *x, *w;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &w));
    return infer_conv(g, n, OCT_S32);
}

/* Output length, and the pads that output_shape or auto_pad imply, of a transposed convolution along axis i (input length known). */
static oct_status transpose_axis(const oct_node *n, conv_shape *c, const int64_t *wanted, int i, int64_t in, int64_t *out)
{
    const char *mode = oct_node_string(n, "auto_pad", "NOTSET");
    const bool same = c->w.same;
    const int64_t reach = (c->w.kernel[i] - 1) * c->w.dilation[i] + 1, full = (in - 1) * c->w.stride[i] + reach + c->out_pad[i];
    if (wanted || same) {
        int64_t length = wanted ? wanted[i] : in * c->w.stride[i], total = full - length;
        if (length < 1)
            return oct_op_bad(n, "output_shape %lld on axis %d", (long long)length, i + 2);
        /* A longer output than the kernel reaches is padded at the end. */
        if (total < 0) {
            c->out_pad[i] -= total;
            total = 0;
        }
        bool upper = mode[0] == 'S' && mode[5] == 'U';
        c->w.begin[i] = upper ? total / 2 : total - total / 2;
        c->w.end[i] = total - c->w.begin[i];
    }
    *out = (in - 1) * c->w.stride[i] + reach + c->out_pad[i] - c->w.begin[i] - c->w.end[i];
    return *out < 1 ? oct_op_bad(n, "an output of %lld elements on axis %d", (long long)*out, i + 2) : OCT_OK;
}

static oct_status read_transposed(oct_graph *g, const oct_node *n, conv_shape *c, oct_shape *y)
{
    const oct_shape *x = &n->inputs[0]->shape;
    int64_t wanted[3], extra[3] = {0};
    int count, wanted_count;
    OCT_TRY(read_shape(g, n, c));
    OCT_TRY(oct_infer_ints(n, "output_padding", extra, 3, &count));
    OCT_TRY(oct_infer_ints(n, "output_shape", wanted, 3, &wanted_count));
    if ((count >= 0 && count != c->w.n) || (wanted_count >= 0 && wanted_count != c->w.n))
        return oct_op_bad(n, "output_padding or output_shape has not one entry for each of %d axes", c->w.n);
    *y = *x;
    y->dim[1] = c->oc;
    for (int i = 0; i < c->w.n; i++) {
        c->out_pad[i] = count >= 0 ? extra[i] : 0;
        if (c->out_pad[i] < 0 || c->out_pad[i] > 1 << 20)
            return oct_op_bad(n, "output_padding %lld", (long long)c->out_pad[i]);
        if (x->dim[i + 2] < 0)
            OCT_TRY(oct_infer_fresh(g, n, i + 2, &y->dim[i + 2]));
        else
            OCT_TRY(transpose_axis(n, c, wanted_count >= 0 ? wanted : NULL, i, x->dim[i + 2], &y->dim[i + 2]));
    }
    return OCT_OK;
}

oct_status oct_op_infer_conv_transpose(oct_graph *g, oct_node *n)
{
    oct_value *x, *w;
    conv_shape c;
    oct_shape y;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &w));
    if (x->shape.rank < 0 || w->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(read_transposed(g, n, &c, &y));
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

/* --- lowering --- */
static int64_t h_of(const oct_shape *s) { return s->rank == 4 ? s->dim[2] : 1; }
static int64_t w_of(const oct_shape *s) { return s->dim[s->rank - 1]; }

enum { MAX_DIM = 1 << 30 };

static oct_status fill_geometry(const oct_node *n, const oct_shape *x, const oct_shape *y, const conv_shape *c, oct_p_conv *p)
{
    const int last = c->w.n - 1;
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] > MAX_DIM || y->dim[i] > MAX_DIM)
            return oct_op_unsupported(n, "a dimension above 2^30");
    *p = (oct_p_conv){.n = (int32_t)x->dim[0], .h = (int32_t)h_of(x), .w = (int32_t)w_of(x), .c = (int32_t)x->dim[1], .oh = (int32_t)h_of(y),
                      .ow = (int32_t)w_of(y), .oc = (int32_t)c->oc, .groups = (int32_t)c->groups, .kh = 1, .sh = 1, .dh = 1, .up_h = 1, .up_w = 1};
    p->kw = (int32_t)c->w.kernel[last];
    p->sw = (int32_t)c->w.stride[last];
    p->dw = (int32_t)c->w.dilation[last];
    p->pl = (int32_t)c->w.begin[last];
    p->pr = (int32_t)c->w.end[last];
    if (c->w.n == 2) {
        p->kh = (int32_t)c->w.kernel[0];
        p->sh = (int32_t)c->w.stride[0];
        p->dh = (int32_t)c->w.dilation[0];
        p->pt = (int32_t)c->w.begin[0];
        p->pb = (int32_t)c->w.end[0];
    }
    return OCT_OK;
}

/* Pads of the equivalent convolution over the dilated input; negative ones crop. */
static oct_status turn_around(const oct_node *n, const conv_shape *c, oct_p_conv *p)
{
    const int last = c->w.n - 1;
    const int64_t reach_w = (int64_t)(p->kw - 1) * p->dw, reach_h = (int64_t)(p->kh - 1) * p->dh;
    const int64_t pads[4] = {reach_w - p->pl, reach_w - p->pr + c->out_pad[last], reach_h - p->pt, reach_h - p->pb + (c->w.n == 2 ? c->out_pad[0] : 0)};
    for (int i = 0; i < 4; i++)
        if (pads[i] < -MAX_DIM || pads[i] > MAX_DIM)
            return oct_op_unsupported(n, "pads above 2^30");
    p->up_w = p->sw;
    p->up_h = p->sh;
    p->sw = p->sh = 1;
    p->pl = (int32_t)pads[0];
    p->pr = (int32_t)pads[1];
    p->pt = (int32_t)pads[2];
    p->pb = (int32_t)pads[3];
    return OCT_OK;
}

/* Position in the ONNX weight tensor of (output channel o, tap t, input channel i of the group); conv: [oc][icg][k], transposed: [ic][ocg][k]. */
typedef struct weight_walk {
    bool transposed;
    int64_t icg, ocg, taps;
} weight_walk;
static int64_t weight_at(const weight_walk *k, int64_t o, int64_t t, int64_t i)
{
    if (!k->transposed)
        return (o * k->icg + i) * k->taps + t;
    int64_t g = o / k->ocg;
    return ((g * k->icg + i) * k->ocg + o % k->ocg) * k->taps + (k->taps - 1 - t);
}

static oct_status order_weights(oct_lower *l, const oct_value *w, const weight_walk *k, bool codes, oct_product *pr)
{
    const oct_p_conv *p = &pr->p;
    int16_t *wi = NULL;
    float *wf = NULL;
    pr->w_count = (int64_t)p->kh * p->kw * k->icg;
    OCT_TRY(oct_product_alloc(l, p->oc * pr->w_count, codes ? sizeof *wi : sizeof *wf, codes ? (void **)&wi : (void **)&wf));
    for (int64_t o = 0; o < p->oc; o++)
        for (int64_t t = 0; t < k->taps; t++)
            for (int64_t i = 0; i < k->icg; i++) {
                int64_t from = weight_at(k, o, t, i), to = (o * k->taps + t) * k->icg + i;
                if (codes)
                    wi[to] = oct_product_code(w, from, k->transposed ? o % k->ocg : o);
                else
                    wf[to] = ((const float *)w->data)[from];
            }
    pr->wi = wi;
    pr->wf = wf;
    return OCT_OK;
}

/* A 1x1 convolution that touches every pixel is a product of one long row. */
static void flatten_pixels(oct_p_conv *p)
{
    if (p->kh != 1 || p->kw != 1 || p->sh != 1 || p->sw != 1 || p->groups != 1 || p->pt || p->pl || p->pb || p->pr || p->up_h > 1 || p->up_w > 1 ||
        (int64_t)p->n * p->h * p->w > MAX_DIM)
        return;
    p->w = p->ow = p->n * p->h * p->w;
    p->n = p->h = p->oh = 1;
}

static oct_status lower_conv(oct_lower *l, oct_node *n, const conv_shape *c)
{
    oct_value *x = n->inputs[0], *w = n->inputs[1], *y = n->outputs[0], *res = n->fused.residual ? n->inputs[n->fused.residual] : NULL;
    const bool transposed = n->op == OCT_OP_CONV_TRANSPOSE;
    oct_product pr = {.bias = oct_node_in(n, 2), .bias_factor = 1, .res = -1};
    int32_t tx, ty, tr;
    if (!w->data || (!n->int8 && (w->dtype != OCT_F32 || x->dtype != OCT_F32)))
        return oct_op_unsupported(n, w->data ? "type %s" : "weights that are computed at run time (%s)", oct_dtype_name(w->dtype));
    OCT_TRY(fill_geometry(n, &x->shape, &y->shape, c, &pr.p));
    if (pr.p.n < 1 || pr.p.oh < 1 || pr.p.ow < 1)
        return oct_lower_out(l, y, OCT_LAYOUT_NHWC, &ty); /* nothing to compute */
    if (transposed)
        OCT_TRY(turn_around(n, c, &pr.p));
    const weight_walk walk = {transposed, c->icg, c->oc / c->groups, (int64_t)pr.p.kh * pr.p.kw};
    OCT_TRY(order_weights(l, w, &walk, n->int8, &pr));
    if (n->int8) {
        OCT_TRY(oct_product_quants(l, x, y, res, &pr));
        OCT_TRY(oct_product_scales(l, w, transposed ? 1 : 0, transposed ? c->groups : 1, 1, &pr));
    }
    flatten_pixels(&pr.p);
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_NHWC, &tx));
    OCT_TRY(oct_product_view(l, tx, pr.p.n, pr.p.c, pr.p.h, pr.p.w, &pr.x));
    if (res) {
        OCT_TRY(oct_lower_in(l, res, OCT_LAYOUT_NHWC, &tr));
        OCT_TRY(oct_product_view(l, tr, pr.p.n, pr.p.oc, pr.p.oh, pr.p.ow, &pr.res));
    }
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_NHWC, &ty));
    OCT_TRY(oct_product_view(l, ty, pr.p.n, pr.p.oc, pr.p.oh, pr.p.ow, &pr.y));
    return oct_product_lower(l, &pr);
}

oct_status oct_op_lower_conv(oct_lower *l, oct_node *n)
{
    conv_shape c = {0};
    OCT_TRY(read_shape(l->g, n, &c));
    if (c.w.n > 2)
        return oct_op_unsupported(n, "%d spatial axes", c.w.n);
    return lower_conv(l, n, &c);
}

oct_status oct_op_lower_conv_transpose(oct_lower *l, oct_node *n)
{
    conv_shape c = {0};
    oct_shape y;
    OCT_TRY(read_transposed(l->g, n, &c, &y));
    if (c.w.n > 2)
        return oct_op_unsupported(n, "%d spatial axes", c.w.n);
    return lower_conv(l, n, &c);
}

oct_status oct_op_lower_conv_integer(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0], *w;
    conv_shape c = {0};
    oct_product pr = {.res = -1};
    int32_t tx, ty;
    OCT_TRY(read_shape(l->g, n, &c));
    if (c.w.n > 2)
        return oct_op_unsupported(n, "%d spatial axes", c.w.n);
    OCT_TRY(oct_sums_weights(l, n, c.oc, &w));
    OCT_TRY(fill_geometry(n, &x->shape, &y->shape, &c, &pr.p));
    if (pr.p.n < 1 || pr.p.oh < 1 || pr.p.ow < 1)
        return oct_lower_out(l, y, OCT_LAYOUT_NHWC, &ty); /* nothing to compute */
    const weight_walk walk = {false, c.icg, c.oc / c.groups, (int64_t)pr.p.kh * pr.p.kw};
    OCT_TRY(order_weights(l, w, &walk, true, &pr));
    flatten_pixels(&pr.p);
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_NHWC, &tx));
    OCT_TRY(oct_product_view(l, tx, pr.p.n, pr.p.c, pr.p.h, pr.p.w, &pr.x));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_NHWC, &ty));
    return oct_sums_lower(l, n, &pr, ty);
}
