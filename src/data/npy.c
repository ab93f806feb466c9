/* NumPy's .npy files, as published in NumPy's format description (versions 1.0 to 3.0).
 *
 * The header is a Python dictionary literal with the keys descr, fortran_order and shape, in any order. Fortran order is
 * turned into C order while loading; other byte orders are refused. */
#include "data/npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"

#define MAX_HEADER (1 << 20)
#define PREAMBLE   10 /* magic, version, 16-bit header length */

static const struct {
    char code[3]; /* kind and size of descr, without the byte order */
    oct_dtype dtype;
} types[] = {{"b1", OCT_BOOL}, {"i1", OCT_S8},  {"u1", OCT_U8},  {"i2", OCT_S16}, {"u2", OCT_U16}, {"i4", OCT_S32},
             {"u4", OCT_U32},  {"i8", OCT_S64}, {"u8", OCT_U64}, {"f2", OCT_F16}, {"f4", OCT_F32}, {"f8", OCT_F64}};
#define TYPE_COUNT (sizeof types / sizeof *types)

/* --- header --- */

typedef struct scanner {
    const char *p, *name;
} scanner;

static oct_status malformed(const scanner *c, const char *what)
{
    return oct_fail(OCT_ERR_CONTENT, "'%s': malformed npy header: %s", c->name, what);
}

static void skip_space(scanner *c)
{
    while (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r')
        c->p++;
}

static bool take(scanner *c, char ch)
{
    skip_space(c);
    if (*c->p != ch)
        return false;
    c->p++;
    return true;
}

static oct_status take_string(scanner *c, char *out, size_t size)
{
    skip_space(c);
    char quote = *c->p;
    size_t n = 0;
    if (quote != '\'' && quote != '"')
        return malformed(c, "a text was expected");
    for (c->p++; *c->p && *c->p != quote; c->p++)
        if (n + 1 < size)
            out[n++] = *c->p;
    out[n] = '\0';
    if (*c->p++ != quote)
        return malformed(c, "a text is not closed");
    return OCT_OK;
}

static oct_status take_type(scanner *c, oct_dtype *out)
{
    char descr[32];
    skip_space(c);
    if (*c->p == '[' || *c->p == '(')
        return oct_fail(OCT_ERR_UNSUPPORTED, "'%s': structured arrays are not supported", c->name);
    OCT_TRY(take_string(c, descr, sizeof descr));
    bool ordered = strchr("<>=|", descr[0]) && descr[0];
    const char *code = descr + ordered;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(code, types[i].code) != 0)
            continue;
        if (descr[0] == '>' && oct_dtype_size(types[i].dtype) > 1)
            return oct_fail(OCT_ERR_UNSUPPORTED, "'%s': big-endian arrays ('%s') are not supported; save it with astype('<%s')",
                            c->name, descr, code);
        *out = types[i].dtype;
        return OCT_OK;
    }
    return oct_fail(OCT_ERR_UNSUPPORTED, "'%s': element type '%s' is not supported", c->name, descr);
}

static oct_status take_shape(scanner *c, oct_npy_header *h)
{
    if (!take(c, '('))
        return malformed(c, "shape is no tuple");
    h->rank = 0;
    while (!take(c, ')')) {
        int64_t d = 0;
        skip_space(c);
        if (!isdigit((unsigned char)*c->p))
            return malformed(c, "a dimension is no number");
        for (; isdigit((unsigned char)*c->p); c->p++)
            if (__builtin_mul_overflow(d, (int64_t)10, &d) || __builtin_add_overflow(d, (int64_t)(*c->p - '0'), &d))
                return malformed(c, "a dimension is too large");
        if (*c->p == 'L') /* Python 2 */
            c->p++;
        if (h->rank == OCT_MAX_RANK)
            return oct_fail(OCT_ERR_UNSUPPORTED, "'%s': more than %d dimensions", c->name, OCT_MAX_RANK);
        h->dims[h->rank++] = d;
        if (!take(c, ',')) {
            if (!take(c, ')'))
                return malformed(c, "shape is not closed");
            break;
        }
    }
    return OCT_OK;
}

