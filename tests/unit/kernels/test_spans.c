/* Every row of the span and pool families: bit for bit the reference's result, which is checked against the formulas. */
#include "kernels/check.h"

enum { BUFFER = 1 << 16, LENGTHS = 150 };
static guarded in, in2, out, expected;

/* Lengths 1 .. 140, then some long primes. */
static int64_t length_of(int i)
{
    static const int64_t primes[] = {257, 509, 1021, 2039, 4093, 8191, 1009, 127, 191, 997};
    return i <= 140 ? i : primes[i - 141];
}

/* Calls body for all runnable rows k of family F and all lengths n; r is the generator, at_end the side of the guard page. */
#define FOR_ALL(F, k, n)                                                                                                           \
    rnd r = rnd_start(__func__);                                                                                                   \
    for (int row = 0; oct_##F##_get(row); row++)                                                                                   \
        for (int length = 1; runnable(oct_##F##_get(row)->isa) && length <= LENGTHS; length++)                                     \
            for (int at_end = 0; at_end < 2; at_end++)                                                                             \
                for (const oct_##F##_kernel *k = oct_##F##_get(row); k; k = NULL)                                                  \
                    for (int64_t n = length_of(length); n; n = 0)

static const float odd_values[] = {0.0f,  -0.0f,  INFINITY, -INFINITY, NAN,  1e-45f, -1e-45f,
                                   3e38f, -3e38f, 0.5f,     1.5f,      2.5f, -0.5f,  -1.5f};

/* Denormal, odd mantissas, and both sides of what a quotient by multiplication takes. */
static const float odd_scales[] = {0.5f, 1e-40f, 0x1.fffffep-5f, 0x1.000002p-7f, 0x1.8p-61f, 0x1.8p-59f, 0x1.fffffep59f, 0x1.8p61f};

static void quantize__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(quantize, k, n)
    {
        float *x = guarded_place(&in, n * 4, 4, at_end);
        uint8_t *y = guarded_place(&out, n, 1, at_end);
        const float s = rnd_int(&r, 0, 3) ? rnd_float(&r, 1e-3f, 0.1f) : odd_scales[rnd_int(&r, 0, 7)];
        const int32_t z = some_code(&r), lo = rnd_int(&r, 0, 1) ? 0 : rnd_int(&r, 0, z),
                      hi = rnd_int(&r, 0, 1) ? 255 : rnd_int(&r, z, 255);
        int64_t nan = 0;
        for (int64_t i = 0; i < n; i++) {
            x[i] = rnd_int(&r, 0, 9) ? rnd_float(&r, -300, 300) * s : odd_values[rnd_int(&r, 0, 13)];
            if (rnd_int(&r, 0, 9) == 0)
                x[i] = nextafterf((float)((double)rnd_int(&r, -300, 300) + 0.5) * s, (float)rnd_int(&r, -1, 1) * 1e38f); /* at ties */
            nan += x[i] != x[i];
        }
        assert_int_equal(k->fn(x, y, n, s, z, lo, hi), nan);
        for (int64_t i = 0; i < n; i++) {
            const float q = nearbyintf(x[i] / s);
            const float want = x[i] != x[i] ? (float)z : fminf(fmaxf(q + (float)z, (float)lo), (float)hi);
            if ((float)y[i] != want)
                fail_msg("%s: %a / %a is %d, not %g (n %lld)", k->name, (double)x[i], (double)s, y[i], (double)want, (long long)n);
        }
    }
}

static void dequantize__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(dequantize, k, n)
    {
        uint8_t *x = guarded_place(&in, n, 1, at_end);
        float *y = guarded_place(&out, n * 4, 4, at_end);
        const float s = rnd_float(&r, 1e-3f, 0.1f);
        const int32_t z = some_code(&r);
        fill_codes(&r, x, n, 0, 255);
        k->fn(x, y, n, s, z);
        for (int64_t i = 0; i < n; i++)
            assert_true(oct_f32_bits(y[i]) == oct_f32_bits((float)(x[i] - z) * s));
    }
}

static void table__all_lengths__look_up_every_code_in_place_too(void **state)
{
    FOR_ALL(table, k, n)
    {
        uint8_t *x = guarded_place(&in, n, 1, at_end), *y = guarded_place(&out, n, 1, at_end),
                *in_place = guarded_place(&expected, n, 1, at_end);
        uint8_t *table = guarded_place(&in2, 256, 1, at_end);
        fill_codes(&r, x, n, 0, 255);
        fill_codes(&r, table, 256, 0, 255);
        memcpy(in_place, x, (size_t)n);
        k->fn(x, y, n, table);
        k->fn(in_place, in_place, n, table);
        for (int64_t i = 0; i < n; i++)
            if (y[i] != table[x[i]])
                fail_msg("%s: element %lld of %lld, code %d is %d, not %d", k->name, (long long)i, (long long)n, x[i], y[i],
                         table[x[i]]);
        check_bytes(k->name, "in place", y, in_place, n);
    }
}

static oct_qbinary some_binary(rnd *r)
{
    oct_qbinary p = {.za = some_code(r), .zb = some_code(r), .z = some_code(r), .hi = 255};
    if (rnd_int(r, 0, 1)) {
        p.lo = rnd_int(r, 0, p.z);
        p.hi = rnd_int(r, p.z, 255);
    }
    p.ma = rnd_float(r, -2, 2);
    p.mb = rnd_float(r, -2, 2);
    if (rnd_int(r, 0, 7) == 0)
        p.ma = rnd_int(r, 0, 1) ? 1e30f : -1e8f;
    if (rnd_int(r, 0, 7) == 0)
        p.mb = rnd_int(r, 0, 1) ? 1e30f : -1e8f;
    return p;
}

static void check_binary(rnd *r, const char *name, oct_qbinary_span_fn *fn, bool multiply, int64_t n, bool at_end)
{
    const int step = rnd_int(r, 0, 1);
    uint8_t *a = guarded_place(&in, n, 1, at_end), *b = guarded_place(&in2, step ? n : 1, 1, at_end),
            *y = guarded_place(&out, n, 1, at_end);
    oct_qbinary p = some_binary(r);
    fill_codes(r, a, n, 0, 255);
    fill_codes(r, b, step ? n : 1, 0, 255);
    if (multiply)
        p.ma /= 64;
    fn(a, b, step, y, n, &p);
    for (int64_t i = 0; i < n; i++) {
        const int32_t va = a[i] - p.za, vb = b[i * step] - p.zb;
        const float fa = (float)va * p.ma, fb = (float)vb * p.mb, product = (float)(va * vb);
        const float v = multiply ? product * p.ma : fa + fb;
        const float want = nearbyintf(fminf(fmaxf(v, (float)(p.lo - p.z)), (float)(p.hi - p.z))) + (float)p.z;
        if (want != (float)y[i])
            fail_msg("%s: element %lld of %lld is %d, not %g", name, (long long)i, (long long)n, y[i], (double)want);
    }
    uint8_t *in_place = guarded_place(&expected, n, 1, at_end);
    memcpy(in_place, a, (size_t)n);
    fn(in_place, b, step, in_place, n, &p);
    check_bytes(name, "in place", y, in_place, n);
}

static void qadd__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(qadd, k, n) check_binary(&r, k->name, k->fn, false, n, at_end);
}
static void qmul__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(qmul, k, n) check_binary(&r, k->name, k->fn, true, n, at_end);
}

