/* Stratified random subsets, splits and shards of a set.
 *
 * A subset depends on seed, labels and limit only, a split on seed, labels and fraction. Each class has its own random stream, so that what is drawn from one
 * class does not change when another one grows. */
#include "data/subset.h"

#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"

#define SPLIT_STREAM 0x5711u /* apart from the streams of a subset, which start at the class number */

/* quota[c] of each class: filled round by round, each round giving every class that still has members the same share;
 * what does not divide goes one each to classes in a seeded random order. */
static oct_status fill_quotas(const int64_t *size, int64_t classes, int64_t limit, uint64_t seed, int64_t *quota)
{
    int64_t *open = malloc((size_t)classes * sizeof *open);
    if (!open)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a subset");
    for (int64_t left = limit; left > 0;) {
        int64_t n = 0;
        for (int64_t c = 0; c < classes; c++)
            if (quota[c] < size[c])
                open[n++] = c;
        int64_t share = left / n;
        if (share == 0) {
            oct_rng r = {.seed = seed};
            for (int64_t i = 0; i < left; i++) {
                int64_t j = i + (int64_t)oct_rng_below(&r, (uint64_t)(n - i));
                int64_t c = open[j];
                open[j] = open[i];
                quota[c]++;
            }
            break;
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t give = oct_min64(share, size[open[i]] - quota[open[i]]);
            quota[open[i]] += give;
            left -= give;
        }
    }
    free(open);
    return OCT_OK;
}

/* Selection sampling (Knuth 3.4.2 S): member i of class c is taken with probability quota[c] / size[c], what is left of both. */
static bool draw(oct_rng *rng, int64_t *size, int64_t *quota, int64_t c)
{
    if ((int64_t)oct_rng_below(&rng[c], (uint64_t)size[c]--) >= quota[c])
        return false;
    quota[c]--;
    return true;
}

oct_status oct_subset_pick(int64_t count, const int64_t *labels, int64_t classes, int64_t limit, uint64_t seed, int64_t **picked,
                           int64_t *picked_count)
{
    oct_status s = OCT_OK;
    if (!labels || classes < 1)
        classes = 1;
    bool all = limit <= 0 || limit >= count;
    int64_t n = all ? count : limit, kept = 0;
    int64_t *out = malloc((size_t)oct_max64(n, 1) * sizeof *out);
    int64_t *size = calloc((size_t)classes, sizeof *size), *quota = calloc((size_t)classes, sizeof *quota);
    oct_rng *rng = calloc((size_t)classes, sizeof *rng);
    if (!out || !size || !quota || !rng)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a subset of %lld samples", (long long)n);
    if (all) {
        for (int64_t i = 0; i < count; i++)
            out[i] = i;
        kept = count;
    } else {
        for (int64_t i = 0; i < count; i++)
            size[labels ? labels[i] : 0]++;
        OCT_TRY_DONE(fill_quotas(size, classes, limit, seed, quota));
        for (int64_t c = 0; c < classes; c++)
            rng[c].seed = oct_rng_at(seed, (uint64_t)c + 1);
        for (int64_t i = 0; i < count; i++)
            if (draw(rng, size, quota, labels ? labels[i] : 0))
                out[kept++] = i;
    }
    *picked = out;
    *picked_count = kept;
    out = NULL;
done:
    free(out);
    free(size);
    free(quota);
    free(rng);
    return s;
}

typedef struct class_share {
    double part;
    uint64_t tie; /* equal remainders come in a seeded order, not in that of the classes */
    int64_t cls;
} class_share;

static int compare_shares(const void *a, const void *b)
{
    const class_share *x = a, *y = b;
    if (x->part != y->part)
        return x->part > y->part ? -1 : 1;
    return (x->tie > y->tie) - (x->tie < y->tie);
}

oct_status oct_subset_split(int64_t count, const int64_t *labels, int64_t classes, double fraction, uint64_t seed, uint8_t *held)
{
    oct_status s = OCT_OK;
    if (!labels || classes < 1)
        classes = 1;
    const uint64_t key = oct_rng_at(seed, SPLIT_STREAM); /* a subset with the same seed draws independently */
    int64_t *size = calloc((size_t)classes, sizeof *size), *quota = calloc((size_t)classes, sizeof *quota);
    oct_rng *rng = calloc((size_t)classes, sizeof *rng);
    class_share *rest = calloc((size_t)classes, sizeof *rest);
    if (!size || !quota || !rng || !rest)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a split of %lld classes", (long long)classes);
    for (int64_t i = 0; i < count; i++)
        size[labels ? labels[i] : 0]++;
    int64_t left = llround(fraction * (double)count);
    for (int64_t c = 0; c < classes; c++) {
        const double share = fraction * (double)size[c];
        quota[c] = (int64_t)share;
        left -= quota[c];
        rng[c].seed = oct_rng_at(key, (uint64_t)c);
        rest[c] = (class_share){.part = share - (double)quota[c], .tie = rng[c].seed, .cls = c};
    }
    qsort(rest, (size_t)classes, sizeof *rest, compare_shares);
    /* The remainders, each below 1, sum to `left` before it was rounded: so many classes have one, and room. */
    for (int64_t k = 0; k < classes && left > 0; k++)
        if (quota[rest[k].cls] < size[rest[k].cls]) {
            quota[rest[k].cls]++;
            left--;
        }
    for (int64_t i = 0; i < count; i++)
        held[i] = draw(rng, size, quota, labels ? labels[i] : 0);
done:
    free(size);
    free(quota);
    free(rng);
    free(rest);
    return s;
}

oct_status oct_subset_shard(int64_t n, int shard, int shards, int64_t *first, int64_t *length)
{
    if (shards == 0 && shard == 0) {
        *first = 0;
        *length = n;
        return OCT_OK;
    }
    if (shards < 1 || shard < 1 || shard > shards)
        return oct_fail(OCT_ERR_USAGE, "shard %d of %d: the shard is a number from 1 to the count of shards", shard, shards);
    if (shards > n)
        return oct_fail(OCT_ERR_USAGE, "%d shards of %lld samples: some would be empty", shards, (long long)n);

    *first = (int64_t)((__int128)n * (shard - 1) / shards);
    *length = (int64_t)((__int128)n * shard / shards) - *first;
    return OCT_OK;
}
