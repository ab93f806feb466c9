/* One model or plan that answers batches of any size with float rows of its first output. */
#ifndef OCT_EVAL_RUNNER_H
#define OCT_EVAL_RUNNER_H

#include <octavo/eval.h>
#include "base/mem.h"

typedef struct oct_runner oct_runner;

/* A model is built for `batch` samples a run (its own number when its first dimension is fixed); a plan keeps its own.
 * The subject must outlive the runner. Errors: as oct_plan_build; CONTENT when an input or output has no batch dimension. */
oct_status oct_runner_create(const oct_eval_subject *subject, int threads, int64_t batch, oct_runner **out);
void oct_runner_destroy(oct_runner *r);

int64_t oct_runner_batch(const oct_runner *r);
int64_t oct_runner_row(const oct_runner *r);              /* elements of the first output per sample */
bool oct_runner_gives_class(const oct_runner *r);         /* the output is one integer a sample: a class index */
const oct_port *oct_runner_inputs(const oct_runner *r, int *count);

/* Run count samples: inputs in the order of `ports`, found by name (or by place when no name fits), dims[0] = count.
 * rows gets count * row floats. A short last batch is filled up with copies of its last sample. */
oct_status oct_runner_run(oct_runner *r, const oct_port *ports, const oct_tensor *inputs, int input_count, int64_t count, float *rows);

#endif
