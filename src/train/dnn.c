/* oneDNN primitives with plain arguments.  Handles are set on every run, so one tape's buffers may move; nothing is cached between
 * runs. */
#include "train/dnn.h"

#include <omp.h>
#include <stdlib.h>

typedef struct side {
    int id;
    bool output;
    dnnl_memory_t plain, inner; /* inner NULL: the primitive reads the plain layout */
    dnnl_primitive_t reorder;
    int64_t at; /* of inner in the scratch */
} side;

struct oct_dnn_step {
    oct_dnn_step *next;
    dnnl_primitive_t primitive;
    dnnl_memory_t pad; /* the primitive's own scratch, first in the caller's */
    int count;
    side sides[OCT_DNN_ARGS];
    int64_t scratch;
};

struct oct_dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr;
    oct_dnn_step *steps;
};

int oct_dnn_enter(void)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

void oct_dnn_leave(int threads)
{
    omp_set_num_threads(threads);
}

oct_status oct_dnn_status(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return OCT_OK;
    if (status == dnnl_out_of_memory)
        return oct_fail(OCT_ERR_MEMORY, "oneDNN: no memory for %s", what);
    return oct_fail(status == dnnl_unimplemented || status == dnnl_invalid_arguments ? OCT_ERR_UNSUPPORTED : OCT_ERR_INTERNAL,
                    "oneDNN: %s failed with status %d", what, (int)status);
}

oct_status oct_dnn_create(oct_dnn **out)
{
    oct_status s = OCT_OK;
    oct_dnn *d = calloc(1, sizeof *d);
    if (!d)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the state of oneDNN");
    OCT_TRY_DONE(oct_dnn_status(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "the engine"));
    OCT_TRY_DONE(oct_dnn_status(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "the stream"));
    OCT_TRY_DONE(oct_dnn_status(dnnl_primitive_attr_create(&d->attr), "attributes"));
    OCT_TRY_DONE(oct_dnn_status(dnnl_primitive_attr_set_scratchpad_mode(d->attr, dnnl_scratchpad_mode_user), "the scratch mode"));
    *out = d;
    d = NULL;
done:
    oct_dnn_destroy(d);
    return s;
}

static void step_destroy(oct_dnn_step *p)
{
    for (int i = 0; i < p->count; i++) {
        if (p->sides[i].plain)
            dnnl_memory_destroy(p->sides[i].plain);
        if (p->sides[i].inner)
            dnnl_memory_destroy(p->sides[i].inner);
        if (p->sides[i].reorder)
            dnnl_primitive_destroy(p->sides[i].reorder);
    }
    if (p->pad)
        dnnl_memory_destroy(p->pad);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    free(p);
}

void oct_dnn_destroy(oct_dnn *d)
{
    if (!d)
        return;
    while (d->steps) {
        oct_dnn_step *p = d->steps;
        d->steps = p->next;
        step_destroy(p);
    }
    if (d->attr)
        dnnl_primitive_attr_destroy(d->attr);
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    free(d);
}

dnnl_engine_t oct_dnn_engine(const oct_dnn *d)
{
    return d->engine;
}
const_dnnl_primitive_attr_t oct_dnn_attr(const oct_dnn *d)
{
    return d->attr;
}
int64_t oct_dnn_step_scratch(const oct_dnn_step *p)
{
    return p->scratch;
}

static oct_status memory_of(const oct_dnn *d, const dnnl_memory_desc_t *md, dnnl_memory_t *out)
{
    return oct_dnn_status(dnnl_memory_create(out, md, d->engine, DNNL_MEMORY_NONE), "a memory object");
}

/* Room of md in the scratch; *at gets its place. */
static oct_status reserve(oct_dnn_step *p, const dnnl_memory_desc_t *md, int64_t *at)
{
    *at = p->scratch;
    return oct_size_add(p->scratch, oct_round_up((int64_t)dnnl_memory_desc_get_size(md), OCT_ALIGN), &p->scratch);
}

