/* The check of a step's parameters and tensors. */
#include "plan/check.h"
#include "plan/tactic.h"
oct_status oct_check_step(const oct_plan *p, const oct_plan_step *s)
{
    const void *row;
    return oct_step_kernel(p, s, &row);
}
