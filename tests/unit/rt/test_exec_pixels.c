/* The pixels step against a plain loop: every pair of layouts, channels in front and last, codes and floats, one table or one a
 * channel, images smaller and larger than a piece of work. */
#include "unit/rt/exec_case.h"

static const exec_layout layouts[] = {EXEC_DENSE, EXEC_NHWC, EXEC_ODD};
enum { LAYOUTS = 3 };

typedef struct pixels {
    int64_t n, channels, h, w;
    int axis;
    bool floats, shared;
} pixels;

static void one(const pixels *p, exec_layout in, exec_layout out, uint64_t seed)
{
    exec_case e;
    const int64_t first[4] = {p->n, p->channels, p->h, p->w}, last[4] = {p->n, p->h, p->w, p->channels};
    const int64_t *dims = p->axis == 1 ? first : last, tables[2] = {p->shared ? 1 : p->channels, 256};
    const oct_dtype type = p->floats ? OCT_F32 : OCT_U8;
    exec_begin(&e, 2, seed);
    exec_view(&e, 0, OCT_U8, 4, dims, in);
    exec_view(&e, 1, type, 2, tables, EXEC_DENSE);
    exec_view(&e, 2, type, 4, dims, out);
    uint8_t *x = exec_fill_u8(&e, 0);
    void *table = p->floats ? (void *)exec_fill_f32(&e, 1, 3) : (void *)exec_fill_u8(&e, 1);
    exec_run(&e, oct_exec_pixels, &(oct_p_axis){.axis = p->axis}, false);
    void *y = exec_result(&e);
    const int64_t inner = p->axis == 1 ? p->h * p->w : 1;
    for (int64_t i = 0; i < exec_count(&e.view[0]); i++) {
        const int64_t at = (p->shared ? 0 : i / inner % p->channels * 256) + x[i];
        if (p->floats ? ((float *)y)[i] != ((float *)table)[at] : ((uint8_t *)y)[i] != ((uint8_t *)table)[at])
            fail_msg("element %d of [%d, %d, %d, %d], axis %d, layouts %d and %d", (int)i, (int)p->n, (int)p->channels, (int)p->h,
                     (int)p->w, p->axis, in, out);
    }
    free(x);
    free(table);
    free(y);
    exec_end(&e);
}

static void all_layouts(const pixels *p)
{
    for (int in = 0; in < LAYOUTS; in++)
        for (int out = 0; out < LAYOUTS; out++)
            one(p, layouts[in], layouts[out], (uint64_t)(in * LAYOUTS + out));
}

static void pixels__any_layout__values_of_the_channels_tables(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{1, 3, 1, 1},   {2, 3, 5, 7}, {1, 3, 33, 70}, {1, 1, 9, 8},
                                        {3, 1, 40, 41}, {1, 5, 6, 4}, {2, 4, 16, 80}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        for (int axis = 1; axis <= 3; axis += 2)
            for (int form = 0; form < 4; form++)
                all_layouts(&(pixels){shapes[k][0], shapes[k][1], shapes[k][2], shapes[k][3], axis, form & 1, form >> 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pixels__any_layout__values_of_the_channels_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
