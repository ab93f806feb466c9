/* Checkpoint files: named arrays of bytes under one checksum, written whole or not at all (docs/formats.md "checkpoint"). */
#ifndef OCT_TRAIN_CHECKPOINT_H
#define OCT_TRAIN_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef struct oct_checkpoint_item {
    const char *name; /* at most 255 bytes */
    void *data;
    int64_t bytes;
} oct_checkpoint_item;

/* To a temporary name, then renamed: the old file stays whole on any failure. Temporary files that killed processes of this machine
 * left are removed. IO naming the file. */
oct_status oct_checkpoint_write(const char *path, const oct_checkpoint_item *items, int64_t count);

typedef struct oct_checkpoint oct_checkpoint;
/* The whole file, read and verified. CONTENT when it is cut, damaged or of another version; IO, MEMORY. */
oct_status oct_checkpoint_open(const char *path, oct_checkpoint **out);
void oct_checkpoint_close(oct_checkpoint *c);
/* Borrowed until closed; false when there is no item of that name. */
bool oct_checkpoint_find(const oct_checkpoint *c, const char *name, const void **data, int64_t *bytes);
/* Copies an item of exactly `bytes` bytes. CONTENT naming file and item when it is missing or of another size. */
oct_status oct_checkpoint_take(const oct_checkpoint *c, const char *name, void *data, int64_t bytes);

#endif
