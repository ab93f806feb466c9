/* From the draft to the block: strings are collected, pointers become offsets, sections are laid out on cache lines and hashed.
 * The finished block goes through the same check as one from a file. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "kernels/kernel.h"

/* --- strings: each text once, offset 0 is "" --- */
typedef struct string_table {
    char *data;
    int64_t size, capacity;
    uint32_t *slots; /* offset + 1; 0 = free */
    int64_t slot_count, used;
} string_table;

static uint32_t *find_slot(const string_table *t, const char *s, size_t length)
{
    uint64_t mask = (uint64_t)t->slot_count - 1, at = oct_hash64(s, length, 0) & mask;
    while (t->slots[at] && strcmp(t->data + t->slots[at] - 1, s) != 0)
        at = (at + 1) & mask;
    return &t->slots[at];
}

static oct_status grow_slots(string_table *t)
{
    string_table larger = *t;
    larger.slot_count = t->slot_count ? t->slot_count * 2 : 256;
    OCT_TRY(oct_alloc(larger.slot_count * (int64_t)sizeof *t->slots, true, (void **)&larger.slots));
    for (int64_t i = 0; i < t->slot_count; i++)
        if (t->slots[i]) {
            const char *s = t->data + t->slots[i] - 1;
            *find_slot(&larger, s, strlen(s)) = t->slots[i];
        }
    oct_free(t->slots);
    *t = larger;
    return OCT_OK;
}

static oct_status intern(string_table *t, const char *s, uint32_t *at)
{
    size_t length = strlen(s);
    if (2 * (t->used + 1) > t->slot_count)
        OCT_TRY(grow_slots(t));
    uint32_t *slot = find_slot(t, s, length);
    if (!*slot) {
        if (t->size + (int64_t)length + 1 >= UINT32_MAX)
            return oct_fail(OCT_ERR_UNSUPPORTED, "a plan with more than 4 GiB of names");
        OCT_TRY(oct_grow((void **)&t->data, &t->capacity, t->size + (int64_t)length + 1, 1));
        memcpy(t->data + t->size, s, length + 1);
        *slot = (uint32_t)t->size + 1;
        t->size += (int64_t)length + 1;
        t->used++;
    }
    *at = *slot - 1;
    return OCT_OK;
}

/* --- the pieces that differ from the draft, each in one allocation of the builder's --- */
typedef struct pieces {
    string_table strings;
    oct_plan_tensor *tensors;
    oct_plan_step *steps;
    int32_t *index;
    int64_t index_count;
    uint8_t *params;
    int64_t params_size;
    oct_plan_port *ports[3];
    oct_plan_meta *meta;
} pieces;

static void pieces_free(pieces *p)
{
    oct_free(p->strings.slots);
    free(p->strings.data);
    oct_free(p->tensors);
    oct_free(p->steps);
    oct_free(p->index);
    oct_free(p->params);
    for (int i = 0; i < 3; i++)
        oct_free(p->ports[i]);
    oct_free(p->meta);
}

static oct_status collect_tensors(const oct_draft *d, pieces *p)
{
    OCT_TRY(oct_alloc(d->tensor_count * (int64_t)sizeof *p->tensors, true, (void **)&p->tensors));
    for (int64_t i = 0; i < d->tensor_count; i++) {
        p->tensors[i] = d->tensors[i];
        OCT_TRY(intern(&p->strings, d->tensor_names[i], &p->tensors[i].name));
    }
    return OCT_OK;
}

static oct_status collect_steps(const oct_draft *d, pieces *p)
{
    for (int64_t i = 0; i < d->step_count; i++) {
        p->index_count += d->steps[i].step.in_count + d->steps[i].step.out_count;
        p->params_size += oct_round_up(d->steps[i].step.params_size, 8);
    }
    OCT_TRY(oct_alloc(d->step_count * (int64_t)sizeof *p->steps, true, (void **)&p->steps));
    OCT_TRY(oct_alloc(p->index_count * (int64_t)sizeof *p->index, true, (void **)&p->index));
    OCT_TRY(oct_alloc(p->params_size, true, (void **)&p->params));
    int64_t at = 0, params_at = 0;
    for (int64_t i = 0; i < d->step_count; i++) {
        const oct_draft_step *from = &d->steps[i];
        oct_plan_step *to = &p->steps[i];
        *to = from->step;
        OCT_TRY(intern(&p->strings, from->name, &to->name));
        OCT_TRY(intern(&p->strings, from->op, &to->op));
        OCT_TRY(intern(&p->strings, from->sources, &to->sources));
        OCT_TRY(intern(&p->strings, from->tactic, &to->tactic));
        OCT_TRY(intern(&p->strings, from->reason, &to->reason));
        to->in_first = (uint32_t)at;
        memcpy(p->index + at, from->in, to->in_count * sizeof *p->index);
        at += to->in_count;
        to->out_first = (uint32_t)at;
        memcpy(p->index + at, from->out, to->out_count * sizeof *p->index);
        at += to->out_count;
        to->params = (uint64_t)params_at;
        memcpy(p->params + params_at, from->params, to->params_size);
        params_at += oct_round_up(to->params_size, 8);
    }
    return OCT_OK;
}

