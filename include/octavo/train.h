/* Training: quantization-aware and float.  The functions of this header are in liboctavo_train, which is liboctavo and training in one: link it instead of
 * liboctavo. */
#ifndef OCTAVO_TRAIN_H
#define OCTAVO_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include "data.h"
#include "peers.h"
#include "quant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How gradients are checked. Zero-initialise; zeros are the defaults. */
typedef struct oct_gradient_options {
    int64_t batch;            /* value of a free first dimension; 0 = 1 */
    const char *const *dims;  /* "symbol=value" or "input:axis=value" for other free dimensions; may be NULL */
    int dim_count;
    bool training;            /* BatchNormalization by the batch's statistics; needs more than one element a channel */
    int directions;           /* random directions for each tensor; 0 = 4 */
    double step;              /* change of the loss that a difference aims at, as a share of its terms; 0 = 0.003 */
    uint64_t seed;            /* of inputs, loss and directions */
} oct_gradient_options;

/* Compare the backward pass of a float model with central differences (float32 arithmetic, loss summed in double).
 *
 * The loss L is the sum of all output elements, each times a fixed random weight; T is the 2-norm of these terms. Inputs are uniform in [-1, 1). For every input and
 * every parameter v, in each direction u: a random half of the elements goes up the gradient, by a step h that should change L by step * T (0.02 rms(v) at most).
 * With D = L(v + h u) - L(v - h u) and E = <gradient, 2 h u> the error is |D - E| / max(E, 0.0005 T); the second term is for tensors that hardly matter,
 * whose D is rounding noise. Where a step crosses a kink (ReLU, max) D misleads: above 0.001 steps of 1/4, 1/16 and 1/64 are tried too,
 * there to each side alone as well, and the smallest error counts. *worst gets the largest error; a right gradient gives 0.01 and less,
 * and up to 0.02 in deep nets of ReLUs where many of them switch at once.
 * where (may be NULL) gets the name of the tensor with the largest error; free with oct_string_free.
 * Errors: UNSUPPORTED naming node and operator (or an input that is not float32), USAGE (a negative number, an unknown dimension), CONTENT (a value that is not finite), MEMORY. opts may be NULL.
 * The model is not changed. One thread; sources: docs/training.md. */
OCT_API OCT_MUST_USE oct_status oct_check_gradient(const oct_model *model, const oct_gradient_options *opts, double *worst, char **where);

/* --- training --- */

/* How the scales of fake quantization move (docs/training.md "scales"). */
typedef enum oct_scale_mode {
    OCT_SCALES_LEARNED = 0, /* LSQ: by their own gradient */
    OCT_SCALES_CALIBRATED,  /* they stay as calibration found them */
    OCT_SCALES_EMA,         /* activations: moving average of the batches' extremes; weights follow their largest magnitude */
    OCT_SCALES_CLIP         /* PACT: the upper limit of activations is learned; weights as with EMA */
} oct_scale_mode;

typedef enum oct_train_loss {
    OCT_LOSS_CROSS_ENTROPY = 0,
    OCT_LOSS_SQUARED        /* outputs against one-hot labels, or against the teacher's outputs with distill */
} oct_train_loss;

typedef enum oct_train_optimizer { OCT_TRAIN_SGD = 0, OCT_TRAIN_ADAMW } oct_train_optimizer;
typedef enum oct_train_schedule { OCT_TRAIN_COSINE = 0, OCT_TRAIN_STEPS, OCT_TRAIN_CONSTANT } oct_train_schedule;

typedef enum oct_train_event_kind {
    OCT_TRAIN_STARTED,    /* the starting point was evaluated: val_top1 is that of PTQ (or of the float model with float_only) */
    OCT_TRAIN_STEP,       /* one step is done */
    OCT_TRAIN_EPOCH,      /* an epoch is done and evaluated */
    OCT_TRAIN_ROLLBACK,   /* the loss was lost: back to the last good state with a lower rate; text says why */
    OCT_TRAIN_CHECKPOINT, /* a checkpoint was written; text is its path */
    OCT_TRAIN_RESUMED     /* a checkpoint was read; text is its path */
} oct_train_event_kind;

typedef struct oct_train_event {
    oct_train_event_kind kind;
    int64_t epoch, step;               /* epochs and steps done, from the start of the training and not of this process */
    int64_t epochs, steps;             /* of the whole training */
    double loss, lr, images_per_s;     /* of the step; of an epoch: their means */
    double val_top1;                   /* STARTED, EPOCH: percent on held-out data, agreement with the float model without labels; else NaN */
    double seconds;                    /* since the start, of all processes that worked on it one after the other */
    const char *text;                  /* or NULL */
    int64_t scale_count;               /* STARTED, EPOCH: activation quantizers with their scales, borrowed for the call */
    const char *const *scale_names;
    const float *scales;
} oct_train_event;

