/* The float functions of kernels/nd against libm in double, swept over the bits of all floats; every ISA level gives the same bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernels/nd/nd.h"
#include "num/num.h"

enum { SWEEP_STEP = 1009, COUNT = 4096 };

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
static double gelu_tanh(double x) { return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); }
static double silu(double x) { return x * sigmoid(x); }
static double elu(double x) { return x > 0 ? x : expm1(x); }

/* |got - want| in units of the last place of want, at least those of the smallest normal's. */
static double ulps(float got, double want)
{
    if (got != got || want != want)
        return got != got && want != want ? 0.0 : INFINITY;
    if ((double)got == want || got == (float)want)
        return 0.0;
    if (isinf(got) || isinf((float)want))
        return isinf(got) && fabs(want) > 3.4028233e38 ? 0.0 : INFINITY;
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1.0, (e < -125 ? -125 : e) - 24);
}

/* The worst error over all signs, exponents and a stride of mantissas in [-limit, limit]. */
static double worst(oct_unary_fn fn, float alpha, double (*truth)(double), double limit, float *where)
{
    double bad = 0.0;
    for (uint64_t bits = 0; bits < 0x100000000ull; bits += SWEEP_STEP) {
        const float x = oct_f32_from_bits((uint32_t)bits);
        if (!(fabs((double)x) <= limit))
            continue;
        const double e = ulps(oct_unaryf(fn, alpha, 0.0f, x), truth((double)x));
        if (e > bad) {
            bad = e;
            *where = x;
        }
    }
    return bad;
}

static void check(oct_unary_fn fn, float alpha, double (*truth)(double), double limit, double bound)
{
    float at = 0.0f;
    const double e = worst(fn, alpha, truth, limit, &at);
    if (e > bound)
        fail_msg("function %d: %.3f ulp at %.9g, bound %.3f", (int)fn, e, (double)at, bound);
}

static void exp__all_floats__within_2_ulp(void **state) { check(OCT_UNARY_EXP, 0, exp, INFINITY, 2.0); }
static void log__all_floats__within_2_ulp(void **state) { check(OCT_UNARY_LOG, 0, log, INFINITY, 2.0); }
static void tanh__all_floats__within_3_ulp(void **state) { check(OCT_UNARY_TANH, 0, tanh, INFINITY, 3.0); }
static void sigmoid__all_floats__within_4_ulp(void **state) { check(OCT_UNARY_SIGMOID, 0, sigmoid, INFINITY, 4.0); }
static void erf__all_floats__within_7_ulp(void **state) { check(OCT_UNARY_ERF, 0, erf, INFINITY, 7.0); }
static void softplus__all_floats__within_4_ulp(void **state) { check(OCT_UNARY_SOFTPLUS, 0, softplus, 3e38, 4.0); }
static void elu__all_floats__within_3_ulp(void **state) { check(OCT_UNARY_ELU, 1.0f, elu, 3e38, 3.0); }
/* Beyond 87 the sigmoid is denormal: x times it keeps an absolute error only. */
static void silu__floats_up_to_87__within_5_ulp(void **state) { check(OCT_UNARY_SILU, 0, silu, 87.0, 5.0); }

/* 1 + erf cancels for negative x: the bound is absolute, relative to |x|. */
static void gelu__all_floats__within_3e_7_of_x(void **state)
{
    for (uint64_t bits = 0; bits < 0x100000000ull; bits += SWEEP_STEP) {
        const float x = oct_f32_from_bits((uint32_t)bits);
        if (!(fabsf(x) < 1e30f))
            continue;
        const double e = fabs((double)oct_unaryf(OCT_UNARY_GELU, 0, 0, x) - gelu((double)x));
        const double t = fabs((double)oct_unaryf(OCT_UNARY_GELU_TANH, 0, 0, x) - gelu_tanh((double)x));
        if (e > 3e-7 * fabs((double)x) + 1e-44 || t > 2.5e-7 * fabs((double)x) + 1e-44)
            fail_msg("gelu(%.9g): errors %.3g and %.3g", (double)x, e, t);
    }
}

