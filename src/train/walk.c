/* Strided walks.  Pure arithmetic on indices; what is done at each element stands with the operators. */
#include "train/walk.h"

#include <string.h>

void oct_walk_strides(const oct_shape *shape, int64_t *strides)
{
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= shape->dim[i];
    }
}

void oct_walk_init(oct_walk *w, const oct_shape *shape)
{
    memset(w, 0, sizeof *w);
    w->rank = shape->rank > 0 ? shape->rank : 1;
    w->dims[0] = 1;
    memcpy(w->dims, shape->dim, (size_t)shape->rank * sizeof *w->dims);
}

void oct_walk_dense(oct_walk *w, int s, const oct_shape *shape)
{
    int64_t strides[OCT_MAX_RANK];
    oct_walk_strides(shape, strides);
    oct_walk_strided(w, s, shape, strides);
}

void oct_walk_strided(oct_walk *w, int s, const oct_shape *shape, const int64_t *strides)
{
    const int lead = w->rank - shape->rank;
    for (int i = 0; i < w->rank; i++)
        w->step[s][i] = i < lead || shape->dim[i - lead] == 1 ? 0 : strides[i - lead];
}

/* May axis b, which follows a, be walked as the inner part of a? */
static bool joins(const oct_walk *w, int a, int b)
{
    for (int s = 0; s < OCT_WALK_STREAMS; s++)
        if (w->step[s][a] != w->step[s][b] * w->dims[b])
            return false;
    return true;
}

static void move_axis(oct_walk *w, int to, int from)
{
    w->dims[to] = w->dims[from];
    for (int s = 0; s < OCT_WALK_STREAMS; s++)
        w->step[s][to] = w->step[s][from];
}

static void swap_axes(oct_walk *w, int a, int b)
{
    oct_walk old = *w;
    w->dims[a] = old.dims[b];
    w->dims[b] = old.dims[a];
    for (int s = 0; s < OCT_WALK_STREAMS; s++) {
        w->step[s][a] = old.step[s][b];
        w->step[s][b] = old.step[s][a];
    }
}

void oct_walk_sort(oct_walk *w)
{
    for (int i = 1; i < w->rank; i++)
        for (int k = i; k > 0 && w->step[0][k - 1] < w->step[0][k]; k--)
            swap_axes(w, k - 1, k);
}

void oct_walk_merge(oct_walk *w)
{
    int rank = 0;
    for (int i = 0; i < w->rank; i++) {
        if (w->dims[i] == 1)
            continue;
        if (rank > 0 && joins(w, rank - 1, i)) {
            const int64_t outer = w->dims[rank - 1];
            move_axis(w, rank - 1, i);
            w->dims[rank - 1] *= outer;
        } else {
            move_axis(w, rank++, i);
        }
    }
    if (rank == 0) {
        w->dims[0] = 1;
        rank = 1;
    }
    w->rank = rank;
}

bool oct_run_first(const oct_walk *w, oct_run *r)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < w->rank; i++)
        if (w->dims[i] == 0)
            return false;
    return true;
}

bool oct_run_next(const oct_walk *w, oct_run *r)
{
    for (int i = w->rank - 2; i >= 0; i--) {
        r->index[i]++;
        for (int s = 0; s < OCT_WALK_STREAMS; s++)
            r->at[s] += w->step[s][i];
        if (r->index[i] < w->dims[i])
            return true;
        for (int s = 0; s < OCT_WALK_STREAMS; s++)
            r->at[s] -= w->step[s][i] * w->dims[i];
        r->index[i] = 0;
    }
    return false;
}
