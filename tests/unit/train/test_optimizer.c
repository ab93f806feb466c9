/* Optimizers and the moving average: steps by hand, a double reference, kinds, clipping, NaN, and going on from a state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "train/average.h"
#include "train/optimizer.h"

#define OK(expr) assert_int_equal((expr), OCT_OK)

static void near(double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%.9g, not %.9g", got, want);
}

/* One weight with a given gradient. */
typedef struct single {
    float w, g;
    oct_optimizer *o;
    oct_optimizer_report report;
} single;

static void single_open(single *s, const oct_optimizer_options *options, oct_param_kind kind, float w)
{
    *s = (single){.w = w};
    OK(oct_optimizer_create(&(oct_param){.name = "w", .value = &s->w, .grad = &s->g, .count = 1, .kind = kind}, 1, options, &s->o));
}
static void single_step(single *s, float g, double rate)
{
    s->g = g;
    OK(oct_optimizer_step(s->o, rate, &s->report));
    assert_true(s->g == g);
}

/* All values are exact in binary. */
static void sgd__three_steps__by_hand(void **state)
{
    oct_optimizer_options x;
    single s;
    oct_optimizer_default(OCT_OPTIMIZER_SGD, &x);
    x.momentum = 0.5;
    single_open(&s, &x, OCT_PARAM_WEIGHT, 4);
    single_step(&s, 1, 0.25); /* m = 1 */
    assert_true(s.w == 3.75f);
    single_step(&s, -2, 0.25); /* m = -1.5 */
    assert_true(s.w == 4.125f);
    single_step(&s, 0, 0.5); /* m = -0.75 */
    assert_true(s.w == 4.5f);
    oct_optimizer_destroy(s.o);
    x.nesterov = true;
    single_open(&s, &x, OCT_PARAM_WEIGHT, 4);
    single_step(&s, 1, 0.25); /* m = 1, by g + m / 2 = 1.5 */
    assert_true(s.w == 3.625f);
    single_step(&s, -2, 0.25); /* m = -1.5, by -2.75 */
    assert_true(s.w == 4.3125f);
    oct_optimizer_destroy(s.o);
    x = (oct_optimizer_options){.weight_decay = 0.5, .rate_factor = {1, 1, 1, 1}};
    single_open(&s, &x, OCT_PARAM_WEIGHT, 4);
    single_step(&s, 1, 0.25); /* g' = 1 + 2 */
    assert_true(s.w == 3.25f);
    oct_optimizer_destroy(s.o);
}

static void adamw__three_steps__by_hand(void **state)
{
    oct_optimizer_options x;
    single s;
    oct_optimizer_default(OCT_OPTIMIZER_ADAMW, &x);
    x.weight_decay = 0.01;
    single_open(&s, &x, OCT_PARAM_WEIGHT, 1);
    /* step 1: m' = g, v' = g^2: the move is the rate whatever g; 1 * (1 - 0.1 * 0.01) - 0.1 = 0.899 */
    single_step(&s, 0.5f, 0.1);
    near(s.w, 0.899, 1e-7);
    /* step 2: m = 0.9 * 0.05 - 0.1 = -0.055, m' = -0.055 / 0.19; v = 0.999 * 0.00025 + 0.001 = 0.00124975, v' = v / 0.001999 */
    single_step(&s, -1, 0.1);
    near(s.w, 0.899 * 0.999 + 0.1 * (0.055 / 0.19) / sqrt(0.00124975 / 0.001999), 1e-7);
    const double second = 0.899 * 0.999 + 0.1 * (0.055 / 0.19) / sqrt(0.00124975 / 0.001999);
    /* step 3: m = -0.0495 + 0.2 = 0.1505, m' = m / 0.271; v = 0.999 * 0.00124975 + 0.004 = 0.00524850025, v' = v / 0.002997001 */
    single_step(&s, 2, 0.05);
    near(s.w, second * 0.9995 - 0.05 * (0.1505 / 0.271) / sqrt(0.00524850025 / 0.002997001), 1e-7);
    oct_optimizer_destroy(s.o);
}

/* Four tensors of all kinds and one without gradient. */
enum { SIZE = 37, TENSORS = 5 };
typedef struct model {
    float value[TENSORS][SIZE], grad[TENSORS][SIZE];
    oct_param params[TENSORS];
} model;

