/* oct_plan_inspect_json: figures that can be counted by hand. */
#include "unit/build/qdq.h"

#include <octavo/octavo.h>
#include "kernels/kernel.h"

static double number(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItem(o, key);
    assert_non_null(n);
    return n->valuedouble;
}
static const char *text(const cJSON *o, const char *key)
{
    const char *t = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    assert_non_null(t);
    return t;
}

static cJSON *inspect(const oct_model *m, bool as_float)
{
    oct_plan *plan = NULL;
    char *json = NULL;
    OK(oct_plan_build(m, &(oct_build_options){.mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST}, &plan));
    OK(oct_plan_inspect_json(plan, &json));
    oct_plan_destroy(plan);
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    oct_string_free(json);
    return root;
}

/* x[1,8,4,4] -> Q DQ -> conv 1x1 of 8 channels -> relu -> Q DQ -> softmax -> y */
static oct_model *small(void)
{
    static int8_t w[64];
    for (int i = 0; i < 64; i++)
        w[i] = (int8_t)(i % 13 - 6);
    oct_graph *g = qdq_graph();
    oct_value *x = qdq_pair(g, "x", qdq_input(g, "x", 4, (int64_t[]){1, 8, 4, 4}), 0.5f, 128);
    oct_value *r = qdq_pair(g, "r", qdq_op(g, OCT_OP_RELU, "relu", qdq_conv(g, "conv", x, 8, 8, w, 0.25f), NULL, NULL), 2, 3);
    return qdq_model(g, qdq_op(g, OCT_OP_SOFTMAX, "y", r, NULL, NULL));
}

static void inspect__int8_conv__says_all_that_was_fused_and_moved(void **state)
{
    (void)state;
    oct_model *m = small();
    cJSON *root = inspect(m, false);
    const cJSON *s = NULL, *e;
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(root, "steps")) if (strcmp(text(e, "op"), "Conv") == 0) s = e;
    assert_non_null(s);
    assert_string_equal(text(s, "precision"), "int8");
    assert_string_equal(text(s, "kind"), "conv");
    assert_string_equal(text(s, "reason"), "");
    assert_non_null(strstr(text(s, "fused"), "conv + "));
    assert_non_null(strstr(text(s, "fused"), " + relu"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(s, "sources")), 4);
    assert_int_equal((int)number(s, "macs"), 8 * 8 * 16);
    const oct_qconv_kernel *k = oct_qconv_find(text(s, "tactic"));
    assert_non_null(k);
    assert_int_equal((int)number(s, "weight_bytes"), (int)(oct_qconv_panel_bytes(k->nr, 1, 8) * ((8 + k->nr - 1) / k->nr)));
    assert_int_equal((int)number(s, "bytes"), 2 * 8 * 16 + (int)number(s, "weight_bytes"));
    const cJSON *in = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "inputs"), 0),
                *out = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "outputs"), 0);
    assert_true(number(in, "scale") == 0.5 && number(in, "zero") == 128 && number(out, "scale") == 2 && number(out, "zero") == 3);
    assert_string_equal(text(out, "dtype"), "uint8");
    assert_string_equal(text(out, "format"), "nhwc");
    assert_string_equal(
        text(cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "steps"), 0), "inputs"), 0),
             "format"),
        "plain");
    cJSON_Delete(root);
    oct_model_destroy(m);
}

