/* The observer's inner loops and its merge (docs/numerics.md "observer").  Three passes over a sample that stays in cache: extrema,
 * then sums in eight fixed lanes, then counting.  Serialisation is in observer_file.c. */
#include "quant/observer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"

#define BLOCK 1024
#define LANES 8

oct_status oct_observer_create(int64_t channels, oct_observer **out)
{
    oct_observer *o = calloc(1, sizeof *o);
    if (!o)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an observer");
    o->channels = channels;
    o->exponent = OCT_NO_EXPONENT;
    o->pos = calloc(1, sizeof *o->pos);
    o->channel_max = calloc((size_t)channels + 1, sizeof *o->channel_max);
    o->min = o->bottom[0] = o->bottom[1] = INFINITY;
    o->max = o->top[0] = o->top[1] = -INFINITY;
    if (!o->pos || !o->channel_max) {
        oct_observer_destroy(o);
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an observer of %lld channels", (long long)channels);
    }
    *out = o;
    return OCT_OK;
}

void oct_observer_destroy(oct_observer *o)
{
    if (!o)
        return;
    free(o->pos);
    free(o->neg);
    free(o->channel_max);
    free(o);
}

/* --- growth: the bins cover [0, 4096 * 2^exponent); pairs merge until the value fits --- */

/* Smallest exponent whose bins hold max_abs (> 0, finite). */
static int32_t exponent_for(float max_abs)
{
    int k;
    frexpf(max_abs, &k); /* max_abs < 2^k */
    return k - 12 < -126 ? -126 : k - 12;
}

static void coarsen(oct_side *s, int32_t steps)
{
    for (; s && steps > 0; steps--) {
        if (steps > 12) { /* everything is in bin 0 after twelve halvings */
            for (int i = 1; i < OCT_BINS; i++) {
                s->linear[0] += s->linear[i];
                s->linear[i] = 0;
            }
            return;
        }
        for (int i = 0; i < OCT_BINS / 2; i++)
            s->linear[i] = s->linear[2 * i] + s->linear[2 * i + 1];
        memset(s->linear + OCT_BINS / 2, 0, sizeof s->linear / 2);
    }
}

static void grow_to(oct_observer *o, int32_t exponent)
{
    if (exponent <= o->exponent)
        return;
    if (o->exponent != OCT_NO_EXPONENT) {
        coarsen(o->pos, exponent - o->exponent);
        coarsen(o->neg, exponent - o->exponent);
    }
    o->exponent = exponent;
}

static oct_status need_negative(oct_observer *o)
{
    if (!o->neg && !(o->neg = calloc(1, sizeof *o->neg)))
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a histogram");
    return OCT_OK;
}

/* --- one sample --- */

typedef struct extent {
    float min, max;
    int64_t bad; /* NaN and infinities */
} extent;

static extent measure(const float *x, int64_t n)
{
    extent e = {INFINITY, -INFINITY, 0};
    float lo[LANES], hi[LANES];
    int32_t bad[LANES] = {0};
    for (int l = 0; l < LANES; l++) {
        lo[l] = INFINITY;
        hi[l] = -INFINITY;
    }
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            float v = x[i + l];
            lo[l] = v < lo[l] ? v : lo[l];
            hi[l] = v > hi[l] ? v : hi[l];
            bad[l] |= (oct_f32_bits(v) & 0x7F800000u) == 0x7F800000u;
        }
    for (; i < n; i++) {
        lo[0] = x[i] < lo[0] ? x[i] : lo[0];
        hi[0] = x[i] > hi[0] ? x[i] : hi[0];
        bad[0] |= (oct_f32_bits(x[i]) & 0x7F800000u) == 0x7F800000u;
    }
    for (int l = 0; l < LANES; l++) {
        e.min = lo[l] < e.min ? lo[l] : e.min;
        e.max = hi[l] > e.max ? hi[l] : e.max;
        e.bad += bad[l];
    }
    /* -0 and 0 are one value: which of them came first must not show. */
    e.min += 0.0f;
    e.max += 0.0f;
    return e;
}

/* Fixed order whatever the batch: lane l takes elements l, l+8, ...; lanes are added pairwise. */
static void sums(const float *x, int64_t n, double *sum, double *sum2)
{
    double a[LANES] = {0}, b[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            double v = (double)x[i + l];
            a[l] += v;
            b[l] += v * v;
        }
    for (int l = 0; i < n; i++, l++) {
        double v = (double)x[i];
        a[l] += v;
        b[l] += v * v;
    }
    for (int step = LANES / 2; step; step /= 2)
        for (int l = 0; l < step; l++) {
            a[l] += a[l + step];
            b[l] += b[l + step];
        }
    *sum = a[0];
    *sum2 = b[0];
}

/* Count n <= BLOCK finite values; returns how many are zero (these are in no bin). */
static int64_t count_block(oct_observer *o, const float *x, int64_t n, float inverse)
{
    oct_side *const side[2] = {o->pos, o->neg ? o->neg : o->pos};
    int32_t bin[BLOCK], octave[BLOCK], zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a = oct_f32_bits(x[i]) & 0x7FFFFFFFu;
        bin[i] = (int32_t)(oct_f32_from_bits(a) * inverse); /* exact: inverse is a power of two */
        octave[i] = (int32_t)(a >> 19);
        zeros += a == 0;
    }
    if (!o->neg) {
        for (int64_t i = 0; i < n; i++) {
            side[0]->linear[bin[i]]++;
            side[0]->octave[octave[i]]++;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            oct_side *s = side[x[i] < 0];
            s->linear[bin[i]]++;
            s->octave[octave[i]]++;
        }
    }
    o->pos->linear[0] -= (uint64_t)zeros;
    o->pos->octave[0] -= (uint64_t)zeros;
    return zeros;
}

