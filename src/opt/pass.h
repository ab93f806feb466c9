/* What the passes share: the pass signature and small questions about graphs.  Private to src/opt. */
#ifndef OCT_OPT_PASS_H
#define OCT_OPT_PASS_H

#include <string.h>
#include "opt/opt.h"

/* One sweep over the graph; adds the number of rewrites to *changes. */
typedef oct_status oct_pass_fn(const oct_opt *opt, int64_t *changes);

oct_pass_fn oct_pass_identity, oct_pass_fold, oct_pass_shapes, oct_pass_batch_norm, oct_pass_pad, oct_pass_patterns, oct_pass_lift, oct_pass_share,
    oct_pass_q_early, oct_pass_dq_late, oct_pass_collapse, oct_pass_form_weighted, oct_pass_form_elementwise, oct_pass_inner, oct_pass_bias, oct_pass_fold_dq,
    oct_pass_activation, oct_pass_residual, oct_pass_explain, oct_pass_unary_codes, oct_pass_turn;

/* A value held as float constant; NULL otherwise. *count gets its number of elements. */
static inline const float *oct_const_f32(const oct_value *v, int64_t *count)
{
    if (!v || !v->data || v->dtype != OCT_F32 || oct_shape_count(&v->shape, count) != OCT_OK)
        return NULL;
    return v->data;
}

/* Types that integer steps take: 4-bit codes are held, and stored, as 8-bit ones within their limits. */
static inline bool oct_is_code(oct_dtype t) { return t == OCT_U8 || t == OCT_S8 || t == OCT_U4 || t == OCT_S4; }

/* Code tensor with one lifted scale for all elements. */
static inline bool oct_is_lifted(const oct_value *v) { return v && oct_is_code(v->dtype) && v->quant && v->quant->n == 1; }

static inline bool oct_quant_equal(const oct_value *a, const oct_value *b)
{
    return oct_is_lifted(a) && oct_is_lifted(b) && a->dtype == b->dtype && memcmp(a->quant->scale, b->quant->scale, sizeof(float)) == 0 &&
           a->quant->zero[0] == b->quant->zero[0];
}

/* Q or DQ node whose own parameters are those lifted onto its code tensor (opt/lift.c). */
bool oct_is_lifted_node(const oct_node *n);

/* The codes behind v when v = DequantizeLinear(codes) with lifted parameters (per tensor or per axis); else NULL. */
static inline oct_value *oct_codes_of(const oct_value *v)
{
    const oct_node *p = v ? v->producer : NULL;
    if (!p || p->op != OCT_OP_DEQUANTIZE || !oct_is_lifted_node(p))
        return NULL;
    return p->inputs[0];
}
/* The same, per tensor only. */
static inline oct_value *oct_tensor_codes_of(const oct_value *v)
{
    oct_value *c = oct_codes_of(v);
    return oct_is_lifted(c) ? c : NULL;
}

/* v's only user when that is a QuantizeLinear with lifted per-tensor parameters. */
static inline oct_node *oct_only_quantize(const oct_value *v)
{
    oct_node *u = v ? oct_value_only_user(v) : NULL;
    return u && u->op == OCT_OP_QUANTIZE && u->inputs[0] == v && oct_is_lifted(u->outputs[0]) && oct_is_lifted_node(u) ? u : NULL;
}

/* Relu, or Clip with constant limits: the clamp it is; false otherwise. */
bool oct_clamp_of(const oct_node *n, float *lo, float *hi);
/* Intersect n's fused clamp with [lo, hi]. */
void oct_fuse_clamp(oct_node *n, float lo, float hi);

#endif
