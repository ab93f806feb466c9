/* Prototypes of every operator's two functions, generated from op_defs.inc, for the files that define them and for table.c. */
#ifndef OCT_OP_OPS_H
#define OCT_OP_OPS_H

#include "op/infer.h"
#include "op/lower.h"

#define OCT_OP_DEF(id, name, domain, since, min_in, max_in, min_out, max_out, stem, flags)                                         \
    oct_status oct_op_infer_##stem(oct_graph *g, oct_node *n);                                                                     \
    oct_status oct_op_lower_##stem(oct_lower *l, oct_node *n);
#include "ir/op_defs.inc"
#undef OCT_OP_DEF

#endif
