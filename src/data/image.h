/* JPEG and PNG from memory to 8-bit pixels, and Pillow's antialiased bilinear resize.  DESIGN 8. */
#ifndef OCT_DATA_IMAGE_H
#define OCT_DATA_IMAGE_H

#include <stdint.h>
#include "base/status.h"

#define OCT_IMAGE_MAX_SIDE   65535
#define OCT_IMAGE_MAX_PIXELS ((int64_t)1 << 27)

/* Interleaved rows without gaps. Zero-initialise; the buffer is reused from image to image. */
typedef struct oct_image {
    uint8_t *pixels;
    int64_t capacity;
    int width, height, channels;
} oct_image;

/* Room for the size; contents undefined. CONTENT when a side or the area is beyond the limits. */
oct_status oct_image_reserve(oct_image *image, int64_t width, int64_t height, int channels);
void oct_image_free(oct_image *image);

/* Decode into RGB (channels 3) or grey (1; ITU-R 601 as Pillow's "L"). Alpha is dropped, 16 bits are cut to the high byte,
 * orientation tags are ignored. Error messages give the reason only; the caller names the file. CONTENT. */
oct_status oct_image_decode(const void *bytes, int64_t size, int channels, oct_image *out);

/* ITU-R 601-2 luma of an RGB pixel in 16-bit fixed point, rounded: Pillow's conversion to "L". */
static inline uint8_t oct_image_luma(const uint8_t *p) { return (uint8_t)((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16); }

/* What each format does: out gets 1 or 3 channels as the file has colour or not. */
oct_status oct_jpeg_decode(const void *bytes, int64_t size, oct_image *out);
oct_status oct_png_decode(const void *bytes, int64_t size, oct_image *out);

/* Buffers of one thread's resizing. Zero-initialise. */
typedef struct oct_resize_scratch {
    int32_t *first, *taps, *weights, *sums; /* of one axis; sums of one output row */
    int64_t first_capacity, taps_capacity, weights_capacity, sums_capacity;
    uint8_t *rows; /* the horizontally resized rows that the vertical pass needs */
    int64_t rows_capacity;
} oct_resize_scratch;
void oct_resize_scratch_free(oct_resize_scratch *s);

/* The window [x, x + w) x [y, y + h) of src resized to full_w x full_h. Equal to Pillow's resize(BILINEAR) byte by byte. */
oct_status oct_image_resize(const oct_image *src, int full_w, int full_h, int x, int y, int w, int h, oct_resize_scratch *s,
                            oct_image *dst);

#endif