static oct_status parse_dictionary(scanner *c, oct_npy_header *h)
{
    bool have_type = false, have_order = false, have_shape = false;
    if (!take(c, '{'))
        return malformed(c, "no dictionary");
    while (!take(c, '}')) {
        char key[32];
        OCT_TRY(take_string(c, key, sizeof key));
        if (!take(c, ':'))
            return malformed(c, "':' is missing");
        if (strcmp(key, "descr") == 0 && !have_type) {
            have_type = true;
            OCT_TRY(take_type(c, &h->dtype));
        } else if (strcmp(key, "fortran_order") == 0 && !have_order) {
            have_order = true;
            skip_space(c);
            h->fortran = strncmp(c->p, "True", 4) == 0;
            if (!h->fortran && strncmp(c->p, "False", 5) != 0)
                return malformed(c, "fortran_order is neither True nor False");
            c->p += h->fortran ? 4 : 5;
        } else if (strcmp(key, "shape") == 0 && !have_shape) {
            have_shape = true;
            OCT_TRY(take_shape(c, h));
        } else {
            return malformed(c, "an unknown or repeated key");
        }
        if (!take(c, ',')) {
            if (!take(c, '}'))
                return malformed(c, "the dictionary is not closed");
            break;
        }
    }
    skip_space(c);
    if (*c->p || !have_type || !have_order || !have_shape)
        return malformed(c, *c->p ? "text follows the dictionary" : "descr, fortran_order or shape is missing");
    return OCT_OK;
}

oct_status oct_npy_read_header(oct_npy_read_fn *read, void *context, const char *name, oct_npy_header *out)
{
    oct_status s = OCT_OK;
    char *text = NULL;
    uint8_t lead[12];
    oct_npy_header h = {0};
    OCT_TRY(read(context, lead, 8));
    if (memcmp(lead, "\x93NUMPY", 6) != 0)
        return oct_fail(OCT_ERR_CONTENT, "'%s' is not a .npy array", name);
    if (lead[6] < 1 || lead[6] > 3)
        return oct_fail(OCT_ERR_UNSUPPORTED, "'%s': npy version %d is not known", name, lead[6]);
    int64_t field = lead[6] == 1 ? 2 : 4, length = 0;
    OCT_TRY(read(context, lead + 8, field));
    for (int64_t i = 0; i < field; i++)
        length |= (int64_t)lead[8 + i] << (8 * i);
    if (length > MAX_HEADER)
        return oct_fail(OCT_ERR_CONTENT, "'%s': npy header of %lld bytes", name, (long long)length);
    text = malloc((size_t)length + 1);
    if (!text)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a header of %lld bytes", (long long)length);
    OCT_TRY_DONE(read(context, text, length));
    text[length] = '\0';
    scanner c = {text, name};
    if (memchr(text, 0, (size_t)length))
        OCT_TRY_DONE(malformed(&c, "a zero byte"));
    OCT_TRY_DONE(parse_dictionary(&c, &h));
    int64_t count;
    OCT_TRY_DONE(oct_size_count(h.dims, h.rank, &count));
    OCT_TRY_DONE(oct_size_mul(count, (int64_t)oct_dtype_size(h.dtype), &h.bytes));
    h.offset = 8 + field + length;
    *out = h;
done:
    free(text);
    return s;
}

void oct_npy_from_fortran(const oct_npy_header *h, const void *src, void *dst)
{
    size_t size = oct_dtype_size(h->dtype);
    int64_t index[OCT_MAX_RANK] = {0}, stride[OCT_MAX_RANK], step = 1, count = h->bytes / (int64_t)size, at = 0;
    for (int32_t d = 0; d < h->rank; d++) {
        stride[d] = step;
        step *= h->dims[d];
    }
    for (int64_t i = 0; i < count; i++) {
        memcpy((char *)dst + (size_t)i * size, (const char *)src + (size_t)at * size, size);
        for (int32_t d = h->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < h->dims[d])
                break;
            at -= stride[d] * h->dims[d];
            index[d] = 0;
        }
    }
}

/* --- public load and save --- */

typedef struct file_reader {
    FILE *file;
    const char *path;
} file_reader;

