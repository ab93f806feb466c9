/* Constants of several finished plans in one section: what they have in common is stored once.  For the plans of a profile, whose weights are
 * the same wherever the kernels are.
 *
 * An item begins wherever a tensor or the parameters of a step point, and ends where the next one begins. Items of equal bytes are one item. */
#include "plan/share.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

typedef struct item {
    int64_t at, size, to; /* in the plan's section; where it lies in the pool */
} item;

struct oct_const_pool {
    uint8_t *data;
    int64_t size, capacity;
    item *items;          /* of the pool: `to` is not used */
    uint64_t *hashes;     /* of the items */
    int64_t count, item_capacity, hash_capacity;
};

oct_status oct_const_pool_create(oct_const_pool **out)
{
    oct_const_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a pool of constants");
    *out = pool;
    return OCT_OK;
}

void oct_const_pool_destroy(oct_const_pool *pool)
{
    if (!pool)
        return;
    free(pool->data);
    free(pool->items);
    free(pool->hashes);
    free(pool);
}

const void *oct_const_pool_data(const oct_const_pool *pool, int64_t *size)
{
    *size = pool->size;
    return pool->data;
}

/* --- where a plan points --- */

/* The fields of a step's parameters that hold offsets of constants (plan/params.h names them *_at). Returns how many. */
static int offsets_of(const oct_plan_step *s, uint8_t *params, int64_t *fields[2])
{
    oct_p_conv *conv = (oct_p_conv *)(void *)params;
    oct_p_quantize *quantize = (oct_p_quantize *)(void *)params;
    oct_p_table *table = (oct_p_table *)(void *)params;
    switch ((oct_step_kind)s->kind) {
    case OCT_STEP_CONV_Q:
    case OCT_STEP_CONV_F:
    case OCT_STEP_WINO_Q:
    case OCT_STEP_DW_Q:
    case OCT_STEP_DW_F:
        fields[0] = &conv->weights_at;
        fields[1] = &conv->taps_at;
        return 2;
    case OCT_STEP_QUANTIZE:
    case OCT_STEP_DEQUANTIZE:
        fields[0] = &quantize->scale_at;
        fields[1] = &quantize->zero_at;
        return 2;
    case OCT_STEP_TABLE:
        fields[0] = &table->table_at;
        return 1;
    default:
        return 0;
    }
}

static int by_place(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Items of p in order, and how many; free() them. */
static oct_status find_items(const oct_plan *p, int64_t size, item **out, int64_t *count)
{
    oct_status s = OCT_OK;
    int64_t *starts = NULL, n = 0, capacity = 0, *fields[2];
    for (int32_t i = 0; i < p->tensor_count; i++)
        if (p->tensors[i].place == OCT_PLACE_CONST && p->tensors[i].root == i)
            OCT_TRY_DONE(OCT_PUSH(starts, n, capacity, p->tensors[i].offset));
    for (int32_t i = 0; i < p->step_count; i++) {
        const int found = offsets_of(&p->steps[i], (uint8_t *)(uintptr_t)p->params + p->steps[i].params, fields);
        for (int k = 0; k < found; k++)
            if (*fields[k] >= 0)
                OCT_TRY_DONE(OCT_PUSH(starts, n, capacity, *fields[k]));
    }
    if (n)
        qsort(starts, (size_t)n, sizeof *starts, by_place);
    item *list = calloc((size_t)n + 1, sizeof *list);
    if (!list)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot share the constants of a plan");
    *count = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || starts[i] != starts[i - 1])
            list[(*count)++].at = starts[i];
    for (int64_t i = 0; i < *count; i++)
        list[i].size = (i + 1 < *count ? list[i + 1].at : size) - list[i].at;
    *out = list;
done:
    free(starts);
    return s;
}

