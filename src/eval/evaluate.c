/* Accuracy of one or two models over a data set, and the verdict on their difference.  DESIGN 4.7.
 *
 * Streams: one batch of samples and its output rows at a time, so memory does not depend on the number of samples. Both
 * subjects answer every sample before the next one is read. Statistics: eval/stats.c; running: eval/runner.c. */
#include <math.h>
#include <string.h>

#include "eval/runner.h"
#include "eval/stats.h"

#define DEFAULT_BATCH 8
#define COMMON_BATCH  64 /* largest least common multiple of two subjects' batches that is read at once */

typedef struct side {
    oct_runner *runner;
    oct_loader *loader;    /* NULL for b when it can share a's samples */
    float *rows;           /* batch * row */
    const oct_eval_subject *subject;
    int64_t top1, top5;
} side;

typedef struct score {
    side sides[2];
    int side_count;
    int64_t batch, n, better, worse, same;
    bool labelled, comparable;
    oct_likeness likeness;
} score;

static int64_t common_batch(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        int64_t r = x % y;
        x = y;
        y = r;
    }
    int64_t lcm = a / x * b;
    return lcm <= COMMON_BATCH ? lcm : oct_max64(a, b);
}

static bool same_ports(const oct_port *a, const oct_port *b, int count)
{
    for (int i = 0; i < count; i++) {
        if (a[i].dtype != b[i].dtype || a[i].rank != b[i].rank || a[i].scale != b[i].scale || a[i].zero != b[i].zero)
            return false;
        for (int k = 1; k < a[i].rank; k++)
            if (a[i].dims[k] != b[i].dims[k])
                return false;
    }
    return true;
}

static bool same_preprocess(const oct_preprocess *a, const oct_preprocess *b)
{
    if (!a || !b)
        return a == b;
    return a->resize == b->resize && a->resize_w == b->resize_w && a->crop_h == b->crop_h && a->crop_w == b->crop_w &&
           memcmp(a->mean, b->mean, sizeof a->mean) == 0 && memcmp(a->std, b->std, sizeof a->std) == 0 && a->layout == b->layout &&
           a->color == b->color;
}

/* B reads the set through a loader of its own only when it wants other numbers for the same sample. */
static bool can_share(const score *c)
{
    int na, nb;
    const oct_port *a = oct_runner_inputs(c->sides[0].runner, &na), *b = oct_runner_inputs(c->sides[1].runner, &nb);
    return na == nb && same_ports(a, b, na) && same_preprocess(c->sides[0].subject->pre, c->sides[1].subject->pre);
}

static oct_status open_sides(score *c, oct_dataset *set, const oct_eval_options *o)
{
    for (int i = 0; i < c->side_count; i++) {
        side *x = &c->sides[i];
        OCT_TRY(oct_runner_create(x->subject, o->threads, o->batch > 0 ? o->batch : DEFAULT_BATCH, &x->runner));
    }
    c->batch = oct_runner_batch(c->sides[0].runner);
    if (c->side_count > 1)
        c->batch = common_batch(c->batch, oct_runner_batch(c->sides[1].runner));
    for (int i = 0; i < c->side_count; i++) {
        side *x = &c->sides[i];
        int count;
        const oct_port *ports = oct_runner_inputs(x->runner, &count);
        int64_t elements, bytes;
        OCT_TRY(oct_size_mul(c->batch, oct_runner_row(x->runner), &elements));
        OCT_TRY(oct_size_mul(elements, sizeof(float), &bytes));
        OCT_TRY(oct_alloc(bytes, false, (void **)&x->rows));
        if (i == 0 || !can_share(c))
            OCT_TRY(oct_loader_create(set, ports, count, x->subject->pre, c->batch, o->threads, &x->loader));
    }
    return OCT_OK;
}

/* The class that a sample is given, and whether the label is first and among the first five. */
static oct_status judge(const side *x, int64_t sample, const int64_t *labels, int64_t *answer, bool *first, bool *five)
{
    int64_t row = oct_runner_row(x->runner);
    const float *v = x->rows + sample * row;
    bool is_class = oct_runner_gives_class(x->runner);
    *answer = is_class ? (int64_t)v[0] : oct_arg_max(v, row);
    if (!labels)
        return OCT_OK;
    int64_t label = labels[sample];
    if (label < 0 || (!is_class && label >= row))
        return oct_fail(OCT_ERR_CONTENT, "label %lld of a sample is outside the %lld classes of '%s'", (long long)label, (long long)row,
                        x->subject->name ? x->subject->name : "the model");
    int64_t rank = is_class ? (*answer == label ? 0 : 5) : oct_rank_of(v, row, label);
    *first = rank == 0;
    *five = rank < 5;
    return OCT_OK;
}

static oct_status count_batch(score *c, const oct_batch *b)
{
    for (int64_t i = 0; i < b->count; i++) {
        int64_t answer[2] = {0, 0};
        bool first[2] = {false, false}, five[2] = {false, false};
        for (int k = 0; k < c->side_count; k++) {
            OCT_TRY(judge(&c->sides[k], i, b->labels, &answer[k], &first[k], &five[k]));
            c->sides[k].top1 += first[k];
            c->sides[k].top5 += five[k];
        }
        c->better += !first[0] && first[1];
        c->worse += first[0] && !first[1];
        c->same += answer[0] == answer[1];
    }
    if (c->side_count > 1 && c->comparable)
        oct_likeness_add(&c->likeness, c->sides[0].rows, c->sides[1].rows, b->count * oct_runner_row(c->sides[0].runner));
    c->n += b->count;
    return OCT_OK;
}

