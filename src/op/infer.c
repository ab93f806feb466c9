/* Shared parts of shape inference: see infer.h. */
#include "op/infer.h"

#include <stdio.h>
#include <string.h>

static oct_status node_fail(oct_status status, const oct_node *n, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    oct_fail(status, "%s '%s': %s", oct_op_get(n->op)->name, n->name, text);
    return oct_fail_node(status, n->name);
}

oct_status oct_op_bad(const oct_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    oct_status s = node_fail(OCT_ERR_CONTENT, n, format, args);
    va_end(args);
    return s;
}

oct_status oct_op_unsupported(const oct_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    oct_status s = node_fail(OCT_ERR_UNSUPPORTED, n, format, args);
    va_end(args);
    return s;
}

const char *oct_shape_text(const oct_graph *g, const oct_shape *s, char *text)
{
    size_t at = 0;
    if (s->rank < 0)
        return strcpy(text, "[unknown rank]");
    text[at++] = '[';
    for (int i = 0; i < s->rank; i++) {
        const char *gap = i ? ", " : "";
        int len = s->dim[i] >= 0 ? snprintf(text + at, OCT_SHAPE_TEXT - at, "%s%lld", gap, (long long)s->dim[i])
                                 : snprintf(text + at, OCT_SHAPE_TEXT - at, "%s%.20s", gap, oct_graph_symbol_name(g, s->dim[i]));
        at += (size_t)len;
        if (at >= OCT_SHAPE_TEXT - 32)
            break;
    }
    text[at++] = ']';
    text[at] = 0;
    return text;
}

oct_status oct_infer_need(const oct_node *n, int i, oct_value **out)
{
    oct_value *v = oct_node_in(n, i);
    if (!v)
        return oct_op_bad(n, "input %d is missing", i);
    *out = v;
    return OCT_OK;
}

oct_status oct_infer_out(oct_graph *g, oct_node *n, int i, oct_dtype dtype, const oct_shape *shape)
{
    oct_value *v = oct_node_out(n, i);
    if (!v)
        return OCT_OK;
    if (shape->rank > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", (int)shape->rank, OCT_MAX_RANK);
    int64_t dims[OCT_MAX_RANK], count;
    for (int k = 0; k < shape->rank; k++)
        dims[k] = shape->dim[k] < 0 ? 1 : shape->dim[k];
    char text[OCT_SHAPE_TEXT];
    if (shape->rank > 0 && oct_size_count(dims, shape->rank, &count) != OCT_OK)
        return oct_op_bad(n, "the output would have shape %s, which is too large", oct_shape_text(g, shape, text));
    bool typed = n->int8 && v->quant && v->dtype != OCT_DTYPE_NONE && oct_dtype_size(v->dtype) <= 1;
    if (!typed)
        v->dtype = dtype;
    v->shape = *shape;
    v->known = NULL;
    return OCT_OK;
}

oct_status oct_infer_unknown(oct_graph *g, oct_node *n, oct_dtype dtype)
{
    oct_shape s = {.rank = -1};
    for (int i = 0; i < n->output_count; i++)
        OCT_TRY(oct_infer_out(g, n, i, dtype, &s));
    return OCT_OK;
}

oct_status oct_infer_fresh(oct_graph *g, const oct_node *n, int axis, int64_t *dim)
{
    const char *stem = n->name;
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]) {
            stem = n->outputs[i]->name;
            break;
        }
    char *name = NULL;
    OCT_TRY(oct_arena_printf(g->arena, &name, "%s.%d", stem, axis));
    return oct_graph_add_symbol(g, name, dim);
}

oct_status oct_infer_axis(const oct_node *n, int64_t axis, int rank, int *out)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return oct_op_bad(n, "axis %lld is outside rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OCT_OK;
}

