/* Solvers against closed forms, brute force and the published golden vectors (docs/numerics.md "solvers"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "num/num.h"
#include "quant/solver.h"

/* --- statistics made from a distribution of |x| --- */

typedef double cdf_fn(double x);
static double exponential(double x) { return 1 - exp(-x); }
static double half_normal(double x) { return erf(x * M_SQRT1_2); }
/* 99.8 % of Laplace b = 1, 0.2 % outliers of sigma 60 */
static double outliers(double x) { return 0.998 * exponential(x) + 0.002 * half_normal(x / 60); }

/* N values of |x| with this distribution up to `range`, all positive, or half of them on each side. */
static oct_observer *from_cdf(cdf_fn *f, double range, bool two_sided)
{
    oct_observer *o = NULL;
    int k;
    assert_int_equal(oct_observer_create(0, &o), OCT_OK);
    frexp(range, &k);
    o->exponent = k - 12;
    o->max = o->top[0] = o->top[1] = (float)range;
    o->min = o->bottom[0] = o->bottom[1] = two_sided ? (float)-range : 0;
    o->samples = 10;
    if (two_sided)
        assert_non_null(o->neg = calloc(1, sizeof *o->neg));
    double w = ldexp(1, o->exponent);
    for (int i = 0; i < OCT_BINS && i * w < range; i++) {
        double b = fmin((i + 1) * w, range), x = (i * w + b) / 2;
        uint64_t n = (uint64_t)floor(1e8 * (f(b) - f(i * w)) + 0.5), half = two_sided ? n / 2 : 0;
        o->pos->linear[i] = n - half;
        o->pos->octave[oct_f32_bits((float)x) >> 19] += n - half;
        if (half) {
            o->neg->linear[i] = half;
            o->neg->octave[oct_f32_bits((float)x) >> 19] += half;
        }
        o->count += n;
        oct_exact_add(&o->sum2, (double)n * x * x);
    }
    return o;
}

static oct_solution solve(const oct_observer *o, oct_scheme scheme, oct_solver solver, double parameter)
{
    oct_method m;
    oct_solution s;
    assert_int_equal(oct_method_make(solver, solver == OCT_SOLVER_PERCENTILE ? parameter : 0, &m), OCT_OK);
    if (solver == OCT_SOLVER_MSE && parameter != 0)
        m.parameter = parameter;
    oct_solve(o, scheme, m, &s);
    return s;
}

static void assert_near(double got, double want, double relative)
{
    if (fabs(got - want) > relative * fabs(want))
        fail_msg("got %.6g, want %.6g", got, want);
}

/* --- entropy --- */

static void kl__golden_vectors__bins_kept(void **state)
{
    (void)state;
    static const struct { cdf_fn *f; double range; int want; } cases[] = {
        {exponential, 16, 1408}, {exponential, 32, 704}, {half_normal, 6, 1634}, {half_normal, 12, 811}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double bins[2048], w = cases[c].range / 2048;
        for (int i = 0; i < 2048; i++)
            bins[i] = floor(1e8 * (cases[c].f((i + 1) * w) - cases[c].f(i * w)) + 0.5);
        assert_int_equal(oct_kl_bins(bins, 2048, 128, 128), cases[c].want);
    }
}

/* The definition, bin by bin: anchors of the prefix-sum form. */
static int kl_plain(const double *bins, int n, int first, int levels)
{
    double least = INFINITY;
    int best = n;
    for (int i = first; i <= n; i++) {
        double out = 0, p_sum = 0, q_sum = 0, kl = 0, level_sum[16] = {0}, q[64], p[64];
        int occupied[16] = {0};
        for (int j = i; j < n; j++)
            out += bins[j];
        for (int j = 0; j < i; j++) {
            level_sum[j * levels / i] += bins[j];
            occupied[j * levels / i] += bins[j] > 0;
        }
        for (int j = 0; j < i; j++) {
            p[j] = bins[j] + (j == i - 1 ? out : 0);
            q[j] = bins[j] > 0 ? level_sum[j * levels / i] / occupied[j * levels / i] : 0;
            p_sum += p[j];
            q_sum += q[j];
        }
        for (int j = 0; j < i; j++)
            if (p[j] > 0)
                kl += q[j] > 0 ? p[j] / p_sum * log(p[j] / p_sum / (q[j] / q_sum)) : INFINITY;
        if (kl < least * (1 - 1e-12) - 1e-15) {
            least = kl;
            best = i;
        }
    }
    return best;
}

