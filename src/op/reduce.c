/* ReduceMean, Sum, Max, Min, Prod.  Floats and integers: one REDUCE step whose output view keeps dims of 1. Codes: Mean and Max
 * over the spatial axes are pools. */
#include "op/ops.h"

#include "op/code.h"

/* Axes as a bit set; *known = false while they are not. Nothing named means all, or none with noop_with_empty_axes. */
static oct_status axes_of(const oct_node *n, int rank, bool *known, uint32_t *set)
{
    oct_value *v = oct_node_in(n, 1);
    int64_t axes[OCT_KNOWN_MAX];
    int axis, count = v ? oct_infer_known(v, axes) : 0;
    *set = 0;
    *known = count >= 0;
    for (int i = 0; i < count; i++) {
        OCT_TRY(oct_infer_axis(n, axes[i], rank, &axis));
        *set |= 1u << axis;
    }
    if (count == 0 && oct_node_int(n, "noop_with_empty_axes", 0) == 0)
        *set = (1u << rank) - 1;
    return OCT_OK;
}

oct_status oct_op_infer_reduce(oct_graph *g, oct_node *n)
{
    oct_value *x;
    bool known;
    uint32_t set;
    bool keep = oct_node_int(n, "keepdims", 1) != 0;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(axes_of(n, x->shape.rank, &known, &set));
    if (!known && !keep)
        return oct_infer_unknown(g, n, x->dtype);
    oct_shape y = {.rank = 0};
    for (int i = 0; i < x->shape.rank; i++) {
        if (!known)
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[y.rank++]));
        else if (!(set >> i & 1))
            y.dim[y.rank++] = x->shape.dim[i];
        else if (keep)
            y.dim[y.rank++] = 1;
    }
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

static oct_reduce_fn function_of(oct_op op)
{
    switch (op) {
    case OCT_OP_REDUCE_SUM:
        return OCT_REDUCE_SUM;
    case OCT_OP_REDUCE_MAX:
        return OCT_REDUCE_MAX;
    case OCT_OP_REDUCE_MIN:
        return OCT_REDUCE_MIN;
    case OCT_OP_REDUCE_PROD:
        return OCT_REDUCE_PROD;
    default:
        return OCT_REDUCE_MEAN;
    }
}

/* All axes from 2 on, and nothing else. */
static bool is_spatial(uint32_t set, int rank)
{
    return rank >= 3 && set == (((1u << rank) - 1) & ~3u);
}

/* Codes over one run of adjacent axes: a pool over [before, after, run]. */
static oct_status lower_codes(oct_lower *l, oct_node *n, uint32_t set, int32_t out)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int rank = x->shape.rank, first = 0, last = rank - 1;
    bool is_max = n->op == OCT_OP_REDUCE_MAX;
    if (n->op != OCT_OP_REDUCE_MEAN && !is_max)
        return oct_op_unsupported(n, "no INT8 form");
    if (is_spatial(set, rank))
        return oct_lower_plane_pool(l, x, y, out, is_max);
    while (first < rank && !(set >> first & 1))
        first++;
    while (last > first && !(set >> last & 1))
        last--;
    int64_t dims[3] = {1, 1, 1}; /* before, run, after */
    for (int i = 0; i < rank; i++) {
        if (i >= first && i <= last && !(set >> i & 1))
            return oct_op_unsupported(n, "INT8 over axes that are not adjacent");
        dims[i < first ? 0 : i <= last ? 1 : 2] *= x->shape.dim[i];
    }
    return oct_lower_run_pool(l, x, y, dims, out, is_max);
}

oct_status oct_op_lower_reduce(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int rank = x->shape.rank, at = 0;
    bool known, keep = y->shape.rank == rank;
    oct_p_reduce p = {.fn = function_of(n->op)};
    int32_t in, out, view;
    OCT_TRY(axes_of(n, rank, &known, &p.axes));
    if (!known)
        return oct_op_unsupported(n, "axes that are computed at run time");
    if (p.axes == 0) {
        OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
        return oct_lower_bind(l, y, in);
    }
    if (n->int8 || (oct_lower_precision(x) == OCT_PREC_INT8 && x->quant)) {
        OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
        return lower_codes(l, n, p.axes, out);
    }
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, keep ? oct_lower_layout(l, x) : OCT_LAYOUT_PLAIN, &out));
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        bool gone = p.axes >> i & 1;
        dims[i] = gone ? 1 : x->shape.dim[i];
        strides[i] = gone && !keep ? 1 : oct_lower_tensor(l, out)->strides[at++];
    }
    OCT_TRY(oct_lower_subview(l, out, rank, dims, strides, 0, &view));
    return oct_lower_step(l, OCT_STEP_REDUCE, oct_lower_precision(x), "", 1, &in, 1, &view, &p, sizeof p, NULL);
}
