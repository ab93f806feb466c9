/* compare: two models or plans, one model in two modes, or a model here and in ONNX Runtime, on the same samples, tensor by tensor; the
 * first that departs is named. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime.h"
#include "source.h"

#define DEFAULT_BATCH 8

typedef struct job {
    cli_texts inputs;
    const char *mode[2], *python;
    double threshold;      /* relative error beyond which a tensor counts as departed */
    bool against;          /* ONNX Runtime is side a, the model side b */
    cli_subject subject[2];
    oct_compare_side side[2];
    cli_onnxruntime runtime;
    oct_compare_peer peer;
    oct_comparison *comparison;
    int64_t samples;
} job;

/* --- the two sides --- */

static int open_sides(job *j, const cli *c)
{
    static const char *const modes[] = {"float", "int8", NULL};
    const int files = j->against ? 1 : 2;
    if (c->arg_count != files)
        return cli_error(c, OCT_ERR_USAGE, j->against ? "--against-onnxruntime takes one MODEL" : "two models or plans are compared; or one with --against-onnxruntime");
    for (int k = 0; k < files; k++) {
        oct_status s = cli_subject_open(c->args[k], &j->subject[k]);
        if (s != OCT_OK)
            return cli_report(c, s);
    }
    for (int k = 0; k < 2; k++) {
        const cli_subject *from = &j->subject[j->against ? 0 : k];
        const int mode = j->mode[k] ? cli_word(j->mode[k], modes) : 1;
        if (mode < 0)
            return cli_error(c, OCT_ERR_USAGE, "--%c is float or int8, not '%s'", "ab"[k], j->mode[k]);
        if (j->mode[k] && from->plan)
            return cli_error(c, OCT_ERR_USAGE, "--%c is for ONNX files; '%s' is a plan", "ab"[k], from->path);
        if (j->mode[k] && j->against && k == 0)
            return cli_error(c, OCT_ERR_USAGE, "with --against-onnxruntime side a is ONNX Runtime; --b says how Octavo runs the model");
        j->side[k] = (oct_compare_side){.model = from->model, .plan = from->plan, .mode = mode == 0 ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST};
    }
    if (!j->against)
        return 0;
    if (j->subject[0].plan)
        return cli_error(c, OCT_ERR_USAGE, "--against-onnxruntime wants an ONNX file; '%s' is a plan", c->args[0]);
    j->runtime = (cli_onnxruntime){.python = j->python, .model = c->args[0], .threads = cli_threads(c)};
    oct_status s = cli_onnxruntime_start(&j->runtime, &j->peer);
    j->side[0].peer = &j->peer;
    return s == OCT_OK ? 0 : cli_error(c, s, "%s", *j->runtime.message ? j->runtime.message : "cannot start ONNX Runtime");
}

/* A failure of the library, or of ONNX Runtime behind it. */
static int report(const job *j, const cli *c, oct_status s)
{
    return *j->runtime.message ? cli_error(c, s, "%s", j->runtime.message) : cli_report(c, s);
}

/* The smaller fixed first axis of both sides' inputs; 0 when it is free. */
static int64_t fixed_batch(const job *j)
{
    int64_t n = 0;
    for (int k = 0; k < (j->against ? 1 : 2); k++) {
        oct_port p;
        if (cli_subject_input_count(&j->subject[k]) && cli_subject_input(&j->subject[k], 0, &p) == OCT_OK && p.rank > 0 && p.dims[0] > 0)
            n = n && n < p.dims[0] ? n : p.dims[0];
    }
    return n;
}

/* --- samples --- */

static int run_arrays(job *j, const cli *c)
{
    cli_arrays a = {0};
    int bad = cli_arrays_load(c, &j->subject[0], &j->inputs, &a);
    if (bad)
        return bad;
    int64_t n = a.count && a.tensors[0].rank ? a.tensors[0].dims[0] : 1, step = fixed_batch(j) ? fixed_batch(j) : c->o.batch ? c->o.batch : n;
    for (int i = 0; i < a.count; i++)
        if (a.tensors[i].rank < 1 || a.tensors[i].dims[0] != n)
            step = n; /* no common axis of samples: as it is */
    oct_tensor *piece = calloc((size_t)a.count + 1, sizeof *piece);
    oct_status s = piece ? OCT_OK : OCT_ERR_MEMORY;
    for (int64_t first = 0; s == OCT_OK && first < n; first += step) {
        for (int i = 0; i < a.count; i++) {
            piece[i] = a.tensors[i];
            if (step >= n)
                continue;
            const int64_t row = oct_tensor_count(&a.tensors[i]) / n * (int64_t)oct_dtype_size(a.tensors[i].dtype);
            piece[i].dims[0] = first + step <= n ? step : n - first;
            piece[i].data = (char *)a.tensors[i].data + first * row;
        }
        s = oct_comparison_add(j->comparison, a.names, piece, a.count);
    }
    j->samples = n;
    bad = s == OCT_OK ? 0 : report(j, c, s);
    free(piece);
    cli_arrays_free(&a);
    return bad;
}

