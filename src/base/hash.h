/* Checksums: xxHash's XXH64, header-only, compiled in so that the runtime needs no library. */
#ifndef OCT_BASE_HASH_H
#define OCT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t oct_hash64(const void *data, size_t size, uint64_t seed);

/* The same of bytes that come in pieces: begin, any number of adds, then the hash of all of them. */
typedef struct oct_hash {
    uint64_t state[11];
} oct_hash;
void oct_hash_begin(oct_hash *h, uint64_t seed);
void oct_hash_add(oct_hash *h, const void *data, size_t size);
uint64_t oct_hash_value(const oct_hash *h);

#endif
