/* Operators that move values: Reshape and its kin, Transpose, Slice, Split, Concat, Pad, Expand.  Each is a list of copies from a
 * part of an input to a part of an output, along a strided walk; backward is the same list, adding the other way. */
#include "train/diff.h"
#include "train/walk.h"

#include <string.h>
#include "train/vector.h"

typedef struct copy {
    oct_walk w;         /* streams: x, y */
    int in, out;        /* which input and output */
    int64_t at_x, at_y; /* first element in each */
} copy;

typedef struct move_state {
    copy *copies;
    int64_t count;
    bool fill; /* Pad: what no copy reaches holds `value` */
    float value;
} move_state;

/* The same elements in the same order of indices; y is dense in that order. */
static void plan_flat(const oct_diff_node *d, copy *c)
{
    const oct_shape *x = &d->node->inputs[0]->shape;
    oct_walk_init(&c->w, x);
    oct_walk_strided(&c->w, 0, x, d->in[0]->strides);
    oct_walk_dense(&c->w, 1, x);
}

static void plan_transpose(const oct_diff_node *d, copy *c)
{
    const oct_node *n = d->node;
    const oct_shape *y = &n->outputs[0]->shape;
    int64_t perm[OCT_MAX_RANK];
    const int64_t *strides = d->in[0]->strides;
    const bool given = oct_node_ints(n, "perm", perm, OCT_MAX_RANK) > 0;
    oct_walk_init(&c->w, y);
    oct_walk_dense(&c->w, 1, y);
    for (int i = 0; i < y->rank; i++)
        c->w.step[0][i] = strides[given ? perm[i] : y->rank - 1 - i];
}

static void plan_expand(const oct_diff_node *d, copy *c)
{
    const oct_shape *y = &d->node->outputs[0]->shape;
    oct_walk_init(&c->w, y);
    oct_walk_strided(&c->w, 0, &d->node->inputs[0]->shape, d->in[0]->strides);
    oct_walk_dense(&c->w, 1, y);
}

/* First index of a slice, by ONNX's rule. */
static int64_t slice_start(int64_t start, int64_t step, int64_t dim)
{
    start += start < 0 ? dim : 0;
    return start < 0 ? 0 : oct_min64(start, step > 0 ? dim : dim - 1);
}

static oct_status plan_slice(const oct_diff_node *d, copy *c)
{
    const oct_node *n = d->node;
    const int64_t *strides = d->in[0]->strides;
    const oct_shape *x = &n->inputs[0]->shape, *y = &n->outputs[0]->shape;
    int64_t start[OCT_MAX_RANK], axes[OCT_MAX_RANK], by[OCT_MAX_RANK];
    const oct_value *axes_in = oct_node_in(n, 3), *steps_in = oct_node_in(n, 4);
    const int count = oct_value_ints(oct_node_in(n, 1), start, OCT_MAX_RANK);
    if (count < 0 || (axes_in && oct_value_ints(axes_in, axes, OCT_MAX_RANK) != count) ||
        (steps_in && oct_value_ints(steps_in, by, OCT_MAX_RANK) != count))
        return oct_diff_unsupported(n, "bounds that are computed");
    oct_walk_init(&c->w, y);
    oct_walk_strided(&c->w, 1, y, d->out[0]->strides);
    memcpy(c->w.step[0], strides, (size_t)x->rank * sizeof *strides);
    for (int i = 0; i < count; i++) {
        const int axis = (int)(!axes_in ? i : axes[i] < 0 ? axes[i] + x->rank : axes[i]);
        const int64_t step = steps_in ? by[i] : 1;
        c->at_x += slice_start(start[i], step, x->dim[axis]) * strides[axis];
        c->w.step[0][axis] = step * strides[axis];
    }
    return OCT_OK;
}

/* The part of `whole` that is `part` long, from index `first` of the axis: walked with whole's strides as stream s. Returns its
 * first element. */
static int64_t plan_part(oct_walk *w, int s, const oct_slot *whole, int axis, int64_t first)
{
    memcpy(w->step[s], whole->strides, (size_t)whole->value->shape.rank * sizeof *whole->strides);
    return first * whole->strides[axis];
}

/* Concat: one copy for each input. Split: one for each output. */
static void plan_parts(const oct_diff_node *d, bool split, copy *copies)
{
    const oct_node *n = d->node;
    const oct_slot *whole = split ? d->in[0] : d->out[0];
    const int64_t given = oct_node_int(n, "axis", 0);
    const int axis = (int)(given < 0 ? given + whole->value->shape.rank : given);
    int64_t first = 0;
    for (int i = 0; i < (split ? n->output_count : n->input_count); i++) {
        const oct_slot *part = split ? d->out[i] : d->in[i];
        copy *c = &copies[i];
        oct_walk_init(&c->w, &part->value->shape);
        oct_walk_strided(&c->w, split ? 1 : 0, &part->value->shape, part->strides);
        *(split ? &c->at_x : &c->at_y) = plan_part(&c->w, split ? 0 : 1, whole, axis, first);
        *(split ? &c->out : &c->in) = i;
        first += part->value->shape.dim[axis];
    }
}

