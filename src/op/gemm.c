/* Gemm, MatMul and MatMulInteger.  A constant right factor makes them 1x1 convolutions over rows (INT8 or float); two activations, or batched
 * constants, run as a float MATMUL step on strided views. */
#include "op/ops.h"

#include <math.h>
#include <string.h>
#include "op/product.h"

/* --- inference --- */
oct_status oct_op_infer_gemm(oct_graph *g, oct_node *n)
{
    oct_value *a, *b;
    char at[OCT_SHAPE_TEXT], bt[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &a));
    OCT_TRY(oct_infer_need(n, 1, &b));
    if (a->shape.rank < 0 || b->shape.rank < 0)
        return oct_infer_unknown(g, n, a->dtype);
    const int ta = oct_node_int(n, "transA", 0) != 0, tb = oct_node_int(n, "transB", 0) != 0;
    if (a->shape.rank != 2 || b->shape.rank != 2 ||
        (a->shape.dim[1 - ta] >= 0 && b->shape.dim[tb] >= 0 && a->shape.dim[1 - ta] != b->shape.dim[tb]))
        return oct_op_bad(n, "factors %s and %s do not fit", oct_shape_text(g, &a->shape, at), oct_shape_text(g, &b->shape, bt));
    oct_shape y = {.rank = 2, .dim = {a->shape.dim[ta], b->shape.dim[1 - tb]}};
    const oct_value *c = oct_node_in(n, 2);
    if (c && c->shape.rank >= 0) {
        oct_shape joint;
        OCT_TRY(oct_infer_broadcast(g, n, &y, &c->shape, &joint));
        if (joint.rank != 2 || (y.dim[0] >= 0 && joint.dim[0] > y.dim[0]) || (y.dim[1] >= 0 && joint.dim[1] > y.dim[1]))
            return oct_op_bad(n, "the bias %s is larger than the product", oct_shape_text(g, &c->shape, bt));
    }
    return oct_infer_out(g, n, 0, a->dtype, &y);
}

/* Shape of a times b by NumPy's rule; rank -1 when it is not known. */
static oct_status matmul_shape(oct_graph *g, const oct_node *n, const oct_value *a, const oct_value *b, oct_shape *y)
{
    char at[OCT_SHAPE_TEXT], bt[OCT_SHAPE_TEXT];
    const int ra = a->shape.rank, rb = b->shape.rank;
    y->rank = -1;
    if (ra < 0 || rb < 0)
        return OCT_OK;
    const int64_t ka = ra ? a->shape.dim[ra - 1] : -1, kb = rb ? b->shape.dim[rb > 1 ? rb - 2 : 0] : -1;
    if (ra < 1 || rb < 1 || (ka >= 0 && kb >= 0 && ka != kb))
        return oct_op_bad(n, "factors %s and %s do not fit", oct_shape_text(g, &a->shape, at), oct_shape_text(g, &b->shape, bt));
    oct_shape batch_a = {.rank = ra > 2 ? ra - 2 : 0}, batch_b = {.rank = rb > 2 ? rb - 2 : 0};
    memcpy(batch_a.dim, a->shape.dim, (size_t)batch_a.rank * sizeof *batch_a.dim);
    memcpy(batch_b.dim, b->shape.dim, (size_t)batch_b.rank * sizeof *batch_b.dim);
    OCT_TRY(oct_infer_broadcast(g, n, &batch_a, &batch_b, y));
    if (ra > 1)
        y->dim[y->rank++] = a->shape.dim[ra - 2];
    if (rb > 1)
        y->dim[y->rank++] = b->shape.dim[rb - 1];
    return OCT_OK;
}

