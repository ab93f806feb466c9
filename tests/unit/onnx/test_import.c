/* Reading: what is accepted and how it looks in the graph, and what is refused, naming the culprit. */
#include "unit/onnx/pb.h"

#include "onnx/model.h"

#define ok(expr) assert_int_equal((expr), OCT_OK)

/* x[N,4] -> node -> y, plus up to one initializer; y's shape is left open. */
static pb one_node(pb node, pb initializer)
{
    pb g = {0};
    pb_str(&g, 2, "g");
    pb_msg(&g, PB_NODE, node);
    if (initializer.data)
        pb_msg(&g, PB_INITIALIZER, initializer);
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    return g;
}

static oct_model *loads(pb m)
{
    oct_model *model = NULL;
    oct_status s = oct_model_load_memory(m.data, m.size, "test.onnx", &model);
    free(m.data);
    if (s != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return model;
}

static void refused(pb m, oct_status status, const char *node, const char *text)
{
    oct_model *model = NULL;
    assert_int_equal(oct_model_load_memory(m.data, m.size, "test.onnx", &model), status);
    assert_null(model);
    free(m.data);
    assert_non_null(strstr(oct_last_error()->message, text));
    assert_string_equal(oct_last_error()->node, node);
    assert_string_equal(oct_last_error()->file, "test.onnx");
}

static oct_value *constant(oct_model *m, const char *name)
{
    oct_value *v = oct_value_find(m->graph, name);
    assert_non_null(v);
    assert_non_null(v->data);
    return v;
}

static void load__relu__graph_with_symbol(void **state)
{
    oct_model *m = loads(pb_model(one_node(pb_node("Relu", "r", "x", "y"), (pb){0}), 13));
    oct_port p;
    assert_int_equal(m->graph->node_count, 1);
    assert_int_equal(oct_model_input_count(m), 1);
    ok(oct_model_get_input(m, 0, &p));
    assert_string_equal(p.name, "x");
    assert_int_equal(p.rank, 2);
    assert_true(p.dims[0] < 0);
    assert_string_equal(p.dim_names[0], "N");
    assert_int_equal(p.dims[1], 4);
    ok(oct_model_get_output(m, 0, &p));
    assert_string_equal(p.dim_names[0], "N");
    assert_int_equal(p.dtype, OCT_F32);
    assert_int_equal(oct_model_get_input(m, 1, &p), OCT_ERR_USAGE);
    assert_false(oct_model_is_quantized(m));
    oct_model_destroy(m);
}

static void load__nameless_node_and_dimension__names_made(void **state)
{
    pb g = {0};
    oct_port p;
    pb_msg(&g, PB_NODE, pb_node("Relu", NULL, "x", "y"));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "?,-1,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    oct_model *m = loads(pb_model(g, 13));
    assert_string_equal(m->graph->nodes[0]->name, "y");
    ok(oct_model_get_input(m, 0, &p));
    assert_string_equal(p.dim_names[0], "x:0");
    assert_string_equal(p.dim_names[1], "x:1");
    oct_model_destroy(m);
}

static void load__nodes_in_any_order__sorted(void **state)
{
    pb g = {0};
    pb_msg(&g, PB_NODE, pb_node("Add", "b", "m,x", "y"));
    pb_msg(&g, PB_NODE, pb_node("Relu", "a", "x", "m"));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    oct_model *m = loads(pb_model(g, 13));
    assert_string_equal(m->graph->nodes[0]->name, "a");
    oct_model_destroy(m);
}

static void load__initializer_listed_as_input__is_a_constant(void **state)
{
    float four[4] = {1, 2, 3, 4};
    pb g = one_node(pb_node("Add", "a", "x,w", "y"), pb_tensor_raw("w", OCT_F32, 1, (int64_t[]){4}, four, 16));
    pb_msg(&g, PB_INPUT, pb_info("w", OCT_F32, "4"));
    oct_model *m = loads(pb_model(g, 13));
    assert_int_equal(oct_model_input_count(m), 1);
    assert_memory_equal(constant(m, "w")->data, four, 16);
    oct_model_destroy(m);
}

/* --- element data --- */

static oct_value *read_back(pb tensor, oct_model **m)
{
    pb g = one_node(pb_node("Relu", "r", "x", "y"), tensor);
    *m = loads(pb_model(g, 13));
    return constant(*m, "w");
}

static void tensor__typed_fields__all_dtypes(void **state)
{
    static const struct {
        int dtype, field;
        int64_t in;
        size_t bytes;
        uint8_t out[8];
    } rows[] = {
        {OCT_S32, 5, -2, 4, {0xfe, 0xff, 0xff, 0xff}}, {OCT_S8, 5, -2, 1, {0xfe}},        {OCT_U8, 5, 200, 1, {200}},
        {OCT_S16, 5, -2, 2, {0xfe, 0xff}},             {OCT_U16, 5, 513, 2, {1, 2}},      {OCT_BOOL, 5, 7, 1, {1}},
        {OCT_F16, 5, 0x3c00, 2, {0, 0x3c}},            {OCT_BF16, 5, 0x3f80, 2, {0x80, 0x3f}},
        {OCT_S64, 7, -2, 8, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {OCT_U32, 11, 258, 4, {2, 1, 0, 0}},           {OCT_U64, 11, 258, 8, {2, 1, 0, 0, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int packed = 0; packed < 2; packed++) {
            oct_model *m = NULL;
            pb t = pb_tensor("w", rows[i].dtype, 0, NULL), v = {0};
            if (packed) {
                pb_varint(&v, (uint64_t)rows[i].in);
                pb_msg(&t, rows[i].field, v);
            } else {
                pb_int(&t, rows[i].field, rows[i].in);
            }
            oct_value *w = read_back(t, &m);
            assert_int_equal(w->dtype, rows[i].dtype);
            assert_int_equal(w->shape.rank, 0);
            assert_int_equal(w->bytes, rows[i].bytes);
            assert_memory_equal(w->data, rows[i].out, rows[i].bytes);
            oct_model_destroy(m);
        }
}

static void tensor__float_fields__values(void **state)
{
    oct_model *m = NULL;
    float f[2] = {1.5f, -2};
    double d = 0.1;
    pb t = pb_tensor("w", OCT_F32, 1, (int64_t[]){2});
    pb_bytes(&t, 4, f, 8);
    assert_memory_equal(read_back(t, &m)->data, f, 8);
    oct_model_destroy(m);
    t = pb_tensor("w", OCT_F64, 1, (int64_t[]){1});
    pb_bytes(&t, 10, &d, 8);
    assert_memory_equal(read_back(t, &m)->data, &d, 8);
    oct_model_destroy(m);
}

static void tensor__four_bit_codes__unpacked(void **state)
{
    oct_model *m = NULL;
    const uint8_t packed[2] = {0xf1, 0x08};
    oct_value *w = read_back(pb_tensor_raw("w", OCT_S4, 1, (int64_t[]){3}, packed, 2), &m);
    assert_int_equal(w->bytes, 3);
    assert_memory_equal(w->data, ((int8_t[]){1, -1, -8}), 3);
    oct_model_destroy(m);
    w = read_back(pb_tensor_raw("w", OCT_U4, 1, (int64_t[]){4}, packed, 2), &m);
    assert_memory_equal(w->data, ((uint8_t[]){1, 15, 8, 0}), 4);
    oct_model_destroy(m);
}

static void tensor__empty__no_bytes(void **state)
{
    oct_model *m = NULL;
    oct_value *w = read_back(pb_tensor("w", OCT_F32, 2, (int64_t[]){3, 0}), &m);
    assert_int_equal(w->bytes, 0);
    assert_int_equal(w->shape.dim[0], 3);
    oct_model_destroy(m);
}

static void tensor__wrong_sizes__content_error_names_it(void **state)
{
    const int64_t huge[3] = {INT64_C(1) << 40, INT64_C(1) << 40, INT64_C(1) << 40};
    const pb bad[] = {
        pb_tensor_raw("w", OCT_F32, 1, (int64_t[]){4}, "12345678", 8), pb_tensor_raw("w", OCT_F32, 3, huge, "1234", 4),
        pb_tensor_raw("w", OCT_F32, 1, (int64_t[]){-1}, "1234", 4),    pb_tensor("w", OCT_F32, 1, (int64_t[]){4}),
        pb_tensor_raw("w", OCT_S4, 1, (int64_t[]){4}, "123", 3),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), bad[i]), 13), OCT_ERR_CONTENT, "w", "'w'");
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), pb_tensor_raw("w", OCT_STRING, 0, NULL, "", 0)), 13), OCT_ERR_UNSUPPORTED, "w", "string");
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), pb_tensor_raw("w", 17, 0, NULL, "1", 1)), 13), OCT_ERR_UNSUPPORTED, "w", "17");
}

