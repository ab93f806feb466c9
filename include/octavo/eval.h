/* Measuring models: accuracy with a statistical verdict, and tensor-by-tensor comparison. */
#ifndef OCTAVO_EVAL_H
#define OCTAVO_EVAL_H

#include <stdbool.h>
#include "data.h"
#include "engine.h"
#include "peers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is evaluated: exactly one of model (built here, batch by batch) or plan. name is used in reports. */
typedef struct oct_eval_subject {
    const char *name;
    const oct_model *model;
    const oct_plan *plan;
    const oct_preprocess *pre;
} oct_eval_subject;

typedef struct oct_eval_options {
    int threads;   /* 0 = all cores */
    int64_t batch; /* 0 = 8 for a model; a plan keeps its own */
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
    const oct_peers *peers; /* each process gives its part (shard) of the set; all get the result of the whole. NULL = one process */
} oct_eval_options;

typedef struct oct_accuracy {
    int64_t n;         /* samples */
    double top1, top5; /* percent; NaN without labels */
} oct_accuracy;

/* Paired comparison of B against A on the same samples (anchored in docs/numerics.md, "verdict"). */
typedef struct oct_verdict {
    int64_t flips_better, flips_worse; /* A wrong -> B right, A right -> B wrong; 0 without labels */
    double mcnemar_p;                  /* exact below 1,000 discordant pairs, else mid-p; NaN without labels */
    double ci95[2];                    /* interval of top1(B) - top1(A) in points; NaN without labels */
    double agree;                      /* percent of samples with equal arg-max */
    double sqnr_db, cosine;            /* of B's first output against A's, over all samples */
} oct_verdict;

/* b may be NULL; then verdict is untouched. The data set is read once; both subjects see the same samples. */
OCT_API OCT_MUST_USE oct_status oct_evaluate(oct_dataset *set, const oct_eval_subject *a, const oct_eval_subject *b,
                                             const oct_eval_options *opts, oct_accuracy acc[2], oct_verdict *verdict);

/* Exact (two-sided binomial) or mid-p McNemar test of b and c discordant pairs. */
OCT_API double oct_mcnemar_p(int64_t better, int64_t worse);

/* --- comparison, tensor by tensor --- */

/* Another runtime that computes tensors of a model on demand. The functions answer OCT_OK or the status that the call shall return.
 */
typedef struct oct_compare_peer {
    void *user;
    /* Once: which tensors will be asked for; has[i] becomes whether the runtime knows tensor i (it is true on entry). */
    oct_status (*open)(void *user, const char *const *tensors, int count, bool *has);
    /* Run on these inputs. */
    oct_status (*run)(void *user, const char *const *names, const oct_tensor *inputs, int input_count);
    /* After a run: values of tensor i as float32; count elements are expected. Asked in ascending order, each known tensor once a
     * run. */
    oct_status (*read)(void *user, int tensor, float *data, int64_t count);
} oct_compare_peer;

/* A side of a comparison: a model (built here for the shapes of the inputs) or a plan; with peer, the model's tensors come from
 * there. */
typedef struct oct_compare_side {
    const oct_model *model;
    const oct_plan *plan;
    oct_build_mode mode; /* of a model: as oct_build_options.mode */
    const oct_compare_peer *peer;
} oct_compare_side;

/* One tensor, over all samples so far. */
typedef struct oct_tensor_diff {
    const char *name; /* borrowed from side a */
    int64_t elements;
    double max_abs, rel_l2, cosine; /* of b - a: largest, norm over that of a, angle */
    double sqnr_db;                 /* a's power over that of b - a; +inf when equal */
    double clipped_a, clipped_b;    /* share (of 1) of the codes that stand at an end of their type, where that end does not mean 0;
                                       NaN when the side's tensor is not quantized */
} oct_tensor_diff;

typedef struct oct_comparison oct_comparison;

/* Tensors are matched by the source model's names, in a's order of execution. Of a quantized tensor the value behind its
 * DequantizeLinear counts, whatever tool put it there; what runs inside a fused integer layer cannot be read and is left out. A
 * plan has its outputs and taps only. Both sides (and their peers) must outlive the comparison. threads 0 = all cores. Errors:
 * USAGE (not one model or plan a side, two peers), CONTENT when no tensor has the same name. */
OCT_API OCT_MUST_USE oct_status oct_comparison_create(const oct_compare_side *a, const oct_compare_side *b, int threads,
                                                      oct_comparison **out);
OCT_API void oct_comparison_destroy(oct_comparison *comparison);
/* Run both sides on one more batch of inputs, found by name, and add to every tensor's sums. The first axis holds the samples; a
 * side of a larger fixed batch is filled up with copies of the last one, which do not count (a tensor whose first axis is not the
 * samples leaves such a batch out). Errors name the input. */
OCT_API OCT_MUST_USE oct_status oct_comparison_add(oct_comparison *comparison, const char *const *names, const oct_tensor *inputs,
                                                   int input_count);
OCT_API int64_t oct_comparison_count(const oct_comparison *comparison);
OCT_API OCT_MUST_USE oct_status oct_comparison_get(const oct_comparison *comparison, int64_t index, oct_tensor_diff *out);

#ifdef __cplusplus
}
#endif
#endif
