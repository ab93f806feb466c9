/* Steps that work along rows against plain loops: reduce, arg_max, softmax, layer norm. */
#include "unit/rt/exec_case.h"

#include "num/num.h"

static const exec_layout layouts[] = {EXEC_DENSE, EXEC_NHWC, EXEC_ODD};

static void assert_close(double got, double want, double tolerance, const char *what, int64_t i)
{
    if (!(fabs(got - want) <= tolerance) && !(got == want))
        fail_msg("%s: element %d is %.9g, not %.9g", what, (int)i, got, want);
}

/* --- reduce ---------------------------------------------------------------------------------------------- */
/* The fixed tree over logical order: what DESIGN 3.7 promises, bit by bit. */
static float tree(int fn, const float *v, int64_t n)
{
    float lane[16];
    for (int i = 0; i < 16; i++)
        lane[i] = fn == OCT_REDUCE_MAX ? -INFINITY : fn == OCT_REDUCE_MIN ? INFINITY : fn == OCT_REDUCE_PROD ? 1.0f : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        float *t = &lane[i % 16];
        *t = fn == OCT_REDUCE_MAX    ? fmaxf(*t, v[i])
             : fn == OCT_REDUCE_MIN  ? fminf(*t, v[i])
             : fn == OCT_REDUCE_PROD ? *t * v[i]
                                     : *t + v[i];
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++) {
            const float a = lane[i], b = lane[i + half];
            lane[i] = fn == OCT_REDUCE_MAX    ? fmaxf(a, b)
                      : fn == OCT_REDUCE_MIN  ? fminf(a, b)
                      : fn == OCT_REDUCE_PROD ? a * b
                                              : a + b;
        }
    return fn == OCT_REDUCE_MEAN ? lane[0] / (float)n : lane[0];
}

static void reduce_case(int fn, const int64_t *dims, uint32_t axes, int l, uint64_t seed)
{
    exec_case e;
    const oct_p_reduce p = {fn, axes};
    int64_t out[4];
    for (int d = 0; d < 4; d++)
        out[d] = axes >> d & 1 ? 1 : dims[d];
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, OCT_F32, 4, dims, layouts[l % 3]);
    exec_view(&e, 1, OCT_F32, 4, out, layouts[l / 3]);
    float *x = exec_fill_f32(&e, 0, 1.5f);
    exec_run(&e, oct_exec_reduce, &p, false);
    float *y = exec_result(&e);
    float *row = malloc(sizeof(float) * (size_t)exec_count(&e.view[0]));
    for (int64_t o = 0; o < exec_count(&e.view[1]); o++) {
        int64_t n = 0;
        for (int64_t i = 0; i < exec_count(&e.view[0]); i++)
            if (exec_broadcast(4, dims, 4, out, i) == o)
                row[n++] = x[i];
        const float want = tree(fn, row, n);
        if (oct_f32_bits(y[o]) != oct_f32_bits(want))
            fail_msg("reduce %d axes %u: output %d is %.9g, not %.9g", fn, axes, (int)o, (double)y[o], (double)want);
    }
    free(row);
    free(x);
    free(y);
    exec_end(&e);
}

static void reduce__any_axes_and_layout__the_fixed_tree(void **state)
{
    const int64_t small[] = {2, 5, 7, 6}, wide[] = {2, 70, 5, 9};
    uint64_t seed = 1;
    for (int fn = 0; fn < OCT_REDUCE_COUNT; fn++)
        for (uint32_t axes = 0; axes < 16; axes++)
            for (int l = 0; l < 9; l++)
                reduce_case(fn, small, axes, l, seed++);
    for (int fn = 0; fn < 2; fn++)
        for (int l = 0; l < 9; l++) {
            reduce_case(fn, wide, 12, l, seed++);
            reduce_case(fn, wide, 2, l, seed++);
        }
}

static void reduce__integers__exact(void **state)
{
    exec_case e;
    const int64_t in[] = {2, 3}, out[] = {2, 1}, x[] = {1ll << 60, 3, -5, -7, -8, -6};
    static const int64_t want[][2] = {{(1ll << 60) - 2, -21}, {((1ll << 60) - 2) / 3, -7}, {1ll << 60, -6}, {-5, -8}, {0, -336}};
    for (int fn = 0; fn < OCT_REDUCE_COUNT; fn++) {
        const oct_p_reduce p = {fn, 2};
        exec_begin(&e, 1, 3);
        exec_view(&e, 0, OCT_S64, 2, in, EXEC_ODD);
        exec_view(&e, 1, OCT_S64, 2, out, EXEC_ODD);
        exec_put(&e, 0, x);
        exec_run(&e, oct_exec_reduce, &p, false);
        int64_t *y = exec_result(&e);
        if (fn != OCT_REDUCE_PROD)
            assert_true(y[0] == want[fn][0]);
        assert_true(y[1] == want[fn][1]);
        free(y);
        exec_end(&e);
    }
}

