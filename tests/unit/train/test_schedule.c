/* Learning rates: values of each kind at and around the steps where they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "train/schedule.h"

static void expect(const oct_schedule *s, int64_t step, double want)
{
    const double got = oct_schedule_rate(s, step);
    if (!(fabs(got - want) <= 1e-15))
        fail_msg("step %lld: %.17g, not %.17g", (long long)step, got, want);
}

static void constant__warm_up__linear_then_flat(void **state)
{
    const oct_schedule s = {.rate = 0.1, .warmup = 4};
    static const double want[] = {0.025, 0.05, 0.075, 0.1, 0.1, 0.1};
    assert_int_equal(oct_schedule_check(&s), OCT_OK);
    for (int i = 0; i < 6; i++)
        expect(&s, i, want[i]);
    expect(&(oct_schedule){.rate = 0.1}, 0, 0.1);
    expect(&s, INT64_MAX, 0.1);
}

static void step__every_n__multiplied(void **state)
{
    const oct_schedule s = {.kind = OCT_SCHEDULE_STEP, .rate = 8, .warmup = 2, .every = 3, .factor = 0.5};
    static const double want[] = {4, 8, 8, 8, 8, 4, 4, 4, 2};
    assert_int_equal(oct_schedule_check(&s), OCT_OK);
    for (int i = 0; i < 9; i++)
        expect(&s, i, want[i]);
}

static void cosine__warm_up_and_floor__known_points(void **state)
{
    const oct_schedule s = {.kind = OCT_SCHEDULE_COSINE, .rate = 2, .warmup = 10, .steps = 110, .last = 0.1};
    assert_int_equal(oct_schedule_check(&s), OCT_OK);
    expect(&s, 0, 0.2);
    expect(&s, 9, 2);
    expect(&s, 10, 2);
    expect(&s, 10 + 50, 2 * 0.55);                              /* cos(pi / 2) = 0 */
    expect(&s, 10 + 25, 2 * (0.1 + 0.45 * (1 + M_SQRT1_2)));     /* cos(pi / 4) */
    expect(&s, 110, 0.2);
    expect(&s, 100000, 0.2);
    for (int64_t i = 10; i < 110; i++)
        assert_true(oct_schedule_rate(&s, i) > oct_schedule_rate(&s, i + 1));
}

static void check__nonsense__usage_error(void **state)
{
    static const struct {
        oct_schedule s;
        const char *says;
    } cases[] = {
        {{.rate = 0}, "a learning rate of 0"},
        {{.rate = NAN}, "learning rate"},
        {{.rate = INFINITY}, "learning rate"},
        {{.rate = 1, .warmup = -1}, "warm-up of -1"},
        {{.rate = 1, .kind = OCT_SCHEDULE_STEP, .factor = 0.5}, "every 0 steps"},
        {{.rate = 1, .kind = OCT_SCHEDULE_STEP, .every = 1, .factor = 2}, "factor of 2"},
        {{.rate = 1, .kind = OCT_SCHEDULE_COSINE, .steps = 5, .warmup = 5}, "5 steps with a warm-up of 5"},
        {{.rate = 1, .kind = OCT_SCHEDULE_COSINE, .steps = 5, .last = 1.5}, "share of 1.5"},
        {{.rate = 1, .kind = (oct_schedule_kind)9}, "kind 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(oct_schedule_check(&cases[i].s), OCT_ERR_USAGE);
        assert_non_null(strstr(oct_last_error()->message, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant__warm_up__linear_then_flat),
        cmocka_unit_test(step__every_n__multiplied),
        cmocka_unit_test(cosine__warm_up_and_floor__known_points),
        cmocka_unit_test(check__nonsense__usage_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
