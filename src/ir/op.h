/* What the rest of the tree knows of an operator: its row of op_defs.inc and its two functions.
 *
 * The table is declared here, below every user, and defined in src/op/table.c, where the functions are. */
#ifndef OCT_IR_OP_H
#define OCT_IR_OP_H

#include "ir/ir.h"

enum { OCT_OPF_E = 1, OCT_OPF_U = 2, OCT_OPF_S = 4, OCT_OPF_M = 8 };

struct oct_lower; /* src/op/lower.h */

typedef struct oct_op_def {
    const char *name;    /* ONNX operator name */
    const char *domain;  /* "" = ai.onnx; "octavo" = internal, written back as ONNX nodes */
    int since;
    int min_in, max_in, min_out, max_out;
    unsigned flags;
    /* Set dtype and shape (and `known` where flag S) of the outputs from the inputs; symbolic dimensions welcome.
     * CONTENT naming the node when inputs do not fit. */
    oct_status (*infer)(oct_graph *g, oct_node *n);
    /* Emit plan steps for one node; every shape is concrete by then. */
    oct_status (*lower)(struct oct_lower *l, oct_node *n);
} oct_op_def;

const oct_op_def *oct_op_get(oct_op op);                              /* never NULL for a valid id */
oct_op oct_op_find(const char *name, const char *domain);             /* OCT_OP_NONE when unknown */

/* Shape inference over the whole graph, in order; also re-checks. */
oct_status oct_graph_infer(oct_graph *g);
/* Give symbols values: dim_values[i] for symbol i (negative = leave), then infer again from the inputs. */
oct_status oct_graph_bind(oct_graph *g, const int64_t *dim_values);
/* Multiply-accumulates of a node for concrete shapes (symbols count as 1); 0 for what has none. Defined in src/op. */
int64_t oct_node_macs(const oct_node *n);

#endif
