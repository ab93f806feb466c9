/* Archives as a sequence of named entries, over libarchive.
 *
 * Nothing is ever unpacked to disk: entries are read into memory by whoever needs one, so names that climb out of a folder
 * are harmless. One front-to-back walk serves tar, compressed tar and zip alike; skipped entries of uncompressed files
 * are sought over, not read. */
#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"

#define BLOCK       (1 << 16)
#define MAX_RETRIES 16

struct oct_archive {
    struct archive *a;
    char *path;
    int64_t next;   /* ordinal of the next entry */
    char name[24];  /* stands in for a name that no character set explains */
    bool encrypted; /* the current entry */
    locale_t utf8;  /* (locale_t)0 when the system has none */
    bool broken;
};

static oct_status damaged(const oct_archive *a, const char *what)
{
    const char *why = archive_error_string(a->a);
    return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s': %s: %s", a->path, what, why ? why : "no detail"), a->path);
}

oct_status oct_archive_open(const char *path, oct_archive **out)
{
    oct_status s = OCT_OK;
    oct_archive *a = calloc(1, sizeof *a);
    if (!a || !(a->path = strdup(path)) || !(a->a = archive_read_new()))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a reader for '%s'", path);
    a->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    archive_read_support_filter_gzip(a->a);
    archive_read_support_filter_bzip2(a->a);
    archive_read_support_filter_xz(a->a);
    archive_read_support_filter_lzma(a->a);
    archive_read_support_filter_zstd(a->a);
    archive_read_support_filter_lz4(a->a);
    archive_read_support_format_tar(a->a);
    archive_read_support_format_gnutar(a->a);
    archive_read_support_format_zip(a->a);
    if (!oct_path_exists(path) || oct_path_is_dir(path))
        OCT_TRY_DONE(oct_fail_file(oct_fail(OCT_ERR_IO, "cannot open '%s': no such file", path), path));
    if (archive_read_open_filename(a->a, path, BLOCK) != ARCHIVE_OK)
        OCT_TRY_DONE(damaged(a, "neither a tar nor a zip archive"));
    *out = a;
    a = NULL;
done:
    oct_archive_close(a);
    return s;
}

void oct_archive_close(oct_archive *a)
{
    if (!a)
        return;
    if (a->a)
        archive_read_free(a->a);
    if (a->utf8)
        freelocale(a->utf8);
    free(a->path);
    free(a);
}

static oct_status next_entry(oct_archive *a, oct_entry *out, bool *found)
{
    struct archive_entry *e = NULL;
    int r = ARCHIVE_RETRY;
    for (int i = 0; r == ARCHIVE_RETRY && i < MAX_RETRIES; i++)
        r = archive_read_next_header(a->a, &e);
    if (r == ARCHIVE_EOF) {
        *found = false;
        return OCT_OK;
    }
    if (r < ARCHIVE_WARN) {
        a->broken = true;
        return damaged(a, a->next ? "damaged archive" : "neither a tar nor a zip archive");
    }
    /* A name that is no UTF-8 may have one of the two forms only: take the one there is. */
    const char *name = archive_entry_pathname(e);
    if (!name)
        name = archive_entry_pathname_utf8(e);
    if (!name) {
        snprintf(a->name, sizeof a->name, "entry %lld", (long long)a->next);
        name = a->name;
    }
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    a->encrypted = archive_entry_is_encrypted(e) > 0;
    out->name = name;
    out->ordinal = a->next++;
    out->size = archive_entry_size_is_set(e) ? archive_entry_size(e) : -1;
    out->is_file = archive_entry_filetype(e) == AE_IFREG;
    out->is_folder = archive_entry_filetype(e) == AE_IFDIR;
    *found = true;
    return OCT_OK;
}

/* libarchive turns names into the locale's characters and loses them where it has none, as in a program that never called
 * setlocale; this thread is in a UTF-8 locale for the time of the call. */
oct_status oct_archive_next(oct_archive *a, oct_entry *out, bool *found)
{
    locale_t before = a->utf8 ? uselocale(a->utf8) : (locale_t)0;
    oct_status s = next_entry(a, out, found);
    if (before)
        uselocale(before);
    return s;
}

oct_status oct_archive_read(oct_archive *a, void *data, int64_t size, int64_t *got)
{
    if (a->encrypted)
        return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s': the entry is encrypted", a->path), a->path);
    int64_t n = 0;
    int retries = 0;
    while (n < size) {
        la_ssize_t r = archive_read_data(a->a, (char *)data + n, (size_t)(size - n));
        if (r == ARCHIVE_RETRY && retries++ < MAX_RETRIES)
            continue;
        if (r < 0) {
            a->broken = r == ARCHIVE_FATAL;
            return damaged(a, "damaged entry");
        }
        if (r == 0)
            break;
        n += r;
    }
    *got = n;
    return OCT_OK;
}

bool oct_archive_is_broken(const oct_archive *a) { return a->broken; }
