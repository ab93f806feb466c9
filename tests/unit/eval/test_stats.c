/* The statistics of the verdict, against worked values and brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <octavo/eval.h>
#include "eval/stats.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

static void mcnemar__worked_examples__match(void **state)
{
    (void)state;
    /* binomial tails computed with exact integer arithmetic */
    NEAR(oct_mcnemar_exact(20, 30), 0.202638751065, 1e-11);
    NEAR(oct_mcnemar_mid(20, 30), 0.160779601812, 1e-11);
    NEAR(oct_mcnemar_exact(60, 40), 0.056887933641, 1e-11);
    NEAR(oct_mcnemar_mid(40, 60), 0.046044066929, 1e-11);
    assert_true(oct_mcnemar_exact(0, 1) == 1);
    NEAR(oct_mcnemar_exact(0, 10), 2.0 / 1024, 1e-15);
    NEAR(oct_mcnemar_mid(0, 10), 1.0 / 1024, 1e-15);
}

static double brute_tail(int n, int k)
{
    double sum = 0, c = pow(0.5, n);
    for (int i = 0; i <= k; i++) {
        sum += c;
        c *= (double)(n - i) / (i + 1);
    }
    return sum;
}

static void mcnemar__all_small_counts__equal_direct_sums(void **state)
{
    (void)state;
    for (int b = 0; b < 40; b++)
        for (int c = 0; c < 40; c++) {
            int n = b + c, k = b < c ? b : c;
            double want = n ? fmin(1, 2 * brute_tail(n, k)) : 1;
            NEAR(oct_mcnemar_exact(b, c), want, 1e-12);
            assert_true(oct_mcnemar_exact(b, c) == oct_mcnemar_exact(c, b));
            assert_true(oct_mcnemar_mid(b, c) <= oct_mcnemar_exact(b, c));
            if (n && b == c)
                NEAR(oct_mcnemar_mid(b, c), 1, 1e-12);
        }
}

static void mcnemar__large_counts__stay_sane_and_switch_to_mid_p(void **state)
{
    (void)state;
    assert_true(oct_mcnemar_p(0, 0) == 1);
    assert_true(oct_mcnemar_p(499, 500) == oct_mcnemar_exact(499, 500));
    assert_true(oct_mcnemar_p(500, 500) == oct_mcnemar_mid(500, 500));
    /* normal approximation holds here to a few tenths of a percent */
    double z = 600 / sqrt(100000.0), p = oct_mcnemar_p(50300, 49700);
    NEAR(p, erfc(z / sqrt(2.0)), 1e-4);
    assert_true(oct_mcnemar_p(0, 5000000) == 0);
    assert_true(isnan(oct_mcnemar_p(-1, 3)));
}

static void interval__worked_examples__match(void **state)
{
    (void)state;
    double ci[2];
    oct_paired_interval(20, 30, 5000, ci); /* B loses 0.20 points */
    NEAR(100 * ci[0], -0.48, 0.005);
    NEAR(100 * ci[1], 0.08, 0.005);
    oct_paired_interval(60, 40, 10000, ci);
    NEAR(100 * ci[0], 0.00, 0.005);
    NEAR(100 * ci[1], 0.40, 0.005);
    oct_paired_interval(0, 0, 1000, ci);
    NEAR(ci[0], -ci[1], 1e-15);
    assert_true(ci[1] > 0);
    oct_paired_interval(1, 0, 1, ci);
    assert_true(ci[0] >= -1 && ci[1] <= 1);
}

static void rows__ties_and_nan__have_one_order(void **state)
{
    (void)state;
    const float v[] = {1, 3, 3, NAN, 2};
    assert_int_equal(oct_arg_max(v, 5), 1);
    assert_int_equal(oct_rank_of(v, 5, 1), 0);
    assert_int_equal(oct_rank_of(v, 5, 2), 1);
    assert_int_equal(oct_rank_of(v, 5, 0), 3);
    assert_int_equal(oct_rank_of(v, 5, 3), 5);
    const float n[] = {NAN, -1};
    assert_int_equal(oct_arg_max(n, 2), 1);
}

static void likeness__known_vectors__sqnr_cosine_distance(void **state)
{
    (void)state;
    oct_likeness l = {0};
    const float a[] = {3, 4, 0}, b[] = {3, 4, 0.5f};
    oct_likeness_add(&l, a, b, 3);
    NEAR(oct_likeness_sqnr_db(&l), 20, 1e-9);
    NEAR(oct_likeness_cosine(&l), 25 / (5 * sqrt(25.25)), 1e-12);
    NEAR(oct_likeness_rel_l2(&l), 0.1, 1e-12);
    assert_true(l.max_abs == 0.5);
    oct_likeness e = {0};
    oct_likeness_add(&e, a, a, 3);
    assert_true(isinf(oct_likeness_sqnr_db(&e)));
    assert_true(oct_likeness_rel_l2(&e) == 0);
    oct_likeness z = {0};
    assert_true(oct_likeness_cosine(&z) == 1);
    const float zero[3] = {0};
    oct_likeness_add(&z, zero, a, 3);
    assert_true(oct_likeness_cosine(&z) == 0);
    oct_likeness bad = {0};
    const float nan[] = {NAN, 5};
    oct_likeness_add(&bad, a, nan, 2);
    assert_true(isnan(bad.max_abs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mcnemar__worked_examples__match), cmocka_unit_test(mcnemar__all_small_counts__equal_direct_sums),
        cmocka_unit_test(mcnemar__large_counts__stay_sane_and_switch_to_mid_p), cmocka_unit_test(interval__worked_examples__match),
        cmocka_unit_test(rows__ties_and_nan__have_one_order), cmocka_unit_test(likeness__known_vectors__sqnr_cosine_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
