/* Float and integer steps against plain loops: unary, binary, resize, matmul. */
#include "unit/rt/exec_case.h"

static const exec_layout layouts[] = {EXEC_DENSE, EXEC_NHWC, EXEC_ODD};

static void assert_close(double got, double want, double tolerance, const char *what, int64_t i)
{
    if (!(fabs(got - want) <= tolerance) && !(got == want) && !(isnan(got) && isnan(want)))
        fail_msg("%s: element %d is %.9g, not %.9g", what, (int)i, got, want);
}

static double unary_truth(int fn, double x, double a, double b)
{
    switch (fn) {
    case OCT_UNARY_RELU: return x < 0 ? 0 : x;
    case OCT_UNARY_LEAKY_RELU: return x < 0 ? a * x : x;
    case OCT_UNARY_CLIP: return x < a ? a : x > b ? b : x;
    case OCT_UNARY_SIGMOID: return 1 / (1 + exp(-x));
    case OCT_UNARY_HARD_SIGMOID: return fmin(1, fmax(0, a * x + b));
    case OCT_UNARY_HARD_SWISH: return x * fmin(1, fmax(0, x / 6 + 0.5));
    case OCT_UNARY_TANH: return tanh(x);
    case OCT_UNARY_ELU: return x > 0 ? x : a * expm1(x);
    case OCT_UNARY_SOFTPLUS: return log1p(exp(x));
    case OCT_UNARY_ERF: return erf(x);
    case OCT_UNARY_EXP: return exp(x);
    case OCT_UNARY_LOG: return log(x);
    case OCT_UNARY_SQRT: return sqrt(x);
    case OCT_UNARY_NEG: return -x;
    case OCT_UNARY_ABS: return fabs(x);
    case OCT_UNARY_RECIPROCAL: return 1 / x;
    case OCT_UNARY_GELU: return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    case OCT_UNARY_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
    case OCT_UNARY_SILU: return x / (1 + exp(-x));
    case OCT_UNARY_FLOOR: return floor(x);
    case OCT_UNARY_CEIL: return ceil(x);
    case OCT_UNARY_ROUND: return nearbyint(x);
    case OCT_UNARY_SIGN: return (x > 0) - (x < 0);
    case OCT_UNARY_SIN: return sin(x);
    case OCT_UNARY_COS: return cos(x);
    case OCT_UNARY_TAN: return tan(x);
    case OCT_UNARY_ASIN: return asin(x);
    case OCT_UNARY_ACOS: return acos(x);
    case OCT_UNARY_ATAN: return atan(x);
    case OCT_UNARY_SINH: return sinh(x);
    case OCT_UNARY_COSH: return cosh(x);
    case OCT_UNARY_ASINH: return asinh(x);
    case OCT_UNARY_ACOSH: return acosh(x);
    case OCT_UNARY_ATANH: return atanh(x);
    case OCT_UNARY_BIT_NOT: return x;
    default: return x == 0;
    }
}

static void unary__functions_and_layouts__match_libm(void **state)
{
    const int64_t dims[] = {2, 5, 41, 43};
    for (int fn = 0; fn < OCT_UNARY_COUNT; fn++)
        for (int l = 0; l < 9; l++) {
            exec_case e;
            const oct_p_unary p = {.fn = fn, .alpha = -0.2f, .beta = 0.6f};
            exec_begin(&e, 1, (uint64_t)(fn * 9 + l));
            exec_view(&e, 0, OCT_F32, 4, dims, layouts[l % 3]);
            exec_view(&e, 1, OCT_F32, 4, dims, layouts[l / 3]);
            float *x = exec_fill_f32(&e, 0, 5.0f);
            if (fn == OCT_UNARY_LOG || fn == OCT_UNARY_SQRT) {
                for (int64_t i = 0; i < exec_count(&e.view[0]); i++)
                    x[i] = fabsf(x[i]) + 1e-3f;
                exec_put(&e, 0, x);
            }
            exec_run(&e, oct_exec_unary, &p, false);
            float *y = exec_result(&e);
            for (int64_t i = 0; i < exec_count(&e.view[0]); i++) {
                const double want = unary_truth(fn, (double)x[i], (double)p.alpha, (double)p.beta);
                assert_close((double)y[i], want, 1e-6 * (fabs(want) + 1), "unary", i);
            }
            free(x);
            free(y);
            exec_end(&e);
        }
}

