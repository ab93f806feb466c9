/* Arrays: .npy as a tensor and as a set. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("fuzz.npy", data, size);
    oct_tensor t = {0};
    if (oct_npy_load(path, &t) == OCT_OK)
        oct_tensor_free(&t);
    fuzz_read_set(path);
    return 0;
}
