/* Counter-based random numbers: the value depends on (seed, counter) only, so order and threads do not matter. */
#ifndef OCT_BASE_RNG_H
#define OCT_BASE_RNG_H

#include <stdint.h>

/* SplitMix64 finaliser over seed and counter (Steele, Lea, Flood 2014). */
static inline uint64_t oct_rng_at(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

typedef struct oct_rng {
    uint64_t seed, counter;
} oct_rng;
static inline uint64_t oct_rng_next(oct_rng *r) { return oct_rng_at(r->seed, r->counter++); }
/* Uniform in [0, n), n > 0, without modulo bias worth mentioning (128-bit multiply). */
static inline uint64_t oct_rng_below(oct_rng *r, uint64_t n) { return (uint64_t)(((unsigned __int128)oct_rng_next(r) * n) >> 64); }
/* Uniform in [0, 1). */
static inline double oct_rng_unit(oct_rng *r) { return (double)(oct_rng_next(r) >> 11) * 0x1p-53; }

#endif
