/* Every lint rule on a small graph that breaks it and on one that does not. */
#include "unit/build/qdq.h"

#include <math.h>
#include <octavo/octavo.h>

enum { C = 16, SIDE = 4 };

static int8_t weights[64 * C]; /* spread over the codes, one at the limit */

static void fill_weights(void)
{
    for (int i = 0; i < 64 * C; i++)
        weights[i] = (int8_t)(i == 3 ? 127 : (i * 37) % 101 - 50);
}

static oct_value *x_in(oct_graph *g)
{
    return qdq_input(g, "x", 4, (int64_t[]){1, C, SIDE, SIDE});
}
static oct_value *conv(oct_graph *g, const char *name, oct_value *x)
{
    return qdq_conv(g, name, x, C, C, weights, 0.01f);
}

/* How many findings of a rule the model gives; *message is the last one's. The model is destroyed. */
static int count(oct_model *m, const char *rule, char message[512])
{
    char *json = NULL;
    OK(oct_model_lint_json(m, NULL, &json));
    cJSON *list = cJSON_Parse(json), *f;
    int n = 0;
    assert_true(cJSON_IsArray(list));
    cJSON_ArrayForEach(f, list)
    {
        const char *step = cJSON_GetStringValue(cJSON_GetObjectItem(f, "step")),
                   *tensor = cJSON_GetStringValue(cJSON_GetObjectItem(f, "tensor"));
        assert_true(!step != !tensor);
        assert_true(*cJSON_GetStringValue(cJSON_GetObjectItem(f, "hint")) &&
                    *cJSON_GetStringValue(cJSON_GetObjectItem(f, "message")));
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(f, "rule")), rule) != 0)
            continue;
        n++;
        snprintf(message, 512, "%s: %s", step ? step : tensor, cJSON_GetStringValue(cJSON_GetObjectItem(f, "message")));
    }
    cJSON_Delete(list);
    oct_string_free(json);
    oct_model_destroy(m);
    return n;
}

static void expect(oct_model *m, const char *rule, int want, const char *names)
{
    char message[512] = "";
    int n = count(m, rule, message);
    if (n != want || (want && !strstr(message, names)))
        fail_msg("%s: %d findings, %d expected; last: %s", rule, n, want, message);
}

/* x -> conv1 -> relu -> conv2, everything quantized */
static oct_model *clean(void)
{
    oct_graph *g = qdq_graph();
    oct_value *a = qdq_op(g, OCT_OP_RELU, "relu", conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128)), NULL, NULL);
    return qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", a, 0.02f, 0)));
}

static void lint__clean_model__has_no_finding(void **state)
{
    (void)state;
    static const char *const rules[] = {"leftover-quantize", "leftover-dequantize", "int8-float-quantize", "float-residual",
                                        "concat-scales",     "requantize",          "wasted-lanes",        "dead-channel",
                                        "clipped-weights",   "unused-codes"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        expect(clean(), rules[i], 0, "");
}

static void int8_float_quantize__second_reader_of_the_float_value__is_found(void **state)
{
    (void)state;
    oct_graph *g = qdq_graph();
    oct_value *a = conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128));
    oct_value *b = conv(g, "conv2", qdq_pair(g, "a", a, 0.02f, 128));
    OK(oct_graph_add_output(g, qdq_op(g, OCT_OP_TANH, "tanh", a, NULL, NULL)));
    expect(qdq_model(g, b), "int8-float-quantize", 1, "conv1");
}

static void leftover_quantize__float_operator_between__is_found(void **state)
{
    (void)state;
    oct_graph *g = qdq_graph();
    oct_value *a = qdq_op(g, OCT_OP_SOFTMAX, "soft", conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128)), NULL, NULL);
    expect(qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", a, 0.01f, 128))), "leftover-quantize", 1, "Softmax 'soft'");
}

static void float_function__between_int8_layers__is_found_unless_its_input_is_quantized(void **state)
{
    (void)state;
    for (int table = 0; table < 2; table++) {
        oct_graph *g = qdq_graph();
        oct_value *c = conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128));
        oct_value *a = qdq_op(g, OCT_OP_TANH, "tanh", table ? qdq_pair(g, "c", c, 0.02f, 128) : c, NULL, NULL);
        expect(qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", a, 0.01f, 128))), "float-function", !table, "Tanh 'tanh'");
    }
}

