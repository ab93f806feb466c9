/* Weight scales and codes: error bound, channel axes, dead and tiny channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "num/num.h"
#include "qparam/qparam.h"

static float uniform(oct_rng *r) { return (float)(2 * oct_rng_unit(r) - 1); }

static void scales__any_axis__absmax_of_each_channel_is_code_127(void **state)
{
    (void)state;
    oct_rng rng = {3, 0};
    int64_t dims[4] = {4, 5, 3, 2};
    float w[120], scale[5];
    int8_t codes[120];
    for (int i = 0; i < 120; i++)
        w[i] = uniform(&rng) * (float)(1 + i % 7);
    for (int axis = 0; axis < 2; axis++) {
        int64_t n = dims[axis], inner = axis ? 6 : 30;
        assert_int_equal(oct_weight_scales(w, 4, dims, axis, false, 0.1f, NULL, scale), OCT_OK);
        assert_int_equal(oct_weight_codes(w, 4, dims, axis, n, scale, codes), OCT_OK);
        for (int64_t c = 0; c < n; c++) {
            int largest = 0;
            for (int i = 0; i < 120; i++)
                if (i / inner % n == c) {
                    largest = largest > abs(codes[i]) ? largest : abs(codes[i]);
                    assert_true(fabsf((float)codes[i] * scale[c] - w[i]) <= scale[c] * 0.5001f);
                }
            assert_int_equal(largest, 127);
        }
    }
    assert_int_equal(oct_weight_scales(w, 4, dims, 0, true, 0.1f, NULL, scale), OCT_OK);
    assert_int_equal(oct_weight_codes(w, 4, dims, 0, 1, scale, codes), OCT_OK);
    for (int i = 0; i < 120; i++)
        assert_true(fabsf((float)codes[i] * scale[0] - w[i]) <= scale[0] * 0.5001f);
}

static void scales__dead_channel__one_and_codes_zero(void **state)
{
    (void)state;
    float w[4] = {0, -0.0f, 1, -2}, bias[2] = {1e6f, 0}, scale[2];
    int8_t codes[4];
    assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){2, 2}, 0, false, 1e-3f, bias, scale), OCT_OK);
    assert_true(scale[0] == 1.0f && scale[1] == (float)(2.0 / 127));
    assert_int_equal(oct_weight_codes(w, 2, (int64_t[]){2, 2}, 0, 2, scale, codes), OCT_OK);
    assert_int_equal(codes[0], 0);
    assert_int_equal(codes[1], 0);
    assert_int_equal(codes[3], -127);
}

static void scales__tiny_channel_with_large_bias__bias_fits_30_bits(void **state)
{
    (void)state;
    const float tiny[] = {5e-35f, 2e-16f, 1e-45f, 1e-7f};
    for (int i = 0; i < 4; i++) {
        float w[2] = {tiny[i], -tiny[i]}, bias[1] = {-1.4f}, scale[1], sx = 0.0235f;
        assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){1, 2}, 0, false, sx, bias, scale), OCT_OK);
        assert_true(isnormal(scale[0]) && isnormal(sx * scale[0]));
        assert_true(fabs((double)bias[0]) / ((double)sx * scale[0]) <= 0x1p30 * 1.000001);
        assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){1, 2}, 0, true, sx, bias, scale), OCT_OK);
        assert_true(fabs((double)bias[0]) / ((double)sx * scale[0]) <= 0x1p30 * 1.000001);
    }
}

static void scales__not_finite__content_naming_the_channel(void **state)
{
    (void)state;
    float w[4] = {1, 2, 3, NAN}, bias[2] = {0, INFINITY}, scale[2] = {5, 5};
    assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){2, 2}, 0, false, 1, NULL, scale), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "channel 1"));
    w[3] = -INFINITY;
    assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){2, 2}, 0, true, 1, NULL, scale), OCT_ERR_CONTENT);
    w[3] = 1;
    assert_int_equal(oct_weight_scales(w, 2, (int64_t[]){2, 2}, 0, false, 1, bias, scale), OCT_ERR_CONTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales__any_axis__absmax_of_each_channel_is_code_127),
        cmocka_unit_test(scales__dead_channel__one_and_codes_zero),
        cmocka_unit_test(scales__tiny_channel_with_large_bias__bias_fits_30_bits),
        cmocka_unit_test(scales__not_finite__content_naming_the_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
