/* Dump and hash: stable text, and a hash that changes with meaning only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/op.h"

#define ok(expr) assert_int_equal((expr), OCT_OK)

typedef struct variant {
    const char *conv, *middle, *weight; /* names */
    bool attrs_swapped;
    int64_t stride;
    float first;                        /* weight */
    bool branch_first;                  /* order of two independent nodes */
} variant;
static const variant plain = {"conv", "m", "w", false, 2, 0.5f, false};

static oct_value *add(oct_graph *g, const char *name)
{
    oct_value *v = NULL;
    ok(oct_value_add(g, name, name, &v));
    return v;
}

/* x[N,1,4,4] -> Conv(w) -> m; m -> Relu -> a; m -> Neg -> b; a, b outputs */
static oct_graph *build(variant o)
{
    oct_graph *g = NULL;
    oct_node *n = NULL;
    oct_value *w = NULL;
    ok(oct_graph_create("g", &g));
    oct_value *x = add(g, "x"), *m = add(g, o.middle), *a = add(g, "a"), *b = add(g, "b");
    x->dtype = OCT_F32;
    x->shape = (oct_shape){4, {0, 1, 4, 4}};
    ok(oct_graph_add_symbol(g, "N", &x->shape.dim[0]));
    ok(oct_graph_add_input(g, x));
    ok(oct_value_const(g, o.weight, OCT_F32, 4, (int64_t[]){1, 1, 1, 1}, &o.first, &w));
    ok(oct_node_add(g, NULL, OCT_OP_CONV, o.conv, 2, (oct_value *[]){x, w}, 1, &m, &n));
    for (int i = 0; i < 2; i++)
        if ((i == 0) == o.attrs_swapped)
            ok(oct_node_set_ints(g, n, "strides", (int64_t[]){o.stride, o.stride}, 2));
        else
            ok(oct_node_set_ints(g, n, "kernel_shape", (int64_t[]){1, 1}, 2));
    for (int i = 0; i < 2; i++)
        if ((i == 0) == o.branch_first)
            ok(oct_node_add(g, NULL, OCT_OP_NEG, "neg", 1, &m, 1, &b, &n));
        else
            ok(oct_node_add(g, NULL, OCT_OP_RELU, "relu", 1, &m, 1, &a, &n));
    ok(oct_graph_add_output(g, a));
    ok(oct_graph_add_output(g, b));
    return g;
}

static void hash_of(variant o, char out[17])
{
    oct_graph *g = build(o);
    ok(oct_graph_hash(g, out));
    oct_graph_destroy(g);
}

static void hash__names_of_nodes_and_order_change__stays(void **state)
{
    char a[17], b[17];
    hash_of(plain, a);
    assert_int_equal(strlen(a), 16);
    variant o = plain;
    o.conv = "another", o.weight = "v", o.attrs_swapped = true, o.branch_first = true;
    hash_of(o, b);
    assert_string_equal(a, b);
}

static void hash__meaning_changes__differs(void **state)
{
    char a[17], b[17];
    hash_of(plain, a);
    variant o = plain;
    o.stride = 1;
    hash_of(o, b);
    assert_string_not_equal(a, b);
    o = plain;
    o.first = nextafterf(0.5f, 1);
    hash_of(o, b);
    assert_string_not_equal(a, b);
    o = plain;
    o.middle = "mm"; /* ranges are kept by names of activations */
    hash_of(o, b);
    assert_string_not_equal(a, b);
}

static void dump__conv_and_branches__exact_text(void **state)
{
    oct_graph *g = build(plain);
    char *text = NULL;
    float scale = 0.25f;
    int32_t zero = 128;
    oct_node *conv = g->nodes[0], *relu = g->nodes[1];
    oct_value_find(g, "m")->quant = &(oct_quant){.n = 1, .scale = &scale, .zero = &zero};
    ok(oct_node_add_source(g, conv, relu));
    conv->fused.clamp = true;
    conv->fused.lo = 0;
    conv->fused.hi = INFINITY;
    ok(oct_graph_dump(g, &text));
    assert_string_equal(text, "in x:f32[N,1,4,4]\n"
                              "const w:f32[1,1,1,1] = {0.5}\n"
                              "m:?[?] q{s=0.25 z=128} = Conv(x, w) {kernel_shape=[1,1], strides=[2,2]} fused{clamp=[0,inf]} # sources conv,relu\n"
                              "a:?[?] = Relu(m)\n"
                              "b:?[?] = Neg(m)\n"
                              "out a:?[?]\n"
                              "out b:?[?]\n");
    free(text);
    oct_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__names_of_nodes_and_order_change__stays),
        cmocka_unit_test(hash__meaning_changes__differs),
        cmocka_unit_test(dump__conv_and_branches__exact_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
