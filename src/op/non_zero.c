/* NonZero and Compress: how much comes out depends on contents, so these must be constant (NonZero's input, Compress's condition). */
#include "op/ops.h"

#include <stdlib.h>
#include "op/code.h"

static bool is_set(const oct_value *v, int64_t i)
{
    double d;
    const size_t size = oct_dtype_size(v->dtype);
    oct_nd_load_f64(v->dtype, false, (const char *)v->data + (size_t)i * size, 0, 1, &d);
    return d != 0;
}

static oct_status count_set(const oct_value *v, int64_t *out)
{
    int64_t count;
    OCT_TRY(oct_shape_count(&v->shape, &count));
    *out = 0;
    for (int64_t i = 0; i < count; i++)
        *out += is_set(v, i);
    return OCT_OK;
}

oct_status oct_op_infer_non_zero(oct_graph *g, oct_node *n)
{
    oct_value *x;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, OCT_S64);
    oct_shape y = {.rank = 2, .dim = {x->shape.rank}};
    if (x->data)
        OCT_TRY(count_set(x, &y.dim[1]));
    else
        OCT_TRY(oct_infer_fresh(g, n, 1, &y.dim[1]));
    return oct_infer_out(g, n, 0, OCT_S64, &y);
}

oct_status oct_op_lower_non_zero(oct_lower *l, oct_node *n)
{
    const oct_value *x = n->inputs[0];
    const int rank = x->shape.rank;
    int64_t count, found, at = 0;
    int32_t t;
    if (!x->data)
        return oct_op_unsupported(n, "an input that is computed at run time: the size of the result would not be known");
    OCT_TRY(oct_shape_count(&x->shape, &count));
    OCT_TRY(count_set(x, &found));
    int64_t *v = malloc(sizeof *v * (size_t)(found * rank + 1));
    if (!v)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld indices", (long long)found);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        if (!is_set(x, i))
            continue;
        for (int d = rank - 1; d >= 0; d--) {
            v[d * found + at] = rest % x->shape.dim[d];
            rest /= x->shape.dim[d];
        }
        at++;
    }
    oct_status s = oct_lower_const(l, OCT_S64, 2, n->outputs[0]->shape.dim, v, &t);
    free(v);
    return s == OCT_OK ? oct_lower_bind(l, n->outputs[0], t) : s;
}

/* Without an axis the elements count as one row. */
static bool has_axis(const oct_node *n) { return oct_node_attr(n, "axis") != NULL; }

oct_status oct_op_infer_compress(oct_graph *g, oct_node *n)
{
    oct_value *x, *condition;
    int axis = 0;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &condition));
    if (condition->dtype != OCT_BOOL || condition->shape.rank > 1)
        return oct_op_bad(n, "the condition is no list of bool");
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    oct_shape y = {.rank = 1};
    if (has_axis(n)) {
        y = x->shape;
        OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), y.rank, &axis));
    }
    if (condition->data)
        OCT_TRY(count_set(condition, &y.dim[axis]));
    else
        OCT_TRY(oct_infer_fresh(g, n, axis, &y.dim[axis]));
    return oct_infer_out(g, n, 0, x->dtype, &y);
}

oct_status oct_op_lower_compress(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    const oct_value *condition = n->inputs[1];
    int axis = 0;
    int64_t length, count, found = 0;
    int32_t in[2], out;
    if (!condition->data)
        return oct_op_unsupported(n, "a condition that is computed at run time: the size of the result would not be known");
    if (has_axis(n))
        OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    OCT_TRY(oct_shape_count(&x->shape, &count));
    OCT_TRY(oct_shape_count(&condition->shape, &length));
    const int64_t most = has_axis(n) ? x->shape.dim[axis] : count;
    int64_t *v = malloc(sizeof *v * (size_t)(length + 1));
    if (!v)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld indices", (long long)length);
    bool outside = false;
    for (int64_t i = 0; i < length; i++)
        if (is_set(condition, i)) {
            v[found++] = i;
            outside |= i >= most;
        }
    oct_status s = outside ? oct_op_bad(n, "the condition is longer than the data") : oct_lower_const(l, OCT_S64, 1, &found, v, &in[1]);
    free(v);
    OCT_TRY(s);
    const oct_p_axis p = {.axis = axis};
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_PLAIN, &in[0]));
    if (!has_axis(n))
        OCT_TRY(oct_lower_reshaped(l, in[0], 1, &count, &in[0]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_GATHER, oct_lower_precision(x), "", 2, in, 1, &out, &p, sizeof p, NULL);
}