enum { MAX_TAPS = 600 };
static int32_t some_tap_count(rnd *r)
{
    return rnd_int(r, 0, 7) ? rnd_int(r, 1, 9) : rnd_int(r, 200, MAX_TAPS);
}

static void maxpool_u8__all_lengths__equal_the_reference(void **state)
{
    FOR_ALL(maxpool_u8, k, n)
    {
        const int32_t count = rnd_int(&r, 1, 9);
        uint8_t *x = guarded_place(&in, n + count, 1, at_end), *y = guarded_place(&out, n, 1, at_end), want[8192];
        const uint8_t *taps[9];
        fill_codes(&r, x, n + count, 0, 255);
        for (int32_t t = 0; t < count; t++)
            taps[t] = x + rnd_int(&r, 0, count);
        k->fn(taps, count, n, y);
        for (int64_t i = 0; i < n; i++) {
            want[i] = 0;
            for (int32_t t = 0; t < count; t++)
                want[i] = taps[t][i] > want[i] ? taps[t][i] : want[i];
        }
        check_bytes(k->name, "maximum", want, y, n);
    }
}

static void maxpool_f32__all_lengths__equal_the_reference(void **state)
{
    FOR_ALL(maxpool_f32, k, n)
    {
        const int32_t count = rnd_int(&r, 1, 9);
        float *x = guarded_place(&in, (n + count) * 4, 4, at_end), *y = guarded_place(&out, n * 4, 4, at_end);
        float *want = guarded_place(&expected, n * 4, 4, at_end);
        const float *taps[9];
        for (int64_t i = 0; i < n + count; i++)
            x[i] = rnd_int(&r, 0, 19) ? rnd_float(&r, -9, 9) : odd_values[rnd_int(&r, 0, 13)];
        for (int32_t t = 0; t < count; t++)
            taps[t] = x + rnd_int(&r, 0, count);
        k->fn(taps, count, n, y);
        oct_maxpool_f32_get(0)->fn(taps, count, n, want);
        check_bytes(k->name, "maximum", want, y, n * 4);
    }
}