oct_status oct_op_infer_matmul(oct_graph *g, oct_node *n)
{
    oct_value *a, *b;
    oct_shape y;
    char bt[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &a));
    OCT_TRY(oct_infer_need(n, 1, &b));
    OCT_TRY(matmul_shape(g, n, a, b, &y));
    if (y.rank < 0)
        return oct_infer_unknown(g, n, a->dtype);
    const oct_value *c = oct_node_in(n, 2);
    if (c && c->shape.rank >= 0) {
        oct_shape joint;
        OCT_TRY(oct_infer_broadcast(g, n, &y, &c->shape, &joint));
        bool larger = joint.rank != y.rank;
        for (int i = 0; i < y.rank && !larger; i++)
            larger = y.dim[i] >= 0 && joint.dim[i] > y.dim[i];
        if (larger)
            return oct_op_bad(n, "the bias %s is larger than the product", oct_shape_text(g, &c->shape, bt));
    }
    return oct_infer_out(g, n, 0, a->dtype, &y);
}

oct_status oct_op_infer_matmul_integer(oct_graph *g, oct_node *n)
{
    oct_value *a, *b;
    oct_shape y;
    OCT_TRY(oct_infer_need(n, 0, &a));
    OCT_TRY(oct_infer_need(n, 1, &b));
    OCT_TRY(matmul_shape(g, n, a, b, &y));
    OCT_TRY(oct_sums_check(n, b->shape.rank < 1 ? -1 : b->shape.rank == 1 ? 1 : b->shape.dim[b->shape.rank - 1]));
    return y.rank < 0 ? oct_infer_unknown(g, n, OCT_S32) : oct_infer_out(g, n, 0, OCT_S32, &y);
}

/* --- a constant right factor [k, n] (or [n, k] when transposed) --- */
static oct_status order_weights(oct_lower *l, const oct_value *b, bool tb, bool codes, float alpha, oct_product *pr)
{
    const int64_t n = b->shape.dim[tb ? 0 : 1], k = b->shape.dim[tb ? 1 : 0];
    int16_t *wi = NULL;
    float *wf = NULL;
    pr->w_count = k;
    OCT_TRY(oct_product_alloc(l, n * k, codes ? sizeof *wi : sizeof *wf, codes ? (void **)&wi : (void **)&wf));
    for (int64_t o = 0; o < n; o++)
        for (int64_t i = 0; i < k; i++) {
            int64_t from = tb ? o * k + i : i * n + o;
            if (codes)
                wi[o * k + i] = oct_product_code(b, from, o);
            else
                wf[o * k + i] = ((const float *)b->data)[from] * alpha;
        }
    pr->wi = wi;
    pr->wf = wf;
    return OCT_OK;
}

static oct_status product_geometry(const oct_node *n, int64_t rows, int64_t oc, int64_t k, oct_p_conv *p)
{
    if (rows > 1 << 30 || oc > 1 << 30 || k > 1 << 30 || k < 1)
        return oct_op_unsupported(n, "a product of %lld rows, %lld columns and depth %lld", (long long)rows, (long long)oc, (long long)k);
    *p = (oct_p_conv){.n = 1, .h = 1, .w = (int32_t)rows, .c = (int32_t)k, .oh = 1, .ow = (int32_t)rows, .oc = (int32_t)oc, .groups = 1, .kh = 1,
                      .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .up_h = 1, .up_w = 1};
    return OCT_OK;
}

static oct_status lower_by_constant(oct_lower *l, oct_node *n, int32_t tx, int64_t rows, bool tb, float alpha, float beta)
{
    oct_value *b = n->inputs[1], *y = n->outputs[0], *res = n->fused.residual ? n->inputs[n->fused.residual] : NULL;
    const int64_t oc = b->shape.dim[tb ? 0 : 1], k = b->shape.dim[tb ? 1 : 0];
    oct_product pr = {.bias = oct_node_in(n, 2), .bias_factor = beta, .res = -1};
    int32_t ty, tr;
    if (rows < 1)
        return oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &ty); /* nothing to compute */
    OCT_TRY(product_geometry(n, rows, oc, k, &pr.p));
    OCT_TRY(order_weights(l, b, tb, n->int8, alpha, &pr));
    if (n->int8) {
        OCT_TRY(oct_product_quants(l, n->inputs[0], y, res, &pr));
        OCT_TRY(oct_product_scales(l, b, tb ? 0 : 1, 1, alpha, &pr));
    }
    OCT_TRY(oct_product_view(l, tx, 1, k, 1, rows, &pr.x));
    if (res) {
        OCT_TRY(oct_lower_in(l, res, OCT_LAYOUT_PLAIN, &tr));
        OCT_TRY(oct_product_view(l, tr, 1, oc, 1, rows, &pr.res));
    }
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &ty));
    OCT_TRY(oct_product_view(l, ty, 1, oc, 1, rows, &pr.y));
    return oct_product_lower(l, &pr);
}

