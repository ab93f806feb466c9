/* The state of a run kept: in memory for rollbacks, in a file for going on after a stop or a crash. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "train/checkpoint.h"
#include "train/run.h"

/* --- snapshots --- */

typedef struct parts {
    oct_tape_block block;
    oct_optimizer_state optimizer;
    oct_average_state average;
} parts;

static parts parts_of(const oct_run *r)
{
    parts p = {0};
    oct_tape_get_block(oct_crew_tape(r->crew), &p.block);
    oct_optimizer_get_state(r->optimizer, &p.optimizer);
    if (r->average)
        oct_average_get_state(r->average, &p.average);
    return p;
}

static oct_status make_room(oct_snapshot *s, const parts *p)
{
    if (s->values)
        return OCT_OK;
    OCT_TRY(oct_alloc(p->block.room * (int64_t)sizeof(float), true, (void **)&s->values));
    for (int k = 0; k < p->optimizer.slots; k++)
        OCT_TRY(oct_alloc(p->optimizer.count * (int64_t)sizeof(float), true, (void **)&s->slot[k]));
    return p->average.count ? oct_alloc(p->average.count * (int64_t)sizeof(float), true, (void **)&s->average) : OCT_OK;
}

static void copy(float *to, const float *from, int64_t count)
{
    if (to && from)
        memcpy(to, from, (size_t)count * sizeof *to);
}

oct_status oct_run_keep(oct_run *r)
{
    const parts p = parts_of(r);
    oct_snapshot *s = &r->good;
    OCT_TRY(make_room(s, &p));
    copy(s->values, p.block.values, p.block.room);
    for (int k = 0; k < p.optimizer.slots; k++)
        copy(s->slot[k], p.optimizer.slot[k], p.optimizer.count);
    copy(s->average, p.average.values, p.average.count);
    s->steps = *p.optimizer.steps;
    s->updates = p.average.updates ? *p.average.updates : 0;
    return OCT_OK;
}

void oct_run_go_back(oct_run *r)
{
    const parts p = parts_of(r);
    const oct_snapshot *s = &r->good;
    copy(p.block.values, s->values, p.block.room);
    for (int k = 0; k < p.optimizer.slots; k++)
        copy(p.optimizer.slot[k], s->slot[k], p.optimizer.count);
    copy(p.average.values, s->average, p.average.count);
    *p.optimizer.steps = s->steps;
    if (p.average.updates)
        *p.average.updates = s->updates;
}

void oct_snapshot_free(oct_snapshot *s)
{
    oct_free(s->values);
    oct_free(s->slot[0]);
    oct_free(s->slot[1]);
    oct_free(s->average);
}

void oct_run_set_best(oct_run *r, void *bytes, int64_t size)
{
    free(r->best);
    r->best = bytes;
    r->best_size = size;
}

/* --- checkpoints --- */

enum { ITEMS = 14 };

/* The arrays of a checkpoint where they lie; both directions use this list. */
static int list(oct_run *r, const parts *p, oct_checkpoint_item items[ITEMS])
{
    const int64_t f = (int64_t)sizeof(float), optimizer = p->optimizer.count * f, average = p->average.count * f;
    int n = 0;
    items[n++] = (oct_checkpoint_item){"progress", &r->now, sizeof r->now};
    items[n++] = (oct_checkpoint_item){"values", p->block.values, p->block.room * f};
    items[n++] = (oct_checkpoint_item){"good values", r->good.values, p->block.room * f};
    items[n++] = (oct_checkpoint_item){"optimizer steps", p->optimizer.steps, sizeof *p->optimizer.steps};
    items[n++] = (oct_checkpoint_item){"good optimizer steps", &r->good.steps, sizeof r->good.steps};
    items[n++] = (oct_checkpoint_item){"optimizer 0", p->optimizer.slot[0], optimizer};
    items[n++] = (oct_checkpoint_item){"good optimizer 0", r->good.slot[0], optimizer};
    if (p->optimizer.slots > 1) {
        items[n++] = (oct_checkpoint_item){"optimizer 1", p->optimizer.slot[1], optimizer};
        items[n++] = (oct_checkpoint_item){"good optimizer 1", r->good.slot[1], optimizer};
    }
    if (p->average.values) {
        items[n++] = (oct_checkpoint_item){"average", p->average.values, average};
        items[n++] = (oct_checkpoint_item){"average updates", p->average.updates, sizeof *p->average.updates};
        items[n++] = (oct_checkpoint_item){"good average", r->good.average, average};
        items[n++] = (oct_checkpoint_item){"good average updates", &r->good.updates, sizeof r->good.updates};
    }
    return n;
}

