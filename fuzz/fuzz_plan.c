/* Plan files whose checksums are made right first, so that only the check of the contents stands between the file and the memory (docs/formats.md). */
#include "fuzz.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SECTIONS = 13, SECTION_AT = 40, SHAPES = 12, HASH_AT = SECTION_AT + SECTIONS * 24, HEADER = HASH_AT + 8 };

static uint64_t number(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static void sign(uint8_t *block, size_t size, int depth)
{
    if (size < HEADER)
        return;
    for (int i = 0; i < SECTIONS; i++) {
        uint8_t *s = block + SECTION_AT + i * 24;
        const uint64_t offset = number(s), length = number(s + 8);
        if (offset > size || length > size - offset)
            continue;
        if (i == SHAPES && depth == 0)
            for (uint64_t at = 0; length - at >= HEADER;) {
                const uint64_t total = number(block + offset + at + 24);
                if (total < HEADER || total > length - at)
                    break;
                sign(block + offset + at, (size_t)total, 1);
                at += total;
            }
        const uint64_t hash = XXH64(block + offset, (size_t)length, 0);
        memcpy(s + 16, &hash, 8);
    }
    memset(block + HASH_AT, 0, 8);
    const uint64_t hash = XXH64(block, HEADER, 0);
    memcpy(block + HASH_AT, &hash, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_plan *plan = NULL;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    sign(copy, size, 0);
    const char *path = fuzz_file("fuzz.plan", copy, size);
    free(copy);
    if (oct_plan_load(path, &plan) != OCT_OK)
        return 0;
    fuzz_run(plan); /* reads the description too */
    oct_plan_destroy(plan);
    return 0;
}
