/* Exact sums of doubles in a fixed-point register as wide as the exponent range (Kulisch's accumulator). */
#include "quant/exact.h"

#include <math.h>

enum { LOWEST = 1152, LIMB = 32, MANTISSA = 53 };

void oct_exact_settle(oct_exact *e)
{
    int64_t carry = 0;
    for (int i = 0; i + 1 < OCT_EXACT_LIMBS; i++) {
        int64_t v = e->limb[i] + carry;
        carry = v >> LIMB; /* arithmetic: rounds down, so the rest is never negative */
        e->limb[i] = v & 0xFFFFFFFF;
    }
    e->limb[OCT_EXACT_LIMBS - 1] += carry;
    e->pending = 0;
}

void oct_exact_add(oct_exact *e, double v)
{
    int exponent;
    double m = frexp(v, &exponent); /* v = m * 2^exponent, 0.5 <= |m| < 1 */
    if (v == 0)
        return;
    int64_t mantissa = (int64_t)ldexp(m, MANTISSA);
    int shift = exponent - MANTISSA + LOWEST; /* lowest bit of the mantissa, from the bottom of limb 0; >= 26, as |v| >= 2^-1074 */
    int at = shift / LIMB;
    __int128 wide = (__int128)mantissa * ((__int128)1 << (shift % LIMB));
    e->limb[at] += (int64_t)(wide & 0xFFFFFFFF);
    e->limb[at + 1] += (int64_t)(wide >> LIMB & 0xFFFFFFFF);
    e->limb[at + 2] += (int64_t)(wide >> (2 * LIMB));
    /* A limb takes 2^30 additions of 32 bits before it could overflow. */
    if (++e->pending >= 1 << 30)
        oct_exact_settle(e);
}

void oct_exact_merge(oct_exact *into, const oct_exact *from)
{
    oct_exact other = *from;
    oct_exact_settle(into);
    oct_exact_settle(&other);
    for (int i = 0; i < OCT_EXACT_LIMBS; i++)
        into->limb[i] += other.limb[i];
    oct_exact_settle(into);
}

double oct_exact_value(const oct_exact *e)
{
    oct_exact a = *e;
    oct_exact_settle(&a);
    int negative = a.limb[OCT_EXACT_LIMBS - 1] < 0, top = OCT_EXACT_LIMBS - 1;
    if (negative) {
        for (int i = 0; i < OCT_EXACT_LIMBS; i++)
            a.limb[i] = -a.limb[i];
        oct_exact_settle(&a);
    }
    while (top > 0 && a.limb[top] == 0)
        top--;
    double v = 0;
    /* Four limbs from the top hold at least 97 significant bits. */
    for (int i = top; i >= 0 && i > top - 4; i--)
        v += ldexp((double)a.limb[i], LIMB * i - LOWEST);
    return negative ? -v : v;
}
