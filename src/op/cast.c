/* Cast: a CAST step, or a view when the type stays. */
#include "op/ops.h"

#include "op/code.h"

static bool is_number(oct_dtype t)
{
    return oct_dtype_size(t) != 0 && t != OCT_STRING;
}

oct_status oct_op_infer_cast(oct_graph *g, oct_node *n)
{
    oct_value *x;
    int64_t known[OCT_KNOWN_MAX];
    oct_dtype to = (oct_dtype)oct_node_int(n, "to", OCT_DTYPE_NONE);
    OCT_TRY(oct_infer_need(n, 0, &x));
    if (!is_number(to) || !is_number(x->dtype))
        return oct_op_unsupported(n, "from type %s to %s (%lld)", oct_dtype_name(x->dtype), oct_dtype_name(to),
                                  (long long)oct_node_int(n, "to", 0));
    OCT_TRY(oct_infer_out(g, n, 0, to, &x->shape));
    int count = to == OCT_S64 || to == OCT_S32 ? oct_infer_known(x, known) : -1;
    return count >= 0 ? oct_infer_set_known(g, n, 0, known, count) : OCT_OK;
}

oct_status oct_op_lower_cast(oct_lower *l, oct_node *n)
{
    oct_value *x = n->inputs[0], *y = n->outputs[0];
    int32_t in, out;
    OCT_TRY(oct_lower_in(l, x, OCT_LAYOUT_ANY, &in));
    if (x->dtype == y->dtype)
        return oct_lower_bind(l, y, in);
    OCT_TRY(oct_lower_out(l, y, oct_lower_layout(l, x), &out));
    return oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &in, 1, &out, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}