static oct_status collect_rest(const oct_draft *d, pieces *p)
{
    for (int k = 0; k < 3; k++) {
        OCT_TRY(oct_alloc(d->port_count[k] * (int64_t)sizeof *p->ports[k], true, (void **)&p->ports[k]));
        for (int64_t i = 0; i < d->port_count[k]; i++) {
            p->ports[k][i] = d->ports[k][i];
            OCT_TRY(intern(&p->strings, d->port_names[k][i], &p->ports[k][i].name));
        }
    }
    OCT_TRY(oct_alloc(d->meta_count / 2 * (int64_t)sizeof *p->meta, true, (void **)&p->meta));
    for (int64_t i = 0; i < d->meta_count; i += 2) {
        OCT_TRY(intern(&p->strings, d->meta[i], &p->meta[i / 2].key));
        OCT_TRY(intern(&p->strings, d->meta[i + 1], &p->meta[i / 2].value));
    }
    return OCT_OK;
}

static oct_status assemble(const oct_draft *d, const pieces *p, void **block, int64_t *size)
{
    const struct {
        const void *data;
        int64_t size;
    } from[OCT_SEC_COUNT] = {
        [OCT_SEC_TENSORS] = {p->tensors, d->tensor_count * (int64_t)sizeof *p->tensors},
        [OCT_SEC_INDEX] = {p->index, p->index_count * (int64_t)sizeof *p->index},
        [OCT_SEC_STEPS] = {p->steps, d->step_count * (int64_t)sizeof *p->steps},
        [OCT_SEC_PARAMS] = {p->params, p->params_size},
        [OCT_SEC_INPUTS] = {p->ports[0], d->port_count[0] * (int64_t)sizeof *p->ports[0]},
        [OCT_SEC_OUTPUTS] = {p->ports[1], d->port_count[1] * (int64_t)sizeof *p->ports[1]},
        [OCT_SEC_TAPS] = {p->ports[2], d->port_count[2] * (int64_t)sizeof *p->ports[2]},
        [OCT_SEC_META] = {p->meta, d->meta_count / 2 * (int64_t)sizeof *p->meta},
        [OCT_SEC_STRINGS] = {p->strings.data, p->strings.size},
        [OCT_SEC_CONST] = {d->constants, d->const_size},
    };
    oct_plan_header h = {.version = OCT_PLAN_VERSION, .isa = (uint32_t)d->isa, .kernels = oct_kernel_list_hash(), .arena_bytes = d->arena_bytes};
    memcpy(h.magic, OCT_PLAN_MAGIC, sizeof h.magic);
    int64_t total = oct_round_up((int64_t)sizeof h, OCT_ALIGN);
    for (int i = 0; i < OCT_SEC_COUNT; i++) {
        h.section[i].offset = (uint64_t)total;
        h.section[i].size = (uint64_t)from[i].size;
        h.section[i].hash = oct_hash64(from[i].data, (size_t)from[i].size, 0);
        OCT_TRY(oct_size_add(total, oct_round_up(from[i].size, OCT_ALIGN), &total));
    }
    OCT_TRY(oct_size_add(total, OCT_ALIGN, &total)); /* kernels may read a few bytes past a constant */
    h.total = (uint64_t)total;
    h.hash = oct_hash64(&h, sizeof h, 0);
    uint8_t *b = NULL;
    OCT_TRY(oct_alloc(total, true, (void **)&b));
    memcpy(b, &h, sizeof h);
    for (int i = 0; i < OCT_SEC_COUNT; i++)
        if (from[i].size)
            memcpy(b + h.section[i].offset, from[i].data, (size_t)from[i].size);
    *block = b;
    *size = total;
    return OCT_OK;
}

oct_status oct_draft_finish(const oct_draft *d, oct_plan **out)
{
    oct_status s = OCT_OK;
    pieces p = {0};
    uint32_t empty;
    void *block = NULL;
    int64_t size;
    OCT_TRY_DONE(intern(&p.strings, "", &empty));
    OCT_TRY_DONE(collect_tensors(d, &p));
    OCT_TRY_DONE(collect_steps(d, &p));
    OCT_TRY_DONE(collect_rest(d, &p));
    OCT_TRY_DONE(assemble(d, &p, &block, &size));
    OCT_TRY_DONE(oct_plan_from_block(block, size, "built plan", out));
    block = NULL;
done:
    oct_free(block);
    pieces_free(&p);
    return s;
}
