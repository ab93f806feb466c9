/* Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order under other dims.  A view where strides allow it, else
 * a view of the plain copy. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

/* The part of a symbolic product that a -1 stands for: dims of x divided by the other dims of the target. Equal symbols cancel. */
static oct_status solve_rest(oct_graph *g, const oct_node *n, const oct_shape *x, const oct_shape *y, int rest, int64_t *dim)
{
    int64_t have = 1, want = 1, left[OCT_MAX_RANK];
    int left_count = 0;
    char text[OCT_SHAPE_TEXT];
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] < 0)
            left[left_count++] = x->dim[i];
        else
            OCT_TRY(oct_size_mul(have, x->dim[i], &have));
    bool open = false;
    for (int i = 0; i < y->rank; i++) {
        if (i == rest)
            continue;
        if (y->dim[i] >= 0) {
            OCT_TRY(oct_size_mul(want, y->dim[i], &want));
            continue;
        }
        int k = 0;
        while (k < left_count && left[k] != y->dim[i])
            k++;
        if (k < left_count)
            left[k] = left[--left_count];
        else
            open = true;
    }
    if (!open && left_count == 0) {
        if (want == 0 || have % want != 0)
            return oct_op_bad(n, "%s cannot be reshaped: %lld elements do not divide by %lld", oct_shape_text(g, x, text),
                              (long long)have, (long long)want);
        *dim = have / want;
        return OCT_OK;
    }
    if (!open && left_count == 1 && have == want) {
        *dim = left[0];
        return OCT_OK;
    }
    return oct_infer_fresh(g, n, rest, dim);
}