/* One value, or one a column, whatever the leading ones. */
static bool is_row_bias(const oct_value *c, int64_t columns)
{
    if (!c)
        return true;
    if (!c->data || c->dtype != OCT_F32)
        return false;
    for (int i = 0; i < c->shape.rank; i++)
        if (c->shape.dim[i] != 1 && (i != c->shape.rank - 1 || c->shape.dim[i] != columns))
            return false;
    return true;
}

/* --- two activations --- */
static oct_status two_axes(oct_lower *l, const oct_value *v, int32_t t, bool column, bool transposed, int32_t *view)
{
    const oct_plan_tensor at = *oct_lower_tensor(l, t);
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    int rank = v->shape.rank;
    memcpy(dims, at.dims, sizeof dims);
    memcpy(strides, at.strides, sizeof strides);
    if (rank == 1) {
        dims[0] = dims[1] = column ? at.dims[0] : 1;
        dims[column ? 1 : 0] = 1;
        dims[column ? 0 : 1] = at.dims[0];
        strides[0] = strides[1] = at.strides[0];
        rank = 2;
    }
    if (transposed) {
        int64_t d = dims[rank - 1], s = strides[rank - 1];
        dims[rank - 1] = dims[rank - 2];
        strides[rank - 1] = strides[rank - 2];
        dims[rank - 2] = d;
        strides[rank - 2] = s;
    }
    return oct_lower_subview(l, t, rank, dims, strides, 0, view);
}

/* The output tensor as [..., m, n], with axes of 1 where a factor had rank 1. */
static oct_status result_axes(oct_lower *l, const oct_value *a, const oct_value *b, int32_t t, int32_t *view)
{
    const oct_plan_tensor at = *oct_lower_tensor(l, t);
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    int rank = 0, from = 0, batch = at.rank - (a->shape.rank > 1) - (b->shape.rank > 1);
    if (batch + 2 > OCT_MAX_RANK)
        return oct_op_unsupported(l->node, "rank %d", batch + 2);
    for (; from < batch; from++, rank++) {
        dims[rank] = at.dims[from];
        strides[rank] = at.strides[from];
    }
    for (int side = 0; side < 2; side++, rank++) {
        const bool present = (side ? b : a)->shape.rank > 1;
        dims[rank] = present ? at.dims[from] : 1;
        strides[rank] = present ? at.strides[from] : 1;
        from += present;
    }
    return oct_lower_subview(l, t, rank, dims, strides, 0, view);
}

static oct_status emit_binary(oct_lower *l, oct_binary_fn fn, int32_t a, int32_t b, int32_t y, float lo, float hi)
{
    const oct_p_binary p = {.fn = fn, .lo = lo, .hi = hi};
    const int32_t in[2] = {a, b};
    return oct_lower_step(l, OCT_STEP_BINARY, OCT_PREC_FLOAT, "", 2, in, 1, &y, &p, sizeof p, NULL);
}

