/* Max and average over the taps of one output pixel in plain C: oracle and portable tactic of the four pool families.
 * DESIGN 3.7. Channels are cut into blocks so that the sums stay in a small array. */
#include "kernels/kernel.h"

#include <string.h>
#include "kernels/rows.h"
#include "num/num.h"

enum { BLOCK = 128 };

static inline int64_t block_size(int64_t c, int64_t first)
{
    return c - first < BLOCK ? c - first : BLOCK;
}

void oct_maxpool_u8_ref(const uint8_t *const *taps, int32_t tap_count, int64_t c, uint8_t *y)
{
    for (int64_t first = 0; first < c; first += BLOCK) {
        const int64_t n = block_size(c, first);
        uint8_t best[BLOCK];
        memcpy(best, taps[0] + first, (size_t)n);
        for (int32_t t = 1; t < tap_count; t++) {
            const uint8_t *x = taps[t] + first;
            for (int64_t j = 0; j < n; j++)
                best[j] = x[j] > best[j] ? x[j] : best[j];
        }
        memcpy(y + first, best, (size_t)n);
    }
}

void oct_maxpool_f32_ref(const float *const *taps, int32_t tap_count, int64_t c, float *y)
{
    for (int64_t first = 0; first < c; first += BLOCK) {
        const int64_t n = block_size(c, first);
        float best[BLOCK];
        memcpy(best, taps[0] + first, sizeof(float) * (size_t)n);
        for (int32_t t = 1; t < tap_count; t++) {
            const float *x = taps[t] + first;
            for (int64_t j = 0; j < n; j++)
                best[j] = x[j] > best[j] ? x[j] : best[j];
        }
        memcpy(y + first, best, sizeof(float) * (size_t)n);
    }
}

void oct_avgpool_u8_ref(const uint8_t *const *taps, int32_t tap_count, int64_t c, int32_t zx, float m, int32_t z, int32_t lo,
                        int32_t hi, uint8_t *y)
{
    for (int64_t first = 0; first < c; first += BLOCK) {
        const int64_t n = block_size(c, first);
        int32_t sum[BLOCK];
        for (int64_t j = 0; j < n; j++)
            sum[j] = -tap_count * zx;
        for (int32_t t = 0; t < tap_count; t++) {
            const uint8_t *x = taps[t] + first;
            for (int64_t j = 0; j < n; j++)
                sum[j] += x[j];
        }
        for (int64_t j = 0; j < n; j++)
            y[first + j] = (uint8_t)oct_requantize(sum[j], m, z, lo, hi);
    }
}

void oct_avgpool_f32_ref(const float *const *taps, int32_t tap_count, int64_t c, float m, float *y)
{
    for (int64_t first = 0; first < c; first += BLOCK) {
        const int64_t n = block_size(c, first);
        float sum[BLOCK];
        memcpy(sum, taps[0] + first, sizeof(float) * (size_t)n);
        for (int32_t t = 1; t < tap_count; t++) {
            const float *x = taps[t] + first;
            for (int64_t j = 0; j < n; j++)
                sum[j] += x[j];
        }
        for (int64_t j = 0; j < n; j++)
            y[first + j] = sum[j] * m;
    }
}
