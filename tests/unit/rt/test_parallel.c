/* One plan, many threads: contexts of it run and change shape in parallel and each gets the bytes that it gets alone.  Run under
 * the thread sanitizer too (make test). Without a builder only the shapes of the plan's own block are there, and the error says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include "rt/exec.h"

#define OK(call)                                                                                                                   \
    do {                                                                                                                           \
        if ((call) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #call, oct_last_error()->message);                                                                  \
    } while (0)

enum { C = 3, W = 40, LENGTHS = 3, MOST = 96, THREADS = 8, RUNS = 40 };
static const int64_t lengths[LENGTHS] = {32, 8, MOST}; /* opt, min, max */

static int32_t tensor(oct_draft *d, oct_place place, oct_dtype type, int64_t h, bool nhwc, int64_t *at)
{
    oct_plan_tensor t = {.place = place,
                         .dtype = type,
                         .rank = 4,
                         .root = -1,
                         .port = place == OCT_PLACE_INPUT ? 0 : -1,
                         .dims = {1, C, h, W},
                         .strides = {C * h * W, nhwc ? 1 : h * W, nhwc ? C * W : W, nhwc ? C : 1},
                         .bytes = C * h * W * (int64_t)oct_dtype_size(type)};
    int32_t id;
    if (place == OCT_PLACE_ARENA) {
        t.offset = *at;
        *at = oct_round_up(*at + t.bytes, OCT_ALIGN);
    }
    OK(oct_draft_tensor(d, "", &t, &id));
    return id;
}

/* x (NCHW floats) -> codes (NHWC) -> y (NCHW floats) for images of h rows. */
static oct_plan *plan_of(int64_t h)
{
    oct_draft *d;
    oct_plan *p;
    int64_t at = 0;
    const int64_t dims[4] = {1, C, h, W};
    const float scale = 0.5f;
    const int32_t zero = 10;
    oct_p_quantize q = {.n = 1, .hi = 255};
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t x = tensor(d, OCT_PLACE_INPUT, OCT_F32, h, false, &at), codes = tensor(d, OCT_PLACE_ARENA, OCT_U8, h, true, &at);
    const int32_t y = tensor(d, OCT_PLACE_ARENA, OCT_F32, h, false, &at);
    OK(oct_draft_const(d, &scale, sizeof scale, &q.scale_at));
    OK(oct_draft_const(d, &zero, sizeof zero, &q.zero_at));
    OK(oct_draft_step_add(d, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, "q", "QuantizeLinear", "q", "", "", 1, &x, 1, &codes, &q,
                          sizeof q, NULL));
    OK(oct_draft_step_add(d, OCT_STEP_DEQUANTIZE, OCT_PREC_CONVERT, "dq", "DequantizeLinear", "dq", "", "", 1, &codes, 1, &y, &q,
                          sizeof q, NULL));
    OK(oct_draft_port(d, OCT_PORT_INPUT, "x", x, OCT_F32, 4, dims));
    OK(oct_draft_port(d, OCT_PORT_OUTPUT, "y", y, OCT_F32, 4, dims));
    d->arena_bytes = at;
    OK(oct_draft_finish(d, &p));
    oct_draft_destroy(d);
    return p;
}

static oct_plan *family(void)
{
    oct_plan *p[LENGTHS], *whole;
    const oct_plan_profile row = {
        .min = {1, C, lengths[1], W}, .opt = {1, C, lengths[0], W}, .max = {1, C, lengths[2], W}, .symbol = {-1, -1, 0, -1}};
    for (int i = 0; i < LENGTHS; i++)
        p[i] = plan_of(lengths[i]);
    OK(oct_plan_compose(p[0], "", 0, &row, (const oct_plan *const *)&p[1], LENGTHS - 1, &whole));
    for (int i = 0; i < LENGTHS; i++)
        oct_plan_destroy(p[i]);
    return whole;
}

typedef struct thread {
    const oct_plan *plan;
    int number, team, wrong;
    pthread_t id;
} thread;

