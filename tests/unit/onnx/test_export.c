/* Writing: what was read comes back, unknown fields included; what cannot be written is an error; files are whole or not there. */
#include "unit/onnx/pb.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ir/op.h"
#include "onnx/model.h"

#define ok(expr) assert_int_equal((expr), OCT_OK)

static char folder[64];

static int enter(void **state)
{
    strcpy(folder, "/tmp/octavo_onnx_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static char *read_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 1 << 20);
    *size = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static void write_model(const char *path, pb m)
{
    write_bytes(path, m.data, m.size);
    free(m.data);
}

static oct_model *loads(const char *path)
{
    oct_model *m = NULL;
    if (oct_model_load(path, &m) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return m;
}

static char *dump(const oct_model *m)
{
    char *text = NULL;
    ok(oct_graph_dump(m->graph, &text));
    return text;
}

/* save and load again */
static oct_model *there_and_back(const oct_model *m)
{
    ok(oct_model_save(m, "back.onnx"));
    return loads("back.onnx");
}

static pb conv_graph(void)
{
    static const float w[4] = {1, 2, 3, 4};
    pb g = {0}, n = pb_node("Conv", NULL, "x,w", "m");
    pb_attr_ints(&n, "pads", 4, (int64_t[]){0, 0, 0, 0});
    pb_str(&n, 6, "text of the conv");
    pb_str(&n, 99, "unknown in node");
    pb_msg(&g, PB_NODE, n);
    n = pb_node("ReduceMean", "mean", "m", "y");
    pb_attr_ints(&n, "axes", 2, (int64_t[]){2, 3});
    pb_msg(&g, PB_NODE, n);
    pb_str(&g, 2, "graph name");
    pb_str(&g, 10, "text of the graph");
    pb_str(&g, 77, "unknown in graph");
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_F32, 4, (int64_t[]){4, 1, 1, 1}, w, 16));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "batch,1,?,8"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, "batch,4,1,1"));
    return g;
}

static pb conv_model(int64_t opset)
{
    pb m = pb_model(conv_graph(), opset), prop = {0}, set = {0};
    pb_str(&prop, 1, "task");
    pb_str(&prop, 2, "counting");
    pb_msg(&m, 14, prop);
    pb_str(&m, 6, "text of the model");
    pb_str(&m, 4, "org.example");
    pb_str(&m, 888, "unknown in model");
    pb_str(&set, 1, "com.example");
    pb_int(&set, 2, 3);
    pb_msg(&m, 8, set);
    return m;
}

static void save__everything_not_understood__survives(void **state)
{
    size_t size;
    write_model("in.onnx", conv_model(9));
    oct_model *m = loads("in.onnx"), *back = there_and_back(m);
    ok(oct_model_save(back, "twice.onnx"));
    char *bytes = read_bytes("twice.onnx", &size);
    const char *const texts[] = {"text of the conv", "unknown in node", "graph name", "text of the graph", "unknown in graph", "text of the model",
                                 "org.example", "unknown in model", "com.example", "counting", "batch"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!pb_contains(bytes, size, texts[i]))
            fail_msg("lost: %s", texts[i]);
    assert_false(pb_contains(bytes, size, "x:0")); /* a symbol of ours for a dimension that had no name */
    assert_string_equal(oct_model_get_metadata(back, "task"), "counting");
    char *a = dump(m), *b = dump(back), ha[17], hb[17];
    assert_string_equal(a, b);
    ok(oct_graph_hash(m->graph, ha));
    ok(oct_graph_hash(back->graph, hb));
    assert_string_equal(ha, hb);
    assert_int_equal(back->graph->opset, 13);
    free(a);
    free(b);
    free(bytes);
    oct_model_destroy(m);
    oct_model_destroy(back);
}

