/* Products in steps: kernel choice, packing, bias grid, epilogue (DESIGN 3.4, 3.5, anchored in docs/numerics.md).
 *
 * Int8 sums are proved to fit s32 from the weights themselves; a layer that could leave it, or whose weights no tactic takes, runs in
 * float between a DEQUANTIZE and a QUANTIZE step, with the reason. */
#include "op/product.h"

#include <math.h>
#include <string.h>
#include "num/num.h"
#include "op/code.h"
#include "op/infer.h"
#include "plan/conv.h"

oct_status oct_product_alloc(oct_lower *l, int64_t count, size_t element, void **out)
{
    int64_t bytes;
    OCT_TRY(oct_size_mul(count, (int64_t)element, &bytes));
    return oct_arena_alloc(l->d->arena, bytes ? bytes : 1, out);
}

oct_status oct_product_scales(oct_lower *l, const oct_value *weights, int axis, int64_t groups, float factor, oct_product *pr)
{
    const oct_quant *q = weights->quant;
    int64_t inner = weights->shape.dim[axis];
    void *scales;
    if (q->n != 1 && (q->axis != axis || q->n != inner))
        return oct_op_unsupported(l->node, "weights '%s' with scales along axis %d", weights->name, (int)q->axis);
    OCT_TRY(oct_product_alloc(l, inner * groups, sizeof(float), &scales));
    for (int64_t c = 0; c < inner * groups; c++)
        ((float *)scales)[c] = q->scale[q->n == 1 ? 0 : c % inner] * factor;
    pr->ws = scales;
    return OCT_OK;
}

int16_t oct_product_code(const oct_value *weights, int64_t i, int64_t c)
{
    const oct_quant *q = weights->quant;
    int code = weights->dtype == OCT_S8 || weights->dtype == OCT_S4 ? ((const int8_t *)weights->data)[i] : ((const uint8_t *)weights->data)[i];
    return (int16_t)(code - q->zero[q->n == 1 ? 0 : c % q->n]);
}

oct_status oct_product_view(oct_lower *l, int32_t tensor, int64_t n, int64_t c, int64_t h, int64_t w, int32_t *view)
{
    const int64_t dims[4] = {n, c, h, w}, strides[4] = {h * w * c, 1, w * c, c};
    return oct_lower_subview(l, tensor, 4, dims, strides, 0, view);
}

oct_status oct_product_quants(oct_lower *l, const oct_value *x, const oct_value *y, const oct_value *residual, oct_product *pr)
{
    OCT_TRY(oct_lower_quant(l, x, &pr->qx));
    pr->float_y = y->dtype == OCT_F32;
    if (!pr->float_y)
        OCT_TRY(oct_lower_quant(l, y, &pr->qy));
    return residual ? oct_lower_quant(l, residual, &pr->qres) : OCT_OK;
}

static float bias_at(const oct_product *pr, int64_t c)
{
    if (!pr->bias)
        return 0;
    int64_t count = 1;
    for (int i = 0; i < pr->bias->shape.rank; i++)
        count *= pr->bias->shape.dim[i];
    return ((const float *)pr->bias->data)[count == 1 ? 0 : c] * pr->bias_factor;
}

/* The depthwise kernels have no epilogue that leaves the sums. */
static bool is_depthwise(const oct_p_conv *p)
{
    return p->groups > 1 && p->groups == p->c && p->groups == p->oc && p->epi.kind != OCT_EPI_S32;
}

/* Taps for `parts` sets of weights; merged where one kernel row lies contiguous in memory. */
static void set_taps(oct_p_conv *p, int32_t parts)
{
    if (is_depthwise(p)) {
        p->merged = 0;
        p->tap_count = p->kh * parts;
        p->kc = p->kw;
        return;
    }
    p->merged = p->groups == 1 && p->dw == 1;
    p->tap_count = (p->merged ? p->kh : p->kh * p->kw) * parts;
    p->kc = (p->merged ? p->kw : 1) * (p->c / p->groups);
}