static void kl__random_sparse_histograms__same_choice_as_the_definition(void **state)
{
    (void)state;
    oct_rng rng = {17, 0};
    for (int trial = 0; trial < 500; trial++) {
        double bins[64];
        for (int i = 0; i < 64; i++)
            bins[i] = oct_rng_below(&rng, 3) ? (double)oct_rng_below(&rng, 1000) * exp(-i / 10.0) : 0;
        bins[0] = 5;
        bins[63] = 1;
        assert_int_equal(oct_kl_bins(bins, 64, 16, 16), kl_plain(bins, 64, 16, 16));
    }
}

/* --- the comparison table of the three criteria --- */

static void solvers__known_distributions__thresholds_of_the_table(void **state)
{
    (void)state;
    static const struct { cdf_fn *f; double range, kl, mse, p9999; } rows[] = {
        {half_normal, 6, 4.79, 3.92, 3.89}, {half_normal, 12, 4.75, 3.92, 3.89}, {exponential, 16, 11.0, 9.84, 9.21},
        {exponential, 32, 11.0, 9.86, 9.21}, {outliers, 205, 25.7, 140, 117.4}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        oct_observer *o = from_cdf(rows[r].f, rows[r].range, true);
        assert_near((double)solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_ENTROPY, 0).max, rows[r].kl, 0.02);
        assert_near((double)solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MSE, 0).max, rows[r].mse, 0.03);
        assert_near((double)solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_PERCENTILE, 99.99).max, rows[r].p9999, 0.02);
        assert_true(solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MAX, 0).max == (float)rows[r].range);
        oct_observer_destroy(o);
    }
}

static void solvers__outliers__cliff_flag_only_there(void **state)
{
    (void)state;
    oct_observer *o = from_cdf(outliers, 205, true), *n = from_cdf(half_normal, 5, true);
    assert_true(solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MAX, 0).flags & OCT_SOLVED_CLIFF);
    assert_int_equal(solve(n, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MAX, 0).flags, 0);
    n->top[1] = n->top[0] * 0.5f;
    assert_true(solve(n, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MAX, 0).flags & OCT_SOLVED_ONE_SAMPLE);
    oct_observer_destroy(o);
    oct_observer_destroy(n);
}

static void mse__gaussian__known_optimum_and_sqnr(void **state)
{
    (void)state;
    /* Symmetric 8 bits: T = 3.91 sigma, 40.5 dB; half-normal in u8: T = 4.22 sigma. */
    oct_observer *o = from_cdf(half_normal, 6, true), *p = from_cdf(half_normal, 6, false);
    oct_solution s = solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MSE, 0);
    assert_near((double)s.max, 3.91, 0.02);
    assert_near(-10 * log10(s.round + s.clip), 40.5, 0.01);
    assert_near((double)solve(p, OCT_SCHEME_AFFINE, OCT_SOLVER_MSE, 0).max, 4.22, 0.02);
    /* The plane search finds the same on a symmetric distribution: u8 has half a step more. */
    s = solve(o, OCT_SCHEME_AFFINE, OCT_SOLVER_MSE, 0);
    assert_near((double)(s.max - s.min), 2 * 3.92, 0.03);
    /* p = 3 protects the tails. */
    assert_true(solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MSE, 3).max > solve(o, OCT_SCHEME_SYMMETRIC, OCT_SOLVER_MSE, 2).max);
    oct_observer_destroy(o);
    oct_observer_destroy(p);
}

/* --- error of a quantizer --- */

