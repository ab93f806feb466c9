/* ConvInteger and MatMulInteger: products whose s32 sums are the result.  The operators bring geometry and weights (conv.c,
 * gemm.c); here are their zero points, the one of x also when it is computed at run time, as dynamic quantization does. Nothing
 * rounds. */
#include "op/product.h"

#include <math.h>
#include "op/infer.h"

static bool is_code(oct_dtype t)
{
    return t == OCT_U8 || t == OCT_S8;
}

oct_status oct_sums_check(const oct_node *n, int64_t oc)
{
    static const char *const who[2] = {"the left factor", "the weights"};
    for (int i = 0; i < 2; i++) {
        const oct_value *v = n->inputs[i], *zero = oct_node_in(n, 2 + i);
        int64_t count;
        if (!is_code(v->dtype))
            return oct_op_unsupported(n, "%s of type %s", who[i], oct_dtype_name(v->dtype));
        if (!zero)
            continue;
        if (zero->dtype != v->dtype)
            return oct_op_bad(n, "the zero point of %s has type %s, not %s", who[i], oct_dtype_name(zero->dtype),
                              oct_dtype_name(v->dtype));
        if (!oct_shape_is_concrete(&zero->shape))
            continue;
        OCT_TRY(oct_shape_count(&zero->shape, &count));
        if (count == 1 || (i == 1 && oc >= 0 && count == oc && zero->shape.dim[zero->shape.rank - 1] == oc))
            continue;
        if (i == 1 && oc < 0)
            continue;
        return i == 0 ? oct_op_unsupported(n, "%lld zero points of the left factor", (long long)count)
                      : oct_op_bad(n, "%lld zero points for %lld output channels", (long long)count, (long long)oc);
    }
    return OCT_OK;
}

static int32_t zero_at(const oct_value *zero, int64_t i)
{
    return zero->dtype == OCT_S8 ? ((const int8_t *)zero->data)[i] : ((const uint8_t *)zero->data)[i];
}

oct_status oct_sums_weights(oct_lower *l, const oct_node *n, int64_t oc, oct_value **out)
{
    const oct_value *w = n->inputs[1], *zero = oct_node_in(n, 3);
    void *copy, *quant, *zeros, *scales;
    int64_t count = 1;
    if (!w->data || (zero && !zero->data))
        return oct_op_unsupported(n, "'%s' is no constant", w->data ? zero->name : w->name);
    if (zero)
        OCT_TRY(oct_shape_count(&zero->shape, &count));
    OCT_TRY(oct_sums_check(n, oc));
    OCT_TRY(oct_product_alloc(l, count, sizeof(int32_t), &zeros));
    OCT_TRY(oct_product_alloc(l, count, sizeof(float), &scales));
    for (int64_t i = 0; i < count; i++) {
        ((int32_t *)zeros)[i] = zero ? zero_at(zero, i) : 0;
        ((float *)scales)[i] = 1;
    }
    const oct_quant q = {.n = (int32_t)count, .axis = 0, .scale = scales, .zero = zeros};
    OCT_TRY(oct_arena_memdup(l->g->arena, w, sizeof *w, &copy));
    OCT_TRY(oct_arena_memdup(l->g->arena, &q, sizeof q, &quant));
    ((oct_value *)copy)->quant = quant;
    *out = copy;
    return OCT_OK;
}

static bool is_padded(const oct_p_conv *p)
{
    return p->pt || p->pl || p->pb || p->pr;
}

/* Sum of the weights that meet the input, for every output channel, and output pixel where there is padding: [oc, oh, ow] or [oc,
 * 1, 1]. */
