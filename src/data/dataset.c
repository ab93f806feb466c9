/* Opening a data set of any kind and answering what it holds.  DESIGN 8.
 *
 * Only names, labels and array headers are kept; pixels and rows are read by loaders. The kind is told from the path's
 * extension for tables and arrays, else from the content. */
#include "data/set.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/mem.h"
#include "data/subset.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

/* The folder that path lies in. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

static oct_status read_source(oct_dataset *set)
{
    const char *path = set->path;
    set->kind = OCT_SET_FILES;
    if (!oct_path_exists(path))
        return oct_fail_file(oct_fail(OCT_ERR_IO, "cannot open data set '%s': no such file or folder", path), path);
    if (oct_path_is_dir(path)) {
        set->root = strdup(path);
        return oct_listing_folder(path, &set->list);
    }
    set->root = folder_of(path);
    if (ends_with(path, ".csv") || ends_with(path, ".tsv"))
        return oct_listing_table(path, &set->list);
    if (ends_with(path, ".npz") || ends_with(path, ".npy")) {
        set->kind = OCT_SET_ARRAYS;
        return oct_arrays_open(path, ends_with(path, ".npz"), &set->arrays);
    }
    if (oct_is_image_name(path)) {
        const char *slash = strrchr(path, '/');
        return oct_listing_single(slash ? slash + 1 : path, &set->list);
    }
    set->kind = OCT_SET_ARCHIVE;
    oct_status s = oct_listing_archive(path, &set->list);
    if (s == OCT_ERR_CONTENT && set->list.name_bytes == 0)
        s = oct_fail_file(oct_fail(OCT_ERR_CONTENT,
                                   "%s (a data set is a folder, tar or zip of images, a .csv or .tsv, an .npz or .npy)",
                                   oct_last_error()->message),
                          path);
    return s;
}

static oct_status refuse_empty(const oct_dataset *set)
{
    const oct_listing *l = &set->list;
    const char *path = set->path;
    if (l->other_files)
        return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "data set '%s' is empty: no PNG or JPEG among its %lld files (such as '%s')",
                                      path, (long long)l->other_files, oct_listing_name(l, l->first_other)),
                             path);
    return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "data set '%s' is empty", path), path);
}

static int compare_ordinals(const void *a, const void *b, void *items)
{
    int64_t x = ((const oct_item *)items)[*(const int64_t *)a].ordinal, y = ((const oct_item *)items)[*(const int64_t *)b].ordinal;
    return (x > y) - (x < y);
}

/* The samples of one side of the split, ascending, with their labels if there are any: *n of them. */
static oct_status take_side(const oct_dataset *set, const oct_data_options *o, const int64_t *labels, int64_t *n, int64_t *side, int64_t *side_labels)
{
    const int64_t all = *n;
    uint8_t *held = malloc((size_t)all);
    oct_status s = held ? oct_subset_split(all, labels, set->class_count, o->split, o->seed, held) : oct_fail(OCT_ERR_MEMORY, "cannot allocate a split");
    *n = 0;
    for (int64_t i = 0; s == OCT_OK && i < all; i++) {
        if (held[i] != o->held_out)
            continue;
        side[*n] = i;
        if (labels)
            side_labels[*n] = labels[i];
        (*n)++;
    }
    free(held);
    if (s == OCT_OK && (*n == 0 || *n == all))
        s = oct_fail_file(oct_fail(OCT_ERR_USAGE, "a split of %g leaves one side of the %lld samples of '%s' empty", o->split, (long long)all, set->path), set->path);
    return s;
}

