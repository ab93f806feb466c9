/* Array sets: what an .npz or .npy holds, and reading it row by row.
 *
 * Every array has a reader of its own on the file, so several inputs advance together and a deflated member needs no more
 * memory than a stored one. Values are handed on as they are; the loader matches types and shapes with the model's inputs. */
#include "data/arrays.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "data/archive.h"

#define MAX_CLASSES ((int64_t)1 << 24)
#define SKIP_BLOCK  (1 << 16)

/* --- a member or a file as a stream of bytes --- */

typedef struct stream {
    FILE *file; /* a plain .npy, or */
    oct_archive *archive;
    const char *path, *name;
    int64_t size; /* -1 unknown */
} stream;

static oct_status stream_read(void *context, void *dst, int64_t n)
{
    stream *in = context;
    int64_t got = 0;
    if (in->archive) {
        OCT_TRY(oct_archive_read(in->archive, dst, n, &got));
    } else {
        got = (int64_t)fread(dst, 1, (size_t)n, in->file);
        if (got < n && ferror(in->file))
            return oct_fail(OCT_ERR_IO, "cannot read '%s'", in->path);
    }
    if (got < n)
        return oct_fail(OCT_ERR_CONTENT, "'%s': %s ends too early for the array it announces", in->path,
                        in->name[0] ? in->name : "the file");
    return OCT_OK;
}

static oct_status stream_skip(stream *in, int64_t n)
{
    if (in->file) {
        if (fseeko(in->file, n, SEEK_CUR) != 0)
            return oct_fail(OCT_ERR_IO, "cannot read '%s': %s", in->path, strerror(errno));
        return OCT_OK;
    }
    char block[SKIP_BLOCK];
    for (int64_t step; n > 0; n -= step) {
        step = oct_min64(n, SKIP_BLOCK);
        OCT_TRY(stream_read(in, block, step));
    }
    return OCT_OK;
}

static oct_status stream_open_file(const char *path, stream *out)
{
    struct stat st;
    FILE *f = fopen(path, "rbe");
    if (!f || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        oct_status s =
            oct_fail_file(oct_fail(OCT_ERR_IO, "cannot open '%s': %s", path, f ? "not a regular file" : strerror(errno)), path);
        if (f)
            fclose(f);
        return s;
    }
    *out = (stream){.file = f, .path = path, .name = "", .size = st.st_size};
    return OCT_OK;
}

static void stream_close(stream *in)
{
    if (in->file)
        fclose(in->file);
    oct_archive_close(in->archive);
}

/* --- what there is --- */

static oct_status add_array(oct_arrays *a, stream *in, const char *name, int64_t length, int64_t ordinal)
{
    oct_array array = {.ordinal = ordinal};
    OCT_TRY(oct_npy_read_header(stream_read, in, in->name[0] ? in->name : in->path, &array.header));
    const oct_npy_header *h = &array.header;
    if (in->size >= 0 && h->bytes > in->size - h->offset)
        return oct_fail(OCT_ERR_CONTENT, "'%s': %s ends too early: its header announces %lld bytes", in->path,
                        in->name[0] ? in->name : "the file", (long long)h->bytes);
    if (h->rank == 0)
        return oct_fail(OCT_ERR_CONTENT, "'%s': array '%.*s' is a single number; its first axis must be the samples", in->path,
                        (int)length, name);
    if (a->count && h->dims[0] != a->rows)
        return oct_fail(OCT_ERR_CONTENT, "'%s': array '%.*s' has %lld samples, '%s' has %lld", in->path, (int)length, name,
                        (long long)h->dims[0], a->list[0].name, (long long)a->rows);
    a->rows = h->dims[0];
    array.row_bytes = a->rows ? h->bytes / a->rows : 0;
    array.name = strndup(name, (size_t)length);
    if (!array.name)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate the list of arrays");
    oct_status s = OCT_PUSH(a->list, a->count, a->capacity, array);
    if (s != OCT_OK)
        free(array.name);
    return s;
}

static oct_status list_members(const char *path, oct_arrays *a)
{
    oct_status s = OCT_OK;
    stream in = {.path = path};
    oct_entry e;
    bool found;
    OCT_TRY(oct_archive_open(path, &in.archive));
    for (;;) {
        OCT_TRY_DONE(oct_archive_next(in.archive, &e, &found));
        if (!found)
            break;
        if (!e.is_file)
            continue;
        int64_t length = (int64_t)strlen(e.name);
        in.name = e.name;
        in.size = e.size;
        if (length > 4 && strcmp(e.name + length - 4, ".npy") == 0)
            length -= 4;
        OCT_TRY_DONE(add_array(a, &in, e.name, length, e.ordinal));
    }
done:
    stream_close(&in);
    return s;
}

static bool label_at(const uint8_t *p, oct_dtype dtype, int64_t *out)
{
    int8_t s8;
    int16_t s16;
    uint16_t u16;
    int32_t s32;
    uint32_t u32;
    switch (dtype) {
    case OCT_BOOL:
    case OCT_U8: *out = *p; return true;
    case OCT_S8:
        memcpy(&s8, p, 1);
        *out = s8;
        return true;
    case OCT_S16:
        memcpy(&s16, p, 2);
        *out = s16;
        return true;
    case OCT_U16:
        memcpy(&u16, p, 2);
        *out = u16;
        return true;
    case OCT_S32:
        memcpy(&s32, p, 4);
        *out = s32;
        return true;
    case OCT_U32:
        memcpy(&u32, p, 4);
        *out = u32;
        return true;
    case OCT_S64:
    case OCT_U64: memcpy(out, p, 8); return true;
    default: return false;
    }
}

