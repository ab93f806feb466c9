/* One side of a comparison: a model that is built for each new shape of its inputs, a plan, or another runtime. */
#ifndef OCT_EVAL_SIDE_H
#define OCT_EVAL_SIDE_H

#include <octavo/eval.h>
#include "base/mem.h"

typedef struct oct_side {
    const oct_compare_side *what;
    const char **taps; /* tap_count tensors to be read; owned list of borrowed names */
    int64_t tap_count;
    int threads;
    oct_plan *owned; /* of a model: for the shapes of the last run */
    oct_context *context;
    int input_count;
    oct_tensor *inputs; /* input_count: what the last run has read */
    const char **names; /* input_count */
    void **fill;        /* input_count blocks, for samples fewer than a fixed batch */
} oct_side;

/* taps is allocated for `most` names. Copies the description of the side, not what it points to. */
oct_status oct_side_open(oct_side *s, const oct_compare_side *what, int threads, int64_t most);
void oct_side_close(oct_side *s);

/* Run on inputs found by name. */
oct_status oct_side_run(oct_side *s, const char *const *names, const oct_tensor *inputs, int count);
/* Shape of tap i after a run; not for a peer. */
oct_status oct_side_port(const oct_side *s, int64_t tap, oct_port *out);
/* Values of tap i after a run: count floats. */
oct_status oct_side_read(const oct_side *s, int64_t tap, float *data, int64_t count);

#endif
