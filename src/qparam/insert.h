/* Q/DQ pairs into a float graph, for given ranges: the step that quantizer and builder share.  DESIGN 4.6, 5.1. */
#ifndef OCT_QPARAM_INSERT_H
#define OCT_QPARAM_INSERT_H

#include "qparam/qparam.h"
#include "ir/ir.h"
#include "num/num.h"
#include "qparam/placement.h"

#define OCT_NO_RANGE "has no range" /* how the reason of a node ends that was held for that */

/* Hold the nodes that cannot be quantized because a tensor of them has no range (node->hold, with the reason). CONTENT when no
 * range fits. */
oct_status oct_hold_rangeless(oct_graph *g, const oct_ranges *ranges);
/* Insert Q/DQ into a float graph that OCT_OPT_EXPORT has left. Nodes that are held get none; those without ranges are held here.
 * CONTENT when no range fits. */
oct_status oct_insert_qdq(oct_graph *g, const oct_ranges *ranges, bool per_tensor);

/* Parameters by group of the placement: those of the ranges; scale 0 = the group has none. CONTENT when no range fits any group. */
oct_status oct_placement_params(const oct_placement *p, const oct_ranges *ranges, oct_qparams *params);

/* 8-bit scales of a quantizable node's weights, one or one a channel, for codes of this input scale. CONTENT naming the node. g: memory. */
oct_status oct_choose_weight_scales(oct_graph *g, const oct_node *n, bool per_tensor, float input_scale, float *scale);

/* Quantizers that were learned, in place of what would be chosen here. */
typedef struct oct_learned_weights {
    const char *node;      /* the weighted node */
    const float *scale;    /* count: 1 or the channels */
    int64_t count;
    int32_t lo, hi;        /* codes */
    bool narrow_input;     /* reads the narrow pair of its input */
} oct_learned_weights;

/* A tensor that weighted nodes read on a narrow grid: Clip to the grid's ends, then 8-bit Q/DQ with the grid's scale. */
typedef struct oct_learned_input {
    const char *tensor;
    oct_qparams params;
    int32_t lo, hi;
    bool alone;            /* no wide pair before it */
} oct_learned_input;

typedef struct oct_learned {
    const oct_learned_weights *weights;
    const oct_learned_input *inputs;
    int64_t weight_count, input_count;
    bool int4;             /* codes that fit 4 bits are written as such, without Clip */
} oct_learned;

/* oct_insert_qdq with what was learned. Every tensor of `inputs` has an entry in ranges too, that of its wide pair, or its own where it is alone. */
oct_status oct_insert_learned(oct_graph *g, const oct_ranges *ranges, bool per_tensor, const oct_learned *learned);

/* A pair at a float output of g that has a range, so that it can be read as codes; without range, nothing. Outputs get none by
 * themselves. */
oct_status oct_insert_output_pair(oct_graph *g, oct_value *output, const oct_ranges *ranges);

#endif
