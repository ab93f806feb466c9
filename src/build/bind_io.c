/* Ports of a finished graph become codes or pixels: see bind_io.h.  The conversion at the port goes; what stands behind it stays as
 * it is, so that the codes inside are those of the float road.  Which layers are quantized is not decided here. */
#include "build/bind_io.h"

#include <string.h>
#include "data/preprocess.h"
#include "num/num.h"
#include "onnx/model.h"
#include "op/lower.h"

#define PREPROCESS_KEY "octavo.preprocess"

static oct_value *find(oct_value *const *list, int64_t count, const char *name)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return NULL;
}

/* --- what is wished --- */
oct_status oct_builder_set_io(oct_builder *b, const char *name, oct_io io)
{
    const oct_graph *g = b->model->graph;
    const oct_value *in = find(g->inputs, g->input_count, name), *v = in ? in : find(g->outputs, g->output_count, name);
    char *kept;
    if ((unsigned)io > OCT_IO_PIXELS_NHWC)
        return oct_fail(OCT_ERR_USAGE, "an input or output of kind %d", (int)io);
    if (!v)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the model has no input or output '%s'", name), name);
    if (v->dtype != OCT_F32)
        return oct_fail_node(
            oct_fail(OCT_ERR_USAGE, "'%s' is %s: only float32 can be replaced by codes or pixels", name, oct_dtype_name(v->dtype)),
            name);
    if (!in && io > OCT_IO_CODES)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "'%s' is an output: pixels go into inputs", name), name);
    for (int64_t i = 0; i < b->io_count; i++)
        if (strcmp(b->io[i].name, name) == 0) {
            b->io[i].io = io;
            return OCT_OK;
        }
    OCT_TRY(oct_arena_strdup(b->arena, name, &kept));
    return OCT_PUSH(b->io, b->io_count, b->io_capacity, ((oct_io_wish){kept, io}));
}

static oct_status preprocess_of(const oct_graph *g, oct_preprocess *out)
{
    const char *text = oct_graph_meta(g, PREPROCESS_KEY);
    oct_preprocess_default(out);
    return text ? oct_preprocess_parse(out, text) : OCT_OK;
}

oct_status oct_io_fill(const oct_builder *b, oct_recipe *r)
{
    for (int64_t i = 0; i < b->io_count; i++) {
        const oct_io_wish *wish = &b->io[i];
        const oct_graph *g = b->model->graph;
        const oct_value *v = find(g->inputs, g->input_count, wish->name);
        int axis = 0;
        if (wish->io == OCT_IO_FLOAT)
            continue;
        if (wish->io != OCT_IO_CODES) {
            oct_preprocess pre;
            oct_pixel_plan pixels;
            oct_port port = {.name = v->name, .dtype = v->dtype, .rank = v->shape.rank};
            memcpy(port.dims, v->shape.dim, sizeof port.dims);
            OCT_TRY(preprocess_of(g, &pre));
            OCT_TRY(oct_pixel_plan_make(&port, &pre, &pixels));
            axis = pixels.nhwc ? 3 : 1;
        }
        OCT_TRY(oct_recipe_set_io(r, wish->name, wish->io, axis));
    }
    return OCT_OK;
}

/* --- helpers on the graph --- */
static bool is_codes(const oct_value *v)
{
    return v->quant && v->quant->n == 1 && (v->dtype == OCT_U8 || v->dtype == OCT_S8);
}

/* The QuantizeLinear to 8-bit codes of one scale that is the only reader of v; NULL with the reason in *why. */
static oct_node *only_quantizer(const oct_value *v, const char **why)
{
    *why = v->is_output ? "it is read as a tap or output" : "nothing reads it";
    if (v->is_output || v->user_count == 0)
        return NULL;
    for (int64_t i = 0; i < v->user_count; i++)
        if (v->users[i]->op != OCT_OP_QUANTIZE || !is_codes(v->users[i]->outputs[0])) {
            *why = v->users[i]->name;
            return NULL;
        }
    return v->user_count == 1 ? v->users[0] : NULL;
}

