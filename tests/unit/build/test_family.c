/* Plans for a range of shapes: what a context makes from the recipe equals a build for that shape, also when many do so at once and
 * more shapes come than are kept; damaged recipes are refused; refit and ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/recipe_file.h"
#include "build/tactics.h"
#include "onnx/model.h"
#include "plan/plan.h"

#define OK(call)                                                                                                                   \
    do {                                                                                                                           \
        if ((call) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #call, oct_last_error()->message);                                                                  \
    } while (0)

enum { C = 3, OC = 6, SIDE = 9, LEAST = 4, MOST = 24, ROOM = 2 * C * MOST * MOST };

static oct_value *value(oct_graph *g, const char *name, int rank, const int64_t *dims)
{
    oct_value *v;
    OK(oct_value_add(g, name, name, &v));
    v->dtype = OCT_F32;
    v->shape.rank = rank;
    memcpy(v->shape.dim, dims, sizeof *dims * (size_t)rank);
    return v;
}

static oct_value *weights(oct_graph *g, const char *name, int rank, const int64_t *dims, uint64_t seed)
{
    float data[OC * C * 9];
    oct_value *v;
    for (int i = 0; i < OC * C * 9; i++)
        data[i] = (float)(oct_rng_at(seed, (uint64_t)i) % 2001) / 1000 - 1;
    OK(oct_value_const(g, name, OCT_F32, rank, dims, data, &v));
    return v;
}

/* x [N, 3, H, W] -> 3x3 convolution -> Relu -> y */
static oct_model *model(uint64_t seed)
{
    oct_graph *g;
    oct_node *n;
    oct_model *m;
    int64_t dims[4] = {0, C, 0, 0};
    const int64_t shape[4] = {OC, C, 3, 3}, pads[4] = {1, 1, 1, 1};
    OK(oct_graph_create("net", &g));
    g->opset = 17;
    OK(oct_graph_add_symbol(g, "N", &dims[0]));
    OK(oct_graph_add_symbol(g, "H", &dims[2]));
    OK(oct_graph_add_symbol(g, "W", &dims[3]));
    oct_value *in[2] = {value(g, "x", 4, dims), weights(g, "w", 4, shape, seed)};
    dims[1] = OC;
    oct_value *c = value(g, "c", 4, dims), *y = value(g, "y", 4, dims);
    OK(oct_node_add(g, NULL, OCT_OP_CONV, "conv", 2, in, 1, &c, &n));
    OK(oct_node_set_ints(g, n, "pads", pads, 4));
    OK(oct_node_add(g, NULL, OCT_OP_RELU, "relu", 1, &c, 1, &y, &n));
    OK(oct_graph_add_input(g, in[0]));
    OK(oct_graph_add_output(g, y));
    y->is_output = true;
    OK(oct_model_from_graph(g, NULL, &m));
    return m;
}

static oct_builder *builder(const oct_model *m)
{
    oct_builder *b;
    OK(oct_builder_create(m, &b));
    OK(oct_builder_set_range(b, "x", -2, 2));
    OK(oct_builder_set_range(b, "y", 0, 6));
    return b;
}

static oct_plan *family(const oct_model *m)
{
    oct_builder *b = builder(m);
    oct_plan *p;
    const int64_t min[4] = {1, C, LEAST, LEAST}, opt[4] = {1, C, SIDE, SIDE}, max[4] = {2, C, MOST, MOST};
    OK(oct_builder_set_profile(b, "x", 4, min, opt, max));
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8}, &p));
    oct_builder_destroy(b);
    return p;
}

static void fill(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(oct_rng_at(5, (uint64_t)i) % 401) / 100 - 2;
}

static bool run(oct_context *c, int64_t n, int64_t h, int64_t w, oct_tensor *y)
{
    static _Thread_local float x[ROOM];
    const int64_t dims[4] = {n, C, h, w};
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {n, C, h, w}};
    fill(x, n * C * h * w);
    return oct_context_set_shape(c, "x", 4, dims) == OCT_OK && oct_context_set_input(c, "x", &t) == OCT_OK &&
           oct_context_run(c) == OCT_OK && oct_context_get_output(c, "y", y) == OCT_OK;
}

/* Output of a build for one shape; free() it. */
static void *fixed(const oct_model *m, int64_t n, int64_t h, int64_t w, size_t *bytes)
{
    char height[16], width[16];
    const char *const dims[2] = {height, width};
    snprintf(height, sizeof height, "H=%d", (int)h);
    snprintf(width, sizeof width, "W=%d", (int)w);
    oct_builder *b = builder(m);
    oct_plan *p;
    oct_context *c;
    oct_tensor y;
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8, .batch = n, .dims = dims, .dim_count = 2}, &p));
    OK(oct_context_create(p, 1, &c));
    assert_true(run(c, n, h, w, &y));
    *bytes = (size_t)oct_tensor_count(&y) * sizeof(float);
    void *kept = malloc(*bytes);
    assert_non_null(kept);
    memcpy(kept, y.data, *bytes);
    oct_context_destroy(c);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    return kept;
}

