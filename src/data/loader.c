/* The prefetching loader: batches of model inputs in sample order, prepared by background threads.  DESIGN 8.
 *
 * A ring of sample slots stands between the threads and the caller. Threads claim the next samples in order and make them
 * in their slots; the caller copies finished slots into the batch, in order, leaving out faulty ones. What comes out
 * therefore depends on the data only, never on threads. Memory is the ring (a batch and a few slots a thread) and one
 * batch, whatever the set's size; with shuffle or mixup also the samples of a source that is read in order. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "data/feed.h"

#define MAX_THREADS    64
#define SLOTS_A_THREAD 4
#define MAX_CLAIM      16 /* samples that a thread claims at once, to keep the lock out of small images' way */

typedef struct slot {
    oct_status status;
    bool fatal; /* not a fault of this one sample: loading ends here */
    bool done;
    char *message;
    oct_feed_mix mix;
    uint8_t **rows; /* one per input, in the ring */
} slot;

typedef struct worker {
    oct_loader *loader;
    pthread_t thread;
    oct_feed_scratch scratch;
} worker;

struct oct_loader {
    oct_dataset *set;
    oct_feeder feeder;
    int64_t batch, delivered;
    uint64_t seed;
    int64_t *order; /* sample at each place of this epoch; NULL when not shuffled */
    slot *slots;
    uint8_t **rows; /* slot_count x inputs, what slots point into */
    int64_t slot_count, claim;
    void **rings;        /* one per input: slot_count rows */
    oct_tensor *tensors; /* one per input: the batch handed out */
    int64_t *labels, *label2, *samples;
    float *mix;
    oct_status failed; /* the first fatal error; later calls repeat it */
    char *failure;
    worker *workers;
    int thread_count, started;
    pthread_mutex_t reading; /* sources that are read in order; taken before lock */
    pthread_mutex_t lock;
    pthread_cond_t room, ready;
    int64_t claimed, finished, taken; /* samples below are: claimed; done without gap; given out */
    int64_t wanted;                   /* the caller sleeps until finished reaches this */
    bool stop;
};

/* The sample at place i of this epoch. */
static int64_t sample_at(const oct_loader *l, int64_t i) { return l->order ? l->order[i] : i; }

/* The sample at place i, read already or, where order does not matter, read here. */
static void make_sample(oct_loader *l, worker *w, int64_t i, oct_status s)
{
    slot *at = &l->slots[i % l->slot_count];
    if (s == OCT_OK)
        s = oct_feeder_fill(&l->feeder, sample_at(l, i), &w->scratch, at->rows, &at->mix, &at->fatal);
    at->status = s;
    if (s == OCT_OK)
        return;
    /* Rows of arrays cannot be left out one by one: the rest could not be read either. */
    at->fatal |= s == OCT_ERR_MEMORY || s == OCT_ERR_INTERNAL || l->set->kind == OCT_SET_ARRAYS;
    if (asprintf(&at->message, "%s: %s", oct_feeder_name(&l->feeder, sample_at(l, i)), oct_last_error()->message) < 0)
        at->message = NULL;
}

