/* The profile that bench prints: time of every step, how it adds up to the time of a run, and how far it is from what the cores can
 * do. */
#ifndef OCT_CLI_PROFILE_H
#define OCT_CLI_PROFILE_H

#include "cli.h"

/* Every figure is a mean over the middle half of the runs, ordered by their time: it adds up over steps, and a disturbed run does
 * not count. */
typedef struct cli_profile {
    int step_count;
    oct_step_profile *steps;      /* names and work; seconds is not used */
    double *ms;                   /* per step */
    double sum_ms;                /* of all steps */
    double run_ms;                /* a whole run with the clock on; run - sum is spent outside the steps */
    double latency_ms;            /* a whole run without it; run - latency is what the clock costs */
    double peak_int8, peak_float; /* GMAC/s of all threads together; 0 = not known */
} cli_profile;

/* latency: count runs without the clock, sorted. run_ms: `profiled` runs with it; step_ms: step_count rows of `stride`, a column a
 * run. */
oct_status cli_profile_make(cli_profile *p, const oct_context *context, int step_count, const double *latency, int64_t count,
                            const double *run_ms, const double *step_ms, int64_t profiled, int64_t stride);
void cli_profile_free(cli_profile *p);

/* The table of steps; in full also GB/s, percent of peak, groups by operator and precision, and the reconciliation. */
void cli_profile_print(const cli_profile *p, bool full);
/* "steps", and in full "profile", into root. */
void cli_profile_json(const cli_profile *p, bool full, cJSON *root);

#endif
