/* The epilogues of the u8 x s8 families for one row of columns, in plain C: the definition that every variant must match byte
 * by byte (DESIGN 3.5). Used by the references; vector variants have their own form. */
#ifndef OCT_KERNELS_EPILOGUE_H
#define OCT_KERNELS_EPILOGUE_H

#include <math.h>
#include <stdbool.h>
#include "kernels/kernel.h"
#include "num/num.h"

/* Clamp of the float outputs: unlike the integer clamp it lets NaN through. */
static inline float oct_clamp_f32(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/* Codes may be converted to s32 before they are clamped: no sum times its scale, with a residual if there is one, can leave s32. scale has n entries. */
static inline bool oct_epilogue_is_small(const oct_qepilogue *e, const float *scale, int n)
{
    if (e->kind != OCT_EPI_U8 && e->kind != OCT_EPI_U8_RES)
        return false;
    const float limit = e->kind == OCT_EPI_U8 ? 1.0f : 0.5f; /* |(float)acc| <= 2^31 */
    for (int j = 0; j < n; j++)
        if (!(fabsf(scale[j]) < limit))
            return false;
    return e->kind == OCT_EPI_U8 || fabsf(e->res_scale) < 0x1p20f; /* |res - res_zp| <= 255 */
}

/* Bytes of a result. */
static inline int32_t oct_epilogue_size(const oct_qepilogue *e) { return e->kind == OCT_EPI_F32 || e->kind == OCT_EPI_S32 ? 4 : 1; }

/* acc[n] -> out (u8, f32 or s32 by kind); scale and fbias have n entries, res n codes (residual kinds only; may be out). */
static inline void oct_epilogue_row(const int32_t *restrict acc, int32_t n, const float *restrict scale,
                                    const float *restrict fbias, const oct_qepilogue *e, const uint8_t *res, void *out)
{
    uint8_t *u8 = out;
    float *f32 = out;
    int32_t *s32 = out;
    const int32_t zp = e->zp, lo = e->lo, hi = e->hi, res_zp = e->res_zp;
    const float res_scale = e->res_scale;
    switch (e->kind) {
    case OCT_EPI_U8:
        for (int32_t j = 0; j < n; j++)
            u8[j] = (uint8_t)oct_requantize(acc[j], scale[j], zp, lo, hi);
        break;
    case OCT_EPI_U8_RES:
        for (int32_t j = 0; j < n; j++)
            u8[j] = (uint8_t)oct_requantize_f((float)acc[j] * scale[j] + (float)(res[j] - res_zp) * res_scale, zp, lo, hi);
        break;
    case OCT_EPI_U8_RES_INNER:
        for (int32_t j = 0; j < n; j++) {
            int32_t q = oct_requantize(acc[j], scale[j], e->inner_zp, e->inner_lo, e->inner_hi);
            float v = (float)(q - e->inner_zp) * e->inner_scale;
            u8[j] = (uint8_t)oct_requantize_f(v + (float)(res[j] - res_zp) * res_scale, zp, lo, hi);
        }
        break;
    case OCT_EPI_U8_FBIAS:
        for (int32_t j = 0; j < n; j++)
            u8[j] = (uint8_t)oct_requantize_f((float)acc[j] * scale[j] + fbias[j], zp, lo, hi);
        break;
    case OCT_EPI_F32:
        for (int32_t j = 0; j < n; j++)
            f32[j] = oct_clamp_f32((float)acc[j] * scale[j] + fbias[j], e->flo, e->fhi);
        break;
    case OCT_EPI_S32:
        for (int32_t j = 0; j < n; j++)
            s32[j] = acc[j];
        break;
    }
}

#endif
