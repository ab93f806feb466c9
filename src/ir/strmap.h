/* String -> integer map in an arena: the graph's indices of values, symbols and name stems.  Keys are borrowed. */
#ifndef OCT_IR_STRMAP_H
#define OCT_IR_STRMAP_H

#include "base/mem.h"

typedef struct oct_strmap_slot {
    const char *key; /* NULL = free */
    uint64_t hash;
    int64_t value;
} oct_strmap_slot;

typedef struct oct_strmap {
    oct_arena *arena;
    oct_strmap_slot *slots;
    int64_t capacity, count; /* capacity 0 or a power of two, at most 2/3 full */
} oct_strmap;

bool oct_strmap_find(const oct_strmap *m, const char *key, int64_t *value); /* value may be NULL */
/* Insert or overwrite; key must live as long as the map. MEMORY only. */
oct_status oct_strmap_put(oct_strmap *m, const char *key, int64_t value);
void oct_strmap_clear(oct_strmap *m);

#endif
