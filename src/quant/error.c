/* What a quantizer costs, from the histogram alone: the antiderivative of the rounding error makes every bin O(1) and exact
 * (docs/numerics.md "error of a quantizer").  Also the percentiles, which read the same histogram. */
#include <math.h>
#include "num/num.h"
#include "quant/solver.h"

/* --- error --- */

/* Antiderivative of |u - rne(u)|^norm. */
static double rounding_integral(double u, int norm)
{
    double k = rint(u), d = u - k, power = 1;
    for (int i = 0; i <= norm; i++)
        power *= d;
    if (norm % 2 && d < 0)
        power = -power; /* |d|^norm * d keeps the sign of d */
    return k * ldexp(1, -norm) / (norm + 1) + power / (norm + 1);
}

static double powi(double v, int n)
{
    double r = 1;
    for (; n > 0; n--)
        r *= v;
    return r;
}

/* n values spread evenly over [a, b], 0 <= a <= b, quantized with step s and limit `limit` >= 0 on this side. */
static void bin_error(double a, double b, double n, double s, double limit, int norm, double *round, double *clip)
{
    if (!(b - a > 1e-9 * s)) { /* as good as a point */
        double u = a / s, over = a - limit;
        if (over > 0)
            *clip += n * powi(over, norm);
        else
            *round += n * powi(fabs(u - rint(u)) * s, norm);
        return;
    }
    double inner = b < limit ? b : limit, outer = a > limit ? a : limit, w = b - a;
    if (inner > a)
        *round += n * powi(s, norm + 1) * (rounding_integral(inner / s, norm) - rounding_integral(a / s, norm)) / w;
    if (b > outer)
        *clip += n * (powi(b - limit, norm + 1) - powi(outer - limit, norm + 1)) / ((norm + 1) * w);
}

static void side_error(const oct_side *side, double width, double end, double s, double limit, int norm, double *round, double *clip)
{
    for (int i = 0; side && i < OCT_BINS; i++) {
        if (!side->linear[i])
            continue;
        double a = i * width, b = a + width;
        bin_error(a < end ? a : end, b < end ? b : end, (double)side->linear[i], s, limit, norm, round, clip);
    }
}

void oct_quantizer_error(const oct_observer *o, float scale, int32_t zero, int32_t lo, int32_t hi, int norm, double *round, double *clip)
{
    double r = 0, c = 0;
    if (o->exponent != OCT_NO_EXPONENT) {
        double s = (double)scale, width = ldexp(1, o->exponent);
        side_error(o->pos, width, (double)o->max, s, s * (hi - zero), norm, &r, &c);
        side_error(o->neg, width, -(double)o->min, s, s * (zero - lo), norm, &r, &c);
        r /= (double)o->count;
        c /= (double)o->count;
    }
    *round = r;
    *clip = c;
}

/* --- percentiles --- */

typedef double edge_fn(const oct_observer *o, int i); /* lower edge of bin i */
static double linear_edge(const oct_observer *o, int i) { return ldexp(i, o->exponent); }
static double octave_edge(const oct_observer *o, int i)
{
    (void)o;
    return i < OCT_OCTAVES ? (double)oct_f32_from_bits((uint32_t)i << 19) : 0x1p128;
}

/* The point that `above` values lie above: down from the top, then linear inside the bin. *bin gets the bin. */
static double walk_down(const oct_observer *o, const uint64_t *a, const uint64_t *b, int n, edge_fn *edge, double above, int *bin)
{
    double passed = 0;
    for (int i = n - 1; i >= 0; i--) {
        double here = (double)((a ? a[i] : 0) + (b ? b[i] : 0));
        if (passed + here > above) {
            *bin = i;
            return edge(o, i + 1) - (edge(o, i + 1) - edge(o, i)) * (above - passed) / here;
        }
        passed += here;
    }
    *bin = 0;
    return 0;
}

double oct_percentile(const oct_observer *o, double percent, int sign)
{
    double above = (double)o->count * (1 - percent / 100), most, t;
    const oct_side *p = sign >= 0 ? o->pos : NULL, *n = sign <= 0 ? o->neg : NULL;
    int bin;
    if (o->exponent == OCT_NO_EXPONENT)
        return 0;
    t = walk_down(o, p ? p->linear : NULL, n ? n->linear : NULL, OCT_BINS, linear_edge, above, &bin);
    /* Few linear bins are left below a heavy tail: the octave table is finer there. */
    if (bin < 64)
        t = walk_down(o, p ? p->octave : NULL, n ? n->octave : NULL, OCT_OCTAVES, octave_edge, above, &bin);
    most = sign > 0 ? (double)o->max : sign < 0 ? -(double)o->min : (double)oct_observer_absmax(o);
    return t < most ? t : most > 0 ? most : 0;
}
