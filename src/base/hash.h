/* Checksums: xxHash's XXH64, header-only, compiled in so that the runtime needs no library. */
#ifndef OCT_BASE_HASH_H
#define OCT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t oct_hash64(const void *data, size_t size, uint64_t seed);

#endif