/* One run at one length; whether the output is what it must be. */
static bool run_one(oct_context *c, int64_t h, int seed, float *x)
{
    const int64_t dims[4] = {1, C, h, W};
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {1, C, h, W}}, y;
    for (int64_t i = 0; i < C * h * W; i++)
        x[i] = (float)((i * 7 + seed) % 200) / 2 - 4; /* halves between -5 and 122.5 are exact */
    return oct_context_set_shape(c, "x", 4, dims) == OCT_OK && oct_context_set_input(c, "x", &t) == OCT_OK &&
           oct_context_run(c) == OCT_OK && oct_context_get_output(c, "y", &y) == OCT_OK && y.dims[2] == h &&
           memcmp(y.data, x, sizeof *x * (size_t)(C * h * W)) == 0;
}

static void *work(void *arg)
{
    thread *w = arg;
    static _Thread_local float x[C * MOST * W];
    oct_context *c = NULL;
    w->wrong = oct_context_create(w->plan, w->team, &c) != OCT_OK;
    for (int i = 0; !w->wrong && i < RUNS; i++)
        w->wrong = !run_one(c, lengths[(w->number + i) % LENGTHS], w->number * 31 + i, x);
    oct_context_destroy(c);
    return NULL;
}

static void contexts__one_plan_in_parallel_threads__each_gets_its_own_results(void **state)
{
    (void)state;
    oct_plan *p = family();
    thread w[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (thread){.plan = p, .number = i, .team = 1 + i % 2};
        assert_int_equal(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(w[i].id, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(w[i].wrong, 0);
    oct_plan_destroy(p);
}

static void set_shape__without_a_builder__only_shapes_of_the_file_and_the_old_one_stays(void **state)
{
    (void)state;
    static float x[C * MOST * W];
    oct_plan *p = family();
    oct_context *c;
    oct_port port;
    const int64_t between[4] = {1, C, 20, W}, below[4] = {1, C, 7, W};
    OK(oct_context_create(p, 1, &c));
    assert_true(run_one(c, 8, 1, x));
    assert_int_equal(oct_context_set_shape(c, "x", 4, between), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_last_error()->message, "min, opt and max"));
    assert_int_equal(oct_context_set_shape(c, "x", 4, below), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "axis 2 is 7"));
    assert_int_equal(oct_context_set_shape(c, "x", 3, below), OCT_ERR_USAGE);
    assert_int_equal(oct_context_set_shape(c, "z", 4, below), OCT_ERR_USAGE);
    OK(oct_context_get_port(c, "y", &port));
    assert_int_equal(port.dims[2], 8);
    OK(oct_context_run(c)); /* still bound */
    assert_true(run_one(c, MOST, 2, x));
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void set_shape__plan_without_profile__its_own_shape_only(void **state)
{
    (void)state;
    oct_plan *p = plan_of(8);
    oct_context *c;
    const int64_t own[4] = {1, C, 8, W}, other[4] = {1, C, 9, W};
    OK(oct_context_create(p, 1, &c));
    OK(oct_context_set_shape(c, "x", 4, own));
    assert_int_equal(oct_context_set_shape(c, "x", 4, other), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "axis 2 is 9, the plan was built for 8"));
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void set_shape__new_shape__inputs_are_unbound_and_nan_stay_counted(void **state)
{
    (void)state;
    static float x[C * MOST * W];
    oct_plan *p = family();
    oct_context *c;
    const int64_t small[4] = {1, C, 8, W};
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {1, C, 32, W}};
    memset(x, 0xff, sizeof *x * 5); /* five NaN */
    OK(oct_context_create(p, 1, &c));
    OK(oct_context_set_input(c, "x", &t));
    OK(oct_context_run(c));
    assert_int_equal(oct_context_nan_count(c), 5);
    OK(oct_context_set_shape(c, "x", 4, small));
    assert_int_equal(oct_context_run(c), OCT_ERR_USAGE);
    assert_int_equal(oct_context_set_input(c, "x", &t), OCT_ERR_CONTENT);
    t.dims[2] = 8;
    OK(oct_context_set_input(c, "x", &t));
    OK(oct_context_run(c));
    assert_int_equal(oct_context_nan_count(c), 10);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts__one_plan_in_parallel_threads__each_gets_its_own_results),
        cmocka_unit_test(set_shape__without_a_builder__only_shapes_of_the_file_and_the_old_one_stays),
        cmocka_unit_test(set_shape__plan_without_profile__its_own_shape_only),
        cmocka_unit_test(set_shape__new_shape__inputs_are_unbound_and_nan_stay_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
