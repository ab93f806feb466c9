/* qdw for AVX2, any kernel, stride and dilation: blocks of 16 channels, taps in pairs.
 *
 * The bytes of two taps are interleaved into 16-bit pairs, which vpmaddwd multiplies with the pair's weights and adds into 32 bits:
 * exact, nothing saturates. Weights of a block: [pair: 2 x 8 x 2 s16]*. With fewer than 16 channels in all, it is read through a buffer, so
 * that nothing outside of the image is touched. */
#include <string.h>
#include "kernels/qdw/block_avx2.h"
#include "kernels/rows.h"

#define PIXELS4(X) X(0) X(1) X(2) X(3)

static int64_t pair_count(int32_t kh, int32_t kw) { return ((int64_t)kh * kw + 1) / 2; }
static int64_t block_bytes(int64_t pairs) { return 12 * BLOCK + pairs * 4 * BLOCK; }

int64_t oct_qdw_avx2_bytes(int32_t c, int32_t kh, int32_t kw) { return (int64_t)(c + BLOCK - 1) / BLOCK * block_bytes(pair_count(kh, kw)); }

void oct_qdw_avx2_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                       void *out)
{
    const int64_t pairs = pair_count(kh, kw), taps = (int64_t)kh * kw;
    memset(out, 0, (size_t)oct_qdw_avx2_bytes(c, kh, kw));
    char *block = out;
    for (int32_t first = 0; first < c; first += BLOCK, block += block_bytes(pairs)) {
        int16_t *w_out = (int16_t *)(block + 4 * BLOCK);
        pack_constants(c, first, bias, scale, fbias, 2 * pairs, block);
        for (int32_t j = 0; j < BLOCK && begin_of(c, first) + j < c; j++) {
            const int32_t ch = begin_of(c, first) + j, at = place_of(j);
            for (int64_t t = 0; t < taps; t++)
                w_out[(t / 2 * BLOCK + at) * 2 + t % 2] = w[ch * taps + t];
        }
    }
}

/* Pixels [i, i + N) of the block, N = 1 or 4. */
FORCE void pixels(const block_call *b, const int N, int64_t i, const bool full)
{
    const oct_qdw_args *g = b->g;
    const __m256i *w = b->w;
    const ptrdiff_t px = g->px, at = i * px + b->first;
    const int32_t taps = g->kh * g->kw;
#define INIT(p) __m256i low##p = w[0], high##p = w[1];
    PIXELS4(INIT)
#undef INIT
    w += 2;
    int32_t ky = 0, kx = 0;
    for (int32_t t = 0; t < taps; t += 2, w += 2) {
        const uint8_t *x = g->rows[ky] + kx * g->kx_step + at, *y = x; /* a pair without a second tap meets a zero weight */
        if (++kx == g->kw)
            kx = 0, ky++;
        if (t + 1 < taps) {
            y = g->rows[ky] + kx * g->kx_step + at;
            if (++kx == g->kw)
                kx = 0, ky++;
        }
        const __m256i w0 = w[0], w1 = w[1];
#define STEP(p)                                                                                                                    \
    if (N > p) {                                                                                                                   \
        const __m256i u = load16(x + p * px, full, b->n), v = load16(y + p * px, full, b->n);                                      \
        low##p = _mm256_add_epi32(low##p, _mm256_madd_epi16(_mm256_unpacklo_epi16(u, v), w0));                                     \
        high##p = _mm256_add_epi32(high##p, _mm256_madd_epi16(_mm256_unpackhi_epi16(u, v), w1));                                   \
    }
        PIXELS4(STEP)
#undef STEP
    }
#define END(p)                                                                                                                     \
    if (N > p)                                                                                                                     \
        finish(b, low##p, high##p, i + p);
    PIXELS4(END)
#undef END
}

FORCE void block(const block_call *b, const bool full)
{
    int64_t i = 0;
    for (; i + 4 <= b->g->m; i += 4)
        pixels(b, 4, i, full);
    for (; i < b->g->m; i++)
        pixels(b, 1, i, full);
}

void oct_qdw_avx2(const oct_qdw_args *g)
{
    const int64_t pairs = pair_count(g->kh, g->kw);
    block_call b = {.g = g, .w = g->w};
    for (int32_t first = 0; first < g->c; first += BLOCK) {
        block_begin(&b, first, 2 * pairs);
        if (b.n == BLOCK)
            block(&b, true);
        else
            block(&b, false);
        b.w = (const __m256i *)((const char *)b.w + block_bytes(pairs));
    }
}
