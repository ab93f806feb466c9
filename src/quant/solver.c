/* The solvers: max, percentile, entropy, mse (docs/numerics.md "solvers").  Each finds limits lo <= 0 <= hi; scale and zero follow from
 * src/num, the predicted error from quant/error.c. */
#include "quant/solver.h"

#include <float.h>
#include <math.h>
#include "num/num.h"

enum { KL_BINS = 2048, KL_LEVELS = 128, SCAN = 48, REFINE = 16, GRID = 128, BEST = 16 };
/* A clip threshold is never looked for below this part of the extreme: 8 bits have no use for it. */
#define LEAST_PART 0x1p-10

typedef struct limits {
    double lo, hi;
} limits;

static limits extremes(const oct_observer *o) { return (limits){o->min < 0 ? (double)o->min : 0, o->max > 0 ? (double)o->max : 0}; }

static void codes_of(oct_scheme scheme, int32_t *lo, int32_t *hi)
{
    *lo = scheme == OCT_SCHEME_AFFINE ? 0 : -128;
    *hi = scheme == OCT_SCHEME_AFFINE ? 255 : 127;
}

/* --- finishing a pair of limits --- */

static unsigned flags_of(const oct_observer *o)
{
    unsigned flags = 0;
    double cut, energy = oct_exact_value(&o->sum2);
    if (oct_observer_absmax(o) == 0)
        return OCT_SOLVED_DEAD;
    if (o->samples > 1 && ((o->top[0] > 0 && o->top[1] < 0.7f * o->top[0] && o->top[0] >= -o->min) ||
                           (o->bottom[0] < 0 && o->bottom[1] > 0.7f * o->bottom[0] && -o->bottom[0] >= o->max)))
        flags |= OCT_SOLVED_ONE_SAMPLE;
    double t = oct_percentile(o, 99.9, 0), round;
    if (t > 0) {
        oct_quantizer_error(o, (float)(t / 127), 0, -127, 127, 2, &round, &cut);
        if (cut * (double)o->count > 0.005 * energy)
            flags |= OCT_SOLVED_CLIFF;
    }
    return flags;
}

void oct_solve_limits(const oct_observer *o, oct_scheme scheme, float min, float max, bool lossless, oct_solution *out)
{
    int32_t lo, hi;
    oct_qparams q = scheme == OCT_SCHEME_AFFINE ? oct_qparams_affine_u8(min, max, lossless) : oct_qparams_symmetric_s8(min, max);
    oct_solution s = {.min = min < 0 ? min : 0, .max = max > 0 ? max : 0, .scale = q.scale, .zero = q.zero, .name = ""};
    codes_of(scheme, &lo, &hi);
    oct_quantizer_error(o, s.scale, s.zero, lo, hi, 2, &s.round, &s.clip);
    s.flags = flags_of(o);
    *out = s;
}

/* --- percentile --- */

static limits by_percentile(const oct_observer *o, oct_scheme scheme, double percent)
{
    limits x = extremes(o), r = x;
    if (scheme == OCT_SCHEME_SYMMETRIC) {
        double t = oct_percentile(o, percent, 0);
        r = (limits){fmax(x.lo, -t), fmin(x.hi, t)};
    } else {
        /* Two-sided data share the cut between the sides. */
        double part = x.lo < 0 && x.hi > 0 ? (100 + percent) / 2 : percent;
        r = (limits){x.lo < 0 ? -oct_percentile(o, part, -1) : 0, x.hi > 0 ? oct_percentile(o, part, 1) : 0};
    }
    /* All but the cut share is zero: nothing can be said about the rest, so nothing is cut. */
    return r.hi > r.lo ? r : x;
}

/* --- entropy --- */

/* The histogram of |x| with KL_BINS bins over [0, absmax]; mass inside a bin is uniform. */
static void resample(const oct_observer *o, double bins[KL_BINS])
{
    double width = ldexp(1, o->exponent), step = (double)oct_observer_absmax(o) / KL_BINS, r = width / step; /* r in (0.5, 1] */
    for (int i = 0; i < KL_BINS; i++)
        bins[i] = 0;
    for (int i = 0; i < OCT_BINS; i++) {
        double n = (double)(o->pos->linear[i] + (o->neg ? o->neg->linear[i] : 0)), a = i * r, b = a + r;
        int k = (int)a;
        if (n == 0)
            continue;
        if (k >= KL_BINS - 1) {
            bins[KL_BINS - 1] += n;
        } else if (b > k + 1) {
            bins[k] += n * (k + 1 - a) / r;
            bins[k + 1] += n * (b - (k + 1)) / r;
        } else {
            bins[k] += n;
        }
    }
}

static limits by_entropy(const oct_observer *o)
{
    double bins[KL_BINS], step = (double)oct_observer_absmax(o) / KL_BINS;
    limits x = extremes(o);
    resample(o, bins);
    int m = oct_kl_bins(bins, KL_BINS, KL_LEVELS, KL_LEVELS);
    double t = m < KL_BINS ? (m + 0.5) * step : KL_BINS * step;
    return (limits){fmax(x.lo, -t), fmin(x.hi, t)};
}

/* --- least error --- */

static double error_of(const oct_observer *o, oct_scheme scheme, limits x, int norm)
{
    int32_t lo, hi;
    double round, clip;
    oct_qparams q = scheme == OCT_SCHEME_AFFINE ? oct_qparams_affine_u8((float)x.lo, (float)x.hi, false) : oct_qparams_symmetric_s8((float)x.lo, (float)x.hi);
    codes_of(scheme, &lo, &hi);
    oct_quantizer_error(o, q.scale, q.zero, lo, hi, norm, &round, &clip);
    return round + clip;
}

