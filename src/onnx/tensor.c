/* TensorProto <-> dense data: typed fields, raw bytes, 4-bit codes and external files.  Every size is checked against the
 * dimensions before a byte is read; external files must stand inside the model's folder. */
#include "onnx/proto.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"

struct oct_onnx_file {
    char *path;
    oct_map map;
};

void oct_onnx_files_close(oct_onnx_files *files)
{
    for (int64_t i = 0; i < files->count; i++) {
        oct_file_unmap(&files->maps[i].map);
        free(files->maps[i].path);
    }
    free(files->maps);
    *files = (oct_onnx_files){0};
}

/* --- external data --- */

static bool leaves_folder(const char *location)
{
    if (*location == '/' || *location == 0 || strchr(location, '\\'))
        return true;
    for (const char *p = location; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0))
            return true;
    }
    return false;
}

/* Symbolic links may lead out of the folder as well: compare what the two names really are. */
static oct_status resolve(const oct_onnx_files *files, const char *location, const char *label, char **out)
{
    oct_status s = OCT_OK;
    char *joined = NULL, *real = NULL, *folder = NULL;
    size_t size = strlen(files->folder) + strlen(location) + 2;
    joined = malloc(size);
    if (!joined)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "out of memory");
    strcat(strcat(strcpy(joined, files->folder), "/"), location);
    folder = realpath(files->folder, NULL);
    real = realpath(joined, NULL);
    if (!folder || !real) {
        s = oct_fail(OCT_ERR_IO, "tensor '%s': external file '%s' cannot be opened: %s", label, joined, strerror(errno));
        oct_fail_file(s, joined);
        goto done;
    }
    size_t n = strlen(folder);
    if (strncmp(real, folder, n) != 0 || (real[n] != '/' && strcmp(folder, "/") != 0))
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "tensor '%s': external file '%s' is outside the model's folder", label, location);
    *out = real;
    real = NULL;
done:
    free(joined);
    free(real);
    free(folder);
    return s;
}

static oct_status open_external(oct_onnx_files *files, const char *location, const char *label, const oct_map **out)
{
    char *path = NULL;
    oct_map map = {0};
    OCT_TRY(resolve(files, location, label, &path));
    for (int64_t i = 0; i < files->count; i++)
        if (strcmp(files->maps[i].path, path) == 0) {
            free(path);
            *out = &files->maps[i].map;
            return OCT_OK;
        }
    oct_status s = oct_file_map(path, &map);
    if (s == OCT_OK)
        s = oct_grow((void **)&files->maps, &files->capacity, files->count + 1, sizeof *files->maps);
    if (s != OCT_OK) {
        oct_file_unmap(&map);
        free(path);
        return s;
    }
    files->maps[files->count] = (struct oct_onnx_file){path, map};
    *out = &files->maps[files->count++].map;
    return OCT_OK;
}

static bool parse_size(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *out = v;
    return errno == 0 && end != text && *end == 0 && v >= 0;
}

/* *out = the `bytes` bytes of t in its external file, borrowed from the mapping. */
static oct_status find_external(oct_onnx_files *files, const Onnx__TensorProto *t, const char *label, int64_t bytes, const void **out)
{
    const char *location = NULL;
    int64_t offset = 0, length = bytes;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = oct_or_empty(t->external_data[i]->key), *value = oct_or_empty(t->external_data[i]->value);
        bool good = true;
        if (strcmp(key, "location") == 0)
            location = value;
        else if (strcmp(key, "offset") == 0)
            good = parse_size(value, &offset);
        else if (strcmp(key, "length") == 0)
            good = parse_size(value, &length);
        if (!good)
            return oct_fail(OCT_ERR_CONTENT, "tensor '%s': external %s '%s' is not a size", label, key, value);
    }
    if (!location)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': external data without a location", label);
    if (!files->folder)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': external data cannot be read for a model from memory", label);
    if (leaves_folder(location))
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': external file '%s' is outside the model's folder", label, location);
    if (length != bytes)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': %lld bytes of external data where its shape needs %lld", label, (long long)length,
                        (long long)bytes);
    if (bytes == 0)
        return OCT_OK;
    const oct_map *map = NULL;
    OCT_TRY(open_external(files, location, label, &map));
    if (offset > map->size || bytes > map->size - offset)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': %lld bytes at %lld lie outside external file '%s' of %lld bytes", label,
                        (long long)bytes, (long long)offset, location, (long long)map->size);
    *out = (const char *)map->data + offset;
    return OCT_OK;
}

/* --- typed fields --- */

/* Elements in the typed field that dtype uses. */
static int64_t typed_count(const Onnx__TensorProto *t, oct_dtype dtype)
{
    switch (dtype) {
    case OCT_F32: return (int64_t)t->n_float_data;
    case OCT_F64: return (int64_t)t->n_double_data;
    case OCT_S64: return (int64_t)t->n_int64_data;
    case OCT_U32:
    case OCT_U64: return (int64_t)t->n_uint64_data;
    default: return (int64_t)t->n_int32_data;
    }
}

