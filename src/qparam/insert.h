/* Q/DQ pairs into a float graph, for given ranges: the step that quantizer and builder share.  DESIGN 4.6, 5.1. */
#ifndef OCT_QPARAM_INSERT_H
#define OCT_QPARAM_INSERT_H

#include "qparam/qparam.h"
#include "ir/ir.h"

#define OCT_NO_RANGE "has no range" /* how the reason of a node ends that was held for that */

/* Hold the nodes that cannot be quantized because a tensor of them has no range (node->hold, with the reason). CONTENT when no
 * range fits. */
oct_status oct_hold_rangeless(oct_graph *g, const oct_ranges *ranges);
/* Insert Q/DQ into a float graph that OCT_OPT_EXPORT has left. Nodes that are held get none; those without ranges are held here.
 * CONTENT when no range fits. */
oct_status oct_insert_qdq(oct_graph *g, const oct_ranges *ranges, bool per_tensor);

/* A pair at a float output of g that has a range, so that it can be read as codes; without range, nothing. Outputs get none by
 * themselves. */
oct_status oct_insert_output_pair(oct_graph *g, oct_value *output, const oct_ranges *ranges);

#endif