static void error__from_histogram__within_one_percent_of_direct(void **state)
{
    (void)state;
    oct_rng rng = {31, 0};
    enum { N = 100000 };
    float *x = malloc(N * sizeof *x);
    oct_observer *o = NULL;
    assert_non_null(x);
    assert_int_equal(oct_observer_create(0, &o), OCT_OK);
    for (int i = 0; i < N; i++) {
        double u = oct_rng_unit(&rng) + oct_rng_unit(&rng) + oct_rng_unit(&rng) - 1.2;
        x[i] = i % 10 ? (float)u : 0;
    }
    assert_int_equal(oct_observer_push(o, x, N, 1), OCT_OK);
    for (int norm = 2; norm <= 3; norm++)
        for (int trial = 0; trial < 20; trial++) {
            oct_qparams q = oct_qparams_affine_u8(-0.2f - 0.06f * (float)trial, 2.0f - 0.07f * (float)trial, trial % 2);
            double direct = 0, round, clip;
            for (int i = 0; i < N; i++)
                direct += pow(fabs((double)oct_dequantize(oct_quantize(x[i], q.scale, q.zero, 0, 255), q.scale, q.zero) - (double)x[i]), norm) / N;
            oct_quantizer_error(o, q.scale, q.zero, 0, 255, norm, &round, &clip);
            assert_near(round + clip, direct, 0.01);
        }
    oct_observer_destroy(o);
    free(x);
}

static void max__any_range__lossless_and_zero_exact(void **state)
{
    (void)state;
    oct_rng rng = {2, 0};
    for (int trial = 0; trial < 20000; trial++) {
        float a = ldexpf((float)oct_rng_unit(&rng), (int)oct_rng_below(&rng, 40) - 20), b = ldexpf((float)oct_rng_unit(&rng), (int)oct_rng_below(&rng, 40) - 20);
        float lo = trial % 3 ? -a : 0, hi = trial % 5 ? b : 0;
        oct_qparams q = oct_qparams_affine_u8(lo, hi, true);
        double plain = ((double)hi - (double)lo) / 255;
        assert_true(q.zero >= 0 && q.zero <= 255 && q.scale > 0);
        assert_int_equal(oct_quantize(0, q.scale, q.zero, 0, 255), q.zero);
        if (hi == lo)
            continue;
        /* Nothing is cut by more than the rounding of the stored scale. */
        assert_true((double)q.scale * (255 - q.zero) >= (double)hi * (1 - 1e-6));
        assert_true((double)q.scale * q.zero >= -(double)lo * (1 - 1e-6));
        if (plain > 1e-15 && q.zero > 1 && q.zero < 254)
            assert_true((double)q.scale <= plain * 1.0041 * (1 + 1e-6) || fmin((double)hi, -(double)lo) < plain);
    }
    oct_qparams c = oct_qparams_affine_u8(0, 3.7f, true);
    assert_int_equal(oct_quantize(3.7f, c.scale, c.zero, 0, 255), 255);
    assert_near((double)oct_dequantize(255, c.scale, c.zero), 3.7f, 1.2e-7);
}

static void quantizer__random_parameters__idempotent_monotone_half_step(void **state)
{
    (void)state;
    oct_rng rng = {6, 0};
    for (int trial = 0; trial < 100000; trial++) {
        float s = ldexpf(1 + (float)oct_rng_unit(&rng), (int)oct_rng_below(&rng, 120) - 60);
        int32_t z = (int32_t)oct_rng_below(&rng, 256), q = (int32_t)oct_rng_below(&rng, 256);
        assert_int_equal(oct_quantize(oct_dequantize(q, s, z), s, z, 0, 255), q);
        float x = s * ((float)oct_rng_unit(&rng) * 255 - (float)z), y = x + s * (float)oct_rng_unit(&rng);
        int32_t qx = oct_quantize(x, s, z, 0, 255), qy = oct_quantize(y, s, z, 0, 255);
        assert_true(qx <= qy && fabsf(oct_dequantize(qx, s, z) - x) <= s * 0.50002f);
    }
}

/* --- degenerate statistics and odd ranges --- */

