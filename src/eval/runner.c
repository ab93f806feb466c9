/* One model or plan that answers batches of any size: cuts them into the plan's own batch, fills up the last piece, turns
 * the first output into float rows.  Does no statistics. */
#include "eval/runner.h"

#include <stdlib.h>
#include <string.h>
#include "eval/widen.h"

struct oct_runner {
    const char *name;
    oct_plan *owned;       /* built here */
    const oct_plan *plan;  /* owned or the subject's */
    oct_context *context;
    int64_t batch, row;
    int input_count;
    oct_port *inputs;      /* input_count, concrete */
    oct_tensor *chunk;     /* input_count: what is bound; data points into the caller's batch or to fill */
    void **fill;           /* input_count blocks of one whole input each, for short batches */
    oct_port output;
};

static oct_status check_ports(oct_runner *r)
{
    r->input_count = oct_plan_input_count(r->plan);
    if (r->input_count < 1 || oct_plan_output_count(r->plan) < 1)
        return oct_fail(OCT_ERR_CONTENT, "'%s' has no input or no output", r->name);
    OCT_TRY(oct_alloc((int64_t)sizeof *r->inputs * r->input_count, true, (void **)&r->inputs));
    OCT_TRY(oct_alloc((int64_t)sizeof *r->chunk * r->input_count, true, (void **)&r->chunk));
    OCT_TRY(oct_alloc((int64_t)sizeof *r->fill * r->input_count, true, (void **)&r->fill));
    for (int i = 0; i < r->input_count; i++) {
        oct_port *p = &r->inputs[i];
        OCT_TRY(oct_plan_get_input(r->plan, i, p));
        if (p->rank < 1 || p->dims[0] < 1 || (i > 0 && p->dims[0] != r->inputs[0].dims[0]))
            return oct_fail(OCT_ERR_CONTENT, "'%s': input '%s' does not have the batch as its first dimension", r->name, p->name);
        r->chunk[i] = (oct_tensor){.dtype = p->dtype, .rank = p->rank};
        memcpy(r->chunk[i].dims, p->dims, sizeof p->dims);
    }
    r->batch = r->inputs[0].dims[0];
    OCT_TRY(oct_plan_get_output(r->plan, 0, &r->output));
    int64_t count;
    OCT_TRY(oct_size_count(r->output.dims, r->output.rank, &count));
    if (r->output.rank < 1 || r->output.dims[0] != r->batch || count == 0)
        return oct_fail(OCT_ERR_CONTENT, "'%s': output '%s' does not have the batch as its first dimension", r->name, r->output.name);
    r->row = count / r->batch;
    return OCT_OK;
}

oct_status oct_runner_create(const oct_eval_subject *subject, int threads, int64_t batch, oct_runner **out)
{
    oct_status s = OCT_OK;
    oct_runner *r = calloc(1, sizeof *r);
    if (!r)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a runner");
    r->name = subject->name ? subject->name : "model";
    if (!subject->model == !subject->plan)
        OCT_FAIL_DONE(OCT_ERR_USAGE, "'%s': exactly one of model and plan must be given", r->name);
    if (subject->model) {
        oct_build_options build = {.batch = batch};
        OCT_TRY_DONE(oct_plan_build(subject->model, &build, &r->owned));
    }
    r->plan = subject->plan ? subject->plan : r->owned;
    OCT_TRY_DONE(check_ports(r));
    OCT_TRY_DONE(oct_context_create(r->plan, threads, &r->context));
    *out = r;
done:
    if (s != OCT_OK)
        oct_runner_destroy(r);
    return s;
}

void oct_runner_destroy(oct_runner *r)
{
    if (!r)
        return;
    oct_context_destroy(r->context);
    oct_plan_destroy(r->owned);
    if (r->fill)
        for (int i = 0; i < r->input_count; i++)
            oct_free(r->fill[i]);
    oct_free(r->fill);
    oct_free(r->chunk);
    oct_free(r->inputs);
    free(r);
}

int64_t oct_runner_batch(const oct_runner *r) { return r->batch; }
int64_t oct_runner_row(const oct_runner *r) { return r->row; }

bool oct_runner_gives_class(const oct_runner *r)
{
    return r->row == 1 && (r->output.dtype == OCT_S64 || r->output.dtype == OCT_S32);
}

const oct_port *oct_runner_inputs(const oct_runner *r, int *count)
{
    *count = r->input_count;
    return r->inputs;
}

/* Which of the caller's inputs feeds input i: the one of its name, else the one at its place. */
static oct_status source_of(const oct_runner *r, int i, const oct_port *ports, const oct_tensor *inputs, int input_count, int *out)
{
    const oct_port *p = &r->inputs[i];
    int at = i < input_count ? i : -1;
    for (int k = 0; k < input_count; k++)
        if (strcmp(ports[k].name, p->name) == 0)
            at = k;
    if (at < 0)
        return oct_fail(OCT_ERR_CONTENT, "'%s': nothing is given for input '%s'", r->name, p->name);
    const oct_tensor *t = &inputs[at];
    bool fits = t->dtype == p->dtype && t->rank == p->rank;
    for (int k = 1; fits && k < p->rank; k++)
        fits = t->dims[k] == p->dims[k];
    if (!fits)
        return oct_fail(OCT_ERR_CONTENT, "'%s': the data for input '%s' have another type or shape than the model wants", r->name, p->name);
    *out = at;
    return OCT_OK;
}

/* Bind samples [first, first + count) of t as input i; fewer than a batch are completed by copies of the last one. */
static oct_status bind(oct_runner *r, int i, const oct_tensor *t, int64_t first, int64_t count)
{
    oct_tensor *c = &r->chunk[i];
    int64_t sample = oct_tensor_count(c) / r->batch * (int64_t)oct_dtype_size(c->dtype);
    char *from = (char *)t->data + first * sample;
    c->data = from;
    if (count < r->batch) {
        if (!r->fill[i])
            OCT_TRY(oct_alloc(sample * r->batch, false, &r->fill[i]));
        memcpy(r->fill[i], from, (size_t)(count * sample));
        for (int64_t k = count; k < r->batch; k++)
            memcpy((char *)r->fill[i] + k * sample, from + (count - 1) * sample, (size_t)sample);
        c->data = r->fill[i];
    }
    return oct_context_set_input(r->context, r->inputs[i].name, c);
}

oct_status oct_runner_run(oct_runner *r, const oct_port *ports, const oct_tensor *inputs, int input_count, int64_t count, float *rows)
{
    for (int64_t first = 0; first < count; first += r->batch) {
        int64_t n = oct_min64(r->batch, count - first);
        for (int i = 0; i < r->input_count; i++) {
            int at = 0;
            OCT_TRY(source_of(r, i, ports, inputs, input_count, &at));
            OCT_TRY(bind(r, i, &inputs[at], first, n));
        }
        OCT_TRY(oct_context_run(r->context));
        oct_tensor y;
        OCT_TRY(oct_context_get_output(r->context, r->output.name, &y));
        OCT_TRY(oct_widen(y.data, y.dtype, n * r->row, rows + first * r->row));
    }
    return OCT_OK;
}