static oct_status lower_general(oct_lower *l, oct_node *n, bool ta, bool tb, float alpha, float beta)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1], *c = oct_node_in(n, 2), *y = n->outputs[0];
    int32_t tA, tB, tC, ty, vy;
    int32_t in[2];
    oct_plan_step *step;
    if (a->dtype != OCT_F32 || b->dtype != OCT_F32 || (c && c->dtype != OCT_F32))
        return oct_op_unsupported(n, "type %s", oct_dtype_name(a->dtype));
    oct_lower_reason(l, "both factors are activations");
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_ANY, &tA));
    OCT_TRY(oct_lower_in(l, b, OCT_LAYOUT_ANY, &tB));
    OCT_TRY(two_axes(l, a, tA, false, ta, &in[0]));
    OCT_TRY(two_axes(l, b, tB, true, tb, &in[1]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &ty));
    OCT_TRY(result_axes(l, a, b, ty, &vy));
    const oct_p_matmul p = {.alpha = alpha};
    OCT_TRY(oct_lower_step(l, OCT_STEP_MATMUL, OCT_PREC_FLOAT, "", 2, in, 1, &vy, &p, sizeof p, &step));
    step->macs = oct_node_macs(n);
    if (c) {
        OCT_TRY(oct_lower_in(l, c, OCT_LAYOUT_ANY, &tC));
        if (beta != 1) {
            int32_t factor, scaled;
            OCT_TRY(oct_lower_const(l, OCT_F32, 0, NULL, &beta, &factor));
            OCT_TRY(oct_lower_temp(l, OCT_F32, c->shape.rank, c->shape.dim, &scaled));
            OCT_TRY(emit_binary(l, OCT_BINARY_MUL, tC, factor, scaled, -INFINITY, INFINITY));
            tC = scaled;
        }
        OCT_TRY(emit_binary(l, OCT_BINARY_ADD, ty, tC, ty, -INFINITY, INFINITY));
    }
    if (n->fused.residual) {
        OCT_TRY(oct_lower_in(l, n->inputs[n->fused.residual], OCT_LAYOUT_ANY, &tC));
        OCT_TRY(emit_binary(l, OCT_BINARY_ADD, ty, tC, ty, -INFINITY, INFINITY));
    }
    if (!n->fused.clamp)
        return OCT_OK;
    const oct_p_unary clip = {.fn = OCT_UNARY_CLIP, .alpha = n->fused.lo, .beta = n->fused.hi};
    return oct_lower_step(l, OCT_STEP_UNARY, OCT_PREC_FLOAT, "", 1, &ty, 1, &ty, &clip, sizeof clip, NULL);
}

/* x [m, k], or its transpose as a dense copy. */
static oct_status rows_of(oct_lower *l, oct_value *x, bool transposed, int32_t *t)
{
    int32_t turned;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_PLAIN, t));
    if (!transposed)
        return OCT_OK;
    const int64_t dims[2] = {x->shape.dim[1], x->shape.dim[0]};
    OCT_TRY(two_axes(l, x, *t, false, true, &turned));
    OCT_TRY(oct_lower_temp(l, x->dtype, 2, dims, t));
    return oct_lower_step(l, OCT_STEP_COPY, OCT_PREC_CONVERT, "", 1, &turned, 1, t, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}

oct_status oct_op_lower_gemm(oct_lower *l, oct_node *n)
{
    oct_value *b = n->inputs[1], *y = n->outputs[0];
    const bool ta = oct_node_int(n, "transA", 0) != 0, tb = oct_node_int(n, "transB", 0) != 0;
    const float alpha = oct_node_float(n, "alpha", 1), beta = oct_node_float(n, "beta", 1);
    int32_t x;
    if (n->int8 && (!(alpha > 0) || !is_row_bias(oct_node_in(n, 2), y->shape.dim[1])))
        return oct_op_unsupported(n, "alpha %g or this bias on 8-bit codes", (double)alpha);
    if (!b->data || b->shape.dim[0] < 1 || b->shape.dim[1] < 1 || !is_row_bias(oct_node_in(n, 2), y->shape.dim[1]) ||
        (!n->int8 && (b->dtype != OCT_F32 || n->inputs[0]->dtype != OCT_F32)))
        return lower_general(l, n, ta, tb, alpha, beta);
    OCT_TRY(rows_of(l, n->inputs[0], ta, &x));
    return lower_by_constant(l, n, x, y->shape.dim[0], tb, alpha, beta);
}

