/* Split: every output is a view of its part of the input. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

/* Lengths of the outputs along the axis; a negative entry is unknown. */
static oct_status part_lengths(oct_graph *g, oct_node *n, int64_t whole, int64_t *parts)
{
    oct_value *lengths = oct_node_in(n, 1);
    int64_t sum = 0, known[OCT_KNOWN_MAX];
    int count = n->output_count;
    if (lengths) {
        int have = oct_infer_known(lengths, known);
        if (have >= 0 && have != count)
            return oct_op_bad(n, "%d lengths for %d outputs", have, count);
        for (int i = 0; i < count; i++) {
            parts[i] = have < 0 || !oct_known_literal(known[i]) ? -1 : known[i];
            if (have >= 0 && oct_known_literal(known[i]) && known[i] < 0)
                return oct_op_bad(n, "length %lld", (long long)known[i]);
            if (parts[i] < 0)
                sum = -1;
            if (sum >= 0)
                OCT_TRY(oct_size_add(sum, parts[i], &sum));
        }
        if (whole >= 0 && sum >= 0 && sum != whole)
            return oct_op_bad(n, "the lengths add up to %lld, the axis has %lld", (long long)sum, (long long)whole);
        return OCT_OK;
    }
    int64_t wanted = oct_node_int(n, "num_outputs", count);
    if (wanted != count)
        return oct_op_bad(n, "num_outputs is %lld, the node has %d outputs", (long long)wanted, count);
    int64_t each = whole < 0 ? -1 : oct_div_up(whole, count);
    for (int i = 0; i < count; i++)
        parts[i] = whole < 0 ? -1 : oct_min64(each, whole - i * each);
    if (whole >= 0 && (parts[count - 1] < 0 || (whole > 0 && parts[count - 1] == 0)))
        return oct_op_bad(n, "%lld elements do not split into %d parts", (long long)whole, count);
    return OCT_OK;
}

enum { MAX_PARTS = OCT_KNOWN_MAX };

oct_status oct_op_infer_split(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int axis;
    int64_t parts[MAX_PARTS];
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (n->output_count > MAX_PARTS)
        return oct_op_unsupported(n, "%d outputs, at most %d are supported", (int)n->output_count, MAX_PARTS);
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    OCT_TRY(part_lengths(g, n, x->shape.dim[axis], parts));
    for (int i = 0; i < n->output_count; i++) {
        oct_shape y = x->shape;
        if (parts[i] >= 0)
            y.dim[axis] = parts[i];
        else { /* one symbol an output: numbered behind the axes */
            OCT_TRY(oct_infer_fresh(g, n, OCT_MAX_RANK + i, &y.dim[axis]));
        }
        OCT_TRY(oct_infer_out(g, n, i, x->dtype, &y));
    }
    return OCT_OK;
}

oct_status oct_op_lower_split(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0];
    int axis;
    int64_t at = 0, parts[MAX_PARTS];
    OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    OCT_TRY(part_lengths(l->g, n, x->shape.dim[axis], parts));
    for (int i = 0; i < n->output_count; i++) {
        oct_value *y = n->outputs[i];
        int32_t in;
        if (parts[i] < 0)
            return oct_op_unsupported(n, "lengths that are computed at run time");
        if (y) {
            OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
            int64_t strides[OCT_MAX_RANK];
            const oct_plan_tensor *t = oct_lower_tensor(l, in);
            memcpy(strides, t->strides, sizeof strides);
            OCT_TRY(oct_lower_view(l, y, in, strides,
                                   parts[i] ? at * t->strides[axis] * (int64_t)oct_dtype_size((oct_dtype)t->dtype) : 0));
        }
        at += parts[i];
    }
    return OCT_OK;
}