static void save__axes__input_or_attribute_by_opset(void **state)
{
    size_t size;
    for (int64_t opset = 13; opset <= 21; opset += 4) {
        pb g = {0}, n = pb_node("ReduceMean", "mean", opset < 18 ? "x" : "x,a", "y");
        if (opset < 18)
            pb_attr_ints(&n, "axes", 1, (int64_t[]){1});
        else
            pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("a", OCT_S64, 1, (int64_t[]){1}, &(int64_t){1}, 8));
        pb_msg(&g, PB_NODE, n);
        pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4"));
        pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
        write_model("in.onnx", pb_model(g, opset));
        oct_model *m = loads("in.onnx"), *back = there_and_back(m);
        assert_int_equal(back->graph->opset, opset);
        char *bytes = read_bytes("back.onnx", &size), *b = dump(back);
        assert_true(pb_contains(bytes, size, "axes") == (opset < 18));
        assert_non_null(strstr(b, "y:f32[N,1] = ReduceMean(x, "));
        free(bytes);
        free(b);
        oct_model_destroy(m);
        oct_model_destroy(back);
    }
}

static void save__newer_operator_added__opset_rises(void **state)
{
    write_model("in.onnx", conv_model(13));
    oct_model *m = loads("in.onnx"), *back = NULL;
    oct_graph *g = m->graph;
    oct_value *y = g->outputs[0], *z = NULL;
    oct_node *n = NULL;
    ok(oct_value_add(g, "z", "z", &z));
    ok(oct_node_add(g, NULL, OCT_OP_GELU, "gelu", 1, &y, 1, &z, &n));
    ok(oct_graph_add_output(g, z));
    ok(oct_graph_infer(g));
    back = there_and_back(m);
    assert_int_equal(back->graph->opset, 20);
    assert_int_equal(oct_model_output_count(back), 2);
    oct_model_destroy(m);
    oct_model_destroy(back);
}

static void save__silu__sigmoid_and_mul(void **state)
{
    oct_graph *g = NULL;
    oct_value *x = NULL, *y = NULL, *taken = NULL;
    oct_node *n = NULL;
    oct_model *m = NULL;
    ok(oct_graph_create("g", &g));
    g->opset = 13;
    ok(oct_value_add(g, "x", "x", &x));
    x->dtype = OCT_F32;
    x->shape = (oct_shape){1, {4}};
    ok(oct_graph_add_input(g, x));
    ok(oct_value_add(g, "y", "y", &y));
    ok(oct_value_add(g, "y_sigmoid", "y", &taken));
    ok(oct_node_add(g, NULL, OCT_OP_SILU, "act", 1, &x, 1, &y, &n));
    ok(oct_graph_add_output(g, y));
    ok(oct_graph_infer(g));
    ok(oct_model_from_graph(g, NULL, &m));
    oct_model *back = there_and_back(m);
    char *b = dump(back);
    assert_non_null(strstr(b, "y_sigmoid_1:f32[4] = Sigmoid(x)\ny:f32[4] = Mul(x, y_sigmoid_1)\n"));
    free(b);
    oct_model_destroy(m);
    oct_model_destroy(back);
}

static void save__fused_or_integer_node__internal_error_and_no_file(void **state)
{
    write_model("in.onnx", conv_model(13));
    oct_model *m = loads("in.onnx");
    m->graph->nodes[0]->fused.clamp = true;
    m->graph->nodes[0]->fused.lo = -INFINITY;
    m->graph->nodes[0]->fused.hi = 6;
    assert_int_equal(oct_model_save(m, "fused.onnx"), OCT_ERR_INTERNAL);
    assert_int_not_equal(access("fused.onnx", F_OK), 0);
    m->graph->nodes[0]->fused = (oct_fused){0};
    m->graph->nodes[0]->int8 = true;
    assert_int_equal(oct_model_save(m, "fused.onnx"), OCT_ERR_INTERNAL);
    m->graph->nodes[0]->int8 = false;
    m->graph->nodes[0]->op = OCT_OP_MATMUL; /* with the optimizer's bias */
    ok(oct_node_set_input(m->graph, m->graph->nodes[0], 2, m->graph->nodes[0]->inputs[1]));
    assert_int_equal(oct_model_save(m, "fused.onnx"), OCT_ERR_INTERNAL);
    oct_model_destroy(m);
}

