/* Trilu and EyeLike: what depends on the place in a matrix alone. Trilu chooses by a constant mask; EyeLike is a constant. */
#include "op/ops.h"

#include <stdlib.h>
#include <string.h>
#include "op/code.h"

oct_status oct_op_infer_trilu(oct_graph *g, oct_node *n)
{
    oct_value *x;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank == 0 || x->shape.rank == 1)
        return oct_op_bad(n, "the input has rank %d", (int)x->shape.rank);
    return oct_infer_out(g, n, 0, x->dtype, &x->shape);
}

/* 1 where `kept` says so of column - row, element size 1. *tensor becomes the constant [rows, columns]. */
static oct_status mask(oct_lower *l, int64_t rows, int64_t columns, int64_t k, bool diagonal, bool upper, int32_t *tensor)
{
    const int64_t dims[2] = {rows, columns};
    int64_t count;
    OCT_TRY(oct_size_mul(rows, columns, &count));
    uint8_t *bits = malloc((size_t)count + 1);
    if (!bits)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a mask of %lld elements", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = i % columns - i / columns;
        bits[i] = diagonal ? at == k : upper ? at >= k : at <= k;
    }
    const oct_status s = oct_lower_const(l, OCT_BOOL, 2, dims, bits, tensor);
    free(bits);
    return s;
}

oct_status oct_op_lower_trilu(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0], *k = oct_node_in(n, 1);
    const int rank = x->shape.rank;
    const uint8_t zeros[8] = {0};
    int64_t known[OCT_KNOWN_MAX] = {0};
    int32_t in[3], out;
    if (k && (oct_infer_known(k, known) != 1 || !oct_known_literal(known[0])))
        return oct_op_unsupported(n, "a k that is computed at run time");
    if (x->quant || n->int8 || x->dtype == OCT_S8)
        return oct_op_unsupported(n, "type %s", oct_dtype_name(x->dtype));
    if (x->shape.dim[rank - 1] == 0 || x->shape.dim[rank - 2] == 0) {
        OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in[1]));
        return oct_lower_bind(l, y, in[1]);
    }
    OCT_TRY(mask(l, x->shape.dim[rank - 2], x->shape.dim[rank - 1], known[0], false, oct_node_int(n, "upper", 1) != 0, &in[0]));
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_PLAIN, &in[1]));
    OCT_TRY(oct_lower_const(l, x->dtype, 0, NULL, zeros, &in[2]));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_WHERE, oct_lower_precision(y), "", 3, in, 1, &out, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}

oct_status oct_op_infer_eye_like(oct_graph *g, oct_node *n)
{
    oct_value *x;
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (x->shape.rank >= 0 && x->shape.rank != 2)
        return oct_op_bad(n, "the input has rank %d", (int)x->shape.rank);
    return oct_infer_out(g, n, 0, (oct_dtype)oct_node_int(n, "dtype", (int64_t)x->dtype), &x->shape);
}

oct_status oct_op_lower_eye_like(oct_lower *l, oct_node *n)
{
    oct_value *y = n->outputs[0];
    int32_t bits, out;
    OCT_TRY(mask(l, y->shape.dim[0], oct_max64(y->shape.dim[1], 1), oct_node_int(n, "k", 0), true, false, &bits));
    OCT_TRY(oct_lower_out(l, y, OCT_LAYOUT_PLAIN, &out));
    return oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &bits, 1, &out, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}
