/* How tensors lie, and which are not there at all. Channels last: convolutions are faster so; what stands between them follows, and
 * whatever cannot keeps ONNX's order. */
#include "train/diff.h"

#include "train/walk.h"

static bool may_be_last(const oct_slot *s)
{
    const oct_value *v = s->value;
    return v->producer && !v->is_output && v->shape.rank >= 3;
}

/* `last` says at first which slots could be, then which are. */
static void exclude(oct_tape *t, bool *changed)
{
    for (int64_t i = 0; i < t->node_count; i++) {
        oct_diff_node *d = &t->nodes[i];
        const unsigned traits = d->op->traits;
        for (int k = 0; k < d->node->input_count; k++)
            if (d->in[k] && d->in[k]->last && !(traits & OCT_LAST_IN)) {
                d->in[k]->last = false;
                *changed = true;
            }
        for (int k = 0; k < d->node->output_count; k++)
            if (d->out[k] && d->out[k]->last && !(traits & OCT_LAST_OUT)) {
                d->out[k]->last = false;
                *changed = true;
            }
        if ((traits & OCT_FLAT) && d->in[0]->last != d->out[0]->last) {
            d->in[0]->last = d->out[0]->last = false;
            *changed = true;
        }
    }
}

/* In the order of the graph: an output is what its operator likes, or what an input is. */
static void settle(oct_tape *t)
{
    for (int64_t i = 0; i < t->node_count; i++) {
        oct_diff_node *d = &t->nodes[i];
        bool wanted = d->op->traits & OCT_LAST_LIKED;
        for (int k = 0; k < (d->op->traits & OCT_FLAT ? 1 : d->node->input_count); k++)
            wanted = wanted || (d->in[k] && d->in[k]->last);
        for (int k = 0; k < d->node->output_count; k++)
            if (d->out[k])
                d->out[k]->last = d->out[k]->last && wanted;
    }
}

void oct_diff_choose_layouts(oct_tape *t)
{
    bool changed = true;
    for (int64_t i = 0; i < t->slot_count; i++)
        t->slots[i].last = may_be_last(&t->slots[i]);
    while (changed) {
        changed = false;
        exclude(t, &changed);
    }
    settle(t);
    for (int64_t i = 0; i < t->slot_count; i++) {
        oct_slot *s = &t->slots[i];
        const oct_shape *shape = &s->value->shape;
        oct_walk_strides(shape, s->strides);
        if (!s->last)
            continue;
        int64_t step = shape->dim[1];
        for (int k = shape->rank - 1; k >= 2; k--) {
            s->strides[k] = step;
            step *= shape->dim[k];
        }
        s->strides[0] = step;
        s->strides[1] = 1;
    }
}

static bool same_form(const oct_slot *a, const oct_slot *b)
{
    return oct_shape_equal(&a->value->shape, &b->value->shape) && a->last == b->last;
}

static bool can_absorb(const oct_diff_node *d)
{
    const oct_shape *x = &d->node->inputs[0]->shape;
    if (!(d->op->traits & OCT_WITH_RELU) || !d->out[0] || d->out[0]->uses != 1 || d->out[0]->value->is_output)
        return false;
    if (d->node->op == OCT_OP_BATCH_NORM)
        return d->in[0]->last || oct_diff_product(x, 2, x->rank) == 1;
    return same_form(d->in[0], d->out[0]) && same_form(d->in[1], d->out[0]);
}

void oct_diff_absorb_relus(oct_tape *t)
{
    for (int64_t i = 0; i < t->node_count; i++)
        for (int64_t k = i + 1; can_absorb(&t->nodes[i]) && k < t->node_count; k++) {
            oct_diff_node *d = &t->nodes[i], *relu = &t->nodes[k];
            if (relu->node->inputs[0] != d->node->outputs[0])
                continue;
            if (relu->node->op == OCT_OP_RELU) {
                d->out[0]->absent = true;
                d->out[0]->needs_grad = false;
                d->out[0] = relu->out[0];
                d->relu = relu->absorbed = true;
            }
            break;
        }
}