static oct_status read_all(score *c, oct_dataset *set, const oct_eval_options *o)
{
    int64_t total = oct_dataset_count(set);
    for (;;) {
        oct_batch b[2];
        for (int k = 0; k < c->side_count; k++) {
            side *x = &c->sides[k], *source = x->loader ? x : &c->sides[0];
            if (x->loader)
                OCT_TRY(oct_loader_next(x->loader, &b[k]));
            else
                b[k] = b[0];
            if (b[k].count != b[0].count)
                return oct_fail(OCT_ERR_INTERNAL, "two loaders of one data set disagree");
            if (b[k].count == 0)
                continue;
            int ports;
            const oct_port *p = oct_runner_inputs(source->runner, &ports);
            OCT_TRY(oct_runner_run(x->runner, p, b[k].inputs, ports, b[k].count, x->rows));
        }
        if (b[0].count == 0)
            return OCT_OK;
        OCT_TRY(count_batch(c, &b[0]));
        if (o->progress)
            o->progress(o->user, c->n, total);
    }
}

/* What all processes have counted. Counts below 2^53 are exact as doubles. */
static oct_status join(score *c, const oct_peers *peers)
{
    oct_likeness *l = &c->likeness;
    int64_t *counts[] = {&c->n, &c->better, &c->worse, &c->same, &c->sides[0].top1, &c->sides[0].top5, &c->sides[1].top1, &c->sides[1].top5};
    double *sums[] = {&l->aa, &l->bb, &l->ab, &l->ee};
    enum { COUNTS = sizeof counts / sizeof *counts, SUMS = sizeof sums / sizeof *sums };
    double all[COUNTS + SUMS];
    if (!peers)
        return OCT_OK;
    for (int i = 0; i < COUNTS; i++)
        all[i] = (double)*counts[i];
    for (int i = 0; i < SUMS; i++)
        all[COUNTS + i] = *sums[i];
    OCT_TRY(peers->sum_double(peers->user, all, COUNTS + SUMS));
    for (int i = 0; i < COUNTS; i++)
        *counts[i] = (int64_t)all[i];
    for (int i = 0; i < SUMS; i++)
        *sums[i] = all[COUNTS + i];
    return OCT_OK;
}

static double percent(int64_t part, int64_t whole) { return whole ? 100.0 * (double)part / (double)whole : NAN; }

static void conclude(const score *c, oct_accuracy acc[2], oct_verdict *verdict)
{
    for (int k = 0; k < c->side_count; k++) {
        const side *x = &c->sides[k];
        acc[k] = (oct_accuracy){c->n, c->labelled ? percent(x->top1, c->n) : NAN, c->labelled ? percent(x->top5, c->n) : NAN};
    }
    if (c->side_count < 2 || !verdict)
        return;
    *verdict = (oct_verdict){.mcnemar_p = NAN, .ci95 = {NAN, NAN}, .agree = percent(c->same, c->n), .sqnr_db = NAN, .cosine = NAN};
    if (c->labelled) {
        verdict->flips_better = c->better;
        verdict->flips_worse = c->worse;
        verdict->mcnemar_p = oct_mcnemar_p(c->better, c->worse);
        double interval[2];
        oct_paired_interval(c->better, c->worse, c->n, interval);
        verdict->ci95[0] = 100 * interval[0];
        verdict->ci95[1] = 100 * interval[1];
    }
    if (c->comparable) {
        verdict->sqnr_db = oct_likeness_sqnr_db(&c->likeness);
        verdict->cosine = oct_likeness_cosine(&c->likeness);
    }
}

oct_status oct_evaluate(oct_dataset *set, const oct_eval_subject *a, const oct_eval_subject *b, const oct_eval_options *opts,
                        oct_accuracy acc[2], oct_verdict *verdict)
{
    oct_status s = OCT_OK;
    oct_eval_options o = opts ? *opts : (oct_eval_options){0};
    score c = {.sides = {{.subject = a}, {.subject = b}}, .side_count = b ? 2 : 1, .labelled = oct_dataset_has_labels(set)};
    if (o.batch < 0)
        OCT_FAIL_DONE(OCT_ERR_USAGE, "a batch of %lld samples", (long long)o.batch);
    OCT_TRY_DONE(open_sides(&c, set, &o));
    c.comparable = b && oct_runner_row(c.sides[0].runner) == oct_runner_row(c.sides[1].runner);
    OCT_TRY_DONE(read_all(&c, set, &o));
    OCT_TRY_DONE(join(&c, o.peers));
    if (c.n == 0)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "the data set has no sample that can be read");
    conclude(&c, acc, verdict);
done:
    for (int k = 0; k < 2; k++) {
        oct_loader_destroy(c.sides[k].loader);
        oct_runner_destroy(c.sides[k].runner);
        oct_free(c.sides[k].rows);
    }
    return s;
}
