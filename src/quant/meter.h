/* The yardstick of whole-model decisions: the float model's outputs on the kept samples, and the distance of a variant's outputs from
 * them.  A final Softmax is looked through, since errors of its input are errors whatever the class probabilities saturate to. */
#ifndef OCT_QUANT_METER_H
#define OCT_QUANT_METER_H

#include "quant/probe.h"

typedef struct oct_meter {
    const oct_calibrator *cal;
    int samples;                      /* the first kept ones, all of one shape */
    int count;                        /* targets */
    const char **names;               /* borrowed from the model */
    int64_t *size;                    /* elements of each */
    int64_t total;                    /* their sum */
    float *want;                      /* samples x total */
    float *got;                       /* total: room for reading */
    double *energy;                   /* of each target over all samples */
} oct_meter;

/* Run the float model on at most `samples` kept samples. */
oct_status oct_meter_open(const oct_calibrator *cal, int samples, oct_meter *out);
void oct_meter_close(oct_meter *m);
/* Keep the targets readable in g, a clone of the calibrated graph. */
void oct_meter_mark(const oct_meter *m, oct_graph *g);
/* After a run on sample i: adds the squared distance, relative to each target's energy, averaged over targets. Infinite for NaN. */
oct_status oct_meter_add(oct_meter *m, const oct_probe *p, int i, double *error);

#endif
