/* Time that only goes forward. */
#ifndef OCT_BASE_CLOCK_H
#define OCT_BASE_CLOCK_H

#include <time.h>

/* Seconds since an arbitrary moment. */
static inline double oct_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
