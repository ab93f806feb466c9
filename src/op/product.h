/* What Conv, ConvTranspose, Gemm and MatMul by a constant share: one convolution-shaped product, lowered to a CONV or depthwise step in
 * INT8 or float.  The operators bring geometry and weights in one canonical order; tactics, packing and epilogues are chosen here. */
#ifndef OCT_OP_PRODUCT_H
#define OCT_OP_PRODUCT_H

#include "op/lower.h"
#include "plan/params.h"

typedef struct oct_product {
    oct_p_conv p;             /* geometry filled: n h w c oh ow oc groups kh kw s* d* p* up_*; the rest is set here */
    oct_value *bias;          /* constant f32 of oc values, NULL = none */
    const float *wf;          /* float: oc rows of kh*kw*(c/groups), input channel fastest */
    const int16_t *wi;        /* int8: the same, codes minus zero point; wf may be NULL then */
    const float *ws;          /* int8: oc weight scales */
    float bias_factor;        /* beta of Gemm; 1 else */
    int64_t w_count;          /* kh*kw*(c/groups) */
    int32_t x, y, res;        /* tensors seen as [n, c, h, w] with channels innermost; res -1 = none */
    oct_stored_quant qx, qy, qres; /* int8 */
    bool float_y;             /* int8 product with float output */
    bool sums;                /* the s32 sums are the result: of scales and quants only qx.zero counts */
} oct_product;

/* Room for weights in the draft's arena, zeroed: gone with the lowering. */
oct_status oct_product_alloc(oct_lower *l, int64_t count, size_t element, void **out);
/* Constant weights as (code - zero point) and one scale an output channel. weights: constant codes with quant; axis = output channels (for
 * grouped ConvTranspose pass groups so that channel = group * dims[axis] + index). UNSUPPORTED when quant does not suit. */
oct_status oct_product_scales(oct_lower *l, const oct_value *weights, int axis, int64_t groups, float factor, oct_product *pr);
/* Element i (C order) of constant codes minus the zero point of channel c. */
int16_t oct_product_code(const oct_value *weights, int64_t i, int64_t c);
/* View of v's tensor as [n, c, h, w]; dims of v: (n, c, w), (n, c, h, w), or for products [rows, c] with everything before c merged. */
oct_status oct_product_view(oct_lower *l, int32_t tensor, int64_t n, int64_t c, int64_t h, int64_t w, int32_t *view);
/* Emit the step or steps for l->node; reads its fused clamp and residual. */
oct_status oct_product_lower(oct_lower *l, oct_product *pr);
/* Scale, zero and limits of input, output and residual code tensors; residual_value may be NULL. */
oct_status oct_product_quants(oct_lower *l, const oct_value *x, const oct_value *y, const oct_value *residual, oct_product *pr);


/* --- sums.c: ConvInteger and MatMulInteger --- */
/* Types and zero points (inputs 2 and 3) of n, whose weights have oc output channels (negative: not known yet). */
oct_status oct_sums_check(const oct_node *n, int64_t oc);
/* The constant weights of n as codes with quant, for oct_product_code; *out lives as long as the graph. UNSUPPORTED when a zero point of the
 * weights is computed at run time. */
oct_status oct_sums_weights(oct_lower *l, const oct_node *n, int64_t oc, oct_value **out);
/* Emit the product; pr->wi, w_count, x and p are filled, ty is the tensor of the result and [n, c, h, w] its dims as pr sees it. A zero point of
 * x that is computed at run time is taken off afterwards: sum (x - z) w = sum x w - z sum w. */
oct_status oct_sums_lower(oct_lower *l, oct_node *n, oct_product *pr, int32_t ty);

#endif