static void functions__special_values__as_documented(void **state)
{
    assert_true(isnan(oct_expf(NAN)) && isnan(oct_logf(NAN)) && isnan(oct_tanhf(NAN)) && isnan(oct_sigmoidf(NAN)) &&
                isnan(oct_erff(NAN)));
    assert_true(oct_expf(INFINITY) == INFINITY && oct_expf(-INFINITY) == 0.0f && oct_expf(0.0f) == 1.0f);
    assert_true(oct_logf(0.0f) == -INFINITY && isnan(oct_logf(-1.0f)) && oct_logf(INFINITY) == INFINITY && oct_logf(1.0f) == 0.0f);
    assert_true(oct_tanhf(INFINITY) == 1.0f && oct_tanhf(-INFINITY) == -1.0f && signbit(oct_tanhf(-0.0f)));
    assert_true(oct_sigmoidf(INFINITY) == 1.0f && oct_sigmoidf(-INFINITY) == 0.0f && oct_sigmoidf(0.0f) == 0.5f);
    assert_true(oct_erff(INFINITY) == 1.0f && oct_erff(-INFINITY) == -1.0f);
}

static void pow__grid_and_special_values__as_powf(void **state)
{
    static const float special[] = {0.0f,  -0.0f,  1.0f,  -1.0f,    2.0f,      -2.0f, 0.5f, -0.5f, 3.0f,
                                    -3.0f, 1e-30f, 1e30f, INFINITY, -INFINITY, NAN,   1.5f, 1e-42f};
    const int n = (int)(sizeof special / sizeof special[0]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const float got = oct_powf(special[i], special[j]), want = powf(special[i], special[j]);
            if (!(got == want || (isnan(got) && isnan(want))) || (!isnan(want) && signbit(got) != signbit(want)))
                fail_msg("pow(%g, %g) = %.9g, not %.9g", (double)special[i], (double)special[j], (double)got, (double)want);
        }
    for (float x = 0.01f; x < 50.0f; x *= 1.0173f)
        for (float y = -7.3f; y < 8.0f; y += 0.417f)
            assert_true(ulps(oct_powf(x, y), pow((double)x, (double)y)) <= 1.0);
}

static const oct_nd_ops *level(int i) { return i <= (int)oct_cpu_detect() ? oct_nd_ops_get((oct_isa)i) : NULL; }

/* Floats of all kinds: random bits, and random values of everyday size. */
static void fill(float *x, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = i % 3 ? ((float)(int32_t)seed) * (i % 3 == 1 ? 0x1p-28f : 0x1p-24f) : oct_f32_from_bits(seed);
    }
}

static void assert_same_bits(const float *a, const float *b, int n, const char *what, int index)
{
    for (int i = 0; i < n; i++)
        if (oct_f32_bits(a[i]) != oct_f32_bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]))
            fail_msg("%s %d: element %d is %.9g, not %.9g", what, index, i, (double)b[i], (double)a[i]);
}

static void unary__every_level__same_bits(void **state)
{
    static float x[COUNT], want[COUNT], got[COUNT];
    fill(x, COUNT, 7);
    for (int fn = 0; fn < OCT_UNARY_COUNT; fn++) {
        oct_nd_ops_get(OCT_ISA_PORTABLE)->unary((oct_unary_fn)fn, 0.3f, 0.7f, x, want, COUNT);
        for (int i = 1; i < OCT_ISA_COUNT && level(i); i++) {
            level(i)->unary((oct_unary_fn)fn, 0.3f, 0.7f, x, got, COUNT - 3);
            assert_same_bits(want, got, COUNT - 3, "unary", fn);
            memcpy(got, x, sizeof x);
            level(i)->unary((oct_unary_fn)fn, 0.3f, 0.7f, got, got, COUNT); /* in place */
            assert_same_bits(want, got, COUNT, "unary in place", fn);
        }
    }
}

static void binary__every_level_and_step__same_bits(void **state)
{
    static float a[COUNT], b[COUNT], want[COUNT], got[COUNT];
    fill(a, COUNT, 1);
    fill(b, COUNT, 2);
    for (int fn = 0; fn <= OCT_BINARY_PRELU; fn++)
        for (int steps = 0; steps < 4; steps++) {
            const int sa = steps & 1, sb = steps >> 1;
            for (int i = 0; i < 300; i++)
                oct_nd_ops_get(OCT_ISA_PORTABLE)->binary((oct_binary_fn)fn, a + i * sa, 1, b + i * sb, 1, want + i, 1, -5.0f, 6.0f);
            for (int i = 0; i < OCT_ISA_COUNT && level(i); i++) {
                level(i)->binary((oct_binary_fn)fn, a, sa, b, sb, got, 300, -5.0f, 6.0f);
                assert_same_bits(want, got, 300, "binary", fn);
            }
        }
}