static void save__unwritable_folder__io_error(void **state)
{
    write_model("in.onnx", conv_model(13));
    oct_model *m = loads("in.onnx");
    assert_int_equal(oct_model_save(m, "nowhere/out.onnx"), OCT_ERR_IO);
    oct_model_destroy(m);
    assert_int_equal(oct_model_load("missing.onnx", &m), OCT_ERR_IO);
    assert_non_null(strstr(oct_last_error()->file, "missing.onnx"));
}

static void save__four_bit_constant__packed_again(void **state)
{
    pb g = {0};
    const uint8_t packed[2] = {0xf1, 0x08};
    pb_msg(&g, PB_NODE, pb_node("DequantizeLinear", "d", "c,s", "y"));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("c", OCT_S4, 1, (int64_t[]){3}, packed, 2));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("s", OCT_F32, 0, NULL, &(float){2}, 4));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    write_model("in.onnx", pb_model(g, 21));
    oct_model *m = loads("in.onnx"), *back = there_and_back(m);
    assert_memory_equal(oct_value_find(back->graph, "c")->data, ((int8_t[]){1, -1, -8}), 3);
    assert_int_equal(back->graph->opset, 21);
    oct_model_destroy(m);
    oct_model_destroy(back);
}

/* --- external data --- */

static pb external_model(const char *location, const char *offset, const char *length)
{
    pb g = {0}, t = pb_tensor("w", OCT_F32, 1, (int64_t[]){4});
    const char *const entries[3][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    for (int i = 0; i < 3; i++) {
        pb e = {0};
        if (!entries[i][1])
            continue;
        pb_str(&e, 1, entries[i][0]);
        pb_str(&e, 2, entries[i][1]);
        pb_msg(&t, 13, e);
    }
    pb_int(&t, 14, 1);
    pb_msg(&g, PB_NODE, pb_node("Add", "a", "x,w", "y"));
    pb_msg(&g, PB_INITIALIZER, t);
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    return pb_model(g, 13);
}

static void external__inside_the_folder__read(void **state)
{
    const float data[6] = {9, 9, 1, 2, 3, 4};
    assert_true(mkdir("sub", 0700) == 0 || access("sub", F_OK) == 0);
    write_bytes("sub/w.bin", data, sizeof data);
    write_model("ext.onnx", external_model("sub/w.bin", "8", "16"));
    oct_model *m = loads("ext.onnx");
    assert_memory_equal(oct_value_find(m->graph, "w")->data, data + 2, 16);
    oct_model_destroy(m);
    write_model("ext.onnx", external_model("sub/w.bin", "4", NULL));
    m = loads("ext.onnx");
    assert_memory_equal(oct_value_find(m->graph, "w")->data, data + 1, 16);
    oct_model_destroy(m);
}

static void external__outside_or_wrong__refused(void **state)
{
    static const struct {
        const char *location, *offset, *length;
        oct_status status;
    } rows[] = {
        {"../w.bin", "0", "16", OCT_ERR_CONTENT}, {"/etc/passwd", "0", "16", OCT_ERR_CONTENT},  {"a/../../w.bin", "0", "16", OCT_ERR_CONTENT},
        {"link", "0", "16", OCT_ERR_CONTENT},     {"w.bin", "12", "16", OCT_ERR_CONTENT},       {"w.bin", "0", "12", OCT_ERR_CONTENT},
        {"w.bin", "-4", "16", OCT_ERR_CONTENT},   {"w.bin", "zero", "16", OCT_ERR_CONTENT},     {"w.bin", "9223372036854775807", "16", OCT_ERR_CONTENT},
        {"none.bin", "0", "16", OCT_ERR_IO},      {NULL, NULL, NULL, OCT_ERR_CONTENT},          {"", "0", "16", OCT_ERR_CONTENT},
        {"sub", "0", "16", OCT_ERR_IO},
    };
    write_bytes("w.bin", "0123456789abcdef01234567", 24);
    assert_true(symlink("/etc/passwd", "link") == 0 || access("link", F_OK) == 0);
    mkdir("sub", 0700);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        oct_model *m = NULL;
        write_model("ext.onnx", external_model(rows[i].location, rows[i].offset, rows[i].length));
        oct_status s = oct_model_load("ext.onnx", &m);
        if (s != rows[i].status && !(i == 12 && s == OCT_ERR_CONTENT))
            fail_msg("row %zu: status %d (%s)", i, s, oct_last_error()->message);
        assert_string_equal(oct_last_error()->node, "w");
    }
}

