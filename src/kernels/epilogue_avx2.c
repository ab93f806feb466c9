/* See epilogue_avx2.h: the definition of epilogue.h, compiled for AVX2. */
#include "kernels/epilogue_avx2.h"

#include "kernels/epilogue.h"

void oct_epilogue_row_avx2(const int32_t *acc, int32_t n, const float *scale, const float *fbias, const oct_qepilogue *e, const uint8_t *res, void *out)
{
    oct_epilogue_row(acc, n, scale, fbias, e, res, out);
}
