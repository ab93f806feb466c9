/* A hand-made step for the tests of the generic steps: views with any layout on own memory, run on every ISA level and thread
 * count.
 *
 * The tests think in dense logical arrays (C order): exec_put scatters one into a view, exec_take gathers it back; the bytes
 * between the elements of a view are guarded. */
#ifndef OCT_TESTS_EXEC_CASE_H
#define OCT_TESTS_EXEC_CASE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "rt/exec.h"

enum { EXEC_GUARD = 0xA5, EXEC_MAX = 6 };

typedef struct exec_case {
    oct_plan plan;
    oct_plan_header header;
    oct_plan_step step;
    oct_plan_tensor tensors[EXEC_MAX];
    int32_t index[EXEC_MAX];
    oct_view view[EXEC_MAX]; /* inputs first, the output last */
    void *block[EXEC_MAX];
    size_t block_bytes[EXEC_MAX];
    int inputs;
    oct_rng rng;
    int64_t nan_count;
} exec_case;

static inline int64_t exec_count(const oct_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++)
        n *= v->dims[i];
    return n;
}

static inline int64_t exec_offset(const oct_view *v, int64_t i)
{
    int64_t at = 0;
    for (int d = v->rank - 1; d >= 0; d--) {
        at += i % v->dims[d] * v->strides[d];
        i /= v->dims[d];
    }
    return at * (int64_t)oct_dtype_size(v->dtype);
}

typedef enum exec_layout { EXEC_DENSE, EXEC_NHWC, EXEC_ODD } exec_layout;

/* Adds view number i. ODD: dims in random order of memory, gaps, some dims backwards, base not aligned to a cache line. */
static inline void exec_view(exec_case *e, int i, oct_dtype dtype, int rank, const int64_t *dims, exec_layout layout)
{
    oct_view *v = &e->view[i];
    int order[OCT_MAX_RANK] = {0};
    int64_t stride = layout == EXEC_ODD ? 1 + (int64_t)oct_rng_below(&e->rng, 3) : 1, first = layout == EXEC_ODD ? 5 : 0;
    v->dtype = dtype;
    v->rank = rank;
    for (int d = 0; d < rank; d++) {
        v->dims[d] = dims[d];
        order[d] = d;
    }
    if (layout == EXEC_ODD)
        for (int d = rank - 1; d > 0; d--) {
            const int j = (int)oct_rng_below(&e->rng, (uint64_t)d + 1), t = order[d];
            order[d] = order[j];
            order[j] = t;
        }
    if (layout == EXEC_NHWC && rank >= 3) {
        for (int d = 1; d + 1 < rank; d++)
            order[d] = d + 1;
        order[rank - 1] = 1;
    }
    for (int k = rank - 1; k >= 0; k--) {
        const int d = order[k];
        v->strides[d] = stride;
        if (layout == EXEC_ODD && oct_rng_below(&e->rng, 3) == 0) {
            v->strides[d] = -stride;
            first += stride * (dims[d] > 0 ? dims[d] - 1 : 0);
        }
        stride *= dims[d] > 0 ? dims[d] : 1;
        stride += layout == EXEC_ODD ? (int64_t)oct_rng_below(&e->rng, 4) : 0;
    }
    const size_t size = oct_dtype_size(dtype);
    e->block_bytes[i] = ((size_t)stride + 16) * size + 64;
    e->block[i] = aligned_alloc(64, (e->block_bytes[i] + 127) / 64 * 64);
    memset(e->block[i], EXEC_GUARD, e->block_bytes[i]);
    v->data = (char *)e->block[i] + first * (int64_t)size;
    e->index[i] = i;
    e->tensors[i].dtype = (uint8_t)dtype;
}

/* Inputs are views 0 .. inputs-1, the output is view `inputs`. */
static inline void exec_begin(exec_case *e, int inputs, uint64_t seed)
{
    memset(e, 0, sizeof *e);
    e->inputs = inputs;
    e->rng.seed = seed;
    e->plan.header = &e->header;
    e->plan.tensors = e->tensors;
    e->plan.index = e->index;
    e->step.in_count = (uint32_t)inputs;
    e->step.out_first = (uint32_t)inputs;
    e->step.out_count = 1;
}

static inline void exec_end(exec_case *e)
{
    for (int i = 0; i < EXEC_MAX; i++)
        free(e->block[i]);
}

static inline void exec_put(exec_case *e, int i, const void *dense)
{
    const size_t size = oct_dtype_size(e->view[i].dtype);
    for (int64_t k = 0; k < exec_count(&e->view[i]); k++)
        memcpy((char *)e->view[i].data + exec_offset(&e->view[i], k), (const char *)dense + k * (int64_t)size, size);
}

