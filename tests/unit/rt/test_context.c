/* The context: inputs are checked by name, type and shape, runs allocate nothing, taps come back as floats in the model's order, NaN are
 * counted, and a plan serves several contexts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include "rt/exec.h"

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != OCT_OK)                                                          \
            fail_msg("%s: %s", #call, oct_last_error()->message);                      \
    } while (0)

enum { C = 3, H = 4, W = 5, COUNT = C * H * W };

static int32_t tensor(oct_draft *d, const char *name, oct_place place, oct_dtype type, bool nhwc, int64_t *at)
{
    oct_plan_tensor t = {.place = place, .dtype = type, .rank = 4, .root = -1, .port = place == OCT_PLACE_INPUT ? 0 : -1, .dims = {1, C, H, W},
                         .strides = {COUNT, H * W, W, 1}, .bytes = COUNT * (int64_t)oct_dtype_size(type)};
    int32_t id;
    if (nhwc) {
        const int64_t strides[4] = {COUNT, 1, W * C, C};
        memcpy(t.strides, strides, sizeof strides);
    }
    if (type == OCT_U8) {
        t.scale = 0.5f;
        t.zero = 10;
    }
    if (place == OCT_PLACE_ARENA) {
        t.offset = *at;
        *at = oct_round_up(*at + t.bytes, OCT_ALIGN);
    }
    OK(oct_draft_tensor(d, name, &t, &id));
    return id;
}

/* x (NCHW floats) -> codes (NHWC) -> y (NCHW floats); codes are tapped. */
static oct_plan *sample(void)
{
    oct_draft *d;
    oct_plan *p;
    int64_t at = 0;
    const int64_t dims[4] = {1, C, H, W};
    const float scale = 0.5f;
    const int32_t zero = 10;
    oct_p_quantize q = {.n = 1, .hi = 255};
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    const int32_t x = tensor(d, "x", OCT_PLACE_INPUT, OCT_F32, false, &at), codes = tensor(d, "codes", OCT_PLACE_ARENA, OCT_U8, true, &at);
    const int32_t y = tensor(d, "y", OCT_PLACE_ARENA, OCT_F32, false, &at);
    OK(oct_draft_const(d, &scale, sizeof scale, &q.scale_at));
    OK(oct_draft_const(d, &zero, sizeof zero, &q.zero_at));
    OK(oct_draft_step_add(d, OCT_STEP_QUANTIZE, OCT_PREC_CONVERT, "q", "QuantizeLinear", "q", "", "", 1, &x, 1, &codes, &q, sizeof q, NULL));
    OK(oct_draft_step_add(d, OCT_STEP_DEQUANTIZE, OCT_PREC_CONVERT, "dq", "DequantizeLinear", "dq", "", "", 1, &codes, 1, &y, &q, sizeof q, NULL));
    OK(oct_draft_port(d, OCT_PORT_INPUT, "x", x, OCT_F32, 4, dims));
    OK(oct_draft_port(d, OCT_PORT_OUTPUT, "y", y, OCT_F32, 4, dims));
    OK(oct_draft_port(d, OCT_PORT_TAP, "codes", codes, OCT_U8, 4, dims));
    OK(oct_draft_port(d, OCT_PORT_TAP, "x", x, OCT_F32, 4, dims));
    d->arena_bytes = at;
    OK(oct_draft_finish(d, &p));
    oct_draft_destroy(d);
    return p;
}

static oct_tensor image(float *data) { return (oct_tensor){.data = data, .dtype = OCT_F32, .rank = 4, .dims = {1, C, H, W}}; }

static void ramp(float *x)
{
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i % 40) - 4;
}

static void context__quantize_and_back__values_and_taps_in_model_order(void **state)
{
    (void)state;
    oct_plan *p = sample();
    float x[COUNT], tap[COUNT];
    oct_tensor t = image(x), y;
    ramp(x);
    for (int threads = 1; threads <= 3; threads++) {
        oct_context *c;
        OK(oct_context_create(p, threads, &c));
        OK(oct_context_set_input(c, "x", &t));
        OK(oct_context_run(c));
        OK(oct_context_get_output(c, "y", &y));
        assert_int_equal(y.rank, 4);
        assert_int_equal(y.dims[3], W);
        assert_memory_equal(y.data, x, sizeof x); /* halves between -5 and 122.5 are exact */
        OK(oct_context_get_tap(c, "codes", tap, COUNT));
        assert_memory_equal(tap, x, sizeof x);
        OK(oct_context_get_tap(c, "x", tap, COUNT));
        assert_memory_equal(tap, x, sizeof x);
        oct_context_destroy(c);
    }
    oct_plan_destroy(p);
}

