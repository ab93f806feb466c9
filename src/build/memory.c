/* The memory planner: lifetimes over steps -> offsets in one arena (DESIGN 5.5).
 *
 * A buffer is what a root tensor, or a step's scratch, occupies from the step that first writes it to the last that reads it. An
 * elementwise step may write where its input lies when nobody reads that input later. Buffers are placed largest first, each at
 * the lowest offset that is free for its whole life. */
#include "build/build.h"

#include <stdlib.h>
#include <string.h>

typedef struct buffer {
    int64_t bytes, offset;
    int64_t first, last; /* steps; first > last = never used */
    int64_t into;        /* index of the buffer that it shares, itself when none */
} buffer;

typedef struct planner {
    oct_draft *d;
    buffer *b;           /* tensor_count roots (views unused), then step_count scratches */
    int64_t *order;      /* by size */
    int64_t *placed;     /* indices placed so far, by offset */
    int64_t count, placed_count;
} planner;

static int64_t leader(const planner *p, int64_t i)
{
    while (p->b[i].into != i)
        i = p->b[i].into;
    return i;
}

static void touch(planner *p, int32_t tensor, int64_t step)
{
    buffer *b = &p->b[p->d->tensors[tensor].root];
    b->first = oct_min64(b->first, step);
    b->last = oct_max64(b->last, step);
}

static void find_lifetimes(planner *p)
{
    oct_draft *d = p->d;
    for (int64_t i = 0; i < p->count; i++)
        p->b[i] = (buffer){.first = INT64_MAX, .last = -1, .into = i};
    for (int64_t i = 0; i < d->tensor_count; i++)
        if (d->tensors[i].place == OCT_PLACE_ARENA && d->tensors[i].root == i)
            p->b[i].bytes = oct_round_up(d->tensors[i].bytes + OCT_ALIGN, OCT_ALIGN); /* slack: kernels read past a run */
    for (int64_t s = 0; s < d->step_count; s++) {
        const oct_draft_step *step = &d->steps[s];
        for (uint32_t k = 0; k < step->step.in_count; k++)
            touch(p, step->in[k], s);
        for (uint32_t k = 0; k < step->step.out_count; k++)
            touch(p, step->out[k], s);
        buffer *scratch = &p->b[d->tensor_count + s];
        if (step->step.scratch_bytes > 0)
            *scratch = (buffer){.bytes = oct_round_up(step->step.scratch_bytes + OCT_ALIGN, OCT_ALIGN), .first = s, .last = s, .into = d->tensor_count + s};
    }
    for (int which = OCT_PORT_OUTPUT; which <= OCT_PORT_TAP; which++)
        for (int64_t i = 0; i < d->port_count[which]; i++)
            touch(p, d->ports[which][i].tensor, d->step_count);
}

static bool is_elementwise(uint16_t kind)
{
    return kind == OCT_STEP_TABLE || kind == OCT_STEP_UNARY || kind == OCT_STEP_QADD || kind == OCT_STEP_QMUL || kind == OCT_STEP_BINARY;
}

/* Same element at the same address: the step reads each element before it writes it. */
static bool same_walk(const oct_plan_tensor *a, const oct_plan_tensor *b)
{
    return a->place == OCT_PLACE_ARENA && b->place == OCT_PLACE_ARENA && oct_dtype_size(a->dtype) == oct_dtype_size(b->dtype) && a->rank == b->rank &&
           memcmp(a->dims, b->dims, sizeof *a->dims * a->rank) == 0 && memcmp(a->strides, b->strides, sizeof *a->strides * a->rank) == 0;
}

/* Does another input of the step read the buffer of input k in another order, a transposed view for instance? */
static bool read_otherwise(const planner *p, const oct_draft_step *step, uint32_t k)
{
    const oct_plan_tensor *tensors = p->d->tensors, *in = &tensors[step->in[k]];
    for (uint32_t i = 0; i < step->step.in_count; i++) {
        const oct_plan_tensor *other = &tensors[step->in[i]];
        if (other->place == OCT_PLACE_ARENA && leader(p, other->root) == leader(p, in->root) && (other->offset != in->offset || !same_walk(other, in)))
            return true;
    }
    return false;
}

