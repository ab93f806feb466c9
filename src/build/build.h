/* The builder's inner doors: for the quantizer, which builds plans of graphs of its own, and for tests.  DESIGN 5. */
#ifndef OCT_BUILD_BUILD_H
#define OCT_BUILD_BUILD_H

#include <octavo/engine.h>
#include "cpu/cpu.h"
#include "ir/op.h"
#include "opt/opt.h"
#include "plan/plan.h"

/* Give every free dimension of the graph inputs a value (opts->batch for a free first dimension, opts->dims for the others), infer again.
 * USAGE when an option names nothing, UNSUPPORTED naming input and axis when a free dimension gets no value. */
oct_status oct_build_bind(oct_graph *g, const oct_build_options *opts);

struct oct_tactics;
/* Lower a bound graph as it stands (no passes are run) for one ISA level, kernels by shape. The graph stays the caller's. */
oct_status oct_build_lower(oct_graph *g, oct_isa isa, oct_plan **out);
/* The same with decided kernels; tactics NULL = by shape. */
oct_status oct_build_lower_with(oct_graph *g, oct_isa isa, const struct oct_tactics *tactics, oct_plan **out);

/* bind, passes, lower, on a graph that the call may change. stages: OCT_OPT_* bits. */
oct_status oct_build_graph(oct_graph *g, const oct_build_options *opts, unsigned stages, oct_plan **out);

/* Evaluator for constant folding (oct_fold_fn): lowers the one node, runs it, keeps the outputs. user is ignored. */
oct_status oct_build_fold(void *user, oct_graph *g, oct_node *n);

/* Arena offsets for all tensors and step scratch of a draft, by lifetime; resolves views. threads of scratch are the runtime's. */
oct_status oct_build_memory(oct_draft *d);

#endif
