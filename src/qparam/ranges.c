/* The ranges of a model's tensors in memory: the calibration cache without its file (qparam/cache.c).  DESIGN 4.3, 5.1.
 * Keeps order of insertion; finding by name goes through a map, so that caches of any size stay fast. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"
#include "qparam/qparam.h"

oct_status oct_ranges_create(oct_scheme scheme, oct_ranges **out)
{
    oct_ranges *r = calloc(1, sizeof *r);
    if (!r)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate ranges");
    oct_status s = oct_arena_create(&r->arena);
    if (s != OCT_OK) {
        free(r);
        return s;
    }
    r->names.arena = r->arena;
    r->scheme = scheme;
    r->method = "";
    *out = r;
    return OCT_OK;
}

void oct_ranges_destroy(oct_ranges *r)
{
    if (!r)
        return;
    oct_arena_destroy(r->arena);
    free(r->entries);
    free(r);
}

static oct_status check(const oct_ranges *r, const oct_range_entry *e)
{
    int32_t lo = r->scheme == OCT_SCHEME_AFFINE ? 0 : -128, hi = r->scheme == OCT_SCHEME_AFFINE ? 255 : 127;
    if (!e->tensor || !e->tensor[0])
        return oct_fail(OCT_ERR_CONTENT, "a range without a tensor name");
    if (!isfinite(e->min) || !isfinite(e->max) || e->min > e->max)
        return oct_fail(OCT_ERR_CONTENT, "the range of tensor '%s' is [%g, %g]: it must be finite, min <= max", e->tensor, e->min, e->max);
    if (e->scale == 0)
        return OCT_OK;
    if (!isfinite(e->scale) || e->scale < 0)
        return oct_fail(OCT_ERR_CONTENT, "the scale of tensor '%s' is %g: it must be finite and above 0", e->tensor, e->scale);
    if (e->zero < lo || e->zero > hi)
        return oct_fail(OCT_ERR_CONTENT, "the zero point of tensor '%s' is %d, outside [%d, %d]", e->tensor, (int)e->zero, (int)lo, (int)hi);
    return OCT_OK;
}

oct_status oct_ranges_put(oct_ranges *r, const oct_range_entry *entry)
{
    oct_range_entry e = *entry;
    int64_t at;
    OCT_TRY(check(r, entry));
    if (e.scale == 0) {
        oct_qparams q = r->scheme == OCT_SCHEME_AFFINE ? oct_qparams_affine_u8(e.min, e.max, true) : oct_qparams_symmetric_s8(e.min, e.max);
        e.scale = q.scale;
        e.zero = q.zero;
    }
    OCT_TRY(oct_arena_strdup(r->arena, entry->solver ? entry->solver : "", &e.solver));
    if (oct_strmap_find(&r->names, entry->tensor, &at)) {
        e.tensor = r->entries[at].tensor;
        r->entries[at] = e;
        return OCT_OK;
    }
    OCT_TRY(oct_arena_strdup(r->arena, entry->tensor, &e.tensor));
    OCT_TRY(OCT_PUSH(r->entries, r->count, r->capacity, e));
    return oct_strmap_put(&r->names, e.tensor, r->count - 1);
}

oct_status oct_ranges_clone(const oct_ranges *r, oct_ranges **out)
{
    oct_ranges *copy = NULL;
    OCT_TRY(oct_ranges_create(r->scheme, &copy));
    snprintf(copy->hash, sizeof copy->hash, "%s", r->hash);
    copy->samples = r->samples;
    oct_status s = oct_ranges_set_method(copy, r->method);
    for (int64_t i = 0; s == OCT_OK && i < r->count; i++)
        s = oct_ranges_put(copy, &r->entries[i]);
    if (s == OCT_OK)
        *out = copy;
    else
        oct_ranges_destroy(copy);
    return s;
}

const oct_range_entry *oct_ranges_find(const oct_ranges *r, const char *tensor)
{
    int64_t at;
    return oct_strmap_find(&r->names, tensor, &at) ? &r->entries[at] : NULL;
}

oct_status oct_ranges_check_model(const oct_ranges *r, const char *hash)
{
    if (r->hash[0] && strcmp(hash, r->hash) != 0)
        return oct_fail(OCT_ERR_CONTENT, "the ranges belong to another model: its hash is %s, this model's is %s", r->hash, hash);
    return OCT_OK;
}

oct_status oct_ranges_set_method(oct_ranges *r, const char *method)
{
    char *copy;
    OCT_TRY(oct_arena_strdup(r->arena, method, &copy));
    r->method = copy;
    return OCT_OK;
}

int64_t oct_ranges_count(const oct_ranges *ranges) { return ranges->count; }

const char *oct_ranges_model_hash(const oct_ranges *ranges) { return ranges->hash; }

oct_status oct_ranges_get(const oct_ranges *ranges, int64_t index, oct_range *out)
{
    if (index < 0 || index >= ranges->count)
        return oct_fail(OCT_ERR_USAGE, "range %lld of %lld was asked for", (long long)index, (long long)ranges->count);
    const oct_range_entry *e = &ranges->entries[index];
    *out = (oct_range){.tensor = e->tensor, .min = e->min, .max = e->max, .scale = e->scale, .zero = e->zero, .solver = e->solver};
    return OCT_OK;
}

oct_status oct_ranges_set(oct_ranges *ranges, const char *tensor, float min, float max)
{
    if (!tensor || !tensor[0])
        return oct_fail(OCT_ERR_USAGE, "a range needs the name of a tensor");
    if (!isfinite(min) || !isfinite(max) || min > max)
        return oct_fail(OCT_ERR_USAGE, "the range of tensor '%s' is [%g, %g]: it must be finite, min <= max", tensor, min, max);
    return oct_ranges_put(ranges, &(oct_range_entry){.tensor = (char *)tensor, .min = min, .max = max, .solver = OCT_SOLVER_USER, .error = -1});
}
