/* An observer's state as bytes and back (docs/formats.md "calibration state").  Integers are LEB128, so that empty bins cost one byte in
 * a run length; floats are their bits.  Canonical: equal statistics give equal bytes.  The reader checks every length and total. */
#include <math.h>
#include <stdlib.h>
#include "num/num.h"
#include "quant/bytes.h"
#include "quant/observer.h"

/* Runs: count of zeros, count of values, values; until n are told. */
static void put_counts(oct_text *t, const uint64_t *v, int n)
{
    for (int i = 0; i < n;) {
        int zeros = i, values;
        while (zeros < n && v[zeros] == 0)
            zeros++;
        values = zeros;
        while (values < n && v[values] != 0)
            values++;
        oct_put_uint(t, (uint64_t)(zeros - i));
        oct_put_uint(t, (uint64_t)(values - zeros));
        for (int k = zeros; k < values; k++)
            oct_put_uint(t, v[k]);
        i = values;
    }
}

static oct_status get_counts(oct_bytes *b, uint64_t *v, int n, uint64_t *total)
{
    for (int64_t i = 0; i < n;) {
        uint64_t zeros = 0, values = 0;
        OCT_TRY(oct_get_uint(b, (uint64_t)(n - i), &zeros));
        OCT_TRY(oct_get_uint(b, (uint64_t)(n - i) - zeros, &values));
        if (zeros + values == 0)
            return oct_fail(OCT_ERR_CONTENT, "calibration state: a histogram has an empty run");
        i += (int64_t)zeros;
        for (uint64_t k = 0; k < values; k++, i++) {
            OCT_TRY(oct_get_uint(b, UINT64_MAX >> 8, &v[i]));
            *total += v[i];
        }
    }
    return OCT_OK;
}

static void put_exact(oct_text *t, const oct_exact *e)
{
    oct_exact c = *e;
    uint64_t limb[OCT_EXACT_LIMBS];
    oct_exact_settle(&c);
    /* Negative sums have all upper limbs set: the sign is folded in, so that both signs are short. */
    int64_t sign = c.limb[OCT_EXACT_LIMBS - 1] >> 63;
    for (int i = 0; i < OCT_EXACT_LIMBS; i++)
        limb[i] = (uint64_t)(c.limb[i] ^ (i + 1 < OCT_EXACT_LIMBS ? sign & (int64_t)0xFFFFFFFF : sign));
    oct_put_uint(t, sign ? 1 : 0);
    put_counts(t, limb, OCT_EXACT_LIMBS);
}

static oct_status get_exact(oct_bytes *b, oct_exact *e)
{
    uint64_t sign = 0, limb[OCT_EXACT_LIMBS] = {0}, total = 0;
    OCT_TRY(oct_get_uint(b, 1, &sign));
    OCT_TRY(get_counts(b, limb, OCT_EXACT_LIMBS, &total));
    for (int i = 0; i < OCT_EXACT_LIMBS; i++) {
        bool last = i + 1 == OCT_EXACT_LIMBS;
        if (limb[i] > (last ? (uint64_t)INT64_MAX >> 8 : 0xFFFFFFFFu))
            return oct_fail(OCT_ERR_CONTENT, "calibration state: a sum is out of range");
        e->limb[i] = (int64_t)limb[i] ^ (sign ? (last ? -1 : (int64_t)0xFFFFFFFF) : 0);
    }
    e->pending = 0;
    return OCT_OK;
}

static void put_side(oct_text *t, const oct_side *s)
{
    put_counts(t, s->linear, OCT_BINS);
    put_counts(t, s->octave, OCT_OCTAVES);
}

static bool side_is_empty(const oct_side *s)
{
    for (int i = 0; s && i < OCT_BINS; i++)
        if (s->linear[i])
            return false;
    return true;
}

void oct_observer_write(const oct_observer *o, oct_text *t)
{
    bool negative = !side_is_empty(o->neg);
    oct_put_uint(t, (uint64_t)(o->exponent - OCT_NO_EXPONENT));
    oct_put_uint(t, o->count);
    oct_put_uint(t, o->zeros);
    oct_put_uint(t, o->nonfinite);
    oct_put_uint(t, o->samples);
    const float limits[6] = {o->min, o->max, o->top[0], o->top[1], o->bottom[0], o->bottom[1]};
    for (int i = 0; i < 6; i++)
        oct_put_float(t, limits[i]);
    put_exact(t, &o->sum);
    put_exact(t, &o->sum2);
    oct_put_uint(t, negative);
    put_side(t, o->pos);
    if (negative)
        put_side(t, o->neg);
    oct_put_uint(t, (uint64_t)o->channels);
    for (int64_t c = 0; c < o->channels; c++)
        oct_put_float(t, o->channel_max[c]);
}

