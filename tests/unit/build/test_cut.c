/* The minimum cut against all assignments of small random energies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/rng.h"
#include "build/cut.h"

enum { VARIABLES = 9, PAIRS = 24, CASES = 300 };

typedef struct energy {
    double cost[VARIABLES][2];
    int yes[PAIRS], no[PAIRS];
    double pair[PAIRS];
} energy;

/* Whole microseconds: sums are exact. */
static double random_cost(oct_rng *rng, int most)
{
    return 1e-6 * (double)(oct_rng_next(rng) % (uint64_t)most);
}

static energy random_energy(oct_rng *rng)
{
    energy e;
    for (int i = 0; i < VARIABLES; i++)
        for (int k = 0; k < 2; k++)
            e.cost[i][k] = random_cost(rng, 20);
    for (int i = 0; i < PAIRS; i++) {
        e.yes[i] = (int)(oct_rng_next(rng) % VARIABLES);
        e.no[i] = (int)(oct_rng_next(rng) % VARIABLES);
        e.pair[i] = oct_rng_next(rng) % 5 == 0 ? OCT_CUT_NEVER : random_cost(rng, 12);
    }
    return e;
}

static double value_of(const energy *e, const bool *x)
{
    double sum = 0;
    for (int i = 0; i < VARIABLES; i++)
        sum += e->cost[i][x[i]];
    for (int i = 0; i < PAIRS; i++)
        sum += x[e->yes[i]] && !x[e->no[i]] ? e->pair[i] : 0;
    return sum;
}

static double least(const energy *e)
{
    double best = 1e300;
    for (int bits = 0; bits < 1 << VARIABLES; bits++) {
        bool x[VARIABLES];
        for (int i = 0; i < VARIABLES; i++)
            x[i] = bits >> i & 1;
        double v = value_of(e, x);
        best = v < best ? v : best;
    }
    return best;
}

static void cut__random_energies__are_minimised(void **state)
{
    (void)state;
    oct_rng rng = {4, 0};
    for (int n = 0; n < CASES; n++) {
        energy e = random_energy(&rng);
        bool x[VARIABLES];
        int32_t id;
        oct_cut *c = NULL;
        assert_int_equal(oct_cut_create(&c), OCT_OK);
        for (int i = 0; i < VARIABLES; i++) {
            assert_int_equal(oct_cut_variable(c, e.cost[i][0], e.cost[i][1], &id), OCT_OK);
            assert_int_equal(id, i);
        }
        for (int i = 0; i < PAIRS; i++)
            assert_int_equal(oct_cut_pair(c, e.yes[i], e.no[i], e.pair[i]), OCT_OK);
        assert_int_equal(oct_cut_solve(c, x), OCT_OK);
        double got = value_of(&e, x), want = least(&e);
        if (!(got <= want + 1e-9))
            fail_msg("case %d: %g, the least is %g", n, got, want);
        oct_cut_destroy(c);
    }
}

static void cut__ties__are_true(void **state)
{
    (void)state;
    oct_cut *c = NULL;
    int32_t a, b;
    bool x[2];
    assert_int_equal(oct_cut_create(&c), OCT_OK);
    assert_int_equal(oct_cut_variable(c, 1e-6, 1e-6, &a), OCT_OK);
    assert_int_equal(oct_cut_variable(c, 0, 0, &b), OCT_OK);
    assert_int_equal(oct_cut_pair(c, b, a, 5e-6), OCT_OK);
    assert_int_equal(oct_cut_solve(c, x), OCT_OK);
    assert_true(x[a] && x[b]);
    oct_cut_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut__random_energies__are_minimised),
        cmocka_unit_test(cut__ties__are_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
