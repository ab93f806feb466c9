/* Runs normalised loops and item ranges on the thread team. Units depend on shapes only, so results do not depend on threads. */
#include "rt/exec_loop.h"

#include <string.h>

int64_t oct_view_count(const oct_view *v)
{
    int64_t n = 1;
    for (int32_t i = 0; i < v->rank; i++)
        n *= v->dims[i];
    return n;
}

typedef struct loop_job {
    const oct_nd_loop *l;
    oct_nd_tile_fn *fn;
    void *arg;
} loop_job;

static void loop_unit(void *arg, int64_t unit, int worker)
{
    const loop_job *job = arg;
    oct_nd_loop_unit(job->l, unit, job->fn, job->arg);
}

void oct_exec_loop(oct_exec *x, const oct_nd_loop *l, oct_nd_tile_fn *fn, void *arg)
{
    loop_job job = {l, fn, arg};
    if (l->units == 1)
        loop_unit(&job, 0, 0);
    else
        oct_team_for(x->team, l->units, loop_unit, &job);
}

void oct_exec_elementwise(oct_exec *x, int first, int inputs, int64_t grain, oct_nd_tile_fn *fn, void *arg)
{
    oct_nd_operand op[OCT_ND_OPERANDS];
    oct_nd_loop l;
    op[0] = oct_exec_operand(&x->out[0]);
    for (int i = 0; i < inputs; i++)
        op[1 + i] = oct_exec_operand(&x->in[first + i]);
    oct_nd_loop_init(&l, 1 + inputs, op, grain);
    oct_exec_loop(x, &l, fn, arg);
}

typedef struct move_job {
    const oct_nd_ops *ops;
    size_t size;
} move_job;

static void move_tile(void *arg, const oct_nd_tile *t)
{
    const move_job *job = arg;
    const size_t size = job->size;
    const int64_t s = (int64_t)size;
    if (t->col_step[0] == s && t->row_step[1] == s && t->col_step[1] != s && t->rows > 1) {
        job->ops->transpose(size, t->cols, t->rows, t->data[1], t->col_step[1], t->data[0], t->row_step[0]);
        return;
    }
    for (int64_t r = 0; r < t->rows; r++) {
        char *dst = t->data[0] + r * t->row_step[0];
        const char *src = t->data[1] + r * t->row_step[1];
        if (size == 1 && t->col_step[0] == 1 && t->col_step[1] == 0)
            memset(dst, *(const uint8_t *)src, (size_t)t->cols);
        else
            oct_nd_move_row(size, src, t->col_step[1], t->cols, dst, t->col_step[0]);
    }
}

void oct_exec_move(oct_exec *x, const oct_view *out, const oct_view *in)
{
    const oct_nd_operand to = oct_exec_operand(out), from = oct_exec_operand(in);
    move_job job = {oct_exec_ops(x), to.size};
    oct_nd_loop l;
    oct_nd_loop_init_transposing(&l, &to, &from, OCT_ND_GRAIN);
    oct_exec_loop(x, &l, move_tile, &job);
}

typedef struct range_job {
    int64_t items, per;
    oct_exec_range_fn *fn;
    void *arg;
} range_job;

static void range_unit(void *arg, int64_t unit, int worker)
{
    const range_job *job = arg;
    job->fn(job->arg, unit * job->per, oct_min64(job->items, (unit + 1) * job->per));
}

void oct_exec_ranges(oct_exec *x, int64_t items, int64_t per, oct_exec_range_fn *fn, void *arg)
{
    range_job job = {items, per, fn, arg};
    if (items <= 0)
        return;
    if (items <= per)
        fn(arg, 0, items);
    else
        oct_team_for(x->team, oct_div_up(items, per), range_unit, &job);
}