static void make_model(model *m)
{
    oct_rng r = {.seed = 4};
    for (int t = 0; t < TENSORS; t++) {
        m->params[t] = (oct_param){.name = "t", .value = m->value[t], .grad = t == 2 ? NULL : m->grad[t], .count = SIZE - t, .kind = (oct_param_kind)(t < 2 ? t : t - 1)};
        for (int i = 0; i < SIZE; i++)
            m->value[t][i] = (float)(2 * oct_rng_unit(&r) - 1);
    }
    m->params[2].kind = OCT_PARAM_NORM;
}
static void make_grads(model *m, uint64_t step)
{
    oct_rng r = {.seed = 1000 + step};
    for (int t = 0; t < TENSORS; t++)
        for (int i = 0; i < SIZE; i++)
            m->grad[t][i] = (float)(2 * oct_rng_unit(&r) - 1);
}

/* Both optimizers in double, the formulas of the header once more. */
static void both__fifty_steps_of_all_kinds__equal_a_double_reference(void **state)
{
    for (int kind = 0; kind < 3; kind++) { /* SGD, Nesterov, AdamW */
        static double w[TENSORS][SIZE], m1[TENSORS][SIZE], m2[TENSORS][SIZE];
        model m;
        oct_optimizer *o = NULL;
        oct_optimizer_report report;
        oct_optimizer_options x;
        make_model(&m);
        memset(m1, 0, sizeof m1);
        memset(m2, 0, sizeof m2);
        for (int t = 0; t < TENSORS; t++)
            for (int i = 0; i < SIZE; i++)
                w[t][i] = (double)m.value[t][i];
        oct_optimizer_default(kind == 2 ? OCT_OPTIMIZER_ADAMW : OCT_OPTIMIZER_SGD, &x);
        x.nesterov = kind == 1;
        x.weight_decay = 0.125;
        x.max_norm = 6.75;
        x.rate_factor[OCT_PARAM_NORM] = 0;
        x.rate_factor[OCT_PARAM_SCALE] = 0.25;
        OK(oct_optimizer_create(m.params, TENSORS, &x, &o));
        int clipped = 0;
        for (int step = 1; step <= 50; step++) {
            double norm = 0;
            make_grads(&m, (uint64_t)step);
            for (int t = 0; t < TENSORS; t++)
                for (int i = 0; m.params[t].grad && i < SIZE - t; i++)
                    norm += (double)m.grad[t][i] * (double)m.grad[t][i];
            norm = sqrt(norm);
            const double scale = norm > 6.75 ? 6.75 / norm : 1;
            OK(oct_optimizer_step(o, 0.0625, &report));
            near(report.norm, norm, 1e-12);
            assert_true(report.applied && report.clipped == (norm > 6.75));
            clipped += report.clipped;
            for (int t = 0; t < TENSORS; t++) {
                const oct_param_kind k = m.params[t].kind;
                const double rate = 0.0625 * x.rate_factor[k], decay = k == OCT_PARAM_WEIGHT ? 0.125 : 0;
                for (int i = 0; m.params[t].grad && i < SIZE - t; i++) {
                    double g = (double)m.grad[t][i] * scale;
                    if (kind == 2) {
                        m1[t][i] = 0.9 * m1[t][i] + 0.1 * g;
                        m2[t][i] = 0.999 * m2[t][i] + 0.001 * g * g;
                        w[t][i] *= 1 - rate * decay;
                        w[t][i] -= rate * (m1[t][i] / (1 - pow(0.9, step))) / (sqrt(m2[t][i] / (1 - pow(0.999, step))) + 1e-8);
                    } else {
                        g += decay * w[t][i];
                        m1[t][i] = 0.9 * m1[t][i] + g;
                        w[t][i] -= rate * (kind == 1 ? g + 0.9 * m1[t][i] : m1[t][i]);
                    }
                }
            }
            for (int t = 0; t < TENSORS; t++)
                for (int i = 0; i < SIZE; i++)
                    near(m.value[t][i], w[t][i], 2e-5); /* float state: 50 roundings of values up to 8 */
        }
        assert_in_range(clipped, 1, 49); /* both happened */
        oct_optimizer_destroy(o);
    }
}

