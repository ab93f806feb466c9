/* Each optimizer pass on a small graph, by text dump: what goes in is built here, what must come out stands here. */
#include "unit/opt/opt_case.h"

static void identity__identity_and_single_concat__both_gone(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *a = op(g, OCT_OP_IDENTITY, "a", x, NULL, NULL), *b = op(g, OCT_OP_RELU, "b", a, NULL, NULL);
    output(g, op(g, OCT_OP_IDENTITY, "y", b, NULL, NULL));
    assert_int_equal(run(g, "identity"), 2);
    expect(g, "y:f32[1,2,4,4] = Relu(x)\n");
    oct_graph_destroy(g);
}

static void pad__zero_spatial_pad_before_conv__conv_pads(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    const int64_t pads[8] = {0, 0, 1, 2, 0, 0, 3, 0};
    oct_value *p = op(g, OCT_OP_PAD, "p", x, s64s(g, "pads", 8, pads), NULL);
    output(g, op(g, OCT_OP_CONV, "y", p, zeros(g, "w", OCT_F32, 4, kernel), NULL));
    assert_int_equal(run(g, "pad"), 1);
    expect(g, "y:f32[1,2,8,6] = Conv(x, w) {pads=[1,2,3,0]}\n");
    oct_graph_destroy(g);
}

static void pad__pad_with_another_value__stays(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    oct_value *p = op(g, OCT_OP_PAD, "p", x, s64s(g, "pads", 8, pads), scalar(g, "v", 1.0f));
    output(g, op(g, OCT_OP_CONV, "y", p, zeros(g, "w", OCT_F32, 4, kernel), NULL));
    assert_int_equal(run(g, "pad"), 0);
    oct_graph_destroy(g);
}

static void batch_norm__after_conv__weights_scaled_and_bias_made(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image), *y;
    const float w[4] = {1, 2, 3, 4}, gamma[2] = {2, 4}, beta[2] = {0.5f, -1}, mean[2] = {1, 2}, var[2] = {4, 16};
    oct_value *c = op(g, OCT_OP_CONV, "c", x, f32(g, "w", 4, kernel, w), NULL);
    oct_value *in[5] = {c, f32(g, "gamma", 1, two, gamma), f32(g, "beta", 1, two, beta), f32(g, "mean", 1, two, mean), f32(g, "var", 1, two, var)};
    oct_node *bn;
    OK(oct_value_add(g, "y", "y", &y));
    OK(oct_node_add(g, NULL, OCT_OP_BATCH_NORM, "bn", 5, in, 1, &y, &bn));
    OK(oct_node_set_float(g, bn, "epsilon", 0));
    output(g, y);
    assert_int_equal(run(g, "batch_norm"), 1);
    assert_int_equal(g->node_count, 1);
    const oct_node *n = g->nodes[0];
    const float *nw = n->inputs[1]->data, *nb = n->inputs[2]->data;
    for (int i = 0; i < 4; i++) /* k = gamma / sqrt(var) = 1 and 1 */
        assert_true(nw[i] == w[i]);
    assert_true(nb[0] == -0.5f && nb[1] == -3.0f);
    oct_graph_destroy(g);
}

static void patterns__sigmoid_times_x__silu(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    output(g, op(g, OCT_OP_MUL, "y", x, op(g, OCT_OP_SIGMOID, "s", x, NULL, NULL), NULL));
    assert_int_equal(run(g, "patterns"), 1);
    expect(g, "y:f32[1,2,4,4] = Silu(x)\n");
    oct_graph_destroy(g);
}

static void patterns__sigmoid_of_another_tensor__stays(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image), *z = input(g, "z", OCT_F32, 4, image);
    output(g, op(g, OCT_OP_MUL, "y", x, op(g, OCT_OP_SIGMOID, "s", z, NULL, NULL), NULL));
    assert_int_equal(run(g, "patterns"), 0);
    oct_graph_destroy(g);
}

static void patterns__spelled_hard_swish__recognised(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *t = op(g, OCT_OP_ADD, "t", x, scalar(g, "three", 3), NULL);
    oct_value *c = op(g, OCT_OP_CLIP, "c", t, scalar(g, "lo", 0), scalar(g, "hi", 6));
    oct_value *d = op(g, OCT_OP_DIV, "d", c, scalar(g, "six", 6), NULL);
    output(g, op(g, OCT_OP_MUL, "y", x, d, NULL));
    assert_int_equal(run(g, "patterns"), 1);
    expect(g, "y:f32[1,2,4,4] = HardSwish(x)\n");
    oct_graph_destroy(g);
}

