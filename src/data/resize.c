/* Antialiased bilinear resizing of 8-bit images, equal to Pillow's resize(BILINEAR) byte by byte (from Pillow 13 on within 1
 * where height shrinks much more than width: there it takes the vertical pass first).
 *
 * A triangle filter whose width grows with the reduction, its weights normalised in double and rounded to 22-bit fixed
 * point; a horizontal pass into 8-bit rows, then a vertical one; a pass that changes nothing is left out. */
#include "data/image.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define WEIGHT_BITS 22 /* 8 bits of pixel and 2 of headroom leave 22 of 32 */
#define HALF        (1 << (WEIGHT_BITS - 1))

/* Fills first/taps/weights for output positions [from, from + n) of an axis of `in` pixels resized to `out`; *stride is the
 * distance of two positions' weights. A position covers input pixels first[i] ... first[i] + taps[i] - 1. */
static oct_status plan_axis(int in, int out, int from, int n, oct_resize_scratch *s, int64_t *stride)
{
    double scale = (double)in / out, filter = scale < 1.0 ? 1.0 : scale;
    int64_t most = 2 * (int64_t)ceil(filter) + 1;
    OCT_TRY(oct_grow((void **)&s->first, &s->first_capacity, n, sizeof *s->first));
    OCT_TRY(oct_grow((void **)&s->taps, &s->taps_capacity, n, sizeof *s->taps));
    OCT_TRY(oct_grow((void **)&s->weights, &s->weights_capacity, n * most, sizeof *s->weights));
    for (int i = 0; i < n; i++) {
        double center = (from + i + 0.5) * scale, sum = 0.0;
        int lo = (int)(center - filter + 0.5), hi = (int)(center + filter + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > in ? in : hi;
        int32_t *w = s->weights + i * most;
        /* Twice the same expression instead of a buffer of doubles: the quotient is what Pillow's two loops give. */
        for (int pass = 0; pass < 2; pass++) {
            double total = 0.0;
            for (int x = lo; x < hi; x++) {
                double d = fabs((x - center + 0.5) * (1.0 / filter)), v = d < 1.0 ? 1.0 - d : 0.0;
                total += v;
                if (pass)
                    w[x - lo] = (int32_t)(0.5 + v / sum * (1 << WEIGHT_BITS));
            }
            sum = total != 0.0 ? total : 1.0;
        }
        s->first[i] = lo;
        s->taps[i] = hi - lo;
    }
    *stride = most;
    return OCT_OK;
}

/* Weights are not negative and add up to 2^22 give or take their rounding, so only the upper end can overshoot. */
static inline uint8_t to_code(int32_t sum)
{
    int32_t v = sum >> WEIGHT_BITS;
    return (uint8_t)(v > 255 ? 255 : v);
}

static void resize_row(const uint8_t *src, int channels, int w, const oct_resize_scratch *s, int64_t stride, uint8_t *dst)
{
    for (int i = 0; i < w; i++) {
        const int32_t *k = s->weights + i * stride;
        const uint8_t *p = src + (int64_t)s->first[i] * channels;
        int32_t a = HALF, b = HALF, c = HALF, n = s->taps[i];
        if (channels == 1) {
            for (int32_t t = 0; t < n; t++)
                a += p[t] * k[t];
            dst[i] = to_code(a);
            continue;
        }
        for (int32_t t = 0; t < n; t++, p += 3) {
            a += p[0] * k[t];
            b += p[1] * k[t];
            c += p[2] * k[t];
        }
        dst[3 * i] = to_code(a);
        dst[3 * i + 1] = to_code(b);
        dst[3 * i + 2] = to_code(c);
    }
}

/* sums[x] = sum over taps of weight * row[x]; the inner loop runs along the row and vectorises. */
static void mix_rows(const uint8_t *rows, int64_t pitch, int64_t width, const int32_t *k, int n, int32_t *sums, uint8_t *dst)
{
    for (int64_t x = 0; x < width; x++)
        sums[x] = HALF;
    for (int t = 0; t < n; t++, rows += pitch) {
        int32_t weight = k[t];
        for (int64_t x = 0; x < width; x++)
            sums[x] += rows[x] * weight;
    }
    for (int64_t x = 0; x < width; x++)
        dst[x] = to_code(sums[x]);
}

oct_status oct_image_resize(const oct_image *src, int full_w, int full_h, int x, int y, int w, int h, oct_resize_scratch *s,
                            oct_image *dst)
{
    int channels = src->channels;
    int64_t stride, width = (int64_t)w * channels, pitch = (int64_t)src->width * channels;
    bool across = full_w != src->width, down = full_h != src->height;
    int top = y, bottom = y + h; /* source rows that the window needs */
    OCT_TRY(oct_image_reserve(dst, w, h, channels));
    if (down) {
        OCT_TRY(plan_axis(src->height, full_h, y, h, s, &stride));
        top = s->first[0];
        bottom = s->first[h - 1] + s->taps[h - 1];
    }
    const uint8_t *rows = src->pixels + top * pitch + (across ? 0 : (int64_t)x * channels);
    if (across) {
        uint8_t *to = dst->pixels;
        if (down) {
            OCT_TRY(oct_grow((void **)&s->rows, &s->rows_capacity, (bottom - top) * width, 1));
            to = s->rows;
        }
        OCT_TRY(plan_axis(src->width, full_w, x, w, s, &stride));
        for (int r = 0; r < bottom - top; r++)
            resize_row(rows + r * pitch, channels, w, s, stride, to + r * width);
        rows = to;
        pitch = width;
    }
    if (!down) {
        for (int r = 0; !across && r < h; r++)
            memcpy(dst->pixels + r * width, rows + r * pitch, (size_t)width);
        return OCT_OK;
    }
    OCT_TRY(plan_axis(src->height, full_h, y, h, s, &stride));
    OCT_TRY(oct_grow((void **)&s->sums, &s->sums_capacity, width, sizeof *s->sums));
    for (int r = 0; r < h; r++)
        mix_rows(rows + (s->first[r] - top) * pitch, pitch, width, s->weights + r * stride, s->taps[r], s->sums,
                 dst->pixels + r * width);
    return OCT_OK;
}

void oct_resize_scratch_free(oct_resize_scratch *s)
{
    free(s->first);
    free(s->taps);
    free(s->weights);
    free(s->sums);
    free(s->rows);
    *s = (oct_resize_scratch){0};
}
