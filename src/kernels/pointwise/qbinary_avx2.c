/* Add and multiply of two spans of u8 codes for AVX2, 32 codes at a time, the rest by the reference.  DESIGN 3.5.
 * A product of two centered codes is below 2^16, so the float product is the integer one. */
#include <stdbool.h>
#include "kernels/pointwise/vec_avx2.h"

enum { ADD, MUL };

typedef struct operands {
    __m256i za, zb;
    __m256 ma, mb, vb; /* vb: the one b of all */
    limits l;
} operands;

FORCE __m256i eight(const int OP, const bool one_b, const uint8_t *a, const uint8_t *b, const operands *k)
{
    const __m256 va = centered(a, k->za), vb = one_b ? k->vb : centered(b, k->zb);
    if (OP == ADD)
        return requantize8(_mm256_add_ps(_mm256_mul_ps(va, k->ma), _mm256_mul_ps(vb, k->mb)), k->l);
    return requantize8(_mm256_mul_ps(_mm256_mul_ps(va, vb), k->ma), k->l);
}

/* Returns how many codes are done. */
FORCE int64_t span(const int OP, const bool one_b, const uint8_t *a, const uint8_t *b, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const operands k = {_mm256_set1_epi32(p->za),
                        _mm256_set1_epi32(p->zb),
                        _mm256_set1_ps(p->ma),
                        _mm256_set1_ps(p->mb),
                        _mm256_set1_ps(n > 0 ? (float)(b[0] - p->zb) : 0),
                        limits_of(p->z, p->lo, p->hi)};
    const int step = one_b ? 0 : 1;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const uint8_t *u = a + i, *v = b + i * step;
        const __m256i v0 = eight(OP, one_b, u, v, &k), v1 = eight(OP, one_b, u + 8, v + 8 * step, &k),
                      v2 = eight(OP, one_b, u + 16, v + 16 * step, &k), v3 = eight(OP, one_b, u + 24, v + 24 * step, &k);
        _mm256_storeu_si256((__m256i *)(y + i), pack32(v0, v1, v2, v3, k.l));
    }
    return i;
}

void oct_qadd_avx2(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const int64_t i = b_step == 0 ? span(ADD, true, a, b, y, n, p) : span(ADD, false, a, b, y, n, p);
    oct_qadd_ref(a + i, b + i * b_step, b_step, y + i, n - i, p);
}

void oct_qmul_avx2(const uint8_t *a, const uint8_t *b, int b_step, uint8_t *y, int64_t n, const oct_qbinary *p)
{
    const int64_t i = b_step == 0 ? span(MUL, true, a, b, y, n, p) : span(MUL, false, a, b, y, n, p);
    oct_qmul_ref(a + i, b + i * b_step, b_step, y + i, n - i, p);
}
