/* Inputs and outputs that are not floats: codes without conversion, pixels with normalisation folded in.  DESIGN 5.7. */
#ifndef OCT_BUILD_BIND_IO_H
#define OCT_BUILD_BIND_IO_H

#include "build/builder.h"

/* The builder's wishes into the recipe, checked against the model and its preprocessing. */
oct_status oct_io_fill(const oct_builder *b, oct_recipe *r);
/* Change the ports of a final graph (passes done, shapes bound) as the recipe says. Errors: see oct_builder_set_io. */
oct_status oct_bind_io(oct_graph *g, const oct_recipe *r);

#endif
