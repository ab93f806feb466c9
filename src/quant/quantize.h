/* The inner door of the quantizer, for the calibrator.  The public one is oct_model_quantize. */
#ifndef OCT_QUANT_QUANTIZE_H
#define OCT_QUANT_QUANTIZE_H

#include <octavo/quant.h>
#include "ir/ir.h"

/* Hash of a float model; CONTENT when it is quantized already. */
oct_status oct_quantizable_model(const oct_model *model, char hash[17]);

#endif
