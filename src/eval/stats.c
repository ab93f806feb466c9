/* The statistics of a comparison.  Formulas: docs/numerics.md "verdict" (McNemar 1947; Fagerland, Lydersen, Laake 2013 for
 * mid-p; Agresti and Min 2005 for the interval). */
#include "eval/stats.h"

#include <math.h>
#include <octavo/eval.h>

#define EXACT_BELOW 1000 /* discordant pairs; above, mid-p has the better coverage and the exact test is needlessly shy */

/* Lower binomial tail sum_{i<=k} C(n,i) / 2^n, and its last term. The terms fall by i / (n - i + 1) from the largest one. */
static double lower_tail(int64_t n, int64_t k, double *last)
{
    int sign;
    double log_term = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) - lgamma_r((double)(n - k) + 1, &sign) -
                      (double)n * log(2.0);
    double term = exp(log_term), sum = term;
    *last = term;
    for (int64_t i = k; i > 0 && term > sum * 1e-18; i--) {
        term *= (double)i / (double)(n - i + 1);
        sum += term;
    }
    return sum;
}

double oct_mcnemar_exact(int64_t better, int64_t worse)
{
    double last;
    if (better + worse == 0)
        return 1;
    return fmin(1, 2 * lower_tail(better + worse, better < worse ? better : worse, &last));
}

double oct_mcnemar_mid(int64_t better, int64_t worse)
{
    double last;
    if (better + worse == 0)
        return 1;
    double tail = lower_tail(better + worse, better < worse ? better : worse, &last);
    return fmin(1, 2 * tail - last);
}

double oct_mcnemar_p(int64_t better, int64_t worse)
{
    if (better < 0 || worse < 0)
        return NAN;
    return better + worse < EXACT_BELOW ? oct_mcnemar_exact(better, worse) : oct_mcnemar_mid(better, worse);
}

void oct_paired_interval(int64_t better, int64_t worse, int64_t n, double interval[2])
{
    double m = (double)n + 2, difference = (double)(better - worse), d = difference / m;
    double se = sqrt((double)(better + worse) + 1 - difference * difference / m) / m;
    interval[0] = fmax(-1, d - 1.96 * se);
    interval[1] = fmin(1, d + 1.96 * se);
}

int64_t oct_arg_max(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (row[i] > row[best] || (isnan(row[best]) && !isnan(row[i])))
            best = i;
    return best;
}

int64_t oct_rank_of(const float *row, int64_t n, int64_t index)
{
    if (isnan(row[index]))
        return n;
    int64_t before = 0;
    for (int64_t i = 0; i < n; i++)
        before += row[i] > row[index] || (row[i] == row[index] && i < index);
    return before;
}

void oct_likeness_add(oct_likeness *l, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i];
        /* Equal infinities are no difference, and must not turn the sums into NaN. */
        double e = a[i] == b[i] ? 0 : y - x;
        l->aa += x * x;
        l->bb += y * y;
        l->ab += x * y;
        l->ee += e * e;
        if (!isnan(l->max_abs) && !(fabs(e) <= l->max_abs)) /* a NaN stays */
            l->max_abs = fabs(e);
    }
}

double oct_likeness_sqnr_db(const oct_likeness *l) { return l->ee == 0 ? INFINITY : 10 * log10(l->aa / l->ee); }

double oct_likeness_cosine(const oct_likeness *l)
{
    if (l->aa == 0 || l->bb == 0)
        return l->aa == l->bb ? 1 : 0;
    return l->ab / (sqrt(l->aa) * sqrt(l->bb));
}

double oct_likeness_rel_l2(const oct_likeness *l) { return l->ee == 0 ? 0 : sqrt(l->ee / l->aa); }
