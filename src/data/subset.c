/* Stratified random subsets and shards of a set.
 *
 * A subset depends on seed, labels and limit only. Each class has its own random stream, so that what is drawn from one
 * class does not change when another one grows. */
#include "data/subset.h"

#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"

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
        /* Selection sampling (Knuth 3.4.2 S): a member is taken with probability wanted / members left; ascending by itself. */
        for (int64_t i = 0; i < count; i++) {
            int64_t c = labels ? labels[i] : 0;
            if ((int64_t)oct_rng_below(&rng[c], (uint64_t)size[c]--) < quota[c]) {
                quota[c]--;
                out[kept++] = i;
            }
        }
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
