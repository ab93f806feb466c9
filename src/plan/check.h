/* The check of an untrusted plan block, in parts.  Private to src/plan. After it nothing in a plan can make the runtime read or write
 * outside the arena, the constants and the caller's tensors. */
#ifndef OCT_PLAN_CHECK_H
#define OCT_PLAN_CHECK_H

#include "plan/plan.h"

/* Everything but the parameters: counts, offsets, strings, tensors, ports, steps. p points into the block. */
oct_status oct_check_plan(const oct_plan *p);
/* Profile and the plans for other shapes, against the plan that holds them (check_shapes.c). */
oct_status oct_check_shapes(const oct_plan *p);
/* Parameters and tensors of step s by the rules of its kind; tactic too. */
oct_status oct_check_step(const oct_plan *p, const oct_plan_step *s);
oct_status oct_check_conv(const oct_plan *p, const oct_plan_step *s, const oct_plan_tensor *const *in, const oct_plan_tensor *out);

/* CONTENT naming the step. */
oct_status oct_check_fail(const oct_plan *p, const oct_plan_step *s, const char *what);
#define OCT_CHECK(condition, what)                    \
    do {                                              \
        if (!(condition))                             \
            return oct_check_fail(p, s, what);        \
    } while (0)

/* bytes at offset `at` lie in the constant section, aligned to `align`. */
bool oct_check_const(const oct_plan *p, int64_t at, int64_t bytes, int64_t align);
/* Elements of t in memory stand in C order. */
bool oct_check_is_dense(const oct_plan_tensor *t);

#endif
