/* Calibration caches of both formats: load, write in both, read back. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ranges *r = NULL, *again = NULL;
    if (oct_ranges_load(fuzz_file("fuzz.cache", data, size), &r) != OCT_OK)
        return 0;
    const char *path = fuzz_file("out.json", data, 0);
    if (oct_ranges_save(r, path, OCT_CACHE_JSON) == OCT_OK) {
        if (oct_ranges_load(path, &again) != OCT_OK || oct_ranges_count(again) != oct_ranges_count(r))
            abort();
        oct_ranges_destroy(again);
    }
    path = fuzz_file("out.cache", data, 0);
    if (oct_ranges_save(r, path, OCT_CACHE_TENSORRT) == OCT_OK) {
        again = NULL;
        if (oct_ranges_load(path, &again) == OCT_OK)
            oct_ranges_destroy(again);
    }
    oct_ranges_destroy(r);
    return 0;
}