static void note_channels(oct_observer *o, const float *x, int64_t n, int64_t inner)
{
    for (int64_t at = 0, c = 0; o->channels > 0 && at + inner <= n; at += inner) {
        float m = o->channel_max[c];
        for (int64_t i = 0; i < inner; i++) {
            float a = fabsf(x[at + i]);
            m = a > m && a < INFINITY ? a : m;
        }
        o->channel_max[c] = m;
        c = c + 1 < o->channels ? c + 1 : 0;
    }
}

static void note_top(float top[2], float v)
{
    if (v > top[0]) {
        top[1] = top[0];
        top[0] = v;
    } else if (v > top[1]) {
        top[1] = v;
    }
}
static void note_bottom(float bottom[2], float v)
{
    if (v < bottom[0]) {
        bottom[1] = bottom[0];
        bottom[0] = v;
    } else if (v < bottom[1]) {
        bottom[1] = v;
    }
}

/* All elements are finite, n > 0. */
static oct_status push_finite(oct_observer *o, const float *x, int64_t n, extent e)
{
    double sum, sum2;
    float max_abs = fmaxf(-e.min, e.max);
    if (e.min < 0)
        OCT_TRY(need_negative(o));
    o->count += (uint64_t)n;
    o->min = e.min < o->min ? e.min : o->min;
    o->max = e.max > o->max ? e.max : o->max;
    note_top(o->top, e.max);
    note_bottom(o->bottom, e.min);
    if (max_abs == 0) {
        o->zeros += (uint64_t)n;
        return OCT_OK;
    }
    grow_to(o, exponent_for(max_abs));
    sums(x, n, &sum, &sum2);
    oct_exact_add(&o->sum, sum);
    oct_exact_add(&o->sum2, sum2);
    float inverse = ldexpf(1, -o->exponent);
    for (int64_t i = 0; i < n; i += BLOCK)
        o->zeros += (uint64_t)count_block(o, x + i, oct_min64(BLOCK, n - i), inverse);
    return OCT_OK;
}

oct_status oct_observer_push(oct_observer *o, const float *x, int64_t n, int64_t inner)
{
    extent e = measure(x, n);
    if (!e.bad) {
        if (n > 0)
            OCT_TRY(push_finite(o, x, n, e));
    } else {
        float *finite = malloc((size_t)n * sizeof *finite);
        int64_t k = 0;
        if (!finite)
            return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld elements", (long long)n);
        for (int64_t i = 0; i < n; i++)
            if (isfinite(x[i]))
                finite[k++] = x[i];
        oct_status s = k > 0 ? push_finite(o, finite, k, measure(finite, k)) : OCT_OK;
        free(finite);
        OCT_TRY(s);
        o->nonfinite += (uint64_t)(n - k);
    }
    o->samples++;
    note_channels(o, x, n, inner);
    return OCT_OK;
}

/* --- merging --- */

static void add_counts(uint64_t *into, const uint64_t *from, int n)
{
    for (int i = 0; i < n; i++)
        into[i] += from[i];
}

/* from's linear bins, already as wide as into's or narrower by `steps` halvings. */
static void add_side(oct_side *into, const oct_side *from, int32_t steps)
{
    for (int i = 0; i < OCT_BINS; i++)
        into->linear[steps > 12 ? 0 : i >> steps] += from->linear[i];
    add_counts(into->octave, from->octave, OCT_OCTAVES);
}

oct_status oct_observer_merge_counts(oct_observer *into, const oct_observer *from)
{
    if (from->neg)
        OCT_TRY(need_negative(into));
    grow_to(into, from->exponent);
    if (from->exponent != OCT_NO_EXPONENT) {
        int32_t steps = into->exponent - from->exponent;
        add_side(into->pos, from->pos, steps);
        if (from->neg)
            add_side(into->neg, from->neg, steps);
    }
    into->count += from->count;
    into->zeros += from->zeros;
    into->nonfinite += from->nonfinite;
    into->samples += from->samples;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    for (int i = 0; i < 2; i++) {
        note_top(into->top, from->top[i]);
        note_bottom(into->bottom, from->bottom[i]);
    }
    oct_exact_merge(&into->sum, &from->sum);
    oct_exact_merge(&into->sum2, &from->sum2);
    return OCT_OK;
}

oct_status oct_observer_merge(oct_observer *into, const oct_observer *from)
{
    if (into->channels != from->channels)
        return oct_fail(OCT_ERR_CONTENT, "statistics over %lld and %lld channels cannot be merged", (long long)into->channels,
                        (long long)from->channels);
    OCT_TRY(oct_observer_merge_counts(into, from));
    for (int64_t c = 0; c < into->channels; c++)
        into->channel_max[c] = fmaxf(into->channel_max[c], from->channel_max[c]);
    return OCT_OK;
}

double oct_observer_mean_square(const oct_observer *o) { return o->count ? oct_exact_value(&o->sum2) / (double)o->count : 0; }