static void leftover_dequantize__operator_without_int8_form__is_found(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        oct_graph *g = qdq_graph();
        oct_value *a = qdq_pair(g, "a", conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128)), 0.02f, 128);
        expect(qdq_model(g, inside ? qdq_op(g, OCT_OP_SOFTMAX, "soft", a, NULL, NULL) : a), "leftover-dequantize", inside, "soft");
    }
}

static void float_residual__skip_without_qdq__is_found(void **state)
{
    (void)state;
    for (int quantized = 0; quantized < 2; quantized++) {
        oct_graph *g = qdq_graph();
        oct_value *x = x_in(g), *xq = qdq_pair(g, "x", x, 0.02f, 128);
        oct_value *sum = qdq_op(g, OCT_OP_ADD, "sum", conv(g, "conv1", xq), quantized ? xq : x, NULL);
        expect(qdq_model(g, conv(g, "conv2", qdq_pair(g, "sum", sum, 0.02f, 128))), "float-residual", !quantized, "conv1");
    }
}

static void concat_scales__one_input_with_another_scale__is_found(void **state)
{
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        oct_graph *g = qdq_graph();
        oct_value *x = qdq_pair(g, "x", x_in(g), 0.02f, 128);
        oct_value *a = qdq_pair(g, "a", conv(g, "conv1", x), 0.02f, 128),
                  *b = qdq_pair(g, "b", conv(g, "conv2", x), equal ? 0.02f : 0.03f, 128);
        oct_node *n = qdq_node(g, OCT_OP_CONCAT, "cat", a, b, NULL);
        OK(oct_node_set_int(g, n, "axis", 1));
        expect(qdq_model(g, qdq_conv(g, "conv3", qdq_pair(g, "cat", n->outputs[0], 0.02f, 128), C, 2 * C, weights, 0.01f)),
               "concat-scales", !equal, "cat: an input of scale 0.03");
    }
}

static void requantize__pair_behind_a_pair__is_found(void **state)
{
    (void)state;
    for (int equal = 0; equal < 2; equal++) {
        oct_graph *g = qdq_graph();
        oct_value *a = qdq_pair(g, "a", conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128)), 0.02f, 128);
        oct_value *b = qdq_pair(g, "b", a, equal ? 0.02f : 0.03f, 128);
        expect(qdq_model(g, conv(g, "conv2", b)), "requantize", !equal, "0.03");
    }
}

static void wasted_lanes__one_channel_too_many__is_found(void **state)
{
    (void)state;
    for (int64_t oc = 16; oc <= 17; oc++) {
        oct_graph *g = qdq_graph();
        expect(qdq_model(g, qdq_conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128), oc, C, weights, 0.01f)), "wasted-lanes",
               oc == 17, "17 output channels");
    }
}

static void dead_channel__weights_all_zero__is_found(void **state)
{
    (void)state;
    int8_t w[C * C];
    memcpy(w, weights, sizeof w);
    memset(w + 5 * C, 0, C);
    memset(w + 9 * C, 0, C);
    oct_graph *g = qdq_graph();
    expect(qdq_model(g, qdq_conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128), C, C, w, 0.01f)), "dead-channel", 1,
           "2 of 16 output channels of 'conv1'");
}

static void clipped_weights__many_at_the_limit__is_found_with_its_share(void **state)
{
    (void)state;
    int8_t w[C * C];
    memcpy(w, weights, sizeof w);
    for (int i = 0; i < C * C; i += 4)
        w[i] = i % 8 ? 127 : -127;
    w[3] = 1;
    oct_graph *g = qdq_graph();
    expect(qdq_model(g, qdq_conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128), C, C, w, 0.01f)), "clipped-weights", 1,
           "25.0 %");
}

