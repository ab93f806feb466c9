/* Every row of the qwino family against a direct convolution with library rounding's epilogue: the same bytes, in any shape. */
#include "kernels/check.h"
#include "kernels/epilogue.h"

enum { BUFFER = 1 << 22 };
static guarded in, weights, res, out, scratch;

typedef struct problem {
    int32_t c, rows, cols, n;
    int lo, hi;  /* of the weights */
    oct_epilogue_kind kind;
} problem;

static void direct(const oct_qwino_args *g, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias, uint8_t *to)
{
    for (int32_t y = 0; y < g->rows; y++)
        for (int32_t x = 0; x < g->cols; x++)
            for (int32_t j = 0; j < g->n; j++) {
                int32_t acc = bias[j];
                for (int32_t t = 0; t < 9; t++)
                    for (int32_t i = 0; i < g->c; i++)
                        acc += g->a[(y + t / 3) * g->row_bytes + (x + t % 3) * g->c + i] * w[(j * 9 + t) * g->c + i];
                oct_epilogue_row(&acc, 1, scale + j, fbias + j, g->e, g->res ? g->res + y * g->row_ldr + x * g->ldr + j : NULL,
                                 to + y * g->row_ldc + x * g->ldc + (ptrdiff_t)j * oct_epilogue_size(g->e));
            }
}

static void check(rnd *r, const oct_qwino_kernel *k, problem p)
{
    const oct_qepilogue e = some_epilogue(r, p.kind);
    const int32_t size = oct_epilogue_size(&e), panels = (p.n + k->nr - 1) / k->nr, k_total = 9 * p.c;
    const int64_t high = (p.rows + 3) / 4 * 4 + 2, wide = (p.cols + 3) / 4 * 4 + 2, panel_bytes = oct_qwino_panel_bytes(k->nr, p.c);
    const bool at_end = rnd_int(r, 0, 1), has_res = e.kind == OCT_EPI_U8_RES || e.kind == OCT_EPI_U8_RES_INNER;
    uint8_t *a = guarded_place(&in, high * wide * p.c, 1, at_end), *packed = guarded_place(&weights, panel_bytes * panels, 64, at_end);
    fill_codes(r, a, high * wide * p.c, 0, 255);
    if (p.lo == -128 && p.hi == -128)
        memset(a, 255, (size_t)(high * wide * p.c));
    int8_t *w = malloc((size_t)k_total * p.n);
    int32_t *bias = malloc(sizeof *bias * (size_t)p.n);
    float *scale = malloc(sizeof *scale * (size_t)p.n), *fbias = malloc(sizeof *fbias * (size_t)p.n);
    fill_codes(r, w, (int64_t)k_total * p.n, p.lo, p.hi);
    for (int32_t j = 0; j < p.n; j++) {
        bias[j] = rnd_int(r, -200000, 200000);
        scale[j] = rnd_int(r, 0, 3) ? rnd_float(r, 0.2f, 1.0f) * 100.0f / (float)(k_total * 3000) : some_scale(r, (double)k_total * 3000);
        fbias[j] = rnd_float(r, -300, 300);
        assert_true(oct_qwino_is_exact(k_total, w + (int64_t)j * k_total, bias[j]));
    }
    for (int32_t i = 0; i < panels; i++)
        oct_qwino_pack(k->nr, i, p.n, p.c, w, bias, scale, fbias, packed + i * panel_bytes);
    oct_qwino_args g = {.a = a, .row_bytes = wide * p.c, .c = p.c, .rows = p.rows, .cols = p.cols, .n = p.n, .w = packed, .panel_bytes = panel_bytes, .e = &e};
    g.ldc = (p.n + rnd_int(r, 0, 9)) * size;
    g.row_ldc = g.ldc * (p.cols + rnd_int(r, 0, 2));
    g.ldr = p.n + rnd_int(r, 0, 9);
    g.row_ldr = g.ldr * (p.cols + rnd_int(r, 0, 2));
    const int64_t bytes = (p.rows - 1) * g.row_ldc + (p.cols - 1) * g.ldc + (int64_t)p.n * size;
    const int64_t res_bytes = (p.rows - 1) * g.row_ldr + (p.cols - 1) * g.ldr + p.n;
    uint8_t *got = guarded_place(&out, bytes, (size_t)size, at_end), *residual = guarded_place(&res, res_bytes, 1, at_end), *want = malloc((size_t)bytes);
    fill_codes(r, residual, res_bytes, 0, 255);
    memset(got, 0xA5, (size_t)bytes);
    memset(want, 0xA5, (size_t)bytes);
    g.res = has_res ? residual : NULL;
    direct(&g, w, bias, scale, fbias, want);
    g.out = got;
    g.scratch = guarded_place(&scratch, oct_qwino_scratch_bytes(p.rows, p.cols, p.c), 64, true);
    fill_codes(r, g.scratch, oct_qwino_scratch_bytes(p.rows, p.cols, p.c), 0, 255);
    k->fn(&g);
    char what[120];
    snprintf(what, sizeof what, "kind %d c %d rows %d cols %d n %d at_end %d", e.kind, p.c, p.rows, p.cols, p.n, at_end);
    check_bytes(k->name, what, want, got, bytes);
    free(w), free(bias), free(scale), free(fbias), free(want);
}