/* Tap offsets for the distance between pixels that the kernel will see: the scratch copy's or the input's. */
static oct_status store_taps(oct_lower *l, oct_step_kind kind, const oct_product *pr, const oct_conv_tiling *t, oct_p_conv *p)
{
    void *taps;
    const oct_plan_tensor *x = oct_lower_tensor(l, pr->x);
    const int64_t size = oct_conv_size(kind), row = p->copy ? t->row_bytes : x->strides[2] * size, pixel = p->copy ? p->c * size : x->strides[3] * size;
    OCT_TRY(oct_product_alloc(l, p->tap_count, sizeof(int64_t), &taps));
    for (int32_t i = 0; i < p->tap_count; i++)
        ((int64_t *)taps)[i] = oct_conv_tap(kind, p, row, pixel, i);
    return oct_draft_const(l->d, taps, p->tap_count * (int64_t)sizeof(int64_t), &p->taps_at);
}

static oct_status emit(oct_lower *l, oct_step_kind kind, oct_precision precision, const char *tactic, const oct_product *pr, oct_p_conv *p, int32_t y)
{
    oct_conv_tiling t;
    oct_plan_step *step;
    const oct_plan_tensor *x = oct_lower_tensor(l, pr->x);
    /* A run of kc bytes is read up to the next multiple of 4: only arena memory has slack behind it. */
    bool short_run = kind == OCT_STEP_CONV_Q && p->kc % 4 != 0 && x->place != OCT_PLACE_ARENA;
    p->copy = kind == OCT_STEP_WINO_Q || p->pt || p->pl || p->pb || p->pr || p->up_h > 1 || p->up_w > 1 || short_run;
    OCT_TRY(oct_conv_tile(kind, p, &t));
    p->taps_at = -1;
    if (kind == OCT_STEP_CONV_Q || kind == OCT_STEP_CONV_F)
        OCT_TRY(store_taps(l, kind, pr, &t, p));
    int32_t in[2] = {pr->x, pr->res};
    p->residual = pr->res >= 0 ? 1 : 0;
    OCT_TRY(oct_lower_step(l, kind, precision, tactic, pr->res >= 0 ? 2 : 1, in, 1, &y, p, sizeof *p, &step));
    step->macs = oct_node_macs(l->node);
    step->worker_bytes = oct_conv_worker_bytes(&t);
    return OCT_OK;
}

/* --- float --- */
static oct_status lower_float(oct_lower *l, const oct_product *pr, int32_t y, float lo, float hi)
{
    oct_p_conv p = pr->p;
    const int32_t oc = p.oc / p.groups;
    uint8_t *packed;
    void *bias;
    OCT_TRY(oct_product_alloc(l, p.oc, sizeof(float), &bias));
    for (int32_t c = 0; c < p.oc; c++)
        ((float *)bias)[c] = bias_at(pr, c);
    p.float_out = 1;
    p.epi = (oct_qepilogue){.kind = OCT_EPI_F32, .flo = lo, .fhi = hi};
    set_taps(&p, 1);
    if (is_depthwise(&p)) {
        const char *dw = oct_lower_pick(l, OCT_FAMILY_fdw, p.kh, p.kw, oct_fdw_best(l->isa)->name);
        p.panel_bytes = oct_fdw_packed_bytes(p.c, p.kh, p.kw);
        p.panels = 1;
        OCT_TRY(oct_draft_const_reserve(l->d, p.panel_bytes, &p.weights_at, &packed));
        oct_fdw_pack(p.c, p.kh, p.kw, pr->wf, bias, packed);
        return emit(l, OCT_STEP_DW_F, OCT_PREC_FLOAT, dw, pr, &p, y);
    }
    const oct_fconv_kernel *k = oct_fconv_find(oct_lower_pick(l, OCT_FAMILY_fconv, 0, 0, oct_fconv_choose(l->isa, oc, pr->w_count)->name));
    int64_t total;
    p.panels = (int32_t)oct_div_up(oc, k->nr);
    p.panel_bytes = oct_fconv_panel_bytes(k->nr, p.tap_count, p.kc);
    OCT_TRY(oct_size_mul(p.panel_bytes, (int64_t)p.panels * p.groups, &total));
    OCT_TRY(oct_draft_const_reserve(l->d, total, &p.weights_at, &packed));
    for (int32_t g = 0; g < p.groups; g++)
        for (int32_t i = 0; i < p.panels; i++)
            oct_fconv_pack(k->nr, i, oc, p.tap_count, p.kc, pr->wf + (int64_t)g * oc * pr->w_count, (float *)bias + (int64_t)g * oc,
                           packed + ((int64_t)g * p.panels + i) * p.panel_bytes);
    return emit(l, OCT_STEP_CONV_F, OCT_PREC_FLOAT, k->name, pr, &p, y);
}

