/* The training loop: steps, epochs, evaluation of what would be written, the way back when the loss is lost.  DESIGN 7.3. */
#include <octavo/train.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "onnx/model.h"
#include "train/agree.h"
#include "train/run.h"

#define PI 3.14159265358979323846
enum { WINDOW = 20, FEW = 5, MOST_ROLLBACKS = 8 };

/* --- events --- */

void oct_run_tell(oct_run *r, oct_train_event e)
{
    if (!r->opts.event || !oct_run_leads(r))
        return;
    e.epoch = r->now.epoch;
    e.step = r->now.step;
    e.epochs = r->opts.epochs;
    e.steps = r->opts.epochs * r->steps_per_epoch;
    e.seconds = oct_run_seconds(r);
    if (e.kind != OCT_TRAIN_STARTED && e.kind != OCT_TRAIN_EPOCH)
        e.val_top1 = NAN;
    if (e.scale_count) {
        e.scale_names = r->scale_names;
        e.scales = r->scales;
    }
    r->opts.event(r->opts.user, &e);
}

/* --- evaluation --- */

static oct_status score(const oct_run *r, const oct_model *model, double *top1)
{
    const oct_eval_options o = {.threads = r->opts.threads, .batch = 16};
    const oct_eval_subject mine = {.name = "the trained model", .model = model, .pre = r->pre},
                           teacher = {.name = "the float model", .model = r->model, .pre = r->pre};
    oct_accuracy acc[2];
    oct_verdict verdict;
    if (r->labelled)
        OCT_TRY(oct_evaluate(r->held, &mine, NULL, &o, acc, NULL));
    else
        OCT_TRY(oct_evaluate(r->held, &teacher, &mine, &o, acc, &verdict));
    *top1 = r->labelled ? acc[0].top1 : verdict.agree;
    return OCT_OK;
}

/* BatchNormalization's statistics anew, as the network is now: means over some batches without augmentation. */
static oct_status reestimate(oct_run *r)
{
    oct_status s = OCT_OK;
    oct_loader *loader = NULL;
    oct_tape_block b;
    double *sum = NULL;
    int64_t batches = 0;
    oct_batch batch;
    oct_tape_get_block(oct_crew_tape(r->crew), &b);
    const int64_t count = b.room - b.trained;
    if (r->opts.reestimate_bn == 0 || count == 0)
        return OCT_OK;
    OCT_TRY_DONE(oct_alloc((count + 1) * (int64_t)sizeof *sum, true, (void **)&sum));
    OCT_TRY_DONE(oct_run_loader(r, true, &loader));
    for (; batches < r->opts.reestimate_bn; batches++) {
        OCT_TRY_DONE(oct_loader_next(loader, &batch));
        if (batch.count < r->batch)
            break;
        OCT_TRY_DONE(oct_crew_step(r->crew, &batch, true, false, NULL));
        for (int64_t i = 0; i < count; i++)
            sum[i] += (double)b.grads[b.trained + i];
    }
    for (int64_t i = 0; batches > 0 && i < count; i++)
        b.values[b.trained + i] = (float)(sum[i] / (double)batches);
done:
    oct_loader_destroy(loader);
    oct_free(sum);
    return s;
}

/* Evaluates the model as it would be written; the best one is kept. Rank 0 judges for all. */
static oct_status judge(oct_run *r, int64_t epoch, double *top1)
{
    oct_status s = OCT_OK;
    oct_model *model = NULL;
    const oct_peers *peers = r->opts.peers;
    const char *name;
    if (r->average)
        oct_average_swap(r->average);
    if (epoch > 0)
        OCT_TRY_DONE(reestimate(r));
    OCT_TRY_DONE(oct_qat_export(r->qat, oct_crew_tape(r->crew), &model));
    if (oct_run_leads(r))
        OCT_TRY_DONE(score(r, model, top1));
    if (peers)
        OCT_TRY_DONE(peers->send(peers->user, top1, sizeof *top1));
    if (epoch == 0)
        r->now.start_top1 = *top1;
    if (epoch == 0 || *top1 > r->now.best_top1) {
        void *bytes;
        int64_t size;
        OCT_TRY_DONE(oct_model_save_memory(model, &bytes, &size));
        oct_run_set_best(r, bytes, size);
        r->now.best_top1 = *top1;
        r->now.best_epoch = epoch;
    }
    for (int64_t i = 0; i < r->scale_count; i++) {
        oct_qat_scale(r->qat, oct_crew_tape(r->crew), i, &name, &r->scales[i]);
        r->scale_names[i] = name;
    }
done:
    if (r->average && oct_average_is_swapped(r->average))
        oct_average_swap(r->average);
    oct_model_destroy(model);
    return s;
}

