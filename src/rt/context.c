/* The context: what one thread needs to run a plan.  Created once (memory, team, resolved views and kernels); run walks the steps and
 * allocates nothing. It decides nothing: steps were checked when the plan was opened. */
#include "rt/context.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "kernels/nd/nd.h"
#include "num/num.h"
#include "plan/tactic.h"

enum { HUGE_PAGE = 1 << 21 };

static oct_exec_fn *const exec_of[OCT_STEP_COUNT] = {
#define OCT_STEP_DEF(id, text, stem, params) [OCT_STEP_##id] = oct_exec_##stem,
#include "plan/steps.inc"
#undef OCT_STEP_DEF
};

/* Data of a tensor without input memory; inputs get theirs in set_input. */
static void *memory_of(const oct_context *c, const oct_plan_tensor *t)
{
    switch (t->place) {
    case OCT_PLACE_ARENA: return c->arena + t->offset;
    case OCT_PLACE_CONST: return (uint8_t *)(uintptr_t)c->active->constants + t->offset;
    default: return NULL;
    }
}

static oct_view view_of(const oct_context *c, const oct_plan_tensor *t)
{
    oct_view v = {.data = memory_of(c, t), .dtype = (oct_dtype)t->dtype, .rank = t->rank};
    memcpy(v.dims, t->dims, sizeof v.dims);
    memcpy(v.strides, t->strides, sizeof v.strides);
    return v;
}

static oct_status resolve_steps(oct_context *c, int threads)
{
    const oct_plan *p = c->active;
    oct_view *next = c->views;
    for (int32_t i = 0; i < p->step_count; i++) {
        const oct_plan_step *s = &p->steps[i];
        oct_exec *x = &c->execs[i];
        *x = (oct_exec){.plan = p,
                        .step = s,
                        .params = p->params + s->params,
                        .in_count = (int32_t)s->in_count,
                        .out_count = (int32_t)s->out_count,
                        .team = c->team,
                        .threads = threads,
                        .scratch = s->scratch_bytes ? c->arena + s->scratch : NULL,
                        .worker_scratch = c->workers};
        OCT_TRY(oct_step_kernel(p, s, &x->kernel));
        x->in = next;
        for (uint32_t k = 0; k < s->in_count; k++)
            *next++ = view_of(c, &p->tensors[p->index[s->in_first + k]]);
        x->out = next;
        for (uint32_t k = 0; k < s->out_count; k++)
            *next++ = view_of(c, &p->tensors[p->index[s->out_first + k]]);
    }
    return OCT_OK;
}

static void advise_huge(void *memory, int64_t bytes)
{
    uintptr_t first = oct_round_up((int64_t)(uintptr_t)memory, HUGE_PAGE), end = ((uintptr_t)memory + (uintptr_t)bytes) & ~(uintptr_t)(HUGE_PAGE - 1);
    if (end > first)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE); /* advice: without effect where it is not known */
}

/* A block of at least `bytes` zeros at the front: the one that c has when it is large enough. */
static oct_status reserve(uint8_t *have, int64_t have_bytes, int64_t bytes, uint8_t **out)
{
    if (have && have_bytes >= bytes) {
        *out = have;
        return OCT_OK;
    }
    OCT_TRY(oct_alloc(bytes, false, (void **)out));
    advise_huge(*out, bytes);
    memset(*out, 0, (size_t)bytes + OCT_ALIGN);
    return OCT_OK;
}

