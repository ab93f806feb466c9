/* From an observer's statistics to a range, scale and zero point (DESIGN 4.2; docs/numerics.md "solvers").  Pure functions of the
 * statistics; what needs data, the choice of `auto`, is in quant/choose.h. */
#ifndef OCT_QUANT_SOLVER_H
#define OCT_QUANT_SOLVER_H

#include <octavo/quant.h>
#include "num/num.h"
#include "quant/observer.h"

enum {
    OCT_SOLVED_DEAD = 1,      /* nothing but zeros: scale 1, zero 0 */
    OCT_SOLVED_CLIFF = 2,     /* at the 99.9 % percentile more than 0.5 % of the energy is cut off: structured outliers */
    OCT_SOLVED_ONE_SAMPLE = 4 /* one sample alone reaches past 10/7 of all others */
};

typedef struct oct_solution {
    float min, max;      /* min <= 0 <= max */
    float scale;
    int32_t zero;
    double round, clip;  /* predicted mean square error inside and outside of the limits; their sum is the whole */
    unsigned flags;
    const char *name;    /* of the method: "max", "percentile 99.99", "entropy", "mse", "mse3" */
} oct_solution;

/* A method with its parameter: percent for PERCENTILE, the norm 2 or 3 for MSE. AUTO is no method. */
typedef struct oct_method {
    oct_solver solver;
    double parameter;
    const char *name;
} oct_method;

/* USAGE for a percentile outside [50, 100]. */
oct_status oct_method_make(oct_solver solver, double percentile, oct_method *out);
void oct_solve(const oct_observer *o, oct_scheme scheme, oct_method method, oct_solution *out);
/* Solution for limits that somebody else chose. lossless: the grid covers all of [min, max]. */
void oct_solve_limits(const oct_observer *o, oct_scheme scheme, float min, float max, bool lossless, oct_solution *out);

/* A quantizer of less than 8 bits: codes lo ... hi, held in 8-bit types. */
typedef struct oct_narrow {
    oct_qparams params;
    int32_t lo, hi;
} oct_narrow;
/* Least mean square error for 2 to 7 bits. Data without negative values get codes 0 ... 2^bits - 1 and zero point 0. */
oct_narrow oct_solve_narrow(const oct_observer *o, oct_scheme scheme, int bits);
/* Scale of least square error for n weights in runs of `run` elements, `stride` apart, codes lo ... hi, lo < 0 the wider side. 1 where all are 0. */
float oct_solve_narrow_weights(const float *w, int64_t n, int64_t stride, int64_t run, int32_t lo, int32_t hi);

/* Mean |error|^norm of quantizing what o saw with codes [lo, hi], from the histogram, exact for mass uniform in each bin. */
void oct_quantizer_error(const oct_observer *o, float scale, int32_t zero, int32_t lo, int32_t hi, int norm, double *round, double *clip);
/* |x| that a share `percent` of all elements (zeros included) does not pass; `sign` 1: only x counts that are positive, -1: negative, 0: both. */
double oct_percentile(const oct_observer *o, double percent, int sign);
/* Number of bins to keep by the KL rule: n bins of |x| without zeros, candidates first..n, `levels` code levels. Ties: the smallest. */
int oct_kl_bins(const double *bins, int n, int first, int levels);

#endif