/* --- int8 --- */
typedef struct codes {
    int8_t *w;          /* oc rows of parts * w_count */
    int32_t *bias;      /* with -zp * sum(w) folded in */
    float *scale, *fbias;
    bool *constant;     /* channels that are their bias, see is_constant() */
    int32_t parts;
    bool float_bias;    /* the bias stands in fbias */
} codes;

/* Differences to the zero point reach from -255 to 255: as many s8 parts as the largest needs, added up by repeated taps. */
static int32_t count_parts(const oct_product *pr)
{
    int32_t parts = 1;
    for (int64_t i = 0; i < (int64_t)pr->p.oc * pr->w_count; i++) {
        int32_t w = pr->wi[i], need = w < -128 ? 2 : w > 254 ? 3 : w > 127 ? 2 : 1;
        parts = need > parts ? need : parts;
    }
    return parts;
}

static void split_codes(const oct_product *pr, codes *k)
{
    for (int32_t c = 0; c < pr->p.oc; c++)
        for (int64_t i = 0; i < pr->w_count; i++) {
            int32_t rest = k->constant[c] ? 0 : pr->wi[c * pr->w_count + i];
            for (int32_t part = 0; part < k->parts; part++) {
                int32_t w = rest < -128 ? -128 : rest > 127 ? 127 : rest;
                k->w[((int64_t)c * k->parts + part) * pr->w_count + i] = (int8_t)w;
                rest -= w;
            }
        }
}

/* What the epilogue's M and float bias are relative to: the scale of the codes that it rounds to first. */
static double output_scale(const oct_lower *l, const oct_product *pr)
{
    if (pr->float_y)
        return 1;
    return l->node->fused.residual_inner ? (double)l->node->fused.inner_quant->scale[0] : (double)pr->qy.scale;
}

/* A channel whose bias is so large, beside what its weights can add, that fl(fl(acc*M) + bias) is bias for every input: dead channels of
 * trained nets have such weights. Half the distance between floats below b is at least |b| * 2^-26. It runs as a sum of 2^20 without
 * weights and M = bias * 2^-20, which gives the same v exactly, so the other channels keep their integer bias. */
enum { CONSTANT_SUM = 1 << 20 };
static bool is_constant(double most_acc, float scale, float fbias)
{
    return most_acc * fabs((double)scale) <= fabs((double)fbias) * 0x1p-27 && (fbias * 0x1p-20f) * (float)CONSTANT_SUM == fbias;
}

static void sum_weights(const oct_product *pr, int64_t c, int64_t *sum, int64_t *magnitude)
{
    int64_t s = 0, m = 0;
    for (int64_t i = 0; i < pr->w_count; i++) {
        int32_t w = pr->wi[c * pr->w_count + i];
        s += w;
        m += w < 0 ? -w : w;
    }
    *sum = s;
    *magnitude = m;
}

/* Scales and biases of all channels, and which of them are constants. */
static bool fill_scales(const oct_lower *l, const oct_product *pr, codes *k, const char **why)
{
    const int32_t zx = pr->qx.zero, reach = zx > 255 - zx ? zx : 255 - zx;
    const double sy = output_scale(l, pr);
    /* A float result takes the bias as it is: nothing forces it onto the grid of the sums. */
    k->float_bias = pr->float_y && pr->bias;
    for (int32_t c = 0; c < pr->p.oc; c++) {
        int64_t sum, magnitude;
        sum_weights(pr, c, &sum, &magnitude);
        k->scale[c] = (float)((double)pr->qx.scale * (double)pr->ws[c] / sy);
        k->fbias[c] = (float)((double)bias_at(pr, c) / sy);
        if (!isfinite(k->scale[c]) || !isfinite(k->fbias[c])) {
            *why = "scales do not fit 32-bit floats";
            return false;
        }
        bool fits = oct_quantize_bias(bias_at(pr, c), pr->qx.scale, pr->ws[c], &k->bias[c]);
        k->constant[c] = !fits && is_constant((double)(reach * magnitude), k->scale[c], k->fbias[c]);
        k->float_bias = k->float_bias || (!fits && !k->constant[c]);
    }
    return true;
}

