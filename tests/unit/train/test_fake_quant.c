/* The quantizer of training: its numbers are those of src/num, its gradients those that the straight-through estimator and LSQ define.
 *
 * Finite differences are taken of the surrogate whose rounding residual is frozen (rne(u) - u at the point of expansion), piece by piece: those of the function
 * itself, which is a staircase, say nothing. */
#include "nets.h"

#include "num/num.h"
#include "train/fake_quant.h"

enum { COUNT = 4 * 3 * 5 };

typedef struct quantized {
    oct_model *m;
    oct_tape *t;
    oct_tape_value x, scale, zero, y;
} quantized;

/* x[4, 3, 5], scales of one element or by axis 1. */
static quantized make(const oct_fake_quant *q, const float *scale, const float *zero, bool constant)
{
    net n = net_new();
    const int64_t dims[3] = {4, 3, 5}, channels = q->axis < 0 ? 1 : 3;
    oct_value *x = constant ? net_random(&n, "x", 1, 3, dims) : net_input(&n, "x", 3, dims), *s, *z, *y;
    quantized r = {0};
    OK(oct_value_const(n.g, "s", OCT_F32, q->axis < 0 ? 0 : 1, &channels, scale, &s));
    OK(oct_value_const(n.g, "z", OCT_F32, q->axis < 0 ? 0 : 1, &channels, zero, &z));
    OK(oct_fake_quant_add(n.g, "y", x, s, z, q, &y));
    if (constant) /* a graph needs an input */
        y = net_add(&n, "sum", y, net_input(&n, "none", 3, dims));
    r.m = finish(&n, y);
    OK(oct_tape_create(r.m->graph, &(oct_tape_options){.training = true, .input_gradients = true}, &r.t));
    OK(oct_tape_find(r.t, "x", &r.x));
    OK(oct_tape_find(r.t, "s", &r.scale));
    OK(oct_tape_find(r.t, "z", &r.zero));
    assert_true(oct_tape_output(r.t, 0, &r.y));
    return r;
}

static void drop(quantized *r)
{
    oct_tape_destroy(r->t);
    oct_model_destroy(r->m);
}

static void spread(float *x, uint64_t seed, float size)
{
    oct_rng rng = {seed, 0};
    for (int i = 0; i < COUNT; i++)
        x[i] = size * (float)(2 * oct_rng_unit(&rng) - 1);
}

static void forward__is_quantize_then_dequantize(void **state)
{
    (void)state;
    static const struct {
        int32_t lo, hi;
        float zero;
    } rows[] = {{0, 255, 0}, {0, 255, 113}, {-128, 127, 0}, {0, 15, 0}, {0, 15, 6}, {-8, 7, 0}, {0, 3, 0}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const float scale = 1.7f / (float)(rows[k].hi - rows[k].lo);
        quantized r = make(&(oct_fake_quant){rows[k].lo, rows[k].hi, -1, OCT_SCALES_LEARNED, 0}, &scale, &rows[k].zero, false);
        spread(r.x.data, k, 1.3f);
        r.x.data[3] = 0;
        r.x.data[4] = 2.5f * scale; /* a tie */
        OK(oct_tape_forward(r.t));
        for (int i = 0; i < COUNT; i++) {
            const int32_t z = (int32_t)rows[k].zero, q = oct_quantize(r.x.data[i], scale, z, rows[k].lo, rows[k].hi);
            assert_true(r.y.data[i] == oct_dequantize(q, scale, z));
        }
        drop(&r);
    }
}

/* s (u + residual) inside, s times the limit outside, with the residual of x0 and s0. */
static double surrogate(double x, double s, double x0, double s0, double lo, double hi)
{
    const double u0 = x0 / s0;
    return u0 < lo ? s * lo : u0 > hi ? s * hi : s * (x / s + (rint(u0) - u0));
}

static void gradients__are_those_of_the_frozen_residual(void **state)
{
    (void)state;
    const float scale[3] = {0.11f, 0.05f, 0.23f}, zero[3] = {0, 0, 0};
    const oct_fake_quant q = {-8, 7, 1, OCT_SCALES_LEARNED, 0};
    quantized r = make(&q, scale, zero, false);
    float seed[COUNT];
    spread(r.x.data, 3, 1);
    spread(seed, 4, 1);
    OK(oct_tape_forward(r.t));
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    double by_scale[3] = {0};
    int clipped = 0;
    for (int i = 0; i < COUNT; i++) {
        const int c = i / 5 % 3;
        const double x = r.x.data[i], s = scale[c], h = 1e-6;
        by_scale[c] += seed[i] * (surrogate(x, s + h, x, s, -8, 7) - surrogate(x, s - h, x, s, -8, 7)) / (2 * h);
        const double slope = (surrogate(x + h, s, x, s, -8, 7) - surrogate(x - h, s, x, s, -8, 7)) / (2 * h);
        assert_true(fabs(slope * seed[i] - r.x.grad[i]) < 1e-6);
        clipped += slope == 0;
    }
    assert_true(clipped > 5 && clipped < COUNT - 5);
    for (int c = 0; c < 3; c++) /* n: elements of a sample of an activation */
        assert_true(fabs(r.scale.grad[c] - by_scale[c] / sqrt(15.0 * 8)) < 1e-5);
    drop(&r);
}