static void patterns__spelled_gelu__recognised(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *d = op(g, OCT_OP_DIV, "d", x, scalar(g, "r", (float)M_SQRT2), NULL);
    oct_value *a = op(g, OCT_OP_ADD, "a", op(g, OCT_OP_ERF, "e", d, NULL, NULL), scalar(g, "one", 1), NULL);
    oct_value *m = op(g, OCT_OP_MUL, "m", x, a, NULL);
    output(g, op(g, OCT_OP_MUL, "y", m, scalar(g, "half", 0.5f), NULL));
    assert_int_equal(run(g, "patterns"), 1);
    expect(g, "y:f32[1,2,4,4] = Gelu(x)\n");
    oct_graph_destroy(g);
}

static void lift__dq_reads_codes_otherwise_than_q_wrote__stays_float(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    output(g, dq(g, "y", q(g, "c", x, 0.25f, 3), 0.5f, 3));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "c:u8[1,2,4,4] q{s=0.25 z=3} = QuantizeLinear(x, s, z)\ny:f32[1,2,4,4] = DequantizeLinear(c, s_1, z_1)\n");
    oct_graph_destroy(g);
}

static void dq_late__max_pool_between__pools_codes(void **state)
{
    oct_graph *g = graph();
    oct_value *c = input(g, "c", OCT_U8, 4, image);
    oct_value *p = op(g, OCT_OP_MAX_POOL, "p", dq(g, "x", c, 0.5f, 3), NULL, NULL);
    const int64_t k[2] = {2, 2};
    OK(oct_node_set_ints(g, p->producer, "kernel_shape", k, 2));
    output(g, q(g, "y", p, 0.5f, 3));
    run_stage(g, OCT_OPT_QDQ);
    /* equal parameters, but y is a graph output: one requantization keeps its name */
    expect(g, "p_1:u8[1,2,3,3] q{s=0.5 z=3} = MaxPool(c) {kernel_shape=[2,2]}\ny:u8[1,2,3,3] q{s=0.5 z=3} = Requantize(p_1) int8\n");
    oct_graph_destroy(g);
}

static void dq_late__zero_pad_between__pads_codes(void **state)
{
    oct_graph *g = graph();
    const int64_t pads[8] = {0, 1, 0, 0, 0, 1, 0, 0};
    oct_value *x = dq(g, "x", input(g, "c", OCT_U8, 4, image), 0.5f, 3);
    output(g, op(g, OCT_OP_PAD, "y", x, s64s(g, "pads", 8, pads), NULL));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "y_1:u8[1,4,4,4] q{s=0.5 z=3} = Pad(c, pads)\ny:f32[1,4,4,4] = DequantizeLinear(y_1, s, z)\n");
    oct_graph_destroy(g);
}

/* x -> Q -> DQ -> Conv(DQ(w)) -> [between] -> Q -> DQ -> y */
static oct_value *quantized_conv(oct_graph *g, const char *name, oct_value *x)
{
    oct_value *w = dq(g, "wf", zeros(g, "w", OCT_U8, 4, kernel), 0.25f, 0);
    return op(g, OCT_OP_CONV, name, x, w, NULL);
}

static void form__conv_relu_pool__codes_all_through(void **state)
{
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "xq", OCT_U8, 4, image), 0.5f, 3);
    oct_value *r = op(g, OCT_OP_RELU, "r", quantized_conv(g, "c", x), NULL, NULL);
    oct_value *p = op(g, OCT_OP_MAX_POOL, "p", r, NULL, NULL);
    const int64_t k[2] = {2, 2};
    OK(oct_node_set_ints(g, p->producer, "kernel_shape", k, 2));
    output(g, dq(g, "y", q(g, "yq", p, 0.125f, 7), 0.125f, 7));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "r_1:u8[1,2,4,4] q{s=0.125 z=7} = Conv(xq, w) fused{clamp=[0,inf]} int8\n"
              "yq:u8[1,2,3,3] q{s=0.125 z=7} = MaxPool(r_1) {kernel_shape=[2,2]}\n"
              "y:f32[1,2,3,3] = DequantizeLinear(yq, s_3, z_3)\n");
    oct_graph_destroy(g);
}