/* --- the pool --- */
static oct_status add_item(oct_const_pool *pool, const uint8_t *data, item *x)
{
    const uint64_t hash = oct_hash64(data + x->at, (size_t)x->size, 0);
    for (int64_t i = 0; i < pool->count; i++)
        if (pool->hashes[i] == hash && pool->items[i].size == x->size &&
            memcmp(pool->data + pool->items[i].at, data + x->at, (size_t)x->size) == 0) {
            x->to = pool->items[i].at;
            return OCT_OK;
        }
    int64_t end, hashes = pool->count;
    OCT_TRY(oct_size_add(pool->size, oct_round_up(x->size, OCT_ALIGN), &end));
    OCT_TRY(oct_grow((void **)&pool->data, &pool->capacity, end, 1));
    memset(pool->data + pool->size, 0, (size_t)(end - pool->size));
    memcpy(pool->data + pool->size, data + x->at, (size_t)x->size);
    x->to = pool->size;
    OCT_TRY(OCT_PUSH(pool->hashes, hashes, pool->hash_capacity, hash));
    OCT_TRY(OCT_PUSH(pool->items, pool->count, pool->item_capacity, ((item){.at = pool->size, .size = x->size})));
    pool->size = end;
    return OCT_OK;
}

static int64_t moved(const item *items, int64_t count, int64_t at)
{
    int64_t low = 0, high = count;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (items[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return items[low].to + (at - items[low].at);
}

/* The block of p with offsets into the pool and an empty section of constants. */
static oct_status rewrite(const oct_plan *p, const item *items, int64_t count, void **block, int64_t *size)
{
    oct_plan_header h = *p->header;
    uint8_t *b = NULL;
    int64_t total = oct_round_up((int64_t)sizeof h, OCT_ALIGN), *fields[2];
    for (int i = 0; i < OCT_SEC_COUNT; i++) {
        h.section[i].size = i == OCT_SEC_CONST ? 0 : h.section[i].size;
        h.section[i].offset = (uint64_t)total;
        OCT_TRY(oct_size_add(total, oct_round_up((int64_t)h.section[i].size, OCT_ALIGN), &total));
    }
    OCT_TRY(oct_size_add(total, OCT_ALIGN, &total));
    OCT_TRY(oct_alloc(total, true, (void **)&b));
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        memcpy(b + h.section[i].offset, (const uint8_t *)p->header + p->header->section[i].offset, h.section[i].size);
    oct_plan_tensor *tensors = (oct_plan_tensor *)(void *)(b + h.section[OCT_SEC_TENSORS].offset);
    for (int32_t i = 0; i < p->tensor_count; i++)
        if (tensors[i].place == OCT_PLACE_CONST)
            tensors[i].offset = moved(items, count, p->tensors[tensors[i].root].offset) + tensors[i].offset - p->tensors[tensors[i].root].offset;
    for (int32_t i = 0; i < p->step_count; i++) {
        const int found = offsets_of(&p->steps[i], b + h.section[OCT_SEC_PARAMS].offset + p->steps[i].params, fields);
        for (int k = 0; k < found; k++)
            if (*fields[k] >= 0)
                *fields[k] = moved(items, count, *fields[k]);
    }
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        h.section[i].hash = oct_hash64(b + h.section[i].offset, h.section[i].size, 0);
    h.total = (uint64_t)total;
    h.hash = 0;
    h.hash = oct_hash64(&h, sizeof h, 0);
    memcpy(b, &h, sizeof h);
    *block = b;
    *size = total;
    return OCT_OK;
}

oct_status oct_const_pool_add(oct_const_pool *pool, const oct_plan *p, void **block, int64_t *size)
{
    oct_status s = OCT_OK;
    const int64_t bytes = (int64_t)p->header->section[OCT_SEC_CONST].size, padded = oct_round_up(bytes, OCT_ALIGN);
    int64_t count = 0;
    item *items = NULL;
    uint8_t *data = NULL;
    OCT_TRY_DONE(oct_alloc(padded, true, (void **)&data)); /* whole lines, so that the last item is like all others */
    if (bytes)
        memcpy(data, p->constants, (size_t)bytes);
    OCT_TRY_DONE(find_items(p, padded, &items, &count));
    for (int64_t i = 0; i < count; i++)
        OCT_TRY_DONE(add_item(pool, data, &items[i]));
    OCT_TRY_DONE(rewrite(p, items, count, block, size));
done:
    oct_free(data);
    free(items);
    return s;
}
