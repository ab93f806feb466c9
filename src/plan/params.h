/* Parameters of the plan steps: plain old data, stored in the plan file as they are. Offsets named *_at are byte offsets into the
 * plan's constant section, -1 = none. Views (dims, strides, dtype) come from the plan tensors, never from here. */
#ifndef OCT_PLAN_PARAMS_H
#define OCT_PLAN_PARAMS_H

#include <octavo/tensor.h>
#include "kernels/kernel.h"

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

/* QUANTIZE f32 -> codes, DEQUANTIZE codes -> f32: q = sat(rne(x/s)+z). scale_at/zero_at: n f32 and n s32 (n = 1 or dim of axis).
 * zero and limits are in stored form: logical s8 tensors are stored as u8 with 128 added (DESIGN 3.3). Output dtypes u8, u16, s16, s32. */
typedef struct oct_p_quantize {
    int32_t n, axis, lo, hi;
    int64_t scale_at, zero_at;
} oct_p_quantize;

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

typedef enum oct_unary_fn {
    OCT_UNARY_RELU, OCT_UNARY_LEAKY_RELU, OCT_UNARY_CLIP, OCT_UNARY_SIGMOID, OCT_UNARY_HARD_SIGMOID, OCT_UNARY_HARD_SWISH, OCT_UNARY_TANH,
    OCT_UNARY_ELU, OCT_UNARY_SOFTPLUS, OCT_UNARY_ERF, OCT_UNARY_EXP, OCT_UNARY_LOG, OCT_UNARY_SQRT, OCT_UNARY_NEG, OCT_UNARY_ABS,
    OCT_UNARY_RECIPROCAL, OCT_UNARY_GELU, OCT_UNARY_GELU_TANH, OCT_UNARY_SILU, OCT_UNARY_FLOOR, OCT_UNARY_CEIL, OCT_UNARY_NOT
} oct_unary_fn;
typedef struct oct_p_unary { int32_t fn; float alpha, beta; } oct_p_unary; /* CLIP: alpha = lo, beta = hi */

typedef enum oct_binary_fn {
    OCT_BINARY_ADD, OCT_BINARY_SUB, OCT_BINARY_MUL, OCT_BINARY_DIV, OCT_BINARY_MIN, OCT_BINARY_MAX, OCT_BINARY_POW, OCT_BINARY_PRELU,
    OCT_BINARY_EQUAL, OCT_BINARY_GREATER, OCT_BINARY_LESS
} oct_binary_fn;
/* Inputs of one dtype (f32, s32, s64, u8, bool for EQUAL); comparisons give bool. Views broadcast by NumPy's rule. clamp to
 * [lo, hi] after an f32 ADD (fused activation); +-INFINITY = open. */
typedef struct oct_p_binary { int32_t fn; float lo, hi; } oct_p_binary;

typedef struct oct_p_fill { int32_t size; int32_t unused; uint64_t bits; } oct_p_fill; /* element of size bytes */
/* PAD modes reflect, edge, wrap (constant is FILL + COPY). begin[i] counts elements of output before input's element 0. */
typedef struct oct_p_pad { int32_t mode; int32_t rank; int64_t begin[OCT_MAX_RANK]; } oct_p_pad;
typedef struct oct_p_axis { int32_t axis; int32_t flag; } oct_p_axis; /* GATHER; ARG_MAX: flag = select_last_index */
typedef enum oct_reduce_fn { OCT_REDUCE_SUM, OCT_REDUCE_MEAN, OCT_REDUCE_MAX, OCT_REDUCE_MIN, OCT_REDUCE_PROD } oct_reduce_fn;
typedef struct oct_p_reduce { int32_t fn; uint32_t axes; } oct_p_reduce; /* bit i = axis i is reduced; output view keeps dims of 1 */
typedef struct oct_p_softmax { int32_t axis; int32_t log; } oct_p_softmax;
typedef struct oct_p_layer_norm { int32_t axis; float eps; } oct_p_layer_norm; /* inputs x, scale [, bias] */
typedef enum oct_resize_mode { OCT_RESIZE_NEAREST, OCT_RESIZE_LINEAR } oct_resize_mode;
typedef enum oct_resize_coord { OCT_COORD_HALF_PIXEL, OCT_COORD_PYTORCH_HALF_PIXEL, OCT_COORD_ALIGN_CORNERS, OCT_COORD_ASYMMETRIC, OCT_COORD_HALF_PIXEL_SYMMETRIC } oct_resize_coord;
typedef enum oct_resize_nearest { OCT_NEAREST_ROUND_PREFER_FLOOR, OCT_NEAREST_ROUND_PREFER_CEIL, OCT_NEAREST_FLOOR, OCT_NEAREST_CEIL } oct_resize_nearest;
typedef struct oct_p_resize {
    int32_t mode, coord, nearest, rank;
    float scale[OCT_MAX_RANK];
} oct_p_resize;

#endif
