/* The optimizer: graph rewrites, each a small pass, ordered in one table (opt/opt.c).  DESIGN 5.2, 5.3.
 *
 * Passes never touch a value that is_output (graph outputs and taps keep name and meaning). In dev builds the verifier runs after
 * each pass. Constant folding computes through the caller's evaluator, so that an operator's meaning has one home. */
#ifndef OCT_OPT_OPT_H
#define OCT_OPT_OPT_H

#include "ir/op.h"

/* Stages, run in this order by the builder; the quantizer writes what EXPORT leaves. */
enum {
    OCT_OPT_EXPORT = 1, /* what can be written back to ONNX: folding, dead code, BatchNorm and Pad folding, pattern recognition */
    OCT_OPT_QDQ = 2,    /* explicit mode: Q early, DQ late, integer nodes formed (node->int8), code tensors get quant */
    OCT_OPT_FUSE = 4    /* activation and residual fusion into node->fused */
};

/* Compute every output of n from its constant inputs and make the outputs constants (data, bytes). Called only for nodes whose inputs are
 * all constant and whose output shapes are concrete. */
typedef oct_status oct_fold_fn(void *user, oct_graph *g, oct_node *n);

typedef struct oct_opt {
    oct_graph *g;
    unsigned stages;
    oct_fold_fn *fold;   /* NULL: nothing is folded */
    void *fold_user;
    oct_text *report;    /* NULL, or gets one line a pass: "name: what changed (count)" */
} oct_opt;

/* Run the passes of the asked stages to their fixed point. Shapes are inferred before, and again after passes that changed something. */
oct_status oct_opt_run(const oct_opt *opt);

/* One pass by name on a graph, for its test. *changes counts rewrites. USAGE for an unknown name. */
oct_status oct_opt_pass(const oct_opt *opt, const char *name, int64_t *changes);
/* Name and one-line description of pass i; false past the end. */
bool oct_opt_describe(int i, const char **name, const char **what, unsigned *stage);

#endif