static limits clipped(limits x, double t) { return (limits){fmax(x.lo, -t), fmin(x.hi, t)}; }

/* One threshold for |x|: a geometric scan, then a finer one around the best. */
static limits by_error_1d(const oct_observer *o, oct_scheme scheme, int norm)
{
    limits x = extremes(o);
    double top = (double)oct_observer_absmax(o), from = fmax(oct_percentile(o, 99, 0), top * LEAST_PART), best = top;
    double least = error_of(o, scheme, x, norm), ratio = pow(top / from, 1.0 / SCAN);
    for (int pass = 0; pass < 2; pass++) {
        int steps = pass ? REFINE : SCAN;
        double start = pass ? fmax(best / ratio, from) : from, stop = pass ? fmin(best * ratio, top) : top;
        double step = pow(stop / start, 1.0 / steps);
        for (int i = 0; i <= steps; i++) {
            double t = fmin(start * pow(step, i), top), e = error_of(o, scheme, clipped(x, t), norm);
            if (e < least) {
                least = e;
                best = t;
            }
        }
    }
    return clipped(x, best);
}

/* One side of the plane search: candidate limits, what clipping at each costs, and how many values stay inside. */
typedef struct edge {
    double t, cost, inside;
} edge;

static void side_edges(const oct_observer *o, int sign, int norm, edge e[GRID])
{
    const oct_side *side = sign > 0 ? o->pos : o->neg;
    double width = ldexp(1, o->exponent), top = sign > 0 ? (double)o->max : -(double)o->min;
    double from = fmin(fmax(oct_percentile(o, 99, sign), top * LEAST_PART), top);
    for (int k = 0; k < GRID; k++) {
        double t = top * pow(from / top, (double)k / (GRID - 1));
        e[k] = (edge){t, 0, 0};
        for (int i = 0; i < OCT_BINS; i++) {
            double n = (double)side->linear[i], a = fmin(i * width, top), b = fmin((i + 1) * width, top), w = b - a;
            if (n == 0)
                continue;
            if (b <= t || w <= 0) {
                e[k].inside += n;
                continue;
            }
            double c = fmax(a, t);
            e[k].inside += n * (c - a) / w;
            e[k].cost += n * (pow(b - t, norm + 1) - pow(c - t, norm + 1)) / ((norm + 1) * w);
        }
    }
}

/* Both limits: the plane of candidates by the smooth estimate, the best few again with the true grid. */
static limits by_error_2d(const oct_observer *o, int norm)
{
    edge low[GRID], high[GRID];
    limits found[BEST];
    double score[BEST];
    int count = 0;
    side_edges(o, -1, norm, low);
    side_edges(o, 1, norm, high);
    for (int i = 0; i < GRID; i++)
        for (int k = 0; k < GRID; k++) {
            double s = (low[i].t + high[k].t) / 255;
            double e = low[i].cost + high[k].cost + (low[i].inside + high[k].inside) * pow(s, norm) * ldexp(1, -norm) / (norm + 1);
            int at = count;
            if (count == BEST && e >= score[BEST - 1])
                continue;
            if (count == BEST)
                at = BEST - 1;
            else
                count++;
            for (; at > 0 && score[at - 1] > e; at--) {
                score[at] = score[at - 1];
                found[at] = found[at - 1];
            }
            score[at] = e;
            found[at] = (limits){-low[i].t, high[k].t};
        }
    limits best = extremes(o);
    double least = error_of(o, OCT_SCHEME_AFFINE, best, norm);
    for (int i = 0; i < count; i++) {
        double e = error_of(o, OCT_SCHEME_AFFINE, found[i], norm);
        if (e < least) {
            least = e;
            best = found[i];
        }
    }
    return best;
}

static limits by_error(const oct_observer *o, oct_scheme scheme, int norm)
{
    limits x = extremes(o);
    return scheme == OCT_SCHEME_AFFINE && x.lo < 0 && x.hi > 0 ? by_error_2d(o, norm) : by_error_1d(o, scheme, norm);
}

/* --- the choice --- */

oct_status oct_method_make(oct_solver solver, double percentile, oct_method *out)
{
    static const char *const names[] = {"auto", "max", "percentile", "entropy", "mse"};
    double parameter = 0;
    if (solver < OCT_SOLVER_AUTO || solver > OCT_SOLVER_MSE)
        return oct_fail(OCT_ERR_USAGE, "there is no solver %d", (int)solver);
    if (solver == OCT_SOLVER_PERCENTILE) {
        parameter = percentile == 0 ? 99.99 : percentile;
        if (!(parameter >= 50 && parameter <= 100))
            return oct_fail(OCT_ERR_USAGE, "a percentile of %g: it must lie between 50 and 100", parameter);
    } else if (solver == OCT_SOLVER_MSE) {
        parameter = 2;
    }
    *out = (oct_method){solver, parameter, names[solver]};
    return OCT_OK;
}

void oct_solve(const oct_observer *o, oct_scheme scheme, oct_method method, oct_solution *out)
{
    limits x = extremes(o);
    bool lossless = method.solver == OCT_SOLVER_MAX;
    if (o->exponent != OCT_NO_EXPONENT) {
        switch (method.solver) {
        case OCT_SOLVER_PERCENTILE:
            x = by_percentile(o, scheme, method.parameter);
            break;
        case OCT_SOLVER_ENTROPY:
            x = by_entropy(o);
            break;
        case OCT_SOLVER_MSE:
            x = by_error(o, scheme, (int)method.parameter);
            break;
        default:
            break;
        }
    }
    oct_solve_limits(o, scheme, (float)x.lo, (float)x.hi, lossless, out);
    out->name = method.name;
}
