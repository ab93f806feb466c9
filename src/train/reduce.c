/* ReduceMean, ReduceSum and GlobalAveragePool: y = f sum x over some axes, so dx = f dy, repeated along them. */
#include "train/diff.h"
#include "train/walk.h"

#include <string.h>

typedef struct reduce_state {
    oct_walk w; /* streams: x, y; y stands still along reduced axes */
    double factor;
} reduce_state;

/* Reduced axes as bits. */
static oct_status axes_of(const oct_node *n, int rank, uint32_t *set)
{
    int64_t axes[OCT_MAX_RANK];
    const oct_value *v = oct_node_in(n, 1);
    const int count = v ? oct_value_ints(v, axes, OCT_MAX_RANK) : 0;
    *set = 0;
    if (count < 0)
        return oct_diff_unsupported(n, "axes that are computed");
    for (int i = 0; i < count; i++)
        *set |= 1u << (axes[i] < 0 ? axes[i] + rank : axes[i]);
    if (n->op == OCT_OP_GLOBAL_AVERAGE_POOL)
        *set = ((1u << rank) - 1) & ~3u;
    else if (count == 0 && oct_node_int(n, "noop_with_empty_axes", 0) == 0)
        *set = (1u << rank) - 1;
    return OCT_OK;
}

oct_status oct_diff_prepare_reduce(oct_tape *t, oct_diff_node *d)
{
    reduce_state *s;
    const oct_shape *x = &d->node->inputs[0]->shape;
    oct_shape kept = *x;
    uint32_t set;
    int64_t count = 1;
    OCT_TRY(axes_of(d->node, x->rank, &set));
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    for (int i = 0; i < x->rank; i++)
        if (set >> i & 1) {
            count *= x->dim[i];
            kept.dim[i] = 1;
        }
    s->factor = d->node->op == OCT_OP_REDUCE_SUM ? 1 : 1 / (double)count;
    oct_walk_init(&s->w, x);
    oct_walk_strided(&s->w, 0, x, d->in[0]->strides);
    oct_walk_dense(&s->w, 1, &kept);
    oct_walk_sort(&s->w);
    oct_walk_merge(&s->w);
    d->scratch = d->out[0]->count * (int64_t)sizeof(double);
    return OCT_OK;
}

oct_status oct_diff_forward_reduce(oct_tape *t, oct_diff_node *d)
{
    const reduce_state *s = d->state;
    const oct_walk *w = &s->w;
    double *sum = t->scratch; /* [elements of y] */
    oct_run r;
    memset(sum, 0, (size_t)d->out[0]->count * sizeof *sum);
    for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))
        for (int64_t i = 0; i < oct_run_length(w); i++)
            sum[r.at[1] + i * oct_run_step(w, 1)] += d->in[0]->data[r.at[0] + i * oct_run_step(w, 0)];
    for (int64_t i = 0; i < d->out[0]->count; i++)
        d->out[0]->data[i] = (float)(sum[i] * s->factor);
    return OCT_OK;
}

oct_status oct_diff_backward_reduce(oct_tape *t, oct_diff_node *d)
{
    const reduce_state *s = d->state;
    const oct_walk *w = &s->w;
    oct_run r;
    (void)t;
    for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))
        for (int64_t i = 0; i < oct_run_length(w); i++)
            d->in[0]->grad[r.at[0] + i * oct_run_step(w, 0)] +=
                (float)(s->factor * d->out[0]->grad[r.at[1] + i * oct_run_step(w, 1)]);
    return OCT_OK;
}
