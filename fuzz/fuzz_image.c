/* JPEG and PNG: the kind is told by the contents, the name only says that it is an image. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_set(fuzz_file(size && data[0] == 0xff ? "fuzz.jpg" : "fuzz.png", data, size));
    return 0;
}
