/* What nodes become: kinds of steps, views without copies, layouts, ports. The arithmetic of steps is tested in src/rt's tests. */
#include "unit/op/op_case.h"
#include "op/lower.h"

static oct_graph *inferred(oct_op op, const char *inputs, const char *attrs, int outputs)
{
    oct_graph *g = case_graph(op, inputs, attrs, outputs);
    ok(oct_graph_infer(g));
    return g;
}

/* "quantize copy" */
static void expect_steps(oct_graph *g, const char *want)
{
    oct_lower *l = NULL;
    char text[512] = "";
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    for (int64_t i = 0; i < l->d->step_count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, oct_step_kind_name((oct_step_kind)l->d->steps[i].step.kind));
    }
    if (strcmp(text, want) != 0)
        fail_msg("%s: wanted steps '%s', got '%s'", oct_op_get(g->nodes[0]->op)->name, want, text);
    assert_int_equal(l->d->port_count[OCT_PORT_INPUT], g->input_count);
    assert_int_equal(l->d->port_count[OCT_PORT_OUTPUT], g->output_count);
    for (int64_t i = 0; i < g->output_count; i++) {
        const oct_plan_tensor *t = oct_lower_tensor(l, l->d->ports[OCT_PORT_OUTPUT][i].tensor);
        assert_int_equal(t->place, OCT_PLACE_ARENA);
        assert_false(t->biased);
        assert_int_equal(t->dtype, g->outputs[i]->dtype);
    }
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void single_nodes__lowered__become_these_steps(void **state)
{
    static const struct { oct_op op; const char *inputs, *attrs, *want; } rows[] = {
        {OCT_OP_RELU, "f[1,2,3,3]", NULL, "unary"},
        {OCT_OP_CLIP, "l[4] l=1 l=2", NULL, "binary binary"},
        {OCT_OP_CLIP, "f[4] f[] f=2", NULL, "binary binary"},
        {OCT_OP_ADD, "f[2,3] f[3]", NULL, "binary"},
        {OCT_OP_POW, "f[2,3] f=2", NULL, "binary"},
        {OCT_OP_POW, "f[2,3] f=0.5", NULL, "unary"},
        {OCT_OP_POW, "f[2,3] l[3]", NULL, "cast binary"},
        {OCT_OP_MAX, "f[2,3] f[3] f[1]", NULL, "binary binary"},
        {OCT_OP_WHERE, "b[3] f[3] f=0", NULL, "where"},
        {OCT_OP_RESHAPE, "f[2,3,4] l{6,4}", NULL, "copy"}, /* the copy is the output's own memory */
        {OCT_OP_TRANSPOSE, "f[2,3,4]", NULL, "copy"},
        {OCT_OP_SLICE, "f[4] l{1} l{3}", NULL, "copy"},
        {OCT_OP_IDENTITY, "s[4]", NULL, "cast cast"},
        {OCT_OP_CONCAT, "f[2,3] f[2,1]", "axis=1", "copy copy"},
        {OCT_OP_GATHER, "f[4,2] l=1", NULL, "copy"},
        {OCT_OP_GATHER, "f[4,2] l{1,0}", NULL, "gather"},
        {OCT_OP_GATHER, "f[4,2] l[2]", NULL, "gather"},
        {OCT_OP_PAD, "f[1,1,2,2] l{0,0,1,1,0,0,1,1}", NULL, "fill copy"},
        {OCT_OP_PAD, "f[1,1,2,2] l{0,0,1,1,0,0,1,1}", "mode=edge", "pad"},
        {OCT_OP_MAX_POOL, "f[1,3,4,4]", "kernel_shape=2,2", "copy pool copy"},
        {OCT_OP_GLOBAL_AVERAGE_POOL, "f[1,3,4,4]", NULL, "copy pool"},
        {OCT_OP_REDUCE_MEAN, "f[1,3,4,4] l{2,3}", NULL, "reduce"},
        {OCT_OP_SOFTMAX, "f[1,3]", NULL, "softmax"},
        {OCT_OP_LAYER_NORM, "f[2,3] f[3] f[3]", NULL, "layernorm"},
        {OCT_OP_BATCH_NORM, "f[2,3] f{1,1,1} f{0,0,0} f{0,0,0} f{1,1,1}", NULL, "binary binary"},
        {OCT_OP_BATCH_NORM, "f[2,3] f[3] f[3] f[3] f[3]", NULL, "binary unary binary binary binary binary binary"},
        {OCT_OP_RESIZE, "f[1,1,2,2] - f{1,1,2,2}", NULL, "resize"},
        {OCT_OP_DEPTH_TO_SPACE, "f[1,4,2,2]", "blocksize=2", "copy"},
        {OCT_OP_CAST, "f[2]", "to=7", "cast"},
        {OCT_OP_CAST, "f[2]", "to=1", "copy"},
        {OCT_OP_SHAPE, "f[2,3]", NULL, "copy"},
        {OCT_OP_CONSTANT_OF_SHAPE, "l{2,3}", NULL, "copy"},
        {OCT_OP_RANGE, "l=0 l=5 l=1", NULL, "range"},
        {OCT_OP_ARG_MAX, "f[2,3]", "axis=1", "argmax"},
        {OCT_OP_QUANTIZE, "f[2,3] f=0.5 s=3", NULL, "quantize cast"},
        {OCT_OP_QUANTIZE, "f[2,3] f=0.5 u=3", NULL, "quantize"},
        {OCT_OP_DEQUANTIZE, "s[2,3] f=0.5 s=3", NULL, "cast dequantize"},
        {OCT_OP_DEQUANTIZE, "i[2,3] f=0.5", NULL, "dequantize"},
        {OCT_OP_QUANTIZE, "f[2,3] f[] u=3", NULL, "quantize"},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] u[3,4]", NULL, "matmul"},
        {OCT_OP_MATMUL_INTEGER, "u[5,2,3] s[3] u[] s[]", NULL, "cast cast matmul"},
        {OCT_OP_QUANTIZE, "f[2,3] f=0.5 s[]", NULL, "cast quantize cast"},
        {OCT_OP_DEQUANTIZE, "u[2,3] f[3]", "axis=1", "dequantize"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_steps(inferred(rows[i].op, rows[i].inputs, rows[i].attrs, 1), rows[i].want);
}

static void split__of_an_arena_tensor__costs_only_the_outputs(void **state)
{
    expect_steps(inferred(OCT_OP_SPLIT, "f[2,6]", "axis=1", 3), "copy copy copy");
}

static void lowering__what_runs_cannot_do__is_unsupported(void **state)
{
    static const struct { oct_op op; const char *inputs, *attrs; } rows[] = {
        {OCT_OP_SIGMOID, "h[2]", NULL},
        {OCT_OP_SOFTMAX, "l[2,2]", NULL},
        {OCT_OP_MAX_POOL, "f[1,1,4,4,4]", "kernel_shape=2,2,2"},
        {OCT_OP_RESHAPE, "f[2,3] l[2]", NULL},
        {OCT_OP_SLICE, "f[4] l[1] l[1]", NULL},
        {OCT_OP_MATMUL_INTEGER, "u[2,3] u[3,4] - u[4]", NULL},
        {OCT_OP_MATMUL_INTEGER, "u[2,40000] u[40000,4]", NULL},
        {OCT_OP_DEQUANTIZE, "u[5,6] f[3,6]", "axis=0 block_size=2"},
        {OCT_OP_CONV_INTEGER, "u[1,3,4,4] u[2,3,1,1]", NULL},
        {OCT_OP_RANGE, "l[] l[] l[]", NULL},
        {OCT_OP_ADD, "f[N] f[N]", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        oct_graph *g = inferred(rows[i].op, rows[i].inputs, rows[i].attrs, 1);
        oct_lower *l = NULL;
        ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
        oct_status s = oct_lower_graph(l);
        if (s == OCT_OK || (s != OCT_ERR_UNSUPPORTED && rows[i].op != OCT_OP_ADD))
            fail_msg("%s(%s): status %d", oct_op_get(rows[i].op)->name, rows[i].inputs, (int)s);
        oct_lower_destroy(l);
        oct_graph_destroy(g);
    }
}

/* --- layouts and views ---------------------------------------------------------------------------------------------------- */

static int64_t stride(const oct_lower *l, int32_t t, int i) { return oct_lower_tensor(l, t)->strides[i]; }

static void value__asked_in_two_layouts__is_copied_once(void **state)
{
    oct_graph *g = inferred(OCT_OP_RELU, "f[2,3,4,5]", NULL, 1);
    oct_lower *l = NULL;
    int32_t plain, nhwc, again;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    int64_t before = l->d->step_count;
    ok(oct_lower_in(l, g->inputs[0], OCT_LAYOUT_PLAIN, &plain));
    assert_int_equal(l->d->step_count, before);
    ok(oct_lower_in(l, g->inputs[0], OCT_LAYOUT_NHWC, &nhwc));
    ok(oct_lower_in(l, g->inputs[0], OCT_LAYOUT_NHWC, &again));
    assert_int_equal(l->d->step_count, before + 1);
    assert_int_equal(nhwc, again);
    assert_int_equal(stride(l, plain, 1), 20);
    assert_int_equal(stride(l, nhwc, 1), 1);
    assert_int_equal(stride(l, nhwc, 3), 3);
    assert_int_equal(stride(l, nhwc, 2), 15);
    assert_int_equal(stride(l, nhwc, 0), 60);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void value__of_one_pixel__is_both_layouts_without_a_copy(void **state)
{
    oct_graph *g = inferred(OCT_OP_RELU, "f[2,3,1,1]", NULL, 1);
    oct_lower *l = NULL;
    int32_t t;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    int64_t before = l->d->step_count;
    ok(oct_lower_in(l, g->inputs[0], OCT_LAYOUT_NHWC, &t));
    assert_int_equal(l->d->step_count, before);
    assert_int_equal(stride(l, t, 3), 3);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void reshape__of_strided_views__finds_strides_or_declines(void **state)
{
    oct_graph *g = inferred(OCT_OP_RELU, "f[2,3,4,5]", NULL, 1);
    oct_lower *l = NULL;
    int32_t nhwc, view;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    ok(oct_lower_in(l, g->inputs[0], OCT_LAYOUT_NHWC, &nhwc));
    ok(oct_lower_reshaped(l, nhwc, 3, (int64_t[]){2, 3, 20}, &view)); /* h and w merge in NHWC */
    assert_int_not_equal(view, -1);
    assert_int_equal(stride(l, view, 1), 1);
    assert_int_equal(stride(l, view, 2), 3);
    ok(oct_lower_reshaped(l, nhwc, 6, (int64_t[]){2, 3, 2, 2, 1, 5}, &view));
    assert_int_equal(stride(l, view, 2), 30);
    assert_int_equal(stride(l, view, 3), 15);
    assert_int_equal(stride(l, view, 5), 3);
    ok(oct_lower_reshaped(l, nhwc, 2, (int64_t[]){2, 60}, &view)); /* c and h do not */
    assert_int_equal(view, -1);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void constant__s8__is_stored_biased(void **state)
{
    oct_graph *g = inferred(OCT_OP_CONCAT, "s{-128,0,127} s[1]", "axis=0", 1);
    oct_lower *l = NULL;
    int32_t t;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    ok(oct_lower_in(l, g->nodes[0]->inputs[0], OCT_LAYOUT_ANY, &t));
    const oct_plan_tensor *p = oct_lower_tensor(l, t);
    assert_int_equal(p->place, OCT_PLACE_CONST);
    assert_int_equal(p->dtype, OCT_U8);
    assert_int_equal(p->biased, 1);
    const uint8_t *bytes = l->d->constants + p->offset;
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[1], 128);
    assert_int_equal(bytes[2], 255);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void constant__asked_in_nhwc__is_laid_out_when_built(void **state)
{
    oct_graph *g = inferred(OCT_OP_RESHAPE, "f{0,1,2,3,4,5,6,7} l{1,2,2,2}", NULL, 1);
    oct_lower *l = NULL;
    int32_t t;
    int64_t dims[4] = {1, 2, 2, 2};
    float data[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    oct_value *v = NULL;
    ok(oct_value_const(g, "image", OCT_F32, 4, dims, data, &v));
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_in(l, v, OCT_LAYOUT_NHWC, &t));
    assert_int_equal(l->d->step_count, 0);
    float got[8];
    memcpy(got, l->d->constants + oct_lower_tensor(l, t)->offset, sizeof got);
    const float want[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    assert_memory_equal(got, want, sizeof got);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void taps__marked_values__get_ports(void **state)
{
    oct_graph *g = case_graph(OCT_OP_RELU, "f[2,3]", NULL, 1);
    oct_value *y = g->outputs[0], *z = NULL;
    oct_node *n = NULL;
    ok(oct_value_add(g, "z", "z", &z));
    ok(oct_node_add(g, NULL, OCT_OP_EXP, "e", 1, &y, 1, &z, &n));
    g->outputs[0] = z; /* y stays marked: a tap */
    z->is_output = true;
    ok(oct_graph_infer(g));
    oct_lower *l = NULL;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    assert_int_equal(l->d->port_count[OCT_PORT_TAP], 1);
    assert_string_equal(l->d->port_names[OCT_PORT_TAP][0], "y0");
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

/* --- codes ------------------------------------------------------------------------------------------------------------------ */

static void give_quant(oct_graph *g, oct_value *v, oct_dtype dtype, float scale, int32_t zero)
{
    oct_quant q = {.n = 1};
    ok(oct_arena_memdup(g->arena, &scale, sizeof scale, (void **)&q.scale));
    ok(oct_arena_memdup(g->arena, &zero, sizeof zero, (void **)&q.zero));
    ok(oct_arena_memdup(g->arena, &q, sizeof q, (void **)&v->quant));
    v->dtype = dtype;
}

static oct_graph *int8_case(oct_op op, const char *inputs, const char *attrs, float out_scale, int32_t out_zero)
{
    oct_graph *g = case_graph(op, inputs, attrs, 1);
    oct_node *n = g->nodes[0];
    n->int8 = true;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && oct_dtype_size(n->inputs[i]->dtype) == 1)
            give_quant(g, n->inputs[i], n->inputs[i]->dtype, 0.5f, n->inputs[i]->dtype == OCT_S8 ? 0 : 10);
    give_quant(g, n->outputs[0], OCT_U8, out_scale, out_zero);
    ok(oct_graph_infer(g));
    return g;
}

static void codes__int8_nodes__become_integer_steps(void **state)
{
    static const struct { oct_op op; const char *inputs, *attrs, *want; } rows[] = {
        {OCT_OP_ADD, "u[1,4,2,2] u[1,4,2,2]", NULL, "add"},
        {OCT_OP_SUB, "u[4] u[4]", NULL, "add"},
        {OCT_OP_MUL, "u[2,4] u[4]", NULL, "mul"},
        {OCT_OP_RELU, "u[4]", NULL, "table"},
        {OCT_OP_CLIP, "u[4] f=0 f=6", NULL, "table"},
        {OCT_OP_CONCAT, "u[1,4] u[1,4]", "axis=1", "table table"},
        {OCT_OP_AVERAGE_POOL, "u[1,4,4,4]", "kernel_shape=2,2", "copy pool copy"},
        {OCT_OP_GLOBAL_AVERAGE_POOL, "u[1,4,4,4]", NULL, "copy pool"},
        {OCT_OP_REDUCE_MEAN, "u[1,4,4,4] l{2,3}", NULL, "copy pool"},
        {OCT_OP_REDUCE_MEAN, "u[1,4,4] l{1}", NULL, "pool"},
        {OCT_OP_MAX_POOL, "u[1,4,4,4]", "kernel_shape=2,2", "copy table pool copy"}, /* other parameters: requantized first */
        {OCT_OP_RESIZE, "u[1,1,2,2] - f{1,1,2,2}", NULL, "table resize"},
        {OCT_OP_RESIZE, "u[1,1,2,2] - f{1,1,2,2}", "mode=linear", "dequantize resize quantize"},
        {OCT_OP_RESHAPE, "u[4] l{2,2}", NULL, "table copy"},
        {OCT_OP_REQUANTIZE, "s[4]", NULL, "cast table"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_steps(int8_case(rows[i].op, rows[i].inputs, rows[i].attrs, 0.25f, 20), rows[i].want);
}

static void table__of_relu__is_the_float_definition(void **state)
{
    oct_graph *g = int8_case(OCT_OP_RELU, "u[4]", NULL, 0.25f, 20);
    oct_lower *l = NULL;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    const oct_p_table *p = l->d->steps[0].params;
    const uint8_t *table = l->d->constants + p->table_at;
    assert_int_equal(table[0], 20);          /* (0 - 10) * 0.5 < 0 */
    assert_int_equal(table[10], 20);
    assert_int_equal(table[11], 22);         /* 0.5 / 0.25 */
    assert_int_equal(table[255], 255);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void qadd__clamp_and_subtraction__are_in_the_parameters(void **state)
{
    oct_graph *g = int8_case(OCT_OP_SUB, "u[4] s[4]", NULL, 0.25f, 20);
    g->nodes[0]->fused.clamp = true;
    g->nodes[0]->fused.lo = 0;
    g->nodes[0]->fused.hi = 6;
    oct_lower *l = NULL;
    ok(oct_lower_create(g, OCT_ISA_PORTABLE, &l));
    ok(oct_lower_graph(l));
    const oct_p_qbinary *p = l->d->steps[l->d->step_count - 1].params;
    assert_true(p->q.ma == 2.0f && p->q.mb == -2.0f);
    assert_int_equal(p->q.za, 10);
    assert_int_equal(p->q.zb, 128);
    assert_int_equal(p->q.lo, 20);
    assert_int_equal(p->q.hi, 44);
    oct_lower_destroy(l);
    oct_graph_destroy(g);
}

static void stored_quant__of_every_code_type__has_its_limits(void **state)
{
    static const struct { oct_dtype dtype; int32_t zero, stored, lo, hi; } rows[] = {
        {OCT_U8, 3, 3, 0, 255}, {OCT_S8, -3, 125, 0, 255}, {OCT_U4, 3, 3, 0, 15}, {OCT_S4, -3, 125, 120, 135}, {OCT_S16, 0, 0, -32768, 32767}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float scale = 0.5f;
        oct_quant quant = {1, 0, &scale, &rows[i].zero};
        oct_value v = {.dtype = rows[i].dtype, .quant = &quant};
        oct_stored_quant q;
        assert_true(oct_value_stored_quant(&v, &q));
        assert_int_equal(q.zero, rows[i].stored);
        assert_int_equal(q.lo, rows[i].lo);
        assert_int_equal(q.hi, rows[i].hi);
        quant.n = 2;
        assert_false(oct_value_stored_quant(&v, &q));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_nodes__lowered__become_these_steps),
        cmocka_unit_test(split__of_an_arena_tensor__costs_only_the_outputs),
        cmocka_unit_test(lowering__what_runs_cannot_do__is_unsupported),
        cmocka_unit_test(value__asked_in_two_layouts__is_copied_once),
        cmocka_unit_test(value__of_one_pixel__is_both_layouts_without_a_copy),
        cmocka_unit_test(reshape__of_strided_views__finds_strides_or_declines),
        cmocka_unit_test(constant__s8__is_stored_biased),
        cmocka_unit_test(constant__asked_in_nhwc__is_laid_out_when_built),
        cmocka_unit_test(taps__marked_values__get_ports),
        cmocka_unit_test(codes__int8_nodes__become_integer_steps),
        cmocka_unit_test(table__of_relu__is_the_float_definition),
        cmocka_unit_test(qadd__clamp_and_subtraction__are_in_the_parameters),
        cmocka_unit_test(stored_quant__of_every_code_type__has_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
