/* Which kernel family a step kind takes its tactic from, and the row that a name means. */
#ifndef OCT_PLAN_TACTIC_H
#define OCT_PLAN_TACTIC_H

#include "plan/plan.h"

/* *row = NULL for a kind without family, or for a name of "" where the runtime may choose (all families but the convolutions').
 * CONTENT when the name is unknown in the family or its level is above the plan's. */
oct_status oct_step_kernel(const oct_plan *p, const oct_plan_step *s, const void **row);

#endif
