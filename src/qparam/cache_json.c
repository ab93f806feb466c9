/* The calibration cache in Octavo's own form: JSON (docs/formats.md "Calibration cache"; DESIGN 4.3).  Floats are written with the nine
 * digits that bring them back bit for bit.  The reader believes nothing: every fault is a CONTENT error that names line or tensor. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qparam/cache.h"

#define FORMAT  "octavo-calibration"
#define VERSION 1
#define MAX_SAMPLES 9.0e15 /* integers are exact in a JSON number up to 2^53 */

static const char *const scheme_names[] = {[OCT_SCHEME_AFFINE] = "affine", [OCT_SCHEME_SYMMETRIC] = "symmetric"};

/* --- writing --- */

/* printf obeys the caller's locale, JSON does not. */
static void put_number(oct_text *t, const char *format, double v)
{
    char text[40];
    int n = snprintf(text, sizeof text, format, v);
    for (int i = 0; i < n; i++)
        if (text[i] == ',')
            text[i] = '.';
    oct_text_append(t, text, n);
}

static oct_status put_string(oct_text *t, const char *s)
{
    cJSON *item = cJSON_CreateString(s);
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    if (text)
        oct_text_append(t, text, (int64_t)strlen(text));
    cJSON_Delete(item);
    cJSON_free(text);
    return text ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory while writing a calibration cache");
}

static oct_status put_entry(oct_text *t, const oct_range_entry *e)
{
    oct_text_printf(t, "    {\"name\": ");
    OCT_TRY(put_string(t, e->tensor));
    oct_text_printf(t, ", \"min\": ");
    put_number(t, "%.9g", (double)e->min);
    oct_text_printf(t, ", \"max\": ");
    put_number(t, "%.9g", (double)e->max);
    oct_text_printf(t, ", \"scale\": ");
    put_number(t, "%.9g", (double)e->scale);
    oct_text_printf(t, ", \"zero\": %d, \"solver\": ", (int)e->zero);
    OCT_TRY(put_string(t, e->solver));
    oct_text_printf(t, ", \"digest\": ");
    put_number(t, "%.17g", e->digest);
    if (e->error >= 0) {
        oct_text_printf(t, ", \"error\": ");
        put_number(t, "%.17g", e->error);
    }
    oct_text_printf(t, "}");
    return OCT_OK;
}

oct_status oct_cache_write_json(const oct_ranges *r, oct_text *t)
{
    oct_text_printf(t, "{\n  \"format\": \"" FORMAT "\",\n  \"version\": %d,\n  \"model_hash\": \"%s\",\n  \"method\": ", VERSION, r->hash);
    OCT_TRY(put_string(t, r->method));
    oct_text_printf(t, ",\n  \"samples\": %lld,\n  \"scheme\": \"%s\",\n  \"tensors\": [", (long long)r->samples, scheme_names[r->scheme]);
    for (int64_t i = 0; i < r->count; i++) {
        oct_text_printf(t, i ? ",\n" : "\n");
        OCT_TRY(put_entry(t, &r->entries[i]));
    }
    oct_text_printf(t, "\n  ]\n}\n");
    return OCT_OK;
}

/* --- reading --- */

static long line_of(const char *text, const char *at)
{
    long line = 1;
    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    return line;
}

static oct_status get_string(const cJSON *object, const char *key, const char **out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsString(v))
        return oct_fail(OCT_ERR_CONTENT, "calibration cache: \"%s\" is missing or no string", key);
    *out = v->valuestring;
    return OCT_OK;
}

static oct_status get_number(const cJSON *object, const char *key, double lo, double hi, double *out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= lo) || !(v->valuedouble <= hi))
        return oct_fail(OCT_ERR_CONTENT, "calibration cache: \"%s\" is missing or no number in [%g, %g]", key, lo, hi);
    *out = v->valuedouble;
    return OCT_OK;
}

static oct_status get_integer(const cJSON *object, const char *key, double lo, double hi, double *out)
{
    OCT_TRY(get_number(object, key, lo, hi, out));
    return *out == floor(*out) ? OCT_OK : oct_fail(OCT_ERR_CONTENT, "calibration cache: \"%s\" is no integer", key);
}

