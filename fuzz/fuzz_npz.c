/* Archives of arrays as a set. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_set(fuzz_file("fuzz.npz", data, size));
    return 0;
}
