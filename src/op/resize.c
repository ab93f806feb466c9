/* Resize: nearest and linear interpolation by scales or to sizes.  8-bit: nearest moves, linear goes through float. Cubic,
 * crop and antialiasing are not supported. */
#include "op/ops.h"

#include <math.h>
#include <string.h>
#include "op/code.h"

enum { MAX_LINEAR_AXES = 3 }; /* what the RESIZE step blends */

/* Optional inputs may be present and empty. */
static const oct_value *filled(const oct_node *n, int i)
{
    const oct_value *v = oct_node_in(n, i);
    return v && v->shape.rank == 1 && v->shape.dim[0] == 0 ? NULL : v;
}

static oct_status choose(const oct_node *n, const char *name, const char *missing, const char *const *texts, int count,
                         int32_t *out)
{
    const char *text = oct_node_string(n, name, missing);
    for (int i = 0; i < count; i++)
        if (strcmp(text, texts[i]) == 0) {
            *out = i;
            return OCT_OK;
        }
    return oct_op_unsupported(n, "%s '%s'", name, text);
}

static oct_status read_modes(const oct_node *n, oct_p_resize *p)
{
    static const char *const modes[] = {[OCT_RESIZE_NEAREST] = "nearest", [OCT_RESIZE_LINEAR] = "linear"};
    static const char *const coords[] = {[OCT_COORD_HALF_PIXEL] = "half_pixel",
                                         [OCT_COORD_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
                                         [OCT_COORD_ALIGN_CORNERS] = "align_corners",
                                         [OCT_COORD_ASYMMETRIC] = "asymmetric",
                                         [OCT_COORD_HALF_PIXEL_SYMMETRIC] = "half_pixel_symmetric"};
    static const char *const nearest[] = {[OCT_NEAREST_ROUND_PREFER_FLOOR] = "round_prefer_floor",
                                          [OCT_NEAREST_ROUND_PREFER_CEIL] = "round_prefer_ceil",
                                          [OCT_NEAREST_FLOOR] = "floor",
                                          [OCT_NEAREST_CEIL] = "ceil"};
    if (oct_node_int(n, "antialias", 0) != 0)
        return oct_op_unsupported(n, "antialias");
    OCT_TRY(choose(n, "mode", "nearest", modes, 2, &p->mode));
    OCT_TRY(choose(n, "coordinate_transformation_mode", "half_pixel", coords, 5, &p->coord));
    return choose(n, "nearest_mode", "round_prefer_floor", nearest, 4, &p->nearest);
}

/* Axes that scales and sizes speak of. */
static oct_status read_axes(const oct_node *n, int rank, int *axes, int *count)
{
    int64_t given[OCT_MAX_RANK];
    uint32_t seen = 0;
    OCT_TRY(oct_infer_ints(n, "axes", given, OCT_MAX_RANK, count));
    if (*count < 0) {
        *count = rank;
        for (int i = 0; i < rank; i++)
            axes[i] = i;
        return OCT_OK;
    }
    for (int i = 0; i < *count; i++) {
        OCT_TRY(oct_infer_axis(n, given[i], rank, &axes[i]));
        if (seen >> axes[i] & 1)
            return oct_op_bad(n, "axis %d is named twice", axes[i]);
        seen |= 1u << axes[i];
    }
    return OCT_OK;
}

static oct_status by_scales(oct_graph *g, const oct_node *n, const oct_value *scales, const oct_shape *x, const int *axes,
                            int count, oct_shape *y, float *scale)
{
    if (scales->dtype != OCT_F32 || scales->shape.rank != 1 || (scales->shape.dim[0] >= 0 && scales->shape.dim[0] != count))
        return oct_op_bad(n, "the scales are no list of %d floats", count);
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        if (!scales->data) {
            OCT_TRY(oct_infer_fresh(g, n, axis, &y->dim[axis]));
            continue;
        }
        float s = ((const float *)scales->data)[i];
        if (!(s > 0) || !isfinite(s))
            return oct_op_bad(n, "scale %g for axis %d", (double)s, axis);
        scale[axis] = s;
        if (x->dim[axis] < 0 && s != 1)
            OCT_TRY(oct_infer_fresh(g, n, axis, &y->dim[axis]));
        else if (x->dim[axis] >= 0) {
            double length = floor((double)((float)x->dim[axis] * s));
            if (!(length < 0x1p46))
                return oct_op_bad(n, "scale %g makes axis %d too long", (double)s, axis);
            y->dim[axis] = (int64_t)length;
        }
    }
    return OCT_OK;
}

/* keep_aspect_ratio_policy not_larger or not_smaller: one scale for all axes. literal: every size and dimension is known. */
static oct_status keep_ratio(oct_graph *g, const oct_node *n, const oct_shape *x, const int *axes, int count, bool literal,
                             oct_shape *y, float *scale)
{
    const char *policy = oct_node_string(n, "keep_aspect_ratio_policy", "stretch");
    bool larger = strcmp(policy, "not_smaller") == 0;
    if (strcmp(policy, "stretch") == 0)
        return OCT_OK;
    if (!larger && strcmp(policy, "not_larger") != 0)
        return oct_op_bad(n, "keep_aspect_ratio_policy is '%s'", policy);
    float joint = count ? scale[axes[0]] : 1;
    for (int i = 1; i < count; i++)
        joint = larger ? fmaxf(joint, scale[axes[i]]) : fminf(joint, scale[axes[i]]);
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        if (!literal) {
            OCT_TRY(oct_infer_fresh(g, n, axis, &y->dim[axis]));
            continue;
        }
        scale[axis] = joint;
        y->dim[axis] = (int64_t)floor((double)(joint * (float)x->dim[axis]) + 0.5);
    }
    return OCT_OK;
}