static void form__residual_with_own_q__fused_in_order_add_relu(void **state)
{
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "xq", OCT_U8, 4, image), 0.5f, 3), *res = dq(g, "rd", input(g, "rq", OCT_U8, 4, image), 0.75f, 9);
    oct_value *sum = op(g, OCT_OP_ADD, "sum", quantized_conv(g, "c", x), res, NULL);
    output(g, dq(g, "y", q(g, "yq", op(g, OCT_OP_RELU, "r", sum, NULL, NULL), 0.125f, 7), 0.125f, 7));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "yq:u8[1,2,4,4] q{s=0.125 z=7} = Conv(xq, w, -, rq) fused{res=3 clamp=[0,inf]} int8\n"
              "y:f32[1,2,4,4] = DequantizeLinear(yq, s_4, z_4)\n");
    oct_graph_destroy(g);
}

static void inner__conv_output_quantized_before_add__second_epilogue(void **state)
{
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "xq", OCT_U8, 4, image), 0.5f, 3), *res = dq(g, "rd", input(g, "rq", OCT_U8, 4, image), 0.75f, 9);
    oct_value *c = dq(g, "cd", q(g, "cq", quantized_conv(g, "c", x), 0.3f, 11), 0.3f, 11);
    output(g, dq(g, "y", q(g, "yq", op(g, OCT_OP_ADD, "sum", c, res, NULL), 0.125f, 7), 0.125f, 7));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "yq:u8[1,2,4,4] q{s=0.125 z=7} = Conv(xq, w, -, rq) fused{res=3 inner=u8(0.300000012,11)} int8\n"
              "y:f32[1,2,4,4] = DequantizeLinear(yq, s_6, z_6)\n");
    oct_graph_destroy(g);
}

static void form__conv_without_q_behind__float_output(void **state)
{
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "xq", OCT_U8, 4, image), 0.5f, 3);
    output(g, op(g, OCT_OP_SIGMOID, "y", quantized_conv(g, "c", x), NULL, NULL));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "c:f32[1,2,4,4] = Conv(xq, w) int8\ny:f32[1,2,4,4] = Sigmoid(c)\n");
    oct_graph_destroy(g);
}

static void collapse__unequal_pair__requantize(void **state)
{
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "xq", OCT_U8, 4, image), 0.5f, 3);
    output(g, dq(g, "y", q(g, "yq", x, 0.25f, 1), 0.25f, 1));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "yq:u8[1,2,4,4] q{s=0.25 z=1} = Requantize(xq) int8\ny:f32[1,2,4,4] = DequantizeLinear(yq, s_2, z_2)\n");
    oct_graph_destroy(g);
}

static void fuse__float_conv_add_relu__one_node(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image), *r = input(g, "r", OCT_F32, 4, image);
    oct_value *c = op(g, OCT_OP_CONV, "c", x, zeros(g, "w", OCT_F32, 4, kernel), NULL);
    output(g, op(g, OCT_OP_RELU, "y", op(g, OCT_OP_ADD, "a", r, c, NULL), NULL, NULL));
    run_stage(g, OCT_OPT_FUSE);
    expect(g, "y:f32[1,2,4,4] = Conv(x, w, -, r) fused{res=3 clamp=[0,inf]}\n");
    oct_graph_destroy(g);
}

static void fuse__tapped_value_between__stays(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *c = op(g, OCT_OP_CONV, "c", x, zeros(g, "w", OCT_F32, 4, kernel), NULL);
    c->is_output = true; /* a tap */
    output(g, op(g, OCT_OP_RELU, "y", c, NULL, NULL));
    run_stage(g, OCT_OPT_FUSE);
    expect(g, "c:f32[1,2,4,4] = Conv(x, w)\ny:f32[1,2,4,4] = Relu(c)\n");
    oct_graph_destroy(g);
}

static void fuse__matmul_bias_clip__one_node(void **state)
{
    oct_graph *g = graph();
    const int64_t xs[2] = {3, 2}, ws[2] = {2, 2};
    oct_value *x = input(g, "x", OCT_F32, 2, xs);
    oct_value *m = op(g, OCT_OP_MATMUL, "m", x, zeros(g, "w", OCT_F32, 2, ws), NULL);
    oct_value *a = op(g, OCT_OP_ADD, "a", zeros(g, "b", OCT_F32, 1, two), m, NULL);
    output(g, op(g, OCT_OP_CLIP, "y", a, scalar(g, "lo", -1), scalar(g, "hi", 2)));
    run_stage(g, OCT_OPT_FUSE);
    expect(g, "y:f32[3,2] = MatMul(x, w, b) fused{clamp=[-1,2]}\n");
    oct_graph_destroy(g);
}