static void qwino__every_size__equals_the_direct_sums(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qwino_get(i); i++) {
        const oct_qwino_kernel *k = oct_qwino_get(i);
        for (int n = 0; runnable(k->isa) && n < 90; n++)
            check(&r, k, (problem){.c = 32 * rnd_int(&r, 1, 3), .rows = 1 + n % 9, .cols = rnd_int(&r, 1, 17), .n = rnd_int(&r, 1, 70), .lo = -128, .hi = 127,
                                   .kind = (oct_epilogue_kind)(n % 6)});
    }
}

static void qwino__more_tiles_than_a_block__equal_the_direct_sums(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qwino_get(i); i++) {
        const oct_qwino_kernel *k = oct_qwino_get(i);
        for (int n = 0; runnable(k->isa) && n < 12; n++)
            check(&r, k, (problem){.c = 32, .rows = rnd_int(&r, 1, 14), .cols = rnd_int(&r, 15, 70), .n = rnd_int(&r, 1, 40), .lo = -128, .hi = 127,
                                   .kind = (oct_epilogue_kind)(n % 6)});
    }
}

/* All inputs and weights at their ends: the transforms reach the limits of 16 bits, the sums come near 2^25 and 576 times the sums wrap. */
static void qwino__extremes__wrap_and_come_out_exact(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qwino_get(i); i++) {
        const oct_qwino_kernel *k = oct_qwino_get(i);
        for (int n = 0; runnable(k->isa) && n < 4; n++)
            check(&r, k, (problem){.c = 96, .rows = 5, .cols = 6, .n = 33, .lo = n % 2 ? 127 : -128, .hi = n % 2 ? 127 : -128,
                                   .kind = n < 2 ? OCT_EPI_S32 : OCT_EPI_U8});
    }
}

static void qwino__is_exact__knows_the_limit(void **state)
{
    enum { COUNT = 1032 };
    int8_t w[COUNT];
    memset(w, 127, sizeof w); /* 255 * 127 * 1032 = 33,421,320 */
    assert_true(oct_qwino_is_exact(COUNT, w, (1 << 25) - 1 - 255 * 127 * COUNT));
    assert_false(oct_qwino_is_exact(COUNT, w, (1 << 25) - 255 * 127 * COUNT));
    memset(w, -127, sizeof w);
    assert_true(oct_qwino_is_exact(COUNT, w, -(1 << 25) + 255 * 127 * COUNT));
    assert_false(oct_qwino_is_exact(COUNT, w, -(1 << 25) + 255 * 127 * COUNT - 1));
}

static int open_buffers(void **state)
{
    guarded *all[] = {&in, &weights, &res, &out, &scratch};
    for (int i = 0; i < 5; i++)
        *all[i] = guarded_create(BUFFER);
    return 0;
}
static int close_buffers(void **state)
{
    guarded *all[] = {&in, &weights, &res, &out, &scratch};
    for (int i = 0; i < 5; i++)
        guarded_destroy(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qwino__every_size__equals_the_direct_sums),
        cmocka_unit_test(qwino__more_tiles_than_a_block__equal_the_direct_sums),
        cmocka_unit_test(qwino__extremes__wrap_and_come_out_exact),
        cmocka_unit_test(qwino__is_exact__knows_the_limit),
    };
    return cmocka_run_group_tests(tests, open_buffers, close_buffers);
}