static void weights__gradient_scale_counts_a_channel(void **state)
{
    (void)state;
    const float scale[3] = {0.11f, 0.05f, 0.23f}, zero[3] = {0, 0, 0};
    quantized r = make(&(oct_fake_quant){-8, 7, 1, OCT_SCALES_LEARNED, 0}, scale, zero, true);
    float seed[COUNT];
    for (int i = 0; i < COUNT; i++)
        seed[i] = 1;
    OK(oct_tape_forward(r.t));
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    for (int c = 0; c < 3; c++) {
        double sum = 0;
        for (int i = 0; i < COUNT; i++)
            if (i / 5 % 3 == c) {
                const double u = (double)(r.x.data[i] / scale[c]);
                sum += u < -8 ? -8 : u > 7 ? 7 : rint(u) - u;
            }
        assert_true(fabs(r.scale.grad[c] - sum / sqrt(20.0 * 8)) < 1e-5);
    }
    drop(&r);
}

static void clip__only_what_is_clipped_moves_the_limit(void **state)
{
    (void)state;
    const float scale = 0.04f, zero = 0;
    quantized r = make(&(oct_fake_quant){0, 15, -1, OCT_SCALES_CLIP, 0}, &scale, &zero, false);
    float seed[COUNT];
    double limit = 0;
    spread(r.x.data, 5, 1);
    spread(seed, 6, 1);
    OK(oct_tape_forward(r.t));
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    for (int i = 0; i < COUNT; i++)
        limit += r.x.data[i] / scale > 15 ? (double)seed[i] : 0;
    assert_true(fabs(r.scale.grad[0] * 15 - limit) < 1e-5); /* ds = da / 15 */
    drop(&r);
}

static void ema__holds_the_extremes_of_the_batch(void **state)
{
    (void)state;
    const float scale = 0.01f, zero = 100;
    quantized r = make(&(oct_fake_quant){0, 255, -1, OCT_SCALES_EMA, 0}, &scale, &zero, false);
    float seed[COUNT], least = 0, most = 0;
    spread(r.x.data, 7, 1);
    spread(seed, 8, 1);
    for (int i = 0; i < COUNT; i++) {
        least = fminf(least, r.x.data[i]);
        most = fmaxf(most, r.x.data[i]);
    }
    for (int k = 0; k < 2; k++) {
        OK(oct_tape_forward(r.t));
        OK(oct_tape_backward(r.t, (const float *const[]){seed}));
        assert_true(r.scale.grad[0] == most && r.zero.grad[0] == least);
    }
    drop(&r);
}

static void dampening__draws_what_is_inside_to_its_code(void **state)
{
    (void)state;
    const float scale[3] = {0.11f, 0.05f, 0.23f}, zero[3] = {0, 0, 0};
    quantized r = make(&(oct_fake_quant){-8, 7, 1, OCT_SCALES_LEARNED, 0.25f}, scale, zero, true);
    float seed[COUNT] = {0};
    int moved = 0;
    oct_tape_set_dampening(r.t, 0.4);
    OK(oct_tape_forward(r.t));
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    for (int i = 0; i < COUNT; i++) {
        const float s = scale[i / 5 % 3];
        const int32_t q = oct_quantize(r.x.data[i], s, 0, -8, 7);
        const bool inside = fabsf(r.x.data[i] / s) <= 7;
        const double want = 2 * 0.4 * 0.25 * ((double)r.x.data[i] - (double)oct_dequantize(q, s, 0));
        if (inside)
            assert_true(fabs((double)r.x.grad[i] - want) < 1e-6);
        if (r.x.data[i] / s > 7)
            assert_true(r.x.grad[i] == 0);
        moved += r.x.grad[i] != 0;
    }
    assert_true(moved > 20);
    oct_tape_set_dampening(r.t, 0);
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    assert_true(r.x.grad[0] == 0);
    drop(&r);
}

static void calibrated__scale_has_no_gradient(void **state)
{
    (void)state;
    const float scale = 0.01f, zero = 0;
    quantized r = make(&(oct_fake_quant){0, 255, -1, OCT_SCALES_CALIBRATED, 0}, &scale, &zero, false);
    float seed[COUNT];
    spread(r.x.data, 7, 1);
    spread(seed, 8, 1);
    OK(oct_tape_forward(r.t));
    OK(oct_tape_backward(r.t, (const float *const[]){seed}));
    assert_true(r.scale.grad[0] == 0 && r.zero.grad[0] == 0);
    drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward__is_quantize_then_dequantize),
        cmocka_unit_test(gradients__are_those_of_the_frozen_residual),
        cmocka_unit_test(weights__gradient_scale_counts_a_channel),
        cmocka_unit_test(clip__only_what_is_clipped_moves_the_limit),
        cmocka_unit_test(ema__holds_the_extremes_of_the_batch),
        cmocka_unit_test(dampening__draws_what_is_inside_to_its_code),
        cmocka_unit_test(calibrated__scale_has_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