static void decay__other_kinds__none(void **state)
{
    for (int adam = 0; adam < 2; adam++)
        for (oct_param_kind kind = 0; kind < OCT_PARAM_KINDS; kind++) {
            oct_optimizer_options x;
            single s;
            oct_optimizer_default(adam ? OCT_OPTIMIZER_ADAMW : OCT_OPTIMIZER_SGD, &x);
            x.weight_decay = 0.5;
            single_open(&s, &x, kind, 2);
            single_step(&s, 0, 0.5);
            assert_true(s.w == (kind == OCT_PARAM_WEIGHT ? 1.5f : 2.0f));
            oct_optimizer_destroy(s.o);
        }
}

static void non_finite_gradient__reported_and_nothing_changes(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int adam = 0; adam < 2; adam++) {
        model m, before;
        oct_optimizer *o = NULL;
        oct_optimizer_options x;
        oct_optimizer_report report;
        oct_optimizer_state st;
        make_model(&m);
        oct_optimizer_default(adam ? OCT_OPTIMIZER_ADAMW : OCT_OPTIMIZER_SGD, &x);
        x.max_norm = 1;
        OK(oct_optimizer_create(m.params, TENSORS, &x, &o));
        make_grads(&m, 1);
        OK(oct_optimizer_step(o, 0.1, &report));
        oct_optimizer_get_state(o, &st);
        assert_int_equal(st.slots, 1 + adam);
        assert_int_equal(st.count, 4 * SIZE - 0 - 1 - 3 - 4);
        float kept[2][4 * SIZE];
        for (int k = 0; k < st.slots; k++)
            memcpy(kept[k], st.slot[k], (size_t)st.count * sizeof(float));
        for (int b = 0; b < 3; b++)
            for (int place = 0; place < SIZE - 4; place++) {
                make_grads(&m, 2);
                m.grad[4][place] = bad[b];
                before = m;
                OK(oct_optimizer_step(o, 0.1, &report));
                assert_false(report.applied || report.clipped || isfinite(report.norm));
                assert_memory_equal(m.value, before.value, sizeof m.value);
                assert_int_equal(*st.steps, 1);
                for (int k = 0; k < st.slots; k++)
                    assert_memory_equal(kept[k], st.slot[k], (size_t)st.count * sizeof(float));
            }
        /* Floats whose squares overflow in float are no infinity. */
        make_grads(&m, 3);
        m.grad[0][0] = 3e38f;
        OK(oct_optimizer_step(o, 0.1, &report));
        assert_true(report.applied && report.clipped);
        near(report.norm / (double)3e38f, 1, 1e-12);
        assert_true(isfinite(m.value[0][0]) && *st.steps == 2);
        oct_optimizer_destroy(o);
    }
}

static void state__copied_into_another__goes_on_with_the_same_bits(void **state)
{
    for (int adam = 0; adam < 2; adam++) {
        model a, b;
        oct_optimizer *o = NULL, *p = NULL;
        oct_optimizer_options x;
        oct_optimizer_report report;
        oct_optimizer_state from, to;
        make_model(&a);
        make_model(&b);
        oct_optimizer_default(adam ? OCT_OPTIMIZER_ADAMW : OCT_OPTIMIZER_SGD, &x);
        OK(oct_optimizer_create(a.params, TENSORS, &x, &o));
        OK(oct_optimizer_create(b.params, TENSORS, &x, &p));
        for (uint64_t step = 0; step < 10; step++) {
            make_grads(&a, step);
            OK(oct_optimizer_step(o, 0.1, &report));
            if (step == 4) {
                memcpy(b.value, a.value, sizeof b.value);
                oct_optimizer_get_state(o, &from);
                oct_optimizer_get_state(p, &to);
                for (int k = 0; k < from.slots; k++)
                    memcpy(to.slot[k], from.slot[k], (size_t)from.count * sizeof(float));
                *to.steps = *from.steps;
            }
            if (step > 4) {
                make_grads(&b, step);
                OK(oct_optimizer_step(p, 0.1, &report));
                assert_memory_equal(a.value, b.value, sizeof a.value);
            }
        }
        oct_optimizer_destroy(o);
        oct_optimizer_destroy(p);
    }
}

