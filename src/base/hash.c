/* XXH64 by xxHash's header, compiled in.  The only third-party code of the runtime library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

uint64_t oct_hash64(const void *data, size_t size, uint64_t seed) { return XXH64(data, size, seed); }

_Static_assert(sizeof(XXH64_state_t) <= sizeof(oct_hash) && _Alignof(XXH64_state_t) <= _Alignof(oct_hash), "oct_hash holds xxHash's state");

void oct_hash_begin(oct_hash *h, uint64_t seed) { XXH64_reset((XXH64_state_t *)h->state, seed); }
void oct_hash_add(oct_hash *h, const void *data, size_t size)
{
    if (size > 0)
        XXH64_update((XXH64_state_t *)h->state, data, size);
}
uint64_t oct_hash_value(const oct_hash *h) { return XXH64_digest((const XXH64_state_t *)h->state); }
