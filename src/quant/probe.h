/* A variant of the calibrated model made runnable: the float graph itself, one with a tensor fed from outside, one with Q/DQ.  What the
 * choice of ranges measures with (quant/choose.c). */
#ifndef OCT_QUANT_PROBE_H
#define OCT_QUANT_PROBE_H

#include "quant/calibrator.h"

typedef struct oct_probe {
    const oct_calibrator *cal;
    oct_plan *plan;
    oct_context *context;
    oct_tensor *inputs;      /* by plan input; data owned */
    int input_count;
} oct_probe;

/* Build g (taken over, on failure too) for samples shaped like `like`. Values of g marked is_output stay readable. stages: OCT_OPT_*. */
oct_status oct_probe_open(const oct_calibrator *cal, oct_graph *g, unsigned stages, const oct_kept *like, oct_probe *out);
void oct_probe_close(oct_probe *p);
/* The model's inputs from a kept sample. */
oct_status oct_probe_set_sample(oct_probe *p, const oct_kept *k);
/* Another input. count: its size, or that of one row of a fixed batch, which then goes into every row. */
oct_status oct_probe_set(oct_probe *p, const char *name, const float *x, int64_t count);
oct_status oct_probe_run(oct_probe *p);
/* Elements of an output or kept value; its values into x (room for count). */
oct_status oct_probe_size(const oct_probe *p, const char *name, int64_t *count);
oct_status oct_probe_read(const oct_probe *p, const char *name, float *x, int64_t count);

#endif
