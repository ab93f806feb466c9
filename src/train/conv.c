/* Conv and ConvTranspose over one to three spatial axes, by oneDNN's direct convolutions.
 *
 * Both are one linear map W between a wide and a narrow image and its adjoint: Conv reads the wide one, ConvTranspose writes it
 * (Dumoulin, Visin 2016, arXiv 1603.07285, section 4). Conv:          y = W x    dx = W' dy   dW = <dy, x> ConvTranspose: y = W' x
 * dx = W dy    dW = <x, dy> so three primitives serve both. ONNX's weights [narrow channels, wide channels / groups, k...] are the
 * same array in both cases. */
#include "train/diff.h"

#include <string.h>
#include "op/infer.h"
#include "train/codes.h"
#include "train/vector.h"

typedef struct conv_state {
    oct_dnn_step *map, *adjoint, *weights;        /* wide, W -> narrow; narrow, W -> wide; wide, narrow -> dW */
    int64_t map_room, adjoint_room, weights_room; /* bytes of the result before it is added: none where it is written in place */
    int64_t n, c, plane;                          /* of y: images, channels, pixels */
    bool last;                                    /* y has its channels last */
    float *factor, *shift;                        /* [c] where codes are summed */
} conv_state;

/* A tensor as it lies, and as a primitive shall read it (bfloat16 where the tape computes so) and write it (always float32). */
typedef struct layout {
    dnnl_memory_desc_t plain, read, write;
} layout;

typedef struct geometry {
    layout wide, narrow, weights;
    dnnl_dims_t stride, dilate, begin, end;
} geometry;

static oct_status describe(const oct_tape *t, int rank, const dnnl_dims_t dims, const dnnl_dims_t strides, dnnl_format_tag_t tag,
                           layout *out)
{
    OCT_TRY(oct_dnn_status(dnnl_memory_desc_init_by_strides(&out->plain, rank, dims, dnnl_f32, strides), "a layout"));
    OCT_TRY(oct_dnn_status(dnnl_memory_desc_init_by_tag(&out->read, rank, dims, t->bf16 ? dnnl_bf16 : dnnl_f32, tag), "a layout"));
    return oct_dnn_status(dnnl_memory_desc_init_by_tag(&out->write, rank, dims, dnnl_f32, tag), "a layout");
}

/* Channels last where one of the two images lies so (with a free choice for the other oneDNN falls back to its slow reference),
 * else as the primitive likes. */
static oct_status describe_image(const oct_tape *t, const oct_slot *s, bool last, layout *out)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};
    dnnl_dims_t dims, strides;
    const oct_shape *shape = &s->value->shape;
    for (int i = 0; i < shape->rank; i++) {
        dims[i] = shape->dim[i];
        strides[i] = s->strides[i];
    }
    return describe(t, shape->rank, dims, strides, last ? tags[shape->rank - 3] : dnnl_format_tag_any, out);
}

static oct_status describe_weights(const oct_tape *t, const oct_shape *shape, int64_t groups, layout *out)
{
    dnnl_dims_t dims, strides;
    int rank = 0;
    if (groups > 1) {
        dims[rank++] = groups;
        dims[rank++] = shape->dim[0] / groups;
    } else {
        dims[rank++] = shape->dim[0];
    }
    for (int i = 1; i < shape->rank; i++)
        dims[rank++] = shape->dim[i];
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= dims[i];
    }
    return describe(t, rank, dims, strides, dnnl_format_tag_any, out);
}

