/* The most multiply-accumulates a core of this machine can do: a loop that touches registers only.  The yardstick of `bench
 * --profile` and of bench_kernels. Independent chains hide the latency of the instruction. AVX-512: an operation is 64 (vpdpbusd) or 16
 * (fma) MACs. AVX2 has no exact operation on bytes: vpmaddwd and vpaddd are 16 MACs, an fma is 8. */
#include "base/clock.h"
#include "cpu/cpu.h"

enum { LOOPS = 50000, CHAIN_COUNT = 24, INT8_MACS = 64, F32_MACS = 16 };
enum { LOOPS_AVX2 = 150000, CHAIN_COUNT_AVX2 = 10, INT8_MACS_AVX2 = 16, F32_MACS_AVX2 = 8 };

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

#define FMA(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define MADD(i, t) "vpmaddwd %%ymm14, %%ymm15, %%ymm" #t "\n\tvpaddd %%ymm" #t ", %%ymm" #i ", %%ymm" #i "\n\t"
#define PEAK_AVX2(name, chains)                                                                                                    \
    __attribute__((target("avx2,fma"))) static void name(int64_t loops)                                                            \
    {                                                                                                                              \
        __asm__ volatile("vpxor %%ymm14, %%ymm14, %%ymm14\n\tvpxor %%ymm15, %%ymm15, %%ymm15\n\t"                                  \
                         "1:\n\t" chains "sub $1, %0\n\tjnz 1b\n\tvzeroupper"                                                      \
                         : "+r"(loops)                                                                                             \
                         :                                                                                                         \
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",       \
                           "xmm12", "xmm13", "xmm14", "xmm15", "cc");                                                              \
    }
PEAK_AVX2(peak_int8_avx2, MADD(0, 10) MADD(1, 11) MADD(2, 12) MADD(3, 13) MADD(4, 10) MADD(5, 11) MADD(6, 12) MADD(7, 13) MADD(8, 10)
                              MADD(9, 11))
PEAK_AVX2(peak_f32_avx2, FMA(0) FMA(1) FMA(2) FMA(3) FMA(4) FMA(5) FMA(6) FMA(7) FMA(8) FMA(9))
#endif

double oct_cpu_peak(oct_isa isa, bool int8)
{
#ifdef __x86_64__
    if (isa == OCT_ISA_AVX512VNNI && oct_cpu_detect() == OCT_ISA_AVX512VNNI) {
        double begin = oct_now();
        int8 ? peak_int8(LOOPS) : peak_f32(LOOPS);
        return (double)LOOPS * CHAIN_COUNT * (int8 ? INT8_MACS : F32_MACS) / (oct_now() - begin) * 1e-9;
    }
    if (isa == OCT_ISA_AVX2 && oct_isa_runs(oct_cpu_detect(), OCT_ISA_AVX2)) {
        double begin = oct_now();
        int8 ? peak_int8_avx2(LOOPS_AVX2) : peak_f32_avx2(LOOPS_AVX2);
        return (double)LOOPS_AVX2 * CHAIN_COUNT_AVX2 * (int8 ? INT8_MACS_AVX2 : F32_MACS_AVX2) / (oct_now() - begin) * 1e-9;
    }
#endif
    return 0;
}
