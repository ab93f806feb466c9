/* Which input index an output index reads: Pad's modes and Resize's coordinate rules, as ONNX defines them. fp32 arithmetic in the
 * order of ONNX's formulas, because on a tie the last bit decides which pixel is nearest. */
#include "kernels/nd/nd.h"

#include <math.h>

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

int64_t oct_nd_pad_index(oct_pad_mode mode, int64_t i, int64_t n)
{
    if (mode == OCT_PAD_EDGE || n == 1)
        return clamp(i, n);
    const int64_t period = mode == OCT_PAD_WRAP ? n : 2 * (n - 1);
    int64_t r = i % period;
    r += r < 0 ? period : 0;
    return r < n ? r : period - r;
}

float oct_nd_resize_at(oct_resize_coord coord, int64_t i, int64_t in, int64_t out, float scale)
{
    const float x = (float)i;
    switch (coord) {
    case OCT_COORD_HALF_PIXEL: return (x + 0.5f) / scale - 0.5f;
    case OCT_COORD_PYTORCH_HALF_PIXEL: return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
    case OCT_COORD_ALIGN_CORNERS: return out > 1 ? x * (float)(in - 1) / (float)(out - 1) : 0.0f;
    case OCT_COORD_ASYMMETRIC: return x / scale;
    case OCT_COORD_HALF_PIXEL_SYMMETRIC: {
        const float adjustment = (float)out / (scale * (float)in), center = (float)in / 2.0f;
        return center * (1.0f - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    }
    return 0.0f;
}

/* Beyond the input in either direction, NaN included: a saturated index. */
static int64_t to_index(float at, int64_t in)
{
    if (!(at > 0.0f))
        return 0;
    return at >= (float)in ? in - 1 : clamp((int64_t)at, in);
}

int64_t oct_nd_resize_nearest(oct_resize_nearest rule, float at, int64_t in)
{
    switch (rule) {
    case OCT_NEAREST_ROUND_PREFER_FLOOR: return to_index(ceilf(at - 0.5f), in);
    case OCT_NEAREST_ROUND_PREFER_CEIL: return to_index(floorf(at + 0.5f), in);
    case OCT_NEAREST_FLOOR: return to_index(floorf(at), in);
    case OCT_NEAREST_CEIL: return to_index(ceilf(at), in);
    }
    return 0;
}

void oct_nd_resize_linear(float at, int64_t in, int64_t *i0, int64_t *i1, float *w1)
{
    const float last = (float)(in - 1);
    at = at > 0.0f ? at : 0.0f;
    at = at < last ? at : last;
    *i0 = to_index(at, in);
    *i1 = clamp(*i0 + 1, in);
    *w1 = at - (float)*i0;
}
