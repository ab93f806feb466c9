/* Old forms become canonical: each row is a node of an old opset and the line that the graph shows for it. */
#include "unit/onnx/pb.h"

#include "onnx/model.h"

typedef struct attr {
    const char *name;
    int kind; /* i f s I F */
    int64_t i;
    float f;
    const char *s;
    int n;
    int64_t ints[4];
    float floats[4];
} attr;

typedef struct row {
    int64_t opset;
    const char *op, *shape, *in, *out;
    attr attrs[4];
    const char *expect; /* part of the dump; NULL: refused with `error` */
    const char *error;
} row;

#define INT(name_, v_)       {.name = name_, .kind = 'i', .i = v_}
#define FLOAT(name_, v_)     {.name = name_, .kind = 'f', .f = v_}
#define STR(name_, v_)       {.name = name_, .kind = 's', .s = v_}
#define INTS(name_, n_, ...) {.name = name_, .kind = 'I', .n = n_, .ints = {__VA_ARGS__}}
#define FLTS(name_, n_, ...) {.name = name_, .kind = 'F', .n = n_, .floats = {__VA_ARGS__}}

static const row rows[] = {
    {7, "Clip", "2,3", "x", "y", {FLOAT("min", 0), FLOAT("max", 6)}, "const n_min:f32[] = {0}\nconst n_max:f32[] = {6}\ny:f32[2,3] = Clip(x, n_min, n_max)\n", NULL},
    {7, "Clip", "2,3", "x", "y", {FLOAT("max", 6)}, "y:f32[2,3] = Clip(x, -, n_max)\n", NULL},
    {7, "Clip", "2,3", "x", "y", {{0}}, "y:f32[2,3] = Clip(x)\n", NULL},
    {11, "Clip", "2,3", "x", "y", {FLOAT("max", 6)}, NULL, "opset 11 has no attribute 'max'"},
    {9, "ReduceMean", "2,3,4", "x", "y", {INTS("axes", 2, 1, 2), INT("keepdims", 0)}, "const n_axes:s64[2] = {1, 2}\ny:f32[2] = ReduceMean(x, n_axes) {keepdims=0}\n", NULL},
    {9, "ReduceMean", "2,3,4", "x", "y", {{0}}, "y:f32[1,1,1] = ReduceMean(x)\n", NULL},
    {18, "ReduceMean", "2,3,4", "x", "y", {INTS("axes", 1, 1)}, NULL, "has no attribute 'axes'"},
    {11, "ReduceSum", "2,3", "x", "y", {INTS("axes", 1, 1)}, "ReduceSum(x, n_axes)", NULL},
    {13, "ReduceSum", "2,3", "x", "y", {INTS("axes", 1, 1)}, NULL, "has no attribute 'axes'"},
    {9, "Squeeze", "2,1,3", "x", "y", {INTS("axes", 1, 1)}, "y:f32[2,3] = Squeeze(x, n_axes)", NULL},
    {9, "Unsqueeze", "2,3", "x", "y", {INTS("axes", 2, 0, 3)}, "y:f32[1,2,3,1] = Unsqueeze(x, n_axes)", NULL},
    {9, "Slice", "4,6", "x", "y", {INTS("starts", 1, 1), INTS("ends", 1, 3), INTS("axes", 1, 1)}, "y:f32[4,2] = Slice(x, n_starts, n_ends, n_axes)", NULL},
    {9, "Pad", "1,1,2,2", "x", "y", {INTS("pads", 4, 0, 0, 0, 0)}, NULL, "'n'"},
    {9, "Pad", "2,3", "x", "y", {INTS("pads", 4, 0, 1, 0, 2), FLOAT("value", 1.5f)}, "y:f32[2,6] = Pad(x, n_pads, n_value)", NULL},
    {9, "Pad", "2,3", "x", "y", {INTS("pads", 4, 0, 1, 0, 2), FLOAT("value", 0)}, "y:f32[2,6] = Pad(x, n_pads)", NULL},
    {11, "Split", "4,6", "x", "y,z", {INT("axis", 1), INTS("split", 2, 2, 4)}, "y:f32[4,2], z:f32[4,4] = Split(x, n_split) {axis=1}", NULL},
    {11, "Split", "4,6", "x", "y,z", {{0}}, "y:f32[2,6], z:f32[2,6] = Split(x) {num_outputs=2}", NULL},
    {11, "Split", "4,6", "x", "y,z,unread", {INT("axis", 1)}, "unread:f32[4,2] = Split", NULL},
    {9, "Upsample", "1,1,2,2", "x,s", "y", {{0}}, "y:f32[1,1,4,6] = Resize(x, -, s) {coordinate_transformation_mode=\"asymmetric\", nearest_mode=\"floor\"}", NULL},
    {7, "Upsample", "1,1,2,2", "x", "y", {STR("mode", "linear"), FLTS("scales", 4, 1, 1, 2, 2)}, "Resize(x, -, n_scales) {coordinate_transformation_mode=\"asymmetric\", mode=\"linear\"}", NULL},
    {10, "Upsample", "1,1,2,2", "x,s", "y", {{0}}, NULL, "not part of opset 10"},
    {10, "Resize", "1,1,2,2", "x,s", "y", {{0}}, "y:f32[1,1,4,6] = Resize(x, -, s) {coordinate_transformation_mode=\"asymmetric\", nearest_mode=\"floor\"}", NULL},
    {11, "Resize", "1,1,2,2", "x,none,s", "y", {{0}}, "y:f32[1,1,4,6] = Resize(x, -, s)\n", NULL},
    {11, "Softmax", "2,5", "x", "y", {{0}}, "y:f32[2,5] = Softmax(x)\n", NULL},
    {11, "Softmax", "2,5,1,1", "x", "y", {INT("axis", 1)}, "y:f32[2,5,1,1] = Softmax(x) {axis=1}\n", NULL},
    {11, "LogSoftmax", "2,3,4", "x", "y", {INT("axis", -1)}, "y:f32[2,3,4] = LogSoftmax(x)\n", NULL},
    {11, "Softmax", "2,3,4", "x", "y", {INT("axis", 1)},
     "n_shape:s64[3] = Shape(x) # sources n\nn_flat:f32[2,12] = Flatten(x) # sources n\nn_rows:f32[2,12] = Softmax(n_flat) # sources n\ny:f32[2,3,4] = Reshape(n_rows, n_shape)\n", NULL},
    {13, "Softmax", "2,3,4", "x", "y", {INT("axis", 1)}, "y:f32[2,3,4] = Softmax(x) {axis=1}\n", NULL},
    {13, "Softmax", "2,3,4", "x", "y", {INT("axis", -1)}, "y:f32[2,3,4] = Softmax(x)\n", NULL},
    {7, "Dropout", "2,3", "x", "y,mask", {FLOAT("ratio", 0.5f)}, "y:f32[2,3] = Identity(x)\n", NULL},
    {12, "Dropout", "2,3", "x,half,no", "y", {INT("seed", 1)}, "y:f32[2,3] = Identity(x)\n", NULL},
    {12, "Dropout", "2,3", "x,half,yes", "y", {{0}}, NULL, "training mode"},
    {7, "BatchNormalization", "2,3,4,4", "x,c,c,c,c", "y", {INT("spatial", 1), FLOAT("momentum", 0.1f)}, "y:f32[2,3,4,4] = BatchNormalization(x, c, c, c, c)\n", NULL},
    {7, "BatchNormalization", "2,3,4,4", "x,c,c,c,c", "y", {INT("spatial", 0)}, NULL, "'spatial'"},
    {14, "BatchNormalization", "2,3,4,4", "x,c,c,c,c", "y,mean,var", {INT("training_mode", 1)}, NULL, "'training_mode'"},
    {10, "MaxPool", "1,1,4,4", "x", "y,indices", {INTS("kernel_shape", 2, 2, 2), INTS("strides", 2, 2, 2), INT("storage_order", 1)}, "y:f32[1,1,2,2] = MaxPool(x) {kernel_shape=[2,2], strides=[2,2]}\n", NULL},
    {12, "MaxPool", "1,1,4,4", "x", "y", {{0}}, NULL, "needs attribute 'kernel_shape'"},
    {21, "QuantizeLinear", "2,3", "x,one", "y", {INT("output_dtype", OCT_S8)}, "const n_zero:s8[] = {0}\ny:s8[2,3] = QuantizeLinear(x, one, n_zero)\n", NULL},
    {21, "QuantizeLinear", "2,3", "x,one", "y", {INT("block_size", 16)}, NULL, "'block_size'"},
    {23, "DequantizeLinear", "2,3", "codes,one", "y", {INT("output_dtype", OCT_F32)}, "DequantizeLinear(codes, one)\n", NULL},
    {13, "Conv", "1,1,4,4", "x,w", "y", {INTS("strides", 2, 1, 1), INTS("pads", 4, 0, 0, 0, 0), INT("group", 1), STR("auto_pad", "NOTSET")}, "y:f32[1,1,4,4] = Conv(x, w)\n", NULL},
};

