/* The list of a set's image files and its classes: names only, never pixels.  DESIGN 8. */
#ifndef OCT_DATA_LISTING_H
#define OCT_DATA_LISTING_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef struct oct_item {
    int64_t name;    /* offset into names: path below the set's root */
    int64_t ordinal; /* place in the archive; 0 for files */
    int64_t label;   /* class index, -1 without labels */
} oct_item;

/* Zero-initialise. All names stand NUL-terminated one after the other in one block: a million files stay small. */
typedef struct oct_listing {
    char *names;
    int64_t name_bytes, name_capacity;
    oct_item *items; /* by label, then name; of a table in its order */
    int64_t count, capacity;
    int64_t *classes; /* offsets of class names; NULL when classes have numbers only */
    int64_t class_count, class_capacity;
    bool labelled;
    int64_t other_files; /* seen but neither PNG nor JPEG by name */
    int64_t first_other; /* offset of the first one's name */
} oct_listing;

static inline const char *oct_listing_name(const oct_listing *l, int64_t offset) { return l->names + offset; }

/* PNG or JPEG by its extension. */
bool oct_is_image_name(const char *name);

/* Everything below a folder: hidden names are left out; links to folders are followed on the first level only. */
oct_status oct_listing_folder(const char *root, oct_listing *out);
/* Everything in a tar or zip; folders that all images share in front are ignored. */
oct_status oct_listing_archive(const char *path, oct_listing *out);
/* A CSV (comma) or TSV (tab) file of path,label: paths are relative to the file; labels class indices or class names. */
oct_status oct_listing_table(const char *path, oct_listing *out);
/* A single image file. */
oct_status oct_listing_single(const char *name, oct_listing *out);
void oct_listing_free(oct_listing *l);

/* For listing.c and table.c */
oct_status oct_listing_add_name(oct_listing *l, const char *name, int64_t length, int64_t *offset);
oct_status oct_listing_add_item(oct_listing *l, const char *name, int64_t ordinal);
/* Sorts and uniques the class names of l (offsets pushed in any order). */
void oct_listing_sort_classes(oct_listing *l);
/* Index of the class called name[0..length), -1 when there is none. Classes must be sorted. */
int64_t oct_listing_find_class(const oct_listing *l, const char *name, int64_t length);
void oct_listing_sort_items(oct_listing *l);

#endif
