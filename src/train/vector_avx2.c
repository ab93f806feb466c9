/* The loops of vector.h for AVX2. */
#define OCT_VECTOR oct_vector_avx2
#include "train/vector_loops.inc"
