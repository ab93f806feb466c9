/* Pixels (internal): u8 pixels through one table of 256 values a channel, to codes or floats.  What normalisation of an image and
 * the quantization behind it become when the caller hands over pixels (build/bind_io.c).  Input 1: the tables, [channels or 1,
 * 256]. */
#include "op/ops.h"

#include "op/code.h"

static oct_status check(const oct_node *n, const oct_value *x, const oct_value *table, int *axis)
{
    const oct_shape *t = &table->shape;
    *axis = (int)oct_node_int(n, "axis", 1);
    if (x->dtype != OCT_U8 || x->shape.rank != 4 || (*axis != 1 && *axis != 3))
        return oct_op_bad(n, "pixels are uint8 in 4 axes, channels are axis 1 or 3");
    if ((table->dtype != OCT_U8 && table->dtype != OCT_S8 && table->dtype != OCT_F32) || t->rank != 2 || t->dim[1] != 256 ||
        (t->dim[0] != 1 && x->shape.dim[*axis] >= 0 && t->dim[0] != x->shape.dim[*axis]))
        return oct_op_bad(n, "a table has 256 codes or floats, and there is one, or one a channel");
    return OCT_OK;
}

oct_status oct_op_infer_pixels(oct_graph *g, oct_node *n)
{
    oct_value *x, *table;
    int axis;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &table));
    OCT_TRY(check(n, x, table, &axis));
    return oct_infer_out(g, n, 0, table->dtype, &x->shape);
}

oct_status oct_op_lower_pixels(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int32_t in[2], out;
    int axis;
    OCT_TRY(check(n, x, n->inputs[1], &axis));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[0]));
    OCT_TRY(oct_lower_in(l, n->inputs[1], OCT_LAYOUT_PLAIN, &in[1]));
    /* Into the layout that the convolution wants: no copy between. */
    OCT_TRY(oct_lower_out(l, y, oct_lower_feeds_nhwc(y) ? OCT_LAYOUT_NHWC : oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_PIXELS, OCT_PREC_CONVERT, "", 2, in, 1, &out, &(oct_p_axis){.axis = axis}, sizeof(oct_p_axis),
                          NULL);
}
