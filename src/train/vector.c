/* The loops of vector.h for any processor, and the choice of a table. */
#define OCT_VECTOR oct_vector_portable
#include "train/vector_loops.inc"

#include "cpu/cpu.h"

const oct_vector_ops *oct_vector(void)
{
    static const oct_vector_ops *chosen;
    const oct_vector_ops *v = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    oct_isa isa = OCT_ISA_PORTABLE;
    if (v)
        return v;
#if defined(__x86_64__)
    v = oct_cpu_isa(&isa) == OCT_OK && oct_isa_runs(isa, OCT_ISA_AVX2) ? &oct_vector_avx2 : &oct_vector_portable;
#else
    v = &oct_vector_portable;
#endif
    __atomic_store_n(&chosen, v, __ATOMIC_RELAXED);
    return v;
}
