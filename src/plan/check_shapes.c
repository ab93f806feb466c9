/* The check of a plan for several shapes: its profile, and that each plan inside it can stand in for it.  DESIGN 5.7, 5.9. */
#include <string.h>
#include "plan/check.h"

static oct_status bad_profile(int32_t input, const char *what)
{
    return oct_fail(OCT_ERR_CONTENT, "profile of input %d: %s", input, what);
}

/* Axes of one symbol have one range. */
static bool agree(const oct_plan *p, int32_t input, uint32_t axis)
{
    const oct_plan_profile *a = &p->profile[input];
    for (int32_t i = 0; i <= input; i++)
        for (uint32_t k = 0; k < p->inputs[i].rank; k++) {
            const oct_plan_profile *b = &p->profile[i];
            if (b->symbol[k] == a->symbol[axis] &&
                (b->min[k] != a->min[axis] || b->opt[k] != a->opt[axis] || b->max[k] != a->max[axis]))
                return false;
        }
    return true;
}

static oct_status check_profile(const oct_plan *p)
{
    for (int32_t i = 0; i < p->input_count; i++) {
        const oct_plan_profile *row = &p->profile[i];
        for (uint32_t k = 0; k < p->inputs[i].rank; k++) {
            if (row->min[k] < 0 || row->min[k] > row->opt[k] || row->opt[k] > row->max[k] || row->max[k] > INT32_MAX ||
                row->opt[k] != p->inputs[i].dims[k])
                return bad_profile(i, "a length is out of range");
            if (row->symbol[k] < 0 ? row->min[k] != row->max[k] : !agree(p, i, k))
                return bad_profile(i, "its axes contradict each other");
        }
    }
    return OCT_OK;
}

static bool inside(const oct_plan *p, const oct_plan *shape)
{
    for (int32_t i = 0; i < p->input_count; i++)
        for (uint32_t k = 0; k < p->inputs[i].rank; k++)
            if (shape->inputs[i].dims[k] < p->profile[i].min[k] || shape->inputs[i].dims[k] > p->profile[i].max[k])
                return false;
    return true;
}

oct_status oct_check_shapes(const oct_plan *p)
{
    int64_t rows = (int64_t)(p->header->section[OCT_SEC_PROFILE].size / sizeof *p->profile);
    if (p->profile && (rows != p->input_count || rows > OCT_PROFILE_MAX_INPUTS))
        return oct_fail(OCT_ERR_CONTENT, "a profile of %lld inputs, the plan has %d", (long long)rows, p->input_count);
    if (p->profile)
        OCT_TRY(check_profile(p));
    for (int32_t i = 0; i < p->shape_count; i++)
        if (!p->profile || p->shapes[i].header->isa != p->header->isa || !oct_plan_same_ports(p, &p->shapes[i]) ||
            !inside(p, &p->shapes[i]))
            return oct_fail(OCT_ERR_CONTENT, "the plan for shape %d does not fit the plan that holds it", i + 1);
    return OCT_OK;
}
