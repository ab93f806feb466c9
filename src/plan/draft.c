/* The draft: a plan that grows while lowering emits tensors, constants and steps.  Pointers here, offsets in the block that
 * finish.c makes of it. Nothing is checked here; the check of the finished block (check.c) sees all of it. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

static const struct kind_row {
    const char *text;
    size_t params;
} kinds[OCT_STEP_COUNT] = {
    [OCT_STEP_NONE] = {"none", 0},
#define OCT_STEP_DEF(id, text, stem, params) [OCT_STEP_##id] = {text, sizeof(params)},
#include "plan/steps.inc"
#undef OCT_STEP_DEF
};

size_t oct_step_params_size(oct_step_kind kind) { return (unsigned)kind < OCT_STEP_COUNT ? kinds[kind].params : 0; }
const char *oct_step_kind_name(oct_step_kind kind) { return (unsigned)kind < OCT_STEP_COUNT ? kinds[kind].text : "none"; }

const char *oct_precision_name(oct_precision p)
{
    switch (p) {
    case OCT_PREC_INT8: return "int8";
    case OCT_PREC_FLOAT: return "float";
    case OCT_PREC_INTEGER: return "integer";
    case OCT_PREC_CONVERT: return "convert";
    case OCT_PREC_NONE: break;
    }
    return "none";
}

oct_status oct_draft_create(oct_isa isa, oct_draft **out)
{
    oct_draft *d = calloc(1, sizeof *d);
    if (!d)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a plan draft");
    oct_status s = oct_arena_create(&d->arena);
    if (s != OCT_OK) {
        free(d);
        return s;
    }
    d->isa = isa;
    *out = d;
    return OCT_OK;
}

void oct_draft_destroy(oct_draft *d)
{
    if (!d)
        return;
    oct_arena_destroy(d->arena);
    free(d->tensors);
    free(d->tensor_names);
    free(d->steps);
    free(d->constants);
    for (int i = 0; i < 3; i++) {
        free(d->ports[i]);
        free(d->port_names[i]);
    }
    free(d->meta);
    free(d);
}

oct_status oct_draft_tensor(oct_draft *d, const char *name, const oct_plan_tensor *t, int32_t *id)
{
    char *kept = NULL;
    int64_t names = d->tensor_capacity;
    if (d->tensor_count >= INT32_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a plan of more than 2^31 tensors");
    OCT_TRY(oct_arena_strdup(d->arena, name, &kept));
    OCT_TRY(oct_grow((void **)&d->tensor_names, &names, d->tensor_count + 1, sizeof *d->tensor_names));
    OCT_TRY(oct_grow((void **)&d->tensors, &d->tensor_capacity, d->tensor_count + 1, sizeof *d->tensors));
    d->tensor_names[d->tensor_count] = kept;
    d->tensors[d->tensor_count] = *t;
    if (t->root < 0)
        d->tensors[d->tensor_count].root = (int32_t)d->tensor_count;
    *id = (int32_t)d->tensor_count++;
    return OCT_OK;
}

oct_status oct_draft_const_reserve(oct_draft *d, int64_t size, int64_t *at, uint8_t **data)
{
    int64_t start = oct_round_up(d->const_size, OCT_ALIGN), end;
    OCT_TRY(oct_size_add(start, size, &end));
    OCT_TRY(oct_grow((void **)&d->constants, &d->const_capacity, oct_max64(end, 1), 1));
    memset(d->constants + d->const_size, 0, (size_t)(end - d->const_size));
    d->const_size = end;
    *at = start;
    *data = d->constants + start;
    return OCT_OK;
}

oct_status oct_draft_const(oct_draft *d, const void *data, int64_t size, int64_t *at)
{
    uint8_t *to = NULL;
    OCT_TRY(oct_draft_const_reserve(d, size, at, &to));
    if (size)
        memcpy(to, data, (size_t)size);
    return OCT_OK;
}

oct_status oct_draft_step_add(oct_draft *d, oct_step_kind kind, oct_precision precision, const char *name, const char *op, const char *sources,
                              const char *tactic, const char *reason, int n_in, const int32_t *in, int n_out, const int32_t *out,
                              const void *params, size_t params_size, oct_draft_step **step)
{
    oct_draft_step s = {.name = name, .op = op, .sources = sources, .tactic = tactic, .reason = reason};
    if (params_size != oct_step_params_size(kind))
        return oct_fail(OCT_ERR_INTERNAL, "step '%s': %zu bytes of parameters for kind '%s'", name, params_size, oct_step_kind_name(kind));
    OCT_TRY(oct_arena_memdup(d->arena, in, n_in * (int64_t)sizeof *in, (void **)&s.in));
    OCT_TRY(oct_arena_memdup(d->arena, out, n_out * (int64_t)sizeof *out, (void **)&s.out));
    OCT_TRY(oct_arena_memdup(d->arena, params, (int64_t)params_size, &s.params));
    s.step.kind = (uint16_t)kind;
    s.step.precision = (uint16_t)precision;
    s.step.in_count = (uint32_t)n_in;
    s.step.out_count = (uint32_t)n_out;
    s.step.params_size = (uint32_t)params_size;
    s.step.scratch = -1;
    OCT_TRY(OCT_PUSH(d->steps, d->step_count, d->step_capacity, s));
    if (step)
        *step = &d->steps[d->step_count - 1];
    return OCT_OK;
}

oct_status oct_draft_port(oct_draft *d, int which, const char *name, int32_t tensor, oct_dtype dtype, int rank, const int64_t *dims)
{
    oct_plan_port p = {.tensor = tensor, .dtype = (uint32_t)dtype, .rank = (uint32_t)rank};
    char *kept = NULL;
    int64_t names = d->port_capacity[which], at = d->port_count[which];
    if (rank)
        memcpy(p.dims, dims, (size_t)rank * sizeof *dims);
    OCT_TRY(oct_arena_strdup(d->arena, name, &kept));
    OCT_TRY(oct_grow((void **)&d->port_names[which], &names, at + 1, sizeof *d->port_names[which]));
    OCT_TRY(oct_grow((void **)&d->ports[which], &d->port_capacity[which], at + 1, sizeof p));
    d->port_names[which][at] = kept;
    d->ports[which][at] = p;
    d->port_count[which]++;
    return OCT_OK;
}

oct_status oct_draft_meta(oct_draft *d, const char *key, const char *value)
{
    char *k = NULL, *v = NULL;
    OCT_TRY(oct_arena_strdup(d->arena, key, &k));
    OCT_TRY(oct_arena_strdup(d->arena, value, &v));
    OCT_TRY(oct_grow((void **)&d->meta, &d->meta_capacity, d->meta_count + 2, sizeof *d->meta));
    d->meta[d->meta_count++] = k;
    d->meta[d->meta_count++] = v;
    return OCT_OK;
}