static void inspect__summary__counts_the_steps_and_their_reasons(void **state)
{
    (void)state;
    oct_model *m = small();
    for (int as_float = 0; as_float < 2; as_float++) {
        cJSON *root = inspect(m, as_float);
        const cJSON *summary = cJSON_GetObjectItem(root, "summary"), *counts = cJSON_GetObjectItem(summary, "steps"), *e;
        int steps = 0, reasoned = 0, given = 0;
        double macs = 0;
        cJSON_ArrayForEach(e, counts) steps += e->valueint;
        cJSON_ArrayForEach(e, cJSON_GetObjectItem(summary, "reasons"))
        {
            given += (int)number(e, "steps");
            assert_null(strstr(text(e, "reason"), "'x"));
        }
        cJSON_ArrayForEach(e, cJSON_GetObjectItem(root, "steps"))
        {
            reasoned += *text(e, "reason") != 0;
            macs += number(e, "macs");
            assert_true(strcmp(text(e, "precision"), "int8") != 0 || !*text(e, "reason"));
        }
        assert_int_equal(steps, cJSON_GetArraySize(cJSON_GetObjectItem(root, "steps")));
        assert_int_equal(given, reasoned);
        assert_true(reasoned > 0);
        assert_true(macs == 1024 && number(summary, "macs") == macs);
        assert_true(number(summary, "int8_share") == (as_float ? 0 : 1) && number(summary, "int8_macs") == (as_float ? 0 : 1024));
        assert_true(number(root, "arena_bytes") > 0 && number(root, "constant_bytes") > 0);
        cJSON_Delete(root);
    }
    oct_model_destroy(m);
}

/* A convolution in float reads what its names say; the same kind of reason is counted once. */
static void inspect__reasons_with_names__are_counted_by_kind(void **state)
{
    (void)state;
    static const int8_t w[4] = {1, 2, 3, 4};
    oct_graph *g = qdq_graph();
    oct_value *x = qdq_input(g, "x", 4, (int64_t[]){1, 2, 4, 4});
    oct_value *a = qdq_conv(g, "a", x, 2, 2, w, 1), *t = qdq_op(g, OCT_OP_TANH, "t", a, NULL, NULL),
              *b = qdq_conv(g, "b", t, 2, 2, w, 1);
    oct_model *m = qdq_model(g, qdq_pair(g, "b", b, 1, 0));
    cJSON *root = inspect(m, false);
    const cJSON *reasons = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "summary"), "reasons");
    const cJSON *e;
    int found = 0;
    cJSON_ArrayForEach(e, reasons)
    {
        if (strcmp(text(e, "reason"), "input '...' has no Q/DQ") != 0)
            continue;
        found++;
        assert_string_equal(text(e, "example"), "input 'x' has no Q/DQ");
        assert_int_equal((int)number(e, "steps"), 3);
    }
    assert_int_equal(found, 1);
    cJSON_Delete(root);
    oct_model_destroy(m);
}

static void profile__bytes__are_those_of_the_inspector(void **state)
{
    (void)state;
    oct_model *m = small();
    oct_plan *plan = NULL;
    oct_context *c = NULL;
    char *json = NULL;
    OK(oct_plan_build(m, NULL, &plan));
    OK(oct_plan_inspect_json(plan, &json));
    OK(oct_context_create(plan, 1, &c));
    cJSON *root = cJSON_Parse(json);
    for (int i = 0; i < oct_plan_step_count(plan); i++) {
        oct_step_profile p;
        OK(oct_context_get_profile(c, i, &p));
        assert_int_equal(p.bytes, (int64_t)number(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "steps"), i), "bytes"));
    }
    cJSON_Delete(root);
    oct_string_free(json);
    oct_context_destroy(c);
    oct_plan_destroy(plan);
    oct_model_destroy(m);
}

static void peak__level_without_a_loop__is_0(void **state)
{
    (void)state;
    oct_model *m = small();
    oct_plan *plan = NULL;
    setenv("OCTAVO_ISA", "portable", 1);
    OK(oct_plan_build(m, NULL, &plan));
    unsetenv("OCTAVO_ISA");
    assert_true(oct_plan_peak(plan, true) == 0 && oct_plan_peak(plan, false) == 0);
    oct_plan_destroy(plan);
    OK(oct_plan_build(m, NULL, &plan));
    assert_true(oct_plan_peak(plan, true) > 0 || oct_cpu_detect() != OCT_ISA_AVX512VNNI);
    oct_plan_destroy(plan);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspect__int8_conv__says_all_that_was_fused_and_moved),
        cmocka_unit_test(inspect__summary__counts_the_steps_and_their_reasons),
        cmocka_unit_test(inspect__reasons_with_names__are_counted_by_kind),
        cmocka_unit_test(profile__bytes__are_those_of_the_inspector),
        cmocka_unit_test(peak__level_without_a_loop__is_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