/* Do the last state's codes equal the engine's? Asked on one batch of training data. */
static oct_status verify(oct_run *r, oct_agreement *sum)
{
    oct_status s = OCT_OK;
    oct_loader *loader = NULL;
    oct_agree *agree = NULL;
    oct_tape *t = oct_crew_tape(r->crew);
    oct_tape_value x;
    oct_batch b;
    if (r->opts.float_only || !oct_run_leads(r))
        return OCT_OK;
    oct_tape_set_training(t, false);
    OCT_TRY_DONE(oct_agree_create(r->qat, t, &agree));
    OCT_TRY_DONE(oct_run_loader(r, true, &loader));
    OCT_TRY_DONE(oct_loader_next(loader, &b));
    for (int64_t m = 0; m < b.count / r->micro; m++) {
        for (int64_t k = 0; oct_tape_input(t, k, &x); k++)
            memcpy(x.data, (const float *)b.inputs[k].data + m * x.count, (size_t)x.count * sizeof *x.data);
        OCT_TRY_DONE(oct_tape_forward(t));
        OCT_TRY_DONE(oct_agree_add(agree, t, sum));
    }
done:
    oct_loader_destroy(loader);
    oct_agree_destroy(agree);
    return s;
}

/* --- steps --- */

static bool normalizes(const oct_run *r)
{
    return r->opts.freeze_bn < 0 || r->now.epoch < r->opts.freeze_bn;
}

/* Above this the loss of some steps says that the state is lost: far above that of the first step, which nothing had changed; and
 * for a network that knew more than nothing, near to a guess. */
static double loss_limit(const oct_run *r)
{
    const double far = 3 * r->now.first_loss + 1, guess = log((double)oct_crew_classes(r->crew));
    return r->opts.loss == OCT_LOSS_CROSS_ENTROPY && r->now.first_loss < 0.6 * guess
               ? fmin(far, fmax(0.9 * guess, 1.2 * r->now.first_loss))
               : far;
}

static bool is_lost(const oct_run *r, double loss, bool applied)
{
    const oct_progress *p = &r->now;
    if (!isfinite(loss) || !applied)
        return true;
    return p->window_count >= FEW && p->window / (double)p->window_count > loss_limit(r);
}

static void watch(oct_run *r, double loss)
{
    oct_progress *p = &r->now;
    if (p->window_count == WINDOW) {
        p->window = 0;
        p->window_count = 0;
    }
    p->window += loss;
    p->window_count++;
    if (!isfinite(p->first_loss))
        p->first_loss = loss;
    p->epoch_loss += loss;
    p->epoch_count++;
}

static oct_status roll_back(oct_run *r, double loss)
{
    char text[160];
    oct_run_go_back(r);
    r->now.rollbacks++;
    r->now.rate_factor /= 4;
    r->now.window = 0;
    r->now.window_count = 0;
    snprintf(text, sizeof text, "the loss reached %g: back to the last good state, at %g of the learning rate", loss,
             r->now.rate_factor);
    oct_run_tell(
        r, (oct_train_event){.kind = OCT_TRAIN_ROLLBACK, .loss = loss, .lr = r->now.rate_factor * r->opts.rate, .text = text});
    return OCT_OK;
}

static oct_status learn(oct_run *r, const oct_batch *batch)
{
    const double began = oct_now(), rate = oct_schedule_rate(&r->schedule, r->now.step) * r->now.rate_factor;
    oct_optimizer_report report = {.applied = false};
    oct_tape *t = oct_crew_tape(r->crew);
    double loss;
    oct_crew_set_dampening(r->crew, r->opts.dampening * 0.5 *
                                        (1 - cos(PI * (double)r->now.step / (double)(r->steps_per_epoch * r->opts.epochs))));
    OCT_TRY(oct_crew_step(r->crew, batch, normalizes(r), true, &loss));
    if (isfinite(loss))
        OCT_TRY(oct_optimizer_step(r->optimizer, rate, &report));
    r->now.step++;
    if (is_lost(r, loss, report.applied))
        return roll_back(r, loss);
    if (normalizes(r))
        oct_tape_update_statistics(t);
    OCT_TRY(oct_qat_settle(r->qat, t));
    if (r->average)
        OCT_TRY(oct_average_update(r->average));
    watch(r, loss);
    if (r->now.step % oct_max64(WINDOW, r->steps_per_epoch / 4) == 0 &&
        r->now.window < 0.7 * loss_limit(r) * (double)r->now.window_count)
        OCT_TRY(oct_run_keep(r));
    oct_run_tell(r, (oct_train_event){
                        .kind = OCT_TRAIN_STEP, .loss = loss, .lr = rate, .images_per_s = (double)r->batch / (oct_now() - began)});
    return OCT_OK;
}

/* Every process stops when the first is told to. */
static oct_status asked_to_stop(const oct_run *r, bool *stop)
{
    const oct_peers *p = r->opts.peers;
    char flag = r->opts.stop && *r->opts.stop;
    if (p)
        OCT_TRY(p->send(p->user, &flag, 1));
    *stop = flag != 0;
    return OCT_OK;
}