/* A node that takes the place of `old`. It stands for no layer of the source model. */
static oct_status replace(oct_graph *g, oct_node *old, oct_op op, int n_in, oct_value *const *in, oct_value *out, oct_node **made)
{
    int64_t at = 0;
    while (g->nodes[at] != old)
        at++;
    oct_node_remove(g, old);
    OCT_TRY(oct_node_add(g, at < g->node_count ? g->nodes[at] : NULL, op, old->name, n_in, in, 1, &out, made));
    (*made)->source_count = 0;
    return OCT_OK;
}

static oct_status fresh(oct_graph *g, const oct_value *like, const char *what, oct_value **out)
{
    char *stem;
    OCT_TRY(oct_arena_printf(g->arena, &stem, "%s_%s", like->name, what));
    OCT_TRY(oct_value_add(g, stem, stem, out));
    (*out)->dtype = like->dtype;
    (*out)->shape = like->shape;
    return OCT_OK;
}

/* --- codes --- */
static oct_status codes_in(oct_graph *g, oct_value *v)
{
    const char *why;
    oct_node *q = only_quantizer(v, &why), *made;
    if (!q)
        return oct_fail_node(
            oct_fail(OCT_ERR_DEMAND, "input '%s' cannot be codes: it is not quantized on its only use (%s)", v->name, why),
            v->name);
    oct_value *y = q->outputs[0];
    v->dtype = y->dtype;
    v->quant = y->quant;
    return replace(g, q, OCT_OP_IDENTITY, 1, &v, y, &made);
}

static oct_status codes_out(oct_graph *g, oct_value *v)
{
    oct_node *dq = v->producer, *made;
    oct_value *codes = dq && dq->op == OCT_OP_DEQUANTIZE ? dq->inputs[0] : NULL, *real;
    if (!codes || !is_codes(codes))
        return oct_fail_node(
            oct_fail(OCT_ERR_DEMAND, "output '%s' cannot be codes: %s computes it in float", v->name, dq ? dq->name : "nothing"),
            v->name);
    if (v->user_count) { /* others read the floats */
        OCT_TRY(fresh(g, v, "dequantized", &real));
        OCT_TRY(oct_value_replace_uses(g, v, real));
        OCT_TRY(oct_node_set_output(g, dq, 0, real));
    }
    v->dtype = codes->dtype;
    v->quant = codes->quant;
    oct_node *p = codes->producer;
    if (v->producer == dq && p && !codes->is_output && codes->user_count == 1) { /* the layer itself writes the output */
        int k = 0;
        while (p->outputs[k] != codes)
            k++;
        oct_node_remove(g, dq);
        return oct_node_set_output(g, p, k, v);
    }
    if (v->producer == dq)
        return replace(g, dq, OCT_OP_IDENTITY, 1, &codes, v, &made);
    OCT_TRY(oct_node_add(g, NULL, OCT_OP_IDENTITY, v->name, 1, &codes, 1, &v, &made));
    made->source_count = 0;
    return OCT_OK;
}

/* --- pixels --- */

