/* What is solved together, and the choice of `auto` among candidate ranges (docs/numerics.md "auto"; algorithms in choose.c). */
#ifndef OCT_QUANT_CHOOSE_H
#define OCT_QUANT_CHOOSE_H

#include "quant/calibrator.h"
#include "qparam/placement.h"
#include "quant/solver.h"

enum { OCT_CANDIDATES = 10 };

/* Tensors that share a scale, or a single tensor. */
typedef struct oct_share {
    const oct_observer *observer;
    oct_observer *owned;       /* set when statistics had to be merged */
    int32_t group;             /* of the placement; -1: the tensor gets no Q/DQ */
    oct_solution candidate[OCT_CANDIDATES];
    int count, chosen;
} oct_share;

/* Set share->chosen for every share that has more than one candidate. */
oct_status oct_choose(oct_calibrator *cal, const oct_placement *p, oct_share *shares, int64_t count);

#endif
