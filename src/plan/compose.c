/* One block of several parts: a plan, what it was made of, and the plans for other shapes of its profile.  DESIGN 5.7, 5.9.
 * The result goes through the check of every plan. */
#include <string.h>
#include "base/hash.h"
#include "plan/plan.h"

static oct_status place(oct_plan_section *s, int64_t size, int64_t *total)
{
    s->offset = (uint64_t)*total;
    s->size = (uint64_t)size;
    return oct_size_add(*total, oct_round_up(size, OCT_ALIGN), total);
}

static oct_status lay_out(const oct_plan *plan, const int64_t added[OCT_SEC_COUNT], oct_plan_header *h, int64_t *total)
{
    *h = *plan->header;
    *total = oct_round_up((int64_t)sizeof *h, OCT_ALIGN);
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        OCT_TRY(place(&h->section[i], i < OCT_SEC_RECIPE ? (int64_t)plan->header->section[i].size : added[i], total));
    OCT_TRY(oct_size_add(*total, OCT_ALIGN, total)); /* kernels may read a few bytes past a constant */
    h->total = (uint64_t)*total;
    return OCT_OK;
}

oct_status oct_plan_compose(const oct_plan *plan, const void *recipe, int64_t recipe_size, const oct_plan_profile *profile,
                            const oct_plan *const *shapes, int shape_count, oct_plan **out)
{
    oct_plan_header h;
    uint8_t *b = NULL;
    int64_t total,
        added[OCT_SEC_COUNT] = {
            [OCT_SEC_RECIPE] = recipe_size, [OCT_SEC_PROFILE] = profile ? plan->input_count * (int64_t)sizeof *profile : 0};
    for (int i = 0; i < shape_count; i++)
        OCT_TRY(oct_size_add(added[OCT_SEC_SHAPES], (int64_t)shapes[i]->header->total, &added[OCT_SEC_SHAPES]));
    OCT_TRY(lay_out(plan, added, &h, &total));
    OCT_TRY(oct_alloc(total, true, (void **)&b));
    for (int i = 0; i < OCT_SEC_RECIPE; i++)
        memcpy(b + h.section[i].offset, (const uint8_t *)plan->header + plan->header->section[i].offset, h.section[i].size);
    if (recipe_size)
        memcpy(b + h.section[OCT_SEC_RECIPE].offset, recipe, (size_t)recipe_size);
    if (profile)
        memcpy(b + h.section[OCT_SEC_PROFILE].offset, profile, h.section[OCT_SEC_PROFILE].size);
    uint8_t *to = b + h.section[OCT_SEC_SHAPES].offset;
    for (int i = 0; i < shape_count; to += shapes[i++]->header->total)
        memcpy(to, shapes[i]->header, shapes[i]->header->total);
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        h.section[i].hash = oct_hash64(b + h.section[i].offset, h.section[i].size, 0);
    h.hash = 0;
    h.hash = oct_hash64(&h, sizeof h, 0);
    memcpy(b, &h, sizeof h);
    oct_status s = oct_plan_from_block(b, total, "built plan", out);
    if (s != OCT_OK)
        oct_free(b);
    return s;
}
