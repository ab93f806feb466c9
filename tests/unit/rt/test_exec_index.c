/* Steps that go by indices: values against plain loops, wild indices stay inside. */
#include "unit/rt/exec_case.h"

enum { ROWS = 3, COLUMNS = 4 };
static const exec_layout layouts[] = {EXEC_DENSE, EXEC_ODD};

static int64_t wrapped(int64_t i, int64_t n)
{
    i += i < 0 ? n : 0;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void gather_elements__wild_indices__stay_inside(void **state)
{
    const int64_t x_dims[] = {ROWS, COLUMNS}, dims[] = {2, 3};
    const int64_t index[] = {0, 3, -1, 99, -99, 2};
    for (int l = 0; l < 4; l++) {
        exec_case e;
        const oct_p_axis p = {.axis = 1};
        exec_begin(&e, 2, 1);
        exec_view(&e, 0, OCT_F32, 2, x_dims, layouts[l % 2]);
        exec_view(&e, 1, OCT_S64, 2, dims, layouts[l / 2]);
        exec_view(&e, 2, OCT_F32, 2, dims, layouts[l % 2]);
        float *x = exec_fill_f32(&e, 0, 2);
        exec_put(&e, 1, index);
        exec_run(&e, oct_exec_gather_elements, &p, false);
        float *y = exec_result(&e);
        for (int i = 0; i < 6; i++)
            assert_true(y[i] == x[i / 3 * COLUMNS + wrapped(index[i], COLUMNS)]);
        free(x);
        free(y);
        exec_end(&e);
    }
}

static void gather_nd__tuples__rows_of_the_rest(void **state)
{
    const int64_t x_dims[] = {ROWS, COLUMNS, 2}, dims[] = {3, 2}, y_dims[] = {3, 2};
    const int64_t index[] = {0, 1, 2, -1, 50, -50};
    exec_case e;
    const oct_p_axis p = {.axis = 0};
    exec_begin(&e, 2, 1);
    exec_view(&e, 0, OCT_F32, 3, x_dims, EXEC_ODD);
    exec_view(&e, 1, OCT_S64, 2, dims, EXEC_ODD);
    exec_view(&e, 2, OCT_F32, 2, y_dims, EXEC_ODD);
    float *x = exec_fill_f32(&e, 0, 2);
    exec_put(&e, 1, index);
    exec_run(&e, oct_exec_gather_nd, &p, false);
    float *y = exec_result(&e);
    for (int i = 0; i < 6; i++) {
        const int64_t r = wrapped(index[i / 2 * 2], ROWS), c = wrapped(index[i / 2 * 2 + 1], COLUMNS);
        assert_true(y[i] == x[(r * COLUMNS + c) * 2 + i % 2]);
    }
    free(x);
    free(y);
    exec_end(&e);
}

static void scatter__every_reduction__in_order_of_the_updates(void **state)
{
    const int64_t x_dims[] = {ROWS, COLUMNS}, dims[] = {2, 3}, tuples[] = {2, 1}, rows[] = {2, COLUMNS};
    const int64_t index[] = {1, 1, -1, 77, 0, 0}, row_index[] = {2, -77};
    for (int fn = 0; fn < OCT_SCATTER_COUNT; fn++)
        for (int by_tuple = 0; by_tuple < 2; by_tuple++) {
            exec_case e;
            const oct_p_scatter p = {.axis = 1, .by_tuple = by_tuple, .fn = fn};
            exec_begin(&e, 3, (uint64_t)fn);
            exec_view(&e, 0, OCT_F32, 2, x_dims, EXEC_ODD);
            exec_view(&e, 1, OCT_S64, 2, by_tuple ? tuples : dims, EXEC_DENSE);
            exec_view(&e, 2, OCT_F32, 2, by_tuple ? rows : dims, EXEC_ODD);
            exec_view(&e, 3, OCT_F32, 2, x_dims, EXEC_ODD);
            float *x = exec_fill_f32(&e, 0, 2), *u = exec_fill_f32(&e, 2, 2);
            exec_put(&e, 1, by_tuple ? row_index : index);
            exec_run(&e, oct_exec_scatter, &p, false);
            float *y = exec_result(&e);
            for (int i = 0; i < (by_tuple ? 2 * COLUMNS : 6); i++) {
                float *to = by_tuple ? &x[wrapped(row_index[i / COLUMNS], ROWS) * COLUMNS + i % COLUMNS] : &x[i / 3 * COLUMNS + wrapped(index[i], COLUMNS)];
                *to = fn == OCT_SCATTER_SET ? u[i] : fn == OCT_SCATTER_ADD ? *to + u[i] : fn == OCT_SCATTER_MUL ? *to * u[i] : fn == OCT_SCATTER_MIN ? fminf(*to, u[i]) : fmaxf(*to, u[i]);
            }
            for (int i = 0; i < ROWS * COLUMNS; i++)
                assert_true(fabsf(y[i] - x[i]) < 1e-6f);
            free(x);
            free(u);
            free(y);
            exec_end(&e);
        }
}

static void rank__equal_values_and_nan__first_first(void **state)
{
    const int64_t dims[] = {6}, k[] = {4};
    const float x[] = {1, 3, NAN, 3, -0.0f, 0};
    static const int64_t want[2][4] = {{2, 1, 3, 0}, {4, 5, 0, 1}};
    for (int rising = 0; rising < 2; rising++) {
        exec_case e;
        const oct_p_rank p = {0, rising};
        exec_begin(&e, 1, 1);
        exec_view(&e, 0, OCT_F32, 1, dims, EXEC_ODD);
        exec_view(&e, 1, OCT_S64, 1, k, EXEC_ODD);
        exec_put(&e, 0, x);
        exec_run(&e, oct_exec_rank, &p, false);
        int64_t *y = exec_result(&e);
        assert_memory_equal(y, want[rising], sizeof want[0]);
        free(y);
        exec_end(&e);
    }
}

static void cumulate__all_ways__running_sums_and_products(void **state)
{
    const int64_t dims[] = {2, 4}, x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int way = 0; way < 8; way++) {
        exec_case e;
        const oct_p_cumulate p = {.axis = 1, .exclusive = way & 1, .reverse = way >> 1 & 1, .product = way >> 2};
        exec_begin(&e, 1, 1);
        exec_view(&e, 0, OCT_S64, 2, dims, EXEC_ODD);
        exec_view(&e, 1, OCT_S64, 2, dims, EXEC_ODD);
        exec_put(&e, 0, x);
        exec_run(&e, oct_exec_cumulate, &p, false);
        int64_t *y = exec_result(&e);
        for (int r = 0; r < 2; r++)
            for (int c = 0; c < 4; c++) {
                int64_t want = p.product;
                for (int k = 0; k < 4; k++) {
                    const int place = p.reverse ? 3 - k : k, mine = p.reverse ? 3 - c : c;
                    if (k < mine || (k == mine && !p.exclusive))
                        want = p.product ? want * x[r * 4 + place] : want + x[r * 4 + place];
                }
                assert_true(y[r * 4 + c] == want);
            }
        free(y);
        exec_end(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_elements__wild_indices__stay_inside),
        cmocka_unit_test(gather_nd__tuples__rows_of_the_rest),
        cmocka_unit_test(scatter__every_reduction__in_order_of_the_updates),
        cmocka_unit_test(rank__equal_values_and_nan__first_first),
        cmocka_unit_test(cumulate__all_ways__running_sums_and_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
