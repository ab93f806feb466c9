/* The precision search of calibrated mode: which layers run in INT8 so that the whole model is fastest (DESIGN 5.1). */
#ifndef OCT_BUILD_PRECISION_H
#define OCT_BUILD_PRECISION_H

#include "build/builder.h"
#include "build/timing.h"

/* Adds to r the layers that stay float because that is faster, each with its reason and times. r has ranges and the user's holds;
 * layers that the user wants in INT8 (b's constraints) are left in INT8. Fills *found, strings in r's arena. */
oct_status oct_precision_choose(const oct_builder *b, const oct_build_options *opts, oct_isa isa, oct_timer *timer, oct_recipe *r,
                                oct_search_result *found);

#endif
