/* Sets made of arrays: .npz members or one .npy, first axis = samples, read row by row in constant memory.  DESIGN 8. */
#ifndef OCT_DATA_ARRAYS_H
#define OCT_DATA_ARRAYS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "data/npy.h"

typedef struct oct_array {
    char *name;      /* the member's name without ".npy"; "" for a plain .npy */
    int64_t ordinal; /* entry of the archive, -1 for a plain .npy */
    oct_npy_header header;
    int64_t row_bytes;
} oct_array;

/* Zero-initialise. */
typedef struct oct_arrays {
    oct_array *list;
    int64_t count, capacity;
    int64_t rows;
    int64_t *labels; /* rows of them, NULL when there is no array "labels" */
    int64_t class_count;
} oct_arrays;

/* zipped: an .npz, else a .npy. CONTENT when first axes differ or labels are no class indices. */
oct_status oct_arrays_open(const char *path, bool zipped, oct_arrays *out);
void oct_arrays_free(oct_arrays *a);
/* NULL when there is none. */
const oct_array *oct_arrays_find(const oct_arrays *a, const char *name);

/* Reads rows of one array in ascending order. A Fortran-ordered array is held in memory as a whole. One thread at a time. */
typedef struct oct_row_reader oct_row_reader;
oct_status oct_row_reader_open(const char *path, const oct_array *array, oct_row_reader **out);
void oct_row_reader_close(oct_row_reader *r);
/* Row `row` (not before one already read) into dst, array->row_bytes bytes. */
oct_status oct_row_reader_read(oct_row_reader *r, int64_t row, void *dst);

#endif
