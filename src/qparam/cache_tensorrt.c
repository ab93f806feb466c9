/* The calibration cache in TensorRT's text form (docs/formats.md; DESIGN 4.3): line 1 "TRT-<version>-<algorithm>", then one tensor a
 * line, "name: 8 hex digits" = the bits of the fp32 scale amax/127, split at the last colon.  Symmetric s8, no hash, no samples. */
#include <math.h>
#include <string.h>
#include "num/num.h"
#include "qparam/cache.h"

#define CODE_MAX 127.0

oct_status oct_cache_write_tensorrt(const oct_ranges *r, oct_text *t)
{
    bool minmax = strcmp(r->method, "max") == 0;
    oct_text_printf(t, "TRT-8602-%s\n", minmax ? "MinMaxCalibration" : "EntropyCalibration2");
    for (int64_t i = 0; i < r->count; i++) {
        const oct_range_entry *e = &r->entries[i];
        float scale = r->scheme == OCT_SCHEME_SYMMETRIC ? e->scale : oct_qparams_symmetric_s8(e->min, e->max).scale;
        if (strpbrk(e->tensor, "\r\n"))
            return oct_fail(OCT_ERR_CONTENT, "tensor '%s': TensorRT's cache has no way to write a name with a line break", e->tensor);
        oct_text_printf(t, "%s: %08x\n", e->tensor, (unsigned)oct_f32_bits(scale));
    }
    return OCT_OK;
}

/* Eight hex digits and nothing else. */
static bool parse_bits(const char *s, int64_t size, uint32_t *out)
{
    uint32_t bits = 0;
    if (size != 8)
        return false;
    for (int i = 0; i < 8; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return false;
        bits = bits << 4 | (uint32_t)digit;
    }
    *out = bits;
    return true;
}

static int64_t trimmed(const char *s, int64_t size)
{
    while (size > 0 && (s[size - 1] == '\r' || s[size - 1] == ' ' || s[size - 1] == '\t'))
        size--;
    return size;
}

static oct_status read_line(const char *line, int64_t size, long number, oct_ranges *r)
{
    const char *colon = memrchr(line, ':', (size_t)size);
    uint32_t bits;
    char *name;
    if (!colon || colon == line)
        return oct_fail(OCT_ERR_CONTENT, "TensorRT calibration cache: line %ld is not \"name: 8 hex digits\"", number);
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    if (!parse_bits(value, end - value, &bits))
        return oct_fail(OCT_ERR_CONTENT, "TensorRT calibration cache: line %ld does not end in 8 hex digits", number);
    if (memchr(line, 0, (size_t)(colon - line)))
        return oct_fail(OCT_ERR_CONTENT, "TensorRT calibration cache: line %ld holds a NUL byte", number);
    float scale = oct_f32_from_bits(bits);
    double amax = CODE_MAX * (double)scale;
    if (!isfinite(scale) || !(scale > 0) || amax > 3.4028234663852886e38)
        return oct_fail(OCT_ERR_CONTENT, "TensorRT calibration cache: the scale in line %ld is %g, it must be finite and above 0", number, scale);
    OCT_TRY(oct_arena_printf(r->arena, &name, "%.*s", (int)oct_min64(colon - line, 1 << 20), line));
    if (oct_ranges_find(r, name))
        return oct_fail(OCT_ERR_CONTENT, "TensorRT calibration cache: tensor '%s' stands there twice, again in line %ld", name, number);
    return oct_ranges_put(r, &(oct_range_entry){.tensor = name, .min = (float)-amax, .max = (float)amax, .scale = scale, .zero = 0,
                                                .solver = "tensorrt", .error = -1});
}

oct_status oct_cache_read_tensorrt(const char *text, int64_t size, oct_ranges **out)
{
    oct_status s = OCT_OK;
    oct_ranges *r = NULL;
    long number = 0;
    OCT_TRY(oct_ranges_create(OCT_SCHEME_SYMMETRIC, &r));
    for (const char *line = text, *end = text + size; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        int64_t length = trimmed(line, (stop ? stop : end) - line);
        number++;
        if (number == 1) {
            const char *dash = length > 4 ? memrchr(line, '-', (size_t)length) : NULL;
            if (!dash || strncmp(line, "TRT-", 4) != 0 || dash < line + 5)
                OCT_FAIL_DONE(OCT_ERR_CONTENT, "TensorRT calibration cache: line 1 is not \"TRT-<version>-<algorithm>\"");
            char *method;
            OCT_TRY_DONE(oct_arena_printf(r->arena, &method, "%.*s", (int)oct_min64(length, 200), line));
            r->method = method;
        } else if (length > 0) {
            OCT_TRY_DONE(read_line(line, length, number, r));
        }
        line = stop ? stop + 1 : end;
    }
    *out = r;
    r = NULL;
done:
    oct_ranges_destroy(r);
    return s;
}
