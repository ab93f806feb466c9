/* Losses of a batch and their gradients with respect to the network's output.  anchors/algorithms.md 7.4.
 *
 * All are means over the batch, summed in double, rows in order. Each adds weight * loss to *loss and weight * gradient to grad
 * (NULL = not wanted), so that terms of one objective are added up by calling one after the other: zero both first. A NaN or
 * infinity in the input shows in *loss and grad; nothing is hidden. grad has the shape of the output it belongs to. */
#ifndef OCT_TRAIN_LOSS_H
#define OCT_TRAIN_LOSS_H

#include <stdint.h>
#include "base/status.h"

/* The target of row i: (1 - smoothing) * (mix[i] of label[i], 1 - mix[i] of label2[i]) + smoothing / classes of every class. */
typedef struct oct_loss_targets {
    const int64_t *label;
    const int64_t *label2; /* both NULL: the label alone */
    const float *mix;
    double smoothing; /* in [0, 1) */
} oct_loss_targets;

/* -sum_k t_k log softmax(z)_k; gradient (softmax(z) - t) / n. logits: n x classes. CONTENT for a label outside the classes: then
 * nothing was added. (Smoothing: Szegedy et al. 2015, arXiv 1512.00567; mixed labels: Zhang et al. 2017, 1710.09412.) */
oct_status oct_loss_cross_entropy(const float *logits, int64_t n, int64_t classes, const oct_loss_targets *targets, double weight,
                                  double *loss, float *grad);
/* t^2 KL(softmax(teacher / t) || softmax(student / t)); gradient t (softmax(student / t) - softmax(teacher / t)) / n, of the
 * student. t > 0 (USAGE). (Hinton et al. 2015, arXiv 1503.02531; t^2 keeps the gradient's size for any t.) */
oct_status oct_loss_distill(const float *student, const float *teacher, int64_t n, int64_t classes, double t, double weight,
                            double *loss, float *grad);
/* Mean of (y - target)^2 over count elements; gradient 2 (y - target) / count. */
void oct_loss_squared(const float *y, const float *target, int64_t count, double weight, double *loss, float *grad);
/* The same against one-hot labels: n x classes outputs. CONTENT as above. */
oct_status oct_loss_squared_labels(const float *y, int64_t n, int64_t classes, const int64_t *label, double weight, double *loss,
                                   float *grad);

#endif
