/* A float model made ready for training, with or without quantizers, and the trained one written back.  DESIGN 7.2, 7.5.
 *
 * Where quantizers go is src/qparam's placement, asked on the graph whose BatchNormalization is folded; they are put at the same
 * tensors of the graph that is trained, where it stays an operator (per-channel scales absorb it at the end: s' = s |gamma| /
 * sigma). Codes, hence PTQ and export, are the same either way. Below 8 bits only what is multiplied by weights is narrow: a tensor
 * that a sum or a pool reads too has an 8-bit quantizer, the narrow one behind it. */
#ifndef OCT_TRAIN_QAT_H
#define OCT_TRAIN_QAT_H

#include "onnx/model.h"
#include "train/fake_quant.h"
#include "train/tape.h"

typedef struct oct_qat oct_qat;

typedef struct oct_qat_options {
    int64_t batch; /* of the tapes */
    int weight_bits, activation_bits;
    bool narrow_edges, per_tensor, int4;
    oct_scale_mode mode;
} oct_qat_options;

/* ranges NULL: no quantizers. UNSUPPORTED, CONTENT naming the node. The caller owns *out; model must outlive it. */
oct_status oct_qat_create(const oct_model *model, const oct_ranges *ranges, const oct_qat_options *opts, oct_qat **out);
void oct_qat_destroy(oct_qat *q);

/* Bound graphs for tapes, their outputs without a final Softmax: the float model, and the one with quantizers. */
const oct_graph *oct_qat_float_graph(const oct_qat *q);
const oct_graph *oct_qat_graph(const oct_qat *q);

/* Quantizers of less than 8 bits start at the least error on data: observe after each forward of a tape of the float graph, then
 * solve once, before tapes of the other graph are made. Nothing to do at 8 bits: false. */
bool oct_qat_wants_data(const oct_qat *q);
oct_status oct_qat_observe(oct_qat *q, const oct_tape *float_tape);
oct_status oct_qat_solve(oct_qat *q);

/* After each step, on a tape whose block is the one trained, gradients of the step included: scales that follow weights or batches
 * are set, all stay above 0. */
oct_status oct_qat_settle(oct_qat *q, const oct_tape *t);

/* Activation quantizers, in the order of the graph: name of the tensor and current scale; false past the end. */
bool oct_qat_scale(const oct_qat *q, const oct_tape *t, int64_t i, const char **name, float *scale);

/* Is this tensor of the trained graph one that the written model has: a constant of the model, or of a quantizer? What only the
 * bound graph has, computed from others for one batch size, cannot be trained. */
bool oct_qat_keeps(const oct_qat *q, const char *name, int64_t count);

/* The model that the tape's block stands for. The caller owns *out. */
oct_status oct_qat_export(const oct_qat *q, const oct_tape *t, oct_model **out);

#endif
