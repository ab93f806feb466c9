/* Shared lowering on 8-bit codes: see code.h. */
#include "op/code.h"

#include "kernels/kernel.h"
#include "num/num.h"
#include "op/infer.h"

oct_status oct_lower_quant(const oct_lower *l, const oct_value *v, oct_stored_quant *out)
{
    if (!oct_value_stored_quant(v, out))
        return oct_op_unsupported(l->node, "'%s' needs one scale and zero point for the whole tensor", v->name);
    return OCT_OK;
}

bool oct_same_codes(const oct_stored_quant *a, const oct_stored_quant *b)
{
    return a->scale == b->scale && a->zero == b->zero && a->lo == b->lo && a->hi == b->hi;
}

oct_status oct_lower_table(oct_lower *l, int32_t in, const oct_stored_quant *x, int32_t out, const oct_stored_quant *y,
                           const oct_p_unary *fn)
{
    uint8_t table[256];
    oct_p_table p;
    for (int q = 0; q < 256; q++) {
        float real = oct_dequantize(q, x->scale, x->zero);
        table[q] = (uint8_t)oct_quantize(fn ? oct_unaryf((oct_unary_fn)fn->fn, fn->alpha, fn->beta, real) : real, y->scale, y->zero,
                                         y->lo, y->hi);
    }
    OCT_TRY(oct_draft_const(l->d, table, sizeof table, &p.table_at));
    const char *tactic = oct_lower_pick(l, OCT_FAMILY_table, 0, 0, oct_table_best(l->isa)->name);
    return oct_lower_step(l, OCT_STEP_TABLE, OCT_PREC_INT8, tactic, 1, &in, 1, &out, &p, sizeof p, NULL);
}

oct_status oct_lower_moved(oct_lower *l, oct_value *x, const oct_value *y, oct_layout want, int32_t *tensor)
{
    oct_stored_quant qx, qy;
    int32_t from, to;
    OCT_TRY(oct_lower_in(l, x, want, &from));
    *tensor = from;
    if (!oct_value_stored_quant(x, &qx) || !oct_value_stored_quant(y, &qy) || oct_same_codes(&qx, &qy))
        return OCT_OK;
    const oct_plan_tensor *t = oct_lower_tensor(l, from);
    OCT_TRY(oct_lower_temp_like(l, from, (oct_dtype)t->dtype, &to));
    OCT_TRY(oct_lower_table(l, from, &qx, to, &qy, NULL));
    *tensor = to;
    return OCT_OK;
}

oct_status oct_lower_quantize_step(oct_lower *l, bool quantize, int32_t in, int32_t out, const oct_stored_quant *q)
{
    oct_p_quantize p = {.n = 1, .axis = 0, .lo = q->lo, .hi = q->hi};
    const char *tactic = quantize ? oct_lower_pick(l, OCT_FAMILY_quantize, 0, 0, oct_quantize_best(l->isa)->name)
                                  : oct_lower_pick(l, OCT_FAMILY_dequantize, 0, 0, oct_dequantize_best(l->isa)->name);
    OCT_TRY(oct_draft_const(l->d, &q->scale, sizeof q->scale, &p.scale_at));
    OCT_TRY(oct_draft_const(l->d, &q->zero, sizeof q->zero, &p.zero_at));
    return oct_lower_step(l, quantize ? OCT_STEP_QUANTIZE : OCT_STEP_DEQUANTIZE, OCT_PREC_CONVERT, tactic, 1, &in, 1, &out, &p,
                          sizeof p, NULL);
}

oct_status oct_lower_pool(oct_lower *l, int32_t in, int32_t out, const oct_p_pool *p)
{
    const bool codes = oct_lower_tensor(l, in)->dtype == OCT_U8;
    const char *standard = codes ? (p->is_max ? oct_maxpool_u8_best(l->isa)->name : oct_avgpool_u8_best(l->isa)->name)
                                 : (p->is_max ? oct_maxpool_f32_best(l->isa)->name : oct_avgpool_f32_best(l->isa)->name);
    const oct_family family = codes ? (p->is_max ? OCT_FAMILY_maxpool_u8 : OCT_FAMILY_avgpool_u8)
                                    : (p->is_max ? OCT_FAMILY_maxpool_f32 : OCT_FAMILY_avgpool_f32);
    const char *tactic = oct_lower_pick(l, family, 0, 0, standard);
    return oct_lower_step(l, OCT_STEP_POOL, codes ? OCT_PREC_INT8 : OCT_PREC_FLOAT, tactic, 1, &in, 1, &out, p, sizeof *p, NULL);
}

/* Pool of the view in = [n, c, pixels] with the given strides into out = dense [n, c]; in holds the codes or floats of x. */
static oct_status pool_view(oct_lower *l, const oct_value *x, const oct_value *y, int32_t in, const int64_t *dims,
                            const int64_t *strides, int32_t out, bool is_max)
{
    bool codes = oct_lower_precision(x) == OCT_PREC_INT8;
    oct_stored_quant qx, qy;
    int32_t in_view, out_view;
    if (!codes && x->dtype != OCT_F32)
        return oct_op_unsupported(l->node, "type %s", oct_dtype_name(x->dtype));
    if (dims[2] < 1 || dims[2] > OCT_POOL_TAPS)
        return oct_op_unsupported(l->node, "a window of %lld elements", (long long)dims[2]);
    oct_p_pool p = {.is_max = is_max, .kh = 1, .kw = (int32_t)dims[2], .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    if (codes && !is_max) {
        OCT_TRY(oct_lower_quant(l, x, &qx));
        OCT_TRY(oct_lower_quant(l, y, &qy));
        p.zx = qx.zero;
        p.z = qy.zero;
        p.lo = qy.lo;
        p.hi = qy.hi;
        p.scale = (double)qx.scale / qy.scale;
    }
    OCT_TRY(oct_lower_subview(l, in, 3, dims, strides, 0, &in_view));
    OCT_TRY(
        oct_lower_subview(l, out, 3, (const int64_t[]){dims[0], dims[1], 1}, (const int64_t[]){dims[1], 1, dims[1]}, 0, &out_view));
    return oct_lower_pool(l, in_view, out_view, &p);
}

oct_status oct_lower_plane_pool(oct_lower *l, oct_value *x, oct_value *y, int32_t out, bool is_max)
{
    int64_t pixels = 1, n = x->shape.dim[0], c = x->shape.dim[1];
    int32_t in;
    for (int i = 2; i < x->shape.rank; i++)
        pixels *= x->shape.dim[i];
    if (is_max)
        OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_NHWC, &in));
    else
        OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_NHWC, &in));
    return pool_view(l, x, y, in, (const int64_t[]){n, c, pixels}, (const int64_t[]){pixels * c, 1, c}, out, is_max);
}

oct_status oct_lower_run_pool(oct_lower *l, oct_value *x, oct_value *y, const int64_t dims[3], int32_t out, bool is_max)
{
    int32_t in;
    if (is_max)
        OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_PLAIN, &in));
    else
        OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_PLAIN, &in));
    return pool_view(l, x, y, in, (const int64_t[]){dims[0], dims[2], dims[1]}, (const int64_t[]){dims[1] * dims[2], 1, dims[2]},
                     out, is_max);
}