static void constant_node__each_form__becomes_a_constant(void **state)
{
    const float f[2] = {1, 2};
    for (int form = 0; form < 5; form++) {
        pb g = {0}, n = pb_node("Constant", "c", NULL, "c");
        if (form == 0)
            pb_attr_tensor(&n, "value", pb_tensor_raw(NULL, OCT_F32, 1, (int64_t[]){2}, f, 8));
        if (form == 1)
            pb_attr_float(&n, "value_float", 1);
        if (form == 2)
            pb_attr_floats(&n, "value_floats", 2, f);
        if (form == 3)
            pb_attr_int(&n, "value_int", 5);
        if (form == 4)
            pb_attr_ints(&n, "value_ints", 3, (int64_t[]){4, 5, 6});
        pb_msg(&g, PB_NODE, n);
        pb_msg(&g, PB_NODE, pb_node("Identity", "i", "c", "y"));
        pb_msg(&g, PB_OUTPUT, pb_info("y", form < 3 ? OCT_F32 : OCT_S64, NULL));
        oct_model *m = loads(pb_model(g, 13));
        const oct_value *c = constant(m, "c");
        assert_int_equal(m->graph->node_count, 1);
        assert_int_equal(c->shape.rank, form == 1 || form == 3 ? 0 : 1);
        if (form < 3)
            assert_memory_equal(c->data, f, form == 1 ? 4 : 8);
        else
            assert_int_equal(((const int64_t *)c->data)[form == 3 ? 0 : 1], 5);
        oct_model_destroy(m);
    }
}