static void lanes__every_level_and_length__same_bits(void **state)
{
    static float x[600], y[600];
    oct_nd_lanes want, got;
    for (int i = 0; i < 600; i++)
        x[i] = sinf((float)i) * 3.0f;
    for (int64_t n = 0; n < 530; n += n < 40 ? 1 : 37)
        for (int fn = 0; fn < OCT_REDUCE_COUNT + 2; fn++)
            for (int i = 0; i < OCT_ISA_COUNT && level(i); i++) {
                for (int k = 0; k < OCT_ND_LANES; k++)
                    want.v[k] = got.v[k] = fn < OCT_REDUCE_COUNT ? oct_nd_reduce_start((oct_reduce_fn)fn) : 0.0f;
                for (int64_t k = 0; k < n; k++) {
                    float *t = &want.v[k % 16];
                    const float v = x[k], d = v - 0.25f, e = oct_expf(v - 3.0f);
                    switch (fn) {
                    case OCT_REDUCE_SUM:
                    case OCT_REDUCE_MEAN: *t = *t + v; break;
                    case OCT_REDUCE_MAX: *t = v > *t ? v : *t; break;
                    case OCT_REDUCE_MIN: *t = v < *t ? v : *t; break;
                    case OCT_REDUCE_PROD: *t = *t * v; break;
                    case OCT_REDUCE_COUNT: *t = *t + d * d; break;
                    default: *t = *t + e; break;
                    }
                }
                if (fn < OCT_REDUCE_COUNT)
                    level(i)->lanes((oct_reduce_fn)fn, x, n, &got);
                else if (fn == OCT_REDUCE_COUNT)
                    level(i)->lanes_square(x, n, 0.25f, &got);
                else
                    level(i)->exp_lanes(x, y, n, 3.0f, &got);
                assert_same_bits(want.v, got.v, 16, "lanes", fn);
                if (n > 0) {
                    float max = x[0];
                    for (int64_t k = 1; k < n; k++)
                        max = x[k] > max ? x[k] : max;
                    assert_true(level(i)->max(x, n, -INFINITY) == max);
                }
            }
}

static void lanes_end__distinct_powers__every_lane_once(void **state)
{
    oct_nd_lanes acc;
    for (int i = 0; i < OCT_ND_LANES; i++)
        acc.v[i] = ldexpf(1.0f, i);
    assert_true(oct_nd_lanes_end(OCT_REDUCE_SUM, &acc) == 65535.0f);
    assert_true(oct_nd_lanes_end(OCT_REDUCE_MAX, &acc) == 32768.0f);
    assert_true(oct_nd_lanes_end(OCT_REDUCE_MIN, &acc) == 1.0f);
    assert_true(oct_nd_lanes_end(OCT_REDUCE_PROD, &acc) == ldexpf(1.0f, 120));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp__all_floats__within_2_ulp),
        cmocka_unit_test(log__all_floats__within_2_ulp),
        cmocka_unit_test(tanh__all_floats__within_3_ulp),
        cmocka_unit_test(sigmoid__all_floats__within_4_ulp),
        cmocka_unit_test(erf__all_floats__within_7_ulp),
        cmocka_unit_test(softplus__all_floats__within_4_ulp),
        cmocka_unit_test(elu__all_floats__within_3_ulp),
        cmocka_unit_test(silu__floats_up_to_87__within_5_ulp),
        cmocka_unit_test(gelu__all_floats__within_3e_7_of_x),
        cmocka_unit_test(functions__special_values__as_documented),
        cmocka_unit_test(pow__grid_and_special_values__as_powf),
        cmocka_unit_test(unary__every_level__same_bits),
        cmocka_unit_test(binary__every_level_and_step__same_bits),
        cmocka_unit_test(lanes__every_level_and_length__same_bits),
        cmocka_unit_test(lanes_end__distinct_powers__every_lane_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
