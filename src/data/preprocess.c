/* Preprocessing of images for one model input, after decoding.
 *
 * Sizes follow torchvision: the longer side is cut to an integer, the crop's offset is half the difference rounded half to
 * even. Values come from a table of (code / 255 - mean) / std in float, so they equal NumPy's float32 result bit by bit. */
#include "data/preprocess.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "num/num.h"

static bool is_image_depth(int64_t d) { return d == 1 || d == 3; }

static oct_status check_options(const oct_preprocess *p)
{
    for (int c = 0; c < 4; c++)
        if (!isfinite(p->mean[c]) || !isfinite(p->std[c]) || !(p->std[c] > 0.0f))
            return oct_fail(OCT_ERR_USAGE, "preprocessing: mean must be finite and std finite and > 0");
    const int sides[] = {p->resize, p->resize_w, p->crop_h, p->crop_w};
    for (int i = 0; i < 4; i++)
        if (sides[i] < 0 || sides[i] > OCT_IMAGE_MAX_SIDE)
            return oct_fail(OCT_ERR_USAGE, "preprocessing: a size of %d pixels", sides[i]);
    if ((p->resize_w > 0 && p->resize == 0) || (p->crop_h > 0) != (p->crop_w > 0))
        return oct_fail(OCT_ERR_USAGE, "preprocessing: width and height go together");
    if (p->layout < 0 || p->layout > 2 || p->color < 0 || p->color > 3)
        return oct_fail(OCT_ERR_USAGE, "preprocessing: unknown layout or color");
    return OCT_OK;
}

oct_status oct_pixel_plan_make(const oct_port *port, const oct_preprocess *pre, oct_pixel_plan *out)
{
    oct_pixel_plan plan = {0};
    if (pre)
        plan.pre = *pre;
    else
        oct_preprocess_default(&plan.pre);
    const oct_preprocess *p = &plan.pre;
    OCT_TRY(check_options(p));
    const bool codes = port->scale > 0 && (port->dtype == OCT_U8 || port->dtype == OCT_S8), raw = port->dtype == OCT_U8 && !codes;
    if ((port->dtype != OCT_F32 && !codes && !raw) || port->rank != 4)
        return oct_fail_node(
            oct_fail(OCT_ERR_CONTENT,
                     "input '%s' takes no images: images need an input of 4 dimensions of float32, uint8 or codes with a scale, this one is %s with %d", port->name,
                     oct_dtype_name(port->dtype), port->rank),
            port->name);
    const int64_t *d = port->dims;
    const int layout = raw ? 0 : p->layout; /* of the float model; a caller of raw pixels may have chosen another */
    plan.nhwc = layout == 2 || (layout == 0 && is_image_depth(d[3]) && !is_image_depth(d[1]));
    int64_t channels = plan.nhwc ? d[3] : d[1], height = plan.nhwc ? d[1] : d[2], width = plan.nhwc ? d[2] : d[3];
    if (channels < 0)
        channels = p->color == 3 ? 1 : 3;
    if (!is_image_depth(channels))
        return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' has %lld channels as %s: images have 1 or 3", port->name,
                                      (long long)channels, plan.nhwc ? "nhwc" : "nchw"),
                             port->name);
    if ((p->color == 3) != (channels == 1) && p->color != 0)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s' has %lld channels, the preprocessing asks for %s", port->name,
                                      (long long)channels, p->color == 3 ? "grey" : "colour"),
                             port->name);
    int64_t fixed_h = p->crop_h ? p->crop_h : p->resize_w ? p->resize : 0, fixed_w = p->crop_w ? p->crop_w : p->resize_w;
    if (fixed_h && ((height >= 0 && height != fixed_h) || (width >= 0 && width != fixed_w)))
        return oct_fail_node(oct_fail(OCT_ERR_USAGE,
                                      "preprocessing gives %lld x %lld pixels (height x width), input '%s' takes %lld x %lld",
                                      (long long)fixed_h, (long long)fixed_w, port->name, (long long)height, (long long)width),
                             port->name);
    plan.channels = (int)channels;
    plan.height = (int)(fixed_h ? fixed_h : height > 0 && height <= OCT_IMAGE_MAX_SIDE ? height : 0);
    plan.width = (int)(fixed_w ? fixed_w : width > 0 && width <= OCT_IMAGE_MAX_SIDE ? width : 0);
    plan.bgr = p->color == 2;
    plan.bytes = codes || raw;
    for (int c = 0; c < plan.channels; c++)
        for (int v = 0; v < 256; v++)
            plan.table[c][v] = oct_pixel_value(p, c, v);
    for (int c = 0; c < plan.channels && plan.bytes; c++)
        for (int v = 0; v < 256; v++)
            plan.codes[c][v] = (uint8_t)(raw ? v : oct_quantize(plan.table[c][v], port->scale, port->zero, port->dtype == OCT_S8 ? -128 : 0, port->dtype == OCT_S8 ? 127 : 255));
    *out = plan;
    return OCT_OK;
}

