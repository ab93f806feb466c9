/* What the generic steps share: views as loop operands, and loops over the team.  No step logic. */
#ifndef OCT_RT_EXEC_LOOP_H
#define OCT_RT_EXEC_LOOP_H

#include "kernels/nd/nd.h"
#include "rt/exec.h"

/* The level the plan was built for; the loader has checked that this CPU has it. */
static inline oct_isa oct_exec_isa(const oct_exec *x) { return x->plan->header ? (oct_isa)x->plan->header->isa : OCT_ISA_PORTABLE; }
static inline const oct_nd_ops *oct_exec_ops(const oct_exec *x) { return oct_nd_ops_get(oct_exec_isa(x)); }

static inline oct_nd_operand oct_exec_operand(const oct_view *v)
{
    return (oct_nd_operand){v->data, v->rank, oct_dtype_size(v->dtype), v->dims, v->strides};
}
static inline const oct_plan_tensor *oct_exec_in_tensor(const oct_exec *x, int i)
{
    return &x->plan->tensors[x->plan->index[x->step->in_first + (uint32_t)i]];
}
static inline const oct_plan_tensor *oct_exec_out_tensor(const oct_exec *x, int i)
{
    return &x->plan->tensors[x->plan->index[x->step->out_first + (uint32_t)i]];
}
/* Whether the codes are s8 stored as u8 + 128. */
static inline bool oct_exec_in_biased(const oct_exec *x, int i) { return oct_exec_in_tensor(x, i)->biased != 0; }
static inline bool oct_exec_out_biased(const oct_exec *x, int i) { return oct_exec_out_tensor(x, i)->biased != 0; }

int64_t oct_view_count(const oct_view *v);
/* Run every unit of the loop on the team. */
void oct_exec_loop(oct_exec *x, const oct_nd_loop *l, oct_nd_tile_fn *fn, void *arg);
/* out (operand 0) and `inputs` inputs from in[first]. */
void oct_exec_elementwise(oct_exec *x, int first, int inputs, int64_t grain, oct_nd_tile_fn *fn, void *arg);
/* Moves elements of one size between views of the same shape (or broadcast), transposing in tiles. */
void oct_exec_move(oct_exec *x, const oct_view *out, const oct_view *in);
/* Units of `per` items over the team: fn(arg, first, last). */
typedef void oct_exec_range_fn(void *arg, int64_t first, int64_t last);
void oct_exec_ranges(oct_exec *x, int64_t items, int64_t per, oct_exec_range_fn *fn, void *arg);
/* Items a unit should hold when one costs about `elements` element operations. */
static inline int64_t oct_exec_per_unit(int64_t elements)
{
    return elements >= OCT_ND_GRAIN ? 1 : OCT_ND_GRAIN / (elements > 0 ? elements : 1);
}

#endif