static oct_status infer_reshape(oct_graph *g, oct_node *n, const oct_value *x, oct_shape *y)
{
    oct_value *target;
    int64_t known[OCT_KNOWN_MAX];
    bool allow_zero = oct_node_int(n, "allowzero", 0) != 0;
    int rest = -1;
    OCT_TRY(oct_infer_need(n, 1, &target));
    if (target->shape.rank >= 0 && target->shape.rank != 1)
        return oct_op_bad(n, "the shape input has rank %d", (int)target->shape.rank);
    int count = oct_infer_known(target, known);
    if (count < 0) { /* the rank may still be known */
        *y = (oct_shape){.rank = -1};
        if (target->shape.rank == 1 && target->shape.dim[0] >= 0 && target->shape.dim[0] <= OCT_MAX_RANK) {
            y->rank = (int32_t)target->shape.dim[0];
            for (int i = 0; i < y->rank; i++)
                OCT_TRY(oct_infer_fresh(g, n, i, &y->dim[i]));
        }
        return OCT_OK;
    }
    if (count > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %d, at most %d is supported", count, OCT_MAX_RANK);
    y->rank = count;
    for (int i = 0; i < count; i++) {
        if (known[i] == OCT_KNOWN_NONE)
            OCT_TRY(oct_infer_fresh(g, n, i, &y->dim[i]));
        else if (oct_known_symbol(known[i]))
            y->dim[i] = oct_dim_of_symbol(known[i]);
        else if (known[i] == -1) {
            if (rest >= 0)
                return oct_op_bad(n, "more than one -1 in the shape");
            rest = i;
        } else if (known[i] < 0)
            return oct_op_bad(n, "%lld in the shape", (long long)known[i]);
        else if (known[i] == 0 && !allow_zero) {
            if (x->shape.rank >= 0 && i >= x->shape.rank)
                return oct_op_bad(n, "0 at place %d copies from an input of rank %d", i, (int)x->shape.rank);
            if (x->shape.rank < 0)
                OCT_TRY(oct_infer_fresh(g, n, i, &y->dim[i]));
            else
                y->dim[i] = x->shape.dim[i];
        } else
            y->dim[i] = known[i];
    }
    if (rest >= 0 && x->shape.rank < 0)
        return oct_infer_fresh(g, n, rest, &y->dim[rest]);
    if (rest >= 0)
        return solve_rest(g, n, &x->shape, y, rest, &y->dim[rest]);
    return OCT_OK;
}

static oct_status infer_flatten(oct_graph *g, oct_node *n, const oct_shape *x, oct_shape *y)
{
    int64_t axis = oct_node_int(n, "axis", 1);
    if (axis < -(int64_t)x->rank || axis > x->rank)
        return oct_op_bad(n, "axis %lld is outside rank %d", (long long)axis, (int)x->rank);
    if (axis < 0)
        axis += x->rank;
    y->rank = 2;
    for (int half = 0; half < 2; half++) {
        int64_t product = 1, symbol = 0;
        int symbols = 0;
        for (int i = half ? (int)axis : 0; i < (half ? x->rank : axis); i++)
            if (x->dim[i] < 0) {
                symbol = x->dim[i];
                symbols++;
            } else
                OCT_TRY(oct_size_mul(product, x->dim[i], &product));
        if (symbols == 0)
            y->dim[half] = product;
        else if (symbols == 1 && product == 1)
            y->dim[half] = symbol;
        else
            OCT_TRY(oct_infer_fresh(g, n, half, &y->dim[half]));
    }
    return OCT_OK;
}

/* Axes of Squeeze and Unsqueeze as a bit set over `rank`; *given = false when there is no such input. */
static oct_status axes_of(const oct_node *n, int rank, bool *given, bool *known, uint32_t *set)
{
    oct_value *v = oct_node_in(n, 1);
    int64_t axes[OCT_KNOWN_MAX];
    int axis, count = oct_infer_known(v, axes);
    *given = v != NULL;
    *known = count >= 0;
    *set = 0;
    for (int i = 0; i < count; i++) {
        OCT_TRY(oct_infer_axis(n, axes[i], rank, &axis));
        if (*set >> axis & 1)
            return oct_op_bad(n, "axis %d is named twice", axis);
        *set |= 1u << axis;
    }
    return OCT_OK;
}

static oct_status infer_squeeze(oct_graph *g, oct_node *n, const oct_shape *x, oct_shape *y)
{
    bool given, known;
    uint32_t set;
    char text[OCT_SHAPE_TEXT];
    OCT_TRY(axes_of(n, x->rank, &given, &known, &set));
    if (given && !known)
        return OCT_OK;
    oct_shape r = {.rank = 0};
    for (int i = 0; i < x->rank; i++) {
        if (given && (set >> i & 1) && x->dim[i] >= 0 && x->dim[i] != 1)
            return oct_op_bad(n, "axis %d of %s is not 1", i, oct_shape_text(g, x, text));
        if (given ? set >> i & 1 : x->dim[i] == 1)
            continue;
        r.dim[r.rank++] = x->dim[i];
    }
    *y = r;
    return OCT_OK;
}

static oct_status infer_unsqueeze(oct_graph *g, oct_node *n, const oct_shape *x, oct_shape *y)
{
    const oct_value *v = oct_node_in(n, 1);
    bool given, known;
    uint32_t set;
    if (!v || v->shape.rank < 0 || v->shape.rank > 1)
        return oct_op_bad(n, "the axes are no list");
    int64_t extra = v->shape.rank ? v->shape.dim[0] : 1;
    if (extra < 0)
        return OCT_OK;
    if (extra + x->rank > OCT_MAX_RANK)
        return oct_op_unsupported(n, "rank %lld, at most %d is supported", (long long)(extra + x->rank), OCT_MAX_RANK);
    int rank = x->rank + (int)extra, at = 0;
    OCT_TRY(axes_of(n, rank, &given, &known, &set));
    if (!known)
        return OCT_OK;
    y->rank = rank;
    for (int i = 0; i < rank; i++)
        y->dim[i] = set >> i & 1 ? 1 : x->dim[at++];
    return OCT_OK;
}

static oct_status check_count(oct_graph *g, const oct_node *n, const oct_shape *x, const oct_shape *y)
{
    char tx[OCT_SHAPE_TEXT], ty[OCT_SHAPE_TEXT];
    int64_t a, b;
    if (!oct_shape_is_concrete(x) || !oct_shape_is_concrete(y))
        return OCT_OK;
    OCT_TRY(oct_shape_count(x, &a));
    OCT_TRY(oct_shape_count(y, &b));
    if (a != b)
        return oct_op_bad(n, "%s cannot take the shape %s", oct_shape_text(g, x, tx), oct_shape_text(g, y, ty));
    return OCT_OK;
}

oct_status oct_op_infer_reshape(oct_graph *g, oct_node *n)
{
    oct_value *x;
    oct_shape y = {.rank = -1};
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (n->op == OCT_OP_RESHAPE)
        OCT_TRY(infer_reshape(g, n, x, &y));
    else if (x->shape.rank >= 0 && n->op == OCT_OP_FLATTEN)
        OCT_TRY(infer_flatten(g, n, &x->shape, &y));
    else if (x->shape.rank >= 0 && n->op == OCT_OP_SQUEEZE)
        OCT_TRY(infer_squeeze(g, n, &x->shape, &y));
    else if (x->shape.rank >= 0)
        OCT_TRY(infer_unsqueeze(g, n, &x->shape, &y));
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    OCT_TRY(check_count(g, n, &x->shape, &y));
    int64_t known[OCT_KNOWN_MAX];
    int count = oct_infer_known(x, known);
    return count >= 0 ? oct_infer_set_known(g, n, 0, known, count) : OCT_OK;
}

oct_status oct_op_lower_reshape(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int32_t in, out;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_reshaped(l, in, y->shape.rank, y->shape.dim, &out));
    OCT_TRY(oct_lower_moved(l, x, y, out < 0 ? OCT_LAYOUT_PLAIN : OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_reshaped(l, in, y->shape.rank, y->shape.dim, &out));
    return oct_lower_bind(l, y, out);
}