/* Pads at the beginning of a transposed convolution whose output shape is known: ONNX's rules for auto_pad and output_shape. */
static void transposed_begin(const oct_node *n, const oct_window *w, int i, int64_t in, int64_t out, int64_t *begin)
{
    int64_t extra[3] = {0}, wanted[3];
    const char *mode = oct_node_string(n, "auto_pad", "NOTSET");
    oct_node_ints(n, "output_padding", extra, 3);
    *begin = w->begin[i];
    if (oct_node_ints(n, "output_shape", wanted, 3) > 0 || w->same) {
        const int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        const int64_t total = oct_max64(0, (in - 1) * w->stride[i] + reach + extra[i] - out);
        *begin = strcmp(mode, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
    }
}

static oct_status read_geometry(const oct_tape *t, const oct_diff_node *d, geometry *q)
{
    const oct_node *n = d->node;
    const bool transposed = n->op == OCT_OP_CONV_TRANSPOSE;
    const oct_shape *x = &n->inputs[0]->shape, *y = &n->outputs[0]->shape, *ws = &n->inputs[1]->shape;
    const oct_shape *wide = transposed ? y : x, *narrow = transposed ? x : y;
    const int64_t groups = oct_node_int(n, "group", 1);
    oct_window w;
    OCT_TRY(oct_window_read(n, x->rank - 2, x->dim + 2, ws->dim + 2, &w));
    for (int i = 0; i < w.n; i++) {
        q->stride[i] = w.stride[i];
        q->dilate[i] = w.dilation[i] - 1;
        q->begin[i] = w.begin[i];
        if (transposed)
            transposed_begin(n, &w, i, x->dim[i + 2], y->dim[i + 2], &q->begin[i]);
        /* The end pad that makes the windows fit exactly: pixels beyond the last window count nowhere. */
        const int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
        q->end[i] = (narrow->dim[i + 2] - 1) * w.stride[i] + reach - wide->dim[i + 2] - q->begin[i];
    }
    const bool last = d->in[0]->last || d->out[0]->last;
    OCT_TRY(describe_image(t, transposed ? d->out[0] : d->in[0], last, &q->wide));
    OCT_TRY(describe_image(t, transposed ? d->in[0] : d->out[0], last, &q->narrow));
    return describe_weights(t, ws, groups, &q->weights);
}

static oct_status make_step(oct_tape *t, const void *desc, const_dnnl_primitive_desc_t hint, const oct_dnn_arg *args,
                            oct_dnn_step **out)
{
    dnnl_primitive_desc_t pd = NULL;
    OCT_TRY(oct_dnn_status(dnnl_primitive_desc_create(&pd, desc, oct_dnn_attr(t->dnn), oct_dnn_engine(t->dnn), hint),
                           "this convolution"));
    const oct_status s = oct_dnn_step_create(t->dnn, pd, 3, args, out);
    dnnl_primitive_desc_destroy(pd);
    return s;
}

static oct_status make_steps(oct_tape *t, const geometry *q, bool need_map, bool need_adjoint, bool need_weights, conv_state *s)
{
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_convolution_desc_t map, other;
    dnnl_primitive_desc_t hint = NULL;
    oct_status status = OCT_OK;
    OCT_TRY(
        oct_dnn_status(dnnl_dilated_convolution_forward_desc_init(&map, dnnl_forward_training, alg, &q->wide.read, &q->weights.read,
                                                                  NULL, &q->narrow.write, q->stride, q->dilate, q->begin, q->end),
                       "this convolution"));
    OCT_TRY(oct_dnn_status(dnnl_primitive_desc_create(&hint, &map, oct_dnn_attr(t->dnn), oct_dnn_engine(t->dnn), NULL),
                           "this convolution"));
    if (need_map) {
        const oct_dnn_arg args[3] = {{DNNL_ARG_SRC, &q->wide.plain, false},
                                     {DNNL_ARG_WEIGHTS, &q->weights.plain, false},
                                     {DNNL_ARG_DST, &q->narrow.plain, true}};
        status = oct_dnn_step_create(t->dnn, hint, 3, args, &s->map);
    }
    if (status == OCT_OK && need_adjoint) {
        const oct_dnn_arg args[3] = {{DNNL_ARG_DIFF_DST, &q->narrow.plain, false},
                                     {DNNL_ARG_WEIGHTS, &q->weights.plain, false},
                                     {DNNL_ARG_DIFF_SRC, &q->wide.plain, true}};
        status = oct_dnn_status(dnnl_dilated_convolution_backward_data_desc_init(&other, alg, &q->wide.write, &q->weights.read,
                                                                                 &q->narrow.read, q->stride, q->dilate, q->begin,
                                                                                 q->end),
                                "this convolution");
        if (status == OCT_OK)
            status = make_step(t, &other, hint, args, &s->adjoint);
    }
    if (status == OCT_OK && need_weights) {
        const oct_dnn_arg args[3] = {{DNNL_ARG_SRC, &q->wide.plain, false},
                                     {DNNL_ARG_DIFF_DST, &q->narrow.plain, false},
                                     {DNNL_ARG_DIFF_WEIGHTS, &q->weights.plain, true}};
        status = oct_dnn_status(dnnl_dilated_convolution_backward_weights_desc_init(&other, alg, &q->wide.read, &q->weights.write,
                                                                                    NULL, &q->narrow.read, q->stride, q->dilate,
                                                                                    q->begin, q->end),
                                "this convolution");
        if (status == OCT_OK)
            status = make_step(t, &other, hint, args, &s->weights);
    }
    dnnl_primitive_desc_destroy(hint);
    return status;
}

/* Scratch of a step whose result is added to `target`: in place where this node is the only one to write it. */
static int64_t room_of(const oct_slot *target)
{
    return !target || target->uses == 1 ? 0 : oct_round_up(target->count * (int64_t)sizeof(float), OCT_ALIGN);
}

static void need_scratch(oct_diff_node *d, const oct_dnn_step *step, int64_t room)
{
    if (step)
        d->scratch = oct_max64(d->scratch, room + oct_dnn_step_scratch(step));
}

static oct_status prepare(oct_tape *t, oct_diff_node *d, bool transposed)
{
    geometry q = {0};
    conv_state *s;
    const oct_shape *y = &d->node->outputs[0]->shape;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    OCT_TRY(read_geometry(t, d, &q));
    const bool data = d->in[0]->needs_grad, weights = d->in[1]->needs_grad;
    const oct_status made = make_steps(t, &q, !transposed || data, transposed || data, weights, s);
    if (made == OCT_ERR_UNSUPPORTED)
        return oct_diff_unsupported(d->node, "a geometry that oneDNN has no convolution for");
    OCT_TRY(made);
    s->last = d->out[0]->last;
    s->n = y->dim[0];
    s->c = y->dim[1];
    s->plane = oct_diff_product(y, 2, y->rank);
    s->map_room = transposed ? room_of(d->in[0]) : 0;
    s->adjoint_room = transposed ? 0 : room_of(d->in[0]);
    s->weights_room = room_of(d->in[1]);
    need_scratch(d, s->map, s->map_room);
    need_scratch(d, s->adjoint, s->adjoint_room);
    need_scratch(d, s->weights, s->weights_room);
    d->scratch = oct_max64(d->scratch, s->c * (int64_t)sizeof(double));
    if (!d->out[0]->summed)
        return OCT_OK;
    OCT_TRY(oct_diff_alloc(t, s->c, sizeof *s->factor, (void **)&s->factor));
    return oct_diff_alloc(t, s->c, sizeof *s->shift, (void **)&s->shift);
}

/* grad += step(a, b); in place where nothing stands there yet. */
static oct_status add_result(oct_tape *t, oct_dnn_step *step, float *a, float *b, oct_slot *target, int64_t room)
{
    const bool in_place = oct_diff_fresh(target) || room == 0;
    float *into = in_place ? target->grad : t->scratch;
    OCT_TRY(oct_dnn_step_run(t->dnn, step, (float *[]){a, b, into}, (char *)t->scratch + room));
    if (!in_place)
        oct_vector()->add(target->count, target->grad, into, target->grad);
    return OCT_OK;
}

static void add_bias(const conv_state *s, const float *bias, float *y)
{
    if (s->last) {
        oct_vector()->add_rows(s->n * s->plane, s->c, bias, y);
        return;
    }
    for (int64_t r = 0; r < s->n * s->c; r++)
        for (int64_t i = 0; i < s->plane; i++)
            y[r * s->plane + i] += bias[r % s->c];
}

static void bias_gradient(const conv_state *s, const float *dy, float *dbias, double *room)
{
    if (s->last) {
        memset(room, 0, (size_t)s->c * sizeof *room);
        oct_vector()->sum_rows(s->n * s->plane, s->c, dy, room);
        for (int64_t c = 0; c < s->c; c++)
            dbias[c] += (float)room[c];
        return;
    }
    for (int64_t r = 0; r < s->n * s->c; r++) {
        double sum = 0;
        for (int64_t i = 0; i < s->plane; i++)
            sum += dy[r * s->plane + i];
        dbias[r % s->c] += (float)sum;
    }
}

oct_status oct_diff_prepare_conv(oct_tape *t, oct_diff_node *d)
{
    return prepare(t, d, false);
}

/* Of codes: their sums, and what these are worth. */
static oct_status forward_codes(oct_tape *t, oct_diff_node *d)
{
    conv_state *s = d->state;
    const float *sums = d->out[0]->sums;
    float *y = d->out[0]->data;
    OCT_TRY(oct_dnn_step_run(t->dnn, s->map, (float *[]){d->in[0]->codes, d->in[1]->codes, d->out[0]->sums}, t->scratch));
    if (d->out[0]->bare)
        return OCT_OK;
    oct_codes_terms(d, NULL, s->c, s->factor, s->shift);
    if (s->last) {
        oct_vector()->affine_rows(s->n * s->plane, s->c, sums, s->factor, s->shift, false, y);
        return OCT_OK;
    }
    for (int64_t r = 0; r < s->n * s->c; r++)
        for (int64_t i = 0; i < s->plane; i++)
            y[r * s->plane + i] = sums[r * s->plane + i] * s->factor[r % s->c] + s->shift[r % s->c];
    return OCT_OK;
}

oct_status oct_diff_forward_conv(oct_tape *t, oct_diff_node *d)
{
    conv_state *s = d->state;
    const oct_slot *bias = oct_diff_in(d, 2);
    if (d->out[0]->summed)
        return forward_codes(t, d);
    OCT_TRY(oct_dnn_step_run(t->dnn, s->map, (float *[]){d->in[0]->data, d->in[1]->data, d->out[0]->data}, t->scratch));
    if (bias)
        add_bias(s, bias->data, d->out[0]->data);
    return OCT_OK;
}

oct_status oct_diff_backward_conv(oct_tape *t, oct_diff_node *d)
{
    conv_state *s = d->state;
    float *dy = d->out[0]->grad;
    if (oct_diff_grad(d, 2))
        bias_gradient(s, dy, oct_diff_grad(d, 2), t->scratch);
    if (s->adjoint)
        OCT_TRY(add_result(t, s->adjoint, dy, d->in[1]->data, d->in[0], s->adjoint_room));
    if (!s->weights)
        return OCT_OK;
    const bool codes = d->in[0]->bare;
    OCT_TRY(add_result(t, s->weights, codes ? d->in[0]->codes : d->in[0]->data, dy, d->in[1], s->weights_room));
    if (codes)
        oct_codes_scale_gradient(d);
    return OCT_OK;
}

oct_status oct_diff_prepare_conv_transpose(oct_tape *t, oct_diff_node *d)
{
    return prepare(t, d, true);
}

oct_status oct_diff_forward_conv_transpose(oct_tape *t, oct_diff_node *d)
{
    conv_state *s = d->state;
    const oct_slot *bias = oct_diff_in(d, 2);
    OCT_TRY(oct_dnn_step_run(t->dnn, s->adjoint, (float *[]){d->in[0]->data, d->in[1]->data, d->out[0]->data}, t->scratch));
    if (bias)
        add_bias(s, bias->data, d->out[0]->data);
    return OCT_OK;
}

oct_status oct_diff_backward_conv_transpose(oct_tape *t, oct_diff_node *d)
{
    conv_state *s = d->state;
    float *dy = d->out[0]->grad;
    if (oct_diff_grad(d, 2))
        bias_gradient(s, dy, oct_diff_grad(d, 2), t->scratch);
    if (s->map)
        OCT_TRY(add_result(t, s->map, dy, d->in[1]->data, d->in[0], s->map_room));
    return s->weights ? add_result(t, s->weights, dy, d->in[0]->data, d->in[1], s->weights_room) : OCT_OK;
}
