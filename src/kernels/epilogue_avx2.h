/* oct_epilogue_row once for all AVX2 kernels: their rare epilogues, out of line because the library is to stay small. */
#ifndef OCT_KERNELS_EPILOGUE_AVX2_H
#define OCT_KERNELS_EPILOGUE_AVX2_H

#include "kernels/kernel.h"

void oct_epilogue_row_avx2(const int32_t *acc, int32_t n, const float *scale, const float *fbias, const oct_qepilogue *e, const uint8_t *res, void *out);

#endif
