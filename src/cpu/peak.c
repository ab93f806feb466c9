/* The most multiply-accumulates a core of this machine can do: a loop that touches registers only.  The yardstick of `bench
 * --profile` and of bench_kernels. 24 independent chains hide the latency of the instruction; an operation is 64 (vpdpbusd) or 16
 * (fma) MACs. */
#include "base/clock.h"
#include "cpu/cpu.h"

enum { LOOPS = 50000, CHAIN_COUNT = 24, INT8_MACS = 64, F32_MACS = 16 };

#ifdef __x86_64__
#define CHAIN(op, i) op " %%zmm30, %%zmm31, %%zmm" #i "\n\t"
#define CHAINS(op)                                                                                                                 \
    CHAIN(op, 0)                                                                                                                   \
    CHAIN(op, 1)                                                                                                                   \
    CHAIN(op, 2) CHAIN(op, 3) CHAIN(op, 4) CHAIN(op, 5) CHAIN(op, 6) CHAIN(op, 7) CHAIN(op, 8) CHAIN(op, 9) CHAIN(op, 10)          \
        CHAIN(op, 11) CHAIN(op, 12) CHAIN(op, 13) CHAIN(op, 14) CHAIN(op, 15) CHAIN(op, 16) CHAIN(op, 17) CHAIN(op, 18)            \
            CHAIN(op, 19) CHAIN(op, 20) CHAIN(op, 21) CHAIN(op, 22) CHAIN(op, 23)
#define PEAK(name, op)                                                                                                             \
    __attribute__((target("avx512f,avx512vnni"))) static void name(int64_t loops)                                                  \
    {                                                                                                                              \
        __asm__ volatile("vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31\n\t"                                \
                         "1:\n\t" CHAINS(op) "sub $1, %0\n\tjnz 1b\n\tvzeroupper"                                                  \
                         : "+r"(loops)                                                                                             \
                         :                                                                                                         \
                         : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", "zmm11",       \
                           "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22",      \
                           "zmm23", "zmm30", "zmm31", "cc");                                                                       \
    }
PEAK(peak_int8, "vpdpbusd")
PEAK(peak_f32, "vfmadd231ps")

#endif

double oct_cpu_peak(oct_isa isa, bool int8)
{
#ifdef __x86_64__
    if (isa == OCT_ISA_AVX512VNNI && oct_cpu_detect() >= OCT_ISA_AVX512VNNI) {
        double begin = oct_now();
        int8 ? peak_int8(LOOPS) : peak_f32(LOOPS);
        return (double)LOOPS * CHAIN_COUNT * (int8 ? INT8_MACS : F32_MACS) / (oct_now() - begin) * 1e-9;
    }
#endif
    return 0;
}
