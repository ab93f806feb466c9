/* Where Q/DQ goes: which tensors, which users, which share a scale (DESIGN 4.6); and what the quantizer writes there. */
#include "graphs.h"

#include <octavo/quant.h>
#include <stdio.h>
#include "qparam/qparam.h"
#include "qparam/placement.h"

/* "tensor>user.input tensor>..." with groups as letters: a tensor's letter is its group's. */
static void describe(const oct_graph *g, char *out)
{
    oct_placement p;
    OK(oct_placement_make(g, &p));
    *out = 0;
    for (int64_t i = 0; i < p.edge_count; i++) {
        const oct_qpoint *q = &p.points[p.edges[i].point];
        sprintf(out + strlen(out), "%s%s(%c%s)>%s.%d", i ? " " : "", q->value->name, 'A' + q->group, q->root ? "" : "'", p.edges[i].node->outputs[0]->name,
                p.edges[i].input);
    }
    oct_placement_free(&p);
}

static void expect_placement(oct_model *m, const char *want)
{
    char got[2048];
    describe(m->graph, got);
    assert_string_equal(got, want);
    oct_model_destroy(m);
}

static void placement__residual_network__skips_paired_and_moved_values_share(void **state)
{
    (void)state;
    /* sum: input 0 is the skip, the convolution in front of input 1 is fused. d has the scale of s, through p. */
    expect_placement(net_residual(), "x(A)>c0.0 a(B)>c1.0 b(C)>c2.0 a(B)>sum.0 s(D)>p.0 p(D')>d.0 s(D)>c3.0 d(D')>sum2.0 t(E)>mean.0 mean(F)>flat.0 "
                                     "flat(F')>logits.0");
}

static void placement__transformer__only_products_read_codes(void **state)
{
    (void)state;
    expect_placement(net_transformer(), "norm0(A)>m0.0 norm1(B)>m1.0");
}

static void placement__concat__inputs_share_unless_a_user_is_float(void **state)
{
    (void)state;
    for (int tail = 0; tail < 2; tail++) {
        net n = net_new();
        oct_value *x = net_input(&n, "x", 4, (int64_t[]){1, 4, 4, 4});
        oct_value *a = net_conv(&n, "a", x, 4, 4, 1), *b = net_conv(&n, "b", x, 4, 4, 1);
        oct_value *c = net_op(&n, OCT_OP_CONCAT, "c", 2, a, b, NULL);
        OK(oct_node_set_int(n.g, c->producer, "axis", 1));
        OK(oct_graph_add_output(n.g, net_conv(&n, "y", c, 8, 2, 1)));
        if (tail)
            OK(oct_graph_add_output(n.g, net_unary(&n, OCT_OP_EXP, "e", c)));
        expect_placement(net_model(&n), tail ? "x(A)>a.0 x(A)>b.0 c(B)>y.0" : "x(A)>a.0 x(A)>b.0 a(B)>c.0 b(B)>c.1 c(B')>y.0");
    }
}

static void placement__add_of_itself_pools_and_gates__every_input_paired(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){1, 4, 4, 4});
    oct_value *a = net_conv(&n, "a", x, 4, 4, 1), *d = net_add(&n, "d", a, a);
    oct_value *gate = net_unary(&n, OCT_OP_SIGMOID, "gate", net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "mean", net_conv(&n, "b", d, 4, 4, 1)));
    oct_value *m = net_op(&n, OCT_OP_MUL, "m", 2, d, gate, NULL);
    OK(oct_graph_add_output(n.g, net_conv(&n, "y", m, 4, 4, 1)));
    /* The pool feeds a float gate, so nothing is gained by codes before it. */
    expect_placement(net_model(&n), "x(A)>a.0 a(B)>d.0 a(B)>d.1 d(C)>b.0 d(C)>m.0 gate(D)>m.1 m(E)>y.0");
}

/* Functions read floats unless the model's metadata says codes, and then only where their result is read as codes. */
static void placement__functions__read_codes_when_the_model_says_so(void **state)
{
    (void)state;
    for (int codes = 0; codes < 2; codes++) {
        net n = net_new();
        oct_value *x = net_input(&n, "x", 4, (int64_t[]){1, 4, 4, 4});
        oct_value *h = net_unary(&n, OCT_OP_HARD_SWISH, "h", net_conv(&n, "a", x, 4, 4, 1));
        oct_value *gate = net_unary(&n, OCT_OP_SIGMOID, "gate", net_conv(&n, "b", h, 4, 4, 1));
        oct_value *m = net_op(&n, OCT_OP_MUL, "m", 2, h, gate, NULL);
        OK(oct_graph_add_output(n.g, net_unary(&n, OCT_OP_TANH, "y", net_conv(&n, "c", m, 4, 4, 1))));
        OK(oct_graph_set_meta(n.g, OCT_FUNCTIONS_KEY, codes ? "codes" : "float"));
        expect_placement(net_model(&n), codes ? "x(A)>a.0 a(B)>h.0 h(C)>b.0 b(D)>gate.0 h(C)>m.0 gate(E)>m.1 m(F)>c.0"
                                              : "x(A)>a.0 h(B)>b.0 h(B)>m.0 gate(C)>m.1 m(D)>c.0");
    }
}

