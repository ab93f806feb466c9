/* The tape: a bound float graph with room for every value and its gradient, run forward and backward.  DESIGN 7.1.
 *
 * Values and gradients are dense float32, made once for the graph's shapes; forward and backward allocate nothing of their own.
 * Inputs, outputs and parameters lie in ONNX's axis order; between them, where convolutions are, images lie with their channels
 * last. A tape belongs to one thread and starts none: a team trains by one tape a thread, each on its part of the batch.
 * BatchNormalization stays an operator of its own. Nothing here knows of quantization, losses or optimizers. */
#ifndef OCT_TRAIN_TAPE_H
#define OCT_TRAIN_TAPE_H

#include "ir/ir.h"

typedef struct oct_tape oct_tape;

typedef struct oct_tape_options {
    bool training;        /* BatchNormalization by the batch's statistics; else by the running averages */
    bool input_gradients; /* gradients of the graph inputs too */
    bool bf16;            /* convolutions and matrix products multiply in bfloat16 and sum in float32, where oct_cpu_has_bf16 */
    bool real_products;   /* products of quantized tensors multiply real values, not codes (codes.h): for tests */
} oct_tape_options;

/* Where parameters and statistics lie: the parameters first, one after the other in 64-byte steps, then the statistics. The places
 * are the same in every tape of one graph, whatever its batch, so that tapes may share values, and gradients may be summed as one
 * array. */
typedef struct oct_tape_block {
    float *values, *grads; /* [room] */
    int64_t room, trained; /* the first `trained` floats belong to parameters */
} oct_tape_block;

/* One value of a tape: what it is called and where it lies. Borrowed; lives as long as the tape. */
typedef struct oct_tape_value {
    const char *name;
    const oct_shape *shape;
    int64_t count;      /* elements */
    bool channels_last; /* axis 1 lies last in memory; never for inputs, outputs and parameters */
    float *data; /* [count]; inputs and parameters may be written between runs; NULL: inside of operators that are done as one, or
                    codes alone */
    const float *grad;  /* [count] of the last backward; NULL: none is computed */
    const float *codes; /* [count] of a quantizer whose codes are multiplied; else NULL */
    bool parameter;     /* a float constant that ops.inc calls learnable */
    bool statistic;     /* a constant that the batches measure: grad holds what the last training forward measured */
} oct_tape_value;

/* Bring a bound graph into the form that tapes differentiate: constants and shape arithmetic computed, SiLU, hard-swish and GELU
 * recognised. No weights change, BatchNormalization stays. */
oct_status oct_tape_simplify(oct_graph *g);

/* A tape of a bound graph (every shape concrete). The graph is copied and stays the caller's; opts NULL = defaults.
 * UNSUPPORTED naming node and operator where one has no gradient here; MEMORY. The caller owns *out. */
oct_status oct_tape_create(const oct_graph *g, const oct_tape_options *opts, oct_tape **out);
void oct_tape_destroy(oct_tape *t);
void oct_tape_set_training(oct_tape *t, bool training);
/* Strength of the pull of weights to the middle of their codes' bins, of quantizers that ask for one (fake_quant.h); 0 at first. */
void oct_tape_set_dampening(oct_tape *t, double strength);

/* The block in use: the tape's own until another one is set. Setting takes over pointers only; they are borrowed, aligned to 64
 * bytes. */
void oct_tape_get_block(const oct_tape *t, oct_tape_block *out);
void oct_tape_set_block(oct_tape *t, float *values, float *grads);
/* Statistics move: running averages take in what stands in their places of the block's grads (a training forward's, or a mean of
 * several). */
void oct_tape_update_statistics(oct_tape *t);

/* Values by place: graph inputs, outputs, and all of them. false past the end. */
bool oct_tape_input(const oct_tape *t, int64_t i, oct_tape_value *out);
bool oct_tape_output(const oct_tape *t, int64_t i, oct_tape_value *out);
bool oct_tape_value_at(const oct_tape *t, int64_t i, oct_tape_value *out);
/* By name; USAGE when no float value is called so, or none that is kept. */
oct_status oct_tape_find(const oct_tape *t, const char *name, oct_tape_value *out);

/* Compute every value from the inputs' and parameters' data. */
oct_status oct_tape_forward(oct_tape *t);
/* Gradients of inputs, parameters and all between: of sum_i <seeds[i], output i>, after a forward with the same data. seeds: one
 * pointer for each graph output, NULL = zeros. Gradients of the last call are overwritten. */
oct_status oct_tape_backward(oct_tape *t, const float *const *seeds);

#endif
