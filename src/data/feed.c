/* Samples: reading them from files, archive entries or arrays, and making model inputs of them.
 *
 * Reading and filling are apart because archives and arrays can only be read front to back, while decoding is the work
 * worth spreading over threads. Nothing here knows about threads or batches. */
#include "data/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "data/archive.h"
#include "data/hold.h"

#define MAX_ENCODED ((int64_t)256 << 20) /* bytes of one image file */
#define FIRST_BLOCK (1 << 16)

/* --- reading --- */

static oct_status read_file(const char *path, oct_feed_scratch *s)
{
    oct_status status = OCT_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return oct_fail(OCT_ERR_IO, "cannot open: %s", strerror(errno));
    int64_t n = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = oct_fail(OCT_ERR_IO, "not a regular file");
    else if (st.st_size > MAX_ENCODED)
        status = oct_fail(OCT_ERR_CONTENT, "a file of %lld bytes is too large", (long long)st.st_size);
    else
        status = oct_grow((void **)&s->bytes, &s->capacity, st.st_size + 1, 1);
    while (status == OCT_OK && n < st.st_size) {
        ssize_t got = read(fd, s->bytes + n, (size_t)(st.st_size - n));
        if (got == 0)
            break;
        if (got > 0)
            n += got;
        else if (errno != EINTR)
            status = oct_fail(OCT_ERR_IO, "cannot read: %s", strerror(errno));
    }
    close(fd);
    s->size = n;
    return status;
}

static oct_status read_sample_file(const oct_dataset *set, const char *name, oct_feed_scratch *s)
{
    char *path = NULL;
    if (name[0] == '/')
        return read_file(name, s);
    if (asprintf(&path, "%s/%s", set->root, name) < 0)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a path");
    oct_status status = read_file(path, s);
    free(path);
    return status;
}

static oct_status read_entry(oct_feeder *f, int64_t ordinal, oct_feed_scratch *s)
{
    /* Behind a damaged entry, or for a sample before the last one, the walk starts again. */
    if (f->archive && (oct_archive_is_broken(f->archive) || f->entry > ordinal)) {
        oct_archive_close(f->archive);
        f->archive = NULL;
    }
    if (!f->archive) {
        f->entry = 0;
        OCT_TRY(oct_archive_open(f->set->path, &f->archive));
    }
    oct_entry e = {.size = -1};
    for (bool found; f->entry <= ordinal; f->entry++) {
        OCT_TRY(oct_archive_next(f->archive, &e, &found));
        if (!found)
            return oct_fail(OCT_ERR_CONTENT, "gone: the archive has changed");
    }
    int64_t n = 0, got, room = e.size >= 0 && e.size <= MAX_ENCODED ? e.size + 1 : FIRST_BLOCK;
    do {
        OCT_TRY(oct_grow((void **)&s->bytes, &s->capacity, n + room, 1));
        OCT_TRY(oct_archive_read(f->archive, s->bytes + n, room, &got));
        n += got;
        if (n > MAX_ENCODED)
            return oct_fail(OCT_ERR_CONTENT, "an image of more than %lld bytes is too large", (long long)MAX_ENCODED);
    } while (got == room);
    s->size = n;
    return OCT_OK;
}

static oct_status read_rows(oct_feeder *f, int64_t row, oct_feed_scratch *s)
{
    int64_t total = 0, at = 0;
    for (int i = 0; i < f->count; i++)
        OCT_TRY(oct_size_add(total, oct_round_up(f->feeds[i].source_bytes, OCT_ALIGN), &total));
    OCT_TRY(oct_grow((void **)&s->bytes, &s->capacity, total, 1));
    s->size = total;
    for (int i = 0; i < f->count; i++) {
        OCT_TRY(oct_row_reader_read(f->feeds[i].rows, row, s->bytes + at));
        at += oct_round_up(f->feeds[i].source_bytes, OCT_ALIGN);
    }
    return OCT_OK;
}