static void family__more_shapes_than_are_kept__each_equals_its_own_build(void **state)
{
    (void)state;
    oct_model *m = model(1);
    oct_plan *p = family(m);
    oct_context *c;
    OK(oct_context_create(p, 2, &c));
    assert_true(oct_plan_step_count(p) > 0);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 12; i++) { /* forwards, then back */
            const int k = round ? 11 - i : i;
            const int64_t n = 1 + k % 2, h = LEAST + k, w = MOST - k;
            size_t bytes;
            oct_tensor y;
            void *want = fixed(m, n, h, w, &bytes);
            assert_true(run(c, n, h, w, &y));
            assert_int_equal(oct_tensor_count(&y) * (int64_t)sizeof(float), bytes);
            assert_memory_equal(y.data, want, bytes);
            free(want);
        }
    oct_context_destroy(c);
    oct_plan_destroy(p);
    oct_model_destroy(m);
}

/* What differs between shapes is where the taps lie; weights are there once. */
static void family__plans_of_one_file__share_their_weights(void **state)
{
    (void)state;
    oct_model *m = model(1);
    oct_plan *p = family(m);
    int64_t alone = 0;
    assert_int_equal(p->shape_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(p->shapes[i].constants, p->constants);
        assert_int_equal(p->shapes[i].constant_size, p->constant_size);
        assert_int_equal(p->shapes[i].header->section[OCT_SEC_CONST].size, 0);
    }
    oct_builder *b = builder(m);
    oct_plan *one;
    OK(oct_builder_build(
        b, &(oct_build_options){.mode = OCT_BUILD_INT8, .dims = (const char *const[]){"H=9", "W=9"}, .dim_count = 2}, &one));
    alone = one->constant_size;
    assert_true(p->constant_size >= alone && p->constant_size <= alone + 4 * OCT_ALIGN);
    oct_plan_destroy(one);
    oct_builder_destroy(b);
    oct_plan_destroy(p);
    oct_model_destroy(m);
}

typedef struct thread {
    const oct_plan *plan;
    const void *want;
    size_t bytes;
    int64_t h;
    bool right;
    pthread_t id;
} thread;

static void *work(void *arg)
{
    thread *t = arg;
    oct_context *c = NULL;
    oct_tensor y;
    t->right = oct_context_create(t->plan, 1, &c) == OCT_OK;
    for (int i = 0; t->right && i < 3; i++)
        t->right = run(c, 1, SIDE, SIDE, &y) && run(c, 2, t->h, t->h, &y) && memcmp(y.data, t->want, t->bytes) == 0;
    oct_context_destroy(c);
    return NULL;
}

static void family__contexts_make_plans_in_parallel__each_gets_its_own_results(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    oct_model *m = model(2);
    oct_plan *p = family(m);
    thread t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        t[i] = (thread){.plan = p, .h = LEAST + 1 + i};
        t[i].want = fixed(m, 2, t[i].h, t[i].h, &t[i].bytes);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i].id, NULL, work, &t[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i].id, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_true(t[i].right);
        free((void *)(uintptr_t)t[i].want);
    }
    oct_plan_destroy(p);
    oct_model_destroy(m);
}

static void recipe__written_and_read__says_the_same(void **state)
{
    (void)state;
    oct_model *m = model(3);
    oct_recipe *r;
    oct_stored_recipe back;
    void *data;
    int64_t size;
    const char *const dims[] = {"H=5", "W=6"}, *const taps[] = {"c"};
    OK(oct_recipe_create(&r));
    OK(oct_ranges_create(OCT_SCHEME_SYMMETRIC, &r->ranges));
    OK(oct_ranges_set(r->ranges, "x", -1, 0.3f));
    OK(oct_recipe_hold(r, "conv", "a reason with \"quotes\""));
    OK(oct_recipe_set_io(r, "x", OCT_IO_PIXELS_NHWC, 1));
    OK(oct_tactics_parse("qconv qconv_ref 0 conv\n", &r->tactics));
    OK(oct_recipe_write(r, m, &(oct_build_options){.batch = 4, .dims = dims, .dim_count = 2, .taps = taps, .tap_count = 1}, &data,
                        &size));
    OK(oct_recipe_read(data, size, &back));
    assert_int_equal(back.opts.batch, 4);
    assert_int_equal(back.opts.dim_count, 2);
    assert_string_equal(back.opts.dims[1], "W=6");
    assert_string_equal(back.opts.taps[0], "c");
    assert_int_equal(back.recipe->held_count, 1);
    assert_string_equal(back.recipe->held[0].reason, "a reason with \"quotes\"");
    assert_int_equal(back.recipe->io[0].io, OCT_IO_PIXELS_NHWC);
    assert_int_equal(oct_tactics_count(back.recipe->tactics), 1);
    assert_string_equal(oct_tactics_kernel(back.recipe->tactics, 0), "qconv_ref");
    assert_int_equal(back.recipe->ranges->scheme, OCT_SCHEME_SYMMETRIC);
    assert_true(oct_ranges_find(back.recipe->ranges, "x")->max == 0.3f);
    assert_memory_equal(oct_value_find(back.model->graph, "w")->data, oct_value_find(m->graph, "w")->data,
                        sizeof(float) * OC * C * 9);
    oct_stored_recipe_free(&back);
    free(data);
    oct_recipe_destroy(r);
    oct_model_destroy(m);
}

