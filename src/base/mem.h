/* Memory: checked size products, aligned blocks and the arena that owns whole object graphs.  DESIGN 11. */
#ifndef OCT_BASE_MEM_H
#define OCT_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#define OCT_ALIGN 64 /* a cache line and a zmm register */

/* *out = a*b or a+b; CONTENT error on overflow of int64_t or a negative operand. */
oct_status oct_size_mul(int64_t a, int64_t b, int64_t *out);
oct_status oct_size_add(int64_t a, int64_t b, int64_t *out);
/* Product of dims[0..rank), all checked; also refuses more than 2^46 elements. */
oct_status oct_size_count(const int64_t *dims, int rank, int64_t *out);

static inline int64_t oct_round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int64_t oct_div_up(int64_t n, int64_t d) { return (n + d - 1) / d; }
static inline int64_t oct_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t oct_max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* 64-byte aligned blocks with OCT_ALIGN readable bytes of slack after the end; zeroed when zero. Free with oct_free. */
oct_status oct_alloc(int64_t bytes, bool zero, void **out);
void oct_free(void *p);

/* An arena frees everything at once. Blocks are 64-byte aligned when >= 64 bytes, else 16. NULL only when memory is out. */
typedef struct oct_arena oct_arena;
oct_status oct_arena_create(oct_arena **out);
void oct_arena_destroy(oct_arena *arena);
oct_status oct_arena_alloc(oct_arena *arena, int64_t bytes, void **out); /* zeroed, with slack like oct_alloc */
oct_status oct_arena_strdup(oct_arena *arena, const char *s, char **out);
oct_status oct_arena_memdup(oct_arena *arena, const void *p, int64_t bytes, void **out);
oct_status oct_arena_printf(oct_arena *arena, char **out, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Growing array: OCT_PUSH(array, count, capacity, value) is an expression of type oct_status. */
oct_status oct_grow(void **array, int64_t *capacity, int64_t need, size_t element);
#define OCT_PUSH(array, count, capacity, value)                                              \
    (oct_grow((void **)&(array), &(capacity), (count) + 1, sizeof *(array)) == OCT_OK        \
         ? ((array)[(count)++] = (value), OCT_OK)                                            \
         : oct_last_error()->status)

/* Growing text. Zero-initialise; errors stick and come out of oct_text_finish. */
typedef struct oct_text {
    char *data;
    int64_t size, capacity;
    oct_status status;
} oct_text;
void oct_text_printf(oct_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void oct_text_append(oct_text *t, const char *bytes, int64_t size);
/* Hands over a NUL-terminated malloc'd string (free() it), or the first error; t is empty afterwards. */
oct_status oct_text_finish(oct_text *t, char **out);
void oct_text_discard(oct_text *t);

#endif