static void placement__what_cannot_be_quantized__is_left(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", 2, (int64_t[]){4, 4});
    oct_value *w = net_unary(&n, OCT_OP_EXP, "w", x);
    OK(oct_graph_add_output(n.g, net_op(&n, OCT_OP_MATMUL, "y", 2, x, w, NULL)));
    expect_placement(net_model(&n), "");
}

/* --- the quantizer --- */

static oct_ranges *ranges_for(const oct_model *m, oct_scheme scheme)
{
    oct_ranges *r;
    OK(oct_ranges_create(scheme, &r));
    for (int64_t i = 0; i < m->graph->value_count; i++)
        if (!m->graph->values[i]->data && m->graph->values[i]->dtype == OCT_F32)
            OK(oct_ranges_set(r, m->graph->values[i]->name, i % 2 ? -1.0f : 0.0f, 2.0f + (float)i * 0.1f));
    return r;
}

static int count_ops(const oct_model *m, oct_op op)
{
    int n = 0;
    for (int64_t i = 0; i < m->graph->node_count; i++)
        n += m->graph->nodes[i]->op == op;
    return n;
}

static const oct_node *find(const oct_model *m, const char *output)
{
    const oct_value *v = oct_value_find(m->graph, output);
    assert_non_null(v);
    return v->producer;
}

static void quantizer__residual_network__pairs_weights_and_metadata(void **state)
{
    (void)state;
    for (int scheme = 0; scheme < 2; scheme++)
        for (int per_tensor = 0; per_tensor < 2; per_tensor++) {
            oct_model *m = net_residual(), *q = NULL;
            oct_ranges *r = ranges_for(m, (oct_scheme)scheme);
            OK(oct_model_quantize(m, r, &(oct_quant_options){.per_tensor = per_tensor}, &q));
            OK(oct_graph_verify(q->graph, "test"));
            assert_true(oct_model_is_quantized(q) && !oct_model_is_quantized(m));
            assert_int_equal(count_ops(q, OCT_OP_QUANTIZE), 9);
            assert_int_equal(count_ops(q, OCT_OP_DEQUANTIZE), 9 + 5);
            const oct_node *conv = find(q, "c1"), *dq = conv->inputs[1]->producer;
            assert_true(dq->op == OCT_OP_DEQUANTIZE && dq->inputs[0]->dtype == OCT_S8);
            assert_int_equal(dq->inputs[1]->shape.rank, per_tensor ? 0 : 1);
            assert_true(conv->inputs[2]->data && conv->inputs[2]->dtype == OCT_F32);
            /* The fused branch has no pair, the skip has. */
            assert_string_equal(find(q, "sum")->inputs[1]->name, "c2");
            assert_string_equal(find(q, "sum")->inputs[0]->name, "a_dequantized");
            /* A group without one range for all gets the union. */
            const oct_value *s1 = find(q, "s_quantized")->inputs[1], *s2 = find(q, "d_quantized")->inputs[1];
            assert_memory_equal(s1->data, s2->data, sizeof(float));
            assert_int_equal(find(q, "x_quantized")->inputs[2]->dtype, scheme ? OCT_S8 : OCT_U8);
            assert_string_equal(oct_model_get_metadata(q, "octavo.scheme"), scheme ? "symmetric" : "affine");
            assert_int_equal(strlen(oct_model_get_metadata(q, "octavo.model_hash")), 16);
            oct_model_destroy(q);
            oct_model_destroy(m);
            oct_ranges_destroy(r);
        }
}

static void quantizer__bias__lies_on_the_grid_of_the_products(void **state)
{
    (void)state;
    oct_model *m = net_transformer(), *q = NULL;
    oct_ranges *r = ranges_for(m, OCT_SCHEME_AFFINE);
    OK(oct_model_quantize(m, r, NULL, &q));
    const oct_node *add = find(q, "mb0"), *dq = find(q, "m0")->inputs[1]->producer;
    const oct_value *bias = add->inputs[0];
    float sx = *(const float *)find(q, "norm0_dequantized")->inputs[1]->data;
    for (int i = 0; i < 6; i++) {
        double step = (double)sx * (double)((const float *)dq->inputs[1]->data)[i], k = (double)((const float *)bias->data)[i] / step;
        assert_true(fabs(k - rint(k)) < 1e-3 && fabs(k) > 0);
    }
    oct_model_destroy(q);
    oct_model_destroy(m);
    oct_ranges_destroy(r);
}

