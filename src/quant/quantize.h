/* The inner door of the quantizer, for the calibrator's whole-model checks.  The public one is oct_model_quantize. */
#ifndef OCT_QUANT_QUANTIZE_H
#define OCT_QUANT_QUANTIZE_H

#include <octavo/quant.h>
#include "ir/ir.h"

/* Insert Q/DQ into a float graph that OCT_OPT_EXPORT has left. CONTENT when no range fits. */
oct_status oct_quantize_graph(oct_graph *g, const oct_ranges *ranges, bool per_tensor);
/* Hash of a float model; CONTENT when it is quantized already. */
oct_status oct_quantizable_model(const oct_model *model, char hash[17]);

#endif