/* Let out share in's buffer when in dies at this step and is wholly replaced. */
static void share_elementwise(planner *p)
{
    oct_draft *d = p->d;
    for (int64_t s = 0; s < d->step_count; s++) {
        const oct_draft_step *step = &d->steps[s];
        if (!is_elementwise(step->step.kind))
            continue;
        int32_t out = step->out[0];
        for (uint32_t k = 0; k < step->step.in_count; k++) {
            int32_t in = step->in[k];
            const oct_plan_tensor *ti = &d->tensors[in], *to = &d->tensors[out];
            int64_t bi = leader(p, ti->root), bo = to->root;
            if (ti->root != in || to->root != out || !same_walk(ti, to) || p->b[bi].last != s || p->b[bo].first != s || p->b[bo].into != bo || bi == bo ||
                read_otherwise(p, step, k))
                continue;
            p->b[bo].into = bi;
            p->b[bi].last = oct_max64(p->b[bi].last, p->b[bo].last);
            p->b[bi].bytes = oct_max64(p->b[bi].bytes, p->b[bo].bytes);
            break;
        }
    }
}

static int by_size(const void *x, const void *y, void *buffers)
{
    const buffer *all = buffers;
    int64_t i = *(const int64_t *)x, k = *(const int64_t *)y;
    if (all[i].bytes != all[k].bytes)
        return all[i].bytes < all[k].bytes ? 1 : -1;
    return i < k ? -1 : i > k;
}

/* Lowest offset at which b meets no placed buffer that lives at the same time. placed is in order of offset. */
static int64_t find_place(const planner *p, const buffer *b)
{
    int64_t at = 0;
    for (int64_t i = 0; i < p->placed_count; i++) {
        const buffer *o = &p->b[p->placed[i]];
        if (o->first > b->last || b->first > o->last)
            continue;
        if (at + b->bytes <= o->offset)
            break;
        at = oct_max64(at, o->offset + o->bytes);
    }
    return at;
}

static void place_all(planner *p)
{
    p->d->arena_bytes = 0;
    for (int64_t i = 0; i < p->count; i++) {
        buffer *b = &p->b[p->order[i]];
        if (b->into != p->order[i] || b->bytes == 0)
            continue;
        if (b->first > b->last) { /* nobody touches it: it only has to lie inside */
            p->d->arena_bytes = oct_max64(p->d->arena_bytes, b->bytes);
            continue;
        }
        b->offset = find_place(p, b);
        p->d->arena_bytes = oct_max64(p->d->arena_bytes, b->offset + b->bytes);
        int64_t k = p->placed_count++;
        while (k > 0 && p->b[p->placed[k - 1]].offset > b->offset) {
            p->placed[k] = p->placed[k - 1];
            k--;
        }
        p->placed[k] = p->order[i];
    }
}

static void write_back(planner *p)
{
    oct_draft *d = p->d;
    for (int64_t i = 0; i < d->tensor_count; i++)
        if (d->tensors[i].place == OCT_PLACE_ARENA && d->tensors[i].root == i)
            d->tensors[i].offset = p->b[leader(p, i)].offset;
    for (int64_t i = 0; i < d->tensor_count; i++) /* views hold offsets from their root so far */
        if (d->tensors[i].root != i)
            d->tensors[i].offset += d->tensors[d->tensors[i].root].offset;
    for (int64_t s = 0; s < d->step_count; s++)
        d->steps[s].step.scratch = d->steps[s].step.scratch_bytes > 0 ? p->b[d->tensor_count + s].offset : -1;
}

oct_status oct_build_memory(oct_draft *d)
{
    oct_status s = OCT_OK;
    planner p = {.d = d, .count = d->tensor_count + d->step_count};
    void *b = NULL, *order = NULL, *placed = NULL;
    OCT_TRY_DONE(oct_alloc(p.count * (int64_t)sizeof(buffer), true, &b));
    OCT_TRY_DONE(oct_alloc(p.count * (int64_t)sizeof(int64_t), true, &order));
    OCT_TRY_DONE(oct_alloc(p.count * (int64_t)sizeof(int64_t), true, &placed));
    p.b = b;
    p.order = order;
    p.placed = placed;
    find_lifetimes(&p);
    share_elementwise(&p);
    for (int64_t i = 0; i < p.count; i++)
        p.order[i] = i;
    qsort_r(p.order, (size_t)p.count, sizeof *p.order, by_size, p.b);
    place_all(&p);
    write_back(&p);
done:
    oct_free(b);
    oct_free(order);
    oct_free(placed);
    return s;
}
