/* The four pool families for 64-bit Arm: vectors over channels; the rest of the channels one by one. */
#ifdef __aarch64__
#include <arm_neon.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"
#include "num/num.h"

void oct_maxpool_u8_neon(const uint8_t *const *taps, int32_t tap_count, int64_t c, uint8_t *y)
{
    int64_t first = 0;
    for (; first + 16 <= c; first += 16) {
        uint8x16_t best = vld1q_u8(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            best = vmaxq_u8(best, vld1q_u8(taps[t] + first));
        vst1q_u8(y + first, best);
    }
    for (; first < c; first++) {
        uint8_t best = taps[0][first];
        for (int32_t t = 1; t < tap_count; t++)
            best = taps[t][first] > best ? taps[t][first] : best;
        y[first] = best;
    }
}

void oct_maxpool_f32_neon(const float *const *taps, int32_t tap_count, int64_t c, float *y)
{
    int64_t first = 0;
    for (; first + 4 <= c; first += 4) {
        float32x4_t best = vld1q_f32(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++) { /* x > best ? x : best, as the reference does it with NaN */
            const float32x4_t x = vld1q_f32(taps[t] + first);
            best = vbslq_f32(vcgtq_f32(x, best), x, best);
        }
        vst1q_f32(y + first, best);
    }
    for (; first < c; first++) {
        float best = taps[0][first];
        for (int32_t t = 1; t < tap_count; t++)
            best = taps[t][first] > best ? taps[t][first] : best;
        y[first] = best;
    }
}

void oct_avgpool_u8_neon(const uint8_t *const *taps, int32_t tap_count, int64_t c, int32_t zx, float m, int32_t z, int32_t lo, int32_t hi,
                         uint8_t *y)
{
    const int32_t start = -tap_count * zx;
    int64_t first = 0;
    for (; first + 8 <= c; first += 8) {
        int32x4_t low = vdupq_n_s32(start), high = low;
        int32_t sums[8];
        for (int32_t t = 0; t < tap_count; t++) {
            const int16x8_t x = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(taps[t] + first)));
            low = vaddw_s16(low, vget_low_s16(x));
            high = vaddw_s16(high, vget_high_s16(x));
        }
        vst1q_s32(sums, low);
        vst1q_s32(sums + 4, high);
        for (int j = 0; j < 8; j++)
            y[first + j] = (uint8_t)oct_requantize(sums[j], m, z, lo, hi);
    }
    for (; first < c; first++) {
        int32_t sum = start;
        for (int32_t t = 0; t < tap_count; t++)
            sum += taps[t][first];
        y[first] = (uint8_t)oct_requantize(sum, m, z, lo, hi);
    }
}

void oct_avgpool_f32_neon(const float *const *taps, int32_t tap_count, int64_t c, float m, float *y)
{
    int64_t first = 0;
    for (; first + 4 <= c; first += 4) {
        float32x4_t sum = vld1q_f32(taps[0] + first);
        for (int32_t t = 1; t < tap_count; t++)
            sum = vaddq_f32(sum, vld1q_f32(taps[t] + first));
        vst1q_f32(y + first, vmulq_n_f32(sum, m));
    }
    for (; first < c; first++) {
        float sum = taps[0][first];
        for (int32_t t = 1; t < tap_count; t++)
            sum += taps[t][first];
        y[first] = sum * m;
    }
}
#endif
