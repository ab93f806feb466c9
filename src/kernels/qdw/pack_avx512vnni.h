/* Packed weights of the AVX-512 VNNI depthwise variants, and what they share.
 *
 * Channels are cut into blocks of 64, then 32 and 16 (or one masked 64) for the rest, so that a block of B channels is one
 * vector of B bytes. Four taps make a group: interleaving the bytes of four taps (unpack by 8, then by 16 bits) puts the taps
 * of a channel into one dword, ready for one vpdpbusd with the group's weights. The dwords of vector v, 128-bit lane l, place
 * e belong to channel 16*l + 4*v + e; the packs of the epilogue put the channels back in order for free.
 *   [64 bytes: header] then for each block [B s32 bias', vector order] [group: 4 vectors of B s8]*
 *   [B f32 scale, vector order] [B f32 fbias, vector order] */
#ifndef OCT_KERNELS_QDW_PACK_AVX512VNNI_H
#define OCT_KERNELS_QDW_PACK_AVX512VNNI_H

#include <immintrin.h>
#include <math.h>
#include <string.h>
#include "kernels/epilogue.h"
#include "kernels/kernel.h"
#include "kernels/rows.h"

#define FORCE          static inline __attribute__((always_inline))
#define DOT(acc, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w))
/* Keeps a loaded vector in its register: one load of 64 bytes a cycle is the scarcest resource of these loops. */
#define IN_REGISTER(x) __asm__("" : "+v"(x))

enum { HEADER = 64 };
typedef struct qdw_header {
    int32_t small_scales; /* every |scale| < 1: a sum times its scale cannot leave s32 */
} qdw_header;

/* Channels of the block that starts at channel `first` of c: its vector width in bytes. */
static inline int32_t block_width(int32_t c, int32_t first)
{
    const int32_t rest = c - first;
    return rest > 48 ? 64 : rest > 16 ? 32 : 16;
}
static inline int64_t block_bytes(int32_t width, int64_t groups)
{
    return width * (12 + 4 * groups);
}
/* Where element e of vector v, lane l of a block stands, as a channel of the block. */
static inline int32_t channel_of(int32_t v, int32_t dword)
{
    return dword / 4 * 16 + 4 * v + dword % 4;
}

static inline int64_t packed_size(int32_t c, int64_t groups)
{
    int64_t bytes = HEADER;
    for (int32_t first = 0, width; first < c; first += width) {
        width = block_width(c, first);
        bytes += block_bytes(width, groups);
    }
    return bytes;
}

/* The unpacked weights of a layer; tap_of(g, t) gives the tap at place t of group g, or -1. */
typedef struct dw_source {
    int64_t groups, taps;
    int32_t (*tap_of)(int64_t group, int32_t place, int64_t taps);
    const int8_t *w;
    const int32_t *bias;
    const float *scale, *fbias;
} dw_source;

/* One block of n channels: first, first + 1, ... and after channel `period` - 1 again from 0. Returns its end. */
static inline int8_t *pack_block(const dw_source *s, int32_t width, int32_t first, int32_t n, int32_t period, int8_t *out)
{
    const int32_t dwords = width / 4;
    memset(out, 0, (size_t)block_bytes(width, s->groups));
    int32_t *bias_out = (int32_t *)out;
    int8_t *w_out = out + 4 * width;
    float *scale_out = (float *)(w_out + s->groups * 4 * width), *fbias_out = scale_out + width;
    for (int32_t v = 0; v < 4; v++)
        for (int32_t d = 0; d < dwords; d++) {
            const int32_t at = channel_of(v, d), ch = (first + at) % period;
            if (at >= n)
                continue;
            bias_out[v * dwords + d] = s->bias[ch];
            scale_out[v * dwords + d] = s->scale[ch];
            fbias_out[v * dwords + d] = s->fbias ? s->fbias[ch] : 0.0f;
            for (int64_t g = 0; g < s->groups; g++)
                for (int32_t t = 0; t < 4; t++) {
                    const int32_t tap = s->tap_of(g, t, s->taps);
                    if (tap >= 0)
                        w_out[((g * 4 + v) * dwords + d) * 4 + t] = s->w[ch * s->taps + tap];
                }
        }
    return out + block_bytes(width, s->groups);
}

/* Header and all blocks. Returns the end. */
static inline int8_t *pack_all(const dw_source *s, int32_t c, void *out)
{
    qdw_header *header = out;
    memset(out, 0, HEADER);
    header->small_scales = 1;
    for (int32_t ch = 0; ch < c; ch++)
        if (!(fabsf(s->scale[ch]) < 1.0f))
            header->small_scales = 0;
    int8_t *at = (int8_t *)out + HEADER;
    for (int32_t first = 0, width; first < c; first += width) {
        width = block_width(c, first);
        at = pack_block(s, width, first, c - first < width ? c - first : width, c, at);
    }
    return at;
}

/* What every block of a call needs. */
typedef struct block_call {
    const oct_qdw_args *g;
    const int8_t *w; /* the block's packed weights */
    int64_t groups;
    int32_t first, n; /* channels */
    int32_t size;     /* bytes of an output element */
} block_call;

/* Plain codes and floats have loops of their own. Codes convert to s32 before they clamp, which takes small scales. */
typedef enum finish_kind { FINISH_CODES, FINISH_FLOATS, FINISH_ANY } finish_kind;

static inline finish_kind finish_of(const oct_qdw_args *g)
{
    if (g->e->kind == OCT_EPI_F32)
        return FINISH_FLOATS;
    return g->e->kind == OCT_EPI_U8 && ((const qdw_header *)g->w)->small_scales ? FINISH_CODES : FINISH_ANY;
}
/* Calls the file's block_<bits>(call, full, kind) for all blocks; full = no masking. */
#define BLOCK_OF(block, kind) (b.n == width ? block(&b, true, kind) : block(&b, false, kind))
#define BLOCK(block)                                                                                                               \
    (finish == FINISH_CODES    ? BLOCK_OF(block, FINISH_CODES)                                                                     \
     : finish == FINISH_FLOATS ? BLOCK_OF(block, FINISH_FLOATS)                                                                    \
                               : block(&b, false, FINISH_ANY))
#define RUN_BLOCKS(call, group_count)                                                                                              \
    do {                                                                                                                           \
        const finish_kind finish = finish_of(call);                                                                                \
        block_call b = {                                                                                                           \
            .g = (call), .w = (const int8_t *)(call)->w + HEADER, .groups = (group_count), .size = oct_epilogue_size((call)->e)};   \
        for (int32_t width; b.first < (call)->c; b.first += width) {                                                               \
            width = block_width((call)->c, b.first);                                                                               \
            b.n = (call)->c - b.first < width ? (call)->c - b.first : width;                                                       \
            if (width == 64)                                                                                                       \
                BLOCK(block_512);                                                                                                  \
            else if (width == 32)                                                                                                  \
                BLOCK(block_256);                                                                                                  \
            else                                                                                                                   \
                BLOCK(block_128);                                                                                                  \
            b.w += block_bytes(width, b.groups);                                                                                   \
        }                                                                                                                          \
    } while (0)

#endif