static void unary_codes__silu_between_float_and_q__writes_codes(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *s = op(g, OCT_OP_SILU, "s", x, NULL, NULL);
    output(g, dq(g, "y", q(g, "c", s, 0.1f, 3), 0.1f, 3));
    run(g, "lift");
    assert_int_equal(run(g, "unary_codes"), 1);
    expect(g, "c:u8[1,2,4,4] q{s=0.100000001 z=3} = Silu(x)\n"
              "y:f32[1,2,4,4] = DequantizeLinear(c, s_2, z_1)\n");
    assert_int_equal(g->nodes[0]->source_count, 2);
    oct_graph_destroy(g);
}

static void unary_codes__float_result_read_elsewhere__stays(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    oct_value *s = op(g, OCT_OP_SILU, "s", x, NULL, NULL), *r = op(g, OCT_OP_SIGMOID, "r", x, NULL, NULL);
    output(g, s);
    output(g, q(g, "c", s, 0.1f, 3));
    output(g, q(g, "d", r, 0.1f, 3));
    output(g, op(g, OCT_OP_ADD, "a", r, x, NULL));
    run(g, "lift");
    assert_int_equal(run(g, "unary_codes"), 0);
    oct_graph_destroy(g);
}

static void explain__half_quantized_model__reason_names_the_tensor(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image), *z = dq(g, "zd", input(g, "zq", OCT_U8, 4, image), 0.5f, 3);
    output(g, quantized_conv(g, "c", x));
    output(g, op(g, OCT_OP_SIGMOID, "sig", z, NULL, NULL));
    run_stage(g, OCT_OPT_QDQ | OCT_OPT_FUSE);
    for (int64_t i = 0; i < g->node_count; i++) {
        if (g->nodes[i]->op == OCT_OP_CONV)
            assert_string_equal(g->nodes[i]->reason, "input 'x' has no Q/DQ");
        if (g->nodes[i]->op == OCT_OP_SIGMOID)
            assert_string_equal(g->nodes[i]->reason, "output 'sig' has no Q");
    }
    oct_graph_destroy(g);
}

static void passes__unknown_name__usage(void **state)
{
    oct_graph *g = graph();
    int64_t changes;
    assert_int_equal(oct_opt_pass(&(oct_opt){.g = g}, "nosuch", &changes), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "nosuch"));
    oct_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity__identity_and_single_concat__both_gone),
        cmocka_unit_test(pad__zero_spatial_pad_before_conv__conv_pads),
        cmocka_unit_test(pad__pad_with_another_value__stays),
        cmocka_unit_test(batch_norm__after_conv__weights_scaled_and_bias_made),
        cmocka_unit_test(patterns__sigmoid_times_x__silu),
        cmocka_unit_test(patterns__sigmoid_of_another_tensor__stays),
        cmocka_unit_test(patterns__spelled_hard_swish__recognised),
        cmocka_unit_test(patterns__spelled_gelu__recognised),
        cmocka_unit_test(lift__dq_reads_codes_otherwise_than_q_wrote__stays_float),
        cmocka_unit_test(dq_late__max_pool_between__pools_codes),
        cmocka_unit_test(dq_late__zero_pad_between__pads_codes),
        cmocka_unit_test(form__conv_relu_pool__codes_all_through),
        cmocka_unit_test(form__residual_with_own_q__fused_in_order_add_relu),
        cmocka_unit_test(inner__conv_output_quantized_before_add__second_epilogue),
        cmocka_unit_test(form__conv_without_q_behind__float_output),
        cmocka_unit_test(collapse__unequal_pair__requantize),
        cmocka_unit_test(fuse__float_conv_add_relu__one_node),
        cmocka_unit_test(fuse__tapped_value_between__stays),
        cmocka_unit_test(fuse__matmul_bias_clip__one_node),
        cmocka_unit_test(unary_codes__silu_between_float_and_q__writes_codes),
        cmocka_unit_test(unary_codes__float_result_read_elsewhere__stays),
        cmocka_unit_test(explain__half_quantized_model__reason_names_the_tensor),
        cmocka_unit_test(passes__unknown_name__usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
