/* The arithmetic: rounding, saturation, half precision bit by bit, range to scale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include "base/rng.h"
#include "num/num.h"

static void quantize__ties__go_to_even(void **state)
{
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, 3.5f, -0.5f, -1.5f, -2.5f, 126.5f};
    const int32_t want[] = {0, 2, 2, 4, 0, -2, -2, 126};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(oct_quantize(x[i], 1, 0, -128, 127), want[i]);
        assert_int_equal(oct_requantize_f(x[i], 0, -128, 127), want[i]);
        assert_int_equal(oct_rne_small(x[i]), want[i]);
        assert_true(oct_rne(x[i]) == (float)want[i]);
        assert_int_equal(oct_requantize((int32_t)(x[i] * 2), 0.5f, 3, -128, 127), want[i] + 3 > 127 ? 127 : want[i] + 3);
    }
}

static void quantize__far_out__saturates(void **state)
{
    (void)state;
    const float big[] = {1e30f, INFINITY, FLT_MAX, 3e9f, 255.5f};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(oct_quantize(big[i], 1, 0, 0, 255), 255);
        assert_int_equal(oct_quantize(-big[i], 1, 255, 0, 255), 0);
        assert_int_equal(oct_quantize(big[i], 1e-30f, -128, -128, 127), 127);
        assert_int_equal(oct_requantize_f(-big[i], 10, -128, 127), -128);
    }
    assert_int_equal(oct_requantize(INT32_MAX, 1.0f, 0, 0, 255), 255);
    assert_int_equal(oct_requantize(INT32_MIN, 1.0f, 255, 0, 255), 0);
    assert_int_equal(oct_quantize(70000, 1, 0, 0, 65535), 65535);
    assert_int_equal(oct_quantize(-70000, 1, 0, -32768, 32767), -32768);
}

static void quantize__nan__is_zero_point(void **state)
{
    (void)state;
    assert_int_equal(oct_quantize(NAN, 0.1f, 7, 0, 255), 7);
    assert_int_equal(oct_quantize(-NAN, 0.1f, -128, -128, 127), -128);
}

static void quantize__division__is_true_division(void **state)
{
    (void)state;
    /* x / s is exactly 0.5 or 1.5, x * (1 / s) is not, for many s: compared in double, where the quotient is exact enough. */
    oct_rng r = {.seed = 3};
    for (int i = 0; i < 100000; i++) {
        float s = (float)(oct_rng_unit(&r) + 1e-3);
        int32_t k = (int32_t)oct_rng_below(&r, 200) - 100;
        float x = ((float)k + 0.5f) * s;
        float q = x / s;
        int32_t want = (int32_t)rint((double)q);
        assert_int_equal(oct_quantize(x, s, 0, -128, 127), want < -128 ? -128 : want > 127 ? 127 : want);
    }
}

static void dequantize__all_codes__come_back(void **state)
{
    (void)state;
    oct_rng r = {.seed = 4};
    for (int i = 0; i < 2000; i++) {
        float s = oct_f32_from_bits(0x20000000u + (uint32_t)oct_rng_below(&r, 0x3F000000u));
        int32_t z = (int32_t)oct_rng_below(&r, 256);
        for (int32_t q = 0; q < 256; q++)
            assert_int_equal(oct_quantize(oct_dequantize(q, s, z), s, z, 0, 255), q);
    }
}

static void rne_small__every_boundary__equals_rne(void **state)
{
    (void)state;
    oct_rng r = {.seed = 5};
    for (int i = 0; i < 1000000; i++) {
        float x = (float)((oct_rng_unit(&r) - 0.5) * 8388606.0);
        if (i & 1)
            x = rintf(x) + 0.5f;
        assert_int_equal(oct_rne_small(x), (int32_t)rintf(x));
    }
}

/* --- half precision --- */

static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, f = h & 0x3FF;
    double v = e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
    return h & 0x8000 ? -v : v;
}

static void f16__all_65536__widen_exactly_and_come_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = oct_f16_to_f32((uint16_t)h);
        if ((h & 0x7C00) == 0x7C00) {
            assert_true((h & 0x3FF) ? f != f : isinf(f) && (f < 0) == (h >> 15));
        } else {
            assert_true((double)f == half_value((uint16_t)h));
            assert_int_equal(signbit(f) != 0, h >> 15);
        }
        assert_int_equal(oct_f32_to_f16(f), (h & 0x7C00) == 0x7C00 && (h & 0x3FF) ? (h | 0x200) : h);
    }
}

/* Between two neighbouring halves a < b: below the middle a, above b, in the middle the even one. */
static void f16__between_neighbours__rounds_half_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7C00; h++) {
        double a = half_value((uint16_t)h), b = h == 0x7BFF ? 65536.0 : half_value((uint16_t)(h + 1));
        float middle = (float)((a + b) / 2); /* exact: one bit more */
        uint32_t even = h & 1 ? h + 1 : h;
        for (int sign = 0; sign < 2; sign++) {
            float m = sign ? -middle : middle;
            uint32_t bit = sign ? 0x8000 : 0;
            assert_int_equal(oct_f32_to_f16(m), even | bit);
            assert_int_equal(oct_f32_to_f16(nextafterf(m, 0)), h | bit);
            assert_int_equal(oct_f32_to_f16(nextafterf(m, m * 2)), (h + 1) | bit);
        }
    }
    assert_int_equal(oct_f32_to_f16(INFINITY), 0x7C00);
    assert_int_equal(oct_f32_to_f16(-FLT_MAX), 0xFC00);
    assert_int_equal(oct_f32_to_f16(FLT_TRUE_MIN), 0);
    assert_int_equal(oct_f32_to_f16(-0.0f), 0x8000);
}

