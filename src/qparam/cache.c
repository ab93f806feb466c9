/* Calibration cache files: which of the two forms a file has, reading it whole, replacing it atomically.  DESIGN 4.3. */
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "qparam/cache.h"

oct_status oct_ranges_save(const oct_ranges *ranges, const char *path, oct_cache_format format)
{
    oct_text t = {0};
    char *text = NULL;
    oct_status s = format == OCT_CACHE_TENSORRT ? oct_cache_write_tensorrt(ranges, &t) : oct_cache_write_json(ranges, &t);
    if (s != OCT_OK) {
        oct_text_discard(&t);
        return oct_fail_file(s, path);
    }
    OCT_TRY(oct_text_finish(&t, &text));
    s = oct_file_write(path, text, (int64_t)strlen(text));
    free(text);
    return s;
}

oct_status oct_ranges_load(const char *path, oct_ranges **out)
{
    void *data = NULL;
    int64_t size;
    OCT_TRY(oct_file_read(path, &data, &size));
    const char *text = data;
    oct_status s;
    if (size >= 4 && memcmp(text, "TRT-", 4) == 0)
        s = oct_cache_read_tensorrt(text, size, out);
    else if (size > 0 && text[strspn(text, " \t\r\n")] == '{')
        s = oct_cache_read_json(text, size, out);
    else
        s = oct_fail(OCT_ERR_CONTENT, "the file is no calibration cache: it starts neither with '{' nor with 'TRT-'");
    free(data);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}
