/* Post-training quantization: calibrate on samples, keep the ranges, write a Q/DQ model. */
#ifndef OCTAVO_QUANT_H
#define OCTAVO_QUANT_H

#include <stdbool.h>
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_calibrator oct_calibrator;
typedef struct oct_ranges oct_ranges;

typedef enum oct_solver {
    OCT_SOLVER_AUTO = 0,   /* per tensor, by the error at the consumer's output */
    OCT_SOLVER_MAX,
    OCT_SOLVER_PERCENTILE, /* options.percentile */
    OCT_SOLVER_ENTROPY,    /* KL, 2,048 -> 128 levels */
    OCT_SOLVER_MSE
} oct_solver;

typedef enum oct_scheme {
    OCT_SCHEME_AFFINE = 0, /* u8 with zero point */
    OCT_SCHEME_SYMMETRIC   /* s8, zero point 0 */
} oct_scheme;

typedef struct oct_quant_options {
    oct_solver solver;
    double percentile;     /* 0 = 99.99 */
    oct_scheme scheme;
    bool per_tensor;       /* one scale per weight tensor instead of one per output channel */
    int threads;           /* 0 = all cores */
    int64_t batch;         /* samples per run while calibrating; 0 = 1 */
} oct_quant_options;

/* Metadata of a model (oct_model_set_metadata) that calibrators and oct_model_quantize obey: "codes" lets functions of one value between INT8 layers (SiLU,
 * hard-swish, GELU, Sigmoid) read codes, so that they run as tables; "float", the default, keeps them in float. */
#define OCT_FUNCTIONS_KEY "octavo.functions"

/* Observe a float model. Errors: CONTENT when the model is quantized already. opts may be NULL. */
OCT_API OCT_MUST_USE oct_status oct_calibrator_create(const oct_model *model, const oct_quant_options *opts, oct_calibrator **out);
OCT_API void oct_calibrator_destroy(oct_calibrator *cal);
/* Push samples of the caller's own: one dense tensor per model input in model order, dims[0] = number of samples (any).
 * sample_id: global index of the first sample; ids decide nothing but the canonical order of merging, and must differ. */
OCT_API OCT_MUST_USE oct_status oct_calibrator_push(oct_calibrator *cal, const oct_tensor *inputs, int input_count, int64_t sample_id);
OCT_API int64_t oct_calibrator_sample_count(const oct_calibrator *cal);
/* State of one shard, and merging: any order and split gives the same bytes as one run. */
OCT_API OCT_MUST_USE oct_status oct_calibrator_save(const oct_calibrator *cal, const char *path);
OCT_API OCT_MUST_USE oct_status oct_calibrator_merge(oct_calibrator *cal, const char *path);
/* A calibrator from a state file alone: the model that the state names is stored in it (optimised float graph). */
OCT_API OCT_MUST_USE oct_status oct_calibrator_load(const char *path, const oct_quant_options *opts, oct_calibrator **out);
/* Solve ranges from what was observed. DEMAND when no sample was pushed. */
OCT_API OCT_MUST_USE oct_status oct_calibrator_solve(oct_calibrator *cal, oct_ranges **out);

/* Ranges = the calibration cache. */
typedef struct oct_range {
    const char *tensor;
    float min, max;
    float scale;
    int32_t zero;
    const char *solver;  /* how it was chosen, "user" when set by hand */
} oct_range;
typedef enum oct_cache_format { OCT_CACHE_JSON = 0, OCT_CACHE_TENSORRT } oct_cache_format;
OCT_API OCT_MUST_USE oct_status oct_ranges_load(const char *path, oct_ranges **out); /* either format, by content */
OCT_API OCT_MUST_USE oct_status oct_ranges_save(const oct_ranges *ranges, const char *path, oct_cache_format format);
OCT_API void oct_ranges_destroy(oct_ranges *ranges);
OCT_API int64_t oct_ranges_count(const oct_ranges *ranges);
/* Hash of the float model that the ranges belong to; "" when the file had none (TensorRT's). */
OCT_API const char *oct_ranges_model_hash(const oct_ranges *ranges);
OCT_API OCT_MUST_USE oct_status oct_ranges_get(const oct_ranges *ranges, int64_t index, oct_range *out);
OCT_API OCT_MUST_USE oct_status oct_ranges_set(oct_ranges *ranges, const char *tensor, float min, float max);

/* The ranges of a Q/DQ (or QOperator) model's activations: the cache from which oct_model_quantize or the builder's calibrated mode make the
 * same codes again. *skipped: quantizations that a cache cannot say (other widths, per axis, computed scales, a second scale of one tensor).
 * CONTENT when the model has none. The caller owns *out. */
OCT_API OCT_MUST_USE oct_status oct_ranges_from_model(const oct_model *model, oct_ranges **out, int64_t *skipped);

/* --- the statistics of one tensor: what a calibrator keeps for each, for callers who have tensors of their own (DESIGN 4.1) --- */
typedef struct oct_observer oct_observer;
/* What a quantizer needs: q = clip(rne(x / scale) + zero, lo, hi). */
typedef struct oct_grid {
    float min, max; /* limits that were solved for, min <= 0 <= max */
    float scale;
    int32_t zero, lo, hi;
} oct_grid;
/* channels: 0, or how many to keep the largest |x| of. */
OCT_API OCT_MUST_USE oct_status oct_observer_create(int64_t channels, oct_observer **out);
OCT_API void oct_observer_destroy(oct_observer *o);
/* dims[0] samples of float32, one after the other; with channels the second axis has so many. Values that are not finite are counted and
 * left out. CONTENT for another type or shape. */
OCT_API OCT_MUST_USE oct_status oct_observer_add(oct_observer *o, const oct_tensor *samples);
/* Any order and split of the samples gives the same state. CONTENT when the channels differ. */
OCT_API OCT_MUST_USE oct_status oct_observer_merge(oct_observer *into, const oct_observer *from);
OCT_API int64_t oct_observer_sample_count(const oct_observer *o);
/* The state's canonical bytes (docs/formats.md "calibration state"), and an observer from them. Free with oct_string_free. CONTENT. */
OCT_API OCT_MUST_USE oct_status oct_observer_save(const oct_observer *o, char **bytes, size_t *size);
OCT_API OCT_MUST_USE oct_status oct_observer_load(const void *bytes, size_t size, oct_observer **out);
/* The range by options' solver, percentile and scheme, as a calibrator solves it for a tensor alone; with 2 to 7 bits the range of least
 * mean square error, whatever the solver. USAGE for AUTO at 8 bits (it needs the tensor's reader: oct_calibrator) and a wrong option. */
OCT_API OCT_MUST_USE oct_status oct_observer_solve(const oct_observer *o, const oct_quant_options *opts, int bits, oct_grid *out);

/* Write Q/DQ for these ranges into a copy of the float model (placement: DESIGN 4.6). CONTENT when the hash of ranges
 * belongs to another model. The caller owns *out. */
OCT_API OCT_MUST_USE oct_status oct_model_quantize(const oct_model *model, const oct_ranges *ranges, const oct_quant_options *opts, oct_model **out);

#ifdef __cplusplus
}
#endif
#endif
