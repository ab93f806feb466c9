/* Parameters of the plan steps: plain old data, stored in the plan file as they are. Offsets named *_at are byte offsets into the
 * plan's constant section, -1 = none. Views (dims, strides, dtype) come from the plan tensors, never from here. */
#ifndef OCT_PLAN_PARAMS_H
#define OCT_PLAN_PARAMS_H

#include <octavo/tensor.h>
#include "kernels/kernel.h"
#include "kernels/nd/nd.h"

typedef struct oct_p_none { int32_t unused; } oct_p_none;

/* CONV_*, DW_*: convolution, transposed convolution (input dilated by up_h, up_w; weights flipped), gemm (n=h=1, w=m, 1x1).
 * inputs: x [, residual]; output y. x and y are NHWC (channels contiguous; pixel, row and image strides from the view).
 * Weights are packed for the tactic that the step names: per group `panels` panels of panel_bytes, or one depthwise block. */
typedef struct oct_p_conv {
    int32_t n, h, w, c, oh, ow, oc, groups;
    int32_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, up_h, up_w;
    int32_t tap_count, kc;          /* per group */
    int32_t panels, merged;         /* panels a group; merged: one tap per kernel row of kw*c elements */
    int32_t copy;                   /* 1: input is first copied into a padded/dilated scratch image (worker or step scratch) */
    int32_t zp_in;                  /* what padding holds (stored u8 code) */
    int32_t residual;               /* index of the residual input, 0 = none */
    int32_t float_out;              /* int8 step with f32 output */
    int64_t weights_at, panel_bytes, taps_at;
    oct_qepilogue epi;              /* flo, fhi also serve the float steps */
} oct_p_conv;

/* MATMUL f32: [..., m, k] x [..., k, n], batch dims broadcast; both views arbitrary strides. alpha scales the product. */
typedef struct oct_p_matmul { float alpha; int32_t unused; } oct_p_matmul;

/* MATMUL_S32: the same for two u8 activations, with s32 sums of (a - za)(b - zb); inputs a, b, za, zb (u8, one element each). No parameters. */

/* QUANTIZE f32 -> codes, DEQUANTIZE codes -> f32: q = sat(rne(x/s)+z). scale_at/zero_at: n f32 and n s32 (n = 1 or dim of axis).
 * zero and limits are in stored form: logical s8 tensors are stored as u8 with 128 added (DESIGN 3.3). Output dtypes u8, u16, s16, s32.
 * scale_at = zero_at = -1: inputs 1 and 2 hold them (n elements; f32, and the type of the codes). */
typedef struct oct_p_quantize {
    int32_t n, axis, lo, hi;
    int64_t scale_at, zero_at;
} oct_p_quantize;

/* QPARAMS: minimum and maximum (f32, one element each) to the scale (f32) or zero point (u8) of DynamicQuantizeLinear. */
typedef struct oct_p_qparams { int32_t zero; int32_t unused; } oct_p_qparams;

typedef struct oct_p_table { int64_t table_at; } oct_p_table; /* 256 bytes, stored form in and out */
typedef struct oct_p_qbinary { oct_qbinary q; } oct_p_qbinary; /* QADD, QMUL: views broadcast */

/* POOL over up to 2 spatial axes of an NHWC or plain view [n, c, (h,) w]; dtype u8 or f32 of the input decides.
 * u8 max: codes pass through. u8 average: m = s_x / (s_y * count), per-count factor computed as scale / count in double.
 * float division: sum * (1/count). include_pad: count is the window size; else the taps inside. */
typedef struct oct_p_pool {
    int32_t is_max, include_pad;
    int32_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr; /* 1-d pools: kh = 1, sh = 1 ... the spatial axis is w */
    int32_t zx, z, lo, hi;
    double scale;                                    /* s_x / s_y */
} oct_p_pool;

/* The functions that steps name (oct_unary_fn, oct_binary_fn, oct_reduce_fn, oct_pad_mode, oct_resize_*) stand in kernels/nd/nd.h. */
/* UNARY: out has the type of in; or f32 -> u8, where the result is quantized at once by scale, zero and limits in stored form. CLIP:
 * alpha = lo, beta = hi. */
typedef struct oct_p_unary {
    int32_t fn;
    float alpha, beta;
    float scale;
    int32_t zero, lo, hi;
} oct_p_unary;

/* Inputs of one dtype (f32, s32, s64, u8, bool for EQUAL); comparisons give bool. Views broadcast by NumPy's rule. clamp to
 * [lo, hi] after an f32 ADD (fused activation); +-INFINITY = open. */
typedef struct oct_p_binary { int32_t fn; float lo, hi; } oct_p_binary;

typedef struct oct_p_fill { int32_t size; int32_t unused; uint64_t bits; } oct_p_fill; /* element of size bytes */
/* PAD: mode is an oct_pad_mode (constant is FILL + COPY). begin[i] counts elements of output before input's element 0. */
typedef struct oct_p_pad { int32_t mode; int32_t rank; int64_t begin[OCT_MAX_RANK]; } oct_p_pad;
typedef struct oct_p_axis { int32_t axis; int32_t flag; } oct_p_axis; /* GATHER, GATHER_ELEMENTS; GATHER_ND: axis = batch dims; ARG_MAX; PIXELS: axis of the channels */
enum { OCT_ARG_LAST = 1, OCT_ARG_LEAST = 2 }; /* flag of ARG_MAX: of equal values the last one; the smallest value */
/* SCATTER: data, indices, updates; by_tuple: ScatterND, else one index an update along axis. reduction: what happens to the element. */
typedef enum oct_scatter_fn { OCT_SCATTER_SET, OCT_SCATTER_ADD, OCT_SCATTER_MUL, OCT_SCATTER_MIN, OCT_SCATTER_MAX, OCT_SCATTER_COUNT } oct_scatter_fn;
typedef struct oct_p_scatter { int32_t axis, by_tuple, fn, unused; } oct_p_scatter;
/* RANK: indices of the first dims[axis] elements of x along axis in falling (rising) order; of equal ones the first comes first. */
typedef struct oct_p_rank { int32_t axis, rising; } oct_p_rank;
typedef struct oct_p_cumulate { int32_t axis, exclusive, reverse, product; } oct_p_cumulate;
typedef struct oct_p_reduce { int32_t fn; uint32_t axes; } oct_p_reduce; /* bit i = axis i is reduced; output view keeps dims of 1 */
typedef struct oct_p_softmax { int32_t axis; int32_t log; } oct_p_softmax;
typedef struct oct_p_layer_norm { int32_t axis; float eps; } oct_p_layer_norm; /* inputs x, scale [, bias] */
typedef struct oct_p_resize {
    int32_t mode, coord, nearest, rank;
    float scale[OCT_MAX_RANK];
} oct_p_resize;

#endif
