/* Open addressing with linear probing; no single deletion (the graph rebuilds its index after a sweep). */
#include "ir/strmap.h"

#include <string.h>
#include "base/hash.h"

static oct_strmap_slot *slot_of(const oct_strmap *m, const char *key, uint64_t hash)
{
    int64_t mask = m->capacity - 1;
    for (int64_t i = (int64_t)(hash & (uint64_t)mask);; i = (i + 1) & mask) {
        oct_strmap_slot *s = &m->slots[i];
        if (!s->key || (s->hash == hash && strcmp(s->key, key) == 0))
            return s;
    }
}

bool oct_strmap_find(const oct_strmap *m, const char *key, int64_t *value)
{
    if (m->capacity == 0)
        return false;
    const oct_strmap_slot *s = slot_of(m, key, oct_hash64(key, strlen(key), 0));
    if (!s->key)
        return false;
    if (value)
        *value = s->value;
    return true;
}

static oct_status grow(oct_strmap *m)
{
    oct_strmap next = {.arena = m->arena, .capacity = m->capacity ? m->capacity * 2 : 64, .count = m->count};
    OCT_TRY(oct_arena_alloc(m->arena, next.capacity * (int64_t)sizeof *next.slots, (void **)&next.slots));
    for (int64_t i = 0; i < m->capacity; i++)
        if (m->slots[i].key)
            *slot_of(&next, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    *m = next;
    return OCT_OK;
}

oct_status oct_strmap_put(oct_strmap *m, const char *key, int64_t value)
{
    if ((m->count + 1) * 3 > m->capacity * 2)
        OCT_TRY(grow(m));
    uint64_t hash = oct_hash64(key, strlen(key), 0);
    oct_strmap_slot *s = slot_of(m, key, hash);
    if (!s->key)
        m->count++;
    *s = (oct_strmap_slot){key, hash, value};
    return OCT_OK;
}

void oct_strmap_clear(oct_strmap *m)
{
    if (m->capacity)
        memset(m->slots, 0, (size_t)m->capacity * sizeof *m->slots);
    m->count = 0;
}