static void *work(void *arg)
{
    worker *w = arg;
    oct_loader *l = w->loader;
    bool in_order = oct_feeder_in_order(&l->feeder);
    for (;;) {
        if (in_order)
            pthread_mutex_lock(&l->reading);
        pthread_mutex_lock(&l->lock);
        while (!l->stop && l->claimed < l->set->count && l->claimed - l->taken >= l->slot_count)
            pthread_cond_wait(&l->room, &l->lock);
        int64_t lo = l->claimed, n = oct_min64(l->claim, oct_min64(l->set->count - lo, l->slot_count - (lo - l->taken)));
        if (l->stop)
            n = 0;
        l->claimed += n;
        pthread_mutex_unlock(&l->lock);
        oct_status s = OCT_OK;
        if (in_order) {
            if (n)
                s = oct_feeder_read(&l->feeder, lo, &w->scratch);
            pthread_mutex_unlock(&l->reading);
        }
        if (n == 0)
            return NULL;
        for (int64_t i = lo; i < lo + n; i++)
            make_sample(l, w, i, in_order ? s : oct_feeder_read(&l->feeder, sample_at(l, i), &w->scratch));
        pthread_mutex_lock(&l->lock);
        for (int64_t i = lo; i < lo + n; i++)
            l->slots[i % l->slot_count].done = true;
        while (l->finished < l->claimed && l->slots[l->finished % l->slot_count].done)
            l->slots[l->finished++ % l->slot_count].done = false;
        if (l->finished >= l->wanted)
            pthread_cond_signal(&l->ready);
        pthread_mutex_unlock(&l->lock);
    }
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static oct_status make_buffers(oct_loader *l)
{
    int inputs = l->feeder.count;
    int64_t bytes, cells;
    OCT_TRY(oct_size_mul(l->slot_count, inputs, &cells));
    l->slots = calloc((size_t)l->slot_count, sizeof *l->slots);
    l->rows = calloc((size_t)cells, sizeof *l->rows);
    l->rings = calloc((size_t)inputs, sizeof *l->rings);
    l->tensors = calloc((size_t)inputs, sizeof *l->tensors);
    l->labels = l->set->labelled ? calloc((size_t)l->batch, sizeof *l->labels) : NULL;
    l->samples = calloc((size_t)l->batch, sizeof *l->samples);
    const bool mixes = l->feeder.augment.mixup > 0;
    l->mix = mixes ? calloc((size_t)l->batch, sizeof *l->mix) : NULL;
    l->label2 = mixes && l->labels ? calloc((size_t)l->batch, sizeof *l->label2) : NULL;
    l->workers = calloc((size_t)l->thread_count, sizeof *l->workers);
    const bool labelled = !l->set->labelled || (l->labels && (!mixes || l->label2));
    if (!l->slots || !l->rows || !l->rings || !l->tensors || !l->workers || !l->samples || (mixes && !l->mix) || !labelled)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a loader of %lld samples a batch", (long long)l->batch);
    for (int i = 0; i < inputs; i++) {
        const oct_feed *f = &l->feeder.feeds[i];
        l->tensors[i] = f->shape;
        OCT_TRY(oct_size_mul(f->row_bytes, l->batch, &bytes));
        OCT_TRY(oct_alloc(bytes, false, &l->tensors[i].data));
        OCT_TRY(oct_size_mul(f->row_bytes, l->slot_count, &bytes));
        OCT_TRY(oct_alloc(bytes, false, &l->rings[i]));
        for (int64_t k = 0; k < l->slot_count; k++)
            l->rows[k * inputs + i] = (uint8_t *)l->rings[i] + k * f->row_bytes;
    }
    for (int64_t k = 0; k < l->slot_count; k++)
        l->slots[k].rows = l->rows + k * inputs;
    return OCT_OK;
}

static oct_status start_threads(oct_loader *l)
{
    for (; l->started < l->thread_count; l->started++) {
        worker *w = &l->workers[l->started];
        w->loader = l;
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            return oct_fail(OCT_ERR_MEMORY, "cannot start %d threads", l->thread_count);
    }
    return OCT_OK;
}

static oct_status repeat_failure(const oct_loader *l)
{
    return oct_fail_file(oct_fail(l->failed, "%s", l->failure ? l->failure : "out of memory"), l->set->path);
}

static void stop_threads(oct_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->started; i++)
        pthread_join(l->workers[i].thread, NULL);
    l->started = 0;
}

oct_status oct_loader_create(oct_dataset *set, const oct_port *inputs, int input_count, const oct_preprocess *pre, int64_t batch,
                             int threads, oct_loader **out)
{
    return oct_loader_create_with(set, inputs, input_count, pre, &(oct_loader_options){.batch = batch, .threads = threads}, out);
}

oct_status oct_loader_create_with(oct_dataset *set, const oct_port *inputs, int input_count, const oct_preprocess *pre,
                                  const oct_loader_options *o, oct_loader **out)
{
    oct_status s = OCT_OK;
    const int64_t batch = o->batch;
    const int threads = o->threads;
    if (batch < 1 || batch > INT32_MAX || threads < 0)
        return oct_fail(OCT_ERR_USAGE, "a loader with batch %lld and %d threads", (long long)batch, threads);
    oct_loader *l = calloc(1, sizeof *l);
    if (!l)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a loader");
    pthread_mutex_init(&l->reading, NULL);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->set = set;
    l->batch = oct_min64(batch, set->count);
    l->thread_count = (int)oct_min64(oct_min64(threads ? threads : usable_cores(), MAX_THREADS), set->count);
    l->slot_count = oct_min64(l->batch + SLOTS_A_THREAD * l->thread_count, set->count);
    l->seed = o->seed;
    OCT_TRY_DONE(oct_feeder_open(&l->feeder, set, inputs, input_count, pre));
    if (o->augment)
        OCT_TRY_DONE(oct_feeder_augment(&l->feeder, o->augment, o->seed));
    if (oct_feeder_in_order(&l->feeder) && (o->shuffle || l->feeder.augment.mixup > 0))
        OCT_TRY_DONE(oct_feeder_hold(&l->feeder));
    if (o->shuffle) {
        l->order = malloc((size_t)set->count * sizeof *l->order);
        if (!l->order)
            OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate an order of %lld samples", (long long)set->count);
        oct_augment_shuffle(l->seed, 0, set->count, l->order);
    }
    l->claim = oct_feeder_in_order(&l->feeder) ? 1 : oct_max64(1, oct_min64(MAX_CLAIM, l->slot_count / (2 * l->thread_count)));
    OCT_TRY_DONE(make_buffers(l));
    OCT_TRY_DONE(start_threads(l));
    *out = l;
    l = NULL;
done:
    oct_loader_destroy(l);
    return s;
}

