/* Arithmetic on the strides of plan tensors: layouts, equality, reshaping without a copy.  Pure functions, no lowering state. */
#ifndef OCT_OP_STRIDES_H
#define OCT_OP_STRIDES_H

#include "op/lower.h"

/* Dense strides (elements) in ONNX order; of a layout (NHWC below rank 3 and ANY are PLAIN). Dims of 0 count as 1. */
void oct_strides_plain(int rank, const int64_t *dims, int64_t *strides);
void oct_strides_of_layout(oct_layout layout, int rank, const int64_t *dims, int64_t *strides);
/* Do t's own and the given strides visit the same elements? Axes of one element do not matter, nor anything of an empty tensor. */
bool oct_strides_same_walk(const oct_plan_tensor *t, const int64_t *strides);
bool oct_strides_equal(const oct_plan_tensor *t, const int64_t *strides);
/* NHWC when channels are innermost and there is more than one of them, else PLAIN. */
oct_layout oct_strides_layout(const oct_plan_tensor *t);
/* Strides of the same elements in the same order under new dims of the same product; false when no strides do. */
bool oct_strides_reshape(const oct_plan_tensor *t, int rank, const int64_t *dims, int64_t *strides);

#endif
