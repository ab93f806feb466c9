/* Element types, shapes and borrowed dense tensors: the words that all public headers share. */
#ifndef OCTAVO_TENSOR_H
#define OCTAVO_TENSOR_H

#include <stddef.h>
#include <stdint.h>
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_MAX_RANK 8

/* Values are ONNX's TensorProto.DataType numbers, so that no table is needed at the file boundary. */
typedef enum oct_dtype {
    OCT_DTYPE_NONE = 0,
    OCT_F32 = 1,
    OCT_U8 = 2,
    OCT_S8 = 3,
    OCT_U16 = 4,
    OCT_S16 = 5,
    OCT_S32 = 6,
    OCT_S64 = 7,
    OCT_STRING = 8,  /* only carried through, never computed with */
    OCT_BOOL = 9,
    OCT_F16 = 10,
    OCT_F64 = 11,
    OCT_U32 = 12,
    OCT_U64 = 13,
    OCT_BF16 = 16,
    OCT_U4 = 21,
    OCT_S4 = 22
} oct_dtype;

/* Bytes of one element; 0 for NONE, STRING and the packed 4-bit types. */
OCT_API size_t oct_dtype_size(oct_dtype dtype);
/* "float32", "uint8", ...; "none" for an unknown value. */
OCT_API const char *oct_dtype_name(oct_dtype dtype);

/* A dense tensor in the order of its dims (C order), borrowed: whoever made it owns data. */
typedef struct oct_tensor {
    void *data;
    oct_dtype dtype;
    int32_t rank;
    int64_t dims[OCT_MAX_RANK];
} oct_tensor;

/* Number of elements; 1 for rank 0.  dims must be non-negative and their product must fit (checked where tensors enter). */
OCT_API int64_t oct_tensor_count(const oct_tensor *t);

#ifdef __cplusplus
}
#endif
#endif
