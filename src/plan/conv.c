/* Cutting a convolution into units of work: see conv.h. */
#include "plan/conv.h"

/* Multiply-accumulates a unit should hold: enough that claiming it costs nothing, few enough that all threads stay busy. Dense INT8 layers
 * that would be one or two units go in quarters, down to what handing over (0.3 us) is worth. */
static int64_t unit_target(oct_step_kind kind, int64_t total)
{
    if (kind == OCT_STEP_DW_Q) /* a unit copies the rows around its own: the more rows it has, the fewer are copied twice */
        return oct_min64(oct_max64(total / 4, (int64_t)1 << 18), (int64_t)1 << 22);
    if (kind != OCT_STEP_CONV_Q)
        return oct_min64(oct_max64(total / 32, (int64_t)1 << 16), (int64_t)1 << 22);
    const int64_t least = oct_min64((int64_t)1 << 19, oct_max64(total / 4, (int64_t)1 << 17));
    return oct_min64(oct_max64(total / 32, least), (int64_t)1 << 24);
}

/* Pieces of about `wanted`, all of nearly one size, and in fours where there are several: so many go evenly over 2 or 4 threads. */
static int32_t even_step(int32_t count, int64_t wanted)
{
    int64_t pieces = oct_div_up(count, oct_max64(wanted, 1));
    if (pieces > 2)
        pieces = oct_min64(oct_round_up(pieces, 4), count);
    return (int32_t)oct_div_up(count, oct_max64(pieces, 1));
}

static int64_t extent(int64_t outputs, int64_t stride, int64_t kernel, int64_t dilation) { return (outputs - 1) * stride + (kernel - 1) * dilation + 1; }
static int64_t computed(oct_step_kind kind, int32_t outputs) { return kind == OCT_STEP_WINO_Q ? oct_round_up(outputs, OCT_QWINO_TILE) : outputs; }
int64_t oct_conv_rows(oct_step_kind kind, const oct_p_conv *p, int32_t outputs) { return extent(computed(kind, outputs), p->sh, p->kh, p->dh); }
int64_t oct_conv_cols(oct_step_kind kind, const oct_p_conv *p, int32_t outputs) { return extent(computed(kind, outputs), p->sw, p->kw, p->dw); }

/* Panels stay together with their pixels unless a layer has more weights than pixels: then each unit takes all pixels and few panels,
 * so that weights are read once. */
static void cut(oct_step_kind kind, const oct_p_conv *p, int64_t image_bytes, oct_conv_tiling *t)
{
    const int32_t panels = oct_step_is_depthwise(kind) ? 1 : p->groups * p->panels;
    const int64_t row_work = (int64_t)p->ow * p->oc * p->tap_count * (oct_step_is_depthwise(kind) ? p->kw : p->kc);
    const int64_t image_work = row_work * p->oh, target = unit_target(kind, image_work * p->n);
    const bool heavy = panels > 1 && panels * p->panel_bytes > (1 << 19) && image_bytes <= (1 << 19);
    t->rows = p->oh;
    t->cols = p->ow;
    t->panel_step = panels;
    if (heavy && image_work > target)
        t->panel_step = even_step(panels, oct_max64(1, panels * target / image_work));
    int64_t left = image_work / panels * t->panel_step;
    if (left > (kind == OCT_STEP_DW_Q ? target + target / 4 : 2 * target) && p->oh > 1) {
        t->rows = even_step(p->oh, (p->oh * target + left / 2) / left);
        left = left / p->oh * t->rows;
    }
    if (left > 2 * target && t->panel_step > 1) {
        t->panel_step = even_step(panels, oct_max64(1, t->panel_step * target / left));
        left = left / panels * t->panel_step;
    }
    if (left > 2 * target && t->rows == 1)
        t->cols = even_step(p->ow, oct_max64(32, p->ow * target / left));
}

bool oct_conv_suits_winograd(const oct_p_conv *p)
{
    return p->kh == 3 && p->kw == 3 && p->sh == 1 && p->sw == 1 && p->dh == 1 && p->dw == 1 && p->up_h == 1 && p->up_w == 1 && p->groups == 1 &&
           p->c % OCT_QWINO_CHANNELS == 0;
}

/* A unit's tiles of outputs fill a block of the kernel, and an image makes two units at least: of panels where there are more weights than
 * pixels, so that each is read once. */
static void cut_winograd(const oct_p_conv *p, oct_conv_tiling *t)
{
    const int32_t down = (int32_t)oct_div_up(p->oh, OCT_QWINO_TILE), across = even_step((int32_t)oct_div_up(p->ow, OCT_QWINO_TILE), 28);
    t->cols = (int32_t)oct_min64(p->ow, OCT_QWINO_TILE * (int64_t)across);
    int32_t high = (int32_t)oct_max64(1, (14 + across / 2) / across);
    const bool few = p->n == 1 && high >= down && t->cols == p->ow, heavy = few && p->panels > 1 && p->panels * p->panel_bytes > (1 << 20);
    if (few && !heavy)
        high = (int32_t)oct_div_up(down, 2);
    t->rows = (int32_t)oct_min64(p->oh, OCT_QWINO_TILE * (int64_t)high);
    t->panel_step = heavy || (few && down == 1) ? (int32_t)oct_div_up(p->panels, 2) : p->panels;
}

oct_status oct_conv_tile(oct_step_kind kind, const oct_p_conv *p, oct_conv_tiling *out)
{
    oct_conv_tiling t = {0};
    const int64_t size = oct_conv_size(kind);
    int64_t row, rows, bytes, work;
    if ((int64_t)p->groups * p->panels > INT32_MAX)
        return oct_fail(OCT_ERR_CONTENT, "size out of range: %d * %d panels", p->groups, p->panels);
    /* Everything below stays within these products. */
    OCT_TRY(oct_size_mul(extent(p->ow, p->sw, p->kw, p->dw), (int64_t)p->c * size, &row));
    OCT_TRY(oct_size_mul(extent(p->oh, p->sh, p->kh, p->dh), row, &bytes));
    OCT_TRY(oct_size_mul((int64_t)p->oc * p->tap_count, (int64_t)p->kc * (p->kw + 1), &work));
    OCT_TRY(oct_size_mul(work, (int64_t)p->oh * p->ow, &work));
    OCT_TRY(oct_size_mul(work, 256 * (int64_t)p->n, &work));
    if (kind == OCT_STEP_WINO_Q)
        cut_winograd(p, &t);
    else
        cut(kind, p, bytes, &t);
    t.row_bands = (int32_t)oct_div_up(p->oh, t.rows);
    t.col_bands = (int32_t)oct_div_up(p->ow, t.cols);
    t.panel_groups = oct_step_is_depthwise(kind) ? 1 : (int32_t)oct_div_up((int64_t)p->groups * p->panels, t.panel_step);
    t.units = (int64_t)p->n * t.row_bands * t.col_bands * t.panel_groups;
    if (p->copy) {
        rows = oct_conv_rows(kind, p, t.rows);
        t.row_bytes = oct_conv_cols(kind, p, t.cols) * p->c * size;
        t.copy_bytes = oct_round_up(rows * t.row_bytes + OCT_ALIGN, OCT_ALIGN);
    }
    if (kind == OCT_STEP_WINO_Q)
        t.scratch_bytes = oct_round_up(oct_qwino_scratch_bytes(t.rows, t.cols, p->c), OCT_ALIGN);
    if (oct_step_is_depthwise(kind))
        t.pointer_bytes = oct_round_up((int64_t)p->tap_count * (int64_t)sizeof(void *), OCT_ALIGN);
    *out = t;
    return OCT_OK;
}
