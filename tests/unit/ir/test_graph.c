/* Graph editing: use lists, order, copies, sweeping, symbols, and the verifier that guards them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/op.h"

#define ok(expr) assert_int_equal((expr), OCT_OK)

static oct_value *value(oct_graph *g, const char *name)
{
    oct_value *v = NULL;
    ok(oct_value_add(g, name, name, &v));
    return v;
}

static oct_value *input(oct_graph *g, const char *name)
{
    oct_value *v = value(g, name);
    v->dtype = OCT_F32;
    v->shape.rank = 2;
    v->shape.dim[0] = 2;
    v->shape.dim[1] = 3;
    ok(oct_graph_add_input(g, v));
    return v;
}

static oct_node *node(oct_graph *g, oct_node *before, oct_op op, const char *name, oct_value *a, oct_value *b, oct_value *out)
{
    oct_value *in[2] = {a, b};
    oct_node *n = NULL;
    ok(oct_node_add(g, before, op, name, b ? 2 : 1, in, 1, &out, &n));
    return n;
}

/* x -> relu -> r; r + r -> s; s + x -> y (output) */
typedef struct small {
    oct_graph *g;
    oct_value *x, *r, *s, *y;
    oct_node *relu, *twice, *add;
} small;

static small small_graph(void)
{
    small t = {0};
    ok(oct_graph_create("small", &t.g));
    t.x = input(t.g, "x");
    t.r = value(t.g, "r");
    t.s = value(t.g, "s");
    t.y = value(t.g, "y");
    t.relu = node(t.g, NULL, OCT_OP_RELU, "relu", t.x, NULL, t.r);
    t.twice = node(t.g, NULL, OCT_OP_ADD, "twice", t.r, t.r, t.s);
    t.add = node(t.g, NULL, OCT_OP_ADD, "add", t.s, t.x, t.y);
    ok(oct_graph_add_output(t.g, t.y));
    ok(oct_graph_verify(t.g, "building"));
    return t;
}

static void value_add__name_taken__fresh_name_from_stem(void **state)
{
    small t = small_graph();
    oct_value *a = NULL, *b = NULL;
    ok(oct_value_add(t.g, "x", "x", &a));
    ok(oct_value_add(t.g, NULL, "x", &b));
    assert_string_equal(a->name, "x_1");
    assert_string_equal(b->name, "x_2");
    assert_ptr_equal(oct_value_find(t.g, "x_2"), b);
    assert_null(oct_value_find(t.g, "x_3"));
    oct_graph_destroy(t.g);
}

static void value_add__ten_thousand__all_found(void **state)
{
    oct_graph *g = NULL;
    oct_value *v = NULL;
    char name[32];
    ok(oct_graph_create("many", &g));
    for (int i = 0; i < 10000; i++)
        ok(oct_value_add(g, NULL, "t", &v));
    for (int i = 1; i <= 10000; i++) {
        snprintf(name, sizeof name, "t_%d", i);
        assert_ptr_equal(oct_value_find(g, name), g->values[i - 1]);
    }
    oct_graph_destroy(g);
}

static void node_add__before_another__stands_before_it(void **state)
{
    small t = small_graph();
    oct_value *z = value(t.g, "z");
    oct_node *n = node(t.g, t.twice, OCT_OP_NEG, "neg", t.r, NULL, z);
    assert_ptr_equal(t.g->nodes[1], n);
    assert_ptr_equal(t.g->nodes[2], t.twice);
    assert_int_equal(t.r->user_count, 3);
    ok(oct_graph_verify(t.g, "inserting"));
    oct_graph_destroy(t.g);
}

static void replace_uses__value_used_twice_by_a_node__both_move(void **state)
{
    small t = small_graph();
    ok(oct_value_replace_uses(t.g, t.r, t.x));
    assert_int_equal(t.r->user_count, 0);
    assert_int_equal(t.x->user_count, 4);
    assert_ptr_equal(t.twice->inputs[0], t.x);
    assert_ptr_equal(t.twice->inputs[1], t.x);
    ok(oct_graph_verify(t.g, "replacing"));
    oct_graph_destroy(t.g);
}

static void set_input__beyond_the_end__grows_by_one_only(void **state)
{
    small t = small_graph();
    ok(oct_node_set_input(t.g, t.relu, 1, NULL));
    assert_int_equal(t.relu->input_count, 2);
    assert_int_equal(oct_node_set_input(t.g, t.relu, 3, t.x), OCT_ERR_INTERNAL);
    ok(oct_node_set_input(t.g, t.twice, 0, t.x));
    assert_int_equal(t.r->user_count, 1);
    oct_graph_destroy(t.g);
}

