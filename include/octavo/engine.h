/* Builder, plan and context: from a model to INT8 inference.
 *
 * A plan is immutable and may be shared by threads; a context (scratch memory and a thread team) belongs to one thread
 * at a time. liboctavo_rt.so holds everything here but the builder, oct_plan_build, oct_plan_refit, oct_plan_add_taps and what
 * gives JSON. */
#ifndef OCTAVO_ENGINE_H
#define OCTAVO_ENGINE_H

#include <stdbool.h>
#include "model.h"
#include "quant.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_plan oct_plan;
typedef struct oct_context oct_context;

/* Which layers run in INT8. */
typedef enum oct_build_mode {
    OCT_BUILD_FASTEST = 0, /* calibrated (ranges were given): INT8 where it makes the model faster; Q/DQ model: obeyed as it is */
    OCT_BUILD_INT8,        /* calibrated: INT8 wherever ranges and kernels exist, nothing is timed for it; Q/DQ model: obeyed */
    OCT_BUILD_FLOAT        /* every layer in float; the Q/DQ of a model still round the values */
} oct_build_mode;

typedef enum oct_layer_precision { OCT_LAYER_ANY = 0, OCT_LAYER_INT8, OCT_LAYER_FLOAT } oct_layer_precision;

/* How a plan is built. Zero-initialise; zeros are the defaults. Nothing is timed at level 0: kernels follow from shapes and the CPU
 * level, precision from a cost model, so that the same model gives the same plan. */
typedef struct oct_build_options {
    int64_t batch;           /* value of a free first dimension; 0 = 1. A model with a fixed one keeps it */
    const char *const *dims; /* "symbol=value" or "input:axis=value" for other free dimensions; may be NULL */
    int dim_count;
    oct_build_mode mode;
    const char *const *taps; /* tensors of the source model to keep readable (oct_context_get_tap) */
    int tap_count;
    const char *target; /* CPU level of the plan: "portable", "avx2", "avx512vnni" or "neon"; NULL = this machine's. A level that cannot run here
                           is built like level 0 and deterministic, and the plan can be saved, not run */
    int level;   /* 0: nothing is timed; 1: precision is; 2: kernels too; 3: kernels of lower CPU levels as well */
    int threads; /* that steps are timed with; 0 = all cores */
    bool refit;  /* the plan carries its model and recipe, for oct_plan_refit and oct_plan_add_taps; a plan with a profile always
                    does */
    bool obey;   /* a precision set for a layer that cannot be had fails the build (DEMAND); else it is a note */
    bool deterministic;  /* times come from the timing cache or the cost model only */
    bool random_tactics; /* every kernel choice at random, from tactic_seed: for tests */
    uint64_t tactic_seed;
    const char *timing_cache;        /* file of measured times: read when it is there, written back; NULL = none */
    const char *const *timing_merge; /* further such files, read only */
    int timing_merge_count;
    void (*progress)(void *user, const char *what, int64_t done, int64_t total);
    void *user;
} oct_build_options;

/* Lower a model to a plan for this machine, without ranges. Errors: UNSUPPORTED and CONTENT, naming the node. opts may be NULL. */
OCT_API OCT_MUST_USE oct_status oct_plan_build(const oct_model *model, const oct_build_options *opts, oct_plan **out);

/* A builder holds what oct_plan_build has no room for: the ranges of calibrated mode (DESIGN 5.1) and constraints of single layers.
 * The model must outlive it. One thread at a time. */
typedef struct oct_builder oct_builder;
OCT_API OCT_MUST_USE oct_status oct_builder_create(const oct_model *model, oct_builder **out);
OCT_API void oct_builder_destroy(oct_builder *b);
/* Range of one tensor of the model, in real units; wins over a cache, whenever that is loaded. USAGE when min > max, when one is
 * not finite, or when the model computes no such tensor; CONTENT when the model is quantized already. */
OCT_API OCT_MUST_USE oct_status oct_builder_set_range(oct_builder *b, const char *tensor, float min, float max);
/* Ranges of a calibration cache, of either form. CONTENT when it belongs to another model, or the model is quantized already. */
OCT_API OCT_MUST_USE oct_status oct_builder_load_ranges(oct_builder *b, const char *path);
OCT_API OCT_MUST_USE oct_status oct_builder_add_ranges(oct_builder *b,
                                                       const oct_ranges *ranges); /* the same, from memory; copied */