oct_status oct_feeder_read(oct_feeder *f, int64_t sample, oct_feed_scratch *s)
{
    const oct_dataset *set = f->set;
    int64_t k = oct_set_sample(set, sample);
    if (f->held)
        return oct_held_read(f->held, sample, s);
    switch (set->kind) {
    case OCT_SET_FILES: return read_sample_file(set, oct_listing_name(&set->list, set->list.items[k].name), s);
    case OCT_SET_ARCHIVE: return read_entry(f, set->list.items[k].ordinal, s);
    case OCT_SET_ARRAYS: return read_rows(f, k, s);
    }
    return oct_fail(OCT_ERR_INTERNAL, "a data set of unknown kind");
}

/* --- filling --- */

static void fill_row(const oct_feed *f, const uint8_t *src, uint8_t *out)
{
    if (f->source == f->shape.dtype) {
        memcpy(out, src, (size_t)f->row_bytes);
    } else if (f->source == OCT_F64) {
        for (int64_t i = 0; i < f->row_bytes / 4; i++)
            ((float *)out)[i] = (float)((const double *)src)[i];
    } else {
        for (int64_t i = 0; i < f->row_bytes / 8; i++)
            ((double *)out)[i] = (double)((const float *)src)[i];
    }
}

/* The image augmented, and mixed with another sample; a partner that cannot be read is left out and named in its own turn. */
static oct_status augment_image(oct_feeder *f, int64_t sample, oct_feed_scratch *s, const oct_image **image, oct_feed_mix *mix)
{
    const oct_augment *a = &f->augment;
    const uint64_t key = oct_augment_key(f->seed, f->epoch, oct_set_sample(f->set, sample));
    OCT_TRY(oct_augment_apply(a, key, f->fill, *image, &s->augmented));
    *image = &s->augmented;
    if (a->mixup == 0)
        return OCT_OK;
    int weight;
    int64_t partner;
    oct_augment_draw_mix(a, key, f->set->count, &weight, &partner);
    const oct_image *other;
    bool misfit;
    oct_status r = oct_feeder_read(f, partner, s);
    if (r == OCT_OK)
        r = oct_pixels_load(&f->plan, s->bytes, s->size, &s->pixels, &other, &misfit);
    if (r == OCT_OK)
        r = oct_augment_apply(a, oct_augment_key(f->seed, f->epoch, oct_set_sample(f->set, partner)), f->fill, other, &s->partner);
    if (r != OCT_OK)
        return r == OCT_ERR_MEMORY ? r : OCT_OK;
    oct_augment_mix(&s->augmented, &s->partner, weight);
    *mix = (oct_feed_mix){.partner = partner, .weight = (float)weight / OCT_MIX_ONE};
    return OCT_OK;
}

oct_status oct_feeder_fill(oct_feeder *f, int64_t sample, oct_feed_scratch *s, uint8_t *const *out, oct_feed_mix *mix, bool *fatal)
{
    *fatal = false;
    *mix = (oct_feed_mix){.partner = sample, .weight = 1};
    if (f->set->kind == OCT_SET_ARRAYS) {
        const uint8_t *row = s->bytes;
        for (int i = 0; i < f->count; i++) {
            fill_row(&f->feeds[i], row, out[i]);
            row += oct_round_up(f->feeds[i].source_bytes, OCT_ALIGN);
        }
        return OCT_OK;
    }
    const oct_image *image;
    OCT_TRY(oct_pixels_load(&f->plan, s->bytes, s->size, &s->pixels, &image, fatal));
    if (f->augmented)
        OCT_TRY(augment_image(f, sample, s, &image, mix));
    oct_pixels_normalize(&f->plan, image, out[0]);
    return OCT_OK;
}

