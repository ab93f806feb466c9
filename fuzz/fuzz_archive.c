/* Image sets in tar and zip files. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_set(fuzz_file(size > 1 && data[0] == 'P' && data[1] == 'K' ? "fuzz.zip" : "fuzz.tar", data, size));
    return 0;
}
