/* Augmentation of training images: 8-bit pixels in, 8-bit pixels out, between sizing and normalisation.
 *
 * Each operation has its own stream of counter-based random numbers, keyed by (seed, epoch, sample, operation): turning one
 * on or off leaves the draws of the others alone, and threads, batches and prefetching do not show. Arithmetic is 16-bit
 * fixed point, so that results are the same bytes everywhere; a factor's error is below 1/65536.
 *
 * Sources: crop and flip as for CIFAR in He et al. 2015 (arXiv 1512.03385, 4.2); jitter as ImageEnhance of Pillow; cutout:
 * DeVries, Taylor 2017 (1708.04552); mixup: Zhang et al. 2017 (1710.09412); Beta: Joehnk 1964. */
#include "data/augment.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

#define ONE       65536
#define MAX_MIXUP 2.0f /* Joehnk's method takes 6 tries on average there, and ever more beyond */

enum { OF_CROP, OF_FLIP, OF_JITTER, OF_CUTOUT, OF_MIX };

static oct_rng stream(uint64_t key, uint64_t operation) { return (oct_rng){.seed = oct_rng_at(key, operation)}; }

oct_status oct_augment_check(const oct_augment *a)
{
    if (a->crop < 0 || a->crop > OCT_IMAGE_MAX_SIDE || a->cutout < 0 || a->cutout > OCT_IMAGE_MAX_SIDE)
        return oct_fail(OCT_ERR_USAGE, "augmentation: crop and cutout take pixels from 0 to %d", OCT_IMAGE_MAX_SIDE);
    const float factors[] = {a->brightness, a->contrast, a->saturation};
    for (int i = 0; i < 3; i++)
        if (!(factors[i] >= 0 && factors[i] <= 1))
            return oct_fail(OCT_ERR_USAGE, "augmentation: jitter takes numbers from 0 to 1");
    if (!(a->mixup >= 0 && a->mixup <= MAX_MIXUP))
        return oct_fail(OCT_ERR_USAGE, "augmentation: mixup takes a number from 0 to %g", (double)MAX_MIXUP);
    return OCT_OK;
}

uint64_t oct_augment_key(uint64_t seed, int64_t epoch, int64_t sample)
{
    return oct_rng_at(oct_rng_at(seed, (uint64_t)epoch), (uint64_t)sample);
}

/* --- crop and flip --- */

/* Index i in -pad ... n + pad - 1 to 0 ... n - 1 by mirroring at the outer pixels' centres as often as it takes. */
static int mirror(int64_t i, int n)
{
    if (n == 1)
        return 0;
    const int64_t period = 2 * ((int64_t)n - 1);
    i = ((i % period) + period) % period;
    return (int)(i < n ? i : period - i);
}

/* The window of in's size at (x, y) of in with a border, counted from in's own corner; mirrored left to right with flip. */
static void copy_window(const oct_image *in, int x, int y, bool reflect, bool flip, oct_image *out)
{
    const int w = in->width, h = in->height, c = in->channels;
    for (int row = 0; row < h; row++) {
        uint8_t *to = out->pixels + (int64_t)row * w * c;
        int64_t from_y = (int64_t)row + y;
        if (!reflect && (from_y < 0 || from_y >= h)) {
            memset(to, 0, (size_t)w * (size_t)c);
            continue;
        }
        const uint8_t *from = in->pixels + (int64_t)mirror(from_y, h) * w * c;
        for (int col = 0; col < w; col++, to += c) {
            int64_t from_x = (int64_t)(flip ? w - 1 - col : col) + x;
            if (!reflect && (from_x < 0 || from_x >= w))
                memset(to, 0, (size_t)c);
            else
                memcpy(to, from + (int64_t)mirror(from_x, w) * c, (size_t)c);
        }
    }
}

/* --- jitter --- */

static uint8_t blend(int v, int base, int factor)
{
    const int64_t sum = (int64_t)v * factor + (int64_t)base * (ONE - factor) + ONE / 2; /* above -256 * ONE */
    return sum <= 0 ? 0 : (uint8_t)oct_min64(sum / ONE, 255);
}

/* Uniform in [1 - x, 1 + x] as a multiple of 1 / ONE. */
static int draw_factor(oct_rng *r, float x) { return (int)((1 + (2 * oct_rng_unit(r) - 1) * (double)x) * ONE + 0.5); }

static int luma(const uint8_t *p, int channels) { return channels == 1 ? p[0] : oct_image_luma(p); }