const char *oct_feeder_name(const oct_feeder *f, int64_t sample)
{
    const oct_dataset *set = f->set;
    return set->kind == OCT_SET_ARRAYS ? set->path
                                       : oct_listing_name(&set->list, set->list.items[oct_set_sample(set, sample)].name);
}

void oct_feed_scratch_free(oct_feed_scratch *s)
{
    free(s->bytes);
    oct_pixel_scratch_free(&s->pixels);
    oct_image_free(&s->augmented);
    oct_image_free(&s->partner);
    *s = (oct_feed_scratch){0};
}

/* --- matching a set with the model's inputs --- */

/* A model that takes any size gets that of the first readable image; the others must then have it too. */
static oct_status probe_size(oct_feeder *f)
{
    oct_feed_scratch scratch = {0};
    oct_status s = OCT_ERR_CONTENT;
    const oct_image *image = NULL;
    bool misfit = false;
    for (int64_t i = 0; s != OCT_OK && !misfit && i < f->set->count; i++) {
        s = oct_feeder_read(f, i, &scratch);
        if (s == OCT_OK)
            s = oct_pixels_load(&f->plan, scratch.bytes, scratch.size, &scratch.pixels, &image, &misfit);
    }
    if (s == OCT_OK) {
        f->plan.width = image->width;
        f->plan.height = image->height;
    }
    oct_feed_scratch_free(&scratch);
    return s;
}

static oct_status open_images(oct_feeder *f, const oct_port *inputs, const oct_preprocess *pre)
{
    if (f->count != 1)
        return oct_fail(OCT_ERR_CONTENT,
                        "'%s' holds images, which feed one input; the model has %d: give an .npz with one array per input",
                        f->set->path, f->count);
    OCT_TRY(oct_pixel_plan_make(&inputs[0], pre, &f->plan));
    if (f->plan.width == 0 || f->plan.height == 0)
        OCT_TRY(probe_size(f));
    const oct_pixel_plan *p = &f->plan;
    int64_t c = p->channels, h = p->height, w = p->width;
    f->feeds[0].shape = (oct_tensor){.dtype = inputs[0].dtype, .rank = 4, .dims = {0, p->nhwc ? h : c, p->nhwc ? w : h, p->nhwc ? c : w}};
    f->feeds[0].row_bytes = c * h * w * (int64_t)oct_dtype_size(inputs[0].dtype);
    return OCT_OK;
}

static void print_shape(oct_text *t, const int64_t *dims, int32_t rank)
{
    for (int32_t d = 0; d < rank; d++)
        oct_text_printf(t, dims[d] < 0 ? "%s?" : "%s%lld", d ? "x" : "", (long long)dims[d]);
}

static oct_status no_array(const oct_dataset *set, const char *port)
{
    oct_text t = {0};
    char *names = NULL;
    for (int64_t i = 0; i < set->arrays.count; i++)
        oct_text_printf(&t, "%s%s", i ? ", " : "", set->arrays.list[i].name);
    OCT_TRY(oct_text_finish(&t, &names));
    oct_status s = oct_fail_node(
        oct_fail(OCT_ERR_CONTENT, "'%s' has no array for the model's input '%s'; it has: %s", set->path, port, names), port);
    free(names);
    return s;
}

static oct_status wrong_shape(const oct_dataset *set, const oct_array *a, const oct_port *port)
{
    oct_text t = {0};
    char *text = NULL;
    oct_text_printf(&t, "'%s': array '%s' has shape ", set->path, a->name);
    print_shape(&t, a->header.dims, a->header.rank);
    oct_text_printf(&t, ", the model's input '%s' takes ", port->name);
    print_shape(&t, port->dims, port->rank);
    oct_text_printf(&t, " (first axis: samples)");
    OCT_TRY(oct_text_finish(&t, &text));
    oct_status s = oct_fail_node(oct_fail(OCT_ERR_CONTENT, "%s", text), port->name);
    free(text);
    return s;
}

