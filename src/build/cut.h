/* Minimum of an energy over yes/no variables, exactly: a minimum cut.  The precision search states its choice as such an energy;
 * nothing here knows what the variables mean. */
#ifndef OCT_BUILD_CUT_H
#define OCT_BUILD_CUT_H

#include "base/mem.h"

/* Costs are seconds, >= 0; OCT_CUT_NEVER forbids. They are kept in whole picoseconds, so that the answer does not depend on
 * rounding. */
#define OCT_CUT_NEVER 1e9

typedef struct oct_cut oct_cut;
oct_status oct_cut_create(oct_cut **out);
void oct_cut_destroy(oct_cut *c);
/* A new variable with its cost when it is false and when it is true; its number is *id (counting from 0). */
oct_status oct_cut_variable(oct_cut *c, double if_false, double if_true, int32_t *id);
/* More cost of a variable. */
oct_status oct_cut_cost(oct_cut *c, int32_t id, double if_false, double if_true);
/* Cost of `yes` being true while `no` is false. */
oct_status oct_cut_pair(oct_cut *c, int32_t yes, int32_t no, double cost);
/* value[id] of a cheapest assignment; of several, the one with most variables true. May be called once. */
oct_status oct_cut_solve(oct_cut *c, bool *value);

#endif
