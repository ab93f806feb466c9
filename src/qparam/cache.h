/* The two texts of a calibration cache; files are opened in cache.c, recipes (build/recipe_file.c) hold the JSON. */
#ifndef OCT_QPARAM_CACHE_H
#define OCT_QPARAM_CACHE_H

#include "qparam/qparam.h"

/* Append the text to t (errors stick in t too). */
oct_status oct_cache_write_json(const oct_ranges *r, oct_text *t);
oct_status oct_cache_write_tensorrt(const oct_ranges *r, oct_text *t);
/* text has a NUL behind its `size` bytes. CONTENT naming line or tensor. */
oct_status oct_cache_read_json(const char *text, int64_t size, oct_ranges **out);
oct_status oct_cache_read_tensorrt(const char *text, int64_t size, oct_ranges **out);

#endif
