/* Streaming statistics of one tensor in fixed memory (DESIGN 4.1; docs/numerics.md "observer").
 *
 * Everything here is an exact monoid: counts, extrema, exact sums. The state after any order, batching, split and merge of the same
 * samples is the same bytes. Solvers (quant/solver.h) read it; nobody else writes it. */
#ifndef OCT_QUANT_OBSERVER_H
#define OCT_QUANT_OBSERVER_H

#include <octavo/quant.h>
#include "base/mem.h"
#include "quant/bytes.h"
#include "quant/exact.h"

enum {
    OCT_NO_EXPONENT = -1000,
    OCT_BINS = 4096,   /* linear bins of width 2^exponent, [i*w, (i+1)*w) of |x| */
    OCT_OCTAVES = 4080 /* 16 bins an octave over all finite floats: the top 12 bits of |x| */
};

/* Counts of one sign. */
typedef struct oct_side {
    uint64_t linear[OCT_BINS];
    uint64_t octave[OCT_OCTAVES];
} oct_side;

struct oct_observer {
    int32_t exponent;        /* of the bin width; OCT_NO_EXPONENT before the first value that is not zero */
    oct_side *pos, *neg;     /* neg is NULL until a negative value is seen */
    uint64_t count, zeros, nonfinite; /* count: finite elements, zeros included */
    uint64_t samples;
    float min, max;          /* of the finite elements; +inf, -inf before the first */
    float top[2], bottom[2]; /* the two largest maxima and the two smallest minima of single samples */
    oct_exact sum, sum2;
    int64_t channels;        /* length of channel_max */
    float *channel_max;      /* largest |x| by channel */
};

/* One sample, dense: element i belongs to channel i / inner % channels (n is a multiple of channels*inner unless channels is 0). */
oct_status oct_observer_push(oct_observer *o, const float *x, int64_t n, int64_t inner);
/* The same without what is kept by channel: for tensors that share a scale. */
oct_status oct_observer_merge_counts(oct_observer *into, const oct_observer *from);
/* Append the state's canonical bytes; errors stick in t. */
void oct_observer_write(const oct_observer *o, oct_text *t);
/* Read one state from the cursor. CONTENT. */
oct_status oct_observer_read(oct_bytes *b, oct_observer **out);

static inline float oct_observer_absmax(const oct_observer *o)
{
    float a = -o->min, b = o->max, m = a > b ? a : b;
    return m > 0 ? m : 0;
}
/* Mean square over the finite elements. */
double oct_observer_mean_square(const oct_observer *o);

#endif
