/* Evaluating small models made here, on arrays written here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <octavo/eval.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/rng.h"
#include "ir/op.h"
#include "onnx/model.h"

enum { FEATURES = 4, CLASSES = 3, SAMPLES = 29 };

#define OK(expr) assert_int_equal((expr), OCT_OK)

/* y = relu(x * w) * v: x [N, 4] (or [fixed, 4]), y [N, 3]; `shift` moves the classes round. */
static oct_model *make_model(int64_t fixed, int shift)
{
    oct_graph *g = NULL;
    oct_value *x, *w, *v, *h, *r, *y;
    oct_node *n;
    float wd[FEATURES * FEATURES] = {0}, vd[FEATURES * CLASSES] = {0};
    for (int i = 0; i < FEATURES; i++)
        wd[i * FEATURES + i] = 2;
    for (int i = 0; i < CLASSES; i++)
        vd[i * CLASSES + (i + shift) % CLASSES] = 1;
    OK(oct_graph_create("test", &g));
    OK(oct_value_add(g, "x", "x", &x));
    x->dtype = OCT_F32;
    x->shape = (oct_shape){.rank = 2, .dim = {fixed, FEATURES}};
    if (!fixed)
        OK(oct_graph_add_symbol(g, "N", &x->shape.dim[0]));
    OK(oct_graph_add_input(g, x));
    OK(oct_value_const(g, "w", OCT_F32, 2, (int64_t[]){FEATURES, FEATURES}, wd, &w));
    OK(oct_value_const(g, "v", OCT_F32, 2, (int64_t[]){FEATURES, CLASSES}, vd, &v));
    OK(oct_value_add(g, "h", "h", &h));
    OK(oct_value_add(g, "r", "r", &r));
    OK(oct_value_add(g, "y", "y", &y));
    OK(oct_node_add(g, NULL, OCT_OP_MATMUL, "m1", 2, (oct_value *[]){x, w}, 1, &h, &n));
    OK(oct_node_add(g, NULL, OCT_OP_RELU, "relu", 1, &h, 1, &r, &n));
    OK(oct_node_add(g, NULL, OCT_OP_MATMUL, "m2", 2, (oct_value *[]){r, v}, 1, &y, &n));
    OK(oct_graph_add_output(g, y));
    oct_model *m = NULL;
    OK(oct_graph_infer(g));
    OK(oct_model_from_graph(g, NULL, &m));
    return m;
}

static void make_samples(float *x)
{
    oct_rng r = {.seed = 9};
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        x[i] = (float)oct_rng_unit(&r) + 0.1f;
}

static oct_dataset *open_samples(char path[64], int64_t limit)
{
    float x[SAMPLES * FEATURES];
    oct_dataset *set = NULL;
    make_samples(x);
    snprintf(path, 64, "/tmp/octavo-eval-%d.npy", (int)getpid());
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 2, .dims = {SAMPLES, FEATURES}};
    OK(oct_npy_save(path, &t));
    OK(oct_dataset_open(path, &(oct_data_options){.limit = limit}, &set));
    return set;
}

static void count_progress(void *user, int64_t done, int64_t total)
{
    assert_true(done <= total);
    *(int64_t *)user = done;
}

static void evaluate__same_model_any_batch__agrees_everywhere(void **state)
{
    (void)state;
    char path[64];
    oct_model *a = make_model(0, 0), *fixed = make_model(5, 0);
    for (int64_t batch = 1; batch < 12; batch += 3) {
        oct_dataset *set = open_samples(path, 0);
        int64_t done = 0;
        oct_accuracy acc[2];
        oct_verdict v;
        oct_eval_subject sa = {.name = "a", .model = a}, sb = {.name = "b", .model = fixed};
        OK(oct_evaluate(set, &sa, &sb, &(oct_eval_options){.threads = 1, .batch = batch, .progress = count_progress, .user = &done}, acc, &v));
        assert_int_equal(acc[0].n, SAMPLES);
        assert_int_equal(done, SAMPLES);
        assert_true(isnan(acc[0].top1) && isnan(v.mcnemar_p) && isnan(v.ci95[0]));
        assert_true(v.agree == 100 && isinf(v.sqnr_db) && fabs(v.cosine - 1) < 1e-12);
        oct_dataset_destroy(set);
    }
    unlink(path);
    oct_model_destroy(a);
    oct_model_destroy(fixed);
}

static void evaluate__classes_moved__never_agrees(void **state)
{
    (void)state;
    char path[64];
    oct_model *a = make_model(0, 0), *b = make_model(0, 1);
    oct_dataset *set = open_samples(path, 10);
    oct_accuracy acc[2];
    oct_verdict v;
    oct_eval_subject sa = {.name = "a", .model = a}, sb = {.name = "b", .model = b};
    OK(oct_evaluate(set, &sa, &sb, NULL, acc, &v));
    assert_int_equal(acc[1].n, 10);
    assert_true(v.agree == 0);
    assert_true(v.sqnr_db < 20);
    oct_dataset_destroy(set);
    unlink(path);
    oct_model_destroy(a);
    oct_model_destroy(b);
}

static void evaluate__no_subject_or_bad_batch__is_usage_and_leaves_outputs(void **state)
{
    (void)state;
    char path[64];
    oct_model *a = make_model(0, 0);
    oct_dataset *set = open_samples(path, 0);
    oct_accuracy acc[2] = {{.n = 77}, {.n = 77}};
    oct_eval_subject none = {.name = "none"}, sa = {.name = "a", .model = a};
    assert_int_equal(oct_evaluate(set, &none, NULL, NULL, acc, NULL), OCT_ERR_USAGE);
    assert_int_equal(oct_evaluate(set, &sa, NULL, &(oct_eval_options){.batch = -1}, acc, NULL), OCT_ERR_USAGE);
    assert_int_equal(acc[0].n, 77);
    oct_dataset_destroy(set);
    unlink(path);
    oct_model_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluate__same_model_any_batch__agrees_everywhere), cmocka_unit_test(evaluate__classes_moved__never_agrees),
        cmocka_unit_test(evaluate__no_subject_or_bad_batch__is_usage_and_leaves_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
