/* An exponential moving average of the parameters, to evaluate with in their place.
 *
 * After update t = 1, 2, ...: a = d a + (1 - d) w with d = min(decay, t / (t + 9)), so that the start is soon forgotten (Polyak,
 * Juditsky 1992 for averaging; the ramp keeps the window at about a tenth of the steps made). Starts at the values it finds. */
#ifndef OCT_TRAIN_AVERAGE_H
#define OCT_TRAIN_AVERAGE_H

#include <stdbool.h>
#include "base/status.h"
#include "train/param.h"

typedef struct oct_average oct_average;

/* params is copied, what it points to is borrowed. decay in [0, 1). USAGE, MEMORY. */
oct_status oct_average_create(const oct_param *params, int64_t count, double decay, oct_average **out);
void oct_average_destroy(oct_average *a);
/* Takes the parameters' values in; INTERNAL while these are the averages themselves. */
oct_status oct_average_update(oct_average *a);
/* Exchanges values and averages, bit by bit: once for evaluation, once more to go on. */
void oct_average_swap(oct_average *a);
bool oct_average_is_swapped(const oct_average *a);

/* For checkpoints: count floats, the parameters one after the other, and the number of updates. Borrowed; not while swapped. */
typedef struct oct_average_state {
    float *values;
    int64_t count;
    int64_t *updates;
} oct_average_state;
void oct_average_get_state(oct_average *a, oct_average_state *out);

#endif
