/* train: a float ONNX model and labelled samples to a Q/DQ model at float accuracy (or a float one, with --float). */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "monitor.h"
#include "output.h"
#include "peers.h"

typedef struct job {
    /* options */
    const char *output, *val, *scale_mode, *init, *augment, *checkpoint_dir, *log, *plot, *loss, *optimizer, *schedule, *export_as,
        *cache;
    int64_t epochs, wbits, abits, freeze_bn, reestimate_bn, checkpoint_every, micro_batch, calibration_samples;
    double lr, val_split, smoothing, temperature, distill_share, momentum, weight_decay, max_norm, scale_lr, dampening, average,
        warmup, every, factor, last;
    bool per_tensor, distill, float_only, bf16, resume, narrow_edges;
    cli_calibration calibration;
    /* made of them */
    oct_train_options train;
    oct_augment changes;
    oct_quant_options quant;
} job;

/* What a signal asks for. */
static volatile sig_atomic_t stop, stopped_by;

static void on_signal(int signal_number)
{
    stop = 1;
    stopped_by = signal_number;
}

/* The first signal asks, the second ends the process. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

#if OCT_TRAIN
/* --- options --- */

static int word(const cli *c, const char *option, const char *text, const char *const *words, int *out)
{
    *out = text ? cli_word(text, words) : 0;
    if (*out >= 0)
        return 0;
    char all[128] = "";
    for (int i = 0; words[i]; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", words[i]);
    return cli_error(c, OCT_ERR_USAGE, "%s is one of %s, not '%s'", option, all, text);
}

/* Numbers that were not given are the library's defaults. */
static void set(double *to, double given)
{
    if (!isnan(given))
        *to = given;
}

static int take_words(const cli *c, job *j)
{
    static const char *const modes[] = {"learned", "calibrated", "ema", "clip", NULL}, *const losses[] = {"ce", "mse", NULL};
    static const char *const optimizers[] = {"sgd", "adamw", NULL}, *const schedules[] = {"cosine", "step", "constant", NULL};
    static const char *const inits[] = {"model", "kaiming", NULL}, *const exports[] = {"int8", "int4", NULL};
    int mode, loss, optimizer, schedule, init, as, status;
    if ((status = word(c, "--init", j->init, inits, &init)) || (status = word(c, "--scale-mode", j->scale_mode, modes, &mode)) ||
        (status = word(c, "--loss", j->loss, losses, &loss)) ||
        (status = word(c, "--optimizer", j->optimizer, optimizers, &optimizer)) ||
        (status = word(c, "--schedule", j->schedule, schedules, &schedule)) ||
        (status = word(c, "--export", j->export_as, exports, &as)))
        return status;
    j->train = (oct_train_options){.float_only = j->float_only, .kaiming = init == 1};
    oct_train_default(&j->train);
    j->train.scales = (oct_scale_mode)mode;
    j->train.loss = (oct_train_loss)loss;
    j->train.optimizer = (oct_train_optimizer)optimizer;
    j->train.schedule = (oct_train_schedule)schedule;
    j->train.int4 = as == 1;
    return 0;
}

static int take_options(const cli *c, job *j)
{
    oct_train_options *t = &j->train;
    int status = take_words(c, j);
    if (status)
        return status;
    if (j->float_only && (j->wbits != 8 || j->abits != 8 || j->export_as || j->scale_mode || j->narrow_edges || j->per_tensor))
        return cli_error(c, OCT_ERR_USAGE,
                         "--float trains without quantizers: --wbits, --abits, --narrow-edges, --per-tensor, --scale-mode and "
                         "--export do not go with it");
    if (j->augment && oct_augment_parse(j->augment, &j->changes) != OCT_OK)
        return cli_report(c, oct_last_error()->status);
    if (!(j->val_split > 0 && j->val_split < 1))
        return cli_error(c, OCT_ERR_USAGE, "--val-split is between 0 and 1, not %g", j->val_split);
    t->epochs = j->epochs >= 0 ? j->epochs : t->epochs;
    t->batch = c->o.batch ? c->o.batch : t->batch;
    t->weight_bits = (int)j->wbits;
    t->activation_bits = (int)j->abits;
    t->freeze_bn = j->freeze_bn >= 0 ? j->freeze_bn : t->freeze_bn;
    t->per_tensor = j->per_tensor;
    t->narrow_edges = j->narrow_edges;
    t->distill = j->distill;
    t->bf16 = j->bf16;
    t->reestimate_bn = j->reestimate_bn;
    t->micro_batch = j->micro_batch;
    t->seed = (uint64_t)c->o.seed;
    t->threads = (int)c->o.threads;
    t->augment = j->augment ? &j->changes : NULL;
    t->checkpoint_dir = j->checkpoint_dir;
    t->checkpoint_every = j->checkpoint_every;
    t->resume = j->resume;
    set(&t->rate, j->lr);
    set(&t->smoothing, j->smoothing);
    set(&t->temperature, j->temperature);
    set(&t->distill_share, j->distill_share);
    set(&t->momentum, j->momentum);
    set(&t->weight_decay, j->weight_decay);
    set(&t->max_norm, j->max_norm);
    set(&t->scale_rate, j->scale_lr);
    set(&t->dampening, j->dampening);
    set(&t->average, j->average);
    set(&t->warmup, j->warmup);
    set(&t->every, j->every);
    set(&t->factor, j->factor);
    set(&t->last, j->last);
    return cli_quant_options(c, &j->calibration, &j->quant);
}

/* --- data --- */

static int open_set(const cli *c, const char *path, oct_data_options o, oct_dataset **out)
{
    o.seed = (uint64_t)c->o.seed;
    o.strict = c->o.strict;
    const oct_status s = oct_dataset_open(path, &o, out);
    return s == OCT_OK ? 0 : cli_report(c, s);
}

/* A class is the rank of its folder: a folder more or less in one of the sets gives all behind it another label. */
static int check_classes(const cli *c, const job *j, const oct_dataset *train, const oct_dataset *held)
{
    for (int64_t i = 0; i < oct_dataset_class_count(train) && i < oct_dataset_class_count(held); i++) {
        const char *a = oct_dataset_class_name(train, i), *b = oct_dataset_class_name(held, i);
        if (*a && *b && strcmp(a, b) != 0)
            return cli_error(c, OCT_ERR_CONTENT, "class %lld is '%s' in '%s' and '%s' in '%s'", (long long)i, a, c->o.data, b,
                             j->val);
    }
    return 0;
}

static int open_sets(const cli *c, const job *j, oct_dataset **train, oct_dataset **held)
{
    const double split = j->val ? 0 : j->val_split;
    int status = open_set(c, c->o.data, (oct_data_options){.split = split, .limit = c->o.limit}, train);
    if (status)
        return status;
    status = open_set(c, j->val ? j->val : c->o.data, (oct_data_options){.split = split, .held_out = !j->val}, held);
    return status || !j->val ? status : check_classes(c, j, *train, *held);
}

/* Ranges of the activations: from a cache, or from some training samples. */
static int obtain_ranges(const cli *c, job *j, const oct_model *model, const oct_preprocess *pre, oct_ranges **out)
{
    int64_t samples, skipped;
    oct_dataset *set_of = NULL;
    oct_calibrator *cal = NULL;
    cli calibrating = *c;
    calibrating.o.batch =
        0; /* --batch is that of a step; calibration keeps every tensor of its batch, and its result does not depend on it */
    j->quant.batch = 0;
    if (j->float_only)
        return 0;
    if (j->cache)
        return cli_obtain_ranges(c, j->cache, &j->quant, model, pre, out, &samples, &skipped);
    int status =
        open_set(c, c->o.data, (oct_data_options){.split = j->val ? 0 : j->val_split, .limit = j->calibration_samples}, &set_of);
    oct_status s = status ? OCT_OK : oct_calibrator_create(model, &j->quant, &cal);
    if (!status && s == OCT_OK)
        status = cli_calibrate_set(&calibrating, cal, model, pre, set_of, &skipped);
    if (!status && s == OCT_OK)
        s = oct_calibrator_solve(cal, out);
    oct_calibrator_destroy(cal);
    oct_dataset_destroy(set_of);
    return s == OCT_OK ? status : cli_report(c, s);
}

/* --- results --- */

/* What could not be written at the end would be lost. */
static int check_outputs(const cli *c, const job *j)
{
    int status = cli_output_check(c, j->output);
    if (!status && j->plot)
        status = cli_output_check(c, j->plot);
    if (!status && j->checkpoint_dir)
        status = cli_output_check_folder(c, j->checkpoint_dir);
    return status;
}

/* skipped: samples that could not be read. */
static void print_json(const cli *c, const job *j, const oct_train_result *r, int64_t skipped)
{
    static const char *const modes[] = {"learned", "calibrated", "ema", "clip"};
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", c->args[0]);
    if (r->stopped)
        cJSON_AddNullToObject(root, "output");
    else
        cJSON_AddStringToObject(root, "output", j->output);
    cJSON_AddBoolToObject(root, "float", j->float_only);
    if (!j->float_only) {
        cJSON_AddNumberToObject(root, "wbits", (double)j->wbits);
        cJSON_AddNumberToObject(root, "abits", (double)j->abits);
        cJSON_AddStringToObject(root, "scale_mode", modes[j->train.scales]);
    }
    cJSON_AddNumberToObject(root, "ptq_top1", r->ptq_top1);
    cJSON_AddNumberToObject(root, "best_top1", r->best_top1);
    cJSON_AddNumberToObject(root, "best_epoch", (double)r->best_epoch);
    cJSON_AddNumberToObject(root, "epochs", (double)r->epochs);
    cJSON_AddNumberToObject(root, "steps", (double)r->steps);
    cJSON_AddNumberToObject(root, "rollbacks", (double)r->rollbacks);
    cJSON_AddBoolToObject(root, "stopped", r->stopped);
    cJSON_AddNumberToObject(root, "skipped", (double)skipped);
    if (r->codes) {
        cJSON_AddNumberToObject(root, "codes", (double)r->codes);
        cJSON_AddNumberToObject(root, "codes_differing", (double)r->codes_differing);
        cJSON_AddNumberToObject(root, "codes_worst", r->codes_worst);
    }
    cJSON_AddNumberToObject(root, "seconds", r->seconds);
    cli_print_json(root);
}

static void print_text(const job *j, const oct_train_result *r, const cli_monitor *m)
{
    cli_curve_print(&m->curve);
    printf("\n%s: top-1 %.2f %% on held-out data after epoch %lld, %.2f %% at the start%s; %.0f s\n", j->output, r->best_top1,
           (long long)r->best_epoch, r->ptq_top1, j->float_only ? "" : " (PTQ)", r->seconds);
    if (r->codes)
        printf("Of %lld codes in training %lld differ from the engine's.\n", (long long)r->codes, (long long)r->codes_differing);
}

static oct_status save(const cli *c, const job *j, const oct_preprocess *pre, oct_model *trained)
{
    if (c->o.data && oct_model_get_metadata(trained, CLI_PREPROCESS_KEY) == NULL) {
        const oct_status s = cli_keep_preprocess(trained, pre);
        if (s != OCT_OK)
            return s;
    }
    return oct_model_save(trained, j->output);
}

/* What is left to do when oct_train is back: the model, the picture, what the run came to. An error of the log was reported when it
 * happened. */
static int finish(const cli *c, const job *j, const oct_preprocess *pre, oct_model *trained, const oct_train_result *r,
                  const cli_monitor *m, int64_t skipped)
{
    const oct_status s = r->stopped ? OCT_OK : save(c, j, pre, trained);
    if (m->status) {
        cli_note(c, r->stopped    ? "stopped; the same command with --resume goes on"
                    : s == OCT_OK ? "the model was written, the log is cut off"
                                  : "the model was not written");
        return m->status;
    }
    if (s != OCT_OK)
        return cli_report(c, s);
    if (!r->stopped && j->plot) {
        const int status = cli_curve_plot(c, &m->curve, j->plot);
        if (status)
            return status;
    }
    if (c->o.json)
        print_json(c, j, r, skipped);
    else if (!r->stopped && !c->o.quiet)
        print_text(j, r, m);
    if (!r->stopped)
        return 0;
    cli_note(c, "stopped; the same command with --resume goes on from '%s'", j->checkpoint_dir);
    return 128 + stopped_by;
}

static int train(cli *c, job *j)
{
    cli_subject subject = {.path = c->args[0]};
    cli_monitor monitor = {0};
    oct_preprocess pre;
    oct_dataset *train_set = NULL, *held_set = NULL;
    oct_ranges *ranges = NULL;
    oct_model *trained = NULL;
    oct_train_result result;
    oct_status s = OCT_OK;
    int status = take_options(c, j);
    if (!status)
        status = check_outputs(c, j);
    if (!status)
        status = cli_peers_open(c, &j->train.peers);
    const bool leads = !j->train.peers || j->train.peers->rank == 0;
    if (!status && (s = oct_model_load(c->args[0], &subject.model)) != OCT_OK)
        status = cli_report(c, s);
    if (status || (status = cli_preprocess(c, &subject, NULL, &pre)) || (status = open_sets(c, j, &train_set, &held_set)) ||
        (status = cli_monitor_open(&monitor, c, leads ? j->log : NULL, j->resume, j->checkpoint_dir ? &stop : NULL)) ||
        (status = obtain_ranges(c, j, subject.model, &pre, &ranges)))
        goto done;
    if (j->checkpoint_dir)
        catch_signals();
    j->train.stop = &stop;
    j->train.event = cli_monitor_event;
    j->train.user = &monitor;
    s = oct_train(subject.model, ranges, train_set, held_set, &pre, &j->train, &trained, &result);
    cli_note_faults(c, train_set);
    cli_note_faults(c, held_set);
    if (s != OCT_OK)
        status = monitor.status ? monitor.status : cli_report(c, s);
    else if (leads)
        status =
            finish(c, j, &pre, trained, &result, &monitor, oct_dataset_fault_count(train_set) + oct_dataset_fault_count(held_set));
done:
    cli_monitor_close(&monitor);
    oct_model_destroy(trained);
    oct_ranges_destroy(ranges);
    oct_dataset_destroy(held_set);
    oct_dataset_destroy(train_set);
    cli_subject_close(&subject);
    return status;
}
#else
static int train(cli *c, job *j)
{
    (void)j;
    (void)catch_signals;
    return cli_error(c, OCT_ERR_UNSUPPORTED, "this build has no training: it was made without oneDNN (libdnnl-dev)");
}
#endif

/* A picture of a run that is over. */
static int plot_log(const cli *c, const job *j)
{
    cli_curve curve = {0};
    int status = cli_curve_read(c, j->log, &curve);
    if (!status)
        status = cli_curve_plot(c, &curve, j->plot);
    cli_curve_free(&curve);
    return status;
}

int cmd_train(int argc, char **argv)
{
    job j = {.epochs = -1, .wbits = 8, .abits = 8, .freeze_bn = -1, .calibration_samples = 512, .val_split = 0.1};
    double *const unset[] = {&j.lr,       &j.smoothing, &j.temperature, &j.distill_share, &j.momentum, &j.weight_decay, &j.max_norm,
                             &j.scale_lr, &j.dampening, &j.average,     &j.warmup,        &j.every,    &j.factor,       &j.last};
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        *unset[i] = NAN;
    cli_option own[] = {
        {"--output", "-o", CLI_TEXT, &j.output, "FILE", "where the trained ONNX model goes", 0, 0},
        {"--val", NULL, CLI_TEXT, &j.val, "PATH", "held-out samples, which choose the best epoch (default: a part of --data)", 0,
         0},
        {"--val-split", NULL, CLI_NUMBER, &j.val_split, "X", "without --val: part of every class that is held out (default: 0.1)",
         0, 0},
        {"--epochs", NULL, CLI_INT, &j.epochs, "N",
         "passes over the data (default: 5; from scratch 30); 0 writes the starting point, PTQ at so many bits", 0, 1000000},
        {"--lr", NULL, CLI_NUMBER, &j.lr, "X", "peak learning rate (default: by bits and optimizer)", 0, 0},
        {"--wbits", NULL, CLI_INT, &j.wbits, "N", "bits of weights (default: 8)", 2, 8},
        {"--abits", NULL, CLI_INT, &j.abits, "N", "bits of activations (default: 8)", 2, 8},
        {"--narrow-edges", NULL, CLI_FLAG, &j.narrow_edges, NULL,
         "first and last layer as narrow as the others (default: they keep 8 bits)", 0, 0},
        {"--per-tensor", NULL, CLI_FLAG, &j.per_tensor, NULL, "one scale per weight tensor (default: per output channel)", 0, 0},
        {"--scale-mode", NULL, CLI_TEXT, &j.scale_mode, "NAME", "learned (LSQ; default), calibrated, ema or clip (PACT)", 0, 0},
        {"--distill", NULL, CLI_FLAG, &j.distill, NULL, "learn from the float model's outputs too; without labels from these alone",
         0, 0},
        {"--distill-share", NULL, CLI_NUMBER, &j.distill_share, "X", "their share of the loss (default: 0.9)", 0, 0},
        {"--temperature", NULL, CLI_NUMBER, &j.temperature, "X", "of the distillation (default: 4)", 0, 0},
        {"--float", NULL, CLI_FLAG, &j.float_only, NULL, "train in float, without quantizers", 0, 0},
        {"--init", NULL, CLI_TEXT, &j.init, "NAME", "model (default), or kaiming: fresh weights, with --float", 0, 0},
        {"--bf16", NULL, CLI_FLAG, &j.bf16, NULL, "convolutions in bfloat16: up to twice as fast, on processors that have it", 0,
         0},
        {"--loss", NULL, CLI_TEXT, &j.loss, "NAME", "ce (cross-entropy; default) or mse", 0, 0},
        {"--smoothing", NULL, CLI_NUMBER, &j.smoothing, "X", "of labels (default: 0)", 0, 0},
        {"--optimizer", NULL, CLI_TEXT, &j.optimizer, "NAME", "sgd (Nesterov; default) or adamw", 0, 0},
        {"--momentum", NULL, CLI_NUMBER, &j.momentum, "X", "of sgd (default: 0.9)", 0, 0},
        {"--weight-decay", NULL, CLI_NUMBER, &j.weight_decay, "X",
         "of weights, not of scales, biases and norms (default: 1e-4; from scratch 5e-4)", 0, 0},
        {"--max-norm", NULL, CLI_NUMBER, &j.max_norm, "X", "gradients are scaled down to this norm (default: never)", 0, 0},
        {"--scale-lr", NULL, CLI_NUMBER, &j.scale_lr, "X", "learning rate of scales, times --lr (default: 1)", 0, 0},
        {"--dampening", NULL, CLI_NUMBER, &j.dampening, "X",
         "depthwise weights of 4 bits and less are drawn to the middle of their codes (default: 0.1)", 0, 0},
        {"--ema", NULL, CLI_NUMBER, &j.average, "X",
         "decay of a moving average of the weights, which is then what is kept (default: none)", 0, 0},
        {"--schedule", NULL, CLI_TEXT, &j.schedule, "NAME", "cosine (default), step or constant", 0, 0},
        {"--warmup", NULL, CLI_NUMBER, &j.warmup, "EPOCHS", "the rate rises from 0 (default: 0; from scratch 1)", 0, 0},
        {"--last", NULL, CLI_NUMBER, &j.last, "X", "cosine: share of the rate at the end (default: 0)", 0, 0},
        {"--every", NULL, CLI_NUMBER, &j.every, "EPOCHS", "step: the rate is multiplied so often (default: 30)", 0, 0},
        {"--factor", NULL, CLI_NUMBER, &j.factor, "X", "step: by this (default: 0.1)", 0, 0},
        {"--freeze-bn", NULL, CLI_INT, &j.freeze_bn, "EPOCH",
         "BatchNormalization keeps its statistics from here on (default: 8 bits 0, below at 70 %)", 0, 1000000},
        {"--reestimate-bn", NULL, CLI_INT, &j.reestimate_bn, "N",
         "measure them anew on N batches before each evaluation (default: 0)", 0, 1000000},
        {"--augment", NULL, CLI_TEXT, &j.augment, "LIST",
         "crop[:PIXELS[:reflect]],flip,jitter:X,cutout:PIXELS,mixup:X (default: none)", 0, 0},
        {"--micro-batch", NULL, CLI_INT, &j.micro_batch, "N", "samples that a thread takes at a time (default: by the batch)", 1,
         65536},
        {"--checkpoint-dir", NULL, CLI_TEXT, &j.checkpoint_dir, "DIR",
         "checkpoints at epochs' ends and when stopped by SIGINT or SIGTERM", 0, 0},
        {"--checkpoint-every", NULL, CLI_INT, &j.checkpoint_every, "STEPS", "and so often between", 1, INT64_MAX},
        {"--resume", NULL, CLI_FLAG, &j.resume, NULL, "go on from the checkpoint, where there is one", 0, 0},
        {"--cache", NULL, CLI_TEXT, &j.cache, "CACHE", "ranges from a calibration cache (default: measured on training samples)", 0,
         0},
        {"--calib-samples", NULL, CLI_INT, &j.calibration_samples, "N", "so many (default: 512)", 1, INT64_MAX},
        CLI_CALIBRATION_OPTIONS(&j.calibration),
        {"--export", NULL, CLI_TEXT, &j.export_as, "NAME", "int8 (default), or int4: 4-bit tensors as INT4 and UINT4 (opset 21)", 0,
         0},
        {"--log", NULL, CLI_TEXT, &j.log, "FILE", "one JSON line a step and an epoch", 0, 0},
        {"--plot", NULL, CLI_TEXT, &j.plot, "FILE.svg", "picture of loss, accuracy and scales; without MODEL of an existing --log",
         0, 0},
        {0}};
    cli c = {
        .command = "train",
        .usage = "MODEL --data PATH -o FILE",
        .summary =
            "Quantization-aware training: fine-tune a float ONNX model with quantization in the graph, write the best Q/DQ model.\n"
            "Starts from PTQ and is never worse on held-out data. With --float: float training.",
        .options = own,
        .arg_min = 0,
        .arg_max = 1};
    int status = 0;
    if (!cli_parse(&c, argc, argv, &status))
        return cli_finish(&c, status);
    if (c.arg_count == 0 && j.plot && j.log && !c.o.data)
        status = plot_log(&c, &j);
    else if (c.arg_count == 0 || !j.output || !c.o.data)
        status = cli_error(&c, OCT_ERR_USAGE, "%s is missing; 'octavo train --help' explains",
                           c.arg_count == 0 ? "MODEL"
                           : !j.output      ? "-o FILE"
                                            : "--data PATH");
    else
        status = train(&c, &j);
    return cli_finish(&c, status);
}