oct_status oct_op_lower_matmul(oct_lower *l, oct_node *n)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1];
    int64_t rows = 1;
    int32_t x;
    bool constant = b->data && b->shape.rank == 2 && b->shape.dim[0] > 0 && b->shape.dim[1] > 0 && is_row_bias(oct_node_in(n, 2), b->shape.dim[1]);
    if (!n->int8 && (b->dtype != OCT_F32 || a->dtype != OCT_F32))
        constant = false;
    if (!constant)
        return lower_general(l, n, false, false, 1, 1);
    for (int i = 0; i + 1 < a->shape.rank; i++)
        rows *= a->shape.dim[i];
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_PLAIN, &x));
    return lower_by_constant(l, n, x, rows, false, 1, 1);
}

/* A zero point as a tensor of one stored code; absent ones are 0. */
static oct_status zero_tensor(oct_lower *l, oct_value *zero, oct_dtype dtype, int32_t *t)
{
    const uint8_t none = 0;
    return zero ? oct_lower_in(l, zero, OCT_LAYOUT_PLAIN, t) : oct_lower_const(l, dtype, 0, NULL, &none, t);
}

/* Two activations, or a constant in a batch: MATMUL_S32 on strided views. */
static oct_status lower_sums(oct_lower *l, oct_node *n)
{
    enum { DEEPEST = INT32_MAX / (255 * 255) };
    oct_value *a = n->inputs[0], *b = n->inputs[1], *zb = oct_node_in(n, 3);
    const int64_t k = a->shape.dim[a->shape.rank - 1];
    int32_t tA, tB, in[4], ty, vy;
    int64_t zeros = 1;
    oct_plan_step *step;
    if (zb)
        OCT_TRY(oct_shape_count(&zb->shape, &zeros));
    if (zeros != 1)
        return oct_op_unsupported(n, "%lld zero points of a right factor that is no constant matrix", (long long)zeros);
    if (k > DEEPEST)
        return oct_op_unsupported(n, "a sum of %lld products could leave 32 bits", (long long)k);
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_ANY, &tA));
    OCT_TRY(oct_lower_in(l, b, OCT_LAYOUT_ANY, &tB));
    OCT_TRY(two_axes(l, a, tA, false, false, &in[0]));
    OCT_TRY(two_axes(l, b, tB, true, false, &in[1]));
    OCT_TRY(zero_tensor(l, oct_node_in(n, 2), a->dtype, &in[2]));
    OCT_TRY(zero_tensor(l, zb, b->dtype, &in[3]));
    OCT_TRY(oct_lower_out(l, n->outputs[0], OCT_LAYOUT_PLAIN, &ty));
    OCT_TRY(result_axes(l, a, b, ty, &vy));
    OCT_TRY(oct_lower_step(l, OCT_STEP_MATMUL_S32, OCT_PREC_INT8, "", 4, in, 1, &vy, &(oct_p_none){0}, sizeof(oct_p_none), &step));
    step->macs = oct_node_macs(n);
    return OCT_OK;
}

oct_status oct_op_lower_matmul_integer(oct_lower *l, oct_node *n)
{
    oct_value *a = n->inputs[0], *b = n->inputs[1], *zb = oct_node_in(n, 3), *y = n->outputs[0], *w;
    oct_product pr = {.res = -1};
    int64_t rows = 1;
    int32_t tx, ty;
    if (!b->data || b->shape.rank != 2 || (zb && !zb->data))
        return lower_sums(l, n);
    for (int i = 0; i + 1 < a->shape.rank; i++)
        rows *= a->shape.dim[i];
    const int64_t oc = b->shape.dim[1], k = b->shape.dim[0];
    if (rows < 1 || oc < 1)
        return oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &ty); /* nothing to compute */
    OCT_TRY(product_geometry(n, rows, oc, k, &pr.p));
    OCT_TRY(oct_sums_weights(l, n, oc, &w));
    OCT_TRY(order_weights(l, w, false, true, 1, &pr));
    OCT_TRY(oct_lower_in(l, a, OCT_LAYOUT_PLAIN, &tx));
    OCT_TRY(oct_product_view(l, tx, 1, k, 1, rows, &pr.x));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &ty));
    return oct_sums_lower(l, n, &pr, ty);
}
