/* The registry's promises: rows in order of level with the portable reference first, lookups, choice by shape, packed sizes. */
#include "kernels/check.h"

#define CHECK_FAMILY(F)                                                                                                            \
    do {                                                                                                                           \
        assert_non_null(oct_##F##_get(0));                                                                                         \
        assert_int_equal(oct_##F##_get(0)->isa, OCT_ISA_PORTABLE);                                                                 \
        assert_true(strstr(oct_##F##_get(0)->name, "_ref") != NULL);                                                               \
        assert_null(oct_##F##_get(-1));                                                                                            \
        for (int i = 0; oct_##F##_get(i); i++) {                                                                                   \
            const oct_##F##_kernel *k = oct_##F##_get(i);                                                                          \
            assert_ptr_equal(oct_##F##_find(k->name), k);                                                                          \
            assert_true(k->fn != NULL || !runnable(k->isa));                                                                       \
            assert_true(i == 0 || k->isa >= oct_##F##_get(i - 1)->isa);                                                            \
        }                                                                                                                          \
        assert_null(oct_##F##_find("no such kernel"));                                                                             \
        for (int isa = 0; isa < OCT_ISA_COUNT; isa++)                                                                              \
            assert_true(oct_isa_runs((oct_isa)isa, oct_##F##_best((oct_isa)isa)->isa));                                            \
    } while (0)

static void registry__every_family__has_ordered_rows_and_lookups(void **state)
{
    CHECK_FAMILY(qconv);
    CHECK_FAMILY(qwino);
    CHECK_FAMILY(fconv);
    CHECK_FAMILY(qdw);
    CHECK_FAMILY(fdw);
    CHECK_FAMILY(quantize);
    CHECK_FAMILY(dequantize);
    CHECK_FAMILY(table);
    CHECK_FAMILY(qadd);
    CHECK_FAMILY(qmul);
    CHECK_FAMILY(maxpool_u8);
    CHECK_FAMILY(maxpool_f32);
    CHECK_FAMILY(avgpool_u8);
    CHECK_FAMILY(avgpool_f32);
}

static void registry__choice_by_shape__keeps_to_the_level_and_wastes_little(void **state)
{
    for (int isa = 0; isa < OCT_ISA_COUNT; isa++)
        for (int32_t oc = 1; oc <= 700; oc++)
            for (int64_t k = 9; k < 5000; k *= 4) {
                const oct_qconv_kernel *q = oct_qconv_choose((oct_isa)isa, oc, k);
                const oct_fconv_kernel *f = oct_fconv_choose((oct_isa)isa, oc, k);
                assert_true(oct_isa_runs((oct_isa)isa, q->isa) && oct_isa_runs((oct_isa)isa, f->isa));
                assert_int_equal(q->nr % 16, 0);
                assert_int_equal(f->nr % 16, 0);
                assert_true((oc + q->nr - 1) / q->nr * q->nr <= (oc + 15) / 16 * 16 * 5 / 4 + 15);
            }
    for (int isa = 0; isa < OCT_ISA_COUNT; isa++)
        for (int32_t h = 1; h <= 9; h++)
            for (int32_t w = 1; w <= 9; w++) {
                const oct_qdw_kernel *d = oct_qdw_choose((oct_isa)isa, h, w);
                assert_true(oct_isa_runs((oct_isa)isa, d->isa) && (d->kh == 0 || d->kh == h) && (d->kw == 0 || d->kw == w));
            }
}

static void registry__rows_without_types__are_those_that_fit(void **state)
{
    oct_kernel_row rows[OCT_KERNEL_ROWS_MAX];
    for (int f = 0; f < OCT_FAMILY_COUNT; f++) {
        const char *name = oct_family_name((oct_family)f);
        int portable = oct_kernel_rows((oct_family)f, OCT_ISA_PORTABLE, 3, 3, rows);
        assert_int_equal(oct_family_parse(name), f);
        for (int isa = 0; isa < OCT_ISA_COUNT; isa++) {
            int n = oct_kernel_rows((oct_family)f, (oct_isa)isa, 3, 3, rows);
            const bool direct_is_faster = f == OCT_FAMILY_qwino && isa == OCT_ISA_NEON; /* than 16 bits: it multiplies bytes at four times their rate */
            assert_true(n > portable || (n == portable && (isa == OCT_ISA_PORTABLE || direct_is_faster)));
            assert_true(oct_kernel_is_reference(rows[0].name));
            for (int i = 0; i < n; i++) {
                assert_true(oct_isa_runs((oct_isa)isa, rows[i].isa));
                assert_memory_equal(rows[i].name, name, strlen(name));
                assert_ptr_equal(oct_kernel_name((oct_family)f, rows[i].name), rows[i].name);
            }
        }
        assert_null(oct_kernel_name((oct_family)f, "no such kernel"));
    }
    int any = oct_kernel_rows(OCT_FAMILY_qdw, OCT_ISA_AVX512VNNI, 5, 5, rows);
    for (int i = 0; i < any; i++)
        assert_int_not_equal(oct_qdw_find(rows[i].name)->kw, 3);
    assert_int_equal(oct_family_parse("no such family"), -1);
    assert_false(oct_kernel_is_reference("_ref"));
    assert_false(oct_kernel_is_reference("qconv_portable"));
}

static void registry__list_hash__is_stable_within_a_process(void **state)
{
    assert_true(oct_kernel_list_hash() != 0);
    assert_true(oct_kernel_list_hash() == oct_kernel_list_hash());
}

static void qconv_pack__known_weights__lie_where_the_format_says(void **state)
{
    /* 17 columns in panels of 16, 2 taps of 5: column 16 is the first of panel 1 */
    int8_t w[17 * 10];
    int32_t bias[17];
    float scale[17];
    for (int j = 0; j < 17; j++) {
        bias[j] = 1000 + j;
        scale[j] = (float)j;
        for (int k = 0; k < 10; k++)
            w[j * 10 + k] = (int8_t)(10 * (j % 12) + k - 60);
    }
    assert_int_equal(oct_qconv_panel_bytes(16, 2, 5), 64 + 2 * 2 * 64 + 128);
    uint8_t *p = aligned_alloc(64, 448);
    memset(p, 0xA5, 448);
    oct_qconv_pack(16, 0, 17, 2, 5, w, bias, scale, NULL, p);
    assert_int_equal(((int32_t *)p)[3], 1003);
    assert_int_equal((int8_t)p[64 + 3 * 4 + 2], w[3 * 10 + 2]);   /* tap 0, k 2 */
    assert_int_equal((int8_t)p[64 + 64 + 3 * 4], w[3 * 10 + 4]);  /* tap 0, k 4 */
    assert_int_equal((int8_t)p[64 + 64 + 3 * 4 + 1], 0);          /* padding of the run */
    assert_int_equal((int8_t)p[64 + 128 + 3 * 4], w[3 * 10 + 5]); /* tap 1, k 0 */
    assert_true(((float *)(p + 64 + 256))[3] == 3.0f && ((float *)(p + 64 + 256))[19] == 0.0f);
    oct_qconv_pack(16, 1, 17, 2, 5, w, bias, scale, NULL, p);
    assert_int_equal(((int32_t *)p)[0], 1016);
    assert_int_equal(((int32_t *)p)[1], 0);
    assert_int_equal((int8_t)p[64 + 2], w[16 * 10 + 2]);
    assert_int_equal((int8_t)p[64 + 4 + 2], 0);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry__every_family__has_ordered_rows_and_lookups),
        cmocka_unit_test(registry__choice_by_shape__keeps_to_the_level_and_wastes_little),
        cmocka_unit_test(registry__rows_without_types__are_those_that_fit),
        cmocka_unit_test(registry__list_hash__is_stable_within_a_process),
        cmocka_unit_test(qconv_pack__known_weights__lie_where_the_format_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
