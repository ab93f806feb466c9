/* qdw 3x3 for AVX2: what is made of a column of the image serves every output that it touches.
 *
 * A column's three pixels are two vectors of pairs for vpmaddwd: (row 0, row 1) and (row 2, nothing), interleaved once. With a stride of
 * one column it is the right one of an output, the middle of the next and the left of the one after; with two, it is right and left.
 * Weights of a block: for each column of the kernel the pairs (w[0], w[1]) and (w[2], 0), 2 x 8 x 2 s16 each. */
#include "kernels/qdw/block_avx2.h"
#include "kernels/rows.h"

enum { KERNEL = 3, WEIGHTS = 4 * KERNEL, BLOCK_BYTES = 12 * BLOCK + 32 * WEIGHTS };

int64_t oct_qdw_3x3_avx2_bytes(int32_t c, int32_t kh, int32_t kw) { return (int64_t)(c + BLOCK - 1) / BLOCK * BLOCK_BYTES; }

void oct_qdw_3x3_avx2_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale, const float *fbias,
                           void *out)
{
    memset(out, 0, (size_t)oct_qdw_3x3_avx2_bytes(c, kh, kw));
    char *block = out;
    for (int32_t first = 0; first < c; first += BLOCK, block += BLOCK_BYTES) {
        int16_t *w_out = (int16_t *)(block + 4 * BLOCK);
        pack_constants(c, first, bias, scale, fbias, WEIGHTS, block);
        for (int32_t j = 0; j < BLOCK && begin_of(c, first) + j < c; j++) {
            const int32_t ch = begin_of(c, first) + j, at = place_of(j);
            for (int kx = 0; kx < KERNEL; kx++)
                for (int ky = 0; ky < KERNEL; ky++)
                    w_out[((2 * kx + ky / 2) * BLOCK + at) * 2 + ky % 2] = w[ch * KERNEL * KERNEL + KERNEL * ky + kx];
        }
    }
}

typedef struct column {
    __m256i low, high, low2, high2; /* rows 0 and 1, row 2 */
} column;
typedef struct sums {
    __m256i low, high;
} sums;

FORCE column load(const block_call *b, ptrdiff_t at, const bool full)
{
    const uint8_t *const *rows = b->g->rows;
    const __m256i x = load16(rows[0] + at, full, b->n), y = load16(rows[1] + at, full, b->n), z = load16(rows[2] + at, full, b->n);
    const __m256i zero = _mm256_setzero_si256();
    return (column){_mm256_unpacklo_epi16(x, y), _mm256_unpackhi_epi16(x, y), _mm256_unpacklo_epi16(z, zero), _mm256_unpackhi_epi16(z, zero)};
}

FORCE sums add(sums s, column c, const block_call *b, int kx)
{
    const __m256i *w = b->w + 2 + 4 * kx;
    s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(c.low, w[0]));
    s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(c.high, w[1]));
    s.low = _mm256_add_epi32(s.low, _mm256_madd_epi16(c.low2, w[2]));
    s.high = _mm256_add_epi32(s.high, _mm256_madd_epi16(c.high2, w[3]));
    return s;
}

/* STRIDE columns from output to output: 1, 2 or 0 = no column of one output is a column of the next. */
FORCE void block(const block_call *b, const int STRIDE, const bool full)
{
    const ptrdiff_t px = b->g->px, step = b->g->kx_step;
    const sums bias = {b->w[0], b->w[1]};
    const int64_t m = b->g->m;
    ptrdiff_t at = b->first;
    sums now = bias, next = bias;
    if (STRIDE) {
        const column c = load(b, at, full);
        now = add(bias, c, b, 0);
        at += step;
    }
    if (STRIDE == 1) {
        const column c = load(b, at, full);
        now = add(now, c, b, 1);
        next = add(bias, c, b, 0);
        at += step;
    }
    for (int64_t i = 0; i < m; i++) {
        if (STRIDE == 1) {
            const column c = load(b, at, full);
            now = add(now, c, b, 2);
            finish(b, now.low, now.high, i);
            now = add(next, c, b, 1);
            next = add(bias, c, b, 0);
            at += step;
        } else if (STRIDE == 2) {
            now = add(now, load(b, at, full), b, 1);
            const column c = load(b, at + step, full);
            now = add(now, c, b, 2);
            finish(b, now.low, now.high, i);
            now = add(bias, c, b, 0);
            at += px;
        } else {
            now = bias;
            for (int kx = 0; kx < KERNEL; kx++)
                now = add(now, load(b, at + kx * step, full), b, kx);
            finish(b, now.low, now.high, i);
            at += px;
        }
    }
}

void oct_qdw_3x3_avx2(const oct_qdw_args *g)
{
    block_call b = {.g = g, .w = g->w};
    for (int32_t first = 0; first < g->c; first += BLOCK) {
        block_begin(&b, first, WEIGHTS);
        if (b.n < BLOCK)
            block(&b, 0, false);
        else if (g->px == g->kx_step)
            block(&b, 1, true);
        else if (g->px == 2 * g->kx_step)
            block(&b, 2, true);
        else
            block(&b, 0, true);
        b.w = (const __m256i *)((const char *)b.w + BLOCK_BYTES);
    }
}
