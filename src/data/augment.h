/* Random changes of one training image: what is drawn for a sample, and how pixels change.  No files, threads or batches here. */
#ifndef OCT_DATA_AUGMENT_H
#define OCT_DATA_AUGMENT_H

#include <octavo/data.h>
#include "base/status.h"
#include "data/image.h"

/* USAGE when a field is outside its range. */
oct_status oct_augment_check(const oct_augment *a);

/* The key of all draws for one sample in one epoch; sample is its place in the source, so that neither limit, shard nor order matter. */
uint64_t oct_augment_key(uint64_t seed, int64_t epoch, int64_t sample);

/* Crop, flip, jitter, cutout, in this order, each as `key` draws it: in (1 or 3 channels) to out, of the same size; out is another
 * image. fill: the pixel of a cut out square, by channel of the image. MEMORY. */
oct_status oct_augment_apply(const oct_augment *a, uint64_t key, const uint8_t fill[3], const oct_image *in, oct_image *out);

/* Mixup's draws: a weight of the sample itself in 1 / 65536, and its partner among `count` samples. */
#define OCT_MIX_ONE 65536
void oct_augment_draw_mix(const oct_augment *a, uint64_t key, int64_t count, int *weight, int64_t *partner);
/* image = (image * weight + other * (OCT_MIX_ONE - weight)) / OCT_MIX_ONE, rounded; both of one size. */
void oct_augment_mix(oct_image *image, const oct_image *other, int weight);

/* order[0..count) = 0 ... count - 1 shuffled (Fisher-Yates; Knuth 3.4.2 P) by seed and epoch. */
void oct_augment_shuffle(uint64_t seed, int64_t epoch, int64_t count, int64_t *order);

#endif
