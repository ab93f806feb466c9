/* Plans with several parts: recipe, profile and plans for other shapes come back from a file, and parts that do not fit are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plan/plan.h"

#define OK(call)                                                                                                                   \
    do {                                                                                                                           \
        if ((call) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #call, oct_last_error()->message);                                                                  \
    } while (0)

static int32_t tensor(oct_draft *d, const char *name, oct_place place, int32_t port, int64_t rows, int64_t offset)
{
    oct_plan_tensor t = {.place = place,
                         .dtype = OCT_F32,
                         .rank = 2,
                         .root = -1,
                         .port = port,
                         .dims = {rows, 5},
                         .strides = {5, 1},
                         .bytes = rows * 20,
                         .offset = offset};
    int32_t id;
    OK(oct_draft_tensor(d, name, &t, &id));
    return id;
}

/* a [rows, 5] and b [rows, 5] -> their sum */
static oct_plan *sum(const char *name, int64_t rows)
{
    oct_draft *d;
    oct_plan *p;
    const int64_t dims[2] = {rows, 5};
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t in[2] = {tensor(d, name, OCT_PLACE_INPUT, 0, rows, 0), tensor(d, "b", OCT_PLACE_INPUT, 1, rows, 0)};
    const int32_t y = tensor(d, "y", OCT_PLACE_ARENA, -1, rows, 0);
    const oct_p_binary add = {.fn = OCT_BINARY_ADD, .lo = -1e30f, .hi = 1e30f};
    OK(oct_draft_step_add(d, OCT_STEP_BINARY, OCT_PREC_FLOAT, "add", "Add", "add", "", "", 2, in, 1, &y, &add, sizeof add, NULL));
    OK(oct_draft_port(d, OCT_PORT_INPUT, name, in[0], OCT_F32, 2, dims));
    OK(oct_draft_port(d, OCT_PORT_INPUT, "b", in[1], OCT_F32, 2, dims));
    OK(oct_draft_port(d, OCT_PORT_OUTPUT, "y", y, OCT_F32, 2, dims));
    d->arena_bytes = oct_round_up(rows * 20, OCT_ALIGN);
    OK(oct_draft_finish(d, &p));
    oct_draft_destroy(d);
    return p;
}

static const oct_plan_profile good[2] = {{.min = {2, 5}, .opt = {4, 5}, .max = {8, 5}, .symbol = {0, -1}},
                                         {.min = {2, 5}, .opt = {4, 5}, .max = {8, 5}, .symbol = {0, -1}}};

static void compose__all_parts__come_back_from_a_file(void **state)
{
    (void)state;
    oct_plan *p[3] = {sum("a", 4), sum("a", 2), sum("a", 8)}, *whole, *back;
    char path[] = "/tmp/octavo-compose-XXXXXX";
    int64_t min[OCT_MAX_RANK], opt[OCT_MAX_RANK], max[OCT_MAX_RANK];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    OK(oct_plan_compose(p[0], "recipe", 6, good, (const oct_plan *const *)&p[1], 2, &whole));
    OK(oct_plan_save(whole, path));
    OK(oct_plan_load(path, &back));
    assert_int_equal(back->recipe_size, 6);
    assert_memory_equal(back->recipe, "recipe", 6);
    assert_int_equal(back->shape_count, 2);
    assert_int_equal(back->shapes[1].inputs[1].dims[0], 8);
    assert_true((const char *)back->shapes[0].steps > (const char *)back->map.data &&
                (const char *)back->shapes[0].steps < (const char *)back->map.data + back->map.size);
    OK(oct_plan_get_profile(back, "b", min, opt, max));
    assert_true(min[0] == 2 && opt[0] == 4 && max[0] == 8 && min[1] == 5 && max[1] == 5);
    assert_int_equal(oct_plan_get_profile(back, "y", min, opt, max), OCT_ERR_USAGE);
    OK(oct_plan_get_profile(p[2], "b", min, opt, max));
    assert_true(min[0] == 8 && opt[0] == 8 && max[0] == 8);
    remove(path);
    oct_plan_destroy(back);
    oct_plan_destroy(whole);
    for (int i = 0; i < 3; i++)
        oct_plan_destroy(p[i]);
}

static void refused(const oct_plan *p, const oct_plan_profile *rows, const oct_plan *shape, const char *says)
{
    oct_plan *made;
    assert_int_equal(oct_plan_compose(p, "", 0, rows, &shape, shape != NULL, &made), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, says));
}

static void compose__profile_that_contradicts_itself_or_the_plan__content(void **state)
{
    (void)state;
    oct_plan *p = sum("a", 4);
    oct_plan_profile bad[2];
    memcpy(bad, good, sizeof bad);
    bad[0].min[0] = 5;
    refused(p, bad, NULL, "profile of input 0: a length is out of range");
    memcpy(bad, good, sizeof bad);
    bad[1].max[0] = (int64_t)1 << 40;
    refused(p, bad, NULL, "profile of input 1: a length is out of range");
    memcpy(bad, good, sizeof bad);
    bad[0].opt[0] = 3; /* not the plan's shape */
    refused(p, bad, NULL, "profile of input 0");
    memcpy(bad, good, sizeof bad);
    bad[1].max[0] = 9; /* another range for the same symbol */
    refused(p, bad, NULL, "profile of input 1: its axes contradict each other");
    memcpy(bad, good, sizeof bad);
    bad[1].symbol[0] = -1; /* fixed, but with a range */
    refused(p, bad, NULL, "profile of input 1: its axes contradict each other");
    oct_plan_destroy(p);
}

static void compose__shape_that_does_not_fit__content(void **state)
{
    (void)state;
    oct_plan *p = sum("a", 4), *outside = sum("a", 9), *other = sum("c", 2), *small = sum("a", 2), *nested;
    refused(p, good, outside, "the plan for shape 1 does not fit");
    refused(p, good, other, "the plan for shape 1 does not fit");
    refused(p, NULL, small, "the plan for shape 1 does not fit");
    OK(oct_plan_compose(small, "recipe", 6, NULL, NULL, 0, &nested));
    refused(p, good, nested, "parts that only the outer one may have");
    oct_plan_destroy(nested);
    oct_plan_destroy(small);
    oct_plan_destroy(other);
    oct_plan_destroy(outside);
    oct_plan_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compose__all_parts__come_back_from_a_file),
        cmocka_unit_test(compose__profile_that_contradicts_itself_or_the_plan__content),
        cmocka_unit_test(compose__shape_that_does_not_fit__content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