/* --- refusals --- */

static void load__unknown_operator__unsupported_names_node_operator_opset(void **state)
{
    refused(pb_model(one_node(pb_node("Frobnicate", "f", "x", "y"), (pb){0}), 13), OCT_ERR_UNSUPPORTED, "f", "operator Frobnicate (opset 13)");
    pb n = pb_node("If", "branch", "x", "y"), a = {0};
    pb_str(&a, 1, "then_branch");
    pb_str(&a, 6, "anything");
    pb_int(&a, 20, 5);
    pb_msg(&n, 5, a);
    refused(pb_model(one_node(n, (pb){0}), 16), OCT_ERR_UNSUPPORTED, "branch", "operator If (opset 16)");
    n = pb_node("Relu", "r", "x", "y");
    pb_str(&n, 7, "com.example");
    refused(pb_model(one_node(n, (pb){0}), 13), OCT_ERR_UNSUPPORTED, "r", "com.example.Relu");
    n = pb_node("Silu", "s", "x", "y");
    pb_str(&n, 7, "octavo"); /* internal operators are no file format */
    refused(pb_model(one_node(n, (pb){0}), 13), OCT_ERR_UNSUPPORTED, "s", "Silu");
    refused(pb_model(one_node(pb_node("Gelu", "g", "x", "y"), (pb){0}), 17), OCT_ERR_UNSUPPORTED, "g", "not part of opset 17");
}

static void load__unknown_attribute__unsupported(void **state)
{
    pb n = pb_node("Relu", "r", "x", "y");
    pb_attr_int(&n, "sharpness", 1);
    refused(pb_model(one_node(n, (pb){0}), 13), OCT_ERR_UNSUPPORTED, "r", "'sharpness' of operator Relu (opset 13)");
    n = pb_node("Elu", "e", "x", "y");
    pb_attr_int(&n, "alpha", 1);
    refused(pb_model(one_node(n, (pb){0}), 13), OCT_ERR_CONTENT, "e", "'alpha'");
    n = pb_node("Elu", "e", "x", "y");
    pb_attr_float(&n, "alpha", 2);
    pb_attr_float(&n, "alpha", 3);
    refused(pb_model(one_node(n, (pb){0}), 13), OCT_ERR_CONTENT, "e", "twice");
}

