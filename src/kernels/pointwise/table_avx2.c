/* 256-entry table for AVX2: sixteen byte shuffles of 16 entries each. Less 16*i, only the codes of part i are below 16; adding 0x70
 * with saturation keeps their low bits and sets the top bit of all others, which makes the shuffle give 0. */
#include "kernels/pointwise/vec_avx2.h"

void oct_table_avx2(const uint8_t *x, uint8_t *y, int64_t n, const uint8_t table[256])
{
    const __m256i sixteen = _mm256_set1_epi8(16), top = _mm256_set1_epi8(0x70);
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i code = _mm256_loadu_si256((const __m256i *)(x + i)), found = _mm256_setzero_si256();
        for (int part = 0; part < 16; part++) {
            const __m256i entries = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table + 16 * part)));
            found = _mm256_or_si256(found, _mm256_shuffle_epi8(entries, _mm256_adds_epu8(code, top)));
            code = _mm256_sub_epi8(code, sixteen);
        }
        _mm256_storeu_si256((__m256i *)(y + i), found);
    }
    oct_table_ref(x + i, y + i, n - i, table);
}
