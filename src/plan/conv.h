/* The geometry of convolution steps: how the work is cut into units and where the taps lie.  One place for the three that must agree:
 * lowering (scratch sizes, tap offsets), the check of a plan, and the runtime's loops. */
#ifndef OCT_PLAN_CONV_H
#define OCT_PLAN_CONV_H

#include "plan/plan.h"

/* A unit is a band of rows x cols output pixels of one image times panel_step panels. It depends on shapes only. With params.copy the
 * unit's worker first copies the input pixels of the band, padding included, into its scratch: rows of row_bytes, pixels of c elements. */
typedef struct oct_conv_tiling {
    int32_t rows, cols, row_bands, col_bands;
    int32_t panel_step, panel_groups;      /* over groups*panels panels; 1, 1 for depthwise */
    int64_t units;
    int64_t row_bytes, copy_bytes;         /* 0 without copy */
    int64_t pointer_bytes;                 /* depthwise: the row pointers stand in front of the copy */
    int64_t scratch_bytes;                 /* Winograd: the kernel's, behind it */
} oct_conv_tiling;

static inline bool oct_step_is_conv(oct_step_kind k) { return k >= OCT_STEP_CONV_Q && k <= OCT_STEP_DW_F; }
static inline bool oct_step_is_depthwise(oct_step_kind k) { return k == OCT_STEP_DW_Q || k == OCT_STEP_DW_F; }
/* Bytes of an input element. */
static inline int64_t oct_conv_size(oct_step_kind k) { return k == OCT_STEP_CONV_F || k == OCT_STEP_DW_F ? 4 : 1; }

/* CONTENT when sizes do not fit. All counts of p must be positive. */
oct_status oct_conv_tile(oct_step_kind kind, const oct_p_conv *p, oct_conv_tiling *out);
/* The geometry that Winograd's kernels are made for. */
bool oct_conv_suits_winograd(const oct_p_conv *p);
/* Input rows and columns that so many outputs need; Winograd computes whole tiles. */
int64_t oct_conv_rows(oct_step_kind kind, const oct_p_conv *p, int32_t outputs);
int64_t oct_conv_cols(oct_step_kind kind, const oct_p_conv *p, int32_t outputs);
static inline int64_t oct_conv_worker_bytes(const oct_conv_tiling *t) { return t->pointer_bytes + t->copy_bytes + t->scratch_bytes; }

/* Byte offset of tap i of a convolution (not depthwise, not Winograd) whose input rows are row_bytes and pixels pixel_bytes apart. Taps beyond the
 * kernel's own repeat them (weights that do not fit 8 bits are split into parts that are added). */
static inline int64_t oct_conv_tap(oct_step_kind kind, const oct_p_conv *p, int64_t row_bytes, int64_t pixel_bytes, int32_t i)
{
    if (p->merged)
        return (int64_t)(i % p->kh) * p->dh * row_bytes;
    int32_t t = i % (p->kh * p->kw);
    return (int64_t)(t / p->kw) * p->dh * row_bytes + (int64_t)(t % p->kw) * p->dw * pixel_bytes;
}

#endif
