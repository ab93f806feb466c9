/* Samples held in memory: one block with all bytes as the source has them (encoded images, rows of arrays), one after the other.
 *
 * Archives and arrays cannot be read in random order at a bearable price, and shuffling and mixup need that. Encoded images are
 * small; what they decode to is never held. */
#include "data/hold.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

typedef struct item {
    int64_t offset, size;
    oct_status status;
    char *message; /* with an error */
} item;

struct oct_held {
    uint8_t *bytes;
    int64_t used, capacity;
    item *items;
    int64_t count;
};

static oct_status hold_sample(oct_held *h, oct_feeder *f, int64_t i, oct_feed_scratch *s)
{
    item *it = &h->items[i];
    it->status = oct_feeder_read(f, i, s);
    if (it->status != OCT_OK) {
        /* What the loader calls fatal ends here; the rest is a fault of this sample, told in its turn. */
        if (it->status == OCT_ERR_MEMORY || it->status == OCT_ERR_INTERNAL || f->set->kind == OCT_SET_ARRAYS)
            return it->status;
        it->message = strdup(oct_last_error()->message);
        return it->message ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot allocate a message");
    }
    int64_t need;
    OCT_TRY(oct_size_add(h->used, s->size, &need));
    OCT_TRY(oct_grow((void **)&h->bytes, &h->capacity, need, 1));
    memcpy(h->bytes + h->used, s->bytes, (size_t)s->size);
    it->offset = h->used;
    it->size = s->size;
    h->used = need;
    return OCT_OK;
}

oct_status oct_held_create(oct_feeder *f, oct_held **out)
{
    oct_status s = OCT_OK;
    oct_feed_scratch scratch = {0};
    oct_held *h = calloc(1, sizeof *h);
    if (!h)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a loader");
    h->count = f->set->count;
    h->items = calloc((size_t)h->count, sizeof *h->items);
    if (!h->items)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate a loader of %lld samples", (long long)h->count);
    for (int64_t i = 0; i < h->count; i++)
        OCT_TRY_DONE(hold_sample(h, f, i, &scratch));
    *out = h;
    h = NULL;
done:
    oct_feed_scratch_free(&scratch);
    oct_held_destroy(h);
    return s == OCT_OK ? s : oct_fail_file(s, f->set->path);
}

void oct_held_destroy(oct_held *h)
{
    if (!h)
        return;
    for (int64_t i = 0; h->items && i < h->count; i++)
        free(h->items[i].message);
    free(h->items);
    free(h->bytes);
    free(h);
}

oct_status oct_held_read(const oct_held *h, int64_t sample, oct_feed_scratch *s)
{
    const item *it = &h->items[sample];
    if (it->status != OCT_OK)
        return oct_fail(it->status, "%s", it->message);
    OCT_TRY(oct_grow((void **)&s->bytes, &s->capacity, it->size + 1, 1));
    memcpy(s->bytes, h->bytes + it->offset, (size_t)it->size);
    s->size = it->size;
    return OCT_OK;
}
