/* Which samples of a set are used: a seeded stratified subset, then a contiguous shard. */
#ifndef OCT_DATA_SUBSET_H
#define OCT_DATA_SUBSET_H

#include <stdint.h>
#include "base/status.h"

/* The indices of `limit` of `count` samples, ascending: classes share as evenly as their sizes allow, members are drawn at
 * random by seed. labels NULL = one class; values in [0, classes). limit 0 or >= count takes all. free() *picked. */
oct_status oct_subset_pick(int64_t count, const int64_t *labels, int64_t classes, int64_t limit, uint64_t seed, int64_t **picked,
                           int64_t *picked_count);
/* Part shard (1-based) of shards of n samples: [*first, *first + *length). shards 0 = all. USAGE. */
oct_status oct_subset_shard(int64_t n, int shard, int shards, int64_t *first, int64_t *length);

#endif
