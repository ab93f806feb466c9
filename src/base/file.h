/* Files: whole read, atomic replace (temporary name, fsync, rename), read-only mapping. All errors name the file. */
#ifndef OCT_BASE_FILE_H
#define OCT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/status.h"

/* Whole file into a malloc'd block with a NUL after the end (not counted); *size in bytes. IO. free() it. */
oct_status oct_file_read(const char *path, void **data, int64_t *size);
/* Write path atomically: all bytes or the old file. IO (a full disk included). */
oct_status oct_file_write(const char *path, const void *data, int64_t size);
/* The same in pieces: open gives a FILE on "<path>.<pid>.tmp"; commit checks, syncs, renames and closes; abort removes. */
typedef struct oct_file_out oct_file_out;
oct_status oct_file_begin(const char *path, oct_file_out **out);
oct_status oct_file_put(oct_file_out *f, const void *data, int64_t size);
oct_status oct_file_commit(oct_file_out *f); /* frees f, also on error */
void oct_file_abort(oct_file_out *f);        /* frees f; NULL is fine */

/* Read-only shared mapping. An empty file is CONTENT. */
typedef struct oct_map {
    const void *data;
    int64_t size;
} oct_map;
oct_status oct_file_map(const char *path, oct_map *out);
void oct_file_unmap(oct_map *map);

bool oct_path_is_dir(const char *path);
bool oct_path_exists(const char *path);

#endif
