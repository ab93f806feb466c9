/* Exact sums of doubles: the order of adding does not matter, so any split of the samples over shards, threads and files gives the
 * same bytes.  Fixed size; what the observers keep moments in (docs/numerics.md "moments"). */
#ifndef OCT_QUANT_EXACT_H
#define OCT_QUANT_EXACT_H

#include <stdint.h>

/* A fixed-point number: limb i counts units of 2^(32*i - 1152). Canonical (after oct_exact_settle): all limbs but the last are in
 * [0, 2^32), the last carries the sign. 68 limbs cover every double, two more leave room for sums. */
enum { OCT_EXACT_LIMBS = 70 };
typedef struct oct_exact {
    int64_t limb[OCT_EXACT_LIMBS];
    int64_t pending; /* additions since the last settle */
} oct_exact;

void oct_exact_add(oct_exact *e, double v); /* v must be finite */
void oct_exact_merge(oct_exact *into, const oct_exact *from);
void oct_exact_settle(oct_exact *e);
double oct_exact_value(const oct_exact *e); /* within one unit in the last place */

#endif
