/* The KL rule of 2017 (2,048 bins to 128 levels) in O(levels) per candidate: prefix sums of counts, of occupied bins and of p*ln p give
 * every term.  docs/numerics.md "entropy"; golden vectors in tests/unit/quant/test_solver.c. */
#include <math.h>
#include <stdlib.h>
#include "quant/solver.h"

typedef struct prefix {
    double mass, entropy; /* sum of p and of p ln p over the bins before */
    int32_t occupied;
} prefix;

static double xlogx(double v) { return v > 0 ? v * log(v) : 0; }

/* KL of candidate i against the whole; infinity when the last bin must hold outliers but is empty. */
static double divergence(const double *bins, const prefix *pre, int n, int i, int levels)
{
    double inside = pre[i].mass, total = pre[n].mass, outliers = total - inside;
    if (!(inside > 0) || (bins[i - 1] == 0 && outliers > 0))
        return INFINITY;
    /* sum of P ln P, the outliers sitting in the last bin */
    double p_ln_p = pre[i - 1].entropy + xlogx(bins[i - 1] + outliers);
    /* sum of P ln Q: Q is constant over the occupied bins of a level */
    double p_ln_q = 0, last_mean = 0;
    for (int level = 0, from = 0; level < levels; level++) {
        /* level of bin j is floor(j * levels / i), so it ends before the first j with j * levels >= (level + 1) * i */
        int to = (int)(((int64_t)(level + 1) * i + levels - 1) / levels);
        double mass = pre[to].mass - pre[from].mass;
        int32_t occupied = pre[to].occupied - pre[from].occupied;
        if (occupied > 0) {
            last_mean = mass / occupied;
            p_ln_q += mass * log(last_mean);
        }
        from = to;
    }
    if (outliers > 0)
        p_ln_q += outliers * log(last_mean);
    /* P is normalised by total, Q by inside. */
    return (p_ln_p - p_ln_q) / total + log(inside / total);
}

int oct_kl_bins(const double *bins, int n, int first, int levels)
{
    prefix *pre = calloc((size_t)n + 1, sizeof *pre);
    int best = n;
    double least = INFINITY;
    if (!pre)
        return n; /* keeping everything is always a legal answer */
    for (int i = 0; i < n; i++) {
        pre[i + 1].mass = pre[i].mass + bins[i];
        pre[i + 1].entropy = pre[i].entropy + xlogx(bins[i]);
        pre[i + 1].occupied = pre[i].occupied + (bins[i] > 0);
    }
    for (int i = first; i <= n; i++) {
        double kl = divergence(bins, pre, n, i, levels);
        if (kl < least) {
            least = kl;
            best = i;
        }
    }
    free(pre);
    return best;
}
