/* Constants that finished plans have in common, stored once.  Private to src/plan: compose.c puts the plans of a profile together. */
#ifndef OCT_PLAN_SHARE_H
#define OCT_PLAN_SHARE_H

#include "plan/plan.h"

typedef struct oct_const_pool oct_const_pool;
oct_status oct_const_pool_create(oct_const_pool **out);
void oct_const_pool_destroy(oct_const_pool *pool);
/* p's constants into the pool. *block (oct_free it): p's own block again, without constants, its offsets those of the pool. */
oct_status oct_const_pool_add(oct_const_pool *pool, const oct_plan *p, void **block, int64_t *size);
const void *oct_const_pool_data(const oct_const_pool *pool, int64_t *size);

#endif