/* Folds the zero point and proves that no sum, nor any part of it, leaves s32; *why says what does not fit. */
static bool fill_epilogue(const oct_lower *l, const oct_product *pr, codes *k, const char **why)
{
    if (!fill_scales(l, pr, k, why))
        return false;
    for (int32_t c = 0; c < pr->p.oc; c++) {
        int64_t sum, magnitude;
        sum_weights(pr, c, &sum, &magnitude);
        k->constant[c] = k->constant[c] && !k->float_bias;
        if (k->constant[c]) {
            k->bias[c] = CONSTANT_SUM;
            k->scale[c] = k->fbias[c] * 0x1p-20f;
            k->fbias[c] = 0;
            continue;
        }
        int64_t bias = (k->float_bias ? 0 : k->bias[c]) - pr->qx.zero * sum;
        if (255 * magnitude + (bias < 0 ? -bias : bias) > INT32_MAX) {
            *why = "a sum could leave 32 bits";
            return false;
        }
        k->bias[c] = (int32_t)bias;
        k->fbias[c] = k->float_bias ? k->fbias[c] : 0;
    }
    if (k->float_bias && pr->res >= 0) {
        *why = "the bias does not fit 32 bits and the residual leaves no room for a float bias";
        return false;
    }
    return true;
}

static void clamp_codes(const oct_stored_quant *q, bool clamp, float lo, float hi, int32_t *qlo, int32_t *qhi)
{
    *qlo = clamp ? oct_quantize(lo, q->scale, q->zero, q->lo, q->hi) : q->lo;
    *qhi = clamp ? oct_quantize(hi, q->scale, q->zero, q->lo, q->hi) : q->hi;
}

/* Of the codes that the graph rounds to before the sum. */
static oct_stored_quant inner_quant(const oct_fused *f)
{
    const oct_value v = {.dtype = f->inner_dtype, .quant = f->inner_quant};
    oct_stored_quant q = {1, 0, 0, 255};
    (void)oct_value_stored_quant(&v, &q); /* the pass that fused it has seen one scale */
    return q;
}

static void fill_params(const oct_lower *l, const oct_product *pr, const codes *k, oct_qepilogue *e)
{
    const oct_fused *f = &l->node->fused;
    *e = (oct_qepilogue){.kind = OCT_EPI_U8, .flo = -INFINITY, .fhi = INFINITY, .hi = 255};
    if (pr->sums) {
        e->kind = OCT_EPI_S32;
        return;
    }
    if (pr->float_y) {
        e->kind = OCT_EPI_F32;
        if (f->clamp) {
            e->flo = f->lo;
            e->fhi = f->hi;
        }
        return;
    }
    e->zp = pr->qy.zero;
    clamp_codes(&pr->qy, f->clamp, f->lo, f->hi, &e->lo, &e->hi);
    if (k->float_bias)
        e->kind = OCT_EPI_U8_FBIAS;
    if (pr->res < 0)
        return;
    e->kind = f->residual_inner ? OCT_EPI_U8_RES_INNER : OCT_EPI_U8_RES;
    e->res_zp = pr->qres.zero;
    e->res_scale = (float)((double)pr->qres.scale / (double)pr->qy.scale);
    if (f->residual_inner) {
        const oct_stored_quant q = inner_quant(f);
        e->inner_zp = q.zero;
        clamp_codes(&q, f->inner_clamp, f->inner_lo, f->inner_hi, &e->inner_lo, &e->inner_hi);
        e->inner_scale = (float)((double)q.scale / (double)pr->qy.scale);
    }
}

/* Winograd's weights take eight times the bytes: so many for the layers of a plan in all, those that come first. */
enum { WINOGRAD_BYTES = 16 << 20 };

/* The kernel that does the product by Winograd's method, NULL when none suits or gains, or a sum could leave what it can hold. */
static const oct_qwino_kernel *winograd_of(const oct_lower *l, const oct_product *pr, const codes *k, const oct_p_conv *p)
{
    const oct_qwino_kernel *kernel = oct_conv_suits_winograd(p) && k->parts == 1 ? oct_qwino_choose(l->isa, p->oh, p->ow, p->c, p->oc) : NULL;
    for (int32_t c = 0; kernel && c < p->oc; c++)
        if (!oct_qwino_is_exact((int32_t)pr->w_count, k->w + c * pr->w_count, k->bias[c]))
            return NULL;
    return kernel;
}