/* One scale a channel puts one weight of each channel at the limit, as it must. */
static void clipped_weights__scale_per_channel__one_each_is_no_finding(void **state)
{
    (void)state;
    const int64_t dims[] = {C, C, 1, 1}, n = C;
    float s[C];
    int8_t z[C] = {0}, wd[C * C];
    memcpy(wd, weights, sizeof wd);
    for (int i = 0; i < C; i++) {
        s[i] = 0.01f;
        wd[i * C + 3] = 127;
    }
    for (int per_channel = 0; per_channel < 2; per_channel++) {
        oct_graph *g = qdq_graph();
        oct_value *codes = qdq_const(g, "w", OCT_S8, 4, dims, wd);
        oct_node *w =
            qdq_node(g, OCT_OP_DEQUANTIZE, "w_dq", codes, per_channel ? qdq_const(g, "s", OCT_F32, 1, &n, s) : qdq_scale(g, 0.01f),
                     per_channel ? qdq_const(g, "z", OCT_S8, 1, &n, z) : qdq_const(g, "z", OCT_S8, 0, NULL, z));
        OK(oct_node_set_int(g, w, "axis", 0));
        expect(qdq_model(g, qdq_op(g, OCT_OP_CONV, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128), w->outputs[0], NULL)),
               "clipped-weights", !per_channel, "6.2 %");
    }
}

static void unused_codes__scale_far_above_the_worst_case__is_found(void **state)
{
    (void)state;
    static int8_t ones[C * C];
    memset(ones, 1, sizeof ones);
    /* x holds -2.56 to 2.54; a channel sums 16 of them times 1: at most 40.96. A scale of 10 leaves 9 codes. */
    for (int wide = 0; wide < 2; wide++) {
        oct_graph *g = qdq_graph();
        oct_value *a = qdq_conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128), C, C, ones, 1);
        expect(qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", a, wide ? 10 : 0.32f, 128))), "unused-codes", wide,
               "a_q: only 9 of 256");
    }
    /* The sum adds what the residual can hold, the clamp takes away. */
    for (int clamp = 0; clamp < 2; clamp++) {
        oct_graph *g = qdq_graph();
        oct_value *x = qdq_pair(g, "x", x_in(g), 0.02f, 128),
                  *sum = qdq_op(g, OCT_OP_ADD, "sum", qdq_conv(g, "conv1", x, C, C, ones, 1), x, NULL);
        if (clamp)
            sum = qdq_op(g, OCT_OP_CLIP, "clip", sum, qdq_scale(g, 0), qdq_scale(g, 6));
        expect(qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", sum, 0.35f, 128))), "unused-codes", clamp, "only 18 of 256");
    }
}

static void lint__plan__finds_what_stands_in_its_steps(void **state)
{
    (void)state;
    oct_graph *g = qdq_graph();
    oct_value *a = qdq_op(g, OCT_OP_SOFTMAX, "soft", conv(g, "conv1", qdq_pair(g, "x", x_in(g), 0.02f, 128)), NULL, NULL);
    oct_model *m = qdq_model(g, conv(g, "conv2", qdq_pair(g, "a", a, 0.01f, 128)));
    oct_plan *plan = NULL;
    char *json = NULL;
    OK(oct_plan_build(m, NULL, &plan));
    OK(oct_plan_lint_json(plan, &json));
    assert_non_null(strstr(json, "leftover-quantize"));
    oct_string_free(json);
    oct_plan_destroy(plan);
    oct_model_destroy(m);
}

int main(void)
{
    fill_weights();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lint__clean_model__has_no_finding),
        cmocka_unit_test(int8_float_quantize__second_reader_of_the_float_value__is_found),
        cmocka_unit_test(leftover_quantize__float_operator_between__is_found),
        cmocka_unit_test(float_function__between_int8_layers__is_found_unless_its_input_is_quantized),
        cmocka_unit_test(leftover_dequantize__operator_without_int8_form__is_found),
        cmocka_unit_test(float_residual__skip_without_qdq__is_found),
        cmocka_unit_test(concat_scales__one_input_with_another_scale__is_found),
        cmocka_unit_test(requantize__pair_behind_a_pair__is_found),
        cmocka_unit_test(wasted_lanes__one_channel_too_many__is_found),
        cmocka_unit_test(dead_channel__weights_all_zero__is_found),
        cmocka_unit_test(clipped_weights__many_at_the_limit__is_found_with_its_share),
        cmocka_unit_test(clipped_weights__scale_per_channel__one_each_is_no_finding),
        cmocka_unit_test(unused_codes__scale_far_above_the_worst_case__is_found),
        cmocka_unit_test(lint__plan__finds_what_stands_in_its_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