static void unary__integers_and_bool__by_value(void **state)
{
    const int64_t dims[] = {5};
    const int64_t x[] = {-7, 0, 9, INT64_MIN, 3};
    static const struct {
        int fn;
        int64_t want[5];
    } cases[] = {{OCT_UNARY_NEG, {7, 0, -9, INT64_MIN, -3}},
                 {OCT_UNARY_ABS, {7, 0, 9, INT64_MIN, 3}},
                 {OCT_UNARY_RELU, {0, 0, 9, 0, 3}},
                 {OCT_UNARY_CLIP, {-2, 0, 4, -2, 3}}};
    for (int k = 0; k < 4; k++) {
        exec_case e;
        const oct_p_unary p = {.fn = cases[k].fn, .alpha = -2.0f, .beta = 4.0f};
        exec_begin(&e, 1, 1);
        exec_view(&e, 0, OCT_S64, 1, dims, EXEC_ODD);
        exec_view(&e, 1, OCT_S64, 1, dims, EXEC_ODD);
        exec_put(&e, 0, x);
        exec_run(&e, oct_exec_unary, &p, false);
        int64_t *y = exec_result(&e);
        assert_memory_equal(y, cases[k].want, sizeof x);
        free(y);
        exec_end(&e);
    }
    exec_case e;
    const oct_p_unary p = {.fn = OCT_UNARY_NOT};
    const uint8_t b[] = {0, 1, 1, 0, 1};
    exec_begin(&e, 1, 1);
    exec_view(&e, 0, OCT_BOOL, 1, dims, EXEC_ODD);
    exec_view(&e, 1, OCT_BOOL, 1, dims, EXEC_DENSE);
    exec_put(&e, 0, b);
    exec_run(&e, oct_exec_unary, &p, false);
    uint8_t *y = exec_result(&e);
    for (int i = 0; i < 5; i++)
        assert_int_equal(y[i], !b[i]);
    free(y);
    exec_end(&e);
}

static double binary_truth(int fn, double a, double b)
{
    switch (fn) {
    case OCT_BINARY_ADD: return a + b;
    case OCT_BINARY_SUB: return a - b;
    case OCT_BINARY_MUL: return a * b;
    case OCT_BINARY_DIV: return a / b;
    case OCT_BINARY_MIN: return a < b ? a : b;
    case OCT_BINARY_MAX: return a > b ? a : b;
    case OCT_BINARY_POW: return pow(a, b);
    case OCT_BINARY_PRELU: return a < 0 ? a * b : a;
    case OCT_BINARY_EQUAL: return a == b;
    case OCT_BINARY_GREATER: return a > b;
    case OCT_BINARY_LESS: return a < b;
    case OCT_BINARY_GREATER_EQUAL: return a >= b;
    case OCT_BINARY_LESS_EQUAL: return a <= b;
    case OCT_BINARY_MOD: return a - b * floor(a / b);
    default: return fmod(a, b);
    }
}

static void binary_f32_case(int fn, const int64_t *a, const int64_t *b, const int64_t *out, int l, uint64_t seed)
{
    exec_case e;
    const bool compare = oct_nd_is_compare((oct_binary_fn)fn), clamp = fn == OCT_BINARY_ADD;
    const oct_p_binary p = {fn, clamp ? -0.5f : -INFINITY, clamp ? 1.0f : INFINITY};
    exec_begin(&e, 2, seed);
    exec_view(&e, 0, OCT_F32, (int)a[0], a + 1, layouts[l % 3]);
    exec_view(&e, 1, OCT_F32, (int)b[0], b + 1, layouts[l / 3]);
    exec_view(&e, 2, compare ? OCT_BOOL : OCT_F32, (int)out[0], out + 1, layouts[(l + 1) % 3]);
    float *x = exec_fill_f32(&e, 0, 2.0f), *w = exec_fill_f32(&e, 1, 2.0f);
    for (int64_t i = 0; fn == OCT_BINARY_POW && i < exec_count(&e.view[0]); i++)
        x[i] = fabsf(x[i]) + 0.01f;
    for (int64_t i = 0; fn == OCT_BINARY_EQUAL && i < exec_count(&e.view[0]); i++)
        x[i] = (float)(int)x[i];
    for (int64_t i = 0; fn == OCT_BINARY_EQUAL && i < exec_count(&e.view[1]); i++)
        w[i] = (float)(int)w[i];
    exec_put(&e, 0, x);
    exec_put(&e, 1, w);
    exec_run(&e, oct_exec_binary, &p, false);
    void *y = exec_result(&e);
    for (int64_t i = 0; i < exec_count(&e.view[2]); i++) {
        const double va = (double)x[exec_broadcast((int)out[0], out + 1, (int)a[0], a + 1, i)],
                     vb = (double)w[exec_broadcast((int)out[0], out + 1, (int)b[0], b + 1, i)];
        double want = binary_truth(fn, va, vb);
        if (compare) {
            assert_int_equal(((uint8_t *)y)[i], (int)want);
            continue;
        }
        want = clamp ? fmin(1.0, fmax(-0.5, want)) : want;
        assert_close((double)((float *)y)[i], want, fn == OCT_BINARY_MOD ? 1e-6 : 1.2e-7 * fabs(want), "binary", i);
    }
    free(x);
    free(w);
    free(y);
    exec_end(&e);
}

