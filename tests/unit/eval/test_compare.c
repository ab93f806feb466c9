/* Comparing small models and plans made here: which tensors are matched, what their sums say, batches, modes and peers. */
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
#include "base/rng.h"
#include "ir/op.h"
#include "onnx/model.h"

enum { FEATURES = 4, CLASSES = 3, SAMPLES = 29 };

#define OK(expr)                                                                                                                   \
    do {                                                                                                                           \
        if ((expr) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #expr, oct_last_error()->message);                                                                  \
    } while (0)

static oct_value *constant(oct_graph *g, const char *stem, oct_dtype t, int rank, const int64_t *dims, const void *data)
{
    oct_value *v;
    OK(oct_value_const(g, stem, t, rank, dims, data, &v));
    return v;
}

static oct_value *op(oct_graph *g, oct_op o, const char *name, oct_value *a, oct_value *b, oct_value *c)
{
    oct_value *in[3] = {a, b, c}, *y;
    oct_node *n;
    OK(oct_value_add(g, name, name, &y));
    OK(oct_node_add(g, NULL, o, name, c ? 3 : b ? 2 : 1, in, 1, &y, &n));
    return y;
}

/* v through u8 codes: NAME_q, NAME_d. */
static oct_value *pair(oct_graph *g, oct_value *v, float scale, uint8_t zero)
{
    char name[32];
    oct_value *s = constant(g, "s", OCT_F32, 0, NULL, &scale), *z = constant(g, "z", OCT_U8, 0, NULL, &zero);
    snprintf(name, sizeof name, "%s_q", v->name);
    oct_value *q = op(g, OCT_OP_QUANTIZE, name, v, s, z);
    snprintf(name, sizeof name, "%s_d", v->name);
    return op(g, OCT_OP_DEQUANTIZE, name, q, s, z);
}

/* h = x w, r = relu(h), y = r v: x [N, 4] (or [fixed, 4]), y [N, 3]; `shift` moves the classes round. r_scale > 0: x and r have
 * Q/DQ, and so have the weights, exactly. */
static oct_model *make_model(int64_t fixed, int shift, float r_scale)
{
    oct_graph *g = NULL;
    oct_value *x;
    int8_t wd[FEATURES * FEATURES] = {0}, vd[FEATURES * CLASSES] = {0}, zero = 0;
    float half = 0.5f, wf[FEATURES * FEATURES], vf[FEATURES * CLASSES];
    for (int i = 0; i < FEATURES; i++)
        wd[i * FEATURES + i] = 4;
    for (int i = 0; i < CLASSES; i++)
        vd[i * CLASSES + (i + shift) % CLASSES] = 2;
    for (int i = 0; i < FEATURES * FEATURES; i++)
        wf[i] = half * (float)wd[i];
    for (int i = 0; i < FEATURES * CLASSES; i++)
        vf[i] = half * (float)vd[i];
    OK(oct_graph_create("test", &g));
    g->opset = 17;
    OK(oct_value_add(g, "x", "x", &x));
    x->dtype = OCT_F32;
    x->shape = (oct_shape){.rank = 2, .dim = {fixed, FEATURES}};
    if (!fixed)
        OK(oct_graph_add_symbol(g, "N", &x->shape.dim[0]));
    OK(oct_graph_add_input(g, x));
    const bool quantized = r_scale > 0;
    oct_value *w = quantized ? constant(g, "wc", OCT_S8, 2, (int64_t[]){FEATURES, FEATURES}, wd)
                             : constant(g, "w", OCT_F32, 2, (int64_t[]){FEATURES, FEATURES}, wf);
    oct_value *v = quantized ? constant(g, "vc", OCT_S8, 2, (int64_t[]){FEATURES, CLASSES}, vd)
                             : constant(g, "v", OCT_F32, 2, (int64_t[]){FEATURES, CLASSES}, vf);
    if (quantized) {
        oct_value *s = constant(g, "ws", OCT_F32, 0, NULL, &half), *z = constant(g, "wz", OCT_S8, 0, NULL, &zero);
        w = op(g, OCT_OP_DEQUANTIZE, "w", w, s, z);
        v = op(g, OCT_OP_DEQUANTIZE, "v", v, s, z);
    }
    oct_value *r = op(g, OCT_OP_RELU, "r", op(g, OCT_OP_MATMUL, "h", quantized ? pair(g, x, 0.01f, 0) : x, w, NULL), NULL, NULL);
    OK(oct_graph_add_output(g, op(g, OCT_OP_MATMUL, "y", quantized ? pair(g, r, r_scale, 0) : r, v, NULL)));
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

static const char *const x_name[] = {"x"};

/* All samples in batches. */
static oct_comparison *compare(const oct_compare_side *a, const oct_compare_side *b, int64_t batch)
{
    float x[SAMPLES * FEATURES];
    oct_comparison *c = NULL;
    make_samples(x);
    OK(oct_comparison_create(a, b, 1, &c));
    for (int64_t first = 0; first < SAMPLES; first += batch) {
        oct_tensor t = {.data = x + first * FEATURES,
                        .dtype = OCT_F32,
                        .rank = 2,
                        .dims = {first + batch < SAMPLES ? batch : SAMPLES - first, FEATURES}};
        OK(oct_comparison_add(c, x_name, &t, 1));
    }
    return c;
}

static oct_tensor_diff get(const oct_comparison *c, const char *name)
{
    oct_tensor_diff d;
    for (int64_t i = 0; i < oct_comparison_count(c); i++) {
        OK(oct_comparison_get(c, i, &d));
        if (strcmp(d.name, name) == 0)
            return d;
    }
    fail_msg("no row '%s'", name);
    return d;
}

static void expect_names(const oct_comparison *c, const char *want)
{
    char got[256] = "";
    for (int64_t i = 0; i < oct_comparison_count(c); i++) {
        oct_tensor_diff d;
        OK(oct_comparison_get(c, i, &d));
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", d.name);
    }
    assert_string_equal(got, want);
}

static void compare__models__rows_in_order_with_errors(void **state)
{
    (void)state;
    oct_model *a = make_model(0, 0, 0), *b = make_model(0, 1, 0);
    oct_comparison *c = compare(&(oct_compare_side){.model = a}, &(oct_compare_side){.model = b}, SAMPLES);
    expect_names(c, "h r y");
    oct_tensor_diff h = get(c, "h"), y = get(c, "y");
    assert_true(h.max_abs == 0 && h.rel_l2 == 0 && fabs(h.cosine - 1) < 1e-12 && isinf(h.sqnr_db) && isnan(h.clipped_a) &&
                isnan(h.clipped_b));
    assert_true(y.max_abs > 0 && y.rel_l2 > 0 && y.cosine < 1 && y.sqnr_db < 20);
    assert_int_equal(h.elements, SAMPLES * FEATURES);
    assert_int_equal(y.elements, SAMPLES * CLASSES);
    oct_tensor_diff d = {.elements = 77};
    assert_int_equal(oct_comparison_get(c, 3, &d), OCT_ERR_USAGE);
    assert_int_equal(oct_comparison_get(c, -1, &d), OCT_ERR_USAGE);
    assert_int_equal(d.elements, 77);
    oct_comparison_destroy(c);
    oct_model_destroy(a);
    oct_model_destroy(b);
}

/* y of b against a by hand: b's classes are a's moved round, and both are 2 x. */
static void compare__sums__are_those_of_all_samples(void **state)
{
    (void)state;
    float x[SAMPLES * FEATURES];
    double aa = 0, ee = 0, most = 0;
    make_samples(x);
    for (int i = 0; i < SAMPLES; i++)
        for (int k = 0; k < CLASSES; k++) {
            double ya = 2.0 * (double)x[i * FEATURES + k], yb = 2.0 * (double)x[i * FEATURES + (k + CLASSES - 1) % CLASSES];
            aa += ya * ya;
            ee += (yb - ya) * (yb - ya);
            most = fmax(most, fabs(yb - ya));
        }
    oct_model *a = make_model(0, 0, 0), *b = make_model(0, 1, 0), *fixed = make_model(6, 1, 0);
    for (int64_t batch = 1; batch <= 6; batch += 5)
        for (int k = 0; k < 2; k++) {
            oct_comparison *c = compare(&(oct_compare_side){.model = a}, &(oct_compare_side){.model = k ? fixed : b}, batch);
            oct_tensor_diff y = get(c, "y");
            assert_int_equal(y.elements, SAMPLES * CLASSES);
            assert_true(fabs(y.max_abs - most) < 1e-5 && fabs(y.rel_l2 - sqrt(ee / aa)) < 1e-5 &&
                        fabs(y.sqnr_db - 10 * log10(aa / ee)) < 1e-3);
            oct_comparison_destroy(c);
        }
    oct_model_destroy(a);
    oct_model_destroy(b);
    oct_model_destroy(fixed);
}

static void compare__qdq_model__is_read_behind_its_dequantize(void **state)
{
    (void)state;
    oct_model *a = make_model(0, 0, 0), *q = make_model(0, 0, 0.01f);
    for (int turned = 0; turned < 2; turned++) {
        oct_comparison *c = compare(&(oct_compare_side){.model = turned ? q : a}, &(oct_compare_side){.model = turned ? a : q}, 8);
        expect_names(c, "r y"); /* h stays inside the fused layer */
        oct_tensor_diff r = get(c, "r"), y = get(c, "y");
        assert_true(r.max_abs > 0 && r.max_abs < 0.02 && y.sqnr_db > 30 && r.rel_l2 < 0.01);
        assert_true(isnan(turned ? r.clipped_b : r.clipped_a) && (turned ? r.clipped_a : r.clipped_b) == 0);
        oct_comparison_destroy(c);
    }
    oct_comparison *c = compare(&(oct_compare_side){.model = q, .mode = OCT_BUILD_FLOAT}, &(oct_compare_side){.model = q}, 8);
    expect_names(c, "x_d r y");
    assert_true(get(c, "r").max_abs < 0.011 && get(c, "x_d").max_abs == 0);
    oct_comparison_destroy(c);
    oct_model_destroy(a);
    oct_model_destroy(q);
}

/* r reaches 2.2; codes of scale 0.005 end at 1.275. */
static void compare__clipped_codes__their_share_is_counted(void **state)
{
    (void)state;
    float x[SAMPLES * FEATURES];
    int over = 0;
    make_samples(x);
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        over += 2 * x[i] >= 1.29f;
    assert_true(over > 10);
    oct_model *a = make_model(0, 0, 0), *q = make_model(0, 0, 0.005f);
    oct_comparison *c = compare(&(oct_compare_side){.model = a}, &(oct_compare_side){.model = q}, SAMPLES);
    double share = get(c, "r").clipped_b;
    assert_true(share * SAMPLES * FEATURES >= over - 0.5 && share < 1);
    oct_comparison_destroy(c);
    oct_model_destroy(a);
    oct_model_destroy(q);
}

static void compare__plan__shows_outputs_and_taps(void **state)
{
    (void)state;
    oct_model *a = make_model(0, 0, 0), *b = make_model(0, 1, 0);
    oct_plan *plan = NULL, *tapped = NULL;
    OK(oct_plan_build(b, &(oct_build_options){.batch = 6}, &plan));
    OK(oct_plan_build(a, &(oct_build_options){.batch = 6, .taps = (const char *const[]){"r"}, .tap_count = 1}, &tapped));
    oct_comparison *c = compare(&(oct_compare_side){.model = a}, &(oct_compare_side){.plan = plan}, 6);
    expect_names(c, "y");
    assert_int_equal(get(c, "y").elements, SAMPLES * CLASSES);
    oct_comparison_destroy(c);
    c = compare(&(oct_compare_side){.plan = tapped}, &(oct_compare_side){.model = b}, 6);
    expect_names(c, "r y");
    assert_true(get(c, "r").max_abs == 0 && get(c, "y").max_abs > 0);
    oct_comparison_destroy(c);
    oct_plan_destroy(plan);
    oct_plan_destroy(tapped);
    oct_model_destroy(a);
    oct_model_destroy(b);
}

/* A peer that knows r and y, and says twice of what x would give. */
typedef struct peer_state {
    int opened, asked, last;
    const float *x;
    int64_t rows;
} peer_state;

static oct_status peer_open(void *user, const char *const *tensors, int count, bool *has)
{
    ((peer_state *)user)->opened = count;
    for (int i = 0; i < count; i++) {
        assert_true(has[i]);
        has[i] = strcmp(tensors[i], "h") != 0;
    }
    return OCT_OK;
}
static oct_status peer_run(void *user, const char *const *names, const oct_tensor *inputs, int count)
{
    peer_state *p = user;
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "x");
    p->x = inputs[0].data;
    p->rows = inputs[0].dims[0];
    p->last = -1;
    return OCT_OK;
}
static oct_status peer_read(void *user, int tensor, float *data, int64_t count)
{
    peer_state *p = user;
    const int64_t columns = count / p->rows;
    assert_true(tensor > p->last);
    p->last = tensor;
    p->asked++;
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t k = 0; k < columns; k++)
            data[i * columns + k] = 4 * p->x[i * FEATURES + k];
    return OCT_OK;
}
static oct_status peer_fails(void *user, const char *const *names, const oct_tensor *inputs, int count)
{
    return OCT_ERR_IO;
}