static void put_attr(pb *n, const attr *a)
{
    switch (a->kind) {
    case 'i': pb_attr_int(n, a->name, a->i); break;
    case 'f': pb_attr_float(n, a->name, a->f); break;
    case 's': pb_attr_str(n, a->name, a->s); break;
    case 'I': pb_attr_ints(n, a->name, a->n, a->ints); break;
    case 'F': pb_attr_floats(n, a->name, a->n, a->floats); break;
    }
}

static pb build(const row *r)
{
    static const float scales[4] = {1, 1, 2, 3}, c[3] = {1, 1, 1}, half = 0.5f, one = 1;
    pb g = {0}, n = pb_node(r->op, "n", r->in, r->out);
    for (int i = 0; i < 4 && r->attrs[i].name; i++)
        put_attr(&n, &r->attrs[i]);
    pb_str(&g, 2, "g");
    pb_msg(&g, PB_NODE, n);
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("s", OCT_F32, 1, (int64_t[]){4}, scales, 16));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("c", OCT_F32, 1, (int64_t[]){3}, c, 12));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_F32, 4, (int64_t[]){1, 1, 1, 1}, &one, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("none", OCT_F32, 1, (int64_t[]){0}, "", 0));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("half", OCT_F32, 0, NULL, &half, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("one", OCT_F32, 0, NULL, &one, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("codes", OCT_U8, 2, (int64_t[]){2, 3}, "123456", 6));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("no", OCT_BOOL, 0, NULL, "\0", 1));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("yes", OCT_BOOL, 0, NULL, "\1", 1));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, r->shape));
    pb_msg(&g, PB_OUTPUT, pb_info("y", 0, NULL));
    return pb_model(g, r->opset);
}

