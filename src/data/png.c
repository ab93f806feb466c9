/* PNG through libpng: every colour type and depth becomes 8-bit grey or RGB; alpha is dropped, colour profiles ignored.
 *
 * The library's errors come back by longjmp; a file without its end chunk is damaged. */
#include "data/image.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <png.h>

#define MAX_CHUNK (8 << 20) /* bytes that one ancillary chunk may unpack to */

typedef struct decoder {
    png_structp png;
    png_infop info;
    const uint8_t *bytes;
    size_t left;
    oct_status status; /* set when this code and not the library failed */
    char message[128];
    jmp_buf fail;
} decoder;

static void on_error(png_structp png, png_const_charp message)
{
    decoder *d = png_get_error_ptr(png);
    snprintf(d->message, sizeof d->message, "%s", message);
    longjmp(d->fail, 1);
}

static void on_warning(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void on_read(png_structp png, png_bytep to, size_t n)
{
    decoder *d = png_get_io_ptr(png);
    if (n > d->left)
        png_error(png, "the file ends too early");
    memcpy(to, d->bytes, n);
    d->bytes += n;
    d->left -= n;
}

static void decode(decoder *d, oct_image *out)
{
    png_structp png = d->png;
    png_set_read_fn(png, d, on_read);
    png_set_user_limits(png, OCT_IMAGE_MAX_SIDE, OCT_IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(png, MAX_CHUNK);
    png_read_info(png, d->info);
    int color = png_get_color_type(png, d->info);
    bool grey = !(color & PNG_COLOR_MASK_COLOR);
    png_set_strip_16(png);
    png_set_expand(png);
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, d->info);
    d->status = oct_image_reserve(out, png_get_image_width(png, d->info), png_get_image_height(png, d->info), grey ? 1 : 3);
    if (d->status != OCT_OK)
        longjmp(d->fail, 1);
    size_t stride = (size_t)out->width * (size_t)out->channels;
    if (png_get_rowbytes(png, d->info) != stride)
        png_error(png, "unexpected row size");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < out->height; y++)
            png_read_row(png, out->pixels + (size_t)y * stride, NULL);
    png_read_end(png, NULL);
}

oct_status oct_png_decode(const void *bytes, int64_t size, oct_image *out)
{
    decoder d;
    memset(&d, 0, sizeof d);
    d.bytes = bytes;
    d.left = (size_t)size;
    if (setjmp(d.fail)) {
        png_destroy_read_struct(&d.png, &d.info, NULL);
        return d.status != OCT_OK ? d.status : oct_fail(OCT_ERR_CONTENT, "%s", d.message);
    }
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    d.info = d.png ? png_create_info_struct(d.png) : NULL;
    if (!d.info) {
        png_destroy_read_struct(&d.png, &d.info, NULL);
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a PNG decoder");
    }
    decode(&d, out);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return OCT_OK;
}
