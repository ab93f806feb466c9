/* The loops of training on every level: codes byte for byte as src/num has them, sums within their bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "cpu/cpu.h"
#include "num/num.h"
#include "train/vector.h"

enum { ROWS = 133, CHANNELS = 19, COUNT = ROWS * CHANNELS };

static const oct_vector_ops *const levels[] = {&oct_vector_portable, &oct_vector_avx2};
static int level_count(void) { return oct_cpu_detect() >= OCT_ISA_AVX2 ? 2 : 1; }

static float a[COUNT], b[COUNT], y[COUNT], want[COUNT];

static void fill(void)
{
    oct_rng rng = {3, 0};
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)(4 * oct_rng_unit(&rng) - 2);
        b[i] = (float)(4 * oct_rng_unit(&rng) - 2);
    }
    a[5] = 0.375f; /* a tie at a scale of 0.25 */
    a[6] = -0.625f;
    a[7] = 0;
}

static void quantize__every_level__is_src_num(void **state)
{
    (void)state;
    fill();
    for (int k = 0; k < level_count(); k++)
        for (int n = 0; n < 40; n++) {
            const float s = n % 2 ? 0.25f : 0.037f;
            levels[k]->quantize(n, a, s, -8, 7, n % 3 ? want : NULL, y);
            for (int i = 0; i < n; i++)
                assert_true(y[i] == oct_dequantize(oct_quantize(a[i], s, 0, -8, 7), s, 0) && (n % 3 == 0 || want[i] == (float)oct_quantize(a[i], s, 0, -8, 7)));
        }
}

static void requantize__every_level__is_the_engines_epilogue(void **state)
{
    (void)state;
    float sign[CHANNELS], bias[CHANNELS], factor[CHANNELS], shift[CHANNELS], sums[COUNT], codes[COUNT];
    fill();
    for (int c = 0; c < CHANNELS; c++) {
        sign[c] = c % 5 ? 1 : -1;
        bias[c] = (float)(37 * c - 100);
        factor[c] = c % 2 ? 0.0078125f : 0.00613f; /* a power of two makes ties */
        shift[c] = c % 7 ? 0 : 3.3f;
    }
    for (int i = 0; i < COUNT; i++) {
        sums[i] = rintf(500 * a[i]);
        b[i] = rintf(20 * b[i]) * 0.05f;
    }
    for (int k = 0; k < level_count(); k++)
        for (int form = 0; form < 6; form++) {
            const oct_requant how = {sign, bias, factor, shift, form & 1 ? b : NULL, 0.05f, 0.31f, -7, 8, 0.2f};
            const bool with_codes = form < 4, with_y = form < 2 || form > 3;
            levels[k]->requantize(ROWS, CHANNELS, sums, &how, with_codes ? codes : NULL, with_y ? y : NULL);
            for (int i = 0; i < COUNT; i++) {
                const int c = i % CHANNELS;
                float v = (float)((int32_t)sums[i] * (int32_t)sign[c] + (int32_t)bias[c]) * factor[c] + shift[c];
                if (form & 1)
                    v += (float)oct_rne(b[i] / 0.05f) * 0.31f;
                const int32_t q = oct_requantize_f(v, 0, -7, 8);
                assert_true((!with_codes || codes[i] == (float)q) && (!with_y || y[i] == oct_dequantize(q, 0.2f, 0)));
            }
        }
}

static void quantize_back__every_level__passes_inside_and_sums(void **state)
{
    (void)state;
    fill();
    for (int k = 0; k < level_count(); k++)
        for (int form = 0; form < 6; form++) {
            const bool inside = form & 1, fresh = form < 4;
            double sum = 0;
            for (int i = 0; i < COUNT; i++) {
                const float v = a[i] / 0.2f;
                const double u = v < -4 ? -4 : v > 3 ? 3 : inside ? rint((double)v) - (double)v : 0;
                sum += (double)b[i] * u;
                y[i] = fresh ? NAN : 1;
                want[i] = (fresh ? 0 : 1) + (v >= -4 && v <= 3 ? b[i] : 0);
            }
            const double got = levels[k]->quantize_back(COUNT, a, b, 0.2f, -4, 3, inside, fresh, form == 2 ? NULL : y);
            assert_true(fabs(got - sum) < 1e-4 * COUNT);
            if (form != 2)
                assert_memory_equal(y, want, sizeof y);
        }
}

static void rows__every_level__within_the_bound(void **state)
{
    (void)state;
    float about[CHANNELS], f[CHANNELS], g[CHANNELS], h[CHANNELS];
    fill();
    for (int c = 0; c < CHANNELS; c++) {
        about[c] = a[c];
        f[c] = b[c];
        g[c] = a[c + CHANNELS];
        h[c] = b[c + CHANNELS];
    }
    for (int k = 0; k < level_count(); k++)
        for (int relu = 0; relu < 2; relu++) {
            const float *r = relu ? b : NULL;
            double s1[CHANNELS] = {0}, s2[CHANNELS] = {0}, m1[CHANNELS] = {0}, m2[CHANNELS] = {0};
            levels[k]->moments(ROWS, CHANNELS, a, about, m1, m2);
            levels[k]->products(ROWS, CHANNELS, a, r, b, about, s1, s2);
            levels[k]->combine_rows(ROWS, CHANNELS, a, r, b, f, g, h, true, y);
            for (int c = 0; c < CHANNELS; c++) {
                double w1 = 0, w2 = 0, v1 = 0, v2 = 0;
                for (int i = c; i < COUNT; i += CHANNELS) {
                    const double d = relu && !(b[i] > 0) ? 0 : (double)a[i];
                    v1 += (double)a[i] - (double)about[c];
                    v2 += ((double)a[i] - (double)about[c]) * ((double)a[i] - (double)about[c]);
                    w1 += d;
                    w2 += d * ((double)b[i] - (double)about[c]);
                    assert_true(fabs((double)y[i] - ((double)f[c] * d + (double)g[c] * (double)b[i] + (double)h[c])) < 1e-5);
                }
                assert_true(fabs(m1[c] - v1) < 1e-3 && fabs(m2[c] - v2) < 1e-3 && fabs(s1[c] - w1) < 1e-3 && fabs(s2[c] - w2) < 1e-3);
            }
            levels[k]->affine_rows(ROWS, CHANNELS, a, f, g, relu, y);
            for (int i = 0; i < COUNT; i++) {
                const float v = a[i] * f[i % CHANNELS] + g[i % CHANNELS];
                assert_true(y[i] == (relu && v <= 0 ? 0 : v));
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize__every_level__is_src_num), cmocka_unit_test(requantize__every_level__is_the_engines_epilogue),
        cmocka_unit_test(quantize_back__every_level__passes_inside_and_sums),
        cmocka_unit_test(rows__every_level__within_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
