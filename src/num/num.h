/* THE arithmetic of quantization (DESIGN 3, docs/numerics.md).  Nothing else in the tree rounds.
 *
 * All of it assumes round-to-nearest-even and no contraction (-ffp-contract=off); the runtime sets the mode on entry. */
#ifndef OCT_NUM_NUM_H
#define OCT_NUM_NUM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Round half to even to an integral float. */
static inline float oct_rne(float x) { return nearbyintf(x); }

/* The same for |x| < 2^22 as an integer: adding 1.5 * 2^23 leaves no fraction bits, so the addition itself rounds. Unlike
 * nearbyintf and fminf it is no library call and vectorises on every target; the comparisons below take NaN to lo. */
static inline int32_t oct_rne_small(float x) { return (int32_t)((x + 12582912.0f) - 12582912.0f); }
static inline float oct_clamp_nan_lo(float x, float lo, float hi)
{
    x = x > lo ? x : lo;
    return x < hi ? x : hi;
}

/* sat(rne(x / s) + z) into [lo, hi] as an integer; NaN gives z. s is finite and > 0, lo <= z <= hi, |lo|,|hi| <= 65,535.
 * The clamp happens before rounding, on limits that are integers: the same result, and no conversion can overflow. */
static inline int32_t oct_quantize(float x, float s, int32_t z, int32_t lo, int32_t hi)
{
    float q = x / s;
    if (q != q)
        return z;
    return oct_rne_small(oct_clamp_nan_lo(q, (float)(lo - z), (float)(hi - z))) + z;
}

static inline float oct_dequantize(int32_t q, float s, int32_t z) { return (float)(q - z) * s; }

/* The epilogue rule of DESIGN 3.5: t = (float)acc, r = t * m, q = clamp(rne(r) + z, lo, hi). */
static inline int32_t oct_requantize_f(float r, int32_t z, int32_t lo, int32_t hi)
{
    return oct_rne_small(oct_clamp_nan_lo(r, (float)(lo - z), (float)(hi - z))) + z;
}
static inline int32_t oct_requantize(int32_t acc, float m, int32_t z, int32_t lo, int32_t hi)
{
    return oct_requantize_f((float)acc * m, z, lo, hi);
}

/* Bias on the engine's grid: rne(b / (s_x * s_w)) in double (DESIGN 3.5); false when it is not within +-2^30, *q is untouched then. */
static inline bool oct_quantize_bias(float b, float s_x, float s_w, int32_t *q)
{
    double t = (double)b / ((double)s_x * (double)s_w);
    if (!(fabs(t) < 0x1p30))
        return false;
    *q = (int32_t)nearbyint(t);
    return true;
}

static inline uint32_t oct_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}
static inline float oct_f32_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* IEEE half and bfloat16; conversion to them rounds half to even, NaN stays NaN. */
float oct_f16_to_f32(uint16_t h);
uint16_t oct_f32_to_f16(float f);
static inline float oct_bf16_to_f32(uint16_t h) { return oct_f32_from_bits((uint32_t)h << 16); }
uint16_t oct_f32_to_bf16(float f);

/* Scale and zero point of a range (anchored in docs/numerics.md "range to scale"). lo <= hi finite; zero is included. */
typedef struct oct_qparams {
    float scale;
    int32_t zero;
} oct_qparams;
/* u8, zero in [0, 255]: s in double, stored fp32, z = rne(-lo/s). lossless widens s (at most 0.4 %) so that nothing in
 * [lo, hi] clips. An all-zero range gives s = 1, z = 0. */
oct_qparams oct_qparams_affine_u8(float lo, float hi, bool lossless);
/* s8, zero 0: s = max(|lo|, |hi|) / 127. */
oct_qparams oct_qparams_symmetric_s8(float lo, float hi);
/* u8, as ONNX's DynamicQuantizeLinear has it: all in fp32. lo, hi may be anything that a minimum and a maximum can be (infinite, or +inf and
 * -inf for no elements); a range whose scale is 0 gives s = 1, z = 0. */
oct_qparams oct_qparams_dynamic_u8(float lo, float hi);

#endif
