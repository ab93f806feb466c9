/* Spans f32 -> u8 and back in plain C: oracle and portable tactic of both families.  DESIGN 3.1. */
#include "kernels/kernel.h"

#include "kernels/rows.h"
#include "num/num.h"

int64_t oct_quantize_ref(const float *restrict x, uint8_t *restrict q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi)
{
    int64_t nan = 0;
    for (int64_t i = 0; i < n; i++) {
        nan += x[i] != x[i];
        q[i] = (uint8_t)oct_quantize(x[i], s, z, lo, hi);
    }
    return nan;
}

void oct_dequantize_ref(const uint8_t *restrict q, float *restrict x, int64_t n, float s, int32_t z)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = oct_dequantize(q[i], s, z);
}
