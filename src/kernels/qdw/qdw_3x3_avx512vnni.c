/* qdw for AVX-512 VNNI, 3x3 kernels; fastest with stride 1 and 2.
 *
 * Few channels would leave most of a vector empty. Where pixels lie without gaps and the stride is 1, a row of pixels is the
 * same as one pixel of m*c channels whose weights repeat every c: then blocks of 64 run over the whole row (`flat`). */
#include "kernels/qdw/pack_avx512vnni.h"

#define BODY "kernels/qdw/3x3_avx512vnni.h"
#include "kernels/qdw/widths_avx512vnni.h"

enum { GROUPS = 3 };
static int32_t tap_of(int64_t group, int32_t place, int64_t taps)
{
    return place < 3 ? (int32_t)(3 * place + group) : -1;
}

/* Blocks of 64 until the weights of c channels repeat; 0 when a flat run does not pay: it interleaves every column three times,
 * so blocks by channel must be rather empty (measured: 16 channels 25 % of peak against 14, 32 channels 25 against 28). */
static int32_t flat_blocks(int32_t c)
{
    int32_t blocks = c;
    for (int32_t power = 64; power > 1 && blocks % 2 == 0; power /= 2)
        blocks /= 2;
    return blocks <= 8 && (c <= 24 || (c > 32 && c <= 48)) ? blocks : 0;
}

int64_t oct_qdw_3x3_avx512vnni_bytes(int32_t c, int32_t kh, int32_t kw)
{
    return packed_size(c, GROUPS) + flat_blocks(c) * block_bytes(64, GROUPS);
}

void oct_qdw_3x3_avx512vnni_pack(int32_t c, int32_t kh, int32_t kw, const int8_t *w, const int32_t *bias, const float *scale,
                                 const float *fbias, void *out)
{
    const dw_source s = {GROUPS, 9, tap_of, w, bias, scale, fbias};
    int8_t *at = pack_all(&s, c, out);
    for (int32_t i = 0; i < flat_blocks(c); i++)
        at = pack_block(&s, 64, 64 * i, 64, c, at);
}

/* Elements e, e + 64*blocks, e + 2*64*blocks ... of the row, which share the weights of block e/64. */
FORCE void flat(const oct_qdw_args *g, const int8_t *w, int64_t e, int64_t total, int64_t step, const finish_kind kind)
{
    const block_call b = {.g = g, .w = w, .groups = GROUPS, .n = 64, .size = oct_epilogue_size(g->e)};
    finisher_512 f = finisher_of_512(&b);
    const uint8_t *r0 = g->rows[0], *r1 = g->rows[1], *r2 = g->rows[2];
    const int64_t c = g->c;
    const __m512i *vectors = (const __m512i *)w;
    const quad_512 w0 = four_in_registers_512(vectors + 4), w1 = four_in_registers_512(vectors + 8),
                   w2 = four_in_registers_512(vectors + 12);
    f.ldc = b.size;
#define COLUMN(at, full)                                                                                                           \
    interleave_512(load_512(r0 + (at), f.columns, full), load_512(r1 + (at), f.columns, full),                                     \
                   load_512(r2 + (at), f.columns, full), _mm512_setzero_si512())
#define ELEMENTS(full)                                                                                                             \
    do {                                                                                                                           \
        quad_512 acc = four_512(vectors);                                                                                          \
        dots_512(&acc, COLUMN(e, full), w0);                                                                                       \
        dots_512(&acc, COLUMN(e + c, full), w1);                                                                                   \
        dots_512(&acc, COLUMN(e + 2 * c, full), w2);                                                                               \
        finish_512(&b, &f, acc, e, full, kind);                                                                                    \
    } while (0)
    for (; e + 64 <= total; e += step)
        ELEMENTS(true);
    if (e < total) {
        f.columns = ~(__mmask64)0 >> (64 - (total - e));
        ELEMENTS(false);
    }
#undef COLUMN
#undef ELEMENTS
}

void oct_qdw_3x3_avx512vnni(const oct_qdw_args *args)
{
    const int32_t c = args->c, blocks = flat_blocks(c);
    const finish_kind kind = finish_of(args);
    const bool dense = args->px == c && args->kx_step == c && args->ldc == (ptrdiff_t)c * oct_epilogue_size(args->e);
    if (blocks && dense && kind != FINISH_ANY) {
        const int8_t *w = (const int8_t *)args->w + packed_size(c, GROUPS);
        for (int64_t i = 0, total = args->m * c; i < blocks && 64 * i < total; i++, w += block_bytes(64, GROUPS)) {
            if (kind == FINISH_CODES)
                flat(args, w, 64 * i, total, 64 * (int64_t)blocks, FINISH_CODES);
            else
                flat(args, w, 64 * i, total, 64 * (int64_t)blocks, FINISH_FLOATS);
        }
        return;
    }
    RUN_BLOCKS(args, GROUPS);
}
