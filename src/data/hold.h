/* All samples of a source that can only be read front to back, as bytes in memory, for reading in any order. */
#ifndef OCT_DATA_HOLD_H
#define OCT_DATA_HOLD_H

#include "data/feed.h"

/* Reads every sample through the feeder, once, in order. An image that cannot be read is kept as its error. IO, CONTENT, MEMORY. */
oct_status oct_held_create(oct_feeder *f, oct_held **out);
void oct_held_destroy(oct_held *held);
/* A sample's bytes into s, or the error it gave. Any thread. */
oct_status oct_held_read(const oct_held *held, int64_t sample, oct_feed_scratch *s);

#endif
