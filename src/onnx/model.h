/* What the folders above see of a model: its graph, and how to make a model from a graph.  The public face is octavo/model.h. */
#ifndef OCT_ONNX_MODEL_H
#define OCT_ONNX_MODEL_H

#include <octavo/model.h>
#include "ir/ir.h"

struct oct_model {
    oct_graph *graph;                   /* canonical form, shapes inferred; owned */
    struct Onnx__ModelProto *origin;    /* what the graph does not hold, for the way back to a file; owned; may be NULL */
    char *name;                         /* file name, for messages; owned */
};

/* A model around a graph. Takes the graph over (on failure too: it is destroyed then); origin (may be NULL) gives what the file it came
 * from said besides. Metadata is the graph's. The caller owns *out. */
oct_status oct_model_from_graph(oct_graph *graph, const oct_model *origin, oct_model **out);

/* The model's bytes as oct_model_save would write them, weights included; free() *data. UNSUPPORTED above 2 GiB. */
oct_status oct_model_save_memory(const oct_model *model, void **data, int64_t *size);

/* oct_model_save with another limit (bytes) above which weights go to "<path>.data". */
oct_status oct_model_save_split(const oct_model *model, const char *path, int64_t limit);

#endif
