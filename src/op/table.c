/* The operator table: op_defs.inc's rows with their functions.  Declared in ir/op.h, below all users; defined here, where the
 * operators are. Adding an operator touches op_defs.inc and one file of this folder, never this one. */
#include "ir/op.h"

#include <string.h>
#include "op/ops.h"

static const oct_op_def table[OCT_OP_COUNT] = {
#define OCT_OP_DEF(id, name, domain, since, min_in, max_in, min_out, max_out, stem, flags)                                         \
    [OCT_OP_##id] = {name, domain, since, min_in, max_in, min_out, max_out, flags, oct_op_infer_##stem, oct_op_lower_##stem},
#include "ir/op_defs.inc"
#undef OCT_OP_DEF
};

const oct_op_def *oct_op_get(oct_op op)
{
    return op > OCT_OP_NONE && op < OCT_OP_COUNT ? &table[op] : NULL;
}

oct_op oct_op_find(const char *name, const char *domain)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (int op = OCT_OP_NONE + 1; op < OCT_OP_COUNT; op++)
        if (strcmp(table[op].name, name) == 0 && strcmp(table[op].domain, domain) == 0)
            return (oct_op)op;
    return OCT_OP_NONE;
}