static oct_status by_sizes(oct_graph *g, const oct_node *n, const oct_value *sizes, const oct_shape *x, const int *axes, int count,
                           oct_shape *y, float *scale)
{
    int64_t known[OCT_KNOWN_MAX];
    int have = oct_infer_known(sizes, known);
    if (have >= 0 && have != count)
        return oct_op_bad(n, "%d sizes for %d axes", have, count);
    bool literal = true;
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        literal = literal && have >= 0 && oct_known_literal(known[i]) && x->dim[axis] >= 0;
        if (have < 0 || known[i] == OCT_KNOWN_NONE)
            OCT_TRY(oct_infer_fresh(g, n, axis, &y->dim[axis]));
        else if (oct_known_symbol(known[i]))
            y->dim[axis] = oct_dim_of_symbol(known[i]);
        else if (known[i] < 0)
            return oct_op_bad(n, "size %lld for axis %d", (long long)known[i], axis);
        else {
            y->dim[axis] = known[i];
            if (x->dim[axis] > 0)
                scale[axis] = (float)((double)known[i] / (double)x->dim[axis]);
        }
    }
    return keep_ratio(g, n, x, axes, count, literal, y, scale);
}

/* Output shape and the scale of each axis. */
static oct_status resolve(oct_graph *g, const oct_node *n, oct_shape *y, float *scale)
{
    const oct_value *scales = filled(n, 2), *sizes = filled(n, 3);
    const oct_shape *x = &n->inputs[0]->shape;
    int axes[OCT_MAX_RANK], count;
    char text[OCT_SHAPE_TEXT];
    *y = *x;
    for (int i = 0; i < OCT_MAX_RANK; i++)
        scale[i] = 1;
    OCT_TRY(read_axes(n, x->rank, axes, &count));
    if ((scales != NULL) == (sizes != NULL))
        return oct_op_bad(n, "exactly one of scales and sizes must be given");
    if (scales)
        OCT_TRY(by_scales(g, n, scales, x, axes, count, y, scale));
    else
        OCT_TRY(by_sizes(g, n, sizes, x, axes, count, y, scale));
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] == 0 && y->dim[i] != 0)
            return oct_op_bad(n, "the input %s is empty", oct_shape_text(g, x, text));
    return OCT_OK;
}

oct_status oct_op_infer_resize(oct_graph *g, oct_node *n)
{
    oct_value *x;
    oct_p_resize p;
    oct_shape y;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(read_modes(n, &p));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(resolve(g, n, &y, p.scale));
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

/* Linear on 8-bit numbers, by way of float. Between DQ and Q these are codes: dequantize, interpolate, quantize. A Resize that the model
 * itself applies to integers knows no scales: its result is truncated, as ONNX's reference and ONNX Runtime do. */
static oct_status lower_linear_bytes(oct_lower *l, oct_node *n, const oct_p_resize *p, oct_layout layout)
{
    static const oct_p_none none;
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_stored_quant qx, qy;
    int32_t in, out, before, after;
    if (n->int8) {
        OCT_TRY(oct_lower_quant(l, x, &qx));
        OCT_TRY(oct_lower_quant(l, y, &qy));
    }
    oct_lower_reason(l, "linear interpolation runs in float");
    OCT_TRY(oct_lower_in(l, x, layout, &in));
    OCT_TRY(oct_lower_out(l, y, layout, &out));
    OCT_TRY(oct_lower_temp_like(l, in, OCT_F32, &before));
    OCT_TRY(oct_lower_temp_like(l, out, OCT_F32, &after));
    OCT_TRY(n->int8 ? oct_lower_quantize_step(l, false, in, before, &qx)
                    : oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &in, 1, &before, &none, sizeof none, NULL));
    OCT_TRY(oct_lower_step(l, OCT_STEP_RESIZE, OCT_PREC_FLOAT, "", 1, &before, 1, &after, p, sizeof *p, NULL));
    return n->int8 ? oct_lower_quantize_step(l, true, after, out, &qy)
                   : oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &after, 1, &out, &none, sizeof none, NULL);
}

oct_status oct_op_lower_resize(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_resize p = {.rank = x->shape.rank};
    oct_shape shape;
    int32_t in, out;
    OCT_TRY(read_modes(n, &p));
    OCT_TRY(resolve(l->g, n, &shape, p.scale));
    oct_layout layout = oct_lower_layout(l, x);
    bool nearest = p.mode == OCT_RESIZE_NEAREST;
    int resized = 0;
    for (int i = 0; i < p.rank; i++)
        resized += p.scale[i] != 1 || x->shape.dim[i] != y->shape.dim[i];
    if (!nearest && resized > MAX_LINEAR_AXES)
        return oct_op_unsupported(n, "linear interpolation along %d axes", resized);
    if (!nearest && (x->dtype == OCT_U8 || x->dtype == OCT_S8))
        return lower_linear_bytes(l, n, &p, layout);
    if (!nearest && x->dtype != OCT_F32)
        return oct_op_unsupported(n, "linear interpolation of type %s", oct_dtype_name(x->dtype));
    OCT_TRY(oct_lower_moved(l, x, y, nearest ? OCT_LAYOUT_ANY : layout, &in));
    OCT_TRY(oct_lower_out(l, y, layout, &out));
    return oct_lower_step(l, OCT_STEP_RESIZE, oct_lower_precision(y), "", 1, &in, 1, &out, &p, sizeof p, NULL);
}
