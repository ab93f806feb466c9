/* Which instruction-set level may be used, and the floating-point mode that all arithmetic assumes.  DESIGN 3.5, 6.3.
 *
 * The level is what CPUID offers and XCR0 says the operating system saves. It is read once: CPUID traps in a virtual
 * machine and then costs tens of microseconds. */
#include "cpu/cpu.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#else
#include <fenv.h>
#endif

static const char *const isa_names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512vnni", "neon"};

#if defined(__x86_64__) || defined(__i386__)
static bool all_set(uint32_t value, uint32_t bits) { return (value & bits) == bits; }

static uint64_t read_xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static oct_isa detect(void)
{
    const uint32_t fma_avx_f16c = 1u << 12 | 1u << 28 | 1u << 29, osxsave = 1u << 27;
    const uint32_t avx2_bmi2 = 1u << 5 | 1u << 8;
    const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    const uint32_t vbmi_vnni = 1u << 1 | 1u << 11;
    const uint64_t ymm_saved = 0x6, zmm_saved = 0xE6;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all_set(c, fma_avx_f16c | osxsave))
        return OCT_ISA_PORTABLE;
    uint64_t saved = read_xcr0();
    if ((saved & ymm_saved) != ymm_saved || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !all_set(b, avx2_bmi2))
        return OCT_ISA_PORTABLE;
    if ((saved & zmm_saved) != zmm_saved || !all_set(b, f_dq_bw_vl) || !all_set(c, vbmi_vnni))
        return OCT_ISA_AVX2;
    return OCT_ISA_AVX512VNNI;
}

static bool detect_bf16(void)
{
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && all_set(a, 1u << 5);
}
#else
#if defined(__aarch64__)
enum { HWCAP_DOT_PRODUCT = 1 << 20 }; /* Linux's HWCAP_ASIMDDP */
static oct_isa detect(void) { return getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCT ? OCT_ISA_NEON : OCT_ISA_PORTABLE; }
#else
static oct_isa detect(void) { return OCT_ISA_PORTABLE; }
#endif
static bool detect_bf16(void) { return false; }
#endif

oct_isa oct_cpu_detect(void)
{
    static _Atomic int level = -1; /* all threads compute the same value: a race only repeats the work */
    int l = atomic_load_explicit(&level, memory_order_relaxed);
    if (l < 0) {
        l = (int)detect();
        atomic_store_explicit(&level, l, memory_order_relaxed);
    }
    return (oct_isa)l;
}

oct_status oct_cpu_isa(oct_isa *out)
{
    oct_isa has = oct_cpu_detect();
    const char *wanted = getenv("OCTAVO_ISA");
    if (!wanted || !*wanted) {
        *out = has;
        return OCT_OK;
    }
    int level = oct_isa_parse(wanted);
    if (level < 0)
        return oct_fail(OCT_ERR_USAGE, "OCTAVO_ISA=%s is no level; the levels are portable, avx2, avx512vnni, neon", wanted);
    if (!oct_isa_runs(has, (oct_isa)level))
        return oct_fail(OCT_ERR_UNSUPPORTED, "OCTAVO_ISA=%s is above what this CPU has (%s)", wanted, isa_names[has]);
    *out = (oct_isa)level;
    return OCT_OK;
}

bool oct_cpu_has_bf16(void)
{
    oct_isa level = OCT_ISA_PORTABLE;
    return oct_cpu_isa(&level) == OCT_OK && level == OCT_ISA_AVX512VNNI && detect_bf16();
}

bool oct_isa_runs(oct_isa level, oct_isa code)
{
    return code == OCT_ISA_PORTABLE || code == level || (code == OCT_ISA_AVX2 && level == OCT_ISA_AVX512VNNI);
}

const char *oct_isa_name(oct_isa isa) { return (unsigned)isa < OCT_ISA_COUNT ? isa_names[isa] : "unknown"; }

int oct_isa_parse(const char *name)
{
    for (int i = 0; i < OCT_ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0)
            return i;
    return -1;
}

#if defined(__x86_64__) || defined(__i386__)
/* Leaves 0x80000002 to 0x80000004 hold 48 characters. */
static void read_model(char out[OCT_CPU_MODEL_MAX])
{
    uint32_t r[12] = {0};
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]))
            return;
    memcpy(out, r, sizeof r);
}
#else
static void read_model(char out[OCT_CPU_MODEL_MAX]) { (void)out; }
#endif

void oct_cpu_model(char out[OCT_CPU_MODEL_MAX])
{
    char raw[OCT_CPU_MODEL_MAX] = {0};
    size_t length = 0;
    read_model(raw);
    for (const char *p = raw; *p; p++) /* runs of blanks to one, none at the ends */
        if (*p > ' ' && *p < 127)
            out[length++] = *p;
        else if (length && p[1] > ' ')
            out[length++] = ' ';
    out[length] = 0;
    if (!length)
        memcpy(out, "unknown", sizeof "unknown");
}

/* --- floating-point mode: round to nearest even, denormals kept, exceptions masked --- */

#if defined(__x86_64__) || defined(__i386__)
oct_fpenv oct_fpenv_enter(void)
{
    oct_fpenv saved = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return saved;
}

void oct_fpenv_leave(oct_fpenv saved) { _mm_setcsr(saved); }
#elif defined(__aarch64__)
oct_fpenv oct_fpenv_enter(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return (oct_fpenv)saved;
}

void oct_fpenv_leave(oct_fpenv saved) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)saved)); }
#else
oct_fpenv oct_fpenv_enter(void)
{
    int saved = fegetround();
    fesetround(FE_TONEAREST);
    return (oct_fpenv)saved;
}

void oct_fpenv_leave(oct_fpenv saved) { fesetround((int)saved); }
#endif
