/* From bytes to the plan object and back: the frame of the block, the plan file, destruction.  DESIGN 5.9.
 *
 * A file is mapped read-only and used in place; the operating system pages weights in and shares them between processes. */
#include "plan/check.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "kernels/kernel.h"

enum { MAX_SHAPES = 64 };

static const size_t element_size[OCT_SEC_COUNT] = {
    [OCT_SEC_TENSORS] = sizeof(oct_plan_tensor), [OCT_SEC_INDEX] = sizeof(int32_t),         [OCT_SEC_STEPS] = sizeof(oct_plan_step),
    [OCT_SEC_PARAMS] = 1,                        [OCT_SEC_INPUTS] = sizeof(oct_plan_port),  [OCT_SEC_OUTPUTS] = sizeof(oct_plan_port),
    [OCT_SEC_TAPS] = sizeof(oct_plan_port),      [OCT_SEC_META] = sizeof(oct_plan_meta),    [OCT_SEC_STRINGS] = 1,
    [OCT_SEC_CONST] = 1,                         [OCT_SEC_RECIPE] = 1,                   [OCT_SEC_PROFILE] = sizeof(oct_plan_profile),
    [OCT_SEC_SHAPES] = 1,
};
static const char *const section_name[OCT_SEC_COUNT] = {"tensors", "index",    "steps",   "params",    "inputs", "outputs", "taps",
                                                        "metadata", "strings", "constants", "recipe", "profile", "shapes"};

/* Magic, version, kernels, sections. */
static oct_status check_header(const uint8_t *block, int64_t size)
{
    const oct_plan_header *h = (const oct_plan_header *)block;
    oct_plan_header copy;
    if (size < (int64_t)sizeof *h || memcmp(h->magic, OCT_PLAN_MAGIC, sizeof h->magic) != 0)
        return oct_fail(OCT_ERR_CONTENT, "no Octavo plan");
    if (h->version != OCT_PLAN_VERSION)
        return oct_fail(OCT_ERR_CONTENT, "plan format %u, this version of Octavo reads format %d: build the plan again", h->version, OCT_PLAN_VERSION);
    memcpy(&copy, h, sizeof copy);
    copy.hash = 0;
    if (h->hash != oct_hash64(&copy, sizeof copy, 0))
        return oct_fail(OCT_ERR_CONTENT, "the header is damaged");
    if (h->total != (uint64_t)size)
        return oct_fail(OCT_ERR_CONTENT, "the plan has %llu bytes, %lld are here", (unsigned long long)h->total, (long long)size);
    if (h->isa >= OCT_ISA_COUNT)
        return oct_fail(OCT_ERR_CONTENT, "the plan was built for an unknown CPU level");
    if (h->kernels != oct_kernel_list_hash())
        return oct_fail(OCT_ERR_CONTENT, "the plan was built for other kernels than this version of Octavo has: build it again");
    uint64_t at = sizeof *h;
    for (int i = 0; i < OCT_SEC_COUNT; i++) {
        const oct_plan_section *s = &h->section[i];
        /* Sections stand in order and leave OCT_ALIGN bytes at the end: kernels may read a little past a constant. */
        if (s->offset < at || s->offset % OCT_ALIGN || s->offset > h->total || s->size > h->total - s->offset || s->size % element_size[i] ||
            s->size / element_size[i] > INT32_MAX * (element_size[i] == 1 ? UINT64_C(1) << 16 : 1) || h->total - s->offset - s->size < OCT_ALIGN)
            return oct_fail(OCT_ERR_CONTENT, "section '%s' is out of range", section_name[i]);
        at = s->offset + s->size;
        if (s->hash != oct_hash64(block + s->offset, s->size, 0))
            return oct_fail(OCT_ERR_CONTENT, "section '%s' is damaged", section_name[i]);
    }
    return OCT_OK;
}

static const void *section(const uint8_t *block, int which) { return block + ((const oct_plan_header *)block)->section[which].offset; }
static int32_t section_count(const oct_plan_header *h, int which) { return (int32_t)(h->section[which].size / element_size[which]); }

static oct_status open_block(const uint8_t *block, int64_t size, const oct_plan *outer, oct_plan *p);

/* The plans for other shapes: complete blocks, none of which holds further ones. */
static oct_status open_shapes(const uint8_t *block, oct_plan *p)
{
    const oct_plan_section *s = &p->header->section[OCT_SEC_SHAPES];
    const uint8_t *first = block + s->offset;
    uint64_t count = 0;
    for (uint64_t at = 0; at < s->size; count++) {
        const oct_plan_header *h = (const oct_plan_header *)(const void *)(first + at);
        if (s->size - at < sizeof *h || h->total < sizeof *h || h->total > s->size - at || h->total % OCT_ALIGN || count == MAX_SHAPES)
            return oct_fail(OCT_ERR_CONTENT, "section 'shapes' is out of range");
        at += h->total;
    }
    p->shapes = calloc(count + 1, sizeof *p->shapes);
    if (!p->shapes)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a plan");
    for (uint64_t at = 0; at < s->size;) {
        const oct_plan_header *h = (const oct_plan_header *)(const void *)(first + at);
        OCT_TRY(open_block(first + at, (int64_t)h->total, p, &p->shapes[p->shape_count++]));
        at += h->total;
    }
    return OCT_OK;
}

