/* The memory planner against an execution that only moves stamps: every step finds its inputs as they were written, and outputs and
 * taps hold at the end, for random graphs with views, elementwise steps, scratch, and tensors that nobody reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != OCT_OK)                                                          \
            fail_msg("%s: %s", #call, oct_last_error()->message);                      \
    } while (0)

enum { ROUNDS = 300, MAX_STEPS = 30, MAX_TENSORS = 200 };

static int64_t between(oct_rng *r, int64_t lo, int64_t hi) { return lo + (int64_t)oct_rng_below(r, (uint64_t)(hi - lo + 1)); }

static int32_t new_root(oct_draft *d, int64_t rows, int64_t cols)
{
    oct_plan_tensor t = {.place = OCT_PLACE_ARENA, .dtype = OCT_U8, .rank = 2, .root = -1, .port = -1, .dims = {rows, cols}, .strides = {cols, 1}, .bytes = rows * cols};
    int32_t id;
    OK(oct_draft_tensor(d, "", &t, &id));
    return id;
}

/* Rows of `of` from the second on, or the whole backwards. */
static int32_t new_view(oct_draft *d, int32_t of, bool backwards)
{
    oct_plan_tensor t = d->tensors[of];
    int32_t id;
    t.root = of;
    t.bytes = 0;
    if (backwards) {
        t.offset = (t.dims[0] - 1) * t.strides[0];
        t.strides[0] = -t.strides[0];
    } else {
        t.dims[0]--;
        t.offset = t.strides[0];
    }
    OK(oct_draft_tensor(d, "", &t, &id));
    return id;
}

static void random_draft(oct_rng *r, oct_draft *d, int *steps)
{
    int32_t ready[MAX_TENSORS];
    int count = 0;
    const int64_t cols = between(r, 1, 300);
    *steps = (int)between(r, 1, MAX_STEPS);
    for (int s = 0; s < *steps; s++) {
        const bool table = count > 0 && oct_rng_below(r, 3) == 0, add = count > 0 && oct_rng_below(r, 3) == 0;
        const oct_step_kind kind = count == 0 ? OCT_STEP_FILL : table ? OCT_STEP_TABLE : add ? OCT_STEP_QADD : OCT_STEP_COPY;
        int32_t in[2] = {0};
        const int n_in = kind == OCT_STEP_FILL ? 0 : add && !table ? 2 : 1;
        for (int i = 0; i < n_in; i++)
            in[i] = ready[oct_rng_below(r, 3) ? count - 1 : (int)oct_rng_below(r, (uint64_t)count)];
        /* Elementwise steps keep the shape of input 0, so that they may run in place. */
        const int64_t rows = n_in && kind != OCT_STEP_COPY ? d->tensors[in[0]].dims[0] : between(r, 2, 40);
        int32_t out = new_root(d, rows, cols);
        union {
            oct_p_none none;
            oct_p_fill fill;
            oct_p_table table;
            oct_p_qbinary qbinary;
        } params;
        oct_draft_step *step;
        memset(&params, 0, sizeof params);
        OK(oct_draft_step_add(d, kind, OCT_PREC_INT8, "", "", "", "", "", n_in, in, 1, &out, &params, oct_step_params_size(kind), &step));
        if (oct_rng_below(r, 5) == 0)
            step->step.scratch_bytes = between(r, 1, 5000);
        ready[count++] = out;
        if (rows > 2 && oct_rng_below(r, 3) == 0)
            ready[count++] = new_view(d, out, oct_rng_below(r, 2));
        if (oct_rng_below(r, 8) == 0)
            new_root(d, between(r, 1, 50), cols); /* never touched */
        if (oct_rng_below(r, 8) == 0)
            OK(oct_draft_port(d, oct_rng_below(r, 2) ? OCT_PORT_OUTPUT : OCT_PORT_TAP, "p", ready[count - 1], OCT_U8, 2, d->tensors[ready[count - 1]].dims));
    }
}