static void arg_max__ties_and_layouts__first_or_last(void **state)
{
    const int64_t dims[] = {3, 300, 4};
    for (int t = 0; t < 36; t++) {
        exec_case e;
        const oct_p_axis p = {1, t & 1};
        const int64_t kept[] = {3, 1, 4}, dropped[] = {3, 4};
        exec_begin(&e, 1, (uint64_t)t);
        const bool codes = (t >> 1 & 1) != 0;
        exec_view(&e, 0, codes ? OCT_U8 : OCT_F32, 3, dims, layouts[t / 4 % 3]);
        exec_view(&e, 1, OCT_S64, t % 5 ? 3 : 2, t % 5 ? kept : dropped, layouts[t / 12]);
        float f[3600];
        uint8_t q[3600];
        for (int i = 0; i < 3600; i++) {
            q[i] = (uint8_t)oct_rng_below(&e.rng, 40);
            f[i] = (float)q[i] - 60.0f;
        }
        exec_put(&e, 0, codes ? (void *)q : (void *)f);
        exec_run(&e, oct_exec_arg_max, &p, false);
        int64_t *y = exec_result(&e);
        for (int64_t a = 0; a < 3; a++)
            for (int64_t c = 0; c < 4; c++) {
                int64_t best = 0;
                for (int64_t k = 1; k < 300; k++) {
                    const int v = q[(a * 300 + k) * 4 + c], w = q[(a * 300 + best) * 4 + c];
                    best = v > w || (v == w && (t & 1)) ? k : best;
                }
                assert_int_equal(y[a * 4 + c], best);
            }
        free(y);
        exec_end(&e);
    }
}

/* --- softmax, layer norm --------------------------------------------------------------------------------- */
static void softmax__axes_lengths_layouts__sum_to_one_and_same_bits(void **state)
{
    static const int64_t shapes[][4] = {{3, 4, 10, 1}, {2, 3, 65, 65}, {1, 2, 7, 700}, {2, 33, 5, 6}, {1, 1, 1, 1}};
    uint64_t seed = 1;
    for (int s = 0; s < 5; s++)
        for (int axis = 0; axis < 4; axis++)
            for (int k = 0; k < 6; k++) {
                exec_case e;
                const int64_t *dims = shapes[s];
                const oct_p_softmax p = {axis, k & 1};
                exec_begin(&e, 1, seed++);
                exec_view(&e, 0, OCT_F32, 4, dims, layouts[k % 3]);
                exec_view(&e, 1, OCT_F32, 4, dims, layouts[(k + axis) % 3]);
                float *x = exec_fill_f32(&e, 0, 20.0f);
                exec_run(&e, oct_exec_softmax, &p, false);
                float *y = exec_result(&e);
                int64_t inner = 1;
                for (int d = axis + 1; d < 4; d++)
                    inner *= dims[d];
                for (int64_t i = 0; i < exec_count(&e.view[0]); i++) {
                    const int64_t base = i / (inner * dims[axis]) * inner * dims[axis] + i % inner;
                    double sum = 0.0;
                    for (int64_t j = 0; j < dims[axis]; j++)
                        sum += exp((double)x[base + j * inner] - (double)x[i]);
                    assert_close((double)y[i], p.log ? -log(sum) : 1.0 / sum, p.log ? 1e-5 : 1e-6, "softmax", i);
                }
                free(x);
                free(y);
                exec_end(&e);
            }
}

/* The bits of a row depend on its values only: not on layout, neighbours or where it stands. */
static void softmax__same_row_in_other_places__same_bits(void **state)
{
    const int64_t one[] = {1, 65}, many[] = {7, 65, 3};
    exec_case a, b;
    const oct_p_softmax last = {1, 0};
    exec_begin(&a, 1, 1);
    exec_view(&a, 0, OCT_F32, 2, one, EXEC_DENSE);
    exec_view(&a, 1, OCT_F32, 2, one, EXEC_DENSE);
    float *x = exec_fill_f32(&a, 0, 9.0f);
    exec_run(&a, oct_exec_softmax, &last, false);
    exec_begin(&b, 1, 2);
    exec_view(&b, 0, OCT_F32, 3, many, EXEC_DENSE);
    exec_view(&b, 1, OCT_F32, 3, many, EXEC_ODD);
    float *all = exec_fill_f32(&b, 0, 9.0f);
    for (int64_t i = 0; i < 65; i++)
        all[(4 * 65 + i) * 3 + 1] = x[i];
    exec_put(&b, 0, all);
    exec_run(&b, oct_exec_softmax, &last, false);
    float *y = exec_result(&b);
    for (int64_t i = 0; i < 65; i++)
        assert_true(oct_f32_bits(y[(4 * 65 + i) * 3 + 1]) == oct_f32_bits(((float *)a.view[1].data)[i]));
    free(x);
    free(all);
    free(y);
    exec_end(&a);
    exec_end(&b);
}

