/* Scales for few bits, where every step is wide: the least mean square error over all codes that there are (docs/numerics.md "solvers"). */
#include <math.h>
#include "num/num.h"
#include "quant/solver.h"

enum { SCAN = 96, REFINE = 24 };

typedef struct grid {
    int levels; /* 2^bits - 1 */
    oct_scheme scheme;
    bool two_sided;
} grid;

/* The quantizer whose range ends at t, and at -t or the data's own end where that is nearer. */
static oct_narrow narrow_of(const oct_observer *o, const grid *g, double t)
{
    const double most = fmin(fmax((double)o->max, 0), t), least = fmax(fmin((double)o->min, 0), -t);
    oct_narrow r = {.lo = 0, .hi = g->levels};
    if (!g->two_sided) {
        r.params.scale = (float)(t / g->levels);
    } else if (g->scheme == OCT_SCHEME_SYMMETRIC) {
        r.lo = -(g->levels + 1) / 2;
        r.hi = g->levels / 2;
        r.params.scale = (float)(t / r.hi);
    } else {
        r.params.scale = (float)((most - least) / g->levels);
        r.params.zero = (int32_t)oct_rne((float)(-least / (double)r.params.scale));
    }
    return r;
}

static double error_of(const oct_observer *o, const oct_narrow *r)
{
    double round, clip;
    oct_quantizer_error(o, r->params.scale, r->params.zero, r->lo, r->hi, 2, &round, &clip);
    return round + clip;
}

oct_narrow oct_solve_narrow(const oct_observer *o, oct_scheme scheme, int bits)
{
    const grid g = {(1 << bits) - 1, scheme, o->min < 0};
    const double top = (double)oct_observer_absmax(o);
    oct_narrow best;
    if (o->exponent == OCT_NO_EXPONENT || !(top > 0x1p-100))
        return (oct_narrow){.params = {1, 0}, .lo = 0, .hi = g.levels};
    double least = INFINITY, at = top;
    best = narrow_of(o, &g, top);
    for (int pass = 0; pass < 2; pass++) {
        const int steps = pass ? REFINE : SCAN;
        const double ratio = pow(2, -12.0 / SCAN), from = pass ? at * ratio : top * 0x1p-12, stop = pass ? fmin(at / ratio, top) : top;
        for (int i = 0; i <= steps; i++) {
            const double t = from * pow(stop / from, (double)i / steps);
            const oct_narrow r = narrow_of(o, &g, t);
            const double e = error_of(o, &r);
            if (e < least) {
                least = e;
                best = r;
                at = t;
            }
        }
    }
    return best;
}

float oct_solve_narrow_weights(const float *w, int64_t n, int64_t stride, int64_t run, int32_t lo, int32_t hi)
{
    const int64_t rows = n / run;
    double top = 0, least = INFINITY;
    float best = 1;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < run; i++)
            top = fmax(top, fabs((double)w[r * stride + i]));
    if (!(top > 0x1p-100))
        return 1;
    for (int k = 1; k <= SCAN; k++) {
        const float s = (float)(top * k / SCAN / -lo);
        double e = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < run; i++) {
                const float x = w[r * stride + i];
                const double d = (double)x - (double)oct_dequantize(oct_quantize(x, s, 0, lo, hi), s, 0);
                e += d * d;
            }
        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}
