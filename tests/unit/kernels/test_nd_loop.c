/* The normal form of loops, views in logical order, and the index maps of Pad and Resize. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "kernels/nd/nd.h"

static oct_nd_operand operand(void *data, int rank, const int64_t *dims, const int64_t *strides)
{
    return (oct_nd_operand){data, rank, 1, dims, strides};
}

static void loop__same_nhwc_layout__one_flat_row(void **state)
{
    uint8_t x[2 * 3 * 5 * 7], y[2 * 3 * 5 * 7];
    const int64_t dims[] = {2, 3, 5, 7}, nhwc[] = {105, 1, 21, 3};
    const oct_nd_operand op[] = {operand(y, 4, dims, nhwc), operand(x, 4, dims, nhwc)};
    oct_nd_loop l;
    oct_nd_loop_init(&l, 2, op, 1000);
    assert_int_equal(l.rank, 2);
    assert_true(l.dims[0] == 1 && l.dims[1] == 210 && l.step[0][1] == 1 && l.step[1][1] == 1);
    assert_true(l.units == 1 && l.data[0] == (char *)y);
}

static void loop__backward_output__runs_forward(void **state)
{
    uint8_t x[6], y[6];
    const int64_t dims[] = {6}, back[] = {-1}, forth[] = {1};
    const oct_nd_operand op[] = {operand(y + 5, 1, dims, back), operand(x, 1, dims, forth)};
    oct_nd_loop l;
    oct_nd_loop_init(&l, 2, op, 100);
    assert_true(l.data[0] == (char *)y && l.step[0][1] == 1);
    assert_true(l.data[1] == (char *)x + 5 && l.step[1][1] == -1);
}

static void loop__layout_change__tiles_transpose(void **state)
{
    static uint8_t x[64 * 100], y[64 * 100];
    const int64_t dims[] = {64, 10, 10}, plain[] = {100, 10, 1}, last[] = {1, 640, 64};
    const oct_nd_operand in = operand(x, 3, dims, plain), out = operand(y, 3, dims, last);
    oct_nd_loop l;
    oct_nd_loop_init_transposing(&l, &out, &in, 1024);
    assert_int_equal(l.rank, 2);
    assert_true(l.dims[0] == 100 && l.step[1][0] == 1 && l.step[0][0] == 64); /* rows: pixels, dense in the input */
    assert_true(l.dims[1] == 64 && l.step[0][1] == 1 && l.step[1][1] == 100);
}

typedef struct visits {
    uint8_t *base;
    int tiles;
} visits;

static void visit(void *arg, const oct_nd_tile *t)
{
    visits *v = arg;
    v->tiles++;
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c++)
            (*(uint8_t *)(t->data[0] + r * t->row_step[0] + c * t->col_step[0]))++;
}

static void loop__units_of_any_grain__every_element_once(void **state)
{
    static uint8_t y[4000];
    const int64_t dims[] = {3, 4, 5, 6}, strides[] = {1, 900, -7, 40};
    for (int64_t grain = 1; grain < 500; grain += 13) {
        memset(y, 0, sizeof y);
        const oct_nd_operand op = operand(y + 100, 4, dims, strides);
        visits v = {y, 0};
        oct_nd_loop l;
        oct_nd_loop_init(&l, 1, &op, grain);
        for (int64_t u = 0; u < l.units; u++)
            oct_nd_loop_unit(&l, u, visit, &v);
        int64_t sum = 0;
        for (size_t i = 0; i < sizeof y; i++) {
            assert_true(y[i] <= 1);
            sum += y[i];
        }
        assert_int_equal(sum, 360);
        assert_int_equal(v.tiles, l.tiles);
    }
}

static void loop__empty_dim__no_units(void **state)
{
    uint8_t y[1];
    const int64_t dims[] = {3, 0, 2}, strides[] = {0, 2, 1};
    const oct_nd_operand op = operand(y, 3, dims, strides);
    oct_nd_loop l;
    oct_nd_loop_init(&l, 1, &op, 16);
    assert_int_equal(l.units, 0);
    oct_nd_loop_init_transposing(&l, &op, &op, 16);
    assert_int_equal(l.units, 0);
}