static void quantizer__wrong_ranges__content_and_output_untouched(void **state)
{
    (void)state;
    oct_model *m = net_residual(), *q = NULL, *again = NULL;
    oct_ranges *r = ranges_for(m, OCT_SCHEME_AFFINE), *none;
    strcpy(r->hash, "0123456789abcdef");
    assert_int_equal(oct_model_quantize(m, r, NULL, &q), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "another model"));
    r->hash[0] = 0;
    OK(oct_ranges_create(OCT_SCHEME_AFFINE, &none));
    assert_int_equal(oct_model_quantize(m, none, NULL, &q), OCT_ERR_CONTENT);
    assert_null(q);
    OK(oct_model_quantize(m, r, NULL, &q));
    assert_int_equal(oct_model_quantize(q, r, NULL, &again), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "quantized already"));
    oct_model_destroy(q);
    oct_model_destroy(m);
    oct_ranges_destroy(none);
    oct_ranges_destroy(r);
}

/* A layer needs a range for every tensor of it that gets a pair: c0 reads x and writes a. */
static void quantizer__missing_range__layers_that_touch_it_stay_float(void **state)
{
    (void)state;
    oct_model *m = net_residual(), *q = NULL;
    oct_ranges *r;
    OK(oct_ranges_create(OCT_SCHEME_AFFINE, &r));
    OK(oct_ranges_set(r, "x", -1, 1));
    OK(oct_model_quantize(m, r, NULL, &q));
    assert_int_equal(count_ops(q, OCT_OP_QUANTIZE), 0);
    oct_model_destroy(q);
    OK(oct_ranges_set(r, "a", 0, 1));
    OK(oct_model_quantize(m, r, NULL, &q));
    assert_int_equal(count_ops(q, OCT_OP_QUANTIZE), 1);
    assert_int_equal(count_ops(q, OCT_OP_DEQUANTIZE), 2);
    assert_int_equal(find(q, "c0")->inputs[1]->producer->op, OCT_OP_DEQUANTIZE);
    assert_int_equal(find(q, "c1")->inputs[1]->dtype, OCT_F32);
    oct_model_destroy(q);
    oct_model_destroy(m);
    oct_ranges_destroy(r);
}

/* s, p and d share a scale; what the user says of one of them is the scale of all. */
static void quantizer__range_set_by_hand__wins_in_its_group(void **state)
{
    (void)state;
    oct_model *m = net_residual(), *q = NULL;
    oct_ranges *r = ranges_for(m, OCT_SCHEME_SYMMETRIC);
    for (int64_t i = 0; i < r->count; i++)
        r->entries[i].solver = "max";
    OK(oct_ranges_set(r, "p", -2.54f, 1));
    OK(oct_model_quantize(m, r, NULL, &q));
    float scale = 0;
    assert_true(oct_value_scalar(oct_value_find(q->graph, "s_scale"), &scale));
    assert_float_equal(scale, 2.54f / 127, 1e-7);
    oct_model_destroy(q);
    oct_model_destroy(m);
    oct_ranges_destroy(r);
}

static void quantizer__weights_not_finite__content_naming_the_node(void **state)
{
    (void)state;
    oct_model *m = net_residual(), *q = NULL;
    oct_ranges *r = ranges_for(m, OCT_SCHEME_AFFINE);
    ((float *)find(m, "c1")->inputs[1]->data)[3] = NAN;
    assert_int_equal(oct_model_quantize(m, r, NULL, &q), OCT_ERR_CONTENT);
    assert_string_equal(oct_last_error()->node, "c1");
    oct_model_destroy(m);
    oct_ranges_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placement__residual_network__skips_paired_and_moved_values_share),
        cmocka_unit_test(placement__transformer__only_products_read_codes),
        cmocka_unit_test(placement__concat__inputs_share_unless_a_user_is_float),
        cmocka_unit_test(placement__add_of_itself_pools_and_gates__every_input_paired),
        cmocka_unit_test(placement__functions__read_codes_when_the_model_says_so),
        cmocka_unit_test(placement__what_cannot_be_quantized__is_left),
        cmocka_unit_test(quantizer__residual_network__pairs_weights_and_metadata),
        cmocka_unit_test(quantizer__bias__lies_on_the_grid_of_the_products),
        cmocka_unit_test(quantizer__wrong_ranges__content_and_output_untouched),
        cmocka_unit_test(quantizer__missing_range__layers_that_touch_it_stay_float),
        cmocka_unit_test(quantizer__range_set_by_hand__wins_in_its_group),
        cmocka_unit_test(quantizer__weights_not_finite__content_naming_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
