/* The span families for 64-bit Arm: quantize, dequantize, table, add and multiply; the rest of a span goes to the reference. */
#ifdef __aarch64__
#include <arm_neon.h>
#include <stdbool.h>
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE static inline __attribute__((always_inline))

typedef struct limits {
    float32x4_t lo, hi; /* less the zero point */
    int32x4_t zp;
} limits;
FORCE limits limits_of(int32_t z, int32_t lo, int32_t hi)
{
    return (limits){vdupq_n_f32((float)(lo - z)), vdupq_n_f32((float)(hi - z)), vdupq_n_s32(z)};
}
/* clamp(rne(v) + z): the clamp comes first, on integral limits; NaN gives lo, as in num.h. */
FORCE int32x4_t requantize4(float32x4_t v, limits l)
{
    v = vbslq_f32(vcgtq_f32(v, l.lo), v, l.lo);
    return vaddq_s32(vcvtnq_s32_f32(vminq_f32(v, l.hi)), l.zp);
}
FORCE void store8(uint8_t *y, int32x4_t a, int32x4_t b)
{
    vst1_u8(y, vqmovun_s16(vcombine_s16(vmovn_s32(a), vmovn_s32(b))));
}

FORCE int32x4_t quotients(const float *x, float32x4_t s, limits l, uint32x4_t *numbers)
{
    const float32x4_t v = vld1q_f32(x);
    const uint32x4_t number = vceqq_f32(v, v);
    *numbers = vsubq_u32(*numbers, number); /* a number's mask is -1 */
    return requantize4(vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(vdivq_f32(v, s)), number)), l);
}

int64_t oct_quantize_neon(const float *x, uint8_t *q, int64_t n, float s, int32_t z, int32_t lo, int32_t hi)
{
    const limits l = limits_of(z, lo, hi);
    const float32x4_t step = vdupq_n_f32(s);
    int64_t i = 0, nan = 0;
    for (; i + 8 <= n; i += 8) {
        uint32x4_t numbers = vdupq_n_u32(0);
        const int32x4_t a = quotients(x + i, step, l, &numbers), b = quotients(x + i + 4, step, l, &numbers);
        nan += 8 - (int64_t)vaddvq_u32(numbers);
        store8(q + i, a, b);
    }
    return nan + oct_quantize_ref(x + i, q + i, n - i, s, z, lo, hi);
}

/* 8 codes -> (float)(code - zero). */
FORCE void centered(const uint8_t *codes, int16x8_t zero, float32x4_t out[2])
{
    const int16x8_t v = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(codes))), zero);
    out[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(v)));
    out[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(v)));
}

void oct_dequantize_neon(const uint8_t *q, float *x, int64_t n, float s, int32_t z)
{
    const int16x8_t zero = vdupq_n_s16((int16_t)z);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t v[2];
        centered(q + i, zero, v);
        vst1q_f32(x + i, vmulq_n_f32(v[0], s));
        vst1q_f32(x + i + 4, vmulq_n_f32(v[1], s));
    }
    oct_dequantize_ref(q + i, x + i, n - i, s, z);
}

/* Four tables of 64 entries; a code outside of one gives 0 there. */
void oct_table_neon(const uint8_t *x, uint8_t *y, int64_t n, const uint8_t table[256])
{
    const uint8x16x4_t t0 = vld1q_u8_x4(table), t1 = vld1q_u8_x4(table + 64), t2 = vld1q_u8_x4(table + 128), t3 = vld1q_u8_x4(table + 192);
    const uint8x16_t part = vdupq_n_u8(64);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8x16_t c0 = vld1q_u8(x + i), c1 = vsubq_u8(c0, part), c2 = vsubq_u8(c1, part), c3 = vsubq_u8(c2, part);
        vst1q_u8(y + i, vorrq_u8(vorrq_u8(vqtbl4q_u8(t0, c0), vqtbl4q_u8(t1, c1)), vorrq_u8(vqtbl4q_u8(t2, c2), vqtbl4q_u8(t3, c3))));
    }
    oct_table_ref(x + i, y + i, n - i, table);
}

enum { ADD, MUL };

/* Returns how many codes are done. A product of two centered codes is below 2^16, so the float product is the integer one. */
FORCE int64_t span(const int OP, const uint8_t *a, const uint8_t *b, const bool one_b, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const limits l = limits_of(p->z, p->lo, p->hi);
    const int16x8_t za = vdupq_n_s16((int16_t)p->za), zb = vdupq_n_s16((int16_t)p->zb);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4_t u[2], v[2];
        int32x4_t r[2];
        centered(a + i, za, u);
        if (one_b)
            v[0] = v[1] = vdupq_n_f32((float)(b[0] - p->zb));
        else
            centered(b + i, zb, v);
        for (int h = 0; h < 2; h++) {
            if (OP == ADD)
                r[h] = requantize4(vaddq_f32(vmulq_n_f32(u[h], p->ma), vmulq_n_f32(v[h], p->mb)), l);
            else
                r[h] = requantize4(vmulq_n_f32(vmulq_f32(u[h], v[h]), p->ma), l);
        }
        store8(y + i, r[0], r[1]);
    }
    return i;
}

void oct_qadd_neon(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const int64_t i = b_step == 0 ? span(ADD, a, b, true, y, n, p) : span(ADD, a, b, false, y, n, p);
    oct_qadd_ref(a + i, b + i * b_step, b_step, y + i, n - i, p);
}

void oct_qmul_neon(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const int64_t i = b_step == 0 ? span(MUL, a, b, true, y, n, p) : span(MUL, a, b, false, y, n, p);
    oct_qmul_ref(a + i, b + i * b_step, b_step, y + i, n - i, p);
}
#endif
