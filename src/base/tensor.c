/* Element types and sizes of the public tensor, and the one function that frees strings handed to callers. */
#include <octavo/model.h>
#include <octavo/tensor.h>
#include <stdlib.h>

size_t oct_dtype_size(oct_dtype dtype)
{
    switch (dtype) {
    case OCT_U8: case OCT_S8: case OCT_BOOL: return 1;
    case OCT_U16: case OCT_S16: case OCT_F16: case OCT_BF16: return 2;
    case OCT_F32: case OCT_S32: case OCT_U32: return 4;
    case OCT_S64: case OCT_U64: case OCT_F64: return 8;
    case OCT_DTYPE_NONE: case OCT_STRING: case OCT_U4: case OCT_S4: return 0;
    }
    return 0;
}

const char *oct_dtype_name(oct_dtype dtype)
{
    switch (dtype) {
    case OCT_F32: return "float32";
    case OCT_U8: return "uint8";
    case OCT_S8: return "int8";
    case OCT_U16: return "uint16";
    case OCT_S16: return "int16";
    case OCT_S32: return "int32";
    case OCT_S64: return "int64";
    case OCT_STRING: return "string";
    case OCT_BOOL: return "bool";
    case OCT_F16: return "float16";
    case OCT_F64: return "float64";
    case OCT_U32: return "uint32";
    case OCT_U64: return "uint64";
    case OCT_BF16: return "bfloat16";
    case OCT_U4: return "uint4";
    case OCT_S4: return "int4";
    case OCT_DTYPE_NONE: return "none";
    }
    return "none";
}

int64_t oct_tensor_count(const oct_tensor *t)
{
    int64_t n = 1;
    for (int32_t i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

void oct_string_free(char *s) { free(s); }
