/* One block of several parts: a plan, what it was made of, and the plans for other shapes of its profile.  DESIGN 5.7, 5.9.
 * Plans for other shapes read the constants of the outer one, which holds those of all. The result goes through the check of every plan. */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "plan/share.h"

typedef struct part {
    void *data; /* a plan's block without its constants */
    int64_t size;
} part;

typedef struct parts {
    oct_const_pool *pool;
    part *plans; /* the outer one first */
    int count;
} parts;

static void parts_free(parts *x)
{
    for (int i = 0; x->plans && i < x->count; i++)
        oct_free(x->plans[i].data);
    free(x->plans);
    oct_const_pool_destroy(x->pool);
}

static oct_status take_apart(const oct_plan *plan, const oct_plan *const *shapes, int shape_count, parts *out)
{
    out->plans = calloc((size_t)shape_count + 1, sizeof *out->plans);
    if (!out->plans)
        return oct_fail(OCT_ERR_MEMORY, "cannot put %d plans together", shape_count + 1);
    OCT_TRY(oct_const_pool_create(&out->pool));
    for (int i = 0; i <= shape_count; i++, out->count++)
        OCT_TRY(oct_const_pool_add(out->pool, i ? shapes[i - 1] : plan, &out->plans[i].data, &out->plans[i].size));
    return OCT_OK;
}

/* A section's contents: one piece, or for the shapes one for each. */
static const void *contents(const parts *x, int section, const void *recipe, const oct_plan_profile *profile)
{
    const oct_plan_header *h = x->plans[0].data;
    int64_t size;
    switch (section) {
    case OCT_SEC_CONST:
        return oct_const_pool_data(x->pool, &size);
    case OCT_SEC_RECIPE:
        return recipe;
    case OCT_SEC_PROFILE:
        return profile;
    default:
        return (const uint8_t *)h + h->section[section].offset;
    }
}

static oct_status lay_out(const parts *x, int64_t recipe_size, int64_t profile_size, oct_plan_header *h, int64_t *total)
{
    int64_t size[OCT_SEC_COUNT];
    *h = *(const oct_plan_header *)x->plans[0].data;
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        size[i] = (int64_t)h->section[i].size;
    (void)oct_const_pool_data(x->pool, &size[OCT_SEC_CONST]);
    size[OCT_SEC_RECIPE] = recipe_size;
    size[OCT_SEC_PROFILE] = profile_size;
    size[OCT_SEC_SHAPES] = 0;
    for (int i = 1; i < x->count; i++)
        OCT_TRY(oct_size_add(size[OCT_SEC_SHAPES], x->plans[i].size, &size[OCT_SEC_SHAPES]));
    *total = oct_round_up((int64_t)sizeof *h, OCT_ALIGN);
    for (int i = 0; i < OCT_SEC_COUNT; i++) {
        h->section[i].offset = (uint64_t)*total;
        h->section[i].size = (uint64_t)size[i];
        OCT_TRY(oct_size_add(*total, oct_round_up(size[i], OCT_ALIGN), total));
    }
    OCT_TRY(oct_size_add(*total, OCT_ALIGN, total)); /* kernels may read a few bytes past a constant */
    h->total = (uint64_t)*total;
    return OCT_OK;
}

oct_status oct_plan_compose(const oct_plan *plan, const void *recipe, int64_t recipe_size, const oct_plan_profile *profile,
                            const oct_plan *const *shapes, int shape_count, oct_plan **out)
{
    oct_status s = OCT_OK;
    oct_plan_header h;
    parts x = {0};
    uint8_t *b = NULL;
    int64_t total;
    OCT_TRY_DONE(take_apart(plan, shapes, shape_count, &x));
    OCT_TRY_DONE(lay_out(&x, recipe_size, profile ? plan->input_count * (int64_t)sizeof *profile : 0, &h, &total));
    OCT_TRY_DONE(oct_alloc(total, true, (void **)&b));
    for (int i = 0; i < OCT_SEC_SHAPES; i++)
        if (h.section[i].size)
            memcpy(b + h.section[i].offset, contents(&x, i, recipe, profile), h.section[i].size);
    uint8_t *to = b + h.section[OCT_SEC_SHAPES].offset;
    for (int i = 1; i < x.count; to += x.plans[i++].size)
        memcpy(to, x.plans[i].data, (size_t)x.plans[i].size);
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        h.section[i].hash = oct_hash64(b + h.section[i].offset, h.section[i].size, 0);
    h.hash = 0;
    h.hash = oct_hash64(&h, sizeof h, 0);
    memcpy(b, &h, sizeof h);
    OCT_TRY_DONE(oct_plan_from_block(b, total, "built plan", out));
    b = NULL;
done:
    oct_free(b);
    parts_free(&x);
    return s;
}