oct_status oct_infer_ints(const oct_node *n, const char *name, int64_t *out, int max, int *count)
{
    const oct_attr *a = oct_node_attr(n, name);
    *count = -1;
    if (!a)
        return OCT_OK;
    if (a->kind != OCT_ATTR_INTS)
        return oct_op_bad(n, "attribute '%s' is no list of integers", name);
    if (a->n > max)
        return oct_op_bad(n, "attribute '%s' has %lld entries, at most %d fit", name, (long long)a->n, max);
    *count = (int)a->n;
    if (a->n)
        memcpy(out, a->ints, (size_t)a->n * sizeof *out);
    return OCT_OK;
}

oct_status oct_infer_broadcast(oct_graph *g, const oct_node *n, const oct_shape *a, const oct_shape *b, oct_shape *out)
{
    oct_shape r = {.rank = -1};
    if (a->rank < 0 || b->rank < 0) {
        *out = r;
        return OCT_OK;
    }
    r.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - a->rank), ib = i - (r.rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da == db || db == 1)
            r.dim[i] = da;
        else if (da == 1)
            r.dim[i] = db;
        else if (da >= 0 && db >= 0) {
            char ta[OCT_SHAPE_TEXT], tb[OCT_SHAPE_TEXT];
            return oct_op_bad(n, "shapes %s and %s cannot be broadcast", oct_shape_text(g, a, ta), oct_shape_text(g, b, tb));
        } else if (da >= 0 || db >= 0)
            r.dim[i] = da >= 0 ? da : db;
        else
            OCT_TRY(oct_infer_fresh(g, n, i, &r.dim[i]));
    }
    *out = r;
    return OCT_OK;
}

int oct_infer_known(const oct_value *v, int64_t *out)
{
    if (!v || v->shape.rank < 0 || v->shape.rank > 1)
        return -1;
    int64_t count = v->shape.rank ? v->shape.dim[0] : 1;
    if (count < 0 || count > OCT_KNOWN_MAX)
        return -1;
    if (v->data && (v->dtype == OCT_S64 || v->dtype == OCT_S32)) {
        if (oct_value_ints(v, out, OCT_KNOWN_MAX) != count)
            return -1;
        for (int64_t i = 0; i < count; i++)
            if (!oct_known_literal(out[i]))
                out[i] = OCT_KNOWN_NONE;
        return (int)count;
    }
    if (v->data && v->dtype == OCT_BOOL) {
        for (int64_t i = 0; i < count; i++)
            out[i] = ((const uint8_t *)v->data)[i] != 0;
        return (int)count;
    }
    if (!v->known)
        return -1;
    if (count)
        memcpy(out, v->known, (size_t)count * sizeof *out);
    return (int)count;
}

oct_status oct_infer_set_known(oct_graph *g, oct_node *n, int i, const int64_t *known, int count)
{
    oct_value *v = oct_node_out(n, i);
    bool fits = v && count >= 0 && count <= OCT_KNOWN_MAX && v->shape.rank >= 0 && v->shape.rank <= 1 &&
                (v->shape.rank ? v->shape.dim[0] : 1) == count &&
                (v->dtype == OCT_S64 || v->dtype == OCT_S32 || v->dtype == OCT_BOOL);
    if (!fits)
        return OCT_OK;
    return oct_arena_memdup(g->arena, known, (count ? count : 1) * (int64_t)sizeof *known, (void **)&v->known);
}

/* One value per spatial axis from an attribute, default 1, within [least, 2^30]. */
static oct_status window_ints(const oct_node *n, const char *name, int spatial, int64_t least, int64_t *out)
{
    int count;
    OCT_TRY(oct_infer_ints(n, name, out, spatial, &count));
    if (count < 0)
        for (int i = 0; i < spatial; i++)
            out[i] = 1;
    else if (count != spatial)
        return oct_op_bad(n, "attribute '%s' has %d entries for %d spatial axes", name, count, spatial);
    for (int i = 0; i < spatial; i++)
        if (out[i] < least || out[i] > 1 << 30)
            return oct_op_bad(n, "attribute '%s' holds %lld", name, (long long)out[i]);
    return OCT_OK;
}

