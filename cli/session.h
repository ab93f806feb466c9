/* A plan that is run on arrays or on a data set in pieces of its own batch, its outputs joined. */
#ifndef OCT_CLI_SESSION_H
#define OCT_CLI_SESSION_H

#include "source.h"

typedef struct cli_output {
    bool tap;            /* read as float32 with oct_context_get_tap */
    oct_port port;       /* of one run */
    char *data;
    int64_t rows;        /* joined along the first axis */
    int64_t bytes, capacity;
} cli_output;

typedef struct cli_session {
    const oct_plan *plan;
    oct_plan *owned;
    oct_context *context;
    int64_t batch;       /* of the plan; 0 when its inputs have no common first axis */
    oct_port *inputs;
    oct_tensor *bound;   /* per input: what a run reads; data is owned where it is filled up */
    void **fill;
    int input_count, output_count;
    cli_output *outputs; /* taps stand behind the plan's outputs */
    const cli_texts *taps; /* set before open: tensors of the source model to read beside the outputs; NULL = none */
} cli_session;

/* Build (or take) the plan. arrays may be NULL; then free dimensions follow --batch (else `batch`) and `dims` alone. With
 * arrays a free first axis that all inputs and outputs share is cut into --batch (else at most 8); other axes are theirs. */
oct_status cli_session_open(cli_session *s, const cli *c, const cli_subject *subject, const cli_arrays *arrays, int64_t batch, const cli_texts *dims,
                            bool as_float);
void cli_session_close(cli_session *s);

/* Bind `count` samples from `first` on of dense inputs whose first axis is samples; a short piece is filled up with copies of
 * its last sample. tensors are in the order of the plan's inputs. */
oct_status cli_session_bind(cli_session *s, const oct_tensor *tensors, int64_t first, int64_t count);
/* Bind random inputs: floats as normalised pixels have them, random codes, 0 for anything wider. */
oct_status cli_session_random(cli_session *s, uint64_t seed);
/* Run what is bound and append the first `count` rows of every output. */
oct_status cli_session_run(cli_session *s, int64_t count);
/* Everything in `arrays`, in pieces where needed. 0 or the exit status. */
int cli_session_run_arrays(cli_session *s, const cli *c, const cli_arrays *arrays, int64_t *samples);

#endif
