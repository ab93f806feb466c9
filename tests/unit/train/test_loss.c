/* Losses: plain double references, gradients against finite differences, extreme logits, NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "train/loss.h"

enum { N = 5, CLASSES = 7, VALUES = N * CLASSES };

static void draw(float *x, uint64_t seed, float size)
{
    oct_rng r = {.seed = seed};
    for (int i = 0; i < VALUES; i++)
        x[i] = (float)(2 * oct_rng_unit(&r) - 1) * size;
}

static const int64_t labels[N] = {0, 6, 3, 3, 1}, labels2[N] = {2, 6, 0, 5, 4};
static const float mix[N] = {1, 0.25f, 0.5f, 0, 0.875f};

/* softmax as it is written in a book, for moderate logits */
static void softmax(const float *z, double t, double p[CLASSES])
{
    double sum = 0;
    for (int k = 0; k < CLASSES; k++)
        sum += p[k] = exp((double)z[k] / t);
    for (int k = 0; k < CLASSES; k++)
        p[k] /= sum;
}

typedef enum loss_kind { PLAIN, SMOOTH, MIXED, DISTILL, SQUARED, KINDS } loss_kind;

static double call(loss_kind kind, const float *z, const float *other, double weight, float *grad)
{
    double loss = 0;
    const oct_loss_targets plain = {.label = labels}, smooth = {.label = labels, .smoothing = 0.1},
                           mixed = {.label = labels, .label2 = labels2, .mix = mix, .smoothing = 0.3};
    switch (kind) {
    case PLAIN: assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &plain, weight, &loss, grad), OCT_OK); break;
    case SMOOTH: assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &smooth, weight, &loss, grad), OCT_OK); break;
    case MIXED: assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &mixed, weight, &loss, grad), OCT_OK); break;
    case DISTILL: assert_int_equal(oct_loss_distill(z, other, N, CLASSES, 2.5, weight, &loss, grad), OCT_OK); break;
    default: oct_loss_squared(z, other, VALUES, weight, &loss, grad); break;
    }
    return loss;
}

static double reference(loss_kind kind, const float *z, const float *other)
{
    double total = 0, p[CLASSES], q[CLASSES];
    for (int i = 0; i < N; i++) {
        softmax(z + i * CLASSES, kind == DISTILL ? 2.5 : 1, p);
        softmax(other + i * CLASSES, 2.5, q);
        for (int k = 0; k < CLASSES; k++) {
            const double d = (double)z[i * CLASSES + k] - (double)other[i * CLASSES + k], one = k == labels[i], two = k == labels2[i], m = (double)mix[i];
            total += kind == PLAIN     ? -one * log(p[k])
                     : kind == SMOOTH  ? -(0.9 * one + 0.1 / CLASSES) * log(p[k])
                     : kind == MIXED   ? -(0.7 * (m * one + (1 - m) * two) + 0.3 / CLASSES) * log(p[k])
                     : kind == DISTILL ? 2.5 * 2.5 * q[k] * log(q[k] / p[k])
                                       : d * d / CLASSES;
        }
    }
    return total / N;
}

static void every_loss__moderate_values__equals_the_reference(void **state)
{
    float z[VALUES], other[VALUES];
    for (uint64_t seed = 0; seed < 20; seed++) {
        draw(z, seed, 4);
        draw(other, 100 + seed, 4);
        for (loss_kind kind = 0; kind < KINDS; kind++) {
            const double want = reference(kind, z, other), got = call(kind, z, other, 1, NULL);
            if (!(fabs(got - want) <= 1e-13 * (1 + fabs(want))))
                fail_msg("loss %d: %.17g, not %.17g", (int)kind, got, want);
        }
    }
}

static void every_loss__gradient__equals_finite_differences_times_weight(void **state)
{
    float z[VALUES], other[VALUES], grad[VALUES];
    for (uint64_t seed = 0; seed < 5; seed++)
        for (loss_kind kind = 0; kind < KINDS; kind++) {
            draw(z, seed, 3);
            draw(other, 50 + seed, 3);
            memset(grad, 0, sizeof grad);
            call(kind, z, other, 0.75, grad);
            for (int i = 0; i < VALUES; i++) {
                const float kept = z[i], up = kept + 0x1p-10f, down = kept - 0x1p-10f;
                z[i] = up;
                double slope = call(kind, z, other, 0.75, NULL);
                z[i] = down;
                slope = (slope - call(kind, z, other, 0.75, NULL)) / ((double)up - (double)down);
                z[i] = kept;
                if (!(fabs(slope - (double)grad[i]) <= 1e-6))
                    fail_msg("loss %d, value %d: gradient %g, slope %g", (int)kind, i, (double)grad[i], slope);
            }
        }
}

static void two_terms__one_after_the_other__added_up(void **state)
{
    float z[VALUES], other[VALUES], one[VALUES] = {0}, two[VALUES] = {0}, both[VALUES] = {0};
    draw(z, 1, 2);
    draw(other, 2, 2);
    double sum = call(PLAIN, z, other, 0.25, one) + call(DISTILL, z, other, 0.75, two), loss = 0;
    assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &(oct_loss_targets){.label = labels}, 0.25, &loss, both), OCT_OK);
    assert_int_equal(oct_loss_distill(z, other, N, CLASSES, 2.5, 0.75, &loss, both), OCT_OK);
    assert_true(loss == sum);
    for (int i = 0; i < VALUES; i++)
        assert_true(both[i] == one[i] + two[i]);
}