static void compare__peer__answers_for_what_it_knows(void **state)
{
    (void)state;
    oct_model *m = make_model(0, 0, 0), *fixed = make_model(6, 0, 0);
    for (int k = 0; k < 2; k++) {
        peer_state p = {0};
        oct_compare_peer peer = {&p, peer_open, peer_run, peer_read};
        const oct_model *used = k ? fixed : m;
        oct_comparison *c = compare(&(oct_compare_side){.model = used}, &(oct_compare_side){.model = used, .peer = &peer}, 6);
        expect_names(c, "r y");
        assert_int_equal(p.opened, 3);
        assert_int_equal(p.asked, 2 * 5);
        assert_true(fabs(get(c, "r").rel_l2 - 1) < 1e-6 && fabs(get(c, "y").cosine - 1) < 1e-9);
        assert_int_equal(get(c, "y").elements, SAMPLES * CLASSES);
        oct_comparison_destroy(c);
    }
    peer_state p = {0};
    oct_compare_peer bad = {&p, peer_open, peer_fails, peer_read};
    float x[FEATURES] = {0};
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 2, .dims = {1, FEATURES}};
    oct_comparison *c = NULL;
    oct_compare_side side = {.model = m, .peer = &bad}, plain = {.model = m};
    OK(oct_comparison_create(&side, &plain, 1, &c));
    assert_int_equal(oct_comparison_add(c, x_name, &t, 1), OCT_ERR_IO);
    oct_comparison_destroy(c);
    c = NULL;
    assert_int_equal(oct_comparison_create(&side, &side, 1, &c), OCT_ERR_USAGE);
    assert_null(c);
    oct_model_destroy(m);
    oct_model_destroy(fixed);
}

