/* The check of convolution steps: geometry against tensors, packed weights and tap offsets against what they must be, scratch. */
#include "plan/check.h"

#include <string.h>
#include "kernels/kernel.h"
#include "plan/conv.h"
#include "plan/tactic.h"

enum { MAX_SIZE = 1 << 30, MAX_PARTS = 3 };

static bool is_size(int32_t v) { return v >= 1 && v <= MAX_SIZE; }
static bool is_pad(int32_t v) { return v >= -MAX_SIZE && v <= MAX_SIZE; }
static bool is_code(int32_t q) { return q >= 0 && q <= 255; }

static bool is_geometry(const oct_p_conv *q)
{
    return is_size(q->n) && q->h >= 0 && q->h <= MAX_SIZE && q->w >= 0 && q->w <= MAX_SIZE && is_size(q->c) && is_size(q->oh) && is_size(q->ow) &&
           is_size(q->oc) && is_size(q->groups) && q->c % q->groups == 0 && q->oc % q->groups == 0 && is_size(q->kh) && is_size(q->kw) &&
           is_size(q->sh) && is_size(q->sw) && is_size(q->dh) && is_size(q->dw) && is_size(q->up_h) && is_size(q->up_w) && is_pad(q->pt) &&
           is_pad(q->pl) && is_pad(q->pb) && is_pad(q->pr) && is_size(q->tap_count) && is_size(q->kc) && is_size(q->panels) &&
           q->panel_bytes > 0 && q->panel_bytes < (int64_t)1 << 46 && is_code(q->zp_in) && q->merged >= 0 && q->merged <= 1 && q->copy >= 0 && q->copy <= 1;
}

/* They always take the copy, whose pixels lie side by side, and one set of weights. */
static bool is_winograd(const oct_p_conv *q) { return oct_conv_suits_winograd(q) && q->tap_count == q->kh && q->merged && q->copy && q->taps_at == -1; }

/* A view [n, c, h, w] of a type with channels side by side. */
static bool is_image(const oct_plan_tensor *t, oct_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return t->dtype == dtype && t->rank == 4 && t->dims[0] == n && t->dims[1] == c && t->dims[2] == h && t->dims[3] == w &&
           (c == 1 || t->strides[1] == 1) && t->strides[0] >= 0 && t->strides[2] >= 0 && t->strides[3] >= 0;
}

static bool epilogue_fits(const oct_qepilogue *e, bool residual, oct_dtype *out)
{
    bool wants = e->kind == OCT_EPI_U8_RES || e->kind == OCT_EPI_U8_RES_INNER;
    *out = e->kind == OCT_EPI_F32 ? OCT_F32 : e->kind == OCT_EPI_S32 ? OCT_S32 : OCT_U8;
    return e->kind >= OCT_EPI_U8 && e->kind <= OCT_EPI_S32 && wants == residual && is_code(e->zp) && is_code(e->lo) && is_code(e->hi) && e->lo <= e->hi &&
           is_code(e->res_zp) && is_code(e->inner_zp) && is_code(e->inner_lo) && is_code(e->inner_hi);
}

static bool taps_fit(const oct_p_conv *q, oct_step_kind kind)
{
    int64_t own = oct_step_is_depthwise(kind) || q->merged ? q->kh : (int64_t)q->kh * q->kw;
    int64_t run = oct_step_is_depthwise(kind) ? q->kw : q->merged ? (int64_t)q->kw * q->c : q->c / q->groups;
    return q->tap_count % own == 0 && q->tap_count / own <= MAX_PARTS && q->kc == run && (!q->merged || (q->groups == 1 && (q->dw == 1 || q->kw == 1)));
}

static bool tap_offsets_fit(const oct_plan *p, oct_step_kind kind, const oct_p_conv *q, const oct_plan_tensor *x, const oct_conv_tiling *t)
{
    const int64_t size = oct_conv_size(kind), row = q->copy ? t->row_bytes : x->strides[2] * size, pixel = q->copy ? q->c * size : x->strides[3] * size;
    if (!oct_check_const(p, q->taps_at, (int64_t)q->tap_count * 8, 8))
        return false;
    const int64_t *taps = (const int64_t *)(const void *)(p->constants + q->taps_at);
    for (int32_t i = 0; i < q->tap_count; i++)
        if (taps[i] != oct_conv_tap(kind, q, row, pixel, i))
            return false;
    return true;
}

