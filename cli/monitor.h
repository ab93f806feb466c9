/* What a person sees of a training run while it goes on: the log, the progress line, the curve that is drawn at the end. */
#ifndef OCT_CLI_MONITOR_H
#define OCT_CLI_MONITOR_H

#include <octavo/train.h>
#include <stdio.h>

#include "curve.h"

typedef struct cli_monitor {
    const cli *c;
    const char *log_path; /* NULL = none */
    FILE *log;
    bool append;                 /* the run may go on from a checkpoint: the log is kept up to there */
    int status;                  /* of the first failure, 0 = none */
    volatile sig_atomic_t *stop; /* set when the log cannot be written; NULL: the run goes on without it */
    cli_curve curve;
    double start, first_seconds, last, last_top1;
    int64_t first_step;
    double image_seconds; /* sum of 1 / images_per_s over an epoch's steps */
    int64_t image_steps;
    bool drawn, terminal;
} cli_monitor;

/* Opens the log for writing, so that a folder that is not there is known before the work. 0 or the exit status. */
int cli_monitor_open(cli_monitor *m, const cli *c, const char *log_path, bool append, volatile sig_atomic_t *stop);
void cli_monitor_close(cli_monitor *m);
/* For oct_train_options.event; user is the monitor. A log that cannot be written stops the run, by a checkpoint; a run that keeps
 * none goes on without a log, since it would be lost. */
void cli_monitor_event(void *user, const oct_train_event *e);

#endif
