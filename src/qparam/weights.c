/* Weight quantization: scales per output channel or per tensor, and codes (DESIGN 3.2, docs/numerics.md "weights").  Symmetric s8 in
 * [-127, 127].  Looks at numbers only: which tensors are weights, and where their channels are, is the caller's knowledge. */
#include <math.h>
#include "num/num.h"
#include "qparam/qparam.h"

#define WEIGHT_MAX 127
/* The accumulator keeps two spare bits beside the bias: |bias| / (s_x * s_w) stays below this. */
#define BIAS_MAX 0x1p30
/* s_x * s_w stays a normal float for all scales within these bounds. */
#define SCALE_MIN 0x1p-62
#define SCALE_MAX 0x1p+62

/* A dense tensor seen as [outer, channels, inner] around the channel axis. */
typedef struct channels {
    int64_t outer, count, inner;
} channels;

static oct_status split(int rank, const int64_t *dims, int axis, channels *c)
{
    int64_t total;
    if (rank < 1 || rank > OCT_MAX_RANK || axis < 0 || axis >= rank)
        return oct_fail(OCT_ERR_INTERNAL, "weights of rank %d have no axis %d", rank, axis);
    OCT_TRY(oct_size_count(dims, rank, &total));
    *c = (channels){1, dims[axis], 1};
    for (int i = 0; i < axis; i++)
        c->outer *= dims[i];
    for (int i = axis + 1; i < rank; i++)
        c->inner *= dims[i];
    return OCT_OK;
}

/* Largest |w| of one channel; -1 when it holds a NaN or an infinity. */
static float channel_absmax(const float *w, const channels *c, int64_t channel)
{
    float amax = 0;
    for (int64_t o = 0; o < c->outer; o++) {
        const float *row = w + (o * c->count + channel) * c->inner;
        for (int64_t i = 0; i < c->inner; i++) {
            float a = fabsf(row[i]);
            if (!(a <= 0x1.fffffep127f))
                return -1;
            amax = a > amax ? a : amax;
        }
    }
    return amax;
}

/* absmax / 127, raised where the bias would not fit beside the products. input_scale <= 0: no bias rule. */
static float scale_of(float absmax, float input_scale, float bias)
{
    double s = absmax > 0 ? (double)absmax / WEIGHT_MAX : 1;
    if (absmax > 0 && input_scale > 0) {
        double least = fabs((double)bias) / ((double)input_scale * BIAS_MAX);
        s = s < least ? least : s;
    }
    s = s < SCALE_MIN ? SCALE_MIN : s;
    return (float)(s > SCALE_MAX ? SCALE_MAX : s);
}

oct_status oct_weight_scales(const float *w, int rank, const int64_t *dims, int axis, bool per_tensor, float input_scale, const float *bias, float *scale)
{
    channels c;
    float tensor_max = 0, bias_max = 0;
    OCT_TRY(split(rank, dims, axis, &c));
    for (int64_t i = 0; i < c.count; i++) {
        float amax = channel_absmax(w, &c, i), b = bias ? fabsf(bias[i]) : 0;
        if (amax < 0)
            return oct_fail(OCT_ERR_CONTENT, "output channel %lld of the weights holds a value that is not finite", (long long)i);
        if (!(b <= 0x1.fffffep127f))
            return oct_fail(OCT_ERR_CONTENT, "the bias of output channel %lld is not finite", (long long)i);
        if (!per_tensor)
            scale[i] = scale_of(amax, input_scale, b);
        tensor_max = amax > tensor_max ? amax : tensor_max;
        bias_max = b > bias_max ? b : bias_max;
    }
    if (per_tensor)
        scale[0] = scale_of(tensor_max, input_scale, bias_max);
    return OCT_OK;
}

oct_status oct_weight_codes(const float *w, int rank, const int64_t *dims, int axis, int64_t scale_count, const float *scale, int8_t *codes)
{
    channels c;
    OCT_TRY(split(rank, dims, axis, &c));
    if (scale_count != 1 && scale_count != c.count)
        return oct_fail(OCT_ERR_INTERNAL, "%lld weight scales for %lld channels", (long long)scale_count, (long long)c.count);
    for (int64_t o = 0; o < c.outer; o++)
        for (int64_t k = 0; k < c.count; k++) {
            int64_t at = (o * c.count + k) * c.inner;
            float s = scale[scale_count == 1 ? 0 : k];
            for (int64_t i = 0; i < c.inner; i++)
                codes[at + i] = (int8_t)oct_quantize(w[at + i], s, 0, -WEIGHT_MAX, WEIGHT_MAX);
        }
    return OCT_OK;
}
