/* A Transpose of dequantized constant codes becomes a DequantizeLinear of transposed codes: that is how exporters write the weight of a linear
 * layer over tensors of rank 3, and products take codes only. */
#include <string.h>
#include "opt/pass.h"

/* perm of a Transpose over this rank; false when it is none. */
static bool perm_of(const oct_node *n, int rank, int64_t *perm)
{
    const int count = oct_node_ints(n, "perm", perm, OCT_MAX_RANK);
    for (int i = 0; count == 0 && i < rank; i++)
        perm[i] = rank - 1 - i;
    return count == 0 || count == rank;
}

static void transpose_bytes(const oct_shape *from, const int64_t *perm, const oct_shape *to, const uint8_t *x, uint8_t *y, int64_t count)
{
    int64_t strides[OCT_MAX_RANK];
    int64_t step = 1;
    for (int i = from->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= from->dim[i];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, at = 0;
        for (int d = to->rank - 1; d >= 0; d--) {
            at += rest % to->dim[d] * strides[perm[d]];
            rest /= to->dim[d];
        }
        y[i] = x[at];
    }
}

static oct_status turn(oct_graph *g, oct_node *t, const oct_node *dq, const int64_t *perm)
{
    const oct_value *codes = dq->inputs[0];
    const int rank = codes->shape.rank;
    oct_shape shape = {.rank = rank};
    int64_t count, axis = oct_node_int(dq, "axis", 1);
    void *data = NULL;
    oct_value *turned = NULL;
    axis += axis < 0 ? rank : 0;
    OCT_TRY(oct_shape_count(&codes->shape, &count));
    OCT_TRY(oct_arena_alloc(g->arena, count, &data));
    int64_t new_axis = 0;
    for (int i = 0; i < rank; i++) {
        shape.dim[i] = codes->shape.dim[perm[i]];
        new_axis = perm[i] == axis ? i : new_axis;
    }
    transpose_bytes(&codes->shape, perm, &shape, codes->data, data, count);
    OCT_TRY(oct_value_const(g, codes->name, codes->dtype, rank, shape.dim, data, &turned));
    /* t becomes the DequantizeLinear. */
    t->op = OCT_OP_DEQUANTIZE;
    t->attr_count = 0;
    OCT_TRY(oct_node_set_int(g, t, "axis", new_axis));
    OCT_TRY(oct_node_set_input(g, t, 0, turned));
    OCT_TRY(oct_node_set_input(g, t, 1, dq->inputs[1]));
    return dq->input_count > 2 ? oct_node_set_input(g, t, 2, dq->inputs[2]) : OCT_OK;
}

oct_status oct_pass_turn(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *t = g->nodes[i];
        const oct_node *dq = t->op == OCT_OP_TRANSPOSE && t->inputs[0] ? t->inputs[0]->producer : NULL;
        int64_t perm[OCT_MAX_RANK];
        if (!dq || dq->op != OCT_OP_DEQUANTIZE || !dq->inputs[0]->data || !oct_is_code(dq->inputs[0]->dtype) || oct_node_int(dq, "block_size", 0) != 0 ||
            dq->inputs[0]->shape.rank < 2 || !perm_of(t, dq->inputs[0]->shape.rank, perm))
            continue;
        OCT_TRY(turn(g, t, dq, perm));
        ++*changes;
    }
    return OCT_OK;
}