static void load__bad_edges__content_error_names_node(void **state)
{
    refused(pb_model(one_node(pb_node("Add", "a", "x,nowhere", "y"), (pb){0}), 13), OCT_ERR_CONTENT, "a", "'nowhere'");
    refused(pb_model(one_node(pb_node("Add", "a", "x", "y"), (pb){0}), 13), OCT_ERR_CONTENT, "a", "1 inputs");
    refused(pb_model(one_node(pb_node("Add", "a", "x,", "y"), (pb){0}), 13), OCT_ERR_CONTENT, "a", "");
    refused(pb_model(one_node(pb_node("Relu", "r", "x,x", "y"), (pb){0}), 13), OCT_ERR_CONTENT, "r", "2 inputs");
    refused(pb_model(one_node(pb_node("Add", "a", "x,y", "y"), (pb){0}), 13), OCT_ERR_CONTENT, "a", "cycle");
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "x"), (pb){0}), 13), OCT_ERR_CONTENT, "x", "two tensors");
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "z"), (pb){0}), 13), OCT_ERR_CONTENT, "y", "not computed");
    refused(pb_model(one_node(pb_node("Relu", NULL, "x", NULL), (pb){0}), 13), OCT_ERR_CONTENT, "", "no outputs");
}

static void load__bad_header__error(void **state)
{
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), (pb){0}), 6), OCT_ERR_UNSUPPORTED, "", "opset 6");
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), (pb){0}), 0), OCT_ERR_CONTENT, "", "opset");
    pb m = {0};
    pb_int(&m, 1, 8);
    refused(m, OCT_ERR_CONTENT, "", "no graph");
    m = (pb){0};
    pb_raw(&m, "\xff\xff\xff\xff", 4);
    refused(m, OCT_ERR_CONTENT, "", "not an ONNX model");
}

static void load__output_of_another_type__content_error(void **state)
{
    pb g = {0};
    pb_msg(&g, PB_NODE, pb_node("Relu", "r", "x", "y"));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_S64, NULL));
    refused(pb_model(g, 13), OCT_ERR_CONTENT, "", "'y' is declared as int64");
}

static void load__input_that_is_no_plain_tensor__unsupported(void **state)
{
    static const struct {
        int dtype;
        const char *shape;
    } rows[] = {{OCT_STRING, "4"}, {OCT_F32, NULL}, {OCT_F32, "1,1,1,1,1,1,1,1,1"}};
    for (int i = 0; i < 3; i++) {
        pb g = {0};
        pb_msg(&g, PB_NODE, pb_node("Relu", "r", "x", "y"));
        pb_msg(&g, PB_INPUT, pb_info("x", rows[i].dtype, rows[i].shape));
        pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
        refused(pb_model(g, 13), OCT_ERR_UNSUPPORTED, "x", "'x'");
    }
}

static void load__four_bit_ports__unsupported_names_them(void **state)
{
    static const float one = 1;
    pb g = {0};
    pb_msg(&g, PB_NODE, pb_node("QuantizeLinear", "q", "x,s,z", "y"));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("s", OCT_F32, 0, NULL, &one, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("z", OCT_U4, 0, NULL, "\7", 1));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_U4, NULL));
    refused(pb_model(g, 21), OCT_ERR_UNSUPPORTED, "y", "graph output 'y' has element type uint4");
    g = (pb){0};
    pb_msg(&g, PB_NODE, pb_node("Identity", "n", "x", "y"));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_S4, "4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_S4, NULL));
    refused(pb_model(g, 21), OCT_ERR_UNSUPPORTED, "x", "input 'x' has element type 22 (int4)");
}

