/* What a training run said of itself: as a log of JSON lines, as a chart of characters, as an SVG picture. */
#ifndef OCT_CLI_CURVE_H
#define OCT_CLI_CURVE_H

#include "cli.h"

typedef struct cli_curve_step {
    int64_t epoch, step;
    double loss, lr, images_per_s;
} cli_curve_step;

typedef struct cli_curve_epoch {
    int64_t epoch, step;
    double val_top1, loss;
    double *scales; /* scale_count */
} cli_curve_epoch;

/* Zero-initialise. epochs[0], epoch 0, is the starting point. */
typedef struct cli_curve {
    cli_curve_step *steps;
    cli_curve_epoch *epochs;
    int64_t step_count, step_capacity, epoch_count, epoch_capacity;
    char **scale_names;
    int64_t scale_count;
    int64_t *rollbacks; /* their steps */
    int64_t rollback_count, rollback_capacity;
} cli_curve;

void cli_curve_free(cli_curve *c);
/* Take in one line of a log; false when it is none. */
bool cli_curve_add(cli_curve *c, const cJSON *line);

/* Read a log. 0 or the exit status; CONTENT names file and line. A torn last line, as a killed run leaves it, does not count. */
int cli_curve_read(const cli *c, const char *path, cli_curve *out);
/* Cut a log back to its lines up to `step`, atomically. A missing file is an empty log; a device or pipe stays. 0 or the exit
 * status. */
int cli_log_cut(const cli *c, const char *path, int64_t step);

/* Loss and held-out accuracy over the epochs, some lines of text on stdout. */
void cli_curve_print(const cli_curve *c);
/* The same, and the scales relative to their start, as a picture; atomically. 0 or the exit status. */
int cli_curve_plot(const cli *c, const cli_curve *curve, const char *path);

#endif