/* layer: name of a node of the source model, or its first output where it has none; USAGE when there is none such. */
OCT_API OCT_MUST_USE oct_status oct_builder_set_precision(oct_builder *b, const char *layer, oct_layer_precision precision);
/* Let the plan take every shape of an input between min and max (rank lengths each, min <= opt <= max, in the model's order of
 * axes); it is tuned for opt. USAGE naming the axis for a length out of order, one that the model fixes otherwise, and free
 * dimensions of one name that two inputs give different ranges. The plan holds plans for opt, min and max; see
 * oct_context_set_shape. */
OCT_API OCT_MUST_USE oct_status oct_builder_set_profile(oct_builder *b, const char *input, int rank, const int64_t *min,
                                                        const int64_t *opt, const int64_t *max);
/* What a float input takes, or a float output gives, instead of floats. */
typedef enum oct_io {
    OCT_IO_FLOAT = 0,
    OCT_IO_CODES,      /* the 8-bit codes that the model quantizes it to (uint8 or int8): oct_plan_get_quant tells scale and zero */
    OCT_IO_PIXELS,     /* inputs: uint8 pixels 0..255 in the model's order of axes; (v/255 - mean)/std of the model's metadata
                          "octavo.preprocess"     (1 and 0 without it) is folded in, and so is the quantization behind it: the very codes of
                          the float road */
    OCT_IO_PIXELS_NHWC /* the same with the channels last, as images lie in memory */
} oct_io;
/* name: a float32 input or output of the model. The build answers DEMAND, naming the tensor, when codes are asked for and the plan
 * does not quantize an input on its only use, or does not compute an output as codes (in calibrated mode it does when the output
 * has a range); CONTENT when an input takes no images. */
OCT_API OCT_MUST_USE oct_status oct_builder_set_io(oct_builder *b, const char *name, oct_io io);
OCT_API OCT_MUST_USE oct_status oct_builder_build(oct_builder *b, const oct_build_options *opts, oct_plan **out);
/* What the last build did and why, as JSON:
 * {"mode","chosen","candidates":[{"name","ms"}],"layers":[{"layer","op","precision","reason",
 * "int8_us","float_us"}],"notes":[...]}; times only where something was timed. USAGE before the first build. Free with
 * oct_string_free. */
OCT_API OCT_MUST_USE oct_status oct_builder_report_json(const oct_builder *b, char **json);

/* Plan files are checked in full (magic, version, CPU level, checksums, every offset) before use. */
OCT_API OCT_MUST_USE oct_status oct_plan_load(const char *path, oct_plan **out);
OCT_API OCT_MUST_USE oct_status oct_plan_save(const oct_plan *plan, const char *path);
OCT_API void oct_plan_destroy(oct_plan *plan);

OCT_API int oct_plan_input_count(const oct_plan *plan);
OCT_API int oct_plan_output_count(const oct_plan *plan);
OCT_API OCT_MUST_USE oct_status oct_plan_get_input(const oct_plan *plan, int index, oct_port *out);
OCT_API OCT_MUST_USE oct_status oct_plan_get_output(const oct_plan *plan, int index, oct_port *out);
OCT_API const char *oct_plan_get_metadata(const oct_plan *plan, const char *key);
/* Shapes that an input may have, OCT_MAX_RANK lengths each; all three are the same in a plan without profile. The ports of the plan
 * are those of opt. */
OCT_API OCT_MUST_USE oct_status oct_plan_get_profile(const oct_plan *plan, const char *input, int64_t *min, int64_t *opt,
                                                     int64_t *max);
/* Of an input, output or tap that holds 8-bit codes: real = (code - zero) * scale, zero in the port's own type. USAGE when it holds
 * none. */
OCT_API OCT_MUST_USE oct_status oct_plan_get_quant(const oct_plan *plan, const char *name, float *scale, int32_t *zero);

/* --- the same plan with other numbers: for plans with options.refit or a profile --- */
typedef struct oct_refit_weight {
    const char *name;  /* an initializer of the source model */
    oct_tensor tensor; /* of its type and shape */
} oct_refit_weight;
typedef struct oct_refit_range {
    const char *name; /* a tensor that the plan has a range for (calibrated mode) */
    float min, max;
} oct_refit_range;
/* A new plan with these weights and ranges; steps, precision and kernels stay, nothing is timed, the old plan lives on. It equals a
 * build of the changed model with the same decisions. USAGE for an unknown name or a plan that carries no recipe, CONTENT for
 * another type or shape, DEMAND naming the step when the numbers would need other steps (scales that were equal and are not any
 * more, for instance). */
