/* Multiply-accumulates of a node: convolutions and matrix products; everything else counts as none. */
#include "op/ops.h"

/* Symbols count as 1. */
static int64_t product(const oct_shape *s, int from)
{
    int64_t r = 1;
    for (int i = from; i < s->rank; i++)
        if (__builtin_mul_overflow(r, s->dim[i] < 0 ? 1 : s->dim[i], &r))
            return INT64_MAX;
    return r;
}

static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

int64_t oct_node_macs(const oct_node *n)
{
    const oct_value *x = oct_node_in(n, 0), *w = oct_node_in(n, 1), *y = oct_node_out(n, 0);
    if (!x || !w || !y || x->shape.rank < 1 || w->shape.rank < 1 || y->shape.rank < 0)
        return 0;
    int64_t k;
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_CONV_INTEGER:
        return times(product(&y->shape, 0), product(&w->shape, 1)); /* a weight row per output element */
    case OCT_OP_CONV_TRANSPOSE:
        return times(product(&x->shape, 0), product(&w->shape, 1));
    case OCT_OP_GEMM:
        k = x->shape.dim[oct_node_int(n, "transA", 0) ? 0 : x->shape.rank - 1];
        return times(product(&y->shape, 0), k < 0 ? 1 : k);
    case OCT_OP_MATMUL:
    case OCT_OP_MATMUL_INTEGER:
        k = x->shape.dim[x->shape.rank - 1];
        return times(product(&y->shape, 0), k < 0 ? 1 : k);
    default:
        return 0;
    }
}
