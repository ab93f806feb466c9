/* Builder, plan and context: from a model to INT8 inference.
 *
 * A plan is immutable and may be shared by threads; a context (scratch memory and a thread team) belongs to one thread
 * at a time. liboctavo_rt.so holds everything here but oct_plan_build and oct_plan_inspect_json. */
#ifndef OCTAVO_ENGINE_H
#define OCTAVO_ENGINE_H

#include <stdbool.h>
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_plan oct_plan;
typedef struct oct_context oct_context;

/* How a plan is built. Zero-initialise; zeros are the defaults. */
typedef struct oct_build_options {
    int64_t batch;               /* value of a free first dimension; 0 = 1. A model with a fixed one keeps it */
    const char *const *dims;     /* "symbol=value" or "input:axis=value" for other free dimensions; may be NULL */
    int dim_count;
    bool force_float;            /* ignore Q/DQ arithmetic: run every layer in float (Q/DQ still round the values) */
    const char *const *taps;     /* tensors of the source model to keep readable (oct_context_get_tap) */
    int tap_count;
} oct_build_options;

/* Lower a model to a plan for this machine. Errors: UNSUPPORTED and CONTENT, naming the node. opts may be NULL. */
OCT_API OCT_MUST_USE oct_status oct_plan_build(const oct_model *model, const oct_build_options *opts, oct_plan **out);
/* Plan files are checked in full (magic, version, CPU level, checksums, every offset) before use. */
OCT_API OCT_MUST_USE oct_status oct_plan_load(const char *path, oct_plan **out);
OCT_API OCT_MUST_USE oct_status oct_plan_save(const oct_plan *plan, const char *path);
OCT_API void oct_plan_destroy(oct_plan *plan);

OCT_API int oct_plan_input_count(const oct_plan *plan);
OCT_API int oct_plan_output_count(const oct_plan *plan);
OCT_API OCT_MUST_USE oct_status oct_plan_get_input(const oct_plan *plan, int index, oct_port *out);
OCT_API OCT_MUST_USE oct_status oct_plan_get_output(const oct_plan *plan, int index, oct_port *out);
OCT_API const char *oct_plan_get_metadata(const oct_plan *plan, const char *key);

/* Steps as JSON: {"steps":[{"name","sources","op","precision","tactic","shapes","scales","macs","reason"}], ...}. */
OCT_API OCT_MUST_USE oct_status oct_plan_inspect_json(const oct_plan *plan, char **json);

/* threads 0 = all cores. The plan must outlive the context. */
OCT_API OCT_MUST_USE oct_status oct_context_create(const oct_plan *plan, int threads, oct_context **out);
OCT_API void oct_context_destroy(oct_context *context);

/* Bind an input by name. The tensor is borrowed until after run; dtype and dims must equal the port's. */
OCT_API OCT_MUST_USE oct_status oct_context_set_input(oct_context *context, const char *name, const oct_tensor *tensor);
/* Run all steps; allocates nothing. Every input must be set. */
OCT_API OCT_MUST_USE oct_status oct_context_run(oct_context *context);
/* Borrow an output; valid until the next run or destroy. */
OCT_API OCT_MUST_USE oct_status oct_context_get_output(const oct_context *context, const char *name, oct_tensor *out);
/* Copy a tapped tensor, or an output, as dense float32 in the source model's order into data (count elements); codes with a
 * scale are dequantized. Threads may call it at once between runs. */
OCT_API OCT_MUST_USE oct_status oct_context_get_tap(const oct_context *context, const char *name, float *data, int64_t count);
/* NaN that were quantized (to the zero point, DESIGN 3.1) in all runs of this context. */
OCT_API int64_t oct_context_nan_count(const oct_context *context);
/* Shape of a tap or output, as oct_port. */
OCT_API OCT_MUST_USE oct_status oct_plan_get_tap(const oct_plan *plan, const char *name, oct_port *out);

/* Per-step profile. enable before runs; seconds is the sum over runs since then, one figure a step. */
typedef struct oct_step_profile {
    const char *name;       /* fused name */
    const char *op;
    const char *precision;  /* "int8", "float", "integer", "convert", "none" */
    const char *tactic;     /* kernel name */
    int64_t macs;
    double seconds;
    int64_t runs;
} oct_step_profile;
OCT_API int oct_plan_step_count(const oct_plan *plan);
OCT_API void oct_context_profile(oct_context *context, bool enable);
OCT_API OCT_MUST_USE oct_status oct_context_get_profile(const oct_context *context, int step, oct_step_profile *out);

#ifdef __cplusplus
}
#endif
#endif