OCT_API OCT_MUST_USE oct_status oct_plan_refit(const oct_plan *plan, const oct_refit_weight *weights, int weight_count,
                                               const oct_refit_range *ranges, int range_count, oct_plan **out);
/* A new plan that also keeps these tensors of the source model readable (oct_context_get_tap). That costs fusions around them. */
OCT_API OCT_MUST_USE oct_status oct_plan_add_taps(const oct_plan *plan, const char *const *names, int count, oct_plan **out);

/* What the plan does, as JSON; free with oct_string_free.
 * {"isa","arena_bytes","constant_bytes","inputs","outputs","summary":{"steps" {precision: count},"macs","int8_macs","int8_share"
 * (of 1),"reasons":[{"reason" (names left out),"example","steps","macs"}]},"steps":[{"name","fused" (names of the source nodes,
 * joined by " + "),"sources","op","kind","precision","tactic","inputs","outputs" [{"name","dtype","shape","format" ("plain",
 * "nhwc", "strided"),"scale","zero"}], "shapes","scales","macs","bytes" (read and written, weights
 * included),"weight_bytes","reason" (why not INT8; "" when it is)}]}. */
OCT_API OCT_MUST_USE oct_status oct_plan_inspect_json(const oct_plan *plan, char **json);
/* What is wrong or wasteful and can be told for certain, as a JSON list of {"rule","step" or "tensor","message","hint"}; free with
 * oct_string_free. Of steps: leftover-quantize, leftover-dequantize, float-function, int8-float-quantize, float-residual,
 * concat-scales, requantize, wasted-lanes; of a model also its weights and scales: dead-channel, clipped-weights, unused-codes. The
 * model is built as oct_plan_build does it, with the same errors. */
OCT_API OCT_MUST_USE oct_status oct_plan_lint_json(const oct_plan *plan, char **json);
OCT_API OCT_MUST_USE oct_status oct_model_lint_json(const oct_model *model, const oct_build_options *opts, char **json);

/* threads 0 = all cores. The plan must outlive the context. */
OCT_API OCT_MUST_USE oct_status oct_context_create(const oct_plan *plan, int threads, oct_context **out);
OCT_API void oct_context_destroy(oct_context *context);

/* Give an input another shape within the plan's profile; it holds once the lengths that belong together agree in all inputs (a run
 * before that is USAGE). Then all inputs are unbound, the profile starts anew, and ports and outputs have the new dims. The shapes
 * opt, min and max lie in the plan; liboctavo makes plans for others (the last 8 are kept in the context, which takes as long as a
 * build without search; the results are those of a build for that shape), liboctavo_rt answers UNSUPPORTED. USAGE naming the axis
 * when it is outside the profile; the context then goes on with its old shape. */
OCT_API OCT_MUST_USE oct_status oct_context_set_shape(oct_context *context, const char *input, int rank, const int64_t *dims);
/* Input, output or tap of the shape that runs; valid until the next oct_context_set_shape. USAGE while the inputs do not agree. */
OCT_API OCT_MUST_USE oct_status oct_context_get_port(const oct_context *context, const char *name, oct_port *out);
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
    const char *name; /* fused name */
    const char *op;
    const char *precision; /* "int8", "float", "integer", "convert", "none" */
    const char *tactic;    /* kernel name */
    int64_t macs;
    double seconds;
    int64_t runs;
    int64_t bytes; /* read and written in one run, weights included */
} oct_step_profile;
OCT_API int oct_plan_step_count(const oct_plan *plan);
OCT_API OCT_MUST_USE oct_status oct_plan_get_step(const oct_plan *plan, int step,
                                                  oct_step_profile *out); /* what is known without running */
OCT_API void oct_context_profile(oct_context *context, bool enable);
OCT_API OCT_MUST_USE oct_status oct_context_get_profile(const oct_context *context, int step, oct_step_profile *out);
/* GMAC/s that one core does at most with the instructions that the plan was built for, in u8 x s8 or in f32: measured in a register
 * loop for half a millisecond at each call (take the best of several); 0 where there is no loop for the plan's level. */
OCT_API double oct_plan_peak(const oct_plan *plan, bool int8);

#ifdef __cplusplus
}
#endif
#endif