static void binary__f32_broadcasts_and_layouts__match_double(void **state)
{
    static const int64_t full[] = {4, 2, 6, 31, 33}, channel[] = {4, 1, 6, 1, 1}, scalar[] = {0}, row[] = {2, 31, 1};
    const int64_t *const kinds[] = {full, channel, scalar, row};
    uint64_t seed = 1;
    for (int fn = 0; fn < OCT_BINARY_AND; fn++)
        for (int k = 0; k < 4; k++)
            for (int l = 0; l < 9; l++) {
                binary_f32_case(fn, full, kinds[k], full, l, seed++);
                binary_f32_case(fn, kinds[k], full, full, l, seed++);
            }
}

static void binary__integers__truncate_wrap_and_never_trap(void **state)
{
    const int64_t dims[] = {6};
    const int32_t a[] = {-7, 7, INT32_MIN, 5, 9, 2}, b[] = {2, -2, -1, 0, 9, 31};
    static const int32_t want[][6] = {
        {-5, 5, INT32_MAX, 5, 18, 33},       {-9, 9, -INT32_MAX, 5, 0, -29}, {-14, -14, INT32_MIN, 0, 81, 62},
        {-3, -3, INT32_MIN, 0, 1, 0},        {-7, -2, INT32_MIN, 0, 9, 2},   {2, 7, -1, 5, 9, 31},
        {49, 0, 0, 1, 387420489, INT32_MIN},
    };
    for (int fn = 0; fn <= OCT_BINARY_POW; fn++) {
        exec_case e;
        const oct_p_binary p = {fn, -INFINITY, INFINITY};
        exec_begin(&e, 2, (uint64_t)fn);
        exec_view(&e, 0, OCT_S32, 1, dims, EXEC_ODD);
        exec_view(&e, 1, OCT_S32, 1, dims, EXEC_DENSE);
        exec_view(&e, 2, OCT_S32, 1, dims, EXEC_ODD);
        exec_put(&e, 0, a);
        exec_put(&e, 1, b);
        exec_run(&e, oct_exec_binary, &p, false);
        int32_t *y = exec_result(&e);
        for (int i = 0; i < 6; i++)
            assert_int_equal(y[i], want[fn][i]);
        free(y);
        exec_end(&e);
    }
    exec_case e; /* s64 division and unsigned order */
    const oct_p_binary div = {OCT_BINARY_DIV, -INFINITY, INFINITY}, greater = {OCT_BINARY_GREATER, -INFINITY, INFINITY};
    const int64_t two[] = {2}, c[] = {INT64_MIN, -9}, d[] = {-1, 0};
    exec_begin(&e, 2, 1);
    exec_view(&e, 0, OCT_S64, 1, two, EXEC_DENSE);
    exec_view(&e, 1, OCT_S64, 1, two, EXEC_DENSE);
    exec_view(&e, 2, OCT_S64, 1, two, EXEC_DENSE);
    exec_put(&e, 0, c);
    exec_put(&e, 1, d);
    exec_run(&e, oct_exec_binary, &div, false);
    assert_true(((int64_t *)e.view[2].data)[0] == INT64_MIN && ((int64_t *)e.view[2].data)[1] == 0);
    e.view[0].dtype = e.view[1].dtype = OCT_U64;
    e.view[2].dtype = OCT_BOOL;
    exec_run(&e, oct_exec_binary, &greater, false);
    assert_true(((uint8_t *)e.view[2].data)[0] == 0 && ((uint8_t *)e.view[2].data)[1] == 1);
    exec_end(&e);
}