static void context__wrong_input__error_names_it(void **state)
{
    (void)state;
    oct_plan *p = sample();
    oct_context *c;
    float x[COUNT] = {0};
    oct_tensor t = image(x);
    OK(oct_context_create(p, 1, &c));
    assert_int_equal(oct_context_run(c), OCT_ERR_USAGE);
    assert_string_equal(oct_last_error()->node, "x");
    assert_int_equal(oct_context_set_input(c, "z", &t), OCT_ERR_USAGE);
    t.dtype = OCT_F64;
    assert_int_equal(oct_context_set_input(c, "x", &t), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "'x' is float64 [1, 3, 4, 5], the plan wants float32 [1, 3, 4, 5]"));
    t = image(x);
    t.dims[2] = 9;
    assert_int_equal(oct_context_set_input(c, "x", &t), OCT_ERR_CONTENT);
    t = image(x);
    t.rank = 3;
    assert_int_equal(oct_context_set_input(c, "x", &t), OCT_ERR_CONTENT);
    t = image(NULL);
    assert_int_equal(oct_context_set_input(c, "x", &t), OCT_ERR_USAGE);
    oct_tensor y = {.rank = 77};
    assert_int_equal(oct_context_get_output(c, "z", &y), OCT_ERR_USAGE);
    assert_int_equal(y.rank, 77);
    assert_int_equal(oct_context_get_tap(c, "z", x, COUNT), OCT_ERR_USAGE);
    assert_int_equal(oct_context_get_tap(c, "codes", x, COUNT - 1), OCT_ERR_USAGE);
    assert_int_equal(oct_context_get_tap(c, "x", x, COUNT), OCT_ERR_USAGE);
    assert_int_equal(oct_context_create(p, -1, &c), OCT_ERR_USAGE);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void context__nan_in_the_input__counted_and_zero(void **state)
{
    (void)state;
    oct_plan *p = sample();
    oct_context *c;
    float x[COUNT];
    oct_tensor t = image(x), y;
    ramp(x);
    x[7] = x[31] = NAN;
    OK(oct_context_create(p, 2, &c));
    OK(oct_context_set_input(c, "x", &t));
    OK(oct_context_run(c));
    OK(oct_context_run(c));
    assert_int_equal(oct_context_nan_count(c), 4);
    OK(oct_context_get_output(c, "y", &y));
    assert_true(((float *)y.data)[31] == 0.0f);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void context__run__allocates_nothing(void **state)
{
    (void)state;
    oct_plan *p = sample();
    oct_context *c;
    float x[COUNT];
    oct_tensor t = image(x);
    ramp(x);
    OK(oct_context_create(p, 2, &c));
    OK(oct_context_set_input(c, "x", &t));
    OK(oct_context_run(c));
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 10; i++)
        OK(oct_context_run(c));
    assert_int_equal(mallinfo2().uordblks, before);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void context__profile__runs_and_seconds_since_enabled(void **state)
{
    (void)state;
    oct_plan *p = sample();
    oct_context *c;
    float x[COUNT] = {0};
    oct_tensor t = image(x);
    oct_step_profile s;
    OK(oct_context_create(p, 1, &c));
    OK(oct_context_set_input(c, "x", &t));
    OK(oct_context_run(c));
    oct_context_profile(c, true);
    for (int i = 0; i < 3; i++)
        OK(oct_context_run(c));
    OK(oct_context_get_profile(c, 1, &s));
    assert_int_equal(s.runs, 3);
    assert_true(s.seconds > 0);
    assert_string_equal(s.name, "dq");
    assert_string_equal(s.precision, "convert");
    oct_context_profile(c, false);
    OK(oct_context_run(c));
    OK(oct_context_get_profile(c, 1, &s));
    assert_int_equal(s.runs, 3);
    assert_int_equal(oct_context_get_profile(c, 2, &s), OCT_ERR_USAGE);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

typedef struct shared {
    const oct_plan *plan;
    float add;
    bool good;
} shared;

static void *use(void *arg)
{
    shared *s = arg;
    float x[COUNT];
    oct_tensor t = image(x), y;
    oct_context *c = NULL;
    s->good = oct_context_create(s->plan, 1, &c) == OCT_OK && oct_context_set_input(c, "x", &t) == OCT_OK;
    for (int round = 0; s->good && round < 50; round++) {
        ramp(x);
        for (int i = 0; i < COUNT; i++)
            x[i] += s->add + (float)(round % 8);
        s->good = oct_context_run(c) == OCT_OK && oct_context_get_output(c, "y", &y) == OCT_OK && memcmp(y.data, x, sizeof x) == 0;
    }
    oct_context_destroy(c);
    return NULL;
}

static void plan__several_contexts_at_once__each_has_its_own_values(void **state)
{
    (void)state;
    oct_plan *p = sample();
    pthread_t threads[4];
    shared s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = (shared){p, (float)i * 10, false};
        assert_int_equal(pthread_create(&threads[i], NULL, use, &s[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(s[i].good);
    }
    oct_plan_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context__quantize_and_back__values_and_taps_in_model_order),
        cmocka_unit_test(context__wrong_input__error_names_it),
        cmocka_unit_test(context__nan_in_the_input__counted_and_zero),
        cmocka_unit_test(context__run__allocates_nothing),
        cmocka_unit_test(context__profile__runs_and_seconds_since_enabled),
        cmocka_unit_test(plan__several_contexts_at_once__each_has_its_own_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
