/* Integer operators of ONNX Runtime become Q/DQ graphs: what each row of expand.c gives, and what is refused. */
#include "unit/onnx/pb.h"

#include "onnx/model.h"

typedef struct row {
    const char *op, *domain, *in;
    const char *attr; /* of value 1, or NULL */
    const char *expect, *error;
    oct_status status;
} row;

#define MS "com.microsoft"

/* x, y: u8[1,2,4,4]; a: u8[3,2]; cond: bool; s: 0.5; s2: {1, 2}; z: u8 7; w: s8[2,2,1,1]; b: s8[2,2]; wz: s8 0; bias: s32[2]. */
static const row rows[] = {
    {"QLinearConv", "", "x,s,z,w,s2,wz,s,z,bias", NULL,
     "n_real0:f32[1,2,4,4] = DequantizeLinear(x, s, z) # sources n\n"
     "n_real1:f32[2,2,1,1] = DequantizeLinear(w, s2, wz_1) {axis=0} # sources n\n"
     "n_bias:f32[2] = DequantizeLinear(bias, bias_1) {axis=-1} # sources n\n"
     "n_float:f32[1,2,4,4] = Conv(n_real0, n_real1, n_bias)\n"
     "out:u8[1,2,4,4] = QuantizeLinear(n_float, s, z) # sources n\n",
     NULL, OCT_OK},
    {"QLinearConv", "", "x,s,z,w,s,wz,s,z", NULL, "n_float:f32[1,2,4,4] = Conv(n_real0, n_real1)\n", NULL, OCT_OK},
    {"QLinearMatMul", "", "a,s,z,b,s2,wz,s,z", NULL, "n_real1:f32[2,2] = DequantizeLinear(b, s2, wz_1) {axis=-1}", NULL, OCT_OK},
    {"QGemm", MS, "a,s,z,b,s2,wz,bias,s,z", "transB",
     "n_real1:f32[2,2] = DequantizeLinear(b, s2, wz_1) {axis=0} # sources n\n"
     "n_bias:f32[2] = DequantizeLinear(bias, bias_1) {axis=-1} # sources n\n"
     "n_float:f32[3,2] = Gemm(n_real0, n_real1, n_bias) {transB=1}\n",
     NULL, OCT_OK},
    {"QGemm", MS, "a,s,z,b,s2,wz,bias", NULL, "out:f32[3,2] = Identity(n_float) # sources n\n", NULL, OCT_OK},
    {"QLinearAdd", MS, "x,s,z,y,s,z,s,z", NULL,
     "n_float:f32[1,2,4,4] = Add(n_real0, n_real1)\nout:u8[1,2,4,4] = QuantizeLinear(n_float, s, z)", NULL, OCT_OK},
    {"QLinearMul", MS, "x,s,,y,s,,s,", NULL, "out:u8[1,2,4,4] = QuantizeLinear(n_float, s, n_quantize)", NULL, OCT_OK},
    {"QLinearGlobalAveragePool", MS, "x,s,z,s,z", "channels_last",
     "n_first:f32[1,4,2,4] = Transpose(n_real0) {perm=[0,3,1,2]} # sources n\n"
     "n_float:f32[1,4,1,1] = GlobalAveragePool(n_first)\n"
     "n_last:f32[1,1,1,4] = Transpose(n_float) {perm=[0,2,3,1]} # sources n\n",
     NULL, OCT_OK},
    {"QLinearConcat", MS, "s,z,x,s,z,y,s,z", "axis", "out:u8[1,4,4,4] = QuantizeLinear(n_float, s, z)", NULL, OCT_OK},
    {"QLinearSigmoid", MS, "x,s,z,s,z", NULL, "n_float:f32[1,2,4,4] = Sigmoid(n_real0)\n", NULL, OCT_OK},
    {"QLinearLeakyRelu", MS, "x,s,z,s,z", NULL, "n_float:f32[1,2,4,4] = LeakyRelu(n_real0)\n", NULL, OCT_OK},
    {"QLinearSoftmax", MS, "x,s,z,s,z", "opset", "Softmax(", NULL, OCT_OK},
    {"QLinearReduceMean", MS, "x,s,z,s,z", "axes", "n_float:f32[1,1,4,4] = ReduceMean(n_real0, n_axes)\n", NULL, OCT_OK},
    {"QLinearWhere", MS, "cond,x,s,z,y,s,z,s,z", NULL, "n_float:f32[1,2,4,4] = Where(cond, n_real1, n_real2)\n", NULL, OCT_OK},
    {"DequantizeLinear", MS, "x,s,z", NULL, "out:f32[1,2,4,4] = DequantizeLinear(x, s, z)\n", NULL, OCT_OK},
    {"QLinearAdd", MS, "x,given,z,y,s,z,s,z", NULL, NULL, "node 'n': the scale 'given' of operator QLinearAdd is not a constant",
     OCT_ERR_UNSUPPORTED},
    {"QLinearAdd", MS, "x,s2,z,y,s,z,s,z", NULL, NULL, "node 'n': the scale 's2' of operator QLinearAdd has 2 values",
     OCT_ERR_UNSUPPORTED},
    {"QLinearConv", "", "x,s,z,w,s,wz,s2,z", NULL, NULL, "the scale 's2' of operator QLinearConv has 2 values",
     OCT_ERR_UNSUPPORTED},
    {"QLinearMul", MS, "x,s,z,y,s,z", NULL, NULL, "node 'n': operator QLinearMul lacks the scale of the result", OCT_ERR_CONTENT},
    {"QLinearMul", MS, "x,s,z,y,s,z,s,z,s", NULL, NULL, "node 'n': operator QLinearMul has 9 inputs", OCT_ERR_CONTENT},
    {"QLinearMul", MS, "x", NULL, NULL, "node 'n': operator QLinearMul lacks the scale of an operand", OCT_ERR_CONTENT},
    {"QLinearConv", "", "x,s,z,w,s,wz,s,z,s2", NULL, NULL, "takes float scales and a bias of int32, not float32", OCT_ERR_CONTENT},
    {"QLinearConv", "", "x,bad,z,w,s,wz,s,z", NULL, NULL, "'n_real0': scale -1", OCT_ERR_CONTENT},
    {"QLinearConv", MS, "x,s,z,w,s,wz,s,z", NULL, NULL, "operator com.microsoft.QLinearConv", OCT_ERR_UNSUPPORTED},
};