static oct_status sum_weights(oct_lower *l, const oct_product *pr, int32_t **out)
{
    const oct_p_conv *p = &pr->p;
    const int64_t taps = (int64_t)p->kh * p->kw, icg = pr->w_count / taps;
    const int32_t oh = is_padded(p) ? p->oh : 1, ow = is_padded(p) ? p->ow : 1;
    int64_t count;
    void *sums, *of_tap;
    OCT_TRY(oct_size_mul((int64_t)p->oc * oh, ow, &count));
    OCT_TRY(oct_product_alloc(l, count, sizeof(int32_t), &sums));
    OCT_TRY(oct_product_alloc(l, taps, sizeof(int32_t), &of_tap));
    int32_t *to = sums, *tap = of_tap;
    for (int32_t c = 0; c < p->oc; c++) {
        for (int64_t t = 0; t < taps; t++) {
            tap[t] = 0;
            for (int64_t i = 0; i < icg; i++)
                tap[t] += pr->wi[c * pr->w_count + t * icg + i];
        }
        for (int32_t y = 0; y < oh; y++)
            for (int32_t x = 0; x < ow; x++, to++)
                for (int64_t t = 0; t < taps; t++) {
                    const int64_t iy = (int64_t)y * p->sh - p->pt + t / p->kw * p->dh,
                                  ix = (int64_t)x * p->sw - p->pl + t % p->kw * p->dw;
                    if (!is_padded(p) || (iy >= 0 && iy < p->h && ix >= 0 && ix < p->w))
                        *to += tap[t];
                }
    }
    *out = sums;
    return OCT_OK;
}

static oct_status binary(oct_lower *l, oct_binary_fn fn, int32_t a, int32_t b, int32_t y)
{
    const oct_p_binary p = {fn, -INFINITY, INFINITY};
    const int32_t in[2] = {a, b};
    return oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_INT8, "", 2, in, 1, &y, &p, sizeof p, NULL);
}

/* y = sums - stored zero point * sums of weights. */
static oct_status take_zero_off(oct_lower *l, oct_value *zero, bool biased, const oct_product *pr, int32_t sums, int32_t y)
{
    const oct_p_conv *p = &pr->p;
    const int64_t dims[4] = {1, p->oc, is_padded(p) ? p->oh : 1, is_padded(p) ? p->ow : 1};
    const int32_t shift = 128;
    int32_t *weights, tz, z32, moved, factor, product, bias;
    OCT_TRY(oct_lower_in(l, zero, OCT_LAYOUT_PLAIN, &tz));
    OCT_TRY(oct_lower_temp(l, OCT_S32, zero->shape.rank, zero->shape.dim, &z32));
    OCT_TRY(oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &tz, 1, &z32, &(oct_p_none){0}, sizeof(oct_p_none), NULL));
    if (biased) { /* the sums are over codes that are stored with 128 added */
        OCT_TRY(oct_lower_const(l, OCT_S32, 0, NULL, &shift, &bias));
        OCT_TRY(oct_lower_temp(l, OCT_S32, zero->shape.rank, zero->shape.dim, &moved));
        OCT_TRY(binary(l, OCT_BINARY_ADD, z32, bias, moved));
        z32 = moved;
    }
    OCT_TRY(sum_weights(l, pr, &weights));
    OCT_TRY(oct_lower_const(l, OCT_S32, 4, dims, weights, &factor));
    OCT_TRY(oct_lower_temp(l, OCT_S32, 4, dims, &product));
    OCT_TRY(binary(l, OCT_BINARY_MUL, factor, z32, product));
    return binary(l, OCT_BINARY_SUB, sums, product, y);
}

oct_status oct_sums_lower(oct_lower *l, oct_node *n, oct_product *pr, int32_t ty)
{
    oct_value *zero = oct_node_in(n, 2);
    const oct_p_conv *p = &pr->p;
    const bool biased = n->inputs[0]->dtype == OCT_S8, later = zero && !zero->data;
    int32_t sums = ty, view;
    pr->sums = true;
    /* Without a zero point at all, s8 codes still have the one of their stored form. */
    pr->qx = (oct_stored_quant){1, (zero && !later ? zero_at(zero, 0) : 0) + (biased ? 128 : 0), 0, 255};
    if (!later) {
        OCT_TRY(oct_product_view(l, ty, p->n, p->oc, p->oh, p->ow, &pr->y));
        return oct_product_lower(l, pr);
    }
    pr->qx.zero = 0; /* also what padding holds: it adds nothing */
    OCT_TRY(oct_lower_temp_like(l, ty, OCT_S32, &sums));
    OCT_TRY(oct_product_view(l, sums, p->n, p->oc, p->oh, p->ow, &pr->y));
    OCT_TRY(oct_product_lower(l, pr));
    OCT_TRY(oct_product_view(l, ty, p->n, p->oc, p->oh, p->ow, &view));
    return take_zero_off(l, zero, biased, pr, pr->y, view);
}