static oct_status plan_pad(const oct_diff_node *d, copy *c, float *value)
{
    const oct_node *n = d->node;
    const int64_t *sx = d->in[0]->strides, *sy = d->out[0]->strides;
    const oct_shape *x = &n->inputs[0]->shape;
    const oct_value *fill = oct_node_in(n, 2), *axes_in = oct_node_in(n, 3);
    int64_t pads[2 * OCT_MAX_RANK], axes[OCT_MAX_RANK];
    const int count = oct_value_ints(n->inputs[1], pads, 2 * OCT_MAX_RANK),
              n_axes = axes_in ? oct_value_ints(axes_in, axes, OCT_MAX_RANK) : x->rank;
    if (strcmp(oct_node_string(n, "mode", "constant"), "constant") != 0)
        return oct_diff_unsupported(n, "a mode other than constant");
    if (count < 0 || n_axes < 0 || (fill && !oct_value_scalar(fill, value)))
        return oct_diff_unsupported(n, "pads or a value that are computed");
    oct_shape middle = *x; /* what remains of x: negative pads crop */
    for (int i = 0; i < n_axes; i++) {
        const int axis = (int)(!axes_in ? i : axes[i] < 0 ? axes[i] + x->rank : axes[i]);
        const int64_t begin = pads[i], end = pads[n_axes + i];
        middle.dim[axis] += oct_min64(begin, 0) + oct_min64(end, 0);
        c->at_x += oct_max64(-begin, 0) * sx[axis];
        c->at_y += oct_max64(begin, 0) * sy[axis];
    }
    oct_walk_init(&c->w, &middle);
    memcpy(c->w.step[0], sx, (size_t)x->rank * sizeof *sx);
    memcpy(c->w.step[1], sy, (size_t)x->rank * sizeof *sy);
    return OCT_OK;
}

oct_status oct_diff_prepare_move(oct_tape *t, oct_diff_node *d)
{
    move_state *s;
    const oct_node *n = d->node;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    s->count = n->op == OCT_OP_CONCAT ? n->input_count : n->op == OCT_OP_SPLIT ? n->output_count : 1;
    OCT_TRY(oct_diff_alloc(t, s->count, sizeof *s->copies, (void **)&s->copies));
    switch (n->op) {
    case OCT_OP_TRANSPOSE:
        plan_transpose(d, s->copies);
        break;
    case OCT_OP_EXPAND:
        plan_expand(d, s->copies);
        break;
    case OCT_OP_SLICE:
        OCT_TRY(plan_slice(d, s->copies));
        break;
    case OCT_OP_CONCAT:
    case OCT_OP_SPLIT:
        plan_parts(d, n->op == OCT_OP_SPLIT, s->copies);
        break;
    case OCT_OP_PAD:
        s->fill = true;
        OCT_TRY(plan_pad(d, s->copies, &s->value));
        break;
    default:
        plan_flat(d, s->copies);
    }
    for (int64_t i = 0; i < s->count; i++) {
        oct_walk_sort(&s->copies[i].w);
        oct_walk_merge(&s->copies[i].w);
    }
    return OCT_OK;
}

oct_status oct_diff_forward_move(oct_tape *t, oct_diff_node *d)
{
    const move_state *s = d->state;
    oct_run r;
    (void)t;
    for (int64_t i = 0; s->fill && i < d->out[0]->count; i++)
        d->out[0]->data[i] = s->value;
    for (int64_t k = 0; k < s->count; k++) {
        const copy *c = &s->copies[k];
        const float *x = d->in[c->in]->data + c->at_x;
        float *y = d->out[c->out]->data + c->at_y;
        const int64_t step_x = oct_run_step(&c->w, 0), step_y = oct_run_step(&c->w, 1), n = oct_run_length(&c->w);
        for (bool more = oct_run_first(&c->w, &r); more; more = oct_run_next(&c->w, &r)) {
            if (step_x == 1 && step_y == 1) {
                memcpy(y + r.at[1], x + r.at[0], (size_t)n * sizeof *y);
                continue;
            }
            for (int64_t i = 0; i < n; i++)
                y[r.at[1] + i * step_y] = x[r.at[0] + i * step_x];
        }
    }
    return OCT_OK;
}

oct_status oct_diff_backward_move(oct_tape *t, oct_diff_node *d)
{
    const move_state *s = d->state;
    oct_run r;
    (void)t;
    for (int64_t k = 0; k < s->count; k++) {
        const copy *c = &s->copies[k];
        if (!d->in[c->in]->grad)
            continue;
        float *dx = d->in[c->in]->grad + c->at_x;
        const float *dy = d->out[c->out]->grad + c->at_y;
        const int64_t step_x = oct_run_step(&c->w, 0), step_y = oct_run_step(&c->w, 1), n = oct_run_length(&c->w);
        for (bool more = oct_run_first(&c->w, &r); more; more = oct_run_next(&c->w, &r)) {
            if (step_x == 1 && step_y == 1) {
                oct_vector()->add(n, dx + r.at[0], dy + r.at[1], dx + r.at[0]);
                continue;
            }
            for (int64_t i = 0; i < n; i++)
                dx[r.at[0] + i * step_x] += dy[r.at[1] + i * step_y];
        }
    }
    return OCT_OK;
}
