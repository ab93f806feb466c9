/* JPEG through libjpeg-turbo, with the settings that Pillow uses: accurate inverse DCT, smooth chroma upsampling.
 *
 * The library's errors come back by longjmp, never exit(). Of its warnings, those that mean missing or damaged picture data
 * are errors here: a half-grey picture must not count as a sample. */
#include "data/image.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define MAX_SCANS 256 /* progressive files of a few hundred bytes can ask for thousands of passes over a large picture */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg; /* first: the library hands out pointers to it */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf fail;
    oct_status status; /* set when this code and not the library failed */
    char message[JMSG_LENGTH_MAX];
} decoder;

static void on_error(j_common_ptr common)
{
    decoder *d = (decoder *)common;
    common->err->format_message(common, d->message);
    longjmp(d->fail, 1);
}

static void on_message(j_common_ptr common, int level)
{
    int code = common->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_MUST_RESYNC || code == JWRN_HUFF_BAD_CODE))
        on_error(common);
}

static void on_print(j_common_ptr common) { (void)common; }

static void on_progress(j_common_ptr common)
{
    decoder *d = (decoder *)common;
    if (d->jpeg.input_scan_number > MAX_SCANS) {
        snprintf(d->message, sizeof d->message, "more than %d scans", MAX_SCANS);
        longjmp(d->fail, 1);
    }
}

/* CMYK as Adobe's programs write it (inverted) to RGB: multiply with what black leaves, rounded to the nearest code. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, int width)
{
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            unsigned ink = (255u - cmyk[c]) * cmyk[3] + 128;
            rgb[c] = (uint8_t)(cmyk[3] - ((ink + (ink >> 8)) >> 8));
        }
}

static void decode(decoder *d, const void *bytes, int64_t size, oct_image *out)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    jpeg_create_decompress(j);
    j->progress = &d->progress;
    d->progress.progress_monitor = on_progress;
    jpeg_mem_src(j, (const unsigned char *)bytes, (unsigned long)size);
    jpeg_read_header(j, TRUE);
    bool grey = j->jpeg_color_space == JCS_GRAYSCALE, cmyk = j->num_components == 4;
    j->out_color_space = grey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    d->status = oct_image_reserve(out, j->image_width, j->image_height, grey ? 1 : 3);
    if (d->status != OCT_OK)
        longjmp(d->fail, 1);
    jpeg_start_decompress(j);
    JSAMPARRAY line = cmyk ? j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, j->output_width * 4, 1) : NULL;
    while (j->output_scanline < j->output_height) {
        uint8_t *row = out->pixels + (int64_t)j->output_scanline * out->width * out->channels;
        jpeg_read_scanlines(j, cmyk ? line : &row, 1);
        if (cmyk)
            cmyk_to_rgb(line[0], row, out->width);
    }
    jpeg_finish_decompress(j);
}

oct_status oct_jpeg_decode(const void *bytes, int64_t size, oct_image *out)
{
    decoder d;
    memset(&d, 0, sizeof d);
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    d.errors.output_message = on_print;
    if (setjmp(d.fail)) {
        jpeg_destroy_decompress(&d.jpeg);
        return d.status != OCT_OK ? d.status : oct_fail(OCT_ERR_CONTENT, "%s", d.message);
    }
    decode(&d, bytes, size, out);
    jpeg_destroy_decompress(&d.jpeg);
    return OCT_OK;
}
