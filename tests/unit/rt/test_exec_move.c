/* copy, where, fill, pad, gather and cast against plain loops, for dense, NHWC and odd layouts. */
#include "unit/rt/exec_case.h"

#include "num/num.h"

static const exec_layout layouts[] = {EXEC_DENSE, EXEC_NHWC, EXEC_ODD};

static void copy_case(oct_dtype dtype, int rank, const int64_t *dims, exec_layout in, exec_layout out, uint64_t seed)
{
    exec_case e;
    const oct_p_none p = {0};
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, dtype, rank, dims, in);
    exec_view(&e, 1, dtype, rank, dims, out);
    const size_t bytes = (size_t)exec_count(&e.view[0]) * oct_dtype_size(dtype);
    uint8_t *x = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        x[i] = (uint8_t)oct_rng_next(&e.rng);
    exec_put(&e, 0, x);
    exec_run(&e, oct_exec_copy, &p, false);
    uint8_t *y = exec_result(&e);
    assert_memory_equal(x, y, bytes);
    free(x);
    free(y);
    exec_end(&e);
}

static void copy__layouts_and_sizes__moves_every_element(void **state)
{
    static const oct_dtype types[] = {OCT_U8, OCT_F16, OCT_F32, OCT_S64};
    static const int64_t shapes[][5] = {
        {4, 2, 3, 17, 19}, {4, 1, 33, 16, 16}, {4, 2, 64, 7, 5}, {3, 5, 3, 200}, {1, 70000}, {2, 130, 150}, {0}, {4, 2, 0, 3, 1}};
    uint64_t seed = 1;
    for (size_t t = 0; t < 4; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
            for (int i = 0; i < 3; i++)
                for (int o = 0; o < 3; o++)
                    copy_case(types[t], (int)shapes[s][0], shapes[s] + 1, layouts[i], layouts[o], seed++);
}

static void copy__broadcast_input__repeats(void **state)
{
    exec_case e;
    const oct_p_none p = {0};
    const int64_t in[] = {3, 1, 5}, out[] = {2, 3, 4, 5};
    for (int i = 0; i < 3; i++) {
        exec_begin(&e, 1, (uint64_t)i + 50);
        exec_view(&e, 0, OCT_F32, 3, in, layouts[i]);
        exec_view(&e, 1, OCT_F32, 4, out, layouts[2 - i]);
        float *x = exec_fill_f32(&e, 0, 1.0f);
        exec_run(&e, oct_exec_copy, &p, false);
        float *y = exec_result(&e);
        for (int64_t k = 0; k < 120; k++)
            assert_true(y[k] == x[exec_broadcast(4, out, 3, in, k)]);
        free(x);
        free(y);
        exec_end(&e);
    }
}

static void where__broadcast__chooses_per_element(void **state)
{
    exec_case e;
    const oct_p_none p = {0};
    const int64_t cond[] = {4, 1, 7}, a[] = {7}, b[] = {2, 4, 5, 1}, out[] = {2, 4, 5, 7};
    static const oct_dtype types[] = {OCT_U8, OCT_F32, OCT_S64};
    for (int t = 0; t < 9; t++) {
        const oct_dtype type = types[t / 3];
        const size_t size = oct_dtype_size(type);
        exec_begin(&e, 3, (uint64_t)t);
        exec_view(&e, 0, OCT_BOOL, 3, cond, layouts[t % 3]);
        exec_view(&e, 1, type, 1, a, layouts[t % 3]);
        exec_view(&e, 2, type, 4, b, layouts[t % 3]);
        exec_view(&e, 3, type, 4, out, layouts[(t + 1) % 3]);
        uint8_t c[28], va[7 * 8], vb[40 * 8];
        for (int i = 0; i < 28; i++)
            c[i] = (uint8_t)oct_rng_below(&e.rng, 2);
        for (int i = 0; i < 56; i++)
            va[i] = (uint8_t)oct_rng_next(&e.rng);
        for (int i = 0; i < 320; i++)
            vb[i] = (uint8_t)oct_rng_next(&e.rng);
        exec_put(&e, 0, c);
        exec_put(&e, 1, va);
        exec_put(&e, 2, vb);
        exec_run(&e, oct_exec_where, &p, false);
        uint8_t *y = exec_result(&e);
        for (int64_t i = 0; i < 280; i++) {
            const uint8_t *from = c[exec_broadcast(4, out, 3, cond, i)] ? va + exec_broadcast(4, out, 1, a, i) * (int64_t)size
                                                                        : vb + exec_broadcast(4, out, 4, b, i) * (int64_t)size;
            assert_memory_equal(y + i * (int64_t)size, from, size);
        }
        free(y);
        exec_end(&e);
    }
}

static void fill__every_size__writes_the_bits(void **state)
{
    static const oct_dtype types[] = {OCT_U8, OCT_F16, OCT_F32, OCT_S64};
    const int64_t dims[] = {3, 20, 30, 31};
    for (int t = 0; t < 12; t++) {
        exec_case e;
        const size_t size = oct_dtype_size(types[t % 4]);
        const oct_p_fill p = {.size = (int32_t)size, .bits = 0x8877665544332211ull};
        exec_begin(&e, 0, (uint64_t)t);
        exec_view(&e, 0, types[t % 4], 4, dims, layouts[t / 4]);
        exec_run(&e, oct_exec_fill, &p, false);
        uint8_t *y = exec_result(&e);
        for (int64_t i = 0; i < exec_count(&e.view[0]); i++)
            assert_memory_equal(y + i * (int64_t)size, &p.bits, size);
        free(y);
        exec_end(&e);
    }
}

static int64_t pad_truth(int mode, int64_t i, int64_t n)
{
    while (i < 0 || i >= n) {
        if (mode == OCT_PAD_EDGE || n == 1)
            return i < 0 ? 0 : n - 1;
        if (mode == OCT_PAD_WRAP)
            i += i < 0 ? n : -n;
        else
            i = i < 0 ? -i : 2 * (n - 1) - i;
    }
    return i;
}

static void pad__modes_and_crops__reads_the_mirrored_index(void **state)
{
    const int64_t in[] = {2, 3, 5, 7}, out[] = {2, 4, 12, 13}, begin[] = {0, 1, 3, -2};
    for (int t = 0; t < 27; t++) {
        exec_case e;
        oct_p_pad p = {.mode = t % 3, .rank = 4};
        memcpy(p.begin, begin, sizeof begin);
        exec_begin(&e, 1, (uint64_t)t);
        exec_view(&e, 0, t & 1 ? OCT_F32 : OCT_U8, 4, in, layouts[t / 3 % 3]);
        exec_view(&e, 1, t & 1 ? OCT_F32 : OCT_U8, 4, out, layouts[t / 9]);
        void *x = t & 1 ? (void *)exec_fill_f32(&e, 0, 1.0f) : (void *)exec_fill_u8(&e, 0);
        exec_run(&e, oct_exec_pad, &p, false);
        char *y = exec_result(&e);
        const size_t size = t & 1 ? 4 : 1;
        for (int64_t i = 0; i < exec_count(&e.view[1]); i++) {
            int64_t rest = i, from = 0, scale = 1;
            for (int d = 3; d >= 0; d--) {
                from += pad_truth(p.mode, rest % out[d] - begin[d], in[d]) * scale;
                rest /= out[d];
                scale *= in[d];
            }
            assert_memory_equal(y + i * (int64_t)size, (char *)x + from * (int64_t)size, size);
        }
        free(x);
        free(y);
        exec_end(&e);
    }
}

/* Indices beyond the axis are clamped: an index is run-time data, and nothing outside may be read. */
static void gather__any_axis_and_wild_indices__stays_inside(void **state)
{
    const int64_t data[] = {4, 6, 5}, index[] = {2, 3};
    for (int t = 0; t < 27; t++) {
        const int axis = t % 3;
        int64_t out[4];
        int r = 0;
        for (int d = 0; d < 3; d++) {
            if (d == axis) {
                out[r++] = 2;
                out[r++] = 3;
            } else {
                out[r++] = data[d];
            }
        }
        exec_case e;
        const oct_p_axis p = {axis, 0};
        exec_begin(&e, 2, (uint64_t)t);
        exec_view(&e, 0, OCT_F32, 3, data, layouts[t / 3 % 3]);
        exec_view(&e, 1, t & 1 ? OCT_S64 : OCT_S32, 2, index, layouts[t / 9]);
        exec_view(&e, 2, OCT_F32, 4, out, layouts[t / 9]);
        float *x = exec_fill_f32(&e, 0, 1.0f);
        const int64_t wild[6] = {0, -1, 3, 1000000, -1000000, 2};
        const int32_t narrow[6] = {0, -1, 3, 1000000, -1000000, 2};
        exec_put(&e, 1, t & 1 ? (const void *)wild : (const void *)narrow);
        exec_run(&e, oct_exec_gather, &p, false);
        float *y = exec_result(&e);
        int64_t pre = 1, post = 1;
        for (int d = 0; d < axis; d++)
            pre *= data[d];
        for (int d = axis + 1; d < 3; d++)
            post *= data[d];
        for (int64_t i = 0; i < pre; i++)
            for (int64_t k = 0; k < 6; k++)
                for (int64_t j = 0; j < post; j++) {
                    int64_t v = wild[k] < 0 ? wild[k] + data[axis] : wild[k];
                    v = v < 0 ? 0 : v >= data[axis] ? data[axis] - 1 : v;
                    assert_true(y[(i * 6 + k) * post + j] == x[(i * data[axis] + v) * post + j]);
                }
        free(x);
        free(y);
        exec_end(&e);
    }
}

static double read_number(oct_dtype t, bool biased, const void *p, int64_t i)
{
    switch (t) {
    case OCT_F32: return (double)((const float *)p)[i];
    case OCT_F64: return ((const double *)p)[i];
    case OCT_F16: return (double)oct_f16_to_f32(((const uint16_t *)p)[i]);
    case OCT_BF16: return (double)oct_bf16_to_f32(((const uint16_t *)p)[i]);
    case OCT_U8: return ((const uint8_t *)p)[i] - (biased ? 128 : 0);
    case OCT_BOOL: return ((const uint8_t *)p)[i];
    case OCT_S8: return ((const int8_t *)p)[i];
    case OCT_U16: return ((const uint16_t *)p)[i];
    case OCT_S16: return ((const int16_t *)p)[i];
    case OCT_U32: return ((const uint32_t *)p)[i];
    case OCT_S32: return ((const int32_t *)p)[i];
    case OCT_U64: return (double)((const uint64_t *)p)[i];
    default: return (double)((const int64_t *)p)[i];
    }
}

static const oct_dtype all_types[] = {OCT_F32, OCT_F16, OCT_BF16, OCT_F64, OCT_U8,  OCT_S8,  OCT_U16,
                                      OCT_S16, OCT_S32, OCT_S64,  OCT_U32, OCT_U64, OCT_BOOL};
enum { TYPES = 13 };

/* Values that every type can hold: 0 .. 100 (bool: 0 and 1). */
static void cast__every_pair__keeps_small_integers(void **state)
{
    const int64_t dims[] = {7, 60};
    for (int a = 0; a < TYPES; a++)
        for (int b = 0; b < TYPES; b++)
            for (int bias = 0; bias < 4; bias++) {
                exec_case e;
                const oct_p_none p = {0};
                exec_begin(&e, 1, (uint64_t)(a * TYPES + b));
                exec_view(&e, 0, all_types[a], 2, dims, EXEC_DENSE);
                exec_view(&e, 1, all_types[b], 2, dims, bias & 2 ? EXEC_ODD : EXEC_DENSE);
                const bool in_biased = (bias & 1) && all_types[a] == OCT_U8, out_biased = (bias & 2) && all_types[b] == OCT_U8;
                e.tensors[0].biased = in_biased;
                e.tensors[1].biased = out_biased;
                for (int i = 0; i < 420; i++) {
                    const int v = i % 101;
                    char *at = (char *)e.view[0].data + i * (int64_t)oct_dtype_size(all_types[a]);
                    switch (all_types[a]) {
                    case OCT_F32: *(float *)at = (float)v + 0.75f; break;
                    case OCT_F64: *(double *)at = v + 0.75; break;
                    case OCT_F16: *(uint16_t *)at = oct_f32_to_f16((float)v); break;
                    case OCT_BF16: *(uint16_t *)at = oct_f32_to_bf16((float)v); break;
                    case OCT_BOOL: *(uint8_t *)at = v > 50; break;
                    case OCT_U8: *(uint8_t *)at = (uint8_t)(v + (in_biased ? 128 : 0)); break;
                    case OCT_S8: *(int8_t *)at = (int8_t)v; break;
                    case OCT_U16:
                    case OCT_S16: *(int16_t *)at = (int16_t)v; break;
                    case OCT_U32:
                    case OCT_S32: *(int32_t *)at = v; break;
                    default: *(int64_t *)at = v; break;
                    }
                }
                exec_run(&e, oct_exec_cast, &p, false);
                void *y = exec_result(&e);
                for (int i = 0; i < 420; i++) {
                    const double in = read_number(all_types[a], in_biased, e.view[0].data, i),
                                 got = read_number(all_types[b], out_biased, y, i);
                    double want = all_types[b] == OCT_BOOL ? in != 0.0 : in;
                    if (all_types[b] != OCT_F32 && all_types[b] != OCT_F64 && all_types[b] != OCT_F16 && all_types[b] != OCT_BF16)
                        want = floor(want);
                    if (all_types[b] == OCT_BF16)
                        want = (double)oct_bf16_to_f32(oct_f32_to_bf16((float)want));
                    if (got != want)
                        fail_msg("cast %s to %s: %g gives %g", oct_dtype_name(all_types[a]), oct_dtype_name(all_types[b]), in, got);
                }
                free(y);
                exec_end(&e);
            }
}

static void cast_one(oct_dtype from, const void *v, oct_dtype to, void *out)
{
    exec_case e;
    const oct_p_none p = {0};
    const int64_t one[] = {1};
    exec_begin(&e, 1, 1);
    exec_view(&e, 0, from, 1, one, EXEC_DENSE);
    exec_view(&e, 1, to, 1, one, EXEC_DENSE);
    exec_put(&e, 0, v);
    exec_run(&e, oct_exec_cast, &p, false);
    exec_take(&e, 1, out);
    exec_end(&e);
}

static void cast__edges__saturate_wrap_and_round_once(void **state)
{
    const float big = 1e30f, nan = NAN, minus = -3.7f;
    const double odd = 1.0 + 0x1p-11 + 0x1p-40; /* to f16: above the tie, which rounding through f32 would lose */
    const int64_t wide = 0x1234567ff, exact = (1ll << 62) + 1;
    int32_t i32;
    uint8_t u8;
    int64_t i64;
    uint16_t f16;
    float f32;
    cast_one(OCT_F32, &big, OCT_S32, &i32);
    assert_int_equal(i32, INT32_MAX);
    cast_one(OCT_F32, &nan, OCT_S64, &i64);
    assert_int_equal(i64, 0);
    cast_one(OCT_F32, &minus, OCT_S32, &i32);
    assert_int_equal(i32, -3);
    cast_one(OCT_F32, &minus, OCT_U8, &u8);
    assert_int_equal(u8, 0);
    cast_one(OCT_S64, &wide, OCT_U8, &u8);
    assert_int_equal(u8, 0xff);
    cast_one(OCT_F64, &odd, OCT_F16, &f16);
    assert_int_equal(f16, 0x3c01);
    cast_one(OCT_F32, &nan, OCT_BOOL, &u8);
    assert_int_equal(u8, 1);
    cast_one(OCT_S64, &exact, OCT_F32, &f32);
    assert_true(f32 == 0x1p62f);
}

static void range__types__counts_up(void **state)
{
    exec_case e;
    const oct_p_none p = {0};
    const int64_t n[] = {9};
    exec_begin(&e, 3, 1);
    for (int i = 0; i < 3; i++)
        exec_view(&e, i, OCT_F32, 0, n, EXEC_DENSE);
    exec_view(&e, 3, OCT_F32, 1, n, EXEC_ODD);
    *(float *)e.view[0].data = 2.0f;
    *(float *)e.view[1].data = -1.0f;
    *(float *)e.view[2].data = -0.25f;
    exec_run(&e, oct_exec_range, &p, false);
    float *y = exec_result(&e);
    for (int i = 0; i < 9; i++)
        assert_true(y[i] == 2.0f + (float)i * -0.25f);
    free(y);
    exec_end(&e);
    exec_begin(&e, 3, 1);
    for (int i = 0; i < 3; i++)
        exec_view(&e, i, OCT_S64, 0, n, EXEC_DENSE);
    exec_view(&e, 3, OCT_S64, 1, n, EXEC_DENSE);
    *(int64_t *)e.view[0].data = -4;
    *(int64_t *)e.view[2].data = 3;
    exec_run(&e, oct_exec_range, &p, false);
    int64_t *z = exec_result(&e);
    for (int i = 0; i < 9; i++)
        assert_int_equal(z[i], -4 + 3 * i);
    free(z);
    exec_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy__layouts_and_sizes__moves_every_element),
        cmocka_unit_test(copy__broadcast_input__repeats),
        cmocka_unit_test(where__broadcast__chooses_per_element),
        cmocka_unit_test(fill__every_size__writes_the_bits),
        cmocka_unit_test(pad__modes_and_crops__reads_the_mirrored_index),
        cmocka_unit_test(gather__any_axis_and_wild_indices__stays_inside),
        cmocka_unit_test(cast__every_pair__keeps_small_integers),
        cmocka_unit_test(cast__edges__saturate_wrap_and_round_once),
        cmocka_unit_test(range__types__counts_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