static void options__nonsense__usage_error(void **state)
{
    oct_optimizer *o = NULL;
    oct_optimizer_report report;
    oct_optimizer_options sgd, adam;
    single s;
    oct_optimizer_default(OCT_OPTIMIZER_SGD, &sgd);
    oct_optimizer_default(OCT_OPTIMIZER_ADAMW, &adam);
    oct_optimizer_options bad[] = {sgd, sgd, sgd, sgd, sgd, sgd, adam, adam, adam, sgd};
    bad[0].momentum = 1;
    bad[1].momentum = NAN;
    bad[2].momentum = 0, bad[2].nesterov = true;
    bad[3].weight_decay = -1;
    bad[4].max_norm = NAN;
    bad[5].rate_factor[OCT_PARAM_SCALE] = INFINITY;
    bad[6].beta1 = 1;
    bad[7].beta2 = -0.5;
    bad[8].epsilon = 0;
    bad[9].kind = (oct_optimizer_kind)7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(oct_optimizer_create(NULL, 0, &bad[i], &o), OCT_ERR_USAGE);
        assert_null(o);
    }
    single_open(&s, &sgd, OCT_PARAM_WEIGHT, 1);
    assert_int_equal(oct_optimizer_step(s.o, NAN, &report), OCT_ERR_USAGE);
    assert_int_equal(oct_optimizer_step(s.o, -1, &report), OCT_ERR_USAGE);
    assert_true(s.w == 1);
    oct_optimizer_destroy(s.o);
    oct_optimizer_destroy(NULL);
}

/* --- the moving average --- */

static void average__updates__ramp_then_decay(void **state)
{
    float w = 1;
    oct_average *a = NULL;
    oct_average_state st;
    OK(oct_average_create(&(oct_param){.name = "w", .value = &w, .count = 1}, 1, 0.25, &a));
    oct_average_get_state(a, &st);
    assert_true(st.count == 1 && st.values[0] == 1);
    double want = 1;
    for (int t = 1; t <= 12; t++) {
        w = (float)(t * t);
        OK(oct_average_update(a));
        const double d = t < 3 ? t / (t + 9.0) : 0.25; /* 1/10, 2/11, 3/12, from then on 1/4 */
        want = d * want + (1 - d) * (t * t);
        near(st.values[0], want, 1e-6 * want);
        assert_int_equal(*st.updates, t);
    }
    oct_average_destroy(a);
    assert_int_equal(oct_average_create(NULL, 0, 1, &a), OCT_ERR_USAGE);
    assert_int_equal(oct_average_create(NULL, 0, NAN, &a), OCT_ERR_USAGE);
    oct_average_destroy(NULL);
}

static void average__swap_twice__same_bits(void **state)
{
    model m, before;
    oct_average *a = NULL;
    oct_average_state st;
    make_model(&m);
    const model start = m;
    OK(oct_average_create(m.params, TENSORS, 0.99, &a));
    oct_average_get_state(a, &st);
    assert_int_equal(st.count, 5 * SIZE - 10);
    for (int t = 0; t < TENSORS; t++) /* running statistics, tensor 2, are averaged too */
        for (int i = 0; i < SIZE; i++)
            m.value[t][i] += 1;
    OK(oct_average_update(a));
    before = m;
    assert_false(oct_average_is_swapped(a));
    oct_average_swap(a);
    assert_true(oct_average_is_swapped(a));
    for (int t = 0; t < TENSORS; t++)
        for (int i = 0; i < SIZE - t; i++)
            near(m.value[t][i], (double)start.value[t][i] + 0.9, 1e-6);
    assert_int_equal(oct_average_update(a), OCT_ERR_INTERNAL);
    oct_average_swap(a);
    assert_memory_equal(m.value, before.value, sizeof m.value);
    OK(oct_average_update(a));
    oct_average_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd__three_steps__by_hand),
        cmocka_unit_test(adamw__three_steps__by_hand),
        cmocka_unit_test(both__fifty_steps_of_all_kinds__equal_a_double_reference),
        cmocka_unit_test(decay__other_kinds__none),
        cmocka_unit_test(non_finite_gradient__reported_and_nothing_changes),
        cmocka_unit_test(state__copied_into_another__goes_on_with_the_same_bits),
        cmocka_unit_test(options__nonsense__usage_error),
        cmocka_unit_test(average__updates__ramp_then_decay),
        cmocka_unit_test(average__swap_twice__same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