static void seq__masked_view__logical_order(void **state)
{
    int32_t x[4 * 5 * 6], got[30];
    const int64_t dims[] = {4, 5, 6}, strides[] = {1, 24, -4};
    for (int i = 0; i < 120; i++)
        x[i] = i;
    oct_nd_seq s;
    oct_nd_seq_init(&s, 3, dims, strides, sizeof *x, 6);
    assert_true(s.count == 30 && !oct_nd_seq_dense(&s, sizeof *x));
    for (int64_t first = 0; first < 30; first += 7) {
        const int64_t n = 30 - first < 7 ? 30 - first : 7;
        oct_nd_seq_gather(&s, sizeof *x, x + 20, first, n, got + first);
    }
    for (int i = 0; i < 30; i++)
        assert_int_equal(got[i], 20 + i / 6 * 24 - i % 6 * 4);
    memset(x, 0, sizeof x);
    oct_nd_seq_scatter(&s, sizeof *x, x + 20, 0, 30, got);
    for (int i = 0; i < 30; i++)
        assert_int_equal(x[20 + i / 6 * 24 - i % 6 * 4], got[i]);
    const int64_t dense[] = {30, 6, 1};
    oct_nd_seq_init(&s, 3, dims, dense, sizeof *x, 7);
    assert_true(oct_nd_seq_dense(&s, sizeof *x) && s.count == 120);
}

static void transpose__sizes_and_shapes__every_level(void **state)
{
    static uint8_t src[70 * 70 * 8], dst[70 * 80 * 8];
    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)(i * 151 + i / 256);
    static const int64_t edges[] = {1, 2, 3, 4, 7, 15, 16, 17, 33, 64};
    for (int isa = 0; isa <= (int)oct_cpu_detect(); isa++)
        for (size_t size = 1; size <= 8; size *= 2)
            for (int a = 0; a < 10; a++)
                for (int b = 0; b < 10; b++)
                    for (int gap = 0; gap < 2; gap++) {
                        const int64_t rows = edges[a], cols = edges[b], s = (int64_t)size, src_ld = (cols + gap) * s,
                                      dst_ld = (rows + gap) * s;
                        memset(dst, 0xA5, sizeof dst);
                        oct_nd_ops_get((oct_isa)isa)->transpose(size, rows, cols, src, src_ld, dst, dst_ld);
                        for (int64_t c = 0; c < cols; c++) {
                            for (int64_t r = 0; r < rows; r++)
                                assert_memory_equal(dst + c * dst_ld + r * s, src + r * src_ld + c * s, size);
                            for (int64_t k = rows * s; k < dst_ld; k++)
                                assert_int_equal(dst[c * dst_ld + k], 0xA5);
                        }
                        assert_int_equal(dst[cols * dst_ld], 0xA5);
                    }
}

static void pad_index__far_outside__folds_back(void **state)
{
    static const int64_t reflect[] = {0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2}, wrap[] = {2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0}; /* of -6 .. 4 */
    for (int i = 0; i < 11; i++) {
        assert_int_equal(oct_nd_pad_index(OCT_PAD_REFLECT, i - 6, 4), reflect[i]);
        assert_int_equal(oct_nd_pad_index(OCT_PAD_WRAP, i - 6, 4), wrap[i]);
        assert_int_equal(oct_nd_pad_index(OCT_PAD_EDGE, i - 5, 4), i < 5 ? 0 : i > 8 ? 3 : i - 5);
        assert_int_equal(oct_nd_pad_index(OCT_PAD_REFLECT, i - 5, 1), 0);
    }
}

static void resize_nearest__ties_and_edges__as_onnx_names_them(void **state)
{
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_ROUND_PREFER_FLOOR, 1.5f, 9), 1);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_ROUND_PREFER_CEIL, 1.5f, 9), 2);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_FLOOR, 1.9f, 9), 1);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_CEIL, 1.1f, 9), 2);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_FLOOR, -3.0f, 9), 0);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_CEIL, 1e30f, 9), 8);
    assert_int_equal(oct_nd_resize_nearest(OCT_NEAREST_CEIL, 0.0f / 0.0f, 9), 0);
}

static void resize_linear__outside__clamped_weights(void **state)
{
    int64_t i0, i1;
    float w;
    oct_nd_resize_linear(-0.25f, 4, &i0, &i1, &w);
    assert_true(i0 == 0 && i1 == 1 && w == 0.0f);
    oct_nd_resize_linear(2.75f, 4, &i0, &i1, &w);
    assert_true(i0 == 2 && i1 == 3 && w == 0.75f);
    oct_nd_resize_linear(99.0f, 4, &i0, &i1, &w);
    assert_true(i0 == 3 && i1 == 3 && w == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__same_nhwc_layout__one_flat_row),
        cmocka_unit_test(loop__backward_output__runs_forward),
        cmocka_unit_test(loop__layout_change__tiles_transpose),
        cmocka_unit_test(loop__units_of_any_grain__every_element_once),
        cmocka_unit_test(loop__empty_dim__no_units),
        cmocka_unit_test(seq__masked_view__logical_order),
        cmocka_unit_test(transpose__sizes_and_shapes__every_level),
        cmocka_unit_test(pad_index__far_outside__folds_back),
        cmocka_unit_test(resize_nearest__ties_and_edges__as_onnx_names_them),
        cmocka_unit_test(resize_linear__outside__clamped_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
