/* Measuring models: accuracy with a statistical verdict, and tensor-by-tensor comparison. */
#ifndef OCTAVO_EVAL_H
#define OCTAVO_EVAL_H

#include <stdbool.h>
#include "data.h"
#include "engine.h"

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
    int threads;       /* 0 = all cores */
    int64_t batch;     /* 0 = 8 for a model; a plan keeps its own */
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} oct_eval_options;

typedef struct oct_accuracy {
    int64_t n;            /* samples */
    double top1, top5;    /* percent; NaN without labels */
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

/* One row of a comparison of two models' tensors of equal name. */
typedef struct oct_tensor_diff {
    const char *name;  /* borrowed from model a */
    double max_abs, rel_l2, cosine;
} oct_tensor_diff;
/* Run a and b on the same inputs, compare every tensor that both have. *rows (count of them) is freed with free(). */
OCT_API OCT_MUST_USE oct_status oct_compare(const oct_model *a, const oct_model *b, const char *const *names, const oct_tensor *inputs, int input_count,
                               int threads, oct_tensor_diff **rows, int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