static void solvers__degenerate__every_method_gives_a_legal_range(void **state)
{
    (void)state;
    static const float data[][4] = {{0, 0, 0, 0}, {1e-45f, 0, 0, 0}, {-3, -3, -3, -3}, {3e38f, -3e38f, 0, 1}, {NAN, INFINITY, NAN, NAN},
                                    {7, 7, 7, 7}, {1e-30f, -1e-38f, 1e-20f, 0}, {-1e-3f, 1e3f, 1e3f, 1e3f}};
    static const oct_solver solvers[] = {OCT_SOLVER_MAX, OCT_SOLVER_PERCENTILE, OCT_SOLVER_ENTROPY, OCT_SOLVER_MSE};
    for (size_t d = 0; d < sizeof data / sizeof data[0]; d++)
        for (int scheme = 0; scheme < 2; scheme++)
            for (int m = 0; m < 4; m++) {
                oct_observer *o = NULL;
                assert_int_equal(oct_observer_create(0, &o), OCT_OK);
                assert_int_equal(oct_observer_push(o, data[d], 4, 1), OCT_OK);
                oct_solution s = solve(o, (oct_scheme)scheme, solvers[m], 0);
                assert_true(isfinite(s.scale) && s.scale > 0 && s.min <= 0 && s.max >= 0 && isfinite(s.max - s.min) == (d != 3));
                assert_true(s.round >= -1e-30 && s.clip >= 0);
                assert_true(!!(s.flags & OCT_SOLVED_DEAD) == (d == 0 || d == 4));
                assert_true(s.max <= fmaxf(o->max, 0) && s.min >= fminf(o->min, 0));
                oct_observer_destroy(o);
            }
    oct_method m;
    assert_int_equal(oct_method_make(OCT_SOLVER_PERCENTILE, 101, &m), OCT_ERR_USAGE);
    assert_int_equal(oct_method_make(OCT_SOLVER_PERCENTILE, NAN, &m), OCT_ERR_USAGE);
    assert_int_equal(oct_method_make((oct_solver)9, 0, &m), OCT_ERR_USAGE);
}

static void percentile__sorted_data__between_neighbours(void **state)
{
    (void)state;
    /* 100,000 values 1e-3 .. 1 evenly, one of 1e6: the octave table must find what the linear bins cannot. */
    enum { N = 100000 };
    float *x = malloc(N * sizeof *x);
    oct_observer *o = NULL;
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = 1e-5f * (float)(i + 1);
    x[0] = 1e6f;
    assert_int_equal(oct_observer_create(0, &o), OCT_OK);
    assert_int_equal(oct_observer_push(o, x, N, 1), OCT_OK);
    assert_near(oct_percentile(o, 99, 1), 0.99, 0.07);
    assert_near(oct_percentile(o, 50, 1), 0.5, 0.07);
    assert_near(oct_percentile(o, 100, 1), 1e6, 1e-6);
    x[0] = 0;
    oct_observer_destroy(o);
    assert_int_equal(oct_observer_create(0, &o), OCT_OK);
    assert_int_equal(oct_observer_push(o, x, N, 1), OCT_OK);
    for (double p = 60; p < 100; p += 7.3)
        assert_near(oct_percentile(o, p, 1), p / 100, 1e-3);
    oct_observer_destroy(o);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kl__golden_vectors__bins_kept),
        cmocka_unit_test(kl__random_sparse_histograms__same_choice_as_the_definition),
        cmocka_unit_test(solvers__known_distributions__thresholds_of_the_table),
        cmocka_unit_test(solvers__outliers__cliff_flag_only_there),
        cmocka_unit_test(mse__gaussian__known_optimum_and_sqnr),
        cmocka_unit_test(error__from_histogram__within_one_percent_of_direct),
        cmocka_unit_test(max__any_range__lossless_and_zero_exact),
        cmocka_unit_test(quantizer__random_parameters__idempotent_monotone_half_step),
        cmocka_unit_test(solvers__degenerate__every_method_gives_a_legal_range),
        cmocka_unit_test(percentile__sorted_data__between_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