static void binary__biased_codes__computed_by_value(void **state)
{
    exec_case e;
    const oct_p_binary p = {OCT_BINARY_ADD, -INFINITY, INFINITY};
    const int64_t dims[] = {3};
    const uint8_t a[] = {128, 100, 255}, b[] = {128, 130, 129}, want[] = {128, 102, 0}; /* 127 + 1 wraps to -128 */
    exec_begin(&e, 2, 1);
    for (int i = 0; i < 3; i++) {
        exec_view(&e, i, OCT_U8, 1, dims, EXEC_DENSE);
        e.tensors[i].biased = 1;
    }
    exec_put(&e, 0, a);
    exec_put(&e, 1, b);
    exec_run(&e, oct_exec_binary, &p, false);
    assert_memory_equal(e.view[2].data, want, 3);
    exec_end(&e);
}

/* --- resize ---------------------------------------------------------------------------------------------- */
static double coordinate(int coord, double i, double in, double out, double scale)
{
    switch (coord) {
    case OCT_COORD_HALF_PIXEL: return (i + 0.5) / scale - 0.5;
    case OCT_COORD_PYTORCH_HALF_PIXEL: return out > 1 ? (i + 0.5) / scale - 0.5 : 0.0;
    case OCT_COORD_ALIGN_CORNERS: return out > 1 ? i * (in - 1) / (out - 1) : 0.0;
    case OCT_COORD_ASYMMETRIC: return i / scale;
    default: return in / 2 * (1 - out / (scale * in)) + (i + 0.5) / scale - 0.5;
    }
}

static int64_t nearest_truth(int rule, double at, int64_t in)
{
    double v = rule == OCT_NEAREST_ROUND_PREFER_FLOOR  ? ceil(at - 0.5)
               : rule == OCT_NEAREST_ROUND_PREFER_CEIL ? floor(at + 0.5)
               : rule == OCT_NEAREST_FLOOR             ? floor(at)
                                                       : ceil(at);
    return v < 0 ? 0 : v > (double)(in - 1) ? in - 1 : (int64_t)v;
}

static void resize_case(oct_p_resize p, oct_dtype type, const int64_t *in, const int64_t *out, int l, uint64_t seed)
{
    exec_case e;
    p.rank = 4;
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, type, 4, in, layouts[l % 3]);
    exec_view(&e, 1, type, 4, out, layouts[l / 3]);
    uint8_t *q = type == OCT_U8 ? exec_fill_u8(&e, 0) : NULL;
    float *f = type == OCT_F32 ? exec_fill_f32(&e, 0, 1.0f) : NULL;
    exec_run(&e, oct_exec_resize, &p, false);
    void *y = exec_result(&e);
    for (int64_t i = 0; i < exec_count(&e.view[1]); i++) {
        int64_t at[4], rest = i, from = 0;
        double sum = 0.0;
        for (int d = 3; d >= 0; d--) {
            at[d] = rest % out[d];
            rest /= out[d];
        }
        for (int corner = 0; corner < 16; corner++) {
            double weight = 1.0;
            int64_t index = 0;
            for (int d = 0; d < 4; d++) {
                const double pos = coordinate(p.coord, (double)at[d], (double)in[d], (double)out[d], (double)p.scale[d]);
                int64_t k = nearest_truth(p.nearest, pos, in[d]);
                if (p.mode == OCT_RESIZE_LINEAR) {
                    const double c = fmin(fmax(pos, 0.0), (double)(in[d] - 1)), frac = c - floor(c);
                    k = (int64_t)floor(c) + (corner >> d & 1);
                    weight *= corner >> d & 1 ? frac : 1.0 - frac;
                    k = k < in[d] ? k : in[d] - 1;
                }
                index = index * in[d] + k;
            }
            from = index;
            sum += f ? weight * (double)f[index] : 0.0;
        }
        if (p.mode == OCT_RESIZE_LINEAR)
            assert_close((double)((float *)y)[i], sum, 1e-5, "resize", i);
        else if (q)
            assert_int_equal(((uint8_t *)y)[i], q[from]);
        else
            assert_true(((float *)y)[i] == f[from]);
    }
    free(q);
    free(f);
    free(y);
    exec_end(&e);
}

