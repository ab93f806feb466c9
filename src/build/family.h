/* A plan for a range of shapes, or one that carries what it was made of: plans of one recipe in one block.  DESIGN 5.7. */
#ifndef OCT_BUILD_FAMILY_H
#define OCT_BUILD_FAMILY_H

#include "build/builder.h"

/* opts with the opt shape of the builder's profile in its dims; strings live in r's arena. */
oct_status oct_family_options(const oct_builder *b, const oct_build_options *opts, const oct_recipe *r, oct_build_options *out);
/* With a profile or opts->refit: replaces *plan, which was built with r and opts, by one that carries its recipe and the plans for
 * the other shapes. Else nothing. */
oct_status oct_family_complete(const oct_builder *b, const oct_build_options *opts, const oct_recipe *r, oct_plan **plan);
/* The same plan from a changed recipe (see recipe_file.h): profile and CPU level of `like`. */
oct_status oct_family_remake(const oct_plan *like, const void *recipe, int64_t size, oct_plan **out);

#endif
