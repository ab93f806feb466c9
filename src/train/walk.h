/* Strided walks over up to three arrays at once: broadcasting, reduction and every operator that moves values.  Offsets and steps
 * count elements. */
#ifndef OCT_TRAIN_WALK_H
#define OCT_TRAIN_WALK_H

#include "ir/ir.h"

enum { OCT_WALK_STREAMS = 3 };

/* The same index space for all streams: element (i0, i1, ...) of stream s lies at sum_k i_k * step[s][k]. rank >= 1. */
typedef struct oct_walk {
    int rank;
    int64_t dims[OCT_MAX_RANK], step[OCT_WALK_STREAMS][OCT_MAX_RANK];
} oct_walk;

/* One run along the last axis: its first element in each stream. */
typedef struct oct_run {
    int64_t at[OCT_WALK_STREAMS], index[OCT_MAX_RANK];
} oct_run;

/* Index space of `shape`; all steps zero. */
void oct_walk_init(oct_walk *w, const oct_shape *shape);
/* Stream s is a dense array of `shape`, broadcast to the walk by NumPy's rule (aligned at the last axis; axes of 1 repeat). */
void oct_walk_dense(oct_walk *w, int s, const oct_shape *shape);
/* The same for an array with strides of its own, by axis of `shape`. */
void oct_walk_strided(oct_walk *w, int s, const oct_shape *shape, const int64_t *strides);
/* Order the axes by the steps of stream 0, longest first: for walks whose order of elements does not matter. Before merging. */
void oct_walk_sort(oct_walk *w);
/* Merge axes that all streams walk as one; drop axes of one element. The order of elements stays. */
void oct_walk_merge(oct_walk *w);
/* for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r)) visits every run; none of an empty space. */
bool oct_run_first(const oct_walk *w, oct_run *r);
bool oct_run_next(const oct_walk *w, oct_run *r);
static inline int64_t oct_run_length(const oct_walk *w)
{
    return w->dims[w->rank - 1];
}
static inline int64_t oct_run_step(const oct_walk *w, int s)
{
    return w->step[s][w->rank - 1];
}

/* Dense strides of a shape, in elements. */
void oct_walk_strides(const oct_shape *shape, int64_t *strides);

#endif
