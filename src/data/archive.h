/* A tar (plain or compressed) or zip file read front to back, over libarchive.  DESIGN 8. */
#ifndef OCT_DATA_ARCHIVE_H
#define OCT_DATA_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef struct oct_archive oct_archive;

typedef struct oct_entry {
    const char *name; /* borrowed until the next call; "./" in front removed */
    int64_t ordinal;  /* 0, 1, ... in the order of the archive, entries of every kind counted */
    int64_t size;     /* bytes, -1 when the archive does not say */
    bool is_file, is_folder;
} oct_entry;

/* IO, or CONTENT when the file is no archive of a known kind. One thread at a time. */
oct_status oct_archive_open(const char *path, oct_archive **out);
void oct_archive_close(oct_archive *a);
/* The next entry; *found = false at the end. CONTENT when the archive is damaged: then only close is left. */
oct_status oct_archive_next(oct_archive *a, oct_entry *out, bool *found);
/* Up to size bytes of the current entry; *got < size only at its end. CONTENT when damaged or encrypted. */
oct_status oct_archive_read(oct_archive *a, void *data, int64_t size, int64_t *got);
/* True when a failed read left the archive unusable: close and open it again to go on behind the entry. */
bool oct_archive_is_broken(const oct_archive *a);

#endif
