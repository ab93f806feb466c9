/* oneDNN for the trainer: one engine and stream a tape, and convolution primitives with plain arguments.  The only header of ours
 * that knows dnnl.h (2.x).
 *
 * Debian's libdnnl runs on OpenMP. A tape is single-threaded, so every call is made between oct_dnn_enter and oct_dnn_leave, which
 * set the calling thread's OpenMP team to one and back; primitives are made inside such a pair too, for they remember the number of
 * threads. */
#ifndef OCT_TRAIN_DNN_H
#define OCT_TRAIN_DNN_H

#include <dnnl.h>
#include "base/mem.h"

typedef struct oct_dnn oct_dnn;
typedef struct oct_dnn_step oct_dnn_step;

enum { OCT_DNN_ARGS = 3 };

/* One tensor argument: DNNL_ARG_*, its plain layout at the caller's pointer. */
typedef struct oct_dnn_arg {
    int id;
    const dnnl_memory_desc_t *plain;
    bool output;
} oct_dnn_arg;

int oct_dnn_enter(void); /* returns what oct_dnn_leave wants back */
void oct_dnn_leave(int threads);

oct_status oct_dnn_create(oct_dnn **out);
void oct_dnn_destroy(oct_dnn *dnn); /* with all its steps */
dnnl_engine_t oct_dnn_engine(const oct_dnn *dnn);
/* OK, MEMORY, UNSUPPORTED (no implementation, or arguments it does not take) or INTERNAL for a status of oneDNN. */
oct_status oct_dnn_status(dnnl_status_t status, const char *what);
/* Attributes for primitive descriptors: scratch is the caller's. Borrowed. */
const_dnnl_primitive_attr_t oct_dnn_attr(const oct_dnn *dnn);

/* A primitive of a descriptor (which stays the caller's) with reorders around it where it prefers other layouts than the plain
 * ones. */
oct_status oct_dnn_step_create(oct_dnn *dnn, const_dnnl_primitive_desc_t pd, int count, const oct_dnn_arg *args,
                               oct_dnn_step **out);
int64_t oct_dnn_step_scratch(const oct_dnn_step *step); /* bytes */
/* pointers[i] holds argument i in its plain layout. */
oct_status oct_dnn_step_run(oct_dnn *dnn, oct_dnn_step *step, float *const *pointers, void *scratch);

#endif