void oct_pixel_scratch_free(oct_pixel_scratch *s)
{
    oct_image_free(&s->decoded);
    oct_image_free(&s->sized);
    oct_resize_scratch_free(&s->resize);
}

static int half_to_even(int d) { return d / 2 + (d & (d / 2) & 1); }

oct_status oct_pixels_load(const oct_pixel_plan *plan, const void *bytes, int64_t size, oct_pixel_scratch *s, const oct_image **out,
                           bool *misfit)
{
    const oct_preprocess *p = &plan->pre;
    *misfit = false;
    OCT_TRY(oct_image_decode(bytes, size, plan->channels, &s->decoded));
    const oct_image *image = &s->decoded;
    int64_t w = image->width, h = image->height;
    if (p->resize_w) {
        w = p->resize_w;
        h = p->resize;
    } else if (p->resize) {
        int64_t shorter = oct_min64(w, h);
        w = w == shorter ? p->resize : p->resize * w / shorter;
        h = h == shorter ? p->resize : p->resize * h / shorter;
    }
    int cw = p->crop_w ? p->crop_w : (int)oct_min64(w, OCT_IMAGE_MAX_SIDE),
        ch = p->crop_h ? p->crop_h : (int)oct_min64(h, OCT_IMAGE_MAX_SIDE);
    if (w > OCT_IMAGE_MAX_SIDE || h > OCT_IMAGE_MAX_SIDE)
        return oct_fail(OCT_ERR_CONTENT, "%d x %d pixels (width x height) become too large when resized", image->width,
                        image->height);
    *misfit = cw > w || ch > h || (plan->width && cw != plan->width) || (plan->height && ch != plan->height);
    if (*misfit)
        return oct_fail(OCT_ERR_CONTENT,
                        "%d x %d pixels (width x height) do not fit: the model takes %d x %d, so say how to resize and crop "
                        "(--resize, --crop, --preset)",
                        image->width, image->height, plan->width, plan->height);
    if (w != image->width || h != image->height || cw != w || ch != h) {
        OCT_TRY(oct_image_resize(image, (int)w, (int)h, half_to_even((int)w - cw), half_to_even((int)h - ch), cw, ch, &s->resize,
                                 &s->sized));
        image = &s->sized;
    }
    *out = image;
    return OCT_OK;
}

/* Channel c of n pixels, `from` and `to` at its first element. */
static void put_channel(const oct_pixel_plan *plan, int c, const uint8_t *from, int64_t from_step, void *out, int64_t at, int64_t step, int64_t n)
{
    if (plan->bytes) {
        uint8_t *to = (uint8_t *)out + at;
        for (int64_t i = 0; i < n; i++)
            to[i * step] = plan->codes[c][from[i * from_step]];
    } else {
        float *to = (float *)out + at;
        for (int64_t i = 0; i < n; i++)
            to[i * step] = plan->table[c][from[i * from_step]];
    }
}

void oct_pixels_normalize(const oct_pixel_plan *plan, const oct_image *image, void *out)
{
    int64_t n = (int64_t)image->width * image->height;
    if (image->channels == 1)
        put_channel(plan, 0, image->pixels, 1, out, 0, 1, n);
    else
        for (int c = 0; c < 3; c++)
            put_channel(plan, c, image->pixels + (plan->bgr ? 2 - c : c), 3, out, plan->nhwc ? c : c * n, plan->nhwc ? 3 : 1, n);
}