/* No checksum stands before these bytes: whatever they say, the reader answers with a status. */
static void recipe__cut_or_changed__refused_or_read(void **state)
{
    (void)state;
    oct_model *m = model(4);
    oct_plan *p = family(m);
    oct_stored_recipe back;
    int refused = 0;
    uint8_t *bad = malloc((size_t)p->recipe_size);
    assert_non_null(bad);
    for (int64_t cut = 0; cut < p->recipe_size; cut += cut < 200 ? 1 : 61)
        assert_int_equal(oct_recipe_read(p->recipe, cut, &back), OCT_ERR_CONTENT);
    for (uint64_t i = 0; i < 3000; i++) {
        memcpy(bad, p->recipe, (size_t)p->recipe_size);
        const uint64_t bit = oct_rng_at(9, i) % (8 * (uint64_t)(i % 2 ? oct_min64(p->recipe_size, 900) : p->recipe_size));
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        oct_status s = oct_recipe_read(bad, p->recipe_size, &back);
        if (s == OCT_OK)
            oct_stored_recipe_free(&back);
        else
            refused += s == OCT_ERR_CONTENT || s == OCT_ERR_UNSUPPORTED || s == OCT_ERR_USAGE ? 1 : -100000;
    }
    assert_true(refused > 500);
    free(bad);
    oct_plan_destroy(p);
    oct_model_destroy(m);
}

static void refit__other_weights__equals_a_build_of_the_other_model_at_every_shape(void **state)
{
    (void)state;
    oct_model *m = model(1), *other = model(7);
    oct_plan *p = family(m), *made;
    oct_context *c;
    oct_tensor y;
    size_t bytes;
    const oct_value *w = oct_value_find(other->graph, "w");
    const oct_refit_weight weight = {"w", {.data = (void *)(uintptr_t)w->data, .dtype = OCT_F32, .rank = 4, .dims = {OC, C, 3, 3}}};
    OK(oct_plan_refit(p, &weight, 1, NULL, 0, &made));
    oct_plan_destroy(p); /* the new plan does not need it */
    OK(oct_context_create(made, 1, &c));
    for (int64_t h = SIDE; h < SIDE + 2; h++) {
        void *want = fixed(other, 2, h, h, &bytes);
        assert_true(run(c, 2, h, h, &y));
        assert_memory_equal(y.data, want, bytes);
        free(want);
    }
    oct_context_destroy(c);
    oct_plan_destroy(made);
    oct_model_destroy(m);
    oct_model_destroy(other);
}

static void ports__codes__scale_and_zero_are_told(void **state)
{
    (void)state;
    oct_model *m = model(1);
    oct_builder *b = builder(m);
    oct_plan *p;
    oct_port port;
    float scale;
    int32_t zero;
    const char *const dims[] = {"H=5", "W=6"};
    OK(oct_builder_set_io(b, "x", OCT_IO_CODES));
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8, .dims = dims, .dim_count = 2}, &p));
    OK(oct_plan_get_input(p, 0, &port));
    assert_int_equal(port.dtype, OCT_U8);
    OK(oct_plan_get_quant(p, "x", &scale, &zero));
    assert_true(scale > 0.015f && scale < 0.017f); /* 4 / 255 */
    assert_true(zero == 127 || zero == 128);
    assert_int_equal(oct_plan_get_quant(p, "nothing", &scale, &zero), OCT_ERR_USAGE);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(family__more_shapes_than_are_kept__each_equals_its_own_build),
        cmocka_unit_test(family__plans_of_one_file__share_their_weights),
        cmocka_unit_test(family__contexts_make_plans_in_parallel__each_gets_its_own_results),
        cmocka_unit_test(recipe__written_and_read__says_the_same),
        cmocka_unit_test(recipe__cut_or_changed__refused_or_read),
        cmocka_unit_test(refit__other_weights__equals_a_build_of_the_other_model_at_every_shape),
        cmocka_unit_test(ports__codes__scale_and_zero_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