static void node_remove__middle__edges_are_gone(void **state)
{
    small t = small_graph();
    oct_node_remove(t.g, t.twice);
    assert_int_equal(t.g->node_count, 2);
    assert_int_equal(t.r->user_count, 0);
    assert_null(t.s->producer);
    ok(oct_graph_verify(t.g, "removing"));
    oct_graph_destroy(t.g);
}

static void sort__shuffled_nodes__execution_order_back(void **state)
{
    small t = small_graph();
    t.g->nodes[0] = t.add;
    t.g->nodes[1] = t.twice;
    t.g->nodes[2] = t.relu;
    assert_int_equal(oct_graph_verify(t.g, "shuffling"), OCT_ERR_INTERNAL);
    ok(oct_graph_sort(t.g));
    assert_ptr_equal(t.g->nodes[0], t.relu);
    assert_ptr_equal(t.g->nodes[2], t.add);
    ok(oct_graph_verify(t.g, "sorting"));
    oct_graph_destroy(t.g);
}

static void sort__cycle__content_error_names_a_node(void **state)
{
    small t = small_graph();
    ok(oct_node_set_input(t.g, t.relu, 0, t.s));
    assert_int_equal(oct_graph_sort(t.g), OCT_ERR_CONTENT);
    assert_string_equal(oct_last_error()->node, "relu");
    oct_graph_destroy(t.g);
}

static void sweep__dead_branch__dropped_with_its_values(void **state)
{
    small t = small_graph();
    oct_value *c = NULL, *d = value(t.g, "d");
    int64_t two = 2;
    float data[2] = {1, 2};
    ok(oct_value_const(t.g, "c", OCT_F32, 1, &two, data, &c));
    node(t.g, NULL, OCT_OP_ADD, "dead", t.s, c, d);
    oct_graph_sweep(t.g);
    assert_int_equal(t.g->node_count, 3);
    assert_null(oct_value_find(t.g, "c"));
    assert_null(oct_value_find(t.g, "d"));
    assert_int_equal(t.s->user_count, 1);
    assert_ptr_equal(oct_value_find(t.g, "x"), t.x);
    ok(oct_graph_verify(t.g, "sweeping"));
    oct_graph_destroy(t.g);
}

static void clone__everything__equal_and_independent(void **state)
{
    small t = small_graph();
    oct_value *c = NULL;
    int64_t two = 2;
    float data[2] = {1, 2}, scale = 0.5f;
    int32_t zero = 3;
    ok(oct_value_const(t.g, "c", OCT_F32, 1, &two, data, &c));
    ok(oct_node_set_input(t.g, t.add, 1, c));
    ok(oct_node_set_ints(t.g, t.add, "pads", (int64_t[]){1, 2, 3}, 3));
    ok(oct_node_set_string(t.g, t.relu, "mode", "fast"));
    ok(oct_graph_set_meta(t.g, "key", "value"));
    ok(oct_graph_add_symbol(t.g, "N", &t.x->shape.dim[0]));
    t.r->quant = &(oct_quant){.n = 1, .scale = &scale, .zero = &zero};
    ok(oct_node_add_source(t.g, t.add, t.relu));

    oct_graph *copy = NULL;
    char *a = NULL, *b = NULL;
    ok(oct_graph_clone(t.g, &copy));
    ok(oct_graph_dump(t.g, &a));
    ok(oct_graph_dump(copy, &b));
    ok(oct_graph_verify(copy, "cloning"));
    assert_string_equal(a, b);
    assert_non_null(strstr(a, "# sources add,relu"));
    assert_ptr_not_equal(oct_value_find(copy, "c")->data, c->data);
    assert_string_equal(oct_graph_meta(copy, "key"), "value");
    ok(oct_node_set_string(t.g, t.relu, "mode", "slow"));
    oct_graph_destroy(t.g);
    assert_string_equal(oct_node_string(copy->nodes[0], "mode", ""), "fast");
    free(a);
    free(b);
    oct_graph_destroy(copy);
}

static void verify__forged_use_list__internal_error_names_the_pass(void **state)
{
    small t = small_graph();
    t.r->users[0] = t.add; /* the count is still right */
    assert_int_equal(oct_graph_verify(t.g, "forging"), OCT_ERR_INTERNAL);
    assert_non_null(strstr(oct_last_error()->message, "forging"));
    t.r->users[0] = t.twice;
    ok(oct_graph_verify(t.g, "mending"));
    t.x->user_count--;
    assert_int_equal(oct_graph_verify(t.g, "forging"), OCT_ERR_INTERNAL);
    t.x->user_count++;
    t.y->is_output = false;
    assert_int_equal(oct_graph_verify(t.g, "forging"), OCT_ERR_INTERNAL);
    oct_graph_destroy(t.g);
}

