/* One training run: what the files train.c (the loop), setup.c (options to objects), state.c (snapshots, checkpoints) share.
 * Private to these. */
#ifndef OCT_TRAIN_RUN_H
#define OCT_TRAIN_RUN_H

#include <octavo/eval.h>
#include "train/average.h"
#include "train/crew.h"
#include "train/optimizer.h"
#include "train/qat.h"
#include "train/schedule.h"

/* All numbers of a run that change; what a checkpoint holds of them. */
typedef struct oct_progress {
    int64_t step, epoch; /* done; step counts all epochs, epoch is complete ones */
    int64_t rollbacks, best_epoch;
    double rate_factor; /* 1, a quarter of it after each rollback */
    double start_top1, best_top1;
    double seconds;            /* of former processes, and of this one at a checkpoint */
    double first_loss;         /* NaN before the first step */
    double window, epoch_loss; /* sums */
    int64_t window_count, epoch_count;
} oct_progress;

/* A state to go back to: copies of values, optimizer and average. */
typedef struct oct_snapshot {
    float *values, *slot[2], *average;
    int64_t steps, updates;
} oct_snapshot;

typedef struct oct_run {
    oct_train_options opts;
    const oct_model *model;
    oct_dataset *train, *held;
    const oct_preprocess *pre;
    bool labelled;
    int64_t batch, micro, steps_per_epoch;
    char *fingerprint; /* options and data that a checkpoint must have been made with */
    oct_qat *qat;
    oct_crew *crew;
    oct_loader *loader;
    oct_param *params;
    int64_t param_count;
    oct_optimizer *optimizer;
    oct_average *average; /* NULL = none */
    oct_schedule schedule;
    oct_snapshot good;
    oct_progress now;
    void *best; /* ONNX bytes of the best model */
    int64_t best_size;
    double started;           /* of this process */
    const char **scale_names; /* for events */
    float *scales;
    int64_t scale_count;
} oct_run;

/* --- setup.c --- */

/* Everything but the loader's place and `now`. USAGE, CONTENT, UNSUPPORTED, MEMORY. */
oct_status oct_run_open(oct_run *r, const oct_ranges *ranges);
void oct_run_close(oct_run *r);
/* A loader of training batches: of the run's order and augmentation, or plain. */
oct_status oct_run_loader(const oct_run *r, bool plain, oct_loader **out);
bool oct_run_leads(const oct_run *r); /* rank 0 */
double oct_run_seconds(const oct_run *r);

/* --- state.c --- */

oct_status oct_run_keep(oct_run *r); /* the current state is good */
void oct_run_go_back(oct_run *r);    /* to the last good one */
void oct_snapshot_free(oct_snapshot *s);
/* Bytes of the best model; taken over. */
void oct_run_set_best(oct_run *r, void *bytes, int64_t size);
oct_status oct_run_save(oct_run *r); /* the checkpoint; an event tells */
/* *found = false where the folder holds none. CONTENT when it belongs to another run. */
oct_status oct_run_resume(oct_run *r, bool *found);

void oct_run_tell(oct_run *r, oct_train_event event);

#endif
