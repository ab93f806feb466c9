/* XXH64 by xxHash's header, compiled in.  The only third-party code of the runtime library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

uint64_t oct_hash64(const void *data, size_t size, uint64_t seed) { return XXH64(data, size, seed); }