static oct_status path_of(const oct_run *r, char **out)
{
    oct_text t = {0};
    oct_text_printf(&t, "%s/checkpoint.oct", r->opts.checkpoint_dir);
    return oct_text_finish(&t, out);
}

oct_status oct_run_save(oct_run *r)
{
    oct_status s = OCT_OK;
    const parts p = parts_of(r);
    const double before = r->now.seconds;
    oct_checkpoint_item items[ITEMS + 2];
    char *path = NULL;
    if (!r->opts.checkpoint_dir || !oct_run_leads(r))
        return OCT_OK;
    if (mkdir(r->opts.checkpoint_dir, 0777) != 0 && errno != EEXIST)
        return oct_fail_file(oct_fail(OCT_ERR_IO, "cannot make the folder '%s': %s", r->opts.checkpoint_dir, strerror(errno)),
                             r->opts.checkpoint_dir);
    OCT_TRY(path_of(r, &path));
    r->now.seconds = oct_run_seconds(r);
    int n = list(r, &p, items);
    items[n++] = (oct_checkpoint_item){"run", r->fingerprint, (int64_t)strlen(r->fingerprint)};
    items[n++] = (oct_checkpoint_item){"best", r->best, r->best_size};
    s = oct_checkpoint_write(path, items, n);
    r->now.seconds = before;
    if (s == OCT_OK)
        oct_run_tell(r, (oct_train_event){.kind = OCT_TRAIN_CHECKPOINT, .text = path});
    free(path);
    return s;
}

static oct_status check_run(const oct_run *r, const oct_checkpoint *c, const char *path)
{
    const void *run;
    int64_t size;
    if (!oct_checkpoint_find(c, "run", &run, &size) || size != (int64_t)strlen(r->fingerprint) ||
        memcmp(run, r->fingerprint, (size_t)size) != 0)
        return oct_fail_file(
            oct_fail(OCT_ERR_CONTENT, "the checkpoint '%s' belongs to another model, other data or other options", path), path);
    return OCT_OK;
}

static oct_status take(oct_run *r, const char *path)
{
    oct_status s = OCT_OK;
    oct_checkpoint *c = NULL;
    const void *best;
    void *mine;
    int64_t size;
    const parts p = parts_of(r);
    oct_checkpoint_item items[ITEMS];
    OCT_TRY_DONE(oct_checkpoint_open(path, &c));
    OCT_TRY_DONE(check_run(r, c, path));
    const int n = list(r, &p, items);
    for (int i = 0; i < n; i++)
        OCT_TRY_DONE(oct_checkpoint_take(c, items[i].name, items[i].data, items[i].bytes));
    if (!oct_checkpoint_find(c, "best", &best, &size))
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "the checkpoint '%s' holds no model", path);
    if (!(mine = malloc((size_t)size + 1)))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for a model of %lld bytes", (long long)size);
    memcpy(mine, best, (size_t)size);
    oct_run_set_best(r, mine, size);
done:
    oct_checkpoint_close(c);
    return s;
}

oct_status oct_run_resume(oct_run *r, bool *found)
{
    char *path = NULL;
    oct_status s = OCT_OK;
    *found = false;
    OCT_TRY(path_of(r, &path));
    OCT_TRY_DONE(oct_run_keep(r)); /* makes room */
    if (!oct_path_exists(path))
        goto done;
    OCT_TRY_DONE(take(r, path));
    r->started = oct_now();
    *found = true;
    oct_run_tell(r, (oct_train_event){.kind = OCT_TRAIN_RESUMED, .text = path});
done:
    free(path);
    return s;
}