static void external__weights_above_the_limit__second_file(void **state)
{
    float w[512];
    size_t size;
    pb g = {0};
    for (int i = 0; i < 512; i++)
        w[i] = (float)i;
    pb_msg(&g, PB_NODE, pb_node("Add", "a", "x,w", "m"));
    pb_msg(&g, PB_NODE, pb_node("Add", "b", "m,v", "n"));
    pb_msg(&g, PB_NODE, pb_node("Mul", "c", "n,small", "y"));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_F32, 1, (int64_t[]){512}, w, sizeof w));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("v", OCT_F32, 1, (int64_t[]){512}, w, sizeof w));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("small", OCT_F32, 0, NULL, w + 3, 4));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "N,512"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    write_model("in.onnx", pb_model(g, 13));
    oct_model *m = loads("in.onnx");
    ok(oct_model_save_split(m, "big.onnx", 1000));
    free(read_bytes("big.onnx", &size));
    assert_true(size < 1000);
    oct_model *back = loads("big.onnx");
    assert_memory_equal(oct_value_find(back->graph, "v")->data, w, sizeof w);
    char *a = dump(m), *b = dump(back);
    assert_string_equal(a, b);
    free(a);
    free(b);
    oct_model_destroy(m);
    oct_model_destroy(back);
}

/* --- real models --- */

static void save__shared_models__same_graph_again(void **state)
{
    static const char *const names[] = {"ad_autoencoder", "kws_dscnn", "mobilenetv2_cifar10", "mobilenetv2_cifar10_bn", "resnet20_cifar10", "resnet20_cifar10_bn",
                                        "resnet32_cifar10", "resnet8_cifar10", "resnet8_large_cifar10", "vit_cifar10_ibp_3_3_8", "vit_cifar10_pgd_2_3_16",
                                        "vww_mobilenetv1_025_96"};
    int seen = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512], ha[17], hb[17];
        snprintf(path, sizeof path, "%s/../shared/models/%s.onnx", OCT_SOURCE_DIR, names[i]);
        if (access(path, R_OK) != 0)
            continue;
        seen++;
        oct_model *m = loads(path), *back = there_and_back(m);
        oct_port p;
        ok(oct_model_get_output(m, 0, &p));
        assert_int_equal(p.rank, 2);
        assert_true(p.dims[0] < 0 && p.dims[1] > 0);
        char *a = dump(m), *b = dump(back);
        assert_string_equal(a, b);
        ok(oct_graph_hash(m->graph, ha));
        ok(oct_graph_hash(back->graph, hb));
        assert_string_equal(ha, hb);
        free(a);
        free(b);
        oct_model_destroy(m);
        oct_model_destroy(back);
    }
    if (!seen)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save__everything_not_understood__survives),
        cmocka_unit_test(save__axes__input_or_attribute_by_opset),
        cmocka_unit_test(save__newer_operator_added__opset_rises),
        cmocka_unit_test(save__silu__sigmoid_and_mul),
        cmocka_unit_test(save__fused_or_integer_node__internal_error_and_no_file),
        cmocka_unit_test(save__unwritable_folder__io_error),
        cmocka_unit_test(save__four_bit_constant__packed_again),
        cmocka_unit_test(external__inside_the_folder__read),
        cmocka_unit_test(external__outside_or_wrong__refused),
        cmocka_unit_test(external__weights_above_the_limit__second_file),
        cmocka_unit_test(save__shared_models__same_graph_again),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