/* Zero-initialise, then oct_train_default. */
typedef struct oct_train_options {
    int64_t epochs, batch;             /* epochs 0: the starting point is evaluated and written; batch is that of one step, over all processes */
    double rate;                       /* peak learning rate; 0 = by width and optimizer */
    bool float_only;                   /* no quantization: train or fine-tune in float */
    bool kaiming;                      /* fresh weights instead of the model's (He et al. 2015), with float_only */
    int weight_bits, activation_bits;  /* 2 to 8 */
    bool narrow_edges;                 /* first and last weighted layer as narrow as the others; else they keep 8 bits */
    bool per_tensor;                   /* one weight scale a tensor; BatchNormalization is folded before training then */
    oct_scale_mode scales;
    bool int4;                         /* write 4-bit tensors as INT4 and UINT4 (opset 21) */
    bool bf16;                         /* convolutions multiply in bfloat16 and sum in float32; all that is kept stays float32. Needs AVX512_BF16 */
    oct_train_loss loss;
    double smoothing;                  /* of labels, in [0, 1) */
    bool distill;                      /* learn from the float model's outputs; the only way without labels */
    double temperature, distill_share; /* share of the teacher's term with labels, in [0, 1]; 1 without labels */
    oct_train_optimizer optimizer;
    double momentum, weight_decay, max_norm, scale_rate; /* max_norm 0 = no clipping of gradients; scale_rate: times rate, for scales */
    double dampening;                  /* depthwise weights of 4 bits and less are drawn to the middle of their codes, the more the later: strength at the end; 0 = not */
    double average;                    /* decay of the weights' moving average that is evaluated and kept; 0 = none */
    oct_train_schedule schedule;
    double warmup;                     /* epochs */
    double last;                       /* COSINE: share of the rate at the end */
    double every, factor;              /* STEPS: times factor every so many epochs */
    int64_t freeze_bn;                 /* from this epoch on BatchNormalization keeps its statistics; -1 = by the width: from the start at 8 bits, after 70 % of
                                          the epochs below, never in float; -2 = never */
    int64_t reestimate_bn;             /* batches of training data to measure its statistics anew before each evaluation; 0 = keep running averages */
    const oct_augment *augment;        /* NULL = none */
    uint64_t seed;
    int threads;                       /* 0 = all cores; the result does not depend on it */
    int64_t micro_batch;               /* samples that one thread takes at a time; 0 = by the batch. The result depends on it. */
    const char *checkpoint_dir;        /* NULL = none; made where it is missing */
    int64_t checkpoint_every;          /* steps; 0 = at epochs' ends and when stopped */
    bool resume;                       /* go on from checkpoint_dir; from the start where it is empty */
    const volatile sig_atomic_t *stop; /* not 0: write a checkpoint after this step and return; may be NULL */
    const oct_peers *peers;            /* processes that train one model: each takes its part of every batch; NULL = one */
    void (*event)(void *user, const oct_train_event *event); /* may be NULL; from the calling thread */
    void *user;
} oct_train_options;

/* Defaults that work without tuning for a pretrained network (float_only: fine-tuning; kaiming: from scratch): set these two before. */
OCT_API void oct_train_default(oct_train_options *options);

typedef struct oct_train_result {
    double ptq_top1;      /* of the starting point: percent on held-out data (agreement without labels) */
    double best_top1;     /* of what was written, never less */
    int64_t best_epoch;   /* 0 = the starting point */
    int64_t epochs, steps;
    int64_t rollbacks;
    int64_t codes;        /* of activations in the last state, on one batch, compared between the trained graph and the engine; 0 = not compared (float_only) */
    int64_t codes_differing; /* 0 on convolutional networks */
    double codes_worst;   /* largest difference, in codes */
    double seconds;
    bool stopped;         /* by options->stop: the checkpoint holds the rest */
} oct_train_result;

/* Train a float model and write the best state on held-out data: with Q/DQ, or float with float_only. DESIGN 7.
 *
 * ranges: of the model's activations, as a calibrator finds them; NULL with float_only. train, held: sets of samples for the model's inputs, with labels of
 * classes 0 ... of the first output's row (without labels only with distill). A final Softmax is looked through. Where the model's first dimension is not free
 * it is the micro-batch.
 * Same seed, options and data give the same bytes for any number of threads. The caller owns *out, which is set unless the call fails.
 * Errors: USAGE (options), CONTENT (label outside the classes, weights that are not finite, a checkpoint of another run), UNSUPPORTED naming node and operator (or
 * bf16 on a processor without it),
 * IO (a full disk, an unreadable sample), MEMORY. Nothing already written is lost by any of them. */
OCT_API OCT_MUST_USE oct_status oct_train(const oct_model *model, const oct_ranges *ranges, oct_dataset *train, oct_dataset *held, const oct_preprocess *pre,
                                          const oct_train_options *options, oct_model **out, oct_train_result *result);

#ifdef __cplusplus
}
#endif
#endif
