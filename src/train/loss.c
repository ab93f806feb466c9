/* Cross-entropy, distillation and squared error; formulas and sources in the header.
 *
 * Logarithms of softmax are taken as (z - max) - log sum exp(z - max), never as the log of a quotient: a logit of any finite size
 * then gives a finite loss. */
#include "train/loss.h"

#include <math.h>
#include <stddef.h>

/* The largest logit and log sum exp(z * inverse_t - max): what log softmax needs. A NaN anywhere makes both NaN. */
typedef struct normalizer {
    double max, log_sum;
} normalizer;

static normalizer normalize(const float *z, int64_t classes, double inverse_t)
{
    normalizer n = {.max = -INFINITY};
    double sum = 0;
    for (int64_t k = 0; k < classes; k++)
        if (!((double)z[k] * inverse_t <= n.max))
            n.max = isnan(z[k]) || isnan(n.max) ? NAN : (double)z[k] * inverse_t;
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)z[k] * inverse_t - n.max);
    n.log_sum = log(sum);
    return n;
}

static double log_softmax(const normalizer *n, float z, double inverse_t)
{
    return ((double)z * inverse_t - n->max) - n->log_sum;
}

static oct_status check_labels(const int64_t *labels, int64_t n, int64_t classes)
{
    for (int64_t i = 0; labels && i < n; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return oct_fail(OCT_ERR_CONTENT, "label %lld of sample %lld of a batch is outside the %lld classes of the output",
                            (long long)labels[i], (long long)i, (long long)classes);
    return OCT_OK;
}

oct_status oct_loss_cross_entropy(const float *logits, int64_t n, int64_t classes, const oct_loss_targets *targets, double weight,
                                  double *loss, float *grad)
{
    const double eps = targets->smoothing;
    if (!(eps >= 0 && eps < 1))
        return oct_fail(OCT_ERR_USAGE, "a label smoothing of %g: it is in [0, 1)", eps);
    OCT_TRY(check_labels(targets->label, n, classes));
    OCT_TRY(check_labels(targets->label2, n, classes));
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *z = logits + i * classes;
        const normalizer of = normalize(z, classes, 1);
        const int64_t a = targets->label[i], b = targets->label2 ? targets->label2[i] : a;
        const double share = targets->label2 ? (double)targets->mix[i] : 1;
        for (int64_t k = 0; k < classes; k++) {
            const double t = (1 - eps) * ((k == a ? share : 0) + (k == b ? 1 - share : 0)) + eps / (double)classes;
            const double l = log_softmax(&of, z[k], 1);
            if (t != 0 || isnan(l)) /* 0 * log 0 is 0 */
                total -= t * l;
            if (grad)
                grad[i * classes + k] += (float)(weight * (exp(l) - t) / (double)n);
        }
    }
    if (n > 0)
        *loss += weight * total / (double)n;
    return OCT_OK;
}

oct_status oct_loss_distill(const float *student, const float *teacher, int64_t n, int64_t classes, double t, double weight,
                            double *loss, float *grad)
{
    if (!(t > 0 && isfinite(t)))
        return oct_fail(OCT_ERR_USAGE, "a distillation temperature of %g: it is above 0 and finite", t);
    const double inverse = 1 / t;
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *zs = student + i * classes, *zt = teacher + i * classes;
        const normalizer of_s = normalize(zs, classes, inverse), of_t = normalize(zt, classes, inverse);
        for (int64_t k = 0; k < classes; k++) {
            const double ls = log_softmax(&of_s, zs[k], inverse), lt = log_softmax(&of_t, zt[k], inverse), p = exp(lt);
            if (p != 0 || isnan(ls))
                total += p * (lt - ls);
            if (grad)
                grad[i * classes + k] += (float)(weight * t * (exp(ls) - p) / (double)n);
        }
    }
    if (n > 0)
        *loss += weight * t * t * total / (double)n;
    return OCT_OK;
}

void oct_loss_squared(const float *y, const float *target, int64_t count, double weight, double *loss, float *grad)
{
    double total = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)y[i] - (double)target[i];
        total += d * d;
        if (grad)
            grad[i] += (float)(weight * 2 * d / (double)count);
    }
    if (count > 0)
        *loss += weight * total / (double)count;
}

oct_status oct_loss_squared_labels(const float *y, int64_t n, int64_t classes, const int64_t *label, double weight, double *loss,
                                   float *grad)
{
    double total = 0;
    const double count = (double)(n * classes);
    OCT_TRY(check_labels(label, n, classes));
    for (int64_t i = 0; i < n * classes; i++) {
        const double d = (double)y[i] - (i % classes == label[i / classes]);
        total += d * d;
        if (grad)
            grad[i] += (float)(weight * 2 * d / count);
    }
    if (count > 0)
        *loss += weight * total / count;
    return OCT_OK;
}