/* Brightness: towards black; contrast: towards the mean luma, rounded; saturation: towards the pixel's own luma. */
static void jitter(const oct_augment *a, uint64_t key, oct_image *image)
{
    oct_rng r = stream(key, OF_JITTER);
    const int brightness = draw_factor(&r, a->brightness), contrast = draw_factor(&r, a->contrast);
    const int saturation = draw_factor(&r, a->saturation), c = image->channels;
    const int64_t pixels = (int64_t)image->width * image->height;
    uint8_t *p = image->pixels;
    if (brightness != ONE)
        for (int64_t i = 0; i < pixels * c; i++)
            p[i] = blend(p[i], 0, brightness);
    if (contrast != ONE) {
        int64_t sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += luma(p + i * c, c);
        const int mean = (int)((sum + pixels / 2) / pixels);
        for (int64_t i = 0; i < pixels * c; i++)
            p[i] = blend(p[i], mean, contrast);
    }
    if (saturation != ONE && c == 3)
        for (int64_t i = 0; i < pixels; i++) {
            const int grey = luma(p + 3 * i, 3);
            for (int k = 0; k < 3; k++)
                p[3 * i + k] = blend(p[3 * i + k], grey, saturation);
        }
}

/* --- cutout --- */

/* The centre is any pixel, so the square may hang over the edge: every pixel of a picture is then cut about as often. */
static void cut_out(int side, uint64_t key, const uint8_t fill[3], oct_image *image)
{
    oct_rng r = stream(key, OF_CUTOUT);
    const int64_t x = (int64_t)oct_rng_below(&r, (uint64_t)image->width) - side / 2;
    const int64_t y = (int64_t)oct_rng_below(&r, (uint64_t)image->height) - side / 2;
    const int64_t x0 = oct_max64(x, 0), x1 = oct_min64(x + side, image->width), y1 = oct_min64(y + side, image->height);
    for (int64_t row = oct_max64(y, 0); row < y1; row++)
        for (int64_t col = x0; col < x1; col++)
            memcpy(image->pixels + (row * image->width + col) * image->channels, fill, (size_t)image->channels);
}

oct_status oct_augment_apply(const oct_augment *a, uint64_t key, const uint8_t fill[3], const oct_image *in, oct_image *out)
{
    oct_rng crop = stream(key, OF_CROP), flip = stream(key, OF_FLIP);
    OCT_TRY(oct_image_reserve(out, in->width, in->height, in->channels));
    const uint64_t places = 2 * (uint64_t)a->crop + 1;
    const int x = (int)oct_rng_below(&crop, places) - a->crop, y = (int)oct_rng_below(&crop, places) - a->crop;
    copy_window(in, x, y, a->reflect, a->flip && oct_rng_below(&flip, 2) == 1, out);
    if (a->brightness > 0 || a->contrast > 0 || a->saturation > 0)
        jitter(a, key, out);
    if (a->cutout > 0)
        cut_out(a->cutout, key, fill, out);
    return OCT_OK;
}

/* --- mixup --- */

/* Beta(a, a) in [0, 1]: x / (x + y) of x = u^(1/a), y = v^(1/a) with x + y <= 1 (Joehnk). In logarithms, since u^(1/a) is 0 in
 * double for small a; log x and log y are then so far apart that the result is 0 or 1, as it should be. */
static double draw_beta(oct_rng *r, double a)
{
    for (;;) {
        const double log_x = log1p(-oct_rng_unit(r)) / a, log_y = log1p(-oct_rng_unit(r)) / a; /* 1 - u is in (0, 1] */
        const double top = fmax(log_x, log_y), log_sum = top + log(exp(log_x - top) + exp(log_y - top));
        if (log_sum <= 0)
            return exp(log_x - log_sum);
    }
}

void oct_augment_draw_mix(const oct_augment *a, uint64_t key, int64_t count, int *weight, int64_t *partner)
{
    oct_rng r = stream(key, OF_MIX);
    *partner = (int64_t)oct_rng_below(&r, (uint64_t)count);
    *weight = (int)(draw_beta(&r, (double)a->mixup) * OCT_MIX_ONE + 0.5);
}

void oct_augment_mix(oct_image *image, const oct_image *other, int weight)
{
    const int64_t n = (int64_t)image->width * image->height * image->channels;
    for (int64_t i = 0; i < n; i++)
        image->pixels[i] = blend(image->pixels[i], other->pixels[i], weight);
}

void oct_augment_shuffle(uint64_t seed, int64_t epoch, int64_t count, int64_t *order)
{
    oct_rng r = stream(oct_rng_at(seed, (uint64_t)epoch), UINT64_MAX); /* samples count from 0: no one's key */
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = (int64_t)oct_rng_below(&r, (uint64_t)i + 1), k = order[i];
        order[i] = order[j];
        order[j] = k;
    }
}