/* Memory for c->active; `old` lends what is large enough. */
static oct_status allocate(oct_context *c, const oct_context *old, int threads)
{
    const oct_plan *p = c->active;
    int64_t views = 0, worker = 0;
    for (int32_t i = 0; i < p->step_count; i++) {
        views += (int64_t)p->steps[i].in_count + p->steps[i].out_count;
        worker = oct_max64(worker, p->steps[i].worker_bytes);
    }
    OCT_TRY(oct_size_mul(worker, threads, &c->worker_bytes));
    c->worker_bytes = oct_max64(c->worker_bytes, old->worker_bytes);
    c->arena_bytes = oct_max64(p->header->arena_bytes, old->arena_bytes);
    OCT_TRY(reserve(old->arena, old->arena_bytes, c->arena_bytes, &c->arena));
    OCT_TRY(reserve(old->workers, old->worker_bytes, c->worker_bytes, &c->workers));
    OCT_TRY(oct_alloc(p->step_count * (int64_t)sizeof *c->execs, true, (void **)&c->execs));
    OCT_TRY(oct_alloc(views * (int64_t)sizeof *c->views, true, (void **)&c->views));
    OCT_TRY(oct_alloc(p->input_count * (int64_t)sizeof *c->bound, true, (void **)&c->bound));
    return oct_alloc(p->step_count * (int64_t)sizeof *c->seconds, true, (void **)&c->seconds);
}

/* What c has of its own, `but` not. */
static void release(oct_context *c, const oct_context *but)
{
    if (c->arena != but->arena)
        oct_free(c->arena);
    if (c->workers != but->workers)
        oct_free(c->workers);
    oct_free(c->execs);
    oct_free(c->views);
    oct_free(c->bound);
    oct_free(c->seconds);
}

oct_status oct_context_activate(oct_context *c, const oct_plan *plan)
{
    oct_status s = OCT_OK;
    oct_context next = {.plan = c->plan, .active = plan, .team = c->team, .dims = c->dims, .settled = true, .profile = c->profile,
                        .nan_before = oct_context_nan_count(c)};
    memcpy(next.kept, c->kept, sizeof next.kept);
    OCT_TRY_DONE(allocate(&next, c, oct_team_size(c->team)));
    OCT_TRY_DONE(resolve_steps(&next, oct_team_size(c->team)));
    release(c, &next);
    *c = next;
    return OCT_OK;
done:
    release(&next, c);
    return s;
}

oct_status oct_context_create(const oct_plan *plan, int threads, oct_context **out)
{
    oct_status s = OCT_OK;
    OCT_TRY(oct_plan_runs_here(plan));
    oct_context *c = calloc(1, sizeof *c);
    if (!c)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a context");
    c->plan = plan;
    OCT_TRY_DONE(oct_team_create(threads, &c->team));
    OCT_TRY_DONE(oct_alloc(plan->input_count * (int64_t)sizeof *c->dims, true, (void **)&c->dims));
    for (int32_t i = 0; i < plan->input_count; i++)
        memcpy(c->dims[i], plan->inputs[i].dims, sizeof c->dims[i]);
    OCT_TRY_DONE(oct_context_activate(c, plan));
    *out = c;
done:
    if (s != OCT_OK)
        oct_context_destroy(c);
    return s;
}

void oct_context_destroy(oct_context *c)
{
    static const oct_context none;
    if (!c)
        return;
    oct_team_destroy(c->team);
    release(c, &none);
    for (int i = 0; i < OCT_CONTEXT_KEPT; i++)
        oct_plan_destroy(c->kept[i]);
    oct_free(c->dims);
    free(c);
}

/* --- inputs and outputs --- */
static const oct_plan_port *find_port(const oct_plan *p, const oct_plan_port *ports, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (strcmp(oct_plan_string(p, ports[i].name), name) == 0)
            return &ports[i];
    return NULL;
}

