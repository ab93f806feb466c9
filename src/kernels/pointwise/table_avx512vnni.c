/* 256-entry table for AVX-512 VBMI: the table stays in four registers, two byte permutations of 128 entries and a blend by
 * the code's top bit. */
#include "kernels/pointwise/vec_avx512vnni.h"

FORCE __m512i look_up(__m512i x, __m512i t0, __m512i t1, __m512i t2, __m512i t3)
{
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), _mm512_permutex2var_epi8(t0, x, t1), _mm512_permutex2var_epi8(t2, x, t3));
}

void oct_table_avx512vnni(const uint8_t *x, uint8_t *y, int64_t n, const uint8_t table[256])
{
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64), t2 = _mm512_loadu_si512(table + 128),
                  t3 = _mm512_loadu_si512(table + 192);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(y + i, look_up(_mm512_loadu_si512(x + i), t0, t1, t2, t3));
    if (i < n) {
        const __mmask64 lanes = lanes64(n - i);
        _mm512_mask_storeu_epi8(y + i, lanes, look_up(_mm512_maskz_loadu_epi8(lanes, x + i), t0, t1, t2, t3));
    }
}