static oct_status read_labels(const char *path, const oct_array *array, oct_arrays *a)
{
    oct_status s = OCT_OK;
    const oct_npy_header *h = &array->header;
    oct_row_reader *r = NULL;
    uint8_t cell[8];
    int64_t *labels = NULL;
    if (a->rows && array->row_bytes != (int64_t)oct_dtype_size(h->dtype))
        return oct_fail(OCT_ERR_CONTENT, "'%s': array 'labels' has more than one value a sample", path);
    OCT_TRY_DONE(oct_row_reader_open(path, array, &r));
    labels = malloc((size_t)oct_max64(a->rows, 1) * sizeof *labels);
    if (!labels)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate %lld labels", (long long)a->rows);
    for (int64_t i = 0; i < a->rows; i++) {
        OCT_TRY_DONE(oct_row_reader_read(r, i, cell));
        if (!label_at(cell, h->dtype, &labels[i]))
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s': array 'labels' is %s; class indices are integers", path,
                          oct_dtype_name(h->dtype));
        if (labels[i] < 0 || labels[i] >= MAX_CLASSES)
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s': label %lld of sample %lld is outside the classes", path, (long long)labels[i],
                          (long long)i);
        a->class_count = oct_max64(a->class_count, labels[i] + 1);
    }
    a->labels = labels;
    labels = NULL;
done:
    free(labels);
    oct_row_reader_close(r);
    return s;
}

oct_status oct_arrays_open(const char *path, bool zipped, oct_arrays *out)
{
    oct_status s = OCT_OK;
    if (zipped) {
        s = list_members(path, out);
    } else {
        stream in = {0};
        s = stream_open_file(path, &in);
        if (s == OCT_OK)
            s = add_array(out, &in, "", 0, -1);
        stream_close(&in);
    }
    if (s == OCT_OK && out->count == 0)
        s = oct_fail(OCT_ERR_CONTENT, "'%s' is empty: it holds no array", path);
    const oct_array *labels = s == OCT_OK && zipped ? oct_arrays_find(out, "labels") : NULL;
    if (labels)
        s = read_labels(path, labels, out);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}

void oct_arrays_free(oct_arrays *a)
{
    for (int64_t i = 0; i < a->count; i++)
        free(a->list[i].name);
    free(a->list);
    free(a->labels);
    *a = (oct_arrays){0};
}

const oct_array *oct_arrays_find(const oct_arrays *a, const char *name)
{
    for (int64_t i = 0; i < a->count; i++)
        if (strcmp(a->list[i].name, name) == 0)
            return &a->list[i];
    return NULL;
}

/* --- rows --- */

struct oct_row_reader {
    stream in;
    char *path, *name;
    int64_t row_bytes, next; /* next: row that the stream stands at */
    uint8_t *whole;          /* a Fortran-ordered array, in C order */
};

static oct_status load_whole(oct_row_reader *r, const oct_npy_header *h)
{
    oct_status s = OCT_OK;
    void *raw = NULL, *ordered = NULL;
    OCT_TRY_DONE(oct_alloc(h->bytes, false, &raw));
    OCT_TRY_DONE(stream_read(&r->in, raw, h->bytes));
    OCT_TRY_DONE(oct_alloc(h->bytes, false, &ordered));
    oct_npy_from_fortran(h, raw, ordered);
    r->whole = ordered;
done:
    oct_free(raw);
    return s;
}

oct_status oct_row_reader_open(const char *path, const oct_array *array, oct_row_reader **out)
{
    oct_status s = OCT_OK;
    oct_npy_header h;
    oct_row_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(path)) || !(r->name = strdup(array->name)))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a reader for '%s'", path);
    if (array->ordinal < 0) {
        OCT_TRY_DONE(stream_open_file(r->path, &r->in));
    } else {
        oct_entry e = {.ordinal = -1};
        bool found = true;
        r->in = (stream){.path = r->path, .size = -1};
        OCT_TRY_DONE(oct_archive_open(path, &r->in.archive));
        while (found && e.ordinal != array->ordinal)
            OCT_TRY_DONE(oct_archive_next(r->in.archive, &e, &found));
        if (!found)
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' has changed: array '%s' is gone", path, array->name);
    }
    r->in.name = r->name;
    r->row_bytes = array->row_bytes;
    OCT_TRY_DONE(oct_npy_read_header(stream_read, &r->in, r->name[0] ? r->name : path, &h));
    const oct_npy_header *want = &array->header;
    if (h.dtype != want->dtype || h.fortran != want->fortran || h.rank != want->rank || memcmp(h.dims, want->dims, sizeof h.dims) != 0)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' has changed: array '%s' has another header", path, array->name);
    if (h.fortran && h.rank > 1)
        OCT_TRY_DONE(load_whole(r, &h));
    *out = r;
    r = NULL;
done:
    oct_row_reader_close(r);
    return s;
}

void oct_row_reader_close(oct_row_reader *r)
{
    if (!r)
        return;
    stream_close(&r->in);
    oct_free(r->whole);
    free(r->path);
    free(r->name);
    free(r);
}

oct_status oct_row_reader_read(oct_row_reader *r, int64_t row, void *dst)
{
    if (r->whole) {
        memcpy(dst, r->whole + row * r->row_bytes, (size_t)r->row_bytes);
        return OCT_OK;
    }
    if (row > r->next)
        OCT_TRY(stream_skip(&r->in, (row - r->next) * r->row_bytes));
    r->next = row + 1;
    return stream_read(&r->in, dst, r->row_bytes);
}