static uint8_t stamp(const oct_draft *d, int32_t tensor, int64_t row, int64_t col)
{
    return (uint8_t)(oct_rng_at((uint64_t)d->tensors[tensor].root + 1, (uint64_t)(row * 1000 + col)) & 255);
}

/* Write or verify every element of a tensor; stamps depend on the place within the root. */
static void walk(const oct_draft *d, int32_t tensor, uint8_t *arena, bool write, int step, uint64_t round)
{
    const oct_plan_tensor *t = &d->tensors[tensor], *root = &d->tensors[t->root];
    for (int64_t i = 0; i < t->dims[0]; i++)
        for (int64_t k = 0; k < t->dims[1]; k++) {
            int64_t at = t->offset + i * t->strides[0] + k * t->strides[1], within = at - root->offset;
            assert_in_range(at, 0, d->arena_bytes - 1);
            uint8_t e = stamp(d, tensor, within / root->dims[1], within % root->dims[1]);
            if (write)
                arena[at] = e;
            else if (arena[at] != e)
                fail_msg("round %llu: step %d finds tensor %d overwritten", (unsigned long long)round, step, tensor);
        }
}

static void memory_planner__random_graphs__nothing_is_overwritten_while_it_lives(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        oct_rng r = {7000 + round, 0};
        oct_draft *d;
        int steps;
        OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
        random_draft(&r, d, &steps);
        OK(oct_build_memory(d));
        uint8_t *arena = calloc((size_t)d->arena_bytes + 1, 1);
        for (int s = 0; s < steps; s++) {
            const oct_draft_step *step = &d->steps[s];
            if (step->step.scratch_bytes) {
                assert_in_range(step->step.scratch, 0, d->arena_bytes - step->step.scratch_bytes);
                memset(arena + step->step.scratch, s, (size_t)step->step.scratch_bytes);
            }
            for (uint32_t i = 0; i < step->step.in_count; i++)
                walk(d, step->in[i], arena, false, s, round);
            walk(d, step->out[0], arena, true, s, round);
            /* An output that shares memory with one input must not have hurt what the other input reads in another order. */
            for (uint32_t i = 0; i < step->step.in_count; i++) {
                const oct_plan_tensor *in = &d->tensors[step->in[i]], *out = &d->tensors[step->out[0]];
                const oct_plan_tensor *in_root = &d->tensors[in->root];
                bool overlap = in_root->offset < out->offset + out->bytes && out->offset < in_root->offset + in_root->bytes;
                bool same = in->offset == out->offset && in->strides[0] == out->strides[0] && in->dims[0] == out->dims[0];
                if (overlap && !same)
                    fail_msg("round %llu: step %d writes over input %u while reading it", (unsigned long long)round, s, i);
            }
        }
        for (int which = OCT_PORT_OUTPUT; which <= OCT_PORT_TAP; which++)
            for (int64_t i = 0; i < d->port_count[which]; i++)
                walk(d, d->ports[which][i].tensor, arena, false, steps, round);
        free(arena);
        oct_draft_destroy(d);
    }
}

static void memory_planner__chain_of_tables__one_buffer(void **state)
{
    (void)state;
    oct_draft *d;
    OK(oct_draft_create(OCT_ISA_PORTABLE, &d));
    int32_t at = new_root(d, 10, 100);
    OK(oct_draft_step_add(d, OCT_STEP_FILL, OCT_PREC_INT8, "", "", "", "", "", 0, NULL, 1, &at, &(oct_p_fill){.size = 1}, sizeof(oct_p_fill), NULL));
    for (int i = 0; i < 5; i++) {
        int32_t out = new_root(d, 10, 100);
        OK(oct_draft_step_add(d, OCT_STEP_TABLE, OCT_PREC_INT8, "", "", "", "", "", 1, &at, 1, &out, &(oct_p_table){0}, sizeof(oct_p_table), NULL));
        at = out;
    }
    OK(oct_build_memory(d));
    assert_in_range(d->arena_bytes, 1000, 1000 + 2 * OCT_ALIGN);
    oct_draft_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_planner__random_graphs__nothing_is_overwritten_while_it_lives),
        cmocka_unit_test(memory_planner__chain_of_tables__one_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