static void bf16__all_65536__come_back_and_ties_go_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = oct_bf16_to_f32((uint16_t)h);
        if (f != f) {
            assert_int_equal(oct_f32_to_bf16(f), h | 0x40);
            continue;
        }
        assert_int_equal(oct_f32_to_bf16(f), h);
        if (isinf(f))
            continue;
        uint32_t even = h & 1 ? h + 1 : h;
        assert_int_equal(oct_f32_to_bf16(oct_f32_from_bits(h << 16 | 0x8000)), even);
        assert_int_equal(oct_f32_to_bf16(oct_f32_from_bits(h << 16 | 0x7FFF)), h);
        assert_int_equal(oct_f32_to_bf16(oct_f32_from_bits(h << 16 | 0x8001)), h + 1);
    }
    /* a NaN whose payload is all below the cut stays a NaN */
    assert_int_equal(oct_f32_to_bf16(oct_f32_from_bits(0x7F800001u)), 0x7FC0);
    assert_int_equal(oct_f32_to_f16(oct_f32_from_bits(0x7F800001u)), 0x7E00);
}

/* --- range to scale --- */

static void affine__ordinary_range__scale_and_zero(void **state)
{
    (void)state;
    oct_qparams q = oct_qparams_affine_u8(-1, 3, false);
    assert_true(q.scale == (float)(4.0 / 255));
    assert_int_equal(q.zero, 64); /* 63.75 */
    q = oct_qparams_affine_u8(0.5f, 2.55f, false); /* zero is always inside */
    assert_true(q.scale == (float)((double)2.55f / 255));
    assert_int_equal(q.zero, 0);
    q = oct_qparams_affine_u8(-5, -1, true);
    assert_true(q.scale == (float)(5.0 / 255));
    assert_int_equal(q.zero, 255);
}

static void affine__lossless__covers_both_ends_within_half_a_percent(void **state)
{
    (void)state;
    oct_rng r = {.seed = 6};
    for (int i = 0; i < 200000; i++) {
        float lo = (float)-(oct_rng_unit(&r) * pow(10, oct_rng_unit(&r) * 6 - 3)), hi = (float)(oct_rng_unit(&r) * 3);
        oct_qparams plain = oct_qparams_affine_u8(lo, hi, false), q = oct_qparams_affine_u8(lo, hi, true);
        assert_in_range(q.zero, 0, 255);
        double ulp = 1 + 1e-7;
        assert_true(-(double)q.zero * (double)q.scale <= (double)lo / ulp);
        assert_true((255.0 - q.zero) * (double)q.scale * ulp >= (double)hi);
        assert_true((double)q.scale * ulp >= (double)plain.scale);
        assert_true((double)q.scale <= (double)plain.scale * (255.0 / 254.0) * ulp);
    }
}

static void affine__degenerate_range__is_usable(void **state)
{
    (void)state;
    oct_qparams q = oct_qparams_affine_u8(0, 0, true);
    assert_true(q.scale == 1);
    assert_int_equal(q.zero, 0);
    q = oct_qparams_affine_u8(0, FLT_TRUE_MIN, true);
    assert_true(q.scale == 0x1p-62f);
    q = oct_qparams_affine_u8(-FLT_MAX, FLT_MAX, true);
    assert_true(q.scale == 0x1p+62f);
    assert_in_range(q.zero, 0, 255);
    q = oct_qparams_affine_u8(NAN, NAN, false);
    assert_true(q.scale == 1);
    /* a constant gets the outermost code */
    q = oct_qparams_affine_u8(0.3f, 0.3f, true);
    assert_int_equal(oct_quantize(0.3f, q.scale, q.zero, 0, 255), 255);
}

static void symmetric__range__is_the_larger_end_over_127(void **state)
{
    (void)state;
    oct_qparams q = oct_qparams_symmetric_s8(-2, 1);
    assert_true(q.scale == (float)(2.0 / 127));
    assert_int_equal(q.zero, 0);
    q = oct_qparams_symmetric_s8(0, 5);
    assert_true(q.scale == (float)(5.0 / 127));
    q = oct_qparams_symmetric_s8(0, 0);
    assert_true(q.scale == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize__ties__go_to_even), cmocka_unit_test(quantize__far_out__saturates),
        cmocka_unit_test(quantize__nan__is_zero_point), cmocka_unit_test(quantize__division__is_true_division),
        cmocka_unit_test(dequantize__all_codes__come_back), cmocka_unit_test(rne_small__every_boundary__equals_rne),
        cmocka_unit_test(f16__all_65536__widen_exactly_and_come_back), cmocka_unit_test(f16__between_neighbours__rounds_half_to_even),
        cmocka_unit_test(bf16__all_65536__come_back_and_ties_go_to_even), cmocka_unit_test(affine__ordinary_range__scale_and_zero),
        cmocka_unit_test(affine__lossless__covers_both_ends_within_half_a_percent),
        cmocka_unit_test(affine__degenerate_range__is_usable), cmocka_unit_test(symmetric__range__is_the_larger_end_over_127),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