static oct_status run_batches(job *j, const cli *c, oct_loader *loader, const char *const *names, int input_count, int64_t total)
{
    oct_status s;
    oct_batch b;
    cli_progress progress;
    cli_progress_begin(&progress, c, "comparing");
    while ((s = oct_loader_next(loader, &b)) == OCT_OK && b.count) {
        s = oct_comparison_add(j->comparison, names, b.inputs, input_count);
        if (s != OCT_OK)
            break;
        j->samples += b.count;
        cli_progress_update(&progress, j->samples, total);
    }
    if (s == OCT_OK)
        cli_progress_end(&progress, j->samples);
    return s;
}

static int run_data(job *j, const cli *c)
{
    const cli_subject *a = &j->subject[0], *b = j->against ? NULL : &j->subject[1];
    const int count = cli_subject_input_count(a);
    oct_preprocess pre;
    oct_dataset *set = NULL;
    oct_loader *loader = NULL;
    oct_port *ports = calloc((size_t)count + 1, sizeof *ports);
    const char **names = calloc((size_t)count + 1, sizeof *names);
    oct_status s = ports && names ? OCT_OK : OCT_ERR_MEMORY;
    for (int i = 0; s == OCT_OK && i < count; i++) {
        s = cli_subject_input(a, i, &ports[i]);
        names[i] = ports[i].name;
    }
    int bad = s == OCT_OK ? cli_preprocess(c, a, b, &pre) : cli_report(c, s);
    if (!bad)
        bad = cli_dataset(c, 0, 0, &set);
    if (!bad) {
        s = oct_loader_create(set, ports, count, &pre, fixed_batch(j) ? fixed_batch(j) : c->o.batch ? c->o.batch : DEFAULT_BATCH, (int)c->o.threads, &loader);
        if (s == OCT_OK)
            s = run_batches(j, c, loader, names, count, oct_dataset_count(set));
        if (s != OCT_OK)
            bad = report(j, c, s);
        else if (j->samples == 0)
            bad = cli_error(c, OCT_ERR_CONTENT, "'%s' has no sample that can be read", c->o.data);
        cli_note_faults(c, set);
    }
    oct_loader_destroy(loader);
    oct_dataset_destroy(set);
    free(ports);
    free(names);
    return bad;
}

/* --- what comes out --- */

static bool departs(const job *j, const oct_tensor_diff *d) { return !(d->rel_l2 <= j->threshold); }

static const char *mode_of(const job *j, int k)
{
    const oct_compare_side *s = &j->side[k];
    return s->peer ? "onnxruntime" : s->plan ? "plan" : s->mode == OCT_BUILD_FLOAT || !oct_model_is_quantized(s->model) ? "float" : "int8";
}

static void add_share(cJSON *o, const char *key, double share) { cJSON_AddItemToObject(o, key, isnan(share) ? cJSON_CreateNull() : cJSON_CreateNumber(share)); }

static oct_status print_json(const job *j)
{
    oct_status s = OCT_OK;
    const char *first = NULL;
    cJSON *root = cJSON_CreateObject(), *list = cJSON_CreateArray();
    for (int k = 0; k < 2; k++) {
        cJSON *o = cJSON_AddObjectToObject(root, k ? "b" : "a");
        cJSON_AddStringToObject(o, "path", j->subject[j->against ? 0 : k].path);
        cJSON_AddStringToObject(o, "mode", mode_of(j, k));
    }
    for (int64_t i = 0; s == OCT_OK && i < oct_comparison_count(j->comparison); i++) {
        oct_tensor_diff d;
        s = oct_comparison_get(j->comparison, i, &d);
        cJSON *o = s == OCT_OK ? cJSON_CreateObject() : NULL;
        if (!o)
            break;
        cJSON_AddItemToArray(list, o);
        cJSON_AddStringToObject(o, "name", d.name);
        cJSON_AddNumberToObject(o, "elements", (double)d.elements);
        cJSON_AddNumberToObject(o, "max_abs", d.max_abs);
        cJSON_AddNumberToObject(o, "rel_l2", d.rel_l2);
        cJSON_AddNumberToObject(o, "cosine", d.cosine);
        cJSON_AddNumberToObject(o, "sqnr_db", d.sqnr_db);
        add_share(o, "clipped_a", d.clipped_a);
        add_share(o, "clipped_b", d.clipped_b);
        cJSON_AddBoolToObject(o, "departs", departs(j, &d));
        if (!first && departs(j, &d))
            first = d.name;
    }
    cJSON_AddNumberToObject(root, "samples", (double)j->samples);
    cJSON_AddNumberToObject(root, "threshold", j->threshold);
    cJSON_AddItemToObject(root, "first", first ? cJSON_CreateString(first) : cJSON_CreateNull());
    cJSON_AddItemToObject(root, "tensors", list);
    if (s == OCT_OK)
        cli_print_json(root);
    else
        cJSON_Delete(root);
    return s;
}