oct_status oct_loader_start_epoch(oct_loader *l, int64_t epoch)
{
    if (epoch < 0)
        return oct_fail(OCT_ERR_USAGE, "epoch %lld: epochs count from 0", (long long)epoch);
    if (l->failed != OCT_OK)
        return repeat_failure(l);
    stop_threads(l);
    for (int64_t i = 0; i < l->slot_count; i++) { /* what was made ahead and not taken */
        free(l->slots[i].message);
        l->slots[i].message = NULL;
        l->slots[i].done = false;
    }
    l->delivered = l->claimed = l->finished = l->taken = l->wanted = 0;
    l->stop = false;
    l->feeder.epoch = epoch;
    if (l->order)
        oct_augment_shuffle(l->seed, epoch, l->set->count, l->order);
    l->failed = start_threads(l);
    return l->failed;
}

void oct_loader_destroy(oct_loader *l)
{
    if (!l)
        return;
    stop_threads(l);
    for (int i = 0; l->workers && i < l->thread_count; i++)
        oct_feed_scratch_free(&l->workers[i].scratch);
    for (int64_t i = 0; l->slots && i < l->slot_count; i++)
        free(l->slots[i].message);
    for (int i = 0; i < l->feeder.count; i++) {
        if (l->rings)
            oct_free(l->rings[i]);
        if (l->tensors)
            oct_free(l->tensors[i].data);
    }
    oct_feeder_close(&l->feeder);
    free(l->slots);
    free(l->rows);
    free(l->rings);
    free(l->tensors);
    free(l->labels);
    free(l->label2);
    free(l->samples);
    free(l->mix);
    free(l->order);
    free(l->workers);
    free(l->failure);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->reading);
    free(l);
}

/* The finished sample of place i into place n of the batch, true; or its fault into the set's list, false. */
static bool take_sample(oct_loader *l, int64_t i, int64_t n)
{
    slot *at = &l->slots[i % l->slot_count];
    const int64_t sample = sample_at(l, i);
    if (at->status == OCT_OK) {
        for (int p = 0; p < l->feeder.count; p++) {
            int64_t bytes = l->feeder.feeds[p].row_bytes;
            memcpy((uint8_t *)l->tensors[p].data + n * bytes, at->rows[p], (size_t)bytes);
        }
        l->samples[n] = sample;
        if (l->labels)
            l->labels[n] = oct_set_label(l->set, sample);
        if (l->label2)
            l->label2[n] = oct_set_label(l->set, at->mix.partner);
        if (l->mix)
            l->mix[n] = at->mix.weight;
        return true;
    }
    const char *text = at->message ? at->message : "out of memory";
    l->failed = oct_set_add_fault(l->set, sample, text);
    if (l->failed == OCT_OK && (at->fatal || l->set->strict)) {
        l->failed = at->status;
        l->failure = strdup(text);
    }
    free(at->message);
    at->message = NULL;
    return false;
}

oct_status oct_loader_next(oct_loader *l, oct_batch *out)
{
    int64_t n = 0;
    while (l->failed == OCT_OK && n < l->batch && l->taken < l->set->count) {
        pthread_mutex_lock(&l->lock);
        int64_t goal = oct_min64(l->taken + l->batch - n, l->set->count);
        l->wanted = goal;
        while (l->finished < goal)
            pthread_cond_wait(&l->ready, &l->lock);
        pthread_mutex_unlock(&l->lock);
        for (int64_t i = l->taken; i < goal && l->failed == OCT_OK; i++)
            n += take_sample(l, i, n);
        if (l->failed != OCT_OK)
            break; /* slots not looked at keep their messages: no worker may fill them again */
        pthread_mutex_lock(&l->lock);
        l->taken = goal;
        pthread_cond_broadcast(&l->room);
        pthread_mutex_unlock(&l->lock);
    }
    if (l->failed != OCT_OK)
        return repeat_failure(l);
    if (n == 0 && l->delivered == 0)
        return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "data set '%s': none of its %lld images can be read; the first: %s",
                                      l->set->path, (long long)l->set->count, oct_dataset_get_fault(l->set, 0)),
                             l->set->path);
    for (int p = 0; p < l->feeder.count; p++)
        l->tensors[p].dims[0] = n;
    *out = (oct_batch){.count = n, .first = l->delivered, .inputs = l->tensors, .labels = l->labels, .samples = l->samples, .mix = l->mix, .label2 = l->label2};
    l->delivered += n;
    return OCT_OK;
}