static inline void exec_take(exec_case *e, int i, void *dense)
{
    const size_t size = oct_dtype_size(e->view[i].dtype);
    for (int64_t k = 0; k < exec_count(&e->view[i]); k++)
        memcpy((char *)dense + k * (int64_t)size, (char *)e->view[i].data + exec_offset(&e->view[i], k), size);
}

/* No byte of the output's block beside its elements has changed. */
static inline void exec_check_guard(exec_case *e)
{
    const int o = e->inputs;
    const size_t size = oct_dtype_size(e->view[o].dtype);
    uint8_t *copy = malloc(e->block_bytes[o]);
    memcpy(copy, e->block[o], e->block_bytes[o]);
    for (int64_t k = 0; k < exec_count(&e->view[o]); k++)
        memset(copy + ((char *)e->view[o].data - (char *)e->block[o]) + exec_offset(&e->view[o], k), EXEC_GUARD, size);
    for (size_t k = 0; k < e->block_bytes[o]; k++)
        if (copy[k] != EXEC_GUARD)
            fail_msg("byte %zu outside the output was written", k);
    free(copy);
}

static inline void exec_run_once(exec_case *e, oct_exec_fn *fn, const void *params, oct_isa isa, int threads)
{
    oct_team *team = NULL;
    assert_int_equal(oct_team_create(threads, &team), OCT_OK);
    memset(e->block[e->inputs], EXEC_GUARD, e->block_bytes[e->inputs]);
    e->header.isa = (uint32_t)isa;
    oct_exec x = {.plan = &e->plan,
                  .step = &e->step,
                  .params = params,
                  .in_count = e->inputs,
                  .out_count = 1,
                  .in = e->view,
                  .out = &e->view[e->inputs],
                  .team = team,
                  .threads = threads};
    oct_team_begin(team);
    fn(&x);
    oct_team_end(team);
    e->nan_count = x.nan_count;
    oct_team_destroy(team);
    exec_check_guard(e);
}

/* The best level with 4 to 1 threads, then every other level: all must give the same bytes (levels: unless free_levels, for the
 * float matmul). */
static inline void exec_run(exec_case *e, oct_exec_fn *fn, const void *params, bool free_levels)
{
    const size_t bytes = e->block_bytes[e->inputs];
    void *first = malloc(bytes);
    for (int isa = (int)oct_cpu_detect(); isa >= 0; isa--) {
        if (!oct_isa_runs(oct_cpu_detect(), (oct_isa)isa))
            continue;
        for (int threads = isa == (int)oct_cpu_detect() ? 4 : 2, start = threads; threads >= 1; threads--) {
            exec_run_once(e, fn, params, (oct_isa)isa, threads);
            if (threads == start && (isa == (int)oct_cpu_detect() || free_levels))
                memcpy(first, e->block[e->inputs], bytes);
            else if (memcmp(first, e->block[e->inputs], bytes) != 0)
                fail_msg("level %d with %d threads gives other bytes", isa, threads);
        }
    }
    free(first);
}

static inline float exec_random(exec_case *e, float scale) { return (float)(oct_rng_unit(&e->rng) * 2.0 - 1.0) * scale; }

/* Random dense logical values for view i, put there; caller frees. */
static inline float *exec_fill_f32(exec_case *e, int i, float scale)
{
    const int64_t n = exec_count(&e->view[i]);
    float *x = malloc(sizeof(float) * (size_t)(n + 1));
    for (int64_t k = 0; k < n; k++)
        x[k] = exec_random(e, scale);
    exec_put(e, i, x);
    return x;
}

static inline uint8_t *exec_fill_u8(exec_case *e, int i)
{
    const int64_t n = exec_count(&e->view[i]);
    uint8_t *x = malloc((size_t)(n + 1));
    for (int64_t k = 0; k < n; k++)
        x[k] = (uint8_t)oct_rng_below(&e->rng, 256);
    exec_put(e, i, x);
    return x;
}

static inline void *exec_result(exec_case *e)
{
    void *y = malloc((size_t)(exec_count(&e->view[e->inputs]) + 1) * 8);
    exec_take(e, e->inputs, y);
    return y;
}

/* Index into a dense array of shape dims[rank] that output element i (shape out[out_rank]) reads by NumPy's broadcast rule. */
static inline int64_t exec_broadcast(int out_rank, const int64_t *out, int rank, const int64_t *dims, int64_t i)
{
    int64_t at = 0, scale = 1;
    for (int d = out_rank - 1, k = rank - 1; k >= 0; d--, k--) {
        const int64_t c = i % out[d];
        i /= out[d];
        at += dims[k] == 1 ? 0 : c * scale;
        scale *= dims[k];
    }
    return at;
}

#endif
