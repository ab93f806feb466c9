/* DepthToSpace and SpaceToDepth: one COPY between two six-dimensional views of input and output. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

static oct_status read_block(const oct_node *n, int64_t *block, bool *crd)
{
    const char *mode = oct_node_string(n, "mode", "DCR");
    *block = oct_node_int(n, "blocksize", 0);
    if (*block < 1 || *block > 1 << 15)
        return oct_op_bad(n, "blocksize %lld", (long long)*block);
    *crd = n->op == OCT_OP_DEPTH_TO_SPACE && strcmp(mode, "CRD") == 0;
    if (n->op == OCT_OP_DEPTH_TO_SPACE && !*crd && strcmp(mode, "DCR") != 0)
        return oct_op_bad(n, "mode is '%s'", mode);
    return OCT_OK;
}

oct_status oct_op_infer_depth_to_space(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int64_t block;
    bool crd, to_space = n->op == OCT_OP_DEPTH_TO_SPACE;
    char text[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(read_block(n, &block, &crd));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (x->shape.rank != 4)
        return oct_op_bad(n, "the input %s is not of rank 4", oct_shape_text(g, &x->shape, text));
    oct_shape y = x->shape;
    for (int i = 1; i < 4; i++) {
        bool divide = (i == 1) == to_space;
        int64_t by = i == 1 ? block * block : block;
        if (y.dim[i] < 0)
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[i]));
        else if (divide && y.dim[i] % by != 0)
            return oct_op_bad(n, "axis %d of %s does not divide by %lld", i, oct_shape_text(g, &x->shape, text), (long long)by);
        else if (divide)
            y.dim[i] /= by;
        else
            OCT_TRY(oct_size_mul(y.dim[i], by, &y.dim[i]));
    }
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

/* The side with few channels as [n, c, h, b1, w, b2], from its tensor's strides. */
static void wide_strides(const oct_plan_tensor *t, int64_t b, int64_t *strides)
{
    const int64_t s[6] = {t->strides[0], t->strides[1], t->strides[2] * b, t->strides[2], t->strides[3] * b, t->strides[3]};
    memcpy(strides, s, sizeof s);
}

/* The side with many channels in the same order: channels are [b1, b2, c] (DCR) or [c, b1, b2] (CRD). */
static void deep_strides(const oct_plan_tensor *t, int64_t b, int64_t c, bool crd, int64_t *strides)
{
    int64_t one = t->strides[1], sc = crd ? one * b * b : one, s1 = crd ? one * b : one * b * c, s2 = crd ? one : one * c;
    const int64_t s[6] = {t->strides[0], sc, t->strides[2], s1, t->strides[3], s2};
    memcpy(strides, s, sizeof s);
}

oct_status oct_op_lower_depth_to_space(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int64_t b, si[6], so[6];
    bool crd, to_space = n->op == OCT_OP_DEPTH_TO_SPACE;
    int32_t in, out, vi, vo;
    OCT_TRY(read_block(n, &b, &crd));
    const oct_shape *wide = to_space ? &y->shape : &x->shape;
    const int64_t dims[6] = {wide->dim[0], wide->dim[1], wide->dim[2] / b, b, wide->dim[3] / b, b};
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    const oct_plan_tensor *ti = oct_lower_tensor(l, in), *to = oct_lower_tensor(l, out);
    if (to_space) {
        deep_strides(ti, b, dims[1], crd, si);
        wide_strides(to, b, so);
    } else {
        wide_strides(ti, b, si);
        deep_strides(to, b, dims[1], crd, so);
    }
    OCT_TRY(oct_lower_subview(l, in, 6, dims, si, 0, &vi));
    OCT_TRY(oct_lower_subview(l, out, 6, dims, so, 0, &vo));
    return oct_lower_step(l, OCT_STEP_COPY, oct_lower_precision(y), "", 1, &vi, 1, &vo, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}
