/* The parts of the arithmetic that are no one-liners: half precision, and from a range to scale and zero point.
 * docs/numerics.md; DESIGN 3.1-3.3. */
#include "num/num.h"

/* s_x * s_w stays a normal float while every scale keeps within these bounds. */
#define SCALE_MIN 0x1p-62
#define SCALE_MAX 0x1p+62

float oct_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    if (exponent == 31)
        return oct_f32_from_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f; /* exact: at most 10 bits */
        return sign ? -f : f;
    }
    return oct_f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t oct_f32_to_f16(float f)
{
    uint32_t u = oct_f32_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7FFFFFFFu;
    if (a > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00 | (a >> 13 & 0x3FF));
    if (a >= 0x477FF000u) /* 65,520 and above round to infinity */
        return (uint16_t)(sign | 0x7C00);
    if (a < 0x38800000u) {
        /* Below 2^-14 the result is a multiple of 2^-24: adding 0.5 leaves exactly these bits, and the addition rounds. */
        float r = oct_f32_from_bits(a) + 0.5f;
        return (uint16_t)(sign | (oct_f32_bits(r) - 0x3F000000u));
    }
    a += 0xFFF + (a >> 13 & 1); /* half to even; a carry runs into the exponent, as it shall */
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

uint16_t oct_f32_to_bf16(float f)
{
    uint32_t u = oct_f32_bits(f);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static float scale_of(double s)
{
    s = s < SCALE_MIN ? SCALE_MIN : s;
    return (float)(s > SCALE_MAX ? SCALE_MAX : s);
}

/* The smallest scale with which zero code z covers [lo, hi]; -1 when z leaves no codes for one side. lo <= 0 <= hi. */
static double covering_scale(double lo, double hi, int32_t z)
{
    if (z > 255 || (lo < 0 && z <= 0) || (hi > 0 && z >= 255))
        return -1;
    double below = lo < 0 ? -lo / z : 0, above = hi > 0 ? hi / (255 - z) : 0;
    return below > above ? below : above;
}

oct_qparams oct_qparams_affine_u8(float min, float max, bool lossless)
{
    double lo = min < 0 ? (double)min : 0, hi = max > 0 ? (double)max : 0;
    if (!(hi > lo))
        return (oct_qparams){1.0f, 0};
    double s = (hi - lo) / 255;
    if (lossless) {
        /* Rounding z shifts the grid by up to half a step; of the two neighbouring z take the one that widens s less. */
        int32_t k = (int32_t)floor(-lo / s);
        double s0 = covering_scale(lo, hi, k), s1 = covering_scale(lo, hi, k + 1);
        bool second = s0 < 0 || (s1 >= 0 && s1 < s0);
        double best = second ? s1 : s0;
        float stored = scale_of(best);
        if (best >= SCALE_MIN && best <= SCALE_MAX)
            return (oct_qparams){stored, second ? k + 1 : k};
        s = best;
    }
    float stored = scale_of(s);
    double z = rint(-lo / (double)stored);
    return (oct_qparams){stored, z < 0 ? 0 : z > 255 ? 255 : (int32_t)z};
}

oct_qparams oct_qparams_symmetric_s8(float lo, float hi)
{
    double a = fabs((double)lo), b = fabs((double)hi), amax = a > b ? a : b;
    if (!(amax > 0))
        return (oct_qparams){1.0f, 0};
    return (oct_qparams){scale_of(amax / 127), 0};
}

oct_qparams oct_qparams_dynamic_u8(float lo, float hi)
{
    lo = lo < 0 ? lo : 0;
    hi = hi > 0 ? hi : 0;
    const float scale = (hi - lo) / 255.0f;
    if (!(scale > 0))
        return (oct_qparams){1.0f, 0};
    return (oct_qparams){scale, oct_rne_small(oct_clamp_nan_lo(0.0f - lo / scale, 0, 255))};
}
