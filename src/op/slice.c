/* Slice: a strided view of the input, negative steps included.  Followed through small integer tensors for computed shapes. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

/* One slice per axis of x, in coded form: start, end and step as the node gives them; set[axis] when named. */
typedef struct slices {
    bool set[OCT_MAX_RANK];
    int64_t start[OCT_MAX_RANK], end[OCT_MAX_RANK], step[OCT_MAX_RANK];
} slices;

/* A list input: constants whole (they may hold "until the end" marks far outside dimensions), else what is followed. */
static int list_of(const oct_value *v, int64_t *out)
{
    int64_t known[OCT_KNOWN_MAX];
    int count = oct_value_ints(v, out, OCT_MAX_RANK);
    if (count >= 0) {
        for (int i = 0; i < count; i++)
            if (!oct_known_literal(out[i]))
                out[i] = -((int64_t)1 << 31); /* before any start; the rest of the range codes symbols */
        return count;
    }
    count = oct_infer_known(v, known);
    if (count > OCT_MAX_RANK)
        return -1;
    if (count > 0)
        memcpy(out, known, (size_t)count * sizeof *out);
    return count;
}

/* *known = false when an input is not known yet. Unknown single entries stay OCT_KNOWN_NONE. */
static oct_status read_slices(const oct_node *n, int rank, slices *s, bool *known)
{
    int64_t start[OCT_MAX_RANK], end[OCT_MAX_RANK], axes[OCT_MAX_RANK], step[OCT_MAX_RANK];
    int count = list_of(oct_node_in(n, 1), start), ends = list_of(oct_node_in(n, 2), end);
    int n_axes = oct_node_in(n, 3) ? list_of(n->inputs[3], axes) : count;
    int n_steps = oct_node_in(n, 4) ? list_of(n->inputs[4], step) : count;
    memset(s, 0, sizeof *s);
    *known = count >= 0 && ends >= 0 && n_axes >= 0 && n_steps >= 0;
    if (!*known)
        return OCT_OK;
    if (ends != count || n_axes != count || n_steps != count)
        return oct_op_bad(n, "starts, ends, axes and steps have %d, %d, %d and %d entries", count, ends, n_axes, n_steps);
    if (count > rank)
        return oct_op_bad(n, "%d slices of an input of rank %d", count, rank);
    for (int i = 0; i < count; i++) {
        int axis = i;
        OCT_TRY(oct_infer_axis(n, oct_node_in(n, 3) ? axes[i] : i, rank, &axis));
        int64_t by = oct_node_in(n, 4) ? step[i] : 1;
        if (s->set[axis])
            return oct_op_bad(n, "axis %d is sliced twice", axis);
        if (by == 0)
            return oct_op_bad(n, "a step of 0");
        s->set[axis] = true;
        s->start[axis] = start[i];
        s->end[axis] = end[i];
        s->step[axis] = by;
    }
    return OCT_OK;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* First index and length of a literal slice of `dim` elements, by ONNX's rule. */
static void resolve(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *length)
{
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    start = step > 0 ? clamp(start, 0, dim) : clamp(start, 0, dim - 1);
    end = step > 0 ? clamp(end, 0, dim) : clamp(end, -1, dim - 1);
    int64_t span = step > 0 ? end - start : start - end, by = step > 0 ? step : -step;
    *first = start;
    *length = span > 0 && dim > 0 ? oct_div_up(span, by) : 0;
}

/* Length of a slice when the dimension or a bound is a symbol. */
static oct_status symbolic_length(oct_graph *g, const oct_node *n, const slices *s, int axis, int64_t dim, int64_t *length)
{
    int64_t start = s->start[axis], end = s->end[axis], whole = oct_known_of_dim(dim);
    bool to_end = end == whole || (oct_known_literal(end) && end >= INT32_MAX);
    if (s->step[axis] == 1 && start == 0 && to_end)
        *length = dim;
    else if (s->step[axis] == 1 && start == 0 && oct_known_symbol(end))
        *length = oct_dim_of_symbol(end);
    else if (s->step[axis] == 1 && dim < 0 && to_end && start == -1)
        *length = 1;
    else
        OCT_TRY(oct_infer_fresh(g, n, axis, length));
    return OCT_OK;
}

oct_status oct_op_infer_slice(oct_graph *g, oct_node *n)
{
    oct_value *x;
    slices s;
    bool given;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(read_slices(n, x->shape.rank, &s, &given));
    oct_shape y = x->shape;
    int64_t first = 0;
    bool literal = given;
    for (int i = 0; i < y.rank; i++) {
        if (!given) {
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[i]));
            continue;
        }
        if (!s.set[i])
            continue;
        bool here =
            x->shape.dim[i] >= 0 && oct_known_literal(s.start[i]) && oct_known_literal(s.end[i]) && oct_known_literal(s.step[i]);
        literal &= here;
        if (here)
            resolve(x->shape.dim[i], s.start[i], s.end[i], s.step[i], &first, &y.dim[i]);
        else
            OCT_TRY(symbolic_length(g, n, &s, i, x->shape.dim[i], &y.dim[i]));
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    int64_t known[OCT_KNOWN_MAX], part[OCT_KNOWN_MAX];
    int count = literal && y.rank == 1 && s.set[0] ? oct_infer_known(x, known) : -1;
    for (int64_t i = 0; count >= 0 && i < y.dim[0]; i++)
        part[i] = known[first + i * s.step[0]];
    return count >= 0 ? oct_infer_set_known(g, n, 0, part, (int)y.dim[0]) : OCT_OK;
}

oct_status oct_op_lower_slice(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    slices s;
    bool given;
    int32_t in;
    int64_t strides[OCT_MAX_RANK], offset = 0, first, length;
    OCT_TRY(read_slices(n, x->shape.rank, &s, &given));
    if (!given)
        return oct_op_unsupported(n, "bounds that are computed at run time");
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    const oct_plan_tensor *t = oct_lower_tensor(l, in);
    bool empty = false;
    for (int i = 0; i < x->shape.rank; i++) {
        strides[i] = t->strides[i];
        empty |= y->shape.dim[i] == 0;
        if (!s.set[i])
            continue;
        resolve(x->shape.dim[i], s.start[i], s.end[i], s.step[i], &first, &length);
        offset += first * t->strides[i];
        strides[i] = length > 1 ? t->strides[i] * s.step[i] : t->strides[i];
    }
    return oct_lower_view(l, y, in, strides, empty ? 0 : offset * (int64_t)oct_dtype_size((oct_dtype)t->dtype));
}