static void read_typed(const Onnx__TensorProto *t, oct_dtype dtype, int64_t n, void *to)
{
    switch (dtype) {
    case OCT_F32: memcpy(to, t->float_data, (size_t)n * 4); return;
    case OCT_F64: memcpy(to, t->double_data, (size_t)n * 8); return;
    case OCT_S64: memcpy(to, t->int64_data, (size_t)n * 8); return;
    case OCT_U64: memcpy(to, t->uint64_data, (size_t)n * 8); return;
    case OCT_S32: memcpy(to, t->int32_data, (size_t)n * 4); return;
    case OCT_U32:
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)to)[i] = (uint32_t)t->uint64_data[i];
        return;
    case OCT_S16:
    case OCT_U16:
    case OCT_F16:
    case OCT_BF16:
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = (uint16_t)t->int32_data[i];
        return;
    default:
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)to)[i] = (uint8_t)t->int32_data[i];
    }
}

/* --- 4-bit codes: two in a byte, the first in the low half --- */

static void unpack4(oct_dtype dtype, int64_t count, uint8_t *codes) /* packed bytes stand at the start of codes[count] */
{
    for (int64_t i = count - 1; i >= 0; i--) {
        uint8_t code = (uint8_t)(codes[i / 2] >> (i % 2 * 4)) & 15;
        codes[i] = dtype == OCT_S4 && code >= 8 ? (uint8_t)(code | 0xf0) : code;
    }
}

static bool is4(oct_dtype dtype) { return dtype == OCT_U4 || dtype == OCT_S4; }

oct_status oct_onnx_tensor_read(oct_onnx_files *files, oct_arena *arena, const Onnx__TensorProto *t, const char *label, oct_tensor *out,
                                int64_t *bytes)
{
    oct_dtype dtype = (oct_dtype)t->data_type;
    int64_t size = is4(dtype) ? 1 : (int64_t)oct_dtype_size(dtype), count, stored, held;
    if (t->data_type == 0)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s' has no element type", label);
    if (size == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s': element type %d (%s) is not supported", label, (int)t->data_type, oct_dtype_name(dtype));
    if (t->n_dims > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s': rank %zu is above %d", label, t->n_dims, OCT_MAX_RANK);
    if (t->has_segment || t->n_string_data)
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s': segments and strings are not supported", label);
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0)
            return oct_fail(OCT_ERR_CONTENT, "tensor '%s' has a negative dimension %lld", label, (long long)t->dims[i]);
    oct_status s = oct_size_count(t->dims, (int)t->n_dims, &count);
    if (s == OCT_OK)
        s = oct_size_mul(count, size, &held);
    if (s != OCT_OK)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s' is too large", label);
    stored = is4(dtype) ? (count + 1) / 2 : held;

    /* judged before memory is taken: a file must not ask for more than it brings */
    const void *from = t->raw_data.data;
    bool external = t->data_location == 1, dense = external || t->has_raw_data;
    int64_t want = dense || is4(dtype) ? stored : count;
    int64_t have = external ? stored : t->has_raw_data ? (int64_t)t->raw_data.len : typed_count(t, dtype);
    if (t->data_location != 0 && !external)
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s': data location %d is not supported", label, (int)t->data_location);
    if (have != want)
        return oct_fail(OCT_ERR_CONTENT, "tensor '%s': %lld %s of data where its shape needs %lld", label, (long long)have,
                        dense ? "bytes" : "elements", (long long)want);
    if (external)
        OCT_TRY(find_external(files, t, label, stored, &from));

    oct_tensor r = {.dtype = dtype, .rank = (int32_t)t->n_dims};
    if (t->n_dims)
        memcpy(r.dims, t->dims, t->n_dims * sizeof *r.dims);
    OCT_TRY(oct_arena_alloc(arena, held ? held : 1, &r.data));
    if (dense && stored)
        memcpy(r.data, from, (size_t)stored);
    else if (stored)
        read_typed(t, dtype, want, r.data);
    if (is4(dtype))
        unpack4(dtype, count, r.data);
    if (dtype == OCT_BOOL)
        for (int64_t i = 0; i < count; i++)
            ((uint8_t *)r.data)[i] = ((uint8_t *)r.data)[i] != 0;
    *out = r;
    *bytes = held;
    return OCT_OK;
}

oct_status oct_onnx_tensor_write(oct_arena *arena, oct_dtype dtype, int rank, const int64_t *dims, const void *data, int64_t bytes,
                                 const char *name, Onnx__TensorProto *t)
{
    onnx__tensor_proto__init(t);
    t->name = (char *)name;
    t->has_data_type = 1;
    t->data_type = (int32_t)dtype;
    t->n_dims = (size_t)rank;
    OCT_TRY(oct_arena_memdup(arena, dims, rank * (int64_t)sizeof *dims, (void **)&t->dims));
    t->has_raw_data = 1;
    t->raw_data.data = (uint8_t *)data;
    t->raw_data.len = (size_t)bytes;
    if (is4(dtype)) {
        const uint8_t *codes = data;
        t->raw_data.len = (size_t)((bytes + 1) / 2);
        OCT_TRY(oct_arena_alloc(arena, (bytes + 1) / 2, (void **)&t->raw_data.data));
        for (int64_t i = 0; i < bytes; i++)
            t->raw_data.data[i / 2] |= (uint8_t)((codes[i] & 15) << (i % 2 * 4));
    }
    return OCT_OK;
}