/* From the place in the epoch that `now` says to its end, or to where it is stopped. */
static oct_status run_epoch(oct_run *r, bool *stopped)
{
    oct_batch batch;
    const int64_t from = r->now.step % r->steps_per_epoch;
    OCT_TRY(oct_loader_start_epoch(r->loader, r->now.epoch));
    for (int64_t i = 0; i < r->steps_per_epoch && !*stopped; i++) {
        OCT_TRY(oct_loader_next(r->loader, &batch));
        if (batch.count < r->batch) { /* samples that cannot be read shorten an epoch */
            r->now.step += r->steps_per_epoch - i;
            break;
        }
        if (i < from)
            continue;
        OCT_TRY(learn(r, &batch));
        if (r->now.rollbacks >= MOST_ROLLBACKS)
            return OCT_OK;
        OCT_TRY(asked_to_stop(r, stopped));
        if (r->opts.checkpoint_every > 0 && r->now.step % r->opts.checkpoint_every == 0 && r->now.step % r->steps_per_epoch != 0)
            OCT_TRY(oct_run_save(r));
    }
    return OCT_OK;
}

static oct_status end_epoch(oct_run *r)
{
    double top1;
    const double loss = r->now.epoch_count ? r->now.epoch_loss / (double)r->now.epoch_count : NAN;
    r->now.epoch++;
    OCT_TRY(judge(r, r->now.epoch, &top1));
    const double rate = oct_schedule_rate(&r->schedule, r->now.step - 1) * r->now.rate_factor;
    oct_run_tell(r, (oct_train_event){.kind = OCT_TRAIN_EPOCH,
                                      .loss = loss,
                                      .lr = rate,
                                      .images_per_s = NAN,
                                      .val_top1 = top1,
                                      .scale_count = r->scale_count});
    r->now.epoch_loss = 0;
    r->now.epoch_count = 0;
    return oct_run_save(r);
}

static oct_status start(oct_run *r)
{
    double top1;
    bool found = false;
    if (r->opts.resume)
        OCT_TRY(oct_run_resume(r, &found));
    if (found)
        return OCT_OK;
    OCT_TRY(oct_run_keep(r));
    OCT_TRY(judge(r, 0, &top1));
    oct_run_tell(r, (oct_train_event){.kind = OCT_TRAIN_STARTED,
                                      .loss = NAN,
                                      .lr = NAN,
                                      .images_per_s = NAN,
                                      .val_top1 = top1,
                                      .scale_count = r->scale_count});
    return oct_run_save(r);
}

static oct_status run(oct_run *r, bool *stopped)
{
    OCT_TRY(start(r));
    while (r->now.epoch < r->opts.epochs && r->now.rollbacks < MOST_ROLLBACKS) {
        OCT_TRY(run_epoch(r, stopped));
        const bool ended = r->now.step >= (r->now.epoch + 1) * r->steps_per_epoch;
        if (ended)
            OCT_TRY(end_epoch(r));
        else if (*stopped)
            return oct_run_save(r);
        if (*stopped && r->now.epoch < r->opts.epochs)
            return OCT_OK;
        *stopped = false;
    }
    return OCT_OK;
}

oct_status oct_train(const oct_model *model, const oct_ranges *ranges, oct_dataset *train, oct_dataset *held,
                     const oct_preprocess *pre, const oct_train_options *options, oct_model **out, oct_train_result *result)
{
    oct_status s = OCT_OK;
    oct_run r = {.opts = *options, .model = model, .train = train, .held = held, .pre = pre};
    bool stopped = false;
    oct_agreement agreement = {0};
    if (!options->float_only && !ranges)
        return oct_fail(OCT_ERR_USAGE, "training with quantizers needs the ranges of the model's activations");
    OCT_TRY_DONE(oct_run_open(&r, ranges));
    OCT_TRY_DONE(run(&r, &stopped));
    if (!stopped)
        OCT_TRY_DONE(verify(&r, &agreement));
    OCT_TRY_DONE(oct_model_load_memory(r.best, (size_t)r.best_size, model->name ? model->name : "the trained model", out));
    *result = (oct_train_result){.ptq_top1 = r.now.start_top1,
                                 .best_top1 = r.now.best_top1,
                                 .best_epoch = r.now.best_epoch,
                                 .epochs = r.now.epoch,
                                 .steps = r.now.step,
                                 .rollbacks = r.now.rollbacks,
                                 .codes = agreement.codes,
                                 .codes_differing = agreement.differing,
                                 .codes_worst = agreement.worst,
                                 .seconds = oct_run_seconds(&r),
                                 .stopped = stopped};
done:
    oct_run_close(&r);
    return s;
}