static oct_status make_reorder(const oct_dnn *d, side *e, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *inner)
{
    dnnl_primitive_desc_t pd = NULL;
    OCT_TRY(oct_dnn_status(
        dnnl_reorder_primitive_desc_create(&pd, e->output ? inner : plain, d->engine, e->output ? plain : inner, d->engine, NULL),
        "a reorder"));
    const dnnl_status_t made = dnnl_primitive_create(&e->reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    return oct_dnn_status(made, "a reorder");
}

static oct_status make_side(const oct_dnn *d, oct_dnn_step *p, const_dnnl_primitive_desc_t pd, const oct_dnn_arg *arg, side *e)
{
    const dnnl_memory_desc_t *inner = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg->id);
    e->id = arg->id;
    e->output = arg->output;
    OCT_TRY(memory_of(d, arg->plain, &e->plain));
    if (dnnl_memory_desc_equal(inner, arg->plain))
        return OCT_OK;
    OCT_TRY(memory_of(d, inner, &e->inner));
    OCT_TRY(reserve(p, inner, &e->at));
    return make_reorder(d, e, arg->plain, inner);
}

oct_status oct_dnn_step_create(oct_dnn *d, const_dnnl_primitive_desc_t pd, int count, const oct_dnn_arg *args, oct_dnn_step **out)
{
    oct_status s = OCT_OK;
    int64_t pad_at;
    oct_dnn_step *p = calloc(1, sizeof *p);
    if (!p)
        return oct_fail(OCT_ERR_MEMORY, "no memory for a oneDNN step");
    const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    OCT_TRY_DONE(memory_of(d, pad, &p->pad));
    OCT_TRY_DONE(reserve(p, pad, &pad_at));
    p->count = count;
    for (int i = 0; i < count; i++)
        OCT_TRY_DONE(make_side(d, p, pd, &args[i], &p->sides[i]));
    OCT_TRY_DONE(oct_dnn_status(dnnl_primitive_create(&p->primitive, pd), "a primitive"));
    p->next = d->steps;
    d->steps = p;
    *out = p;
    p = NULL;
done:
    if (p)
        step_destroy(p);
    return s;
}

static oct_status reorder(oct_dnn *d, const side *e)
{
    const dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, e->output ? e->inner : e->plain},
                                     {DNNL_ARG_TO, e->output ? e->plain : e->inner}};
    return oct_dnn_status(dnnl_primitive_execute(e->reorder, d->stream, 2, args), "a reorder");
}

oct_status oct_dnn_step_run(oct_dnn *d, oct_dnn_step *p, float *const *pointers, void *scratch)
{
    dnnl_exec_arg_t args[OCT_DNN_ARGS + 1];
    OCT_TRY(oct_dnn_status(dnnl_memory_set_data_handle(p->pad, scratch), "the scratch"));
    for (int i = 0; i < p->count; i++) {
        const side *e = &p->sides[i];
        OCT_TRY(oct_dnn_status(dnnl_memory_set_data_handle(e->plain, pointers[i]), "an argument"));
        if (e->inner)
            OCT_TRY(oct_dnn_status(dnnl_memory_set_data_handle(e->inner, (char *)scratch + e->at), "an argument"));
        if (e->inner && !e->output)
            OCT_TRY(reorder(d, e));
        args[i] = (dnnl_exec_arg_t){e->id, e->inner ? e->inner : e->plain};
    }
    args[p->count] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->pad};
    OCT_TRY(oct_dnn_status(dnnl_primitive_execute(p->primitive, d->stream, p->count + 1, args), "a convolution"));
    for (int i = 0; i < p->count; i++)
        if (p->sides[i].inner && p->sides[i].output)
            OCT_TRY(reorder(d, &p->sides[i]));
    return oct_dnn_status(dnnl_stream_wait(d->stream), "the stream");
}
