/* Lint: what is wrong or wasteful in a quantized model and can be told for certain.  Private to src/build.
 *
 * A finding is {"rule", "step" or "tensor", "message", "hint"} in a JSON list. */
#ifndef OCT_BUILD_LINT_H
#define OCT_BUILD_LINT_H

#include <cjson/cJSON.h>
#include "ir/ir.h"
#include "plan/plan.h"

/* key: "step" or "tensor". MEMORY only. */
oct_status oct_lint_add(cJSON *list, const char *rule, const char *key, const char *name, const char *hint, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Rules on the steps of a plan. */
oct_status oct_lint_plan(const oct_plan *p, cJSON *list);
/* Rules on weights and scales of a graph that has been through the passes. */
oct_status oct_lint_graph(const oct_graph *g, cJSON *list);

#endif