static void resize__modes_scales_layouts__match_onnx(void **state)
{
    const int64_t in[] = {2, 3, 5, 8}, up[] = {2, 3, 10, 24}, down[] = {2, 3, 2, 4}, channels[] = {2, 6, 5, 16},
                  one[] = {2, 3, 1, 8};
    const int64_t *const outs[] = {up, down, channels, one};
    uint64_t seed = 1;
    for (int o = 0; o < 4; o++)
        for (int coord = 0; coord < 5; coord++)
            for (int l = 0; l < 9; l++) {
                oct_p_resize p = {.coord = coord};
                for (int d = 0; d < 4; d++)
                    p.scale[d] = outs[o][d] == 2 && d == 2 ? 0.5f : (float)outs[o][d] / (float)in[d];
                for (p.nearest = 0; p.nearest < 4; p.nearest++)
                    if (o != 3 || p.scale[2] != 0.2f || coord == OCT_COORD_ALIGN_CORNERS)
                        resize_case(p, p.nearest & 1 ? OCT_U8 : OCT_F32, in, outs[o], l, seed++);
                p.nearest = 0;
                p.mode = OCT_RESIZE_LINEAR;
                resize_case(p, OCT_F32, in, outs[o], l, seed++);
            }
}

/* --- matmul ---------------------------------------------------------------------------------------------- */
static void matmul_case(int rank, const int64_t *a, const int64_t *b, const int64_t *out, int l, uint64_t seed)
{
    exec_case e;
    const oct_p_matmul p = {0.25f, 0};
    exec_begin(&e, 2, seed);
    exec_view(&e, 0, OCT_F32, rank, a, layouts[l % 3]);
    exec_view(&e, 1, OCT_F32, rank - 1, b, layouts[l / 3]);
    exec_view(&e, 2, OCT_F32, rank, out, layouts[(l + l / 3) % 3]);
    float *x = exec_fill_f32(&e, 0, 1.0f), *w = exec_fill_f32(&e, 1, 1.0f);
    exec_run(&e, oct_exec_matmul, &p, true);
    float *y = exec_result(&e);
    const int64_t m = out[rank - 2], n = out[rank - 1], k = a[rank - 1];
    int64_t batches = 1;
    for (int d = 0; d < rank - 2; d++)
        batches *= out[d];
    for (int64_t i = 0; i < batches; i++) {
        const float *pa = x + exec_broadcast(rank - 2, out, rank - 2, a, i) * m * k,
                    *pb = w + exec_broadcast(rank - 2, out, rank - 3, b, i) * k * n;
        for (int64_t r = 0; r < m; r++)
            for (int64_t c = 0; c < n; c++) {
                double sum = 0.0;
                for (int64_t t = 0; t < k; t++)
                    sum += (double)pa[r * k + t] * (double)pb[t * n + c];
                assert_close((double)y[(i * m + r) * n + c], 0.25 * sum, 1e-7 * (double)k + 1e-7, "matmul", c);
            }
    }
    free(x);
    free(w);
    free(y);
    exec_end(&e);
}

static void matmul__shapes_broadcasts_strides__match_double(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {65, 16, 65}, {65, 65, 16}, {7, 300, 33}, {130, 5, 64}, {3, 600, 1}, {12, 0, 5}};
    uint64_t seed = 1;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int l = 0; l < 9; l++) {
            const int64_t m = sizes[s][0], k = sizes[s][1], n = sizes[s][2];
            const int64_t a[] = {2, 1, m, k}, b[] = {3, k, n}, out[] = {2, 3, m, n};
            matmul_case(4, a, b, out, l, seed++);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary__functions_and_layouts__match_libm),
        cmocka_unit_test(unary__integers_and_bool__by_value),
        cmocka_unit_test(binary__f32_broadcasts_and_layouts__match_double),
        cmocka_unit_test(binary__integers__truncate_wrap_and_never_trap),
        cmocka_unit_test(binary__biased_codes__computed_by_value),
        cmocka_unit_test(resize__modes_scales_layouts__match_onnx),
        cmocka_unit_test(matmul__shapes_broadcasts_strides__match_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