/* outer: the plan that this one is a shape of; NULL = it stands for itself. */
static oct_status open_block(const uint8_t *block, int64_t size, const oct_plan *outer, oct_plan *p)
{
    OCT_TRY(check_header(block, size));
    const oct_plan_header *h = (const oct_plan_header *)block;
    *p = (oct_plan){
        .header = h,
        .tensors = section(block, OCT_SEC_TENSORS),
        .tensor_count = section_count(h, OCT_SEC_TENSORS),
        .index = section(block, OCT_SEC_INDEX),
        .steps = section(block, OCT_SEC_STEPS),
        .step_count = section_count(h, OCT_SEC_STEPS),
        .params = section(block, OCT_SEC_PARAMS),
        .inputs = section(block, OCT_SEC_INPUTS),
        .outputs = section(block, OCT_SEC_OUTPUTS),
        .taps = section(block, OCT_SEC_TAPS),
        .input_count = section_count(h, OCT_SEC_INPUTS),
        .output_count = section_count(h, OCT_SEC_OUTPUTS),
        .tap_count = section_count(h, OCT_SEC_TAPS),
        .meta = section(block, OCT_SEC_META),
        .meta_count = section_count(h, OCT_SEC_META),
        .strings = section(block, OCT_SEC_STRINGS),
        .constants = outer ? outer->constants : section(block, OCT_SEC_CONST),
        .constant_size = outer ? outer->constant_size : (int64_t)h->section[OCT_SEC_CONST].size,
        .recipe = section(block, OCT_SEC_RECIPE),
        .recipe_size = (int64_t)h->section[OCT_SEC_RECIPE].size,
        .profile = h->section[OCT_SEC_PROFILE].size ? section(block, OCT_SEC_PROFILE) : NULL,
    };
    if (outer && (h->section[OCT_SEC_CONST].size || p->recipe_size || p->profile || h->section[OCT_SEC_SHAPES].size))
        return oct_fail(OCT_ERR_CONTENT, "section 'shapes' holds a plan with parts that only the outer one may have");
    OCT_TRY(oct_check_plan(p));
    if (!outer)
        OCT_TRY(open_shapes(block, p));
    return oct_check_shapes(p);
}

/* The failure s with the file's name in front of its message. */
static oct_status fail_named(oct_status s, const char *name)
{
    char text[512];
    snprintf(text, sizeof text, "%s", oct_last_error()->message);
    return oct_fail_file(s == OCT_ERR_CONTENT ? oct_fail(s, "'%s': %s", name, text) : s, name);
}

/* The plan object around a block, which stays the caller's on failure. */
static oct_status wrap(const void *block, int64_t size, const char *name, oct_plan **out)
{
    oct_plan p = {0};
    oct_plan *kept = malloc(sizeof *kept);
    if (!kept)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a plan");
    oct_status s = open_block(block, size, NULL, &p);
    if (s != OCT_OK) {
        free(p.shapes);
        free(kept);
        return fail_named(s, name);
    }
    *kept = p;
    *out = kept;
    return OCT_OK;
}

oct_status oct_plan_from_block(void *owned, int64_t size, const char *name, oct_plan **out)
{
    oct_plan *p;
    OCT_TRY(wrap(owned, size, name, &p));
    p->owned = owned;
    *out = p;
    return OCT_OK;
}

oct_status oct_plan_runs_here(const oct_plan *p)
{
    oct_isa isa;
    OCT_TRY(oct_cpu_isa(&isa));
    if (!oct_isa_runs(isa, (oct_isa)p->header->isa))
        return oct_fail(OCT_ERR_CONTENT, "the plan was built for CPU level %s, this one is %s: build it again here",
                        oct_isa_name((oct_isa)p->header->isa), oct_isa_name(isa));
    return OCT_OK;
}

oct_status oct_plan_load(const char *path, oct_plan **out)
{
    oct_map map;
    oct_plan *p;
    OCT_TRY(oct_file_map(path, &map));
    oct_status s = wrap(map.data, map.size, path, &p);
    if (s != OCT_OK) {
        oct_file_unmap(&map);
        return s;
    }
    p->map = map;
    if ((s = oct_plan_runs_here(p)) != OCT_OK) {
        oct_plan_destroy(p);
        return fail_named(s, path);
    }
    *out = p;
    return OCT_OK;
}

oct_status oct_plan_save(const oct_plan *plan, const char *path) { return oct_file_write(path, plan->header, (int64_t)plan->header->total); }

void oct_plan_destroy(oct_plan *plan)
{
    if (!plan)
        return;
    free(plan->shapes);
    oct_free(plan->owned);
    oct_file_unmap(&plan->map);
    free(plan);
}