static oct_status pack_winograd(oct_lower *l, const oct_qwino_kernel *kernel, const oct_product *pr, const codes *k, oct_p_conv *p)
{
    const char *name = oct_lower_pick(l, OCT_FAMILY_qwino, 0, 0, kernel->name);
    uint8_t *packed;
    OCT_TRY(oct_draft_const_reserve(l->d, p->panel_bytes * p->panels, &p->weights_at, &packed));
    for (int32_t i = 0; i < p->panels; i++)
        oct_qwino_pack(kernel->nr, i, p->oc, p->c, k->w, k->bias, k->scale, k->fbias, packed + i * p->panel_bytes);
    l->winograd_bytes += p->panel_bytes * p->panels;
    return emit(l, OCT_STEP_WINO_Q, OCT_PREC_INT8, name, pr, p, pr->y);
}

static oct_status pack_int8(oct_lower *l, oct_product *pr, const codes *k)
{
    oct_p_conv p = pr->p;
    const int32_t oc = p.oc / p.groups;
    const int64_t row = k->parts * pr->w_count;
    uint8_t *packed;
    p.zp_in = pr->qx.zero;
    p.float_out = pr->float_y;
    fill_params(l, pr, k, &p.epi);
    set_taps(&p, k->parts);
    if (is_depthwise(&p)) {
        const char *standard = oct_qdw_choose(l->isa, p.tap_count, p.kw)->name;
        const oct_qdw_kernel *dw = oct_qdw_find(oct_lower_pick(l, OCT_FAMILY_qdw, p.tap_count, p.kw, standard));
        p.panel_bytes = dw->packed_bytes(p.c, p.tap_count, p.kw);
        p.panels = 1;
        OCT_TRY(oct_draft_const_reserve(l->d, p.panel_bytes, &p.weights_at, &packed));
        dw->pack(p.c, p.tap_count, p.kw, k->w, k->bias, k->scale, k->fbias, packed);
        return emit(l, OCT_STEP_DW_Q, OCT_PREC_INT8, dw->name, pr, &p, pr->y);
    }
    const oct_qwino_kernel *winograd = winograd_of(l, pr, k, &p);
    if (winograd) {
        p.panels = (int32_t)oct_div_up(oc, winograd->nr);
        p.panel_bytes = oct_qwino_panel_bytes(winograd->nr, p.c);
        if (l->winograd_bytes + p.panel_bytes * p.panels <= WINOGRAD_BYTES)
            return pack_winograd(l, winograd, pr, k, &p);
    }
    const oct_qconv_kernel *kernel = oct_qconv_find(oct_lower_pick(l, OCT_FAMILY_qconv, 0, 0, oct_qconv_choose(l->isa, oc, row)->name));
    int64_t total;
    p.panels = (int32_t)oct_div_up(oc, kernel->nr);
    p.panel_bytes = oct_qconv_panel_bytes(kernel->nr, p.tap_count, p.kc);
    OCT_TRY(oct_size_mul(p.panel_bytes, (int64_t)p.panels * p.groups, &total));
    OCT_TRY(oct_draft_const_reserve(l->d, total, &p.weights_at, &packed));
    for (int32_t g = 0; g < p.groups; g++)
        for (int32_t i = 0; i < p.panels; i++) {
            int64_t at = (int64_t)g * oc;
            oct_qconv_pack(kernel->nr, i, oc, p.tap_count, p.kc, k->w + at * row, k->bias + at, k->scale + at, k->fbias + at,
                           packed + ((int64_t)g * p.panels + i) * p.panel_bytes);
        }
    return emit(l, OCT_STEP_CONV_Q, OCT_PREC_INT8, kernel->name, pr, &p, pr->y);
}

