/* ScatterElements and ScatterND: a copy of the data with elements set, added, multiplied or compared. One SCATTER step, in order of the
 * updates. */
#include "op/ops.h"

#include <string.h>
#include "op/code.h"

static oct_status reduction_of(const oct_node *n, int32_t *out)
{
    static const char *const names[OCT_SCATTER_COUNT] = {"none", "add", "mul", "min", "max"};
    const char *name = oct_node_string(n, "reduction", "none");
    for (*out = 0; *out < OCT_SCATTER_COUNT; ++*out)
        if (strcmp(names[*out], name) == 0)
            return OCT_OK;
    return oct_op_bad(n, "reduction is '%s'", name);
}

oct_status oct_op_infer_scatter(oct_graph *g, oct_node *n)
{
    oct_value *x, *index, *updates;
    int32_t fn;
    int axis = 0;
    OCT_TRY(oct_infer_need(n, 0, &x));
    OCT_TRY(oct_infer_need(n, 1, &index));
    OCT_TRY(oct_infer_need(n, 2, &updates));
    OCT_TRY(reduction_of(n, &fn));
    if (index->dtype != OCT_S64 && index->dtype != OCT_S32)
        return oct_op_bad(n, "the indices have type %s", oct_dtype_name(index->dtype));
    if (updates->dtype != x->dtype)
        return oct_op_bad(n, "updates of type %s for data of type %s", oct_dtype_name(updates->dtype), oct_dtype_name(x->dtype));
    const int rank = x->shape.rank, indices = index->shape.rank;
    if (rank >= 0 && indices >= 0 && updates->shape.rank >= 0) {
        const int64_t length = indices > 0 ? index->shape.dim[indices - 1] : -1;
        if (n->op == OCT_OP_SCATTER_ND && (length < 1 || length > rank))
            return oct_op_bad(n, "tuples of %lld indices for data of rank %d", (long long)length, rank);
        if (n->op == OCT_OP_SCATTER_ELEMENTS && (rank == 0 || indices != rank))
            return oct_op_bad(n, "indices of rank %d for data of rank %d", indices, rank);
        if (n->op == OCT_OP_SCATTER_ELEMENTS)
            OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), rank, &axis));
        /* ScatterElements: updates like indices. ScatterND: the tuples' places, then the rest of the data. */
        const int64_t places = n->op == OCT_OP_SCATTER_ND ? indices - 1 : indices;
        const int64_t wanted = n->op == OCT_OP_SCATTER_ND ? places + rank - length : places;
        bool fits = updates->shape.rank == wanted;
        for (int i = 0; fits && i < wanted; i++) {
            const int64_t have = updates->shape.dim[i], want = i < places ? index->shape.dim[i] : x->shape.dim[i - places + length];
            fits = have < 0 || want < 0 || have == want;
            if (n->op == OCT_OP_SCATTER_ELEMENTS)
                fits = fits && (i == axis || want < 0 || x->shape.dim[i] < 0 || want <= x->shape.dim[i]);
        }
        if (!fits)
            return oct_op_bad(n, "updates of a shape that does not fit");
    }
    return oct_infer_out(g, n, 0, x->dtype, &x->shape);
}

oct_status oct_op_lower_scatter(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    oct_p_scatter p = {.by_tuple = n->op == OCT_OP_SCATTER_ND};
    int axis = 0;
    int32_t in[3], out;
    OCT_TRY(reduction_of(n, &p.fn));
    if (!p.by_tuple)
        OCT_TRY(oct_infer_axis(n, oct_node_int(n, "axis", 0), x->shape.rank, &axis));
    p.axis = axis;
    if (x->quant || n->int8)
        return oct_op_unsupported(n, "no INT8 form");
    for (int i = 0; i < 3; i++)
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_PLAIN, &in[i]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_SCATTER, oct_lower_precision(x), "", 3, in, 1, &out, &p, sizeof p, NULL);
}