/* Bytes of a panel (depthwise: of all weights) and columns of a panel for the step's tactic. */
static void packed_size(oct_step_kind kind, const oct_p_conv *q, const void *kernel, int64_t *bytes, int32_t *columns)
{
    *columns = q->oc;
    switch (kind) {
    case OCT_STEP_CONV_Q:
        *columns = ((const oct_qconv_kernel *)kernel)->nr;
        *bytes = oct_qconv_panel_bytes(*columns, q->tap_count, q->kc);
        break;
    case OCT_STEP_CONV_F:
        *columns = ((const oct_fconv_kernel *)kernel)->nr;
        *bytes = oct_fconv_panel_bytes(*columns, q->tap_count, q->kc);
        break;
    case OCT_STEP_WINO_Q:
        *columns = ((const oct_qwino_kernel *)kernel)->nr;
        *bytes = oct_qwino_panel_bytes(*columns, q->c);
        break;
    case OCT_STEP_DW_Q: *bytes = ((const oct_qdw_kernel *)kernel)->packed_bytes(q->c, q->tap_count, q->kw); break;
    default: *bytes = oct_fdw_packed_bytes(q->c, q->tap_count, q->kw); break;
    }
}

static oct_status check_weights(const oct_plan *p, const oct_plan_step *s, const oct_p_conv *q)
{
    const oct_step_kind kind = (oct_step_kind)s->kind;
    const void *kernel;
    int64_t bytes, total;
    int32_t columns;
    OCT_TRY(oct_step_kernel(p, s, &kernel));
    if (kind == OCT_STEP_DW_Q) {
        const oct_qdw_kernel *k = kernel;
        OCT_CHECK((k->kh == 0 || k->kh == q->tap_count) && (k->kw == 0 || k->kw == q->kw), "its kernel is for another size");
    }
    /* No product of these can overflow when the weights lie in the block; that is asked in a form that cannot either. */
    int64_t least;
    OCT_CHECK(oct_size_mul((int64_t)q->tap_count * q->kc, oct_step_is_depthwise(kind) ? q->c : 1, &least) == OCT_OK &&
                  least <= p->constant_size, "its weights are out of range");
    packed_size(kind, q, kernel, &bytes, &columns);
    int64_t panels = oct_step_is_depthwise(kind) ? 1 : oct_div_up(q->oc / q->groups, columns);
    OCT_CHECK(q->panel_bytes == bytes && q->panels == panels, "its weights are not packed for its kernel");
    OCT_CHECK(oct_size_mul(bytes, oct_step_is_depthwise(kind) ? 1 : panels * q->groups, &total) == OCT_OK && oct_check_const(p, q->weights_at, total, OCT_ALIGN),
              "its weights are out of range");
    return OCT_OK;
}

static int64_t extent(int64_t outputs, int64_t stride, int64_t kernel, int64_t dilation) { return (outputs - 1) * stride + (kernel - 1) * dilation + 1; }

oct_status oct_check_conv(const oct_plan *p, const oct_plan_step *s, const oct_plan_tensor *const *in, const oct_plan_tensor *out)
{
    const oct_p_conv *q = (const oct_p_conv *)(const void *)(p->params + s->params);
    const oct_step_kind kind = (oct_step_kind)s->kind;
    const oct_plan_tensor *x = in[0];
    oct_dtype in_type = oct_conv_size(kind) == 1 ? OCT_U8 : OCT_F32, out_type = OCT_F32;
    oct_conv_tiling t;
    OCT_CHECK(is_geometry(q) && taps_fit(q, kind), "its geometry is out of range");
    OCT_CHECK(q->residual >= 0 && q->residual <= 1 && s->in_count == 1u + (uint32_t)q->residual, "the number of its tensors does not fit");
    OCT_CHECK(in_type == OCT_F32 || epilogue_fits(&q->epi, q->residual, &out_type), "its epilogue is out of range");
    OCT_CHECK(is_image(x, in_type, q->n, q->c, q->h, q->w) && is_image(out, out_type, q->n, q->oc, q->oh, q->ow) &&
                  (!q->residual || is_image(in[1], out_type, q->n, q->oc, q->oh, q->ow)), "its tensors do not fit its geometry");
    OCT_CHECK(kind != OCT_STEP_WINO_Q || is_winograd(q), "its geometry is not for its kernel");
    if (oct_step_is_depthwise(kind))
        OCT_CHECK(q->groups == q->c && q->c == q->oc, "its geometry is out of range");
    if (!q->copy) {
        OCT_CHECK(q->pt == 0 && q->pl == 0 && q->up_h == 1 && q->up_w == 1 && extent(q->oh, q->sh, q->kh, q->dh) <= q->h &&
                      extent(q->ow, q->sw, q->kw, q->dw) <= q->w, "its taps reach outside the input");
        OCT_CHECK(!q->merged || q->kw == 1 || x->strides[3] == q->c, "its pixels do not lie side by side");
        OCT_CHECK(kind != OCT_STEP_CONV_Q || q->kc % 4 == 0 || x->place != OCT_PLACE_INPUT, "its runs reach past the input");
    }
    OCT_TRY(check_weights(p, s, q));
    OCT_CHECK(oct_conv_tile(kind, q, &t) == OCT_OK && s->worker_bytes == oct_conv_worker_bytes(&t), "its scratch does not fit");
    if (kind == OCT_STEP_CONV_Q || kind == OCT_STEP_CONV_F)
        OCT_CHECK(tap_offsets_fit(p, kind, q, x, &t), "its taps are not those of its geometry");
    return OCT_OK;
}
