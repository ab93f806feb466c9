/* Calibration as `calibrate`, `quantize` and `build` share it: its options, and pushing a data set through a calibrator. */
#ifndef OCT_CLI_CALIBRATION_H
#define OCT_CLI_CALIBRATION_H

#include "source.h"

typedef struct cli_calibration {
    const char *solver, *scheme;
    double percentile;
    bool per_tensor;
} cli_calibration;

/* The rows of an option table for these. */
#define CLI_CALIBRATION_OPTIONS(p)                                                                                                \
    {"--solver", NULL, CLI_TEXT, &(p)->solver, "NAME", "auto, max, percentile, entropy or mse (default: auto)", 0, 0},             \
        {"--percentile", NULL, CLI_NUMBER, &(p)->percentile, "P", "of solver percentile (default: 99.99)", 0, 0},                  \
        {"--scheme", NULL, CLI_TEXT, &(p)->scheme, "NAME", "affine (u8 with zero point) or symmetric (s8; default: affine)", 0, 0}

/* Options to what the library takes. 0 or the exit status. */
int cli_quant_options(const cli *c, const cli_calibration *p, oct_quant_options *out);
/* Push every sample of --data (part shard of shards; 0 = all) batch by batch. *skipped = samples that could not be read. */
int cli_calibrate(const cli *c, oct_calibrator *cal, const oct_model *model, const oct_preprocess *pre, int shard, int shards, int64_t *skipped);
/* The same for a set that is open already; it stays the caller's. */
int cli_calibrate_set(const cli *c, oct_calibrator *cal, const oct_model *model, const oct_preprocess *pre, oct_dataset *set, int64_t *skipped);
/* Ranges from a cache file, or where that is NULL from --data through a calibrator; *samples and *skipped are of the latter. */
int cli_obtain_ranges(const cli *c, const char *cache, const oct_quant_options *options, const oct_model *model, const oct_preprocess *pre, oct_ranges **out,
                      int64_t *samples, int64_t *skipped);
/* Store the preprocessing in the model's metadata, so that later commands need not be told. */
oct_status cli_keep_preprocess(oct_model *model, const oct_preprocess *pre);
/* How many ranges each solver gave, as an object. */
cJSON *cli_solver_counts(const oct_ranges *ranges);

#endif
