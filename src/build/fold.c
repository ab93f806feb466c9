/* Constant folding by doing: a graph of the one node is lowered for the portable level and run, so that an operator's meaning has one
 * home.  The values are those of the portable kernels on every machine. */
#include <string.h>
#include "build/build.h"

/* A copy of v in the little graph; constants are copied, outputs only described. */
static oct_status twin(oct_graph *to, const oct_value *v, oct_value **out)
{
    *out = NULL;
    if (!v)
        return OCT_OK;
    oct_value *have = oct_value_find(to, v->name);
    if (have) {
        *out = have;
        return OCT_OK;
    }
    if (v->data) {
        OCT_TRY(oct_value_const(to, v->name, v->dtype, v->shape.rank, v->shape.dim, v->data, out));
    } else {
        OCT_TRY(oct_value_add(to, v->name, v->name, out));
        (*out)->dtype = v->dtype;
        (*out)->shape = v->shape;
    }
    (*out)->quant = v->quant;
    return OCT_OK;
}

static oct_status twin_list(oct_graph *to, oct_value *const *list, int count, oct_value ***out)
{
    void *p;
    OCT_TRY(oct_arena_alloc(to->arena, (count ? count : 1) * (int64_t)sizeof(oct_value *), &p));
    for (int i = 0; i < count; i++)
        OCT_TRY(twin(to, list[i], &((oct_value **)p)[i]));
    *out = p;
    return OCT_OK;
}

static oct_status one_node_graph(const oct_node *n, oct_graph *to)
{
    oct_value **in, **out;
    oct_node *m;
    OCT_TRY(twin_list(to, n->inputs, n->input_count, &in));
    OCT_TRY(twin_list(to, n->outputs, n->output_count, &out));
    OCT_TRY(oct_node_add(to, NULL, n->op, n->name, n->input_count, in, n->output_count, out, &m));
    for (int i = 0; i < n->attr_count; i++)
        OCT_TRY(oct_node_set_attr(to, m, &n->attrs[i]));
    m->int8 = n->int8;
    m->fused = n->fused;
    for (int i = 0; i < n->output_count; i++)
        if (out[i])
            OCT_TRY(oct_graph_add_output(to, out[i]));
    return OCT_OK;
}

static oct_status keep(oct_graph *g, oct_value *v, const oct_context *c)
{
    oct_tensor t;
    void *data;
    OCT_TRY(oct_context_get_output(c, v->name, &t));
    int64_t bytes = oct_tensor_count(&t) * (int64_t)oct_dtype_size(t.dtype);
    OCT_TRY(oct_arena_memdup(g->arena, t.data, bytes, &data));
    v->data = data;
    v->bytes = bytes;
    return OCT_OK;
}

oct_status oct_build_fold(void *user, oct_graph *g, oct_node *n)
{
    oct_status s = OCT_OK;
    oct_graph *mini = NULL;
    oct_plan *plan = NULL;
    oct_context *context = NULL;
    OCT_TRY_DONE(oct_graph_create("fold", &mini));
    OCT_TRY_DONE(one_node_graph(n, mini));
    OCT_TRY_DONE(oct_build_lower(mini, OCT_ISA_PORTABLE, &plan));
    OCT_TRY_DONE(oct_context_create(plan, 1, &context));
    OCT_TRY_DONE(oct_context_run(context));
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i])
            OCT_TRY_DONE(keep(g, n->outputs[i], context));
done:
    oct_context_destroy(context);
    oct_plan_destroy(plan);
    oct_graph_destroy(mini);
    return s;
}
