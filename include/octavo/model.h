/* ONNX models: load, look at, save. */
#ifndef OCTAVO_MODEL_H
#define OCTAVO_MODEL_H

#include <stdbool.h>
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_model oct_model;

/* Load an ONNX file (opset 7 to the newest known; external data beside it is read, never outside its folder).
 * Errors: IO (missing, unreadable), CONTENT (corrupt; names the node), UNSUPPORTED (operator or attribute; names node,
 * operator and opset).  The caller owns *out; destroy(NULL) is fine. */
OCT_API OCT_MUST_USE oct_status oct_model_load(const char *path, oct_model **out);
/* The same from memory; external data is refused. name is used in messages. */
OCT_API OCT_MUST_USE oct_status oct_model_load_memory(const void *bytes, size_t size, const char *name, oct_model **out);
/* Write an ONNX file: to a temporary name beside path, then renamed. Weights above 2 GiB go to "<path>.data". */
OCT_API OCT_MUST_USE oct_status oct_model_save(const oct_model *model, const char *path);
OCT_API void oct_model_destroy(oct_model *model);

/* An input or output of the graph. dims[i] < 0 is a free dimension, its symbol in dim_names[i] ("" when fixed). */
typedef struct oct_port {
    const char *name;
    oct_dtype dtype;
    int32_t rank;
    int64_t dims[OCT_MAX_RANK];
    const char *dim_names[OCT_MAX_RANK];
    float scale;    /* of 8-bit codes of a plan: real = (code - zero) * scale; 0 = no codes, or not known */
    int32_t zero;
} oct_port;

OCT_API int oct_model_input_count(const oct_model *model);
OCT_API int oct_model_output_count(const oct_model *model);
/* Borrowed strings live as long as the model. */
OCT_API OCT_MUST_USE oct_status oct_model_get_input(const oct_model *model, int index, oct_port *out);
OCT_API OCT_MUST_USE oct_status oct_model_get_output(const oct_model *model, int index, oct_port *out);

/* Metadata properties of the file. Returned string is borrowed; NULL when the key is absent. */
OCT_API const char *oct_model_get_metadata(const oct_model *model, const char *key);
OCT_API OCT_MUST_USE oct_status oct_model_set_metadata(oct_model *model, const char *key, const char *value);

/* True when the graph holds QuantizeLinear/DequantizeLinear or integer operators (explicit mode). */
OCT_API bool oct_model_is_quantized(const oct_model *model);

/* Everything `octavo info` shows, as one JSON object: inputs, outputs, ops {name: count}, params, macs, opset, layers
 * (which can be INT8 and why not) and, with passes, what each optimizer pass changed. Free with oct_string_free. */
OCT_API OCT_MUST_USE oct_status oct_model_info_json(const oct_model *model, bool passes, char **json);
OCT_API void oct_string_free(char *s);

#ifdef __cplusplus
}
#endif
#endif