static oct_status get_side(oct_bytes *b, oct_side *s, uint64_t *linear, uint64_t *octave)
{
    OCT_TRY(get_counts(b, s->linear, OCT_BINS, linear));
    return get_counts(b, s->octave, OCT_OCTAVES, octave);
}

/* The limits of data that was seen are finite and in order; before that they are the empty ones. */
static bool limits_hold(const oct_observer *o)
{
    if (o->count == 0)
        return o->min == INFINITY && o->max == -INFINITY && o->exponent == OCT_NO_EXPONENT;
    float absmax = oct_observer_absmax(o);
    return isfinite(o->min) && isfinite(o->max) && o->min <= o->max && (absmax > 0) == (o->exponent != OCT_NO_EXPONENT) &&
           (absmax == 0 || absmax < ldexpf(OCT_BINS, o->exponent)) && o->top[0] == o->max && o->bottom[0] == o->min && o->top[1] <= o->top[0] &&
           o->bottom[1] >= o->bottom[0];
}

static oct_status read_body(oct_bytes *b, oct_observer *o)
{
    uint64_t exponent = 0, negative = 0, linear = 0, octave = 0;
    OCT_TRY(oct_get_uint(b, 116 - OCT_NO_EXPONENT, &exponent));
    o->exponent = (int32_t)exponent + OCT_NO_EXPONENT;
    if (o->exponent != OCT_NO_EXPONENT && o->exponent < -126)
        return oct_fail(OCT_ERR_CONTENT, "calibration state: a histogram's bin width is out of range");
    OCT_TRY(oct_get_uint(b, UINT64_MAX >> 8, &o->count));
    OCT_TRY(oct_get_uint(b, o->count, &o->zeros));
    OCT_TRY(oct_get_uint(b, UINT64_MAX >> 8, &o->nonfinite));
    OCT_TRY(oct_get_uint(b, UINT64_MAX >> 8, &o->samples));
    float *const limits[6] = {&o->min, &o->max, &o->top[0], &o->top[1], &o->bottom[0], &o->bottom[1]};
    for (int i = 0; i < 6; i++)
        OCT_TRY(oct_get_float(b, limits[i]));
    OCT_TRY(get_exact(b, &o->sum));
    OCT_TRY(get_exact(b, &o->sum2));
    OCT_TRY(oct_get_uint(b, 1, &negative));
    OCT_TRY(get_side(b, o->pos, &linear, &octave));
    if (negative) {
        if (!(o->neg = calloc(1, sizeof *o->neg)))
            return oct_fail(OCT_ERR_MEMORY, "cannot allocate a histogram");
        OCT_TRY(get_side(b, o->neg, &linear, &octave));
    }
    if (!limits_hold(o) || linear != o->count - o->zeros || octave != linear)
        return oct_fail(OCT_ERR_CONTENT, "calibration state: limits and counts of a histogram contradict each other");
    return OCT_OK;
}

oct_status oct_observer_read(oct_bytes *b, oct_observer **out)
{
    oct_status s = OCT_OK;
    oct_observer *o = NULL;
    uint64_t channels = 0;
    OCT_TRY(oct_observer_create(0, &o));
    OCT_TRY_DONE(read_body(b, o));
    OCT_TRY_DONE(oct_get_uint(b, (uint64_t)(b->end - b->at) / sizeof(float), &channels));
    free(o->channel_max);
    o->channels = (int64_t)channels;
    if (!(o->channel_max = calloc(channels + 1, sizeof *o->channel_max)))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate an observer of %lld channels", (long long)channels);
    for (uint64_t c = 0; c < channels; c++) {
        OCT_TRY_DONE(oct_get_float(b, &o->channel_max[c]));
        if (!(o->channel_max[c] >= 0) || !isfinite(o->channel_max[c]))
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "calibration state: a channel's largest value is out of range");
    }
    *out = o;
    o = NULL;
done:
    oct_observer_destroy(o);
    return s;
}