static void layer_norm__axes_bias_layouts__match_double(void **state)
{
    static const int64_t shapes[][3] = {{3, 5, 48}, {2, 7, 700}, {4, 3, 5}};
    uint64_t seed = 1;
    for (int s = 0; s < 3; s++)
        for (int axis = 0; axis < 3; axis++)
            for (int k = 0; k < 18; k++) {
                exec_case e;
                const int64_t *dims = shapes[s];
                const bool bias = k >= 9;
                const oct_p_layer_norm p = {axis, 1e-3f};
                exec_begin(&e, bias ? 3 : 2, seed++);
                exec_view(&e, 0, OCT_F32, 3, dims, layouts[k % 3]);
                exec_view(&e, 1, OCT_F32, 3 - axis, dims + axis, layouts[k / 3 % 3]);
                if (bias)
                    exec_view(&e, 2, OCT_F32, 1, dims + 2, layouts[k / 3 % 3]);
                exec_view(&e, bias ? 3 : 2, OCT_F32, 3, dims, layouts[(k + 1) % 3]);
                float *x = exec_fill_f32(&e, 0, 3.0f), *g = exec_fill_f32(&e, 1, 1.0f),
                      *b = bias ? exec_fill_f32(&e, 2, 1.0f) : NULL;
                exec_run(&e, oct_exec_layer_norm, &p, false);
                float *y = exec_result(&e);
                int64_t n = 1, total = dims[0] * dims[1] * dims[2];
                for (int d = axis; d < 3; d++)
                    n *= dims[d];
                for (int64_t row = 0; row < total / n; row++) {
                    double mean = 0.0, var = 0.0;
                    for (int64_t i = 0; i < n; i++)
                        mean += (double)x[row * n + i] / (double)n;
                    for (int64_t i = 0; i < n; i++)
                        var += ((double)x[row * n + i] - mean) * ((double)x[row * n + i] - mean) / (double)n;
                    for (int64_t i = 0; i < n; i++)
                        assert_close((double)y[row * n + i],
                                     ((double)x[row * n + i] - mean) / sqrt(var + 1e-3) * (double)g[i] +
                                         (b ? (double)b[i % dims[2]] : 0.0),
                                     4e-6, "layer norm", i);
                }
                free(x);
                free(g);
                free(b);
                free(y);
                exec_end(&e);
            }
}

/* The dense row is one call, other layouts go through chunks: the same bits. */
static void layer_norm__same_values_in_other_layouts__same_bits(void **state)
{
    const int64_t dims[] = {3, 5, 333};
    const oct_p_layer_norm p = {2, 1e-5f};
    float *want = NULL;
    for (int k = 0; k < 6; k++) {
        exec_case e;
        exec_begin(&e, 3, 7);
        exec_view(&e, 0, OCT_F32, 3, dims, layouts[k % 3]);
        exec_view(&e, 1, OCT_F32, 1, dims + 2, layouts[k % 3]);
        exec_view(&e, 2, OCT_F32, 1, dims + 2, layouts[k / 2]);
        exec_view(&e, 3, OCT_F32, 3, dims, layouts[k / 2]);
        float v[3 * 5 * 333];
        for (int i = 0; i < 3 * 5 * 333; i++)
            v[i] = sinf((float)i * 1.7f) * 3.0f;
        exec_put(&e, 0, v);
        exec_put(&e, 1, v + 100);
        exec_put(&e, 2, v + 777);
        exec_run(&e, oct_exec_layer_norm, &p, false);
        float *y = exec_result(&e);
        if (!want)
            want = y;
        else
            for (int i = 0; i < 3 * 5 * 333; i++)
                assert_true(oct_f32_bits(y[i]) == oct_f32_bits(want[i]));
        if (want != y)
            free(y);
        exec_end(&e);
    }
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduce__any_axes_and_layout__the_fixed_tree),
        cmocka_unit_test(reduce__integers__exact),
        cmocka_unit_test(arg_max__ties_and_layouts__first_or_last),
        cmocka_unit_test(softmax__axes_lengths_layouts__sum_to_one_and_same_bits),
        cmocka_unit_test(softmax__same_row_in_other_places__same_bits),
        cmocka_unit_test(layer_norm__axes_bias_layouts__match_double),
        cmocka_unit_test(layer_norm__same_values_in_other_layouts__same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
