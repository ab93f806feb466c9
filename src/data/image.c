/* Telling formats apart by content, pixel buffers, and colour.
 *
 * The extension of a file's name is not trusted: what decides are its first bytes. */
#include "data/image.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

oct_status oct_image_reserve(oct_image *image, int64_t width, int64_t height, int channels)
{
    if (width < 1 || height < 1 || width > OCT_IMAGE_MAX_SIDE || height > OCT_IMAGE_MAX_SIDE ||
        width * height > OCT_IMAGE_MAX_PIXELS)
        return oct_fail(OCT_ERR_CONTENT, "an image of %lld x %lld pixels is too large", (long long)width, (long long)height);
    OCT_TRY(oct_grow((void **)&image->pixels, &image->capacity, width * height * channels, 1));
    image->width = (int)width;
    image->height = (int)height;
    image->channels = channels;
    return OCT_OK;
}

void oct_image_free(oct_image *image)
{
    free(image->pixels);
    *image = (oct_image){0};
}

/* In place, from the last pixel on: a pixel's new place is never before its old one. */
static oct_status grey_to_rgb(oct_image *image)
{
    int64_t n = (int64_t)image->width * image->height;
    OCT_TRY(oct_image_reserve(image, image->width, image->height, 3));
    for (int64_t i = n - 1; i >= 0; i--)
        memset(image->pixels + 3 * i, image->pixels[i], 3);
    return OCT_OK;
}

static void rgb_to_grey(oct_image *image)
{
    int64_t n = (int64_t)image->width * image->height;
    for (int64_t i = 0; i < n; i++)
        image->pixels[i] = oct_image_luma(image->pixels + 3 * i);
    image->channels = 1;
}

oct_status oct_image_decode(const void *bytes, int64_t size, int channels, oct_image *out)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, jpeg[3] = {0xFF, 0xD8, 0xFF};
    if (size == 0)
        return oct_fail(OCT_ERR_CONTENT, "the file is empty");
    if (size >= (int64_t)sizeof png && memcmp(bytes, png, sizeof png) == 0)
        OCT_TRY(oct_png_decode(bytes, size, out));
    else if (size >= (int64_t)sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        OCT_TRY(oct_jpeg_decode(bytes, size, out));
    else
        return oct_fail(OCT_ERR_CONTENT, "neither PNG nor JPEG");
    if (channels == 3 && out->channels == 1)
        return grey_to_rgb(out);
    if (channels == 1 && out->channels == 3)
        rgb_to_grey(out);
    return OCT_OK;
}
