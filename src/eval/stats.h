/* The statistics of a comparison: pure functions of counts and rows.  DESIGN 4.7, docs/numerics.md "verdict". */
#ifndef OCT_EVAL_STATS_H
#define OCT_EVAL_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* Two-sided exact McNemar p of `better` and `worse` discordant pairs, and the same with the mid-p correction. */
double oct_mcnemar_exact(int64_t better, int64_t worse);
double oct_mcnemar_mid(int64_t better, int64_t worse);

/* 95 % interval (Agresti-Min) of the paired difference of two proportions, (better - worse) / n, as fractions. */
void oct_paired_interval(int64_t better, int64_t worse, int64_t n, double interval[2]);

/* Index of the largest of n > 0 values; the first of equals; NaN never wins over a number. */
int64_t oct_arg_max(const float *row, int64_t n);
/* How many values stand before `index` in descending order (equals by index); n when the value is NaN. */
int64_t oct_rank_of(const float *row, int64_t n, int64_t index);

/* Sums for signal-to-noise ratio, cosine and distances of one tensor against another, in double. Zero-initialise. */
typedef struct oct_likeness {
    double aa, bb, ab, ee, max_abs; /* e = b - a */
} oct_likeness;
void oct_likeness_add(oct_likeness *l, const float *a, const float *b, int64_t n);
double oct_likeness_sqnr_db(const oct_likeness *l); /* +inf when equal; -inf when a is all zero and b is not */
double oct_likeness_cosine(const oct_likeness *l);  /* 1 when both are zero, 0 when one is */
double oct_likeness_rel_l2(const oct_likeness *l);  /* |e| / |a|; 0 when equal, +inf when only a is zero */

#endif
