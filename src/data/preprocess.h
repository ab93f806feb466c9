/* From a decoded file to a model input: resize, crop, colour, layout, (v/255 - mean) / std.  DESIGN 8. */
#ifndef OCT_DATA_PREPROCESS_H
#define OCT_DATA_PREPROCESS_H

#include <octavo/data.h>
#include "base/status.h"
#include "data/image.h"

/* Input value of a pixel v in 0..255 in channel c of the model: the one place of this arithmetic, in float. */
static inline float oct_pixel_value(const oct_preprocess *p, int c, int v) { return ((float)v / 255.0f - p->mean[c]) / p->std[c]; }

/* What a preprocess means for one input port. */
typedef struct oct_pixel_plan {
    oct_preprocess pre;
    int channels, height, width; /* height and width 0 while the port leaves them free and no option fixes them */
    bool nhwc, bgr, bytes;   /* bytes: the input takes codes or pixels, one byte each */
    float table[3][256];     /* pixel -> input value, by channel of the model */
    uint8_t codes[3][256];   /* with bytes: pixel -> byte of the input */
} oct_pixel_plan;

/* USAGE for options that contradict themselves or the port, CONTENT for a port that takes no images. pre NULL = defaults. */
oct_status oct_pixel_plan_make(const oct_port *port, const oct_preprocess *pre, oct_pixel_plan *out);

/* Buffers of one thread. Zero-initialise. */
typedef struct oct_pixel_scratch {
    oct_image decoded, sized;
    oct_resize_scratch resize;
} oct_pixel_scratch;
void oct_pixel_scratch_free(oct_pixel_scratch *s);

/* Decodes and sizes: *out is borrowed from s. A picture of the wrong size sets *misfit: that is no fault of the file. */
oct_status oct_pixels_load(const oct_pixel_plan *plan, const void *bytes, int64_t size, oct_pixel_scratch *s, const oct_image **out,
                           bool *misfit);
/* channels * height * width floats, or bytes, in the plan's layout. */
void oct_pixels_normalize(const oct_pixel_plan *plan, const oct_image *image, void *out);

#endif
