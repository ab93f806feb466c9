/* Any numeric element type to float32, for comparing outputs of models whose types differ. */
#include "eval/widen.h"

#include <string.h>
#include "num/num.h"

#define WIDEN(type, value)                              \
    do {                                                \
        const type *p = from;                           \
        for (int64_t i = 0; i < count; i++)             \
            to[i] = (value);                            \
        return OCT_OK;                                  \
    } while (0)

oct_status oct_widen(const void *from, oct_dtype dtype, int64_t count, float *to)
{
    switch (dtype) {
    case OCT_F32: memcpy(to, from, (size_t)count * sizeof *to); return OCT_OK;
    case OCT_F64: WIDEN(double, (float)p[i]);
    case OCT_F16: WIDEN(uint16_t, oct_f16_to_f32(p[i]));
    case OCT_BF16: WIDEN(uint16_t, oct_bf16_to_f32(p[i]));
    case OCT_U8: WIDEN(uint8_t, (float)p[i]);
    case OCT_BOOL: WIDEN(uint8_t, p[i] ? 1.0f : 0.0f);
    case OCT_S8: WIDEN(int8_t, (float)p[i]);
    case OCT_U16: WIDEN(uint16_t, (float)p[i]);
    case OCT_S16: WIDEN(int16_t, (float)p[i]);
    case OCT_U32: WIDEN(uint32_t, (float)p[i]);
    case OCT_S32: WIDEN(int32_t, (float)p[i]);
    case OCT_U64: WIDEN(uint64_t, (float)p[i]);
    case OCT_S64: WIDEN(int64_t, (float)p[i]);
    case OCT_DTYPE_NONE: case OCT_STRING: case OCT_U4: case OCT_S4: break;
    }
    return oct_fail(OCT_ERR_UNSUPPORTED, "an output of type %s cannot be compared", oct_dtype_name(dtype));
}
