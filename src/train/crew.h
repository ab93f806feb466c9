/* The team at work: a batch is cut into micro-batches of one size, threads claim them, gradients are summed in the micro-batches'
 * order.  DESIGN 7.
 *
 * A tape a thread, one set of values for all. The sum does not depend on who did what, so results are the same for any number of
 * threads, and a thread that a busy neighbour holds up does fewer micro-batches. BatchNormalization's statistics are those of a
 * micro-batch; their mean moves the running averages. */
#ifndef OCT_TRAIN_CREW_H
#define OCT_TRAIN_CREW_H

#include <octavo/train.h>
#include "train/tape.h"

typedef struct oct_crew oct_crew;

/* What is learned, of a net's first output. */
typedef struct oct_objective {
    oct_train_loss loss;
    double smoothing, temperature;
    double teacher; /* share of the teacher's term, 0 to 1 */
} oct_objective;

typedef struct oct_crew_options {
    int threads;            /* 0 = all cores */
    bool bf16;              /* of the tapes */
    int64_t micros;         /* micro-batches of one step in this process */
    int64_t first, all;     /* index of the first of them among those of all processes, and how many these are */
    const oct_peers *peers; /* NULL = one process */
    oct_objective objective;
} oct_crew_options;

/* Graphs bound to one micro-batch; teacher NULL where no objective asks for it. CONTENT when its outputs do not fit. The graphs
 * stay the caller's. */
oct_status oct_crew_create(const oct_graph *graph, const oct_graph *teacher, const oct_crew_options *opts, oct_crew **out);
void oct_crew_destroy(oct_crew *c);

int64_t oct_crew_classes(const oct_crew *c); /* elements of the first output, one sample */
/* A tape over the shared values and the summed gradients, for looking and changing between steps. */
oct_tape *oct_crew_tape(const oct_crew *c);

/* From the next step on; see oct_tape_set_dampening. */
void oct_crew_set_dampening(oct_crew *c, double strength);

/* Mean loss of the batch (all * micro-batch samples, over all processes), its gradients in the tape's block, with them the means of
 * what the statistics measured. learn false: statistics only, no loss. normalize: BatchNormalization by the batch. CONTENT for
 * labels outside the classes. */
oct_status oct_crew_step(oct_crew *c, const oct_batch *batch, bool normalize, bool learn, double *loss);

#endif