static int64_t extent(const oct_window *w, int i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

static oct_status window_pads(const oct_node *n, const int64_t *in, oct_window *w)
{
    const char *mode = oct_node_string(n, "auto_pad", "NOTSET");
    bool upper = strcmp(mode, "SAME_UPPER") == 0, lower = strcmp(mode, "SAME_LOWER") == 0;
    if (!upper && !lower && strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0)
        return oct_op_bad(n, "auto_pad is '%s'", mode);
    int64_t pads[6] = {0};
    int count = -1;
    if (strcmp(mode, "NOTSET") == 0)
        OCT_TRY(oct_infer_ints(n, "pads", pads, 2 * w->n, &count));
    if (count >= 0 && count != 2 * w->n)
        return oct_op_bad(n, "attribute 'pads' has %d entries for %d spatial axes", count, w->n);
    w->same = upper || lower;
    for (int i = 0; i < w->n; i++) {
        w->begin[i] = pads[i];
        w->end[i] = pads[i + w->n];
        if (w->same && in[i] > 0) {
            int64_t out = oct_div_up(in[i], w->stride[i]);
            int64_t all = oct_max64(0, (out - 1) * w->stride[i] + extent(w, i) - in[i]);
            w->begin[i] = upper ? all / 2 : all - all / 2;
            w->end[i] = all - w->begin[i];
        }
        if (w->begin[i] < -(1 << 30) || w->begin[i] > 1 << 30 || w->end[i] < -(1 << 30) || w->end[i] > 1 << 30)
            return oct_op_bad(n, "pads %lld and %lld are out of range", (long long)w->begin[i], (long long)w->end[i]);
    }
    return OCT_OK;
}

oct_status oct_window_read(const oct_node *n, int spatial, const int64_t *in, const int64_t *kernel, oct_window *w)
{
    oct_window r = {.n = spatial};
    if (spatial < 1 || spatial > 3)
        return oct_op_unsupported(n, "%d spatial axes", spatial);
    for (int i = 0; i < spatial; i++) {
        r.kernel[i] = kernel[i];
        if (kernel[i] < 1 || kernel[i] > 1 << 20)
            return oct_op_bad(n, "kernel size %lld", (long long)kernel[i]);
    }
    OCT_TRY(window_ints(n, "strides", spatial, 1, r.stride));
    OCT_TRY(window_ints(n, "dilations", spatial, 1, r.dilation));
    for (int i = 0; i < spatial; i++)
        if (extent(&r, i) > 1 << 30)
            return oct_op_bad(n, "kernel %lld with dilation %lld is too large", (long long)r.kernel[i], (long long)r.dilation[i]);
    r.ceil_mode = oct_node_int(n, "ceil_mode", 0) != 0;
    OCT_TRY(window_pads(n, in, &r));
    *w = r;
    return OCT_OK;
}

oct_status oct_window_out(oct_graph *g, const oct_node *n, const oct_window *w, int i, int64_t in, int64_t *out)
{
    int64_t margin = w->begin[i] + w->end[i] - extent(w, i), stride = w->stride[i];
    if (in < 0) {
        bool same_length = stride == 1 && (w->same || margin == -1);
        if (same_length)
            *out = in;
        else
            OCT_TRY(oct_infer_fresh(g, n, i + 2, out));
        return OCT_OK;
    }
    if (in + margin < 0)
        return oct_op_bad(n, "the window of %lld does not fit into %lld elements with pads %lld and %lld on axis %d",
                          (long long)extent(w, i), (long long)in, (long long)w->begin[i], (long long)w->end[i], i + 2);
    int64_t steps = w->ceil_mode ? oct_div_up(in + margin, stride) : (in + margin) / stride;
    /* A window that would start in the end padding is dropped (ONNX, since opset 19; frameworks always did). */
    if (w->ceil_mode && steps * stride >= in + w->begin[i])
        steps--;
    *out = steps + 1;
    return OCT_OK;
}
