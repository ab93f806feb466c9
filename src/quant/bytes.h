/* The byte forms that calibration states are made of: LEB128 integers, fp32 bits, strings.  Writers append to an oct_text; readers move
 * along a bounded cursor and refuse with CONTENT what does not fit. */
#ifndef OCT_QUANT_BYTES_H
#define OCT_QUANT_BYTES_H

#include <string.h>
#include "base/mem.h"
#include "num/num.h"

typedef struct oct_bytes {
    const uint8_t *at, *end;
} oct_bytes;

static inline void oct_put_uint(oct_text *t, uint64_t v)
{
    char byte[10];
    int n = 0;
    for (; v >= 128; v >>= 7)
        byte[n++] = (char)((v & 127) | 128);
    byte[n++] = (char)v;
    oct_text_append(t, byte, n);
}

static inline void oct_put_float(oct_text *t, float f)
{
    uint32_t u = oct_f32_bits(f);
    const char byte[4] = {(char)u, (char)(u >> 8), (char)(u >> 16), (char)(u >> 24)};
    oct_text_append(t, byte, 4);
}

static inline void oct_put_block(oct_text *t, const void *p, int64_t size)
{
    oct_put_uint(t, (uint64_t)size);
    oct_text_append(t, p, size);
}

/* At most `most`. */
static inline oct_status oct_get_uint(oct_bytes *b, uint64_t most, uint64_t *out)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (b->at == b->end)
            return oct_fail(OCT_ERR_CONTENT, "calibration state: the file ends too early");
        uint8_t c = *b->at++;
        uint64_t part = c & 127;
        if (shift == 63 && part > 1)
            break;
        v |= part << shift;
        if (c < 128) {
            if (v > most || (c == 0 && shift > 0))
                break;
            *out = v;
            return OCT_OK;
        }
    }
    return oct_fail(OCT_ERR_CONTENT, "calibration state: a number is out of range");
}

static inline oct_status oct_get_float(oct_bytes *b, float *out)
{
    if (b->end - b->at < 4)
        return oct_fail(OCT_ERR_CONTENT, "calibration state: the file ends too early");
    const uint8_t *p = b->at;
    *out = oct_f32_from_bits((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    b->at += 4;
    return OCT_OK;
}

/* A block written by oct_put_block, borrowed from the cursor's memory. */
static inline oct_status oct_get_block(oct_bytes *b, const void **p, int64_t *size)
{
    uint64_t n = 0;
    OCT_TRY(oct_get_uint(b, INT64_MAX, &n));
    if (n > (uint64_t)(b->end - b->at))
        return oct_fail(OCT_ERR_CONTENT, "calibration state: the file ends too early");
    *p = b->at;
    *size = (int64_t)n;
    b->at += n;
    return OCT_OK;
}

#endif
