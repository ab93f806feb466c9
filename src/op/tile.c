/* Tile: the output reads the input with indices that wrap around: a PAD step of that mode. */
#include "op/ops.h"

#include "op/code.h"

oct_status oct_op_infer_tile(oct_graph *g, oct_node *n)
{
    oct_value *x, *repeats;
    int64_t known[OCT_KNOWN_MAX];
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &repeats));
    if (x->shape.rank < 0)
        return oct_infer_unknown(g, n, x->dtype);
    const int count = oct_infer_known(repeats, known);
    if (count >= 0 && count != x->shape.rank)
        return oct_op_bad(n, "%d repeats for data of rank %d", count, (int)x->shape.rank);
    oct_shape y = x->shape;
    for (int i = 0; i < y.rank; i++) {
        const bool literal = count >= 0 && oct_known_literal(known[i]);
        if (literal && known[i] < 0)
            return oct_op_bad(n, "%lld repeats", (long long)known[i]);
        if (literal && (known[i] == 1 || y.dim[i] >= 0)) {
            if (y.dim[i] >= 0)
                OCT_TRY(oct_size_mul(y.dim[i], known[i], &y.dim[i]));
        } else {
            OCT_TRY(oct_infer_fresh(g, n, i, &y.dim[i]));
        }
    }
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &y));
    int64_t contents[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    const int have = y.rank == 1 && y.dim[0] >= 0 && y.dim[0] <= OCT_KNOWN_MAX ? oct_infer_known(x, contents) : -1;
    for (int i = 0; have > 0 && i < y.dim[0]; i++)
        r[i] = contents[i % have];
    return have > 0 ? oct_infer_set_known(g, n, 0, r, (int)y.dim[0]) : OCT_OK;
}

oct_status oct_op_lower_tile(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    const oct_p_pad p = {.mode = OCT_PAD_WRAP, .rank = y->shape.rank};
    int32_t in, out;
    if (!oct_shape_is_concrete(&y->shape))
        return oct_op_unsupported(n, "repeats that are computed at run time");
    OCT_TRY(oct_lower_moved(l, x, y, OCT_LAYOUT_ANY, &in));
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_PAD, oct_lower_precision(y), "", 1, &in, 1, &out, &p, sizeof p, NULL);
}