/* The same numbers without integer arithmetic: dequantize, product, (inner rounding,) sum, quantize. */
static oct_status lower_dequantized(oct_lower *l, oct_product *pr, const char *why)
{
    const oct_fused *f = &l->node->fused;
    oct_product fl = *pr;
    void *w;
    int32_t sum = pr->y, res = -1;
    oct_lower_reason(l, why);
    OCT_TRY(oct_product_alloc(l, pr->p.oc * pr->w_count, sizeof(float), &w));
    for (int64_t c = 0; c < pr->p.oc; c++)
        for (int64_t i = 0; i < pr->w_count; i++)
            ((float *)w)[c * pr->w_count + i] = (float)pr->wi[c * pr->w_count + i] * pr->ws[c];
    fl.wf = w;
    fl.res = -1;
    OCT_TRY(oct_lower_temp_like(l, pr->x, OCT_F32, &fl.x));
    OCT_TRY(oct_lower_quantize_step(l, false, pr->x, fl.x, &pr->qx));
    if (pr->float_y)
        return lower_float(l, &fl, pr->y, f->clamp ? f->lo : -INFINITY, f->clamp ? f->hi : INFINITY);
    OCT_TRY(oct_lower_temp_like(l, pr->y, OCT_F32, &sum));
    if (pr->res >= 0) {
        OCT_TRY(oct_lower_temp_like(l, pr->res, OCT_F32, &res));
        OCT_TRY(oct_lower_quantize_step(l, false, pr->res, res, &pr->qres));
    }
    if (f->residual_inner) {
        int32_t product, inner;
        const oct_stored_quant q = inner_quant(f);
        OCT_TRY(oct_lower_temp_like(l, sum, OCT_F32, &product));
        OCT_TRY(oct_lower_temp_like(l, pr->y, OCT_U8, &inner));
        OCT_TRY(lower_float(l, &fl, product, f->inner_clamp ? f->inner_lo : -INFINITY, f->inner_clamp ? f->inner_hi : INFINITY));
        OCT_TRY(oct_lower_quantize_step(l, true, product, inner, &q));
        OCT_TRY(oct_lower_quantize_step(l, false, inner, product, &q));
        const oct_p_binary add = {.fn = OCT_BINARY_ADD, .lo = f->clamp ? f->lo : -INFINITY, .hi = f->clamp ? f->hi : INFINITY};
        const int32_t in[2] = {product, res};
        OCT_TRY(oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &sum, &add, sizeof add, NULL));
    } else {
        fl.res = res;
        OCT_TRY(lower_float(l, &fl, sum, f->clamp ? f->lo : -INFINITY, f->clamp ? f->hi : INFINITY));
    }
    return oct_lower_quantize_step(l, true, sum, pr->y, &pr->qy);
}

static oct_status alloc_codes(oct_lower *l, const oct_product *pr, codes *k)
{
    *k = (codes){.parts = count_parts(pr)};
    OCT_TRY(oct_product_alloc(l, (int64_t)pr->p.oc * k->parts * pr->w_count, 1, (void **)&k->w));
    OCT_TRY(oct_product_alloc(l, pr->p.oc, sizeof(int32_t), (void **)&k->bias));
    OCT_TRY(oct_product_alloc(l, pr->p.oc, sizeof(float), (void **)&k->scale));
    OCT_TRY(oct_product_alloc(l, pr->p.oc, sizeof(float), (void **)&k->fbias));
    return oct_product_alloc(l, pr->p.oc, sizeof(bool), (void **)&k->constant);
}

static oct_status lower_int8(oct_lower *l, oct_product *pr)
{
    codes k;
    const char *why = NULL;
    OCT_TRY(alloc_codes(l, pr, &k));
    if (!fill_epilogue(l, pr, &k, &why))
        return lower_dequantized(l, pr, why);
    split_codes(pr, &k);
    return pack_int8(l, pr, &k);
}

static oct_status lower_sums(oct_lower *l, oct_product *pr)
{
    codes k;
    OCT_TRY(alloc_codes(l, pr, &k));
    for (int32_t c = 0; c < pr->p.oc; c++) {
        int64_t sum, magnitude;
        sum_weights(pr, c, &sum, &magnitude);
        int64_t bias = -pr->qx.zero * sum;
        if (255 * magnitude + (bias < 0 ? -bias : bias) > INT32_MAX)
            return oct_op_unsupported(l->node, "a sum of output channel %d could leave 32 bits", (int)c);
        k.bias[c] = (int32_t)bias;
        k.scale[c] = 1;
    }
    split_codes(pr, &k);
    return pack_int8(l, pr, &k);
}

oct_status oct_product_lower(oct_lower *l, oct_product *pr)
{
    const oct_fused *f = &l->node->fused;
    if (pr->sums)
        return lower_sums(l, pr);
    if (pr->bias && (!pr->bias->data || pr->bias->dtype != OCT_F32))
        return oct_op_unsupported(l->node, "a bias that is no float constant");
    if (l->node->int8)
        return lower_int8(l, pr);
    return lower_float(l, pr, pr->y, f->clamp ? f->lo : -INFINITY, f->clamp ? f->hi : INFINITY);
}