static oct_status pick_samples(oct_dataset *set, const oct_data_options *o)
{
    oct_status s = OCT_OK;
    const oct_listing *l = &set->list;
    int64_t n = set->kind == OCT_SET_ARRAYS ? set->arrays.rows : l->count, kept = 0;
    const int64_t *labels = set->arrays.labels;
    int64_t *copy = NULL, *side = NULL, *side_labels = NULL;
    if (n == 0)
        return refuse_empty(set);
    if (!(o->split >= 0 && o->split < 1))
        return oct_fail(OCT_ERR_USAGE, "a split of %g: the part that is held out is a fraction below 1", o->split);
    if (o->held_out && o->split == 0)
        return oct_fail(OCT_ERR_USAGE, "nothing is held out without a split");
    if (o->limit < 0)
        return oct_fail(OCT_ERR_USAGE, "a limit of %lld samples", (long long)o->limit);
    if (set->kind != OCT_SET_ARRAYS && set->labelled) {
        copy = malloc((size_t)n * sizeof *copy);
        if (!copy)
            return oct_fail(OCT_ERR_MEMORY, "cannot allocate %lld labels", (long long)n);
        for (int64_t i = 0; i < n; i++)
            copy[i] = l->items[i].label;
        labels = copy;
    }
    if (o->split > 0) {
        side = malloc((size_t)n * sizeof *side);
        side_labels = malloc((size_t)n * sizeof *side_labels);
        if (!side || !side_labels)
            OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a split of %lld samples", (long long)n);
        OCT_TRY_DONE(take_side(set, o, labels, &n, side, side_labels));
        labels = labels ? side_labels : NULL;
    }
    OCT_TRY_DONE(oct_subset_pick(n, labels, set->class_count, o->limit, o->seed, &set->picked, &kept));
    for (int64_t i = 0; side && i < kept; i++)
        set->picked[i] = side[set->picked[i]];
    /* What is drawn does not depend on how an archive was packed; it is delivered in the archive's order, one pass. */
    if (set->kind == OCT_SET_ARCHIVE)
        qsort_r(set->picked, (size_t)kept, sizeof *set->picked, compare_ordinals, l->items);
    OCT_TRY_DONE(oct_subset_shard(kept, o->shard, o->shards, &set->first, &set->count));
    set->faulty = calloc((size_t)set->count, 1);
    if (!set->faulty)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a data set");
done:
    free(copy);
    free(side);
    free(side_labels);
    return s;
}

oct_status oct_dataset_open(const char *path, const oct_data_options *opts, oct_dataset **out)
{
    oct_status s = OCT_OK;
    const oct_data_options all = {0};
    const oct_data_options *o = opts ? opts : &all;
    oct_dataset *set = calloc(1, sizeof *set);
    if (!set)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a data set");
    pthread_mutex_init(&set->fault_lock, NULL);
    set->path = strdup(path);
    if (!set->path)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a data set");
    OCT_TRY_DONE(read_source(set));
    bool arrays = set->kind == OCT_SET_ARRAYS;
    set->labelled = arrays ? set->arrays.labels != NULL : set->list.labelled;
    set->class_count = !set->labelled ? 0 : arrays ? set->arrays.class_count : set->list.class_count;
    set->strict = o->strict;
    OCT_TRY_DONE(pick_samples(set, o));
    *out = set;
    set = NULL;
done:
    oct_dataset_destroy(set);
    return s;
}

void oct_dataset_destroy(oct_dataset *set)
{
    if (!set)
        return;
    oct_listing_free(&set->list);
    oct_arrays_free(&set->arrays);
    for (int64_t i = 0; i < set->fault_count; i++)
        free(set->faults[i]);
    free(set->faults);
    free(set->faulty);
    free(set->picked);
    free(set->root);
    free(set->path);
    pthread_mutex_destroy(&set->fault_lock);
    free(set);
}

int64_t oct_dataset_count(const oct_dataset *set) { return set->count; }
int64_t oct_dataset_first(const oct_dataset *set) { return set->first; }
bool oct_dataset_has_labels(const oct_dataset *set) { return set->labelled; }
int64_t oct_dataset_class_count(const oct_dataset *set) { return set->class_count; }

const char *oct_dataset_class_name(const oct_dataset *set, int64_t cls)
{
    return set->list.classes && cls >= 0 && cls < set->list.class_count ? oct_listing_name(&set->list, set->list.classes[cls]) : "";
}

oct_status oct_set_add_fault(oct_dataset *set, int64_t i, const char *text)
{
    oct_status s = OCT_OK;
    pthread_mutex_lock(&set->fault_lock);
    if (!set->faulty[i]) {
        char *copy = strdup(text);
        s = copy ? OCT_PUSH(set->faults, set->fault_count, set->fault_capacity, copy)
                 : oct_fail(OCT_ERR_MEMORY, "cannot allocate a message");
        if (s == OCT_OK)
            set->faulty[i] = 1;
        else
            free(copy);
    }
    pthread_mutex_unlock(&set->fault_lock);
    return s;
}

int64_t oct_dataset_fault_count(const oct_dataset *set)
{
    oct_dataset *mutable = (oct_dataset *)(uintptr_t)set; /* counting is no change that a caller can see */
    pthread_mutex_lock(&mutable->fault_lock);
    int64_t n = set->fault_count;
    pthread_mutex_unlock(&mutable->fault_lock);
    return n;
}

const char *oct_dataset_get_fault(const oct_dataset *set, int64_t index)
{
    oct_dataset *mutable = (oct_dataset *)(uintptr_t)set;
    pthread_mutex_lock(&mutable->fault_lock);
    const char *text = index >= 0 && index < set->fault_count ? set->faults[index] : "";
    pthread_mutex_unlock(&mutable->fault_lock);
    return text;
}
