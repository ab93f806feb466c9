/* Where Q/DQ pairs go in a float graph (DESIGN 4.6; docs/numerics.md "placement").  Looks only; insert.c inserts.
 *
 * The graph is what OCT_OPT_EXPORT leaves. Calibrator and quantizer analyse the same graph, hence agree. */
#ifndef OCT_QPARAM_PLACEMENT_H
#define OCT_QPARAM_PLACEMENT_H

#include "ir/op.h"
#include "opt/form.h"

/* A tensor that gets a Q/DQ pair. Points of one group have the same scale and zero. */
typedef struct oct_qpoint {
    oct_value *value;
    int32_t group;
    bool root;    /* its values are computed: statistics of the group are those of its roots */
} oct_qpoint;

/* A use that reads the pair's output; other users of the tensor go on reading float. */
typedef struct oct_qedge {
    oct_node *node;
    int64_t index;        /* of the node in the graph */
    int32_t input, point;
} oct_qedge;

typedef struct oct_placement {
    oct_qpoint *points;  /* in the order of the graph's values */
    oct_qedge *edges;    /* in the order of the graph's nodes */
    int64_t point_count, point_capacity, edge_count, edge_capacity;
    int32_t group_count;
} oct_placement;

/* The graph's metadata OCT_FUNCTIONS_KEY decides about functions of one value (SiLU, hard-swish, GELU, Sigmoid ...) between codes: they read floats, for accuracy, or
 * with the value "codes" codes, so that they become tables of 256 entries. */
oct_status oct_placement_make(const oct_graph *g, oct_placement *out); /* zero-initialised by the call */
void oct_placement_free(oct_placement *p);

/* A Conv, ConvTranspose, Gemm or MatMul that can run on codes: constant float weights, activation input, not held. */
bool oct_is_quantizable(const oct_node *n);
/* The tensor whose codes an operator with result y writes: behind the Relu or Clip that fuses with it, else y. */
const oct_value *oct_behind_activation(const oct_value *y);

#endif