static void print_share(double share)
{
    if (isnan(share))
        printf(" %9s", "");
    else
        printf(" %9.3f", 100 * share);
}

static oct_status print_text(const job *j)
{
    char first[512] = "";
    printf("a: %s (%s)\nb: %s (%s)\n%lld samples\n", j->subject[0].path, mode_of(j, 0), j->subject[j->against ? 0 : 1].path, mode_of(j, 1), (long long)j->samples);
    printf("%12s %12s %12s %9s %9s %9s  tensor\n", "max abs", "rel l2", "cosine", "SQNR dB", "% clip a", "% clip b");
    for (int64_t i = 0; i < oct_comparison_count(j->comparison); i++) {
        oct_tensor_diff d;
        oct_status s = oct_comparison_get(j->comparison, i, &d);
        if (s != OCT_OK)
            return s;
        printf("%12.5g %12.5g %12.8f %9.2f", d.max_abs, d.rel_l2, d.cosine, d.sqnr_db);
        print_share(d.clipped_a);
        print_share(d.clipped_b);
        printf("  %s\n", d.name);
        if (!*first && departs(j, &d))
            snprintf(first, sizeof first, "%s", d.name);
    }
    if (*first)
        printf("first tensor that departs (relative error above %g): %s\n", j->threshold, first);
    else
        printf("no tensor departs (relative error above %g)\n", j->threshold);
    return OCT_OK;
}

int cmd_compare(int argc, char **argv)
{
    job j = {.threshold = 0.1, .python = "python3"};
    cli_option own[] = {{"--input", "-i", CLI_TEXTS, &j.inputs, "NAME=FILE", ".npy of an input", 0, 0},
                        {"--a", NULL, CLI_TEXT, &j.mode[0], "float|int8", "how A runs: every layer in float, or as its Q/DQ say (default: int8)", 0, 0},
                        {"--b", NULL, CLI_TEXT, &j.mode[1], "float|int8", "how B runs", 0, 0},
                        {"--threshold", NULL, CLI_NUMBER, &j.threshold, "X", "relative error beyond which a tensor departs (default: 0.1, that is 20 dB)", 0, 0},
                        {"--against-onnxruntime", NULL, CLI_FLAG, &j.against, NULL, "one MODEL: a is ONNX Runtime (its Python package, optimizations off)", 0, 0},
                        {"--python", NULL, CLI_TEXT, &j.python, "PROGRAM", "the Python that has onnxruntime (default: python3)", 0, 0},
                        {0}};
    cli c = {.command = "compare", .usage = "A B | MODEL --against-onnxruntime",
             .summary = "Run A and B (ONNX files or plans, or one file twice with --a float) on the samples of --data or on --input, and compare every\n"
                        "tensor that both have, by the names of the source model; of a quantized tensor the value behind its DequantizeLinear. Names the\n"
                        "first tensor that departs, in order of execution. A plan shows its outputs only. 'clip' is the share of codes at the ends of their\n"
                        "range.",
             .options = own, .arg_min = 1, .arg_max = 2};
    int status = 0;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    if (!j.inputs.count == !c.o.data)
        status = cli_error(&c, OCT_ERR_USAGE, "either --input NAME=FILE.npy or --data PATH is needed");
    else if (!(j.threshold >= 0))
        status = cli_error(&c, OCT_ERR_USAGE, "--threshold wants a number of at least 0");
    else
        status = open_sides(&j, &c);
    if (status)
        goto done;
    oct_status s = oct_comparison_create(&j.side[0], &j.side[1], (int)c.o.threads, &j.comparison);
    status = s != OCT_OK ? report(&j, &c, s) : j.inputs.count ? run_arrays(&j, &c) : run_data(&j, &c);
    if (status)
        goto done;
    s = c.o.json ? print_json(&j) : print_text(&j);
    status = s == OCT_OK ? 0 : cli_report(&c, s);
done:
    oct_comparison_destroy(j.comparison);
    cli_onnxruntime_stop(&j.runtime);
    cli_subject_close(&j.subject[0]);
    cli_subject_close(&j.subject[1]);
    return cli_finish(&c, status);
}
