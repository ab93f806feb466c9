/* MaxPool and AveragePool over one or two spatial axes: a POOL step on NHWC.  Three spatial axes are not lowered. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

static oct_status read_window(const oct_node *n, const oct_shape *x, oct_window *w)
{
    int64_t kernel[3];
    int count;
    OCT_TRY(oct_infer_ints(n, "kernel_shape", kernel, 3, &count));
    if (count < 0)
        return oct_op_bad(n, "attribute 'kernel_shape' is missing");
    if (count != x->rank - 2)
        return oct_op_bad(n, "kernel_shape has %d entries for an input of rank %d", count, (int)x->rank);
    OCT_TRY(oct_window_read(n, count, x->dim + 2, kernel, w));
    for (int i = 0; i < count; i++) {
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (w->begin[i] < 0 || w->end[i] < 0 || w->begin[i] >= reach || w->end[i] >= reach)
            return oct_op_bad(n, "pads %lld and %lld do not suit a window of %lld", (long long)w->begin[i], (long long)w->end[i],
                              (long long)reach);
    }
    return OCT_OK;
}

oct_status oct_op_infer_pool(oct_graph *g, oct_node *n)
{
    oct_value *x;
    oct_window w;
    char text[OCT_SHAPE_TEXT];
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    if (x->shape.rank < 3)
        return oct_op_bad(n, "the input %s has no spatial axes", oct_shape_text(g, &x->shape, text));
    OCT_TRY(read_window(n, &x->shape, &w));
    oct_shape y = x->shape;
    for (int i = 0; i < w.n; i++)
        OCT_TRY(oct_window_out(g, n, &w, i, x->shape.dim[i + 2], &y.dim[i + 2]));
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

static void fill_window(const oct_window *w, oct_p_pool *p)
{
    int last = w->n - 1;
    p->kw = (int32_t)w->kernel[last];
    p->sw = (int32_t)w->stride[last];
    p->dw = (int32_t)w->dilation[last];
    p->pl = (int32_t)w->begin[last];
    p->pr = (int32_t)w->end[last];
    p->kh = p->sh = p->dh = 1;
    if (w->n == 2) {
        p->kh = (int32_t)w->kernel[0];
        p->sh = (int32_t)w->stride[0];
        p->dh = (int32_t)w->dilation[0];
        p->pt = (int32_t)w->begin[0];
        p->pb = (int32_t)w->end[0];
    }
}

oct_status oct_op_lower_pool(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_window w;
    oct_stored_quant qx, qy;
    oct_p_pool p = {.is_max = n->op == OCT_OP_MAX_POOL, .include_pad = oct_node_int(n, "count_include_pad", 0) != 0};
    int32_t in, out;
    OCT_TRY(read_window(n, &x->shape, &w));
    if (w.n > 2)
        return oct_op_unsupported(n, "%d spatial axes", w.n);
    if (w.kernel[0] * (w.n == 2 ? w.kernel[1] : 1) > OCT_POOL_TAPS)
        return oct_op_unsupported(n, "a window of more than %d elements", OCT_POOL_TAPS);
    bool codes = oct_lower_precision(x) == OCT_PREC_INT8;
    if (!codes && x->dtype != OCT_F32)
        return oct_op_unsupported(n, "type %s", oct_dtype_name(x->dtype));
    fill_window(&w, &p);
    if (p.is_max)
        OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_NHWC, &in));
    else
        OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_NHWC, &in));
    if (codes && !p.is_max) {
        OCT_TRY(oct_lower_quant(l, x, &qx));
        OCT_TRY(oct_lower_quant(l, y, &qy));
        p.zx = qx.zero;
        p.z = qy.zero;
        p.lo = qy.lo;
        p.hi = qy.hi;
        p.scale = (double)qx.scale / qy.scale;
    }
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_NHWC, &out));
    return oct_lower_pool(l, in, out, &p);
}
