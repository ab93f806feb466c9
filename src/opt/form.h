/* What the quantizer must see exactly as the passes do that form integer operators (opt/form.c). */
#ifndef OCT_OPT_FORM_H
#define OCT_OPT_FORM_H

#include "ir/op.h"

/* Axis of the output channels in the weights (input 1) of a Conv, ConvTranspose, Gemm or MatMul. */
int oct_weight_axis(const oct_node *n);
/* ReduceMean over both spatial axes of a tensor of rank 4: an average pool in disguise. */
bool oct_is_spatial_mean(const oct_node *n);

#endif
