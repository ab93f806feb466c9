/* CPU levels.  CPUID and XCR0 are read once; OCTAVO_ISA=portable|avx2|avx512vnni|neon lowers the level (tests).  DESIGN 6.3.
 *
 * Levels are bundles, not CPUID bits: avx512vnni means F, BW, VL, DQ, VBMI and VNNI together; neon means 64-bit Arm with the dot
 * product (FEAT_DotProd). Not each level includes those before it: neon includes portable only. */
#ifndef OCT_CPU_CPU_H
#define OCT_CPU_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef enum oct_isa {
    OCT_ISA_PORTABLE = 0,
    OCT_ISA_AVX2 = 1,
    OCT_ISA_AVX512VNNI = 2,
    OCT_ISA_NEON = 3,
    OCT_ISA_COUNT
} oct_isa;

/* What the CPU and the operating system can run. */
oct_isa oct_cpu_detect(void);
/* The level in force: the detected one, or the lower one of OCTAVO_ISA. UNSUPPORTED when the CPU has not what OCTAVO_ISA
 * asks for, USAGE when it is no level. Read at every call (cheap), so that tests may change it. */
oct_status oct_cpu_isa(oct_isa *out);
/* The CPU multiplies pairs of bfloat16 and sums them in float32 (AVX512_BF16), and the level in force has these registers. */
bool oct_cpu_has_bf16(void);
/* Code of level `code` runs where `level` is in force. */
bool oct_isa_runs(oct_isa level, oct_isa code);
const char *oct_isa_name(oct_isa isa);
/* -1 when the name is no level. */
int oct_isa_parse(const char *name);

/* The CPU's own name for its model, blanks trimmed ("unknown" when it has none): measured times hold for one model only. */
enum { OCT_CPU_MODEL_MAX = 64 };
void oct_cpu_model(char out[OCT_CPU_MODEL_MAX]);
/* GMAC/s that one core can do at most with the instructions of a level, u8 x s8 or f32: measured, half a millisecond. 0 where there is no
 * loop for the level. Other programs on the core lower the figure: take the best of several. */
double oct_cpu_peak(oct_isa isa, bool int8);

/* Rounding to nearest even and denormals on, as every number of this library assumes; returns what to restore. */
typedef unsigned oct_fpenv;
oct_fpenv oct_fpenv_enter(void);
void oct_fpenv_leave(oct_fpenv saved);

#endif