static oct_status open_array(oct_feeder *f, int index, const oct_port *port)
{
    const oct_dataset *set = f->set;
    bool single = set->arrays.list[0].ordinal < 0; /* a plain .npy has no name */
    const oct_array *a = single ? &set->arrays.list[0] : oct_arrays_find(&set->arrays, port->name);
    if (!a)
        return no_array(set, port->name);
    oct_dtype from = a->header.dtype, to = port->dtype;
    bool converts = (from == OCT_F32 && to == OCT_F64) || (from == OCT_F64 && to == OCT_F32);
    if (from != to && !converts)
        return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "'%s': array '%s' is %s, the model's input '%s' takes %s", set->path,
                                      a->name, oct_dtype_name(from), port->name, oct_dtype_name(to)),
                             port->name);
    if (port->rank < 1 || a->header.rank != port->rank)
        return wrong_shape(set, a, port);
    for (int32_t d = 1; d < port->rank; d++)
        if (port->dims[d] >= 0 && port->dims[d] != a->header.dims[d])
            return wrong_shape(set, a, port);
    oct_feed *feed = &f->feeds[index];
    feed->source = from;
    feed->source_bytes = a->row_bytes;
    feed->row_bytes = a->row_bytes / (int64_t)oct_dtype_size(from) * (int64_t)oct_dtype_size(to);
    feed->shape = (oct_tensor){.dtype = to, .rank = a->header.rank};
    memcpy(feed->shape.dims, a->header.dims, sizeof feed->shape.dims);
    feed->shape.dims[0] = 0;
    return oct_row_reader_open(set->path, a, &feed->rows);
}

oct_status oct_feeder_open(oct_feeder *f, oct_dataset *set, const oct_port *inputs, int count, const oct_preprocess *pre)
{
    oct_status s = OCT_OK;
    f->set = set;
    if (count < 1)
        return oct_fail(OCT_ERR_USAGE, "the model has no input to feed");
    f->feeds = calloc((size_t)count, sizeof *f->feeds);
    if (!f->feeds)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a loader");
    f->count = count;
    if (set->kind != OCT_SET_ARRAYS)
        s = open_images(f, inputs, pre);
    else if (count > 1 && set->arrays.list[0].ordinal < 0)
        s = oct_fail(OCT_ERR_CONTENT, "'%s' is one array, the model has %d inputs: give an .npz with one array per input",
                     set->path, count);
    for (int i = 0; s == OCT_OK && set->kind == OCT_SET_ARRAYS && i < count; i++)
        s = open_array(f, i, &inputs[i]);
    return s == OCT_OK ? s : oct_fail_file(s, set->path);
}

oct_status oct_feeder_augment(oct_feeder *f, const oct_augment *a, uint64_t seed)
{
    OCT_TRY(oct_augment_check(a));
    if (f->set->kind == OCT_SET_ARRAYS)
        return oct_fail_file(oct_fail(OCT_ERR_USAGE, "'%s' holds arrays; images alone are augmented", f->set->path), f->set->path);
    f->augmented = true;
    f->augment = *a;
    f->seed = seed;
    for (int c = 0; c < 3 && c < f->plan.channels; c++) {
        const float mean = 255.0f * f->plan.pre.mean[f->plan.bgr ? f->plan.channels - 1 - c : c];
        f->fill[c] = (uint8_t)(mean > 0 ? fminf(mean, 255.0f) + 0.5f : 0.0f);
    }
    return OCT_OK;
}

oct_status oct_feeder_hold(oct_feeder *f)
{
    oct_held *held = NULL;
    OCT_TRY(oct_held_create(f, &held));
    f->held = held;
    return OCT_OK;
}

void oct_feeder_close(oct_feeder *f)
{
    oct_held_destroy(f->held);
    for (int i = 0; i < f->count; i++)
        oct_row_reader_close(f->feeds[i].rows);
    free(f->feeds);
    oct_archive_close(f->archive);
    *f = (oct_feeder){0};
}