static void upgrade__each_old_form__canonical_line(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        pb m = build(r);
        oct_model *model = NULL;
        char *text = NULL;
        oct_status s = oct_model_load_memory(m.data, m.size, "m", &model);
        free(m.data);
        if (!r->expect) {
            assert_int_not_equal(s, OCT_OK);
            if (!strstr(oct_last_error()->message, r->error))
                fail_msg("row %zu (%s %d): '%s'", i, r->op, (int)r->opset, oct_last_error()->message);
            assert_string_equal(oct_last_error()->node, "n");
            continue;
        }
        if (s != OCT_OK)
            fail_msg("row %zu (%s %d): %s", i, r->op, (int)r->opset, oct_last_error()->message);
        assert_int_equal(oct_graph_dump(model->graph, &text), OCT_OK);
        if (!strstr(text, r->expect))
            fail_msg("row %zu (%s %d):\n%s", i, r->op, (int)r->opset, text);
        free(text);
        oct_model_destroy(model);
    }
}

/* A mask that somebody reads is training. */
static void upgrade__dropout_mask_is_read__unsupported(void **state)
{
    pb g = {0};
    pb_msg(&g, PB_NODE, pb_node("Dropout", "n", "x", "y,mask"));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_F32, "4"));
    pb_msg(&g, PB_OUTPUT, pb_info("y", OCT_F32, NULL));
    pb_msg(&g, PB_OUTPUT, pb_info("mask", OCT_BOOL, NULL));
    pb m = pb_model(g, 13);
    oct_model *model = NULL;
    assert_int_equal(oct_model_load_memory(m.data, m.size, "m", &model), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_last_error()->message, "'mask'"));
    free(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upgrade__each_old_form__canonical_line),
        cmocka_unit_test(upgrade__dropout_mask_is_read__unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