static void compare__bad_calls__fail_with_their_status(void **state)
{
    (void)state;
    float x[SAMPLES * FEATURES];
    make_samples(x);
    oct_model *m = make_model(0, 0, 0), *fixed = make_model(5, 0, 0);
    oct_compare_side a = {.model = m}, f = {.model = fixed}, none = {0};
    oct_comparison *c = NULL;
    assert_int_equal(oct_comparison_create(&a, &none, 1, &c), OCT_ERR_USAGE);
    oct_plan *plan = NULL;
    OK(oct_plan_build(m, NULL, &plan));
    assert_int_equal(oct_comparison_create(&a, &(oct_compare_side){.plan = plan, .mode = OCT_BUILD_FLOAT}, 1, &c), OCT_ERR_USAGE);
    assert_null(c);
    OK(oct_comparison_create(&a, &f, 1, &c));
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 2, .dims = {6, FEATURES}};
    assert_int_equal(oct_comparison_add(c, (const char *const[]){"z"}, &t, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_comparison_add(c, x_name, &t, 1), OCT_ERR_CONTENT); /* six samples for a batch of five */
    assert_non_null(strstr(oct_last_error()->message, "'x' takes 5 samples"));
    t.rank = 1;
    assert_int_equal(oct_comparison_add(c, x_name, &t, 1), OCT_ERR_CONTENT);
    oct_comparison_destroy(c);
    oct_plan_destroy(plan);
    oct_model_destroy(m);
    oct_model_destroy(fixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare__models__rows_in_order_with_errors),
        cmocka_unit_test(compare__sums__are_those_of_all_samples),
        cmocka_unit_test(compare__qdq_model__is_read_behind_its_dequantize),
        cmocka_unit_test(compare__clipped_codes__their_share_is_counted),
        cmocka_unit_test(compare__plan__shows_outputs_and_taps),
        cmocka_unit_test(compare__peer__answers_for_what_it_knows),
        cmocka_unit_test(compare__bad_calls__fail_with_their_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