static void verify__int8_node_without_scales__internal_error(void **state)
{
    small t = small_graph();
    t.relu->int8 = true;
    assert_int_equal(oct_graph_verify(t.g, "marking"), OCT_ERR_INTERNAL);
    float scale = 0;
    int32_t zero = 0;
    t.relu->int8 = false;
    t.x->quant = &(oct_quant){.n = 1, .scale = &scale, .zero = &zero};
    assert_int_equal(oct_graph_verify(t.g, "marking"), OCT_ERR_INTERNAL);
    scale = 1;
    t.relu->int8 = true;
    ok(oct_graph_verify(t.g, "marking"));
    oct_graph_destroy(t.g);
}

static void symbols__same_name__same_dimension(void **state)
{
    oct_graph *g = NULL;
    int64_t a, b, c;
    ok(oct_graph_create("s", &g));
    ok(oct_graph_add_symbol(g, "N", &a));
    ok(oct_graph_add_symbol(g, "M", &b));
    ok(oct_graph_add_symbol(g, "N", &c));
    assert_int_equal(a, -1);
    assert_int_equal(b, -2);
    assert_int_equal(c, -1);
    assert_string_equal(oct_graph_symbol_name(g, b), "M");
    assert_string_equal(oct_graph_symbol_name(g, -9), "?");
    oct_graph_destroy(g);
}

static void meta__key_set_twice__last_value(void **state)
{
    oct_graph *g = NULL;
    ok(oct_graph_create("m", &g));
    assert_null(oct_graph_meta(g, "k"));
    ok(oct_graph_set_meta(g, "k", "1"));
    ok(oct_graph_set_meta(g, "l", "2"));
    ok(oct_graph_set_meta(g, "k", "3"));
    assert_int_equal(g->meta_count, 2);
    assert_string_equal(oct_graph_meta(g, "k"), "3");
    oct_graph_destroy(g);
}

static void constants__empty_and_scalar__hold_data(void **state)
{
    oct_graph *g = NULL;
    oct_value *v = NULL;
    int64_t none = 0, back[2], big[2] = {INT64_C(1) << 40, INT64_C(1) << 40};
    float f;
    ok(oct_graph_create("c", &g));
    ok(oct_value_const(g, "empty", OCT_S64, 1, &none, NULL, &v));
    assert_non_null(v->data);
    assert_int_equal(oct_value_ints(v, back, 2), 0);
    ok(oct_value_const(g, "one", OCT_S64, 0, NULL, &(int64_t){7}, &v));
    assert_int_equal(oct_value_ints(v, back, 2), 1);
    assert_int_equal(back[0], 7);
    assert_true(oct_value_scalar(v, &f));
    assert_true(f == 7);
    assert_int_equal(oct_value_const(g, "big", OCT_F32, 2, big, &f, &v), OCT_ERR_CONTENT);
    assert_int_equal(oct_value_const(g, "text", OCT_STRING, 0, NULL, &f, &v), OCT_ERR_UNSUPPORTED);
    oct_graph_destroy(g);
}

static void bind__symbol_given__shapes_follow(void **state)
{
    small t = small_graph();
    ok(oct_graph_add_symbol(t.g, "N", &t.x->shape.dim[0]));
    ok(oct_graph_infer(t.g));
    assert_false(oct_shape_is_concrete(&t.y->shape));
    ok(oct_graph_bind(t.g, (int64_t[]){-1}));
    assert_false(oct_shape_is_concrete(&t.y->shape));
    ok(oct_graph_bind(t.g, (int64_t[]){5}));
    assert_int_equal(t.y->shape.rank, 2);
    assert_int_equal(t.y->shape.dim[0], 5);
    assert_int_equal(t.y->shape.dim[1], 3);
    assert_int_equal(t.y->dtype, OCT_F32);
    oct_graph_destroy(t.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_add__name_taken__fresh_name_from_stem),
        cmocka_unit_test(value_add__ten_thousand__all_found),
        cmocka_unit_test(node_add__before_another__stands_before_it),
        cmocka_unit_test(replace_uses__value_used_twice_by_a_node__both_move),
        cmocka_unit_test(set_input__beyond_the_end__grows_by_one_only),
        cmocka_unit_test(node_remove__middle__edges_are_gone),
        cmocka_unit_test(sort__shuffled_nodes__execution_order_back),
        cmocka_unit_test(sort__cycle__content_error_names_a_node),
        cmocka_unit_test(sweep__dead_branch__dropped_with_its_values),
        cmocka_unit_test(clone__everything__equal_and_independent),
        cmocka_unit_test(verify__forged_use_list__internal_error_names_the_pass),
        cmocka_unit_test(verify__int8_node_without_scales__internal_error),
        cmocka_unit_test(symbols__same_name__same_dimension),
        cmocka_unit_test(meta__key_set_twice__last_value),
        cmocka_unit_test(constants__empty_and_scalar__hold_data),
        cmocka_unit_test(bind__symbol_given__shapes_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
