/* Levels and the floating-point mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fenv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"

static void isa__environment__lowers_but_never_raises(void **state)
{
    (void)state;
    oct_isa has = oct_cpu_detect(), isa = OCT_ISA_COUNT;
    unsetenv("OCTAVO_ISA");
    assert_int_equal(oct_cpu_isa(&isa), OCT_OK);
    assert_int_equal(isa, has);
    for (int level = 0; level < OCT_ISA_COUNT; level++) {
        setenv("OCTAVO_ISA", oct_isa_name((oct_isa)level), 1);
        isa = OCT_ISA_COUNT;
        if (oct_isa_runs(has, (oct_isa)level)) {
            assert_int_equal(oct_cpu_isa(&isa), OCT_OK);
            assert_int_equal(isa, level);
        } else {
            assert_int_equal(oct_cpu_isa(&isa), OCT_ERR_UNSUPPORTED);
            assert_int_equal(isa, OCT_ISA_COUNT);
        }
    }
    setenv("OCTAVO_ISA", "sse9", 1);
    assert_int_equal(oct_cpu_isa(&isa), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "sse9"));
    setenv("OCTAVO_ISA", "", 1);
    assert_int_equal(oct_cpu_isa(&isa), OCT_OK);
    assert_int_equal(isa, has);
    unsetenv("OCTAVO_ISA");
}

static void isa__names__parse_back(void **state)
{
    (void)state;
    for (int level = 0; level < OCT_ISA_COUNT; level++)
        assert_int_equal(oct_isa_parse(oct_isa_name((oct_isa)level)), level);
    assert_int_equal(oct_isa_parse("AVX2"), -1);
    assert_int_equal(oct_isa_parse(""), -1);
    assert_string_equal(oct_isa_name((oct_isa)77), "unknown");
}

static void detect__this_machine__agrees_with_the_compiler(void **state)
{
    (void)state;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool vnni = avx2 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    assert_int_equal(oct_cpu_detect(), vnni ? OCT_ISA_AVX512VNNI : avx2 ? OCT_ISA_AVX2 : OCT_ISA_PORTABLE);
#elif !defined(__aarch64__)
    assert_int_equal(oct_cpu_detect(), OCT_ISA_PORTABLE);
#endif
}

static void isa_runs__levels__include_what_they_say(void **state)
{
    (void)state;
    for (int level = 0; level < OCT_ISA_COUNT; level++)
        assert_true(oct_isa_runs((oct_isa)level, OCT_ISA_PORTABLE) && oct_isa_runs((oct_isa)level, (oct_isa)level));
    assert_true(oct_isa_runs(OCT_ISA_AVX512VNNI, OCT_ISA_AVX2));
    assert_false(oct_isa_runs(OCT_ISA_AVX2, OCT_ISA_AVX512VNNI));
    assert_false(oct_isa_runs(OCT_ISA_NEON, OCT_ISA_AVX2));
    assert_false(oct_isa_runs(OCT_ISA_AVX512VNNI, OCT_ISA_NEON));
}

static void fpenv__caller_rounds_upward__nearest_inside_and_restored(void **state)
{
    (void)state;
    volatile float one = 1, little = 0x1p-30f;
    assert_int_equal(fesetround(FE_UPWARD), 0);
    float up = one + little;
    oct_fpenv saved = oct_fpenv_enter();
    float nearest = one + little;
    volatile float tiny = 0x1p-126f;
    tiny *= 0.5f;
    oct_fpenv_leave(saved);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    assert_int_equal(mode, FE_UPWARD);
    assert_true(nearest == 1);
    assert_true(up > nearest);
    assert_true(tiny == 0x1p-127f);
}

#if defined(__x86_64__)
static void fpenv__denormals_flushed_by_caller__kept_inside(void **state)
{
    (void)state;
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040); /* FTZ, DAZ */
    volatile float tiny = 0x1p-126f;
    oct_fpenv saved = oct_fpenv_enter();
    volatile float kept = tiny * 0.5f;
    oct_fpenv_leave(saved);
    volatile float flushed = tiny * 0.5f;
    __builtin_ia32_ldmxcsr(before);
    assert_true(kept == 0x1p-127f);
    assert_true(flushed == 0);
}
#endif

static void model__asked_twice__one_printable_line(void **state)
{
    char a[OCT_CPU_MODEL_MAX], b[OCT_CPU_MODEL_MAX];
    (void)state;
    oct_cpu_model(a);
    oct_cpu_model(b);
    assert_string_equal(a, b);
    assert_true(a[0] > ' ' && a[strlen(a) - 1] > ' ');
    assert_null(strstr(a, "  "));
    for (const char *c = a; *c; c++)
        assert_in_range(*c, ' ', 126);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isa__environment__lowers_but_never_raises), cmocka_unit_test(isa__names__parse_back),
        cmocka_unit_test(isa_runs__levels__include_what_they_say),
        cmocka_unit_test(detect__this_machine__agrees_with_the_compiler),
        cmocka_unit_test(model__asked_twice__one_printable_line),
        cmocka_unit_test(fpenv__caller_rounds_upward__nearest_inside_and_restored),
#if defined(__x86_64__)
        cmocka_unit_test(fpenv__denormals_flushed_by_caller__kept_inside),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