static void load__deeply_nested_subgraphs__no_crash(void **state)
{
    pb inner = {0};
    for (int i = 0; i < 2000; i++) { /* attribute.g -> graph.node -> attribute ... : fixed depth for our messages */
        pb attr = {0}, n = {0}, g = {0};
        pb_msg(&attr, 6, inner);
        pb_msg(&n, 5, attr);
        pb_msg(&g, 1, n);
        inner = g;
    }
    pb m = {0};
    pb_msg(&m, 7, inner);
    oct_model *model = NULL;
    assert_int_not_equal(oct_model_load_memory(m.data, m.size, "nested", &model), OCT_OK);
    free(m.data);
}

static void load__external_data_from_memory__refused(void **state)
{
    pb t = pb_tensor("w", OCT_F32, 1, (int64_t[]){4}), e = {0};
    pb_str(&e, 1, "location");
    pb_str(&e, 2, "w.bin");
    pb_msg(&t, 13, e);
    pb_int(&t, 14, 1);
    refused(pb_model(one_node(pb_node("Relu", "r", "x", "y"), t), 13), OCT_ERR_CONTENT, "w", "external");
}

/* Every truncation and many flips of a valid model: an error or a model, never a crash. */
static void load__mutations__never_crash(void **state)
{
    float w[8] = {0};
    pb g = {0}, n = pb_node("Conv", "c", "x,w", "m");
    pb_attr_ints(&n, "kernel_shape", 2, (int64_t[]){1, 1});
    pb_attr_ints(&n, "pads", 4, (int64_t[]){0, 0, 1, 1});
    pb_msg(&g, PB_NODE, n);
    n = pb_node("ReduceMean", "mean", "m", "y");
    pb_attr_ints(&n, "axes", 2, (int64_t[]){2, 3});
    pb_msg(&g, PB_NODE, n);
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_F32, 4, (int64_t[]){2, 4, 1, 1}, w, 32));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4,6,6"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, "N,2,1,1"));
    pb m = pb_model(g, 13);
    oct_model *model = NULL;
    ok(oct_model_load_memory(m.data, m.size, "m", &model));
    oct_model_destroy(model);
    for (size_t cut = 0; cut < m.size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* its own block, so that reading past the end is seen */
        memcpy(copy, m.data, cut);
        model = NULL;
        oct_status s = oct_model_load_memory(copy, cut, "cut", &model);
        assert_true(s == OCT_OK || s == OCT_ERR_CONTENT || s == OCT_ERR_UNSUPPORTED);
        oct_model_destroy(model);
        free(copy);
    }
    for (size_t i = 0; i < m.size * 8; i++) {
        m.data[i / 8] ^= (uint8_t)(1 << i % 8);
        model = NULL;
        oct_status s = oct_model_load_memory(m.data, m.size, "flip", &model);
        assert_true(s == OCT_OK || s == OCT_ERR_CONTENT || s == OCT_ERR_UNSUPPORTED);
        oct_model_destroy(model);
        m.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__relu__graph_with_symbol),
        cmocka_unit_test(load__nameless_node_and_dimension__names_made),
        cmocka_unit_test(load__nodes_in_any_order__sorted),
        cmocka_unit_test(load__initializer_listed_as_input__is_a_constant),
        cmocka_unit_test(tensor__typed_fields__all_dtypes),
        cmocka_unit_test(tensor__float_fields__values),
        cmocka_unit_test(tensor__four_bit_codes__unpacked),
        cmocka_unit_test(tensor__empty__no_bytes),
        cmocka_unit_test(tensor__wrong_sizes__content_error_names_it),
        cmocka_unit_test(constant_node__each_form__becomes_a_constant),
        cmocka_unit_test(load__unknown_operator__unsupported_names_node_operator_opset),
        cmocka_unit_test(load__unknown_attribute__unsupported),
        cmocka_unit_test(load__bad_edges__content_error_names_node),
        cmocka_unit_test(load__bad_header__error),
        cmocka_unit_test(load__output_of_another_type__content_error),
        cmocka_unit_test(load__input_that_is_no_plain_tensor__unsupported),
        cmocka_unit_test(load__four_bit_ports__unsupported_names_them),
        cmocka_unit_test(load__deeply_nested_subgraphs__no_crash),
        cmocka_unit_test(load__external_data_from_memory__refused),
        cmocka_unit_test(load__mutations__never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
