/* What an opened data set holds; shared by dataset.c and the loader. */
#ifndef OCT_DATA_SET_H
#define OCT_DATA_SET_H

#include <octavo/data.h>
#include <pthread.h>
#include "data/arrays.h"
#include "data/listing.h"

typedef enum oct_set_kind {
    OCT_SET_FILES,   /* images as files below root */
    OCT_SET_ARCHIVE, /* images as entries of path */
    OCT_SET_ARRAYS   /* members of the .npz, or the .npy, at path */
} oct_set_kind;

struct oct_dataset {
    oct_set_kind kind;
    char *path, *root;
    oct_listing list; /* images */
    oct_arrays arrays;
    bool labelled;
    int64_t class_count;
    int64_t *picked;      /* samples of the limited set, in the order they are delivered: items of list, or rows */
    int64_t first, count; /* this shard's part of picked */
    bool strict;
    pthread_mutex_t fault_lock; /* guards what follows: several loaders may read one set */
    uint8_t *faulty;            /* count of them: one fault a sample however often it is read */
    char **faults;
    int64_t fault_count, fault_capacity;
};

/* Sample i of the shard (0 ... count - 1) as an index into list.items or a row; and its label, -1 without. */
static inline int64_t oct_set_sample(const oct_dataset *set, int64_t i) { return set->picked[set->first + i]; }
static inline int64_t oct_set_label(const oct_dataset *set, int64_t i)
{
    int64_t k = oct_set_sample(set, i);
    return !set->labelled ? -1 : set->kind == OCT_SET_ARRAYS ? set->arrays.labels[k] : set->list.items[k].label;
}
/* Notes that sample i could not be read. */
oct_status oct_set_add_fault(oct_dataset *set, int64_t i, const char *text);

#endif
