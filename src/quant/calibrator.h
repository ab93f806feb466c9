/* The calibrator's inside, shared by its files: calibrator.c (create, push), state.c (files, merging), solve.c and choose.c (ranges).
 * Private to src/quant; the public face is octavo/quant.h. */
#ifndef OCT_QUANT_CALIBRATOR_H
#define OCT_QUANT_CALIBRATOR_H

#include <octavo/engine.h>
#include <octavo/quant.h>
#include "base/team.h"
#include "onnx/model.h"
#include "quant/observer.h"

/* Kept samples: at least KEPT_LEAST, more when they are small. Scores use the first few, whole-model checks all. */
enum { OCT_KEPT_LEAST = 32, OCT_KEPT_MOST = 256, OCT_KEPT_BYTES = 16 << 20 };

/* A tensor that is observed. */
typedef struct oct_watch {
    const char *name;        /* of the model's graph */
    int32_t input;           /* index of the graph input that it is, else -1 */
    bool output;             /* an output of the graph; neither: a tap */
    int64_t channels, inner; /* of one sample, for per-channel extremes; channels 0 = unknown */
    int64_t elements;        /* of one run, for the current plan */
    oct_observer *observer;
} oct_watch;

/* A sample kept whole: the ones with the smallest keys, a hash of their ids, so that any shards keep the same ones. */
typedef struct oct_kept {
    uint64_t key;
    int64_t id;
    oct_tensor *inputs;      /* one a model input, dims[0] = 1; data owned, one block each */
} oct_kept;

struct oct_calibrator {
    oct_quant_options opts;
    char hash[17];           /* of the source model */
    void *bytes;             /* the optimised float graph as ONNX: what state files carry */
    int64_t size;
    oct_model *model;        /* read back from bytes, so that a run and its merged shards see the same graph */
    oct_watch *watches;
    int64_t watch_count, watch_capacity;
    int64_t samples;
    oct_kept kept[OCT_KEPT_MOST]; /* ascending by (key, id) */
    int kept_count, kept_limit;   /* the limit follows from the shapes of the inputs alone */
    /* running */
    oct_team *team;
    oct_plan *plan;
    oct_context *context;
    int64_t batch;           /* of the plan */
    oct_tensor *shapes;      /* inputs as the plan wants them; data = room for a padded chunk */
    float **scratch;         /* one block a worker */
};

/* From the bytes of an optimised graph; takes them over (freed on failure too). */
oct_status oct_calibrator_from_bytes(void *bytes, int64_t size, const char *hash, const oct_quant_options *opts, oct_calibrator **out);
/* Build options for the free dimensions behind the first, as these tensors have them; strings live in the arena. */
oct_status oct_calibrator_dims(const oct_calibrator *cal, const oct_tensor *inputs, oct_arena *arena, const char *const **dims, int *count);
/* Offer a sample to the reservoir; data are copied when it is kept. CONTENT when the id is there already. */
oct_status oct_calibrator_keep(oct_calibrator *cal, int64_t id, const oct_tensor *inputs);
void oct_kept_free(oct_kept *k, int64_t inputs);

#endif
