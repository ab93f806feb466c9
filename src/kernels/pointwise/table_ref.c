/* 256-entry table over a span of codes in plain C: oracle and portable tactic.  DESIGN 3.6. x and y may be the same span. */
#include "kernels/kernel.h"

#include "kernels/rows.h"

void oct_table_ref(const uint8_t *x, uint8_t *y, int64_t n, const uint8_t table[256])
{
    for (int64_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}
