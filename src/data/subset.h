/* Which samples of a set are used: a part held out or the rest, of it a seeded stratified subset, of that a contiguous shard. */
#ifndef OCT_DATA_SUBSET_H
#define OCT_DATA_SUBSET_H

#include <stdint.h>
#include "base/status.h"

/* The indices of `limit` of `count` samples, ascending: classes share as evenly as their sizes allow, members are drawn at
 * random by seed. labels NULL = one class; values in [0, classes). limit 0 or >= count takes all. free() *picked. */
oct_status oct_subset_pick(int64_t count, const int64_t *labels, int64_t classes, int64_t limit, uint64_t seed, int64_t **picked,
                           int64_t *picked_count);
/* held[i] = 1 for round(fraction * count) of `count` samples: each class gives its share, rounded down, and those with the largest
 * remainders one more; members are drawn at random by seed. fraction in (0, 1); labels as above. */
oct_status oct_subset_split(int64_t count, const int64_t *labels, int64_t classes, double fraction, uint64_t seed, uint8_t *held);
/* Part shard (1-based) of shards of n samples: [*first, *first + *length). shards 0 = all. USAGE. */
oct_status oct_subset_shard(int64_t n, int shard, int shards, int64_t *first, int64_t *length);

#endif