static pb build(const row *r)
{
    static const float half = 0.5f, two[2] = {1, 2}, bad = -1;
    static const int32_t bias[2] = {3, 4};
    pb g = {0}, n = pb_node(r->op, "n", r->in, "out");
    if (*r->domain)
        pb_str(&n, 7, r->domain);
    if (r->attr && strcmp(r->attr, "axes") == 0)
        pb_attr_ints(&n, r->attr, 1, (int64_t[]){1});
    else if (r->attr)
        pb_attr_int(&n, r->attr, strcmp(r->attr, "opset") == 0 ? 11 : 1);
    if (r->attr && strcmp(r->attr, "opset") == 0)
        pb_attr_int(&n, "axis", 0);
    pb_str(&g, 2, "g");
    pb_msg(&g, PB_NODE, n);
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("s", OCT_F32, 0, NULL, &half, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("bad", OCT_F32, 0, NULL, &bad, 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("s2", OCT_F32, 1, (int64_t[]){2}, two, 8));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("z", OCT_U8, 0, NULL, "\7", 1));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("w", OCT_S8, 4, (int64_t[]){2, 2, 1, 1}, "1234", 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("b", OCT_S8, 2, (int64_t[]){2, 2}, "1234", 4));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("wz", OCT_S8, 0, NULL, "\0", 1));
    pb_msg(&g, PB_INITIALIZER, pb_tensor_raw("bias", OCT_S32, 1, (int64_t[]){2}, bias, 8));
    pb_msg(&g, PB_INPUT, pb_info("x", OCT_U8, "1,2,4,4"));
    pb_msg(&g, PB_INPUT, pb_info("y", OCT_U8, "1,2,4,4"));
    pb_msg(&g, PB_INPUT, pb_info("a", OCT_U8, "3,2"));
    pb_msg(&g, PB_INPUT, pb_info("cond", OCT_BOOL, "1"));
    pb_msg(&g, PB_INPUT, pb_info("given", OCT_F32, ""));
    pb_msg(&g, PB_OUTPUT, pb_info("out", 0, NULL));
    return pb_model(g, 17);
}

static void expand__each_operator__quantized_graph_or_error(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        pb m = build(r);
        oct_model *model = NULL;
        char *text = NULL;
        oct_status s = oct_model_load_memory(m.data, m.size, "m", &model);
        free(m.data);
        if (s != r->status)
            fail_msg("row %zu (%s): status %d, %s", i, r->op, (int)s, s ? oct_last_error()->message : "");
        if (s != OCT_OK) {
            if (!strstr(oct_last_error()->message, r->error))
                fail_msg("row %zu (%s): '%s'", i, r->op, oct_last_error()->message);
            continue;
        }
        assert_int_equal(oct_graph_dump(model->graph, &text), OCT_OK);
        if (!strstr(text, r->expect))
            fail_msg("row %zu (%s):\n%s", i, r->op, text);
        free(text);
        oct_model_destroy(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand__each_operator__quantized_graph_or_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
