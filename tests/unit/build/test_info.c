/* oct_model_info_json on a small model and on the shared ones: counts that can be checked by hand. */
#include "unit/onnx/pb.h"

#include <cjson/cJSON.h>
#include <octavo/octavo.h>
#include <unistd.h>

static double number(const cJSON *root, const char *key) { return cJSON_GetNumberValue(cJSON_GetObjectItem(root, key)); }

static cJSON *info(const oct_model *m, bool passes)
{
    char *json = NULL;
    if (oct_model_info_json(m, passes, &json) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    cJSON *root = cJSON_Parse(json);
    assert_non_null(root);
    oct_string_free(json);
    return root;
}

/* x[N,2,4,4] -> Conv 3x3, 5 channels, bias -> Relu -> Softmax */
static oct_model *small(void)
{
    static const float w[90] = {1}, b[5] = {1};
    pb g = {0}, n = pb_node("Conv", "conv", "x,w,b", "c");
    pb_attr_ints(&n, "pads", 4, (int64_t[]){1, 1, 1, 1});
    pb_msg(&g, PB_NODE, n);
    pb_msg(&g, PB_NODE, pb_node("Relu", "relu", "c", "r"));
    pb_msg(&g, PB_NODE, pb_node("Softmax", "soft", "r", "y"));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_F32, 4, (int64_t[]){5, 2, 3, 3}, w, sizeof w));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("b", OCT_F32, 1, (int64_t[]){5}, b, sizeof b));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,2,4,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    pb m = pb_model(g, 13);
    oct_model *model = NULL;
    assert_int_equal(oct_model_load_memory(m.data, m.size, "m", &model), OCT_OK);
    free(m.data);
    return model;
}

static void info__small_model__counts_by_hand(void **state)
{
    oct_model *m = small();
    cJSON *root = info(m, false);
    assert_true(number(root, "params") == 95);
    assert_true(number(root, "macs") == 4 * 4 * 5 * 2 * 9);
    assert_true(number(root, "opset") == 13);
    const cJSON *ops = cJSON_GetObjectItem(root, "ops"), *in = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "inputs"), 0);
    assert_true(number(ops, "Conv") == 1 && number(ops, "Relu") == 1 && number(ops, "Softmax") == 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(in, "name")), "x");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(in, "dims"), 0)), "N");
    assert_true(cJSON_GetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItem(in, "dims"), 3)) == 4);
    assert_null(cJSON_GetObjectItem(root, "passes"));
    cJSON_Delete(root);
    oct_model_destroy(m);
}

static void info__layers__int8_or_a_reason(void **state)
{
    oct_model *m = small();
    cJSON *root = info(m, true);
    const cJSON *layers = cJSON_GetObjectItem(root, "layers"), *l;
    int yes = 0, no = 0;
    cJSON_ArrayForEach(l, layers)
    {
        bool can = cJSON_IsTrue(cJSON_GetObjectItem(l, "int8"));
        const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(l, "reason"));
        assert_true(can == (*reason == 0));
        yes += can;
        no += !can;
    }
    assert_int_equal(yes, 2);
    assert_int_equal(no, 1);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(root, "passes")) > 5);
    cJSON_Delete(root);
    oct_model_destroy(m);
}

static void info__shared_resnet20__known_size(void **state)
{
    oct_model *m = NULL;
    const char *path = OCT_SOURCE_DIR "/../shared/models/resnet20_cifar10.onnx";
    if (access(path, R_OK) != 0)
        skip();
    assert_int_equal(oct_model_load(path, &m), OCT_OK);
    cJSON *root = info(m, true);
    assert_true(number(cJSON_GetObjectItem(root, "ops"), "Conv") == 19);
    assert_true(number(root, "macs") > 39e6 && number(root, "macs") < 42e6);
    assert_true(number(root, "params") > 265e3 && number(root, "params") < 275e3);
    cJSON_Delete(root);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info__small_model__counts_by_hand),
        cmocka_unit_test(info__layers__int8_or_a_reason),
        cmocka_unit_test(info__shared_resnet20__known_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
