/* Tactics: which kernel runs each step where several can.  Chosen by shape, by time, at random or from a recipe.  DESIGN 5.4.
 *
 * Integer results are the same bytes whatever is chosen; float results are, as long as all kernels are of one CPU level (levels may
 * differ by the order of sums). Weights are packed for the kernel, so the choice is made before lowering packs them. */
#ifndef OCT_BUILD_TACTICS_H
#define OCT_BUILD_TACTICS_H

#include "build/timing.h"
#include "op/lower.h"

/* A decision: the kernel of every pick of a lowering, in its order. */
typedef struct oct_tactics oct_tactics;

/* Levels: 0, 1 = by shape everywhere, nothing is timed (t may be NULL); 2 = timed among the rows of the best CPU level that have no
 * `_ref` in their name; 3 = timed among all rows that run at isa. */
enum { OCT_TACTICS_LEVEL_MAX = 3, OCT_TACTICS_TIMED = 2 };

/* Decide for a final graph (passes done, all shapes bound), which is lowered once for each candidate of the richest step: plan k
 * takes candidate k of every step, so each is timed where it will stand. A candidate replaces the choice by shape when it is faster
 * by more than 2 %. A deterministic timer decides by cache and cost model. USAGE for another level. */
oct_status oct_tactics_choose(oct_graph *g, oct_isa isa, oct_timer *t, int level, oct_tactics **out);
/* Every pick at random among all rows that run at isa, `_ref` ones too; the same seed gives the same decision on the same graph. */
oct_status oct_tactics_random(oct_graph *g, oct_isa isa, uint64_t seed, oct_tactics **out);
void oct_tactics_destroy(oct_tactics *t);

/* Lower with a decision: call between oct_lower_create and oct_lower_graph; t must live as long as l; NULL leaves the choice by
 * shape. The same graph gets the same kernels. Another graph (other shapes, other weights) gets, at each pick, the kernel that the
 * node of that name has at its pick of the same family and number, where it can run the step, else the choice by shape. */
void oct_tactics_install(const oct_tactics *t, oct_lower *l);

/* The recipe: one line a pick, "<family> <kernel> <number of the pick in its node> <node>"; a backslash, control characters and DEL
 * in the node's name are written \xHH. free() the text. parse: CONTENT naming the line when a line is malformed, or a family or
 * kernel is unknown. */
oct_status oct_tactics_write(const oct_tactics *t, char **text);
oct_status oct_tactics_parse(const char *text, oct_tactics **out);

/* How many picks there are, and the kernel's name at one of them. */
int64_t oct_tactics_count(const oct_tactics *t);
const char *oct_tactics_kernel(const oct_tactics *t, int64_t index);

#endif