static oct_status read_file(void *context, void *dst, int64_t n)
{
    file_reader *r = context;
    if (fread(dst, 1, (size_t)n, r->file) == (size_t)n)
        return OCT_OK;
    if (ferror(r->file))
        return oct_fail(OCT_ERR_IO, "cannot read '%s'", r->path);
    return oct_fail(OCT_ERR_CONTENT, "'%s' ends too early for the array it announces", r->path);
}

oct_status oct_npy_load(const char *path, oct_tensor *out)
{
    oct_status s = OCT_OK;
    void *data = NULL, *ordered = NULL;
    oct_npy_header h;
    struct stat st;
    file_reader r = {fopen(path, "rbe"), path};
    if (!r.file || fstat(fileno(r.file), &st) != 0)
        OCT_FAIL_DONE(OCT_ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        OCT_FAIL_DONE(OCT_ERR_IO, "cannot read '%s': not a regular file", path);
    OCT_TRY_DONE(oct_npy_read_header(read_file, &r, path, &h));
    if (h.bytes > st.st_size - h.offset)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' ends too early: its header announces %lld bytes, %lld follow", path,
                      (long long)h.bytes, (long long)(st.st_size - h.offset));
    OCT_TRY_DONE(oct_alloc(h.bytes, false, &data));
    OCT_TRY_DONE(read_file(&r, data, h.bytes));
    if (h.fortran && h.rank > 1) {
        OCT_TRY_DONE(oct_alloc(h.bytes, false, &ordered));
        oct_npy_from_fortran(&h, data, ordered);
        oct_free(data);
        data = ordered;
        ordered = NULL;
    }
    oct_tensor t = {.data = data, .dtype = h.dtype, .rank = h.rank};
    memcpy(t.dims, h.dims, sizeof t.dims);
    *out = t;
    data = NULL;
done:
    oct_free(data);
    if (r.file)
        fclose(r.file);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}

oct_status oct_npy_save(const char *path, const oct_tensor *tensor)
{
    oct_status s = OCT_OK;
    const char *code = NULL;
    char *header = NULL;
    oct_text t = {0};
    int64_t count, bytes;
    oct_file_out *f = NULL;
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].dtype == tensor->dtype)
            code = types[i].code;
    if (!code)
        return oct_fail_file(oct_fail(OCT_ERR_UNSUPPORTED, "'%s': %s has no npy form", path, oct_dtype_name(tensor->dtype)), path);
    OCT_TRY(oct_size_count(tensor->dims, tensor->rank, &count));
    OCT_TRY(oct_size_mul(count, (int64_t)oct_dtype_size(tensor->dtype), &bytes));
    oct_text_printf(&t, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", oct_dtype_size(tensor->dtype) > 1 ? '<' : '|',
                    code);
    for (int32_t d = 0; d < tensor->rank; d++)
        oct_text_printf(&t, d ? " %lld," : "%lld,", (long long)tensor->dims[d]);
    /* NumPy writes (3,) but (3, 4): without the last comma from two dimensions on. */
    if (tensor->rank > 1)
        t.size--;
    oct_text_append(&t, "), }", 4);
    /* The elements start at a multiple of 64; a line feed ends the header. */
    int64_t padded = oct_round_up(PREAMBLE + t.size + 1, 64) - PREAMBLE;
    while (t.size < padded - 1 && t.status == OCT_OK)
        oct_text_append(&t, " ", 1);
    oct_text_append(&t, "\n", 1);
    OCT_TRY(oct_text_finish(&t, &header));
    const uint8_t lead[PREAMBLE] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)padded, (uint8_t)(padded >> 8)};
    OCT_TRY_DONE(oct_file_begin(path, &f));
    OCT_TRY_DONE(oct_file_put(f, lead, PREAMBLE));
    OCT_TRY_DONE(oct_file_put(f, header, padded));
    OCT_TRY_DONE(oct_file_put(f, tensor->data, bytes));
    s = oct_file_commit(f);
    f = NULL;
done:
    oct_file_abort(f);
    free(header);
    return s;
}

void oct_tensor_free(oct_tensor *tensor)
{
    if (!tensor)
        return;
    oct_free(tensor->data);
    *tensor = (oct_tensor){0};
}
