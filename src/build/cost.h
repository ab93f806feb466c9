/* The cost model: what a step would take, from its shapes alone. For builds that may not measure (deterministic ones without a
 * complete timing cache). Same numbers on every machine; only their ratios are meant. */
#ifndef OCT_BUILD_COST_H
#define OCT_BUILD_COST_H

#include "plan/plan.h"

/* Seconds on one thread of a nominal 3 GHz CPU of the plan's level: a fixed cost to dispatch the step, plus its arithmetic, plus
 * its bytes. Convolutions count the tiles of their kernel (rows and columns beyond the layer's own included); all else goes by
 * bytes and a cost an element. Grows with every extent. */
double oct_cost_step(const oct_plan *p, const oct_plan_step *s);

#endif