static oct_status bad_input(const char *name, const oct_plan_port *port, const oct_tensor *t)
{
    oct_text text = {0};
    char *message = NULL;
    oct_text_printf(&text, "input '%s' is %s [", name, oct_dtype_name(t->dtype));
    for (int32_t i = 0; i < t->rank && i < OCT_MAX_RANK; i++)
        oct_text_printf(&text, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
    oct_text_printf(&text, "], the plan wants %s [", oct_dtype_name((oct_dtype)port->dtype));
    for (uint32_t i = 0; i < port->rank; i++)
        oct_text_printf(&text, "%s%lld", i ? ", " : "", (long long)port->dims[i]);
    oct_text_printf(&text, "]");
    OCT_TRY(oct_text_finish(&text, &message));
    oct_status s = oct_fail_node(oct_fail(OCT_ERR_CONTENT, "%s", message), name);
    free(message);
    return s;
}

oct_status oct_context_set_input(oct_context *c, const char *name, const oct_tensor *tensor)
{
    const oct_plan *p = c->active;
    const oct_plan_port *port = find_port(p, p->inputs, p->input_count, name);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no input '%s'", name), name);
    if (tensor->dtype != (oct_dtype)port->dtype || tensor->rank != (int32_t)port->rank ||
        memcmp(tensor->dims, port->dims, sizeof *port->dims * port->rank) != 0)
        return bad_input(name, port, tensor);
    if (!tensor->data)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s' has no data", name), name);
    int32_t index = (int32_t)(port - p->inputs);
    c->bound[index] = tensor->data;
    for (int32_t i = 0; i < p->step_count; i++)
        for (uint32_t k = 0; k < p->steps[i].in_count; k++) {
            const oct_plan_tensor *t = &p->tensors[p->index[p->steps[i].in_first + k]];
            if (t->place == OCT_PLACE_INPUT && t->port == index)
                c->execs[i].in[k].data = (uint8_t *)tensor->data + t->offset;
        }
    return OCT_OK;
}

oct_status oct_context_get_output(const oct_context *c, const char *name, oct_tensor *out)
{
    const oct_plan *p = c->active;
    const oct_plan_port *port = find_port(p, p->outputs, p->output_count, name);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan has no output '%s'", name), name);
    oct_tensor t = {.data = memory_of(c, &p->tensors[port->tensor]), .dtype = (oct_dtype)port->dtype, .rank = (int32_t)port->rank};
    memcpy(t.dims, port->dims, sizeof *port->dims * port->rank);
    *out = t;
    return OCT_OK;
}

/* --- run --- */
static void run_profiled(oct_context *c)
{
    double at = oct_now();
    for (int32_t i = 0; i < c->active->step_count; i++) {
        exec_of[c->active->steps[i].kind](&c->execs[i]);
        double end = oct_now();
        c->seconds[i] += end - at;
        at = end;
    }
    c->runs++;
}

oct_status oct_context_run(oct_context *c)
{
    const oct_plan *p = c->active;
    if (!c->settled)
        return oct_context_unsettled(c);
    for (int32_t i = 0; i < p->input_count; i++)
        if (!c->bound[i])
            return oct_fail_node(oct_fail(OCT_ERR_USAGE, "input '%s' is not set", oct_plan_string(p, p->inputs[i].name)), oct_plan_string(p, p->inputs[i].name));
    oct_fpenv saved = oct_fpenv_enter();
    oct_team_begin(c->team);
    if (c->profile)
        run_profiled(c);
    else
        for (int32_t i = 0; i < p->step_count; i++)
            exec_of[p->steps[i].kind](&c->execs[i]);
    oct_team_end(c->team);
    oct_fpenv_leave(saved);
    return OCT_OK;
}

int64_t oct_context_nan_count(const oct_context *c)
{
    int64_t n = c->nan_before;
    for (int32_t i = 0; c->active && i < c->active->step_count; i++)
        n += c->execs[i].nan_count;
    return n;
}

/* --- taps --- */
/* A tile of floats from the tensor's layout to the model's order. */
static void tap_tile(void *arg, const oct_nd_tile *t)
{
    const oct_nd_ops *ops = arg;
    const int64_t f = sizeof(float);
    if (t->col_step[0] == f && t->row_step[1] == f && t->col_step[1] != f && t->rows > 1) {
        ops->transpose(sizeof(float), t->cols, t->rows, t->data[1], t->col_step[1], t->data[0], t->row_step[0]);
        return;
    }
    for (int64_t r = 0; r < t->rows; r++)
        oct_nd_move_row(sizeof(float), t->data[1] + r * t->row_step[1], t->col_step[1], t->cols, t->data[0] + r * t->row_step[0], t->col_step[0]);
}

static void tap_floats(const oct_context *c, const oct_plan_tensor *t, const void *from, float *to)
{
    int64_t strides[OCT_MAX_RANK], step = 1;
    for (int i = t->rank; i-- > 0; step *= t->dims[i])
        strides[i] = step;
    const oct_nd_operand out = {to, t->rank, sizeof(float), t->dims, strides}, in = {(void *)(uintptr_t)from, t->rank, sizeof(float), t->dims, t->strides};
    oct_nd_loop l;
    oct_nd_loop_init_transposing(&l, &out, &in, OCT_ND_GRAIN);
    for (int64_t unit = 0; unit < l.units; unit++)
        oct_nd_loop_unit(&l, unit, tap_tile, (void *)(uintptr_t)oct_nd_ops_get((oct_isa)c->active->header->isa));
}

/* Codes and integers, row by row of the last dim. */
static void tap_numbers(const oct_plan_tensor *t, const uint8_t *at, float *to, int64_t count)
{
    const int64_t size = (int64_t)oct_dtype_size((oct_dtype)t->dtype);
    const int inner = t->rank - 1;
    const int64_t n = inner >= 0 ? t->dims[inner] : 1, step = inner >= 0 ? t->strides[inner] * size : size;
    int64_t index[OCT_MAX_RANK] = {0};
    for (int64_t done = 0; done < count; done += n) {
        if (t->dtype == OCT_U8 && t->scale > 0)
            for (int64_t i = 0; i < n; i++)
                to[done + i] = oct_dequantize(at[i * step], t->scale, t->zero);
        else
            oct_nd_load_f32((oct_dtype)t->dtype, t->biased != 0, at, step, n, to + done);
        for (int k = inner; k-- > 0;) {
            at += t->strides[k] * size;
            if (++index[k] < t->dims[k])
                break;
            at -= t->strides[k] * size * t->dims[k];
            index[k] = 0;
        }
    }
}

oct_status oct_context_get_tap(const oct_context *c, const char *name, float *data, int64_t count)
{
    const oct_plan *p = c->active;
    const oct_plan_port *port = find_port(p, p->taps, p->tap_count, name);
    int64_t have;
    if (!port)
        port = find_port(p, p->outputs, p->output_count, name);
    if (!port)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan keeps no tensor '%s'", name), name);
    OCT_TRY(oct_size_count(port->dims, (int)port->rank, &have));
    if (have != count)
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "tensor '%s' has %lld elements, room is for %lld", name, (long long)have, (long long)count), name);
    const oct_plan_tensor *t = &p->tensors[port->tensor];
    if (t->place == OCT_PLACE_INPUT && !c->bound[t->port])
        return oct_fail_node(oct_fail(OCT_ERR_USAGE, "tensor '%s' is an input that is not set", name), name);
    const uint8_t *from = t->place == OCT_PLACE_INPUT ? (const uint8_t *)c->bound[t->port] + t->offset : memory_of(c, t);
    if (t->dtype == OCT_F32)
        tap_floats(c, t, from, data);
    else
        tap_numbers(t, from, data, have);
    return OCT_OK;
}

/* --- profile --- */
void oct_context_profile(oct_context *c, bool enable)
{
    if (enable && !c->profile) {
        memset(c->seconds, 0, sizeof *c->seconds * (size_t)c->active->step_count);
        c->runs = 0;
    }
    c->profile = enable;
}

oct_status oct_context_get_profile(const oct_context *c, int step, oct_step_profile *out)
{
    const oct_plan *p = c->active;
    OCT_TRY(oct_plan_get_step(p, step, out));
    out->seconds = c->seconds[step];
    out->runs = c->runs;
    return OCT_OK;
}