static void extreme_logits__finite_loss_and_gradient(void **state)
{
    static const float z[2][3] = {{1e30f, -3e38f, 0}, {-1e5f, -1e5f, -1e5f + 1}};
    float grad[6] = {0};
    double loss = 0;
    /* row 0: all on class 0, wanted 2: loss 1e30; row 1: 1 / (1 + 1 + e) on class 0 */
    assert_int_equal(oct_loss_cross_entropy(z[0], 2, 3, &(oct_loss_targets){.label = (int64_t[]){2, 0}}, 1, &loss, grad), OCT_OK);
    assert_true(fabs(loss / (((double)1e30f + log(2 + M_E)) / 2) - 1) < 1e-12);
    static const double want[6] = {0.5, 0, -0.5, 0.5 * (1 / (2 + M_E) - 1), 0.5 / (2 + M_E), 0.5 * M_E / (2 + M_E)};
    for (int i = 0; i < 6; i++)
        assert_true(fabs((double)grad[i] - want[i]) < 1e-7);
    loss = 0;
    assert_int_equal(oct_loss_cross_entropy(z[0], 1, 3, &(oct_loss_targets){.label = (int64_t[]){0}}, 1, &loss, NULL), OCT_OK);
    assert_true(loss == 0);
    memset(grad, 0, sizeof grad);
    assert_int_equal(oct_loss_distill(z[1], z[0], 1, 3, 1, 1, &loss, grad), OCT_OK); /* KL((1, 0, 0) || row 1) */
    assert_true(fabs(loss - log(2 + M_E)) < 1e-12);
    loss = 0;
    assert_int_equal(oct_loss_distill(z[0], z[0], 1, 3, 4, 1, &loss, grad), OCT_OK);
    assert_true(loss == 0);
    /* A class that is excluded by an infinite logit costs nothing as long as nobody wants it. */
    assert_int_equal(oct_loss_cross_entropy((float[]){0, -INFINITY, 0}, 1, 3, &(oct_loss_targets){.label = (int64_t[]){0}}, 1, &loss, NULL), OCT_OK);
    assert_true(fabs(loss - M_LN2) < 1e-15);
}

static void nan_or_infinite_input__shows_in_loss_and_gradient(void **state)
{
    static const float bad[] = {NAN, INFINITY};
    for (int b = 0; b < 2; b++)
        for (int place = 0; place < CLASSES; place++)
            for (loss_kind kind = 0; kind < KINDS; kind++) {
                float z[VALUES], other[VALUES], grad[VALUES] = {0};
                draw(z, 3, 1);
                draw(other, 4, 1);
                z[2 * CLASSES + place] = bad[b];
                assert_false(isfinite(call(kind, z, other, 1, grad)));
                bool shown = false;
                for (int i = 0; i < VALUES; i++) {
                    shown |= i / CLASSES == 2 && !isfinite(grad[i]);
                    assert_true(i / CLASSES == 2 || isfinite(grad[i])); /* rows do not mix */
                }
                assert_true(shown);
            }
    float z[VALUES], other[VALUES];
    draw(z, 3, 1);
    draw(other, 4, 1);
    other[9] = NAN;
    assert_true(isnan(call(DISTILL, z, other, 1, NULL)));
}

static void bad_arguments__errors_and_nothing_added(void **state)
{
    float z[VALUES], grad[VALUES] = {0};
    double loss = 7;
    draw(z, 1, 1);
    static const int64_t out[N] = {0, 1, 2, 3, CLASSES}, below[N] = {0, -1, 0, 0, 0};
    assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &(oct_loss_targets){.label = out}, 1, &loss, grad), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "label 7 of sample 4 of a batch is outside the 7 classes"));
    assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &(oct_loss_targets){.label = labels, .label2 = below, .mix = mix}, 1, &loss, grad), OCT_ERR_CONTENT);
    assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &(oct_loss_targets){.label = labels, .smoothing = 1}, 1, &loss, grad), OCT_ERR_USAGE);
    assert_int_equal(oct_loss_cross_entropy(z, N, CLASSES, &(oct_loss_targets){.label = labels, .smoothing = NAN}, 1, &loss, grad), OCT_ERR_USAGE);
    assert_int_equal(oct_loss_distill(z, z, N, CLASSES, 0, 1, &loss, grad), OCT_ERR_USAGE);
    assert_int_equal(oct_loss_distill(z, z, N, CLASSES, INFINITY, 1, &loss, grad), OCT_ERR_USAGE);
    assert_true(loss == 7);
    for (int i = 0; i < VALUES; i++)
        assert_true(grad[i] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss__moderate_values__equals_the_reference),
        cmocka_unit_test(every_loss__gradient__equals_finite_differences_times_weight),
        cmocka_unit_test(two_terms__one_after_the_other__added_up),
        cmocka_unit_test(extreme_logits__finite_loss_and_gradient),
        cmocka_unit_test(nan_or_infinite_input__shows_in_loss_and_gradient),
        cmocka_unit_test(bad_arguments__errors_and_nothing_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
