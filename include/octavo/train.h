/* Training.  The functions of this header are in liboctavo_train, which is liboctavo and training in one: link it instead of liboctavo. */
#ifndef OCTAVO_TRAIN_H
#define OCTAVO_TRAIN_H

#include <stdbool.h>
#include "model.h"

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

#ifdef __cplusplus
}
#endif
#endif
