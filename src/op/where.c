/* Where: elementwise choice with broadcasting of all three inputs. */
#include "op/ops.h"

oct_status oct_op_infer_where(oct_graph *g, oct_node *n)
{
    oct_value *c, *x, *y;
    oct_shape s;
    OCT_TRY(oct_infer_need(n, 0, &c));
    OCT_TRY(oct_infer_need(n, 1, &x));
    OCT_TRY(oct_infer_need(n, 2, &y));
    if (c->dtype != OCT_BOOL)
        return oct_op_bad(n, "the condition has type %s", oct_dtype_name(c->dtype));
    if (x->dtype != y->dtype)
        return oct_op_bad(n, "the choices have types %s and %s", oct_dtype_name(x->dtype), oct_dtype_name(y->dtype));
    OCT_TRY(oct_infer_broadcast(g, n, &x->shape, &y->shape, &s));
    OCT_TRY(oct_infer_broadcast(g, n, &c->shape, &s, &s));
    OCT_TRY(oct_infer_out(g, n, 0, x->dtype, &s));
    int64_t kc[OCT_KNOWN_MAX], kx[OCT_KNOWN_MAX], ky[OCT_KNOWN_MAX], r[OCT_KNOWN_MAX];
    int nc = oct_infer_known(c, kc), nx = oct_infer_known(x, kx), ny = oct_infer_known(y, ky);
    if (nc < 0 || nx < 0 || ny < 0 || s.rank > 1 || (s.rank == 1 && (s.dim[0] < 0 || s.dim[0] > OCT_KNOWN_MAX)))
        return OCT_OK;
    int count = s.rank ? (int)s.dim[0] : 1;
    for (int i = 0; i < count; i++) {
        int64_t pick = kc[nc == 1 ? 0 : i];
        r[i] = pick == OCT_KNOWN_NONE ? OCT_KNOWN_NONE : pick ? kx[nx == 1 ? 0 : i] : ky[ny == 1 ? 0 : i];
    }
    return oct_infer_set_known(g, n, 0, r, count);
}

oct_status oct_op_lower_where(oct_lower *l, oct_node *n)
{
    int32_t in[3], out;
    for (int i = 0; i < 3; i++)
        OCT_TRY(oct_lower_in(l, n->inputs[i], OCT_LAYOUT_ANY, &in[i]));
    OCT_TRY(oct_lower_out(l, n->outputs[0], oct_lower_joint_layout(l, n), &out));
    return oct_lower_step(l, OCT_STEP_WHERE, oct_lower_precision(n->outputs[0]), "", 3, in, 1, &out, &(oct_p_none){0},
                          sizeof(oct_p_none), NULL);
}
