/* Lists of path and label. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_set(fuzz_file("fuzz.csv", data, size));
    return 0;
}
