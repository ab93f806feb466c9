/* Checked sizes, aligned blocks, the arena, growing arrays and growing text.  DESIGN 11.
 *
 * Everything that allocates from a size that came out of a file goes through here, so overflow is caught in one place. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ELEMENTS  ((int64_t)1 << 46)
#define MAX_BYTES     ((int64_t)1 << 47) /* the user half of a 48-bit address space */
#define FIRST_CHUNK   4096
#define LARGEST_CHUNK (1 << 20)

oct_status oct_size_mul(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r))
        return oct_fail(OCT_ERR_CONTENT, "size out of range: %lld * %lld", (long long)a, (long long)b);
    *out = r;
    return OCT_OK;
}

oct_status oct_size_add(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r))
        return oct_fail(OCT_ERR_CONTENT, "size out of range: %lld + %lld", (long long)a, (long long)b);
    *out = r;
    return OCT_OK;
}

oct_status oct_size_count(const int64_t *dims, int rank, int64_t *out)
{
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return oct_fail(OCT_ERR_CONTENT, "dimension %d is negative (%lld)", i, (long long)dims[i]);
        /* A zero must not hide that the other dimensions overflow: strides are made of them. */
        empty |= dims[i] == 0;
        OCT_TRY(oct_size_mul(n, dims[i] ? dims[i] : 1, &n));
        if (n > MAX_ELEMENTS)
            return oct_fail(OCT_ERR_CONTENT, "a tensor of more than 2^46 elements");
    }
    *out = empty ? 0 : n;
    return OCT_OK;
}

oct_status oct_alloc(int64_t bytes, bool zero, void **out)
{
    if (bytes < 0 || bytes > MAX_BYTES)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld bytes", (long long)bytes);
    size_t size = (size_t)oct_round_up(bytes, OCT_ALIGN) + OCT_ALIGN;
    void *p = aligned_alloc(OCT_ALIGN, size);
    if (!p)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld bytes", (long long)bytes);
    if (zero)
        memset(p, 0, size);
    *out = p;
    return OCT_OK;
}

void oct_free(void *p) { free(p); }

/* --- arena: a list of chunks; a block larger than a quarter of the next chunk gets one of its own --- */

typedef struct chunk {
    struct chunk *next;
    int64_t used, size; /* bytes behind the header */
} chunk;

#define CHUNK_HEADER OCT_ALIGN
_Static_assert(sizeof(chunk) <= CHUNK_HEADER, "blocks start at an aligned place behind the header");

struct oct_arena {
    chunk *current; /* the one that small blocks come from; all others hang behind it */
    int64_t next_size;
};

oct_status oct_arena_create(oct_arena **out)
{
    oct_arena *a = calloc(1, sizeof *a);
    if (!a)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an arena");
    a->next_size = FIRST_CHUNK;
    *out = a;
    return OCT_OK;
}

void oct_arena_destroy(oct_arena *arena)
{
    if (!arena)
        return;
    for (chunk *c = arena->current; c;) {
        chunk *next = c->next;
        oct_free(c);
        c = next;
    }
    free(arena);
}

static oct_status chunk_create(int64_t size, chunk **out)
{
    int64_t total = 0;
    void *p = NULL;
    OCT_TRY(oct_size_add(size, CHUNK_HEADER, &total));
    OCT_TRY(oct_alloc(total, true, &p)); /* its slack is the slack of the last block */
    chunk *c = p;
    c->size = size;
    *out = c;
    return OCT_OK;
}

oct_status oct_arena_alloc(oct_arena *arena, int64_t bytes, void **out)
{
    if (bytes < 0 || bytes > MAX_BYTES)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld bytes", (long long)bytes);
    int64_t align = bytes >= 64 ? 64 : 16;
    int64_t size = oct_round_up(oct_max64(bytes, 1), align);
    chunk *c = arena->current;
    int64_t at = c ? oct_round_up(c->used, align) : 0;
    if (!c || at + size > c->size) {
        bool own = size > arena->next_size / 4;
        OCT_TRY(chunk_create(own ? size : arena->next_size, &c));
        if (own && arena->current) {
            c->next = arena->current->next;
            arena->current->next = c;
        } else {
            c->next = arena->current;
            arena->current = c;
        }
        if (!own && arena->next_size < LARGEST_CHUNK)
            arena->next_size *= 2;
        at = 0;
    }
    c->used = at + size;
    *out = (char *)c + CHUNK_HEADER + at;
    return OCT_OK;
}

oct_status oct_arena_memdup(oct_arena *arena, const void *p, int64_t bytes, void **out)
{
    void *copy = NULL;
    OCT_TRY(oct_arena_alloc(arena, bytes, &copy));
    if (bytes)
        memcpy(copy, p, (size_t)bytes);
    *out = copy;
    return OCT_OK;
}

oct_status oct_arena_strdup(oct_arena *arena, const char *s, char **out)
{
    return oct_arena_memdup(arena, s, (int64_t)strlen(s) + 1, (void **)out);
}

oct_status oct_arena_printf(oct_arena *arena, char **out, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = NULL;
    oct_status s = n < 0 ? oct_fail(OCT_ERR_INTERNAL, "cannot format '%s'", format) : oct_arena_alloc(arena, (int64_t)n + 1, (void **)&text);
    if (s == OCT_OK) {
        vsnprintf(text, (size_t)n + 1, format, again);
        *out = text;
    }
    va_end(again);
    return s;
}

/* --- growing arrays and text --- */

oct_status oct_grow(void **array, int64_t *capacity, int64_t need, size_t element)
{
    if (need <= *capacity)
        return OCT_OK;
    int64_t larger = oct_max64(oct_max64(need, *capacity + *capacity / 2), 8), bytes = 0;
    OCT_TRY(oct_size_mul(larger, (int64_t)element, &bytes));
    void *p = bytes <= MAX_BYTES ? realloc(*array, (size_t)bytes) : NULL;
    if (!p)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld bytes", (long long)bytes);
    *array = p;
    *capacity = larger;
    return OCT_OK;
}

static bool text_reserve(oct_text *t, int64_t more)
{
    if (t->status == OCT_OK)
        t->status = oct_grow((void **)&t->data, &t->capacity, t->size + more + 1, 1);
    return t->status == OCT_OK;
}

void oct_text_append(oct_text *t, const char *bytes, int64_t size)
{
    if (!text_reserve(t, size))
        return;
    if (size)
        memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += size;
    t->data[t->size] = '\0';
}

void oct_text_printf(oct_text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 && t->status == OCT_OK)
        t->status = oct_fail(OCT_ERR_INTERNAL, "cannot format '%s'", format);
    if (n >= 0 && text_reserve(t, n)) {
        vsnprintf(t->data + t->size, (size_t)n + 1, format, again);
        t->size += n;
    }
    va_end(again);
}

oct_status oct_text_finish(oct_text *t, char **out)
{
    if (text_reserve(t, 0)) {
        t->data[t->size] = '\0';
        *out = t->data;
        *t = (oct_text){0};
        return OCT_OK;
    }
    oct_status s = t->status;
    oct_text_discard(t);
    return s;
}

void oct_text_discard(oct_text *t)
{
    free(t->data);
    *t = (oct_text){0};
}
