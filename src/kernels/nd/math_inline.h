/* The transcendental functions of the float path, one value each, as branch-free inline code that compilers vectorise.
 *
 * A fixed order of single multiplications and additions (never an fma), so every ISA level and every loop around them gives the
 * same bits (DESIGN 3.7). The polynomials are minimax fits, weighted by the relative error of the result, made for these ranges.
 * The bounds stated here are swept by tests/unit/kernels/test_nd_math.c. Not for 8-bit codes: those go through tables
 * (DESIGN 3.6). */
#ifndef OCT_KERNELS_ND_MATH_INLINE_H
#define OCT_KERNELS_ND_MATH_INLINE_H

#include "num/num.h"

#define OCT_MAGIC  12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */
#define OCT_LN2_HI 0.693359375f
#define OCT_LN2_LO (-2.12194440e-4f)

static inline float oct_select(int c, float a, float b) { return c ? a : b; }
static inline float oct_copysign(float magnitude, float sign)
{
    return oct_f32_from_bits((oct_f32_bits(magnitude) & 0x7fffffffu) | (oct_f32_bits(sign) & 0x80000000u));
}
static inline float oct_abs(float x) { return oct_f32_from_bits(oct_f32_bits(x) & 0x7fffffffu); }

/* Comparisons are written so that NaN passes. */
static inline float oct_clip_inline(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* x = n ln 2 + r, |r| <= 0.35: returns e^r - 1 and n. The integer comes from the bits, so that NaN converts nothing. */
static inline float oct_exp_reduce(float x, uint32_t *n)
{
    const float t = x * 1.44269504f + OCT_MAGIC, k = t - OCT_MAGIC;
    const float r = (x - k * OCT_LN2_HI) - k * OCT_LN2_LO;
    float p = 0.00138144672f;
    p = p * r + 0.00836878084f;
    p = p * r + 0.0416683927f;
    p = p * r + 0.166665196f;
    p = p * r + 0.49999994f;
    *n = oct_f32_bits(t) - 0x4B400000u;
    return p * (r * r) + r;
}
/* 2^n for -126 <= n <= 127 */
static inline float oct_pow2(uint32_t n) { return oct_f32_from_bits((n + 127u) << 23); }

/* <= 2 ulp; overflows to infinity and underflows through the denormals. */
static inline float oct_exp_inline(float x)
{
    uint32_t n;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float p = 1.0f + oct_exp_reduce(x, &n);
    const uint32_t half = (uint32_t)((int32_t)n >> 1); /* 2^n in two factors: n reaches -150 and 128 */
    return p * oct_pow2(half) * oct_pow2(n - half);
}

/* e^x - 1 for x <= 0, <= 3 ulp. */
static inline float oct_expm1_neg_inline(float x)
{
    uint32_t n;
    x = x < -30.0f ? -30.0f : x;
    const float p = oct_exp_reduce(x, &n), s = oct_pow2(n);
    return s * p + (s - 1.0f);
}

/* <= 2 ulp; 0 gives -infinity, below 0 NaN. */
static inline float oct_log_inline(float x)
{
    const int tiny = x < 1.17549435e-38f;
    const float y = x * oct_select(tiny, 8388608.0f, 1.0f);
    /* y = 2^e * m with m in [sqrt(1/2), sqrt(2)) */
    const uint32_t bits = oct_f32_bits(y), shifted = bits - 0x3f3504f3u;
    const float e = (float)((int32_t)shifted >> 23) - oct_select(tiny, 23.0f, 0.0f);
    const float f = oct_f32_from_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float p = -0.0763449743f;
    p = p * f + 0.12761578f;
    p = p * f + -0.131601825f;
    p = p * f + 0.142017573f;
    p = p * f + -0.166233569f;
    p = p * f + 0.200012267f;
    p = p * f + -0.250008196f;
    p = p * f + 0.333333313f;
    const float z = f * f;
    float r = (p * f) * z + e * OCT_LN2_LO;
    r = r - 0.5f * z;
    r = (f + r) + e * OCT_LN2_HI;
    r = oct_select(x == 0.0f, oct_f32_from_bits(0xff800000u), r);
    r = oct_select(x < 0.0f, oct_f32_from_bits(0x7fc00000u), r);
    r = oct_select(x > 3.40282347e38f, x, r);
    return oct_select(x != x, x, r);
}

/* log(1 + x) for 0 <= x <= 1, <= 4 ulp: the rounding of 1 + x is put right by the factor x / ((1 + x) - 1). */
static inline float oct_log1p_unit_inline(float x)
{
    const float u = 1.0f + x, d = u - 1.0f;
    const float y = oct_log_inline(u) * (x / oct_select(d == 0.0f, 1.0f, d));
    return oct_select(d == 0.0f, x, y);
}

/* <= 3 ulp. */
static inline float oct_tanh_inline(float x)
{
    const float a = oct_abs(x), z = x * x;
    float p = -0.00570498686f;
    p = p * z + 0.020639088f;
    p = p * z + -0.0537397154f;
    p = p * z + 0.133314416f;
    p = p * z + -0.333332807f;
    const float small = (p * z) * a + a;
    const float large = 1.0f - 2.0f / (oct_exp_inline(a + a) + 1.0f);
    return oct_copysign(oct_select(a < 0.625f, small, large), x);
}

/* <= 4 ulp, the denormal tail included. */
static inline float oct_sigmoid_inline(float x)
{
    const float e = oct_exp_inline(-oct_abs(x)), r = 1.0f / (1.0f + e);
    return oct_select(x < 0.0f, e * r, r);
}

/* <= 7 ulp: x*P(x^2)/Q(x^2) up to 3.92, where 1 is nearest; all coefficients positive, so nothing cancels. */
static inline float oct_erf_inline(float x)
{
    const float a = oct_abs(x), c = oct_clip_inline(x, -3.92f, 3.92f), z = c * c;
    float p = 2.05008492e-06f;
    p = p * z + 0.000284883853f;
    p = p * z + 0.00376565355f;
    p = p * z + 0.0527488364f;
    p = p * z + 0.190407279f;
    p = p * z + 1.12837915f;
    float q = 3.80917498e-05f;
    q = q * z + 0.00116254497f;
    q = q * z + 0.0149692894f;
    q = q * z + 0.114109453f;
    q = q * z + 0.502076798f;
    q = q * z + 1.0f;
    const float r = oct_clip_inline(c * p / q, -1.0f, 1.0f);
    return oct_select(a >= 3.92f, oct_copysign(1.0f, x), r);
}

static inline float oct_gelu_inline(float x) { return (0.5f * x) * (1.0f + oct_erf_inline(x * 0.707106781f)); }
static inline float oct_gelu_tanh_inline(float x)
{
    return (0.5f * x) * (1.0f + oct_tanh_inline(0.797884561f * (x + 0.044715f * (x * x * x))));
}
static inline float oct_silu_inline(float x) { return x * oct_sigmoid_inline(x); }
static inline float oct_softplus_inline(float x)
{
    return oct_select(x > 0.0f, x, 0.0f) + oct_log1p_unit_inline(oct_exp_inline(-oct_abs(x)));
}
static inline float oct_elu_inline(float x, float alpha)
{
    return oct_select(x > 0.0f, x, alpha * oct_expm1_neg_inline(oct_select(x > 0.0f, 0.0f, x)));
}

static inline float oct_hard_sigmoid_inline(float x, float alpha, float beta)
{
    return oct_clip_inline(alpha * x + beta, 0.0f, 1.0f);
}
static inline float oct_hard_swish_inline(float x) { return x * oct_clip_inline(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f); }

#endif