static void avgpool_u8__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(avgpool_u8, k, n)
    {
        const int32_t count = some_tap_count(&r), zx = some_code(&r), z = some_code(&r);
        const int32_t lo = rnd_int(&r, 0, 1) ? 0 : rnd_int(&r, 0, z), hi = rnd_int(&r, 0, 1) ? 255 : rnd_int(&r, z, 255);
        const float m = rnd_int(&r, 0, 15) ? rnd_float(&r, 0.1f, 2.0f) / (float)count : 1e30f;
        uint8_t *x = guarded_place(&in, n + count, 1, at_end), *y = guarded_place(&out, n, 1, at_end);
        const uint8_t *taps[MAX_TAPS];
        fill_codes(&r, x, n + count, 0, 255);
        for (int32_t t = 0; t < count; t++)
            taps[t] = x + rnd_int(&r, 0, count);
        k->fn(taps, count, n, zx, m, z, lo, hi, y);
        for (int64_t i = 0; i < n; i++) {
            int32_t sum = -count * zx;
            for (int32_t t = 0; t < count; t++)
                sum += taps[t][i];
            const float v = (float)sum * m;
            if ((float)y[i] != nearbyintf(fminf(fmaxf(v, (float)(lo - z)), (float)(hi - z))) + (float)z)
                fail_msg("%s: channel %lld of %lld, %d taps: %d", k->name, (long long)i, (long long)n, count, y[i]);
        }
    }
}

static void avgpool_f32__all_lengths__equal_the_formula(void **state)
{
    FOR_ALL(avgpool_f32, k, n)
    {
        const int32_t count = some_tap_count(&r);
        float *x = guarded_place(&in, (n + count) * 4, 4, at_end), *y = guarded_place(&out, n * 4, 4, at_end);
        const float *taps[MAX_TAPS], m = 1.0f / (float)count;
        fill_floats(&r, x, n + count, -9, 9);
        for (int32_t t = 0; t < count; t++)
            taps[t] = x + rnd_int(&r, 0, count);
        k->fn(taps, count, n, m, y);
        for (int64_t i = 0; i < n; i++) {
            float sum = taps[0][i];
            for (int32_t t = 1; t < count; t++)
                sum += taps[t][i];
            assert_true(oct_f32_bits(sum * m) == oct_f32_bits(y[i]));
        }
    }
}

static int open_buffers(void **state)
{
    in = guarded_create(BUFFER);
    in2 = guarded_create(BUFFER);
    out = guarded_create(BUFFER);
    expected = guarded_create(BUFFER);
    return 0;
}
static int close_buffers(void **state)
{
    guarded_destroy(&in);
    guarded_destroy(&in2);
    guarded_destroy(&out);
    guarded_destroy(&expected);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize__all_lengths__equal_the_formula),
        cmocka_unit_test(dequantize__all_lengths__equal_the_formula),
        cmocka_unit_test(table__all_lengths__look_up_every_code_in_place_too),
        cmocka_unit_test(qadd__all_lengths__equal_the_formula),
        cmocka_unit_test(qmul__all_lengths__equal_the_formula),
        cmocka_unit_test(maxpool_u8__all_lengths__equal_the_reference),
        cmocka_unit_test(maxpool_f32__all_lengths__equal_the_reference),
        cmocka_unit_test(avgpool_u8__all_lengths__equal_the_formula),
        cmocka_unit_test(avgpool_f32__all_lengths__equal_the_formula),
    };
    return cmocka_run_group_tests(tests, open_buffers, close_buffers);
}