/* [channels, 256]: what each pixel becomes; codes of y where y has a scale, else floats. */
static oct_status make_table(oct_graph *g, const oct_value *v, int64_t channels, const oct_value *y, oct_value **out)
{
    oct_preprocess pre;
    float *real;
    uint8_t *codes;
    oct_stored_quant q;
    const int64_t dims[2] = {channels, 256};
    if (channels < 1 || channels > (int64_t)(sizeof pre.mean / sizeof pre.mean[0]))
        return oct_fail_node(
            oct_fail(OCT_ERR_CONTENT, "input '%s' has %lld channels: pixels have 1 or 3", v->name, (long long)channels), v->name);
    OCT_TRY(preprocess_of(g, &pre));
    OCT_TRY(oct_arena_alloc(g->arena, channels * 256 * (int64_t)sizeof *real, (void **)&real));
    OCT_TRY(oct_arena_alloc(g->arena, channels * 256, (void **)&codes));
    for (int64_t i = 0; i < channels * 256; i++)
        real[i] = oct_pixel_value(&pre, (int)(i / 256), (int)(i % 256));
    if (y->dtype == OCT_F32 || !oct_value_stored_quant(y, &q))
        return oct_value_const(g, "pixel_table", OCT_F32, 2, dims, real, out);
    for (int64_t i = 0; i < channels * 256; i++)
        codes[i] = (uint8_t)(oct_quantize(real[i], q.scale, q.zero, q.lo, q.hi) - (y->dtype == OCT_S8 ? 128 : 0));
    return oct_value_const(g, "pixel_table", y->dtype, 2, dims, codes, out);
}

/* What the pixels become: the codes behind the only quantizer, which goes, or floats that take v's place. */
static oct_status pixel_target(oct_graph *g, oct_value *v, oct_value **y)
{
    const char *why;
    oct_node *q = only_quantizer(v, &why);
    if (q) {
        *y = q->outputs[0];
        oct_node_remove(g, q);
        return OCT_OK;
    }
    if (v->is_output)
        return oct_fail_node(oct_fail(OCT_ERR_DEMAND, "input '%s' cannot be pixels: %s", v->name, why), v->name);
    OCT_TRY(fresh(g, v, "normalized", y));
    return oct_value_replace_uses(g, v, *y);
}

static oct_status pixels_in(oct_graph *g, oct_value *v, const oct_recipe_io *io)
{
    static const int64_t to_nchw[] = {0, 3, 1, 2};
    oct_value *y, *in[2] = {v, NULL};
    oct_node *n, *first = NULL;
    const oct_shape s = v->shape;
    if (s.rank != 4 || v->dtype != OCT_F32)
        return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "input '%s' takes no images", v->name), v->name);
    OCT_TRY(pixel_target(g, v, &y));
    OCT_TRY(make_table(g, v, s.dim[io->channel_axis], y, &in[1]));
    first = g->node_count ? g->nodes[0] : NULL;
    v->dtype = OCT_U8;
    if (io->io == OCT_IO_PIXELS_NHWC && io->channel_axis == 1) {
        OCT_TRY(fresh(g, v, "planes", &in[0]));
        v->shape.dim[1] = s.dim[2];
        v->shape.dim[2] = s.dim[3];
        v->shape.dim[3] = s.dim[1];
        OCT_TRY(oct_node_add(g, first, OCT_OP_TRANSPOSE, v->name, 1, &v, 1, &in[0], &n));
        OCT_TRY(oct_node_set_ints(g, n, "perm", to_nchw, 4));
        n->source_count = 0;
    }
    OCT_TRY(oct_node_add(g, first, OCT_OP_PIXELS, v->name, 2, in, 1, &y, &n));
    OCT_TRY(oct_node_set_int(g, n, "axis", io->channel_axis));
    n->source_count = 0;
    return OCT_OK;
}

oct_status oct_bind_io(oct_graph *g, const oct_recipe *r)
{
    for (int64_t i = 0; i < r->io_count; i++) {
        const oct_recipe_io *io = &r->io[i];
        oct_value *in = find(g->inputs, g->input_count, io->name), *out = find(g->outputs, g->output_count, io->name);
        if (!in && !(out && io->io == OCT_IO_CODES))
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "the model has no input or output '%s' for %s", io->name,
                                          io->io == OCT_IO_CODES ? "codes" : "pixels"),
                                 io->name);
        OCT_TRY(io->io != OCT_IO_CODES ? pixels_in(g, in, io) : in ? codes_in(g, in) : codes_out(g, out));
    }
    return OCT_OK;
}
