/* Any numeric element type to float32. */
#ifndef OCT_EVAL_WIDEN_H
#define OCT_EVAL_WIDEN_H

#include "base/mem.h"
#include <octavo/tensor.h>

/* count elements of from into to. UNSUPPORTED for strings and packed 4-bit types. */
oct_status oct_widen(const void *from, oct_dtype dtype, int64_t count, float *to);

#endif
