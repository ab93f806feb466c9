/* A recipe as bytes, with the model that it is for: what a plan carries so that it can be made again for other shapes or numbers.
 * The reader believes nothing. */
#ifndef OCT_BUILD_RECIPE_FILE_H
#define OCT_BUILD_RECIPE_FILE_H

#include "build/recipe.h"

/* Of opts the batch, the dims and the taps are kept. free() *data. UNSUPPORTED when the model is too large for one ONNX message. */
oct_status oct_recipe_write(const oct_recipe *r, const oct_model *model, const oct_build_options *opts, void **data, int64_t *size);

typedef struct oct_stored_recipe {
    oct_recipe *recipe;
    oct_model *model;
    oct_build_options opts; /* lists and strings live in the recipe's arena */
} oct_stored_recipe;
/* CONTENT when the bytes are no recipe. Free with oct_stored_recipe_free, also what is zero. */
oct_status oct_recipe_read(const void *data, int64_t size, oct_stored_recipe *out);
/* Of a plan; USAGE, saying how to build one, when it carries none. */
oct_status oct_recipe_of_plan(const oct_plan *plan, oct_stored_recipe *out);
void oct_stored_recipe_free(oct_stored_recipe *s);

#endif