static oct_status read_entry(const cJSON *item, oct_ranges *r)
{
    const char *name = "", *solver = "";
    double min = 0, max = 0, scale = 0, zero = 0, digest = 0, error = -1, huge = 3.4028234663852886e38;
    OCT_TRY(get_string(item, "name", &name));
    OCT_TRY(get_string(item, "solver", &solver));
    OCT_TRY(get_number(item, "min", -huge, huge, &min));
    OCT_TRY(get_number(item, "max", -huge, huge, &max));
    OCT_TRY(get_number(item, "scale", 0, huge, &scale));
    OCT_TRY(get_integer(item, "zero", -128, 255, &zero));
    OCT_TRY(get_number(item, "digest", 0, 1e300, &digest));
    if (cJSON_GetObjectItemCaseSensitive(item, "error"))
        OCT_TRY(get_number(item, "error", 0, 1e300, &error));
    if ((float)scale == 0)
        return oct_fail(OCT_ERR_CONTENT, "calibration cache: \"scale\" must be above 0");
    if (oct_ranges_find(r, name))
        return oct_fail(OCT_ERR_CONTENT, "calibration cache: the tensor stands there twice");
    return oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)name, .min = (float)min, .max = (float)max, .scale = (float)scale,
                                                .zero = (int32_t)zero, .solver = (char *)solver, .digest = digest, .error = error});
}

static oct_status read_head(const cJSON *root, oct_scheme *scheme, const char **hash, const char **method, double *samples)
{
    const char *format = "", *name = "";
    double version = 0;
    OCT_TRY(get_string(root, "format", &format));
    if (strcmp(format, FORMAT) != 0)
        return oct_fail(OCT_ERR_CONTENT, "the file is no calibration cache: its format is \"%.40s\"", format);
    OCT_TRY(get_integer(root, "version", 0, 1e9, &version));
    if (version != VERSION)
        return oct_fail(OCT_ERR_CONTENT, "calibration cache of version %.0f; this build reads version %d", version, VERSION);
    OCT_TRY(get_string(root, "model_hash", hash));
    if (strlen(*hash) != strspn(*hash, "0123456789abcdef") || (strlen(*hash) != 0 && strlen(*hash) != 16))
        return oct_fail(OCT_ERR_CONTENT, "calibration cache: \"model_hash\" must be 16 lower-case hex digits or empty");
    OCT_TRY(get_string(root, "method", method));
    OCT_TRY(get_integer(root, "samples", 0, MAX_SAMPLES, samples));
    OCT_TRY(get_string(root, "scheme", &name));
    for (int i = 0; i < 2; i++)
        if (strcmp(name, scheme_names[i]) == 0) {
            *scheme = (oct_scheme)i;
            return OCT_OK;
        }
    return oct_fail(OCT_ERR_CONTENT, "calibration cache: unknown scheme \"%.40s\"", name);
}

oct_status oct_cache_read_json(const char *text, int64_t size, oct_ranges **out)
{
    oct_status s = OCT_OK;
    oct_ranges *r = NULL;
    const char *end = NULL, *hash = "", *method = "";
    double samples = 0;
    oct_scheme scheme = OCT_SCHEME_AFFINE;
    cJSON *root = cJSON_ParseWithLengthOpts(text, (size_t)size, &end, 0);
    if (!root)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "calibration cache: line %ld is no JSON", line_of(text, end ? end : text));
    for (; end < text + size; end++)
        if (!strchr(" \t\r\n", *end) || !*end)
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "calibration cache: something follows the JSON value in line %ld", line_of(text, end));
    OCT_TRY_DONE(read_head(root, &scheme, &hash, &method, &samples));
    const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(root, "tensors"), *item;
    if (!cJSON_IsArray(tensors))
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "calibration cache: \"tensors\" is missing or no array");
    OCT_TRY_DONE(oct_ranges_create(scheme, &r));
    memcpy(r->hash, hash, strlen(hash) + 1);
    r->samples = (int64_t)samples;
    OCT_TRY_DONE(oct_ranges_set_method(r, method));
    cJSON_ArrayForEach(item, tensors)
    {
        s = read_entry(item, r);
        if (s != OCT_OK) {
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
            char place[40];
            snprintf(place, sizeof place, "entry %lld", (long long)r->count + 1);
            oct_fail_node(s, cJSON_IsString(name) ? name->valuestring : place);
            goto done;
        }
    }
    *out = r;
    r = NULL;
done:
    oct_ranges_destroy(r);
    cJSON_Delete(root);
    return s;
}
