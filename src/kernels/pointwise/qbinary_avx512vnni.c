/* Add and multiply of two spans of u8 codes for AVX-512.  DESIGN 3.5.
 *
 * 64 codes at a time while the factors are so small that no value can leave s32 before the clamp, else 16 at a time with the
 * clamp in float first. A product of two centered codes is below 2^16, so the float product is the integer one. */
#include "kernels/pointwise/vec_avx512vnni.h"

enum { ADD, MUL };

typedef struct operands {
    __m512i za, zb;
    __m512 ma, mb;
} operands;

FORCE __m512 combine(const int OP, __m512 a, __m512 b, const operands *k)
{
    if (OP == ADD)
        return _mm512_add_ps(_mm512_mul_ps(a, k->ma), _mm512_mul_ps(b, k->mb));
    return _mm512_mul_ps(_mm512_mul_ps(a, b), k->ma);
}

FORCE __m512i sixteen(const int OP, const uint8_t *a, const uint8_t *b, const bool one_b, __m512 vb, const operands *k)
{
    if (!one_b)
        vb = centered(_mm_loadu_si128((const __m128i *)b), k->zb);
    return _mm512_cvtps_epi32(combine(OP, centered(_mm_loadu_si128((const __m128i *)a), k->za), vb, k));
}

FORCE void span(const int OP, const bool one_b, const uint8_t *a, const uint8_t *b, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const operands k = {_mm512_set1_epi32(p->za), _mm512_set1_epi32(p->zb), _mm512_set1_ps(p->ma), _mm512_set1_ps(p->mb)};
    const limits l = limits_of(p->z, p->lo, p->hi);
    const packer pack = packer_of(p->z, p->lo, p->hi);
    const __m512 vb0 = _mm512_set1_ps((float)(b[0] - p->zb));
    const int step = one_b ? 0 : 1;
    /* |code - zero| <= 255, products <= 65,025: below 2^30 in all */
    const bool small = p->ma < 0x1p13f && p->ma > -0x1p13f && (OP == MUL || (p->mb < 0x1p13f && p->mb > -0x1p13f));
    int64_t i = 0;
    for (; small && i + 64 <= n; i += 64) {
        const uint8_t *x = a + i, *z = b + i * step;
        const __m512i v0 = sixteen(OP, x, z, one_b, vb0, &k), v1 = sixteen(OP, x + 16, z + 16 * step, one_b, vb0, &k);
        const __m512i v2 = sixteen(OP, x + 32, z + 32 * step, one_b, vb0, &k),
                      v3 = sixteen(OP, x + 48, z + 48 * step, one_b, vb0, &k);
        _mm512_storeu_si512(y + i, pack64(v0, v1, v2, v3, pack));
    }
    for (; i < n; i += 16) {
        const __mmask16 lanes = lanes16(n - i);
        const __m512 va = centered(_mm_maskz_loadu_epi8(lanes, a + i), k.za);
        const __m512 vb = one_b ? vb0 : centered(_mm_maskz_loadu_epi8(lanes, b + i), k.zb);
        _mm_mask_storeu_epi8(y + i, lanes, _mm512_cvtepi32_epi8(requantize16(combine(OP, va, vb, &k), l)));
    }
}

void oct_qadd_avx512vnni(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    b_step == 0 ? span(ADD, true, a, b, y, n, p) : span(ADD, false, a, b, y, n, p);
}

void oct_qmul_avx512vnni(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    b_step == 0 ? span(MUL, true, a, b, y, n, p) : span(MUL, false, a, b, y, n, p);
}
