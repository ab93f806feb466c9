/* NumPy's .npy format: header, and arrays in either order.  The public load and save stand in npy.c too. */
#ifndef OCT_DATA_NPY_H
#define OCT_DATA_NPY_H

#include <octavo/data.h>
#include "base/status.h"

typedef struct oct_npy_header {
    oct_dtype dtype;
    bool fortran; /* first axis fastest */
    int32_t rank;
    int64_t dims[OCT_MAX_RANK];
    int64_t bytes;  /* of the elements */
    int64_t offset; /* of the first element, from the start of the file */
} oct_npy_header;

/* Exactly n bytes into dst, or an error. */
typedef oct_status oct_npy_read_fn(void *context, void *dst, int64_t n);

/* Reads and checks a header; the reader then stands at the first element. name is used in messages.
 * CONTENT for a malformed one, UNSUPPORTED for big-endian, structured, string and complex types. */
oct_status oct_npy_read_header(oct_npy_read_fn *read, void *context, const char *name, oct_npy_header *out);
/* Elements from Fortran order into C order; dst and src do not overlap. */
void oct_npy_from_fortran(const oct_npy_header *h, const void *src, void *dst);

#endif
