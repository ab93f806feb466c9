/* run: a plan or an ONNX model on .npy arrays or on images; one .npy per output. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "session.h"

#define DEFAULT_BATCH 8

static oct_status run_loader(cli_session *s, oct_loader *loader, int64_t total, cli_progress *progress, int64_t *samples)
{
    *samples = 0;
    for (;;) {
        oct_batch b;
        oct_status status = oct_loader_next(loader, &b);
        if (status != OCT_OK || b.count == 0)
            return status;
        status = cli_session_bind(s, b.inputs, 0, b.count);
        if (status == OCT_OK)
            status = cli_session_run(s, b.count);
        if (status != OCT_OK)
            return status;
        *samples += b.count;
        cli_progress_update(progress, *samples, total);
    }
}

static int run_data(cli_session *s, const cli *c, const cli_subject *subject, int64_t *samples)
{
    oct_preprocess pre;
    oct_dataset *set = NULL;
    oct_loader *loader = NULL;
    cli_progress progress;
    int bad = cli_preprocess(c, subject, NULL, &pre);
    if (!bad)
        bad = cli_dataset(c, 0, 0, &set);
    for (int i = 0; !bad && i < s->output_count; i++)
        if (!s->batch || s->outputs[i].port.rank < 1 || s->outputs[i].port.dims[0] != s->batch)
            bad = cli_error(c, OCT_ERR_CONTENT, "output '%s' does not have the samples as its first axis", s->outputs[i].port.name);
    if (!bad) {
        cli_progress_begin(&progress, c, "running");
        oct_status status = oct_loader_create(set, s->inputs, s->input_count, &pre, s->batch, (int)c->o.threads, &loader);
        if (status == OCT_OK)
            status = run_loader(s, loader, oct_dataset_count(set), &progress, samples);
        if (status == OCT_OK)
            cli_progress_end(&progress, *samples);
        bad = status == OCT_OK ? 0 : cli_report(c, status);
    }
    if (!bad)
        cli_note_faults(c, set);
    oct_loader_destroy(loader);
    oct_dataset_destroy(set);
    return bad;
}

static oct_tensor joined(const cli_session *s, const cli_output *o)
{
    oct_tensor t = {.data = o->data, .dtype = o->port.dtype, .rank = o->port.rank};
    memcpy(t.dims, o->port.dims, sizeof t.dims);
    if (s->batch)
        t.dims[0] = o->rows;
    return t;
}

static int make_folder(const cli *c, const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return 0;
    return cli_error(c, OCT_ERR_IO, "cannot create folder '%s': %s", path, strerror(errno));
}

/* NAME.npy with the characters that have a meaning in paths replaced. */
static void output_path(char *to, size_t size, const char *folder, const char *name)
{
    snprintf(to, size, "%s/", folder);
    char *stem = to + strlen(to);
    snprintf(stem, size - (size_t)(stem - to), "%s.npy", name);
    for (char *p = stem; *p; p++)
        if (*p == '/' || *p == ':')
            *p = '_';
}

static int write_outputs(const cli_session *s, const cli *c, const char *folder, cJSON *list)
{
    int bad = folder ? make_folder(c, folder) : 0;
    for (int i = 0; !bad && i < s->output_count; i++) {
        char path[4096] = "";
        oct_tensor t = joined(s, &s->outputs[i]);
        if (folder) {
            output_path(path, sizeof path, folder, s->outputs[i].port.name);
            oct_status status = oct_npy_save(path, &t);
            if (status != OCT_OK)
                return cli_report(c, status);
        }
        cJSON *o = cJSON_CreateObject(), *dims = cJSON_CreateArray();
        cJSON_AddStringToObject(o, "name", s->outputs[i].port.name);
        cJSON_AddStringToObject(o, "dtype", oct_dtype_name(t.dtype));
        for (int k = 0; k < t.rank; k++)
            cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)t.dims[k]));
        cJSON_AddItemToObject(o, "dims", dims);
        if (folder)
            cJSON_AddStringToObject(o, "file", path);
        cJSON_AddItemToArray(list, o);
    }
    return bad;
}

/* Without a folder: shape and range of every output, so that a first try shows something. */
static void print_text(const cli_session *s, const char *folder)
{
    for (int i = 0; i < s->output_count; i++) {
        oct_tensor t = joined(s, &s->outputs[i]);
        printf("%s  %s [", s->outputs[i].port.name, oct_dtype_name(t.dtype));
        for (int k = 0; k < t.rank; k++)
            printf("%s%lld", k ? ", " : "", (long long)t.dims[k]);
        printf("]");
        int64_t n = oct_tensor_count(&t);
        if (t.dtype == OCT_F32 && n > 0) {
            const float *v = t.data;
            float lo = INFINITY, hi = -INFINITY;
            for (int64_t k = 0; k < n; k++) {
                lo = fminf(lo, v[k]);
                hi = fmaxf(hi, v[k]);
            }
            printf("  from %g to %g", (double)lo, (double)hi);
        }
        printf("%s%s\n", folder ? "  -> " : "", folder ? folder : "");
    }
}

int cmd_run(int argc, char **argv)
{
    cli_texts inputs = {0}, dims = {0}, taps = {0};
    const char *folder = NULL;
    bool as_float = false;
    cli_option own[] = {{"--input", "-i", CLI_TEXTS, &inputs, "NAME=FILE", ".npy of an input (NAME= may be left out when there is one input)", 0, 0},
                        {"--output-dir", "-o", CLI_TEXT, &folder, "DIR", "one .npy per output goes here ('/' and ':' in names become '_')", 0, 0},
                        {"--tap", "-t", CLI_TEXTS, &taps, "NAME", "also this tensor of the source model, as floats; of a plan: kept by build --tap, or built with --refit", 0, 0},
                        {"--float", NULL, CLI_FLAG, &as_float, NULL, "of an ONNX file: every layer in float", 0, 0},
                        {"--dim", NULL, CLI_TEXTS, &dims, "NAME=N", "of an ONNX file: value of a free dimension", 0, 0},
                        {0}};
    cli c = {.command = "run", .usage = "PLAN|MODEL --input NAME=FILE.npy --output-dir DIR", .summary = "Run a plan or an ONNX model on arrays (--input) or on images (--data).\n"
             "A first axis longer than the batch is cut into chunks of --batch and joined.", .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    int64_t samples = 0;
    cli_subject subject = {0};
    cli_arrays arrays = {0};
    cli_session session = {.taps = &taps};
    cJSON *root = cJSON_CreateObject();
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    if (!inputs.count == !c.o.data) {
        status = cli_error(&c, OCT_ERR_USAGE, "either --input NAME=FILE.npy or --data PATH is needed");
        goto done;
    }
    oct_status s = cli_subject_open(c.args[0], &subject);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    if (!status && inputs.count)
        status = cli_arrays_load(&c, &subject, &inputs, &arrays);
    if (status)
        goto done;
    s = cli_session_open(&session, &c, &subject, inputs.count ? &arrays : NULL, DEFAULT_BATCH, &dims, as_float);
    double start = cli_seconds();
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else
        status = inputs.count ? cli_session_run_arrays(&session, &c, &arrays, &samples) : run_data(&session, &c, &subject, &samples);
    double seconds = cli_seconds() - start;
    if (!status)
        status = write_outputs(&session, &c, folder, cJSON_AddArrayToObject(root, "outputs"));
    if (status)
        goto done;
    if (c.o.json) {
        cJSON_AddNumberToObject(root, "samples", (double)samples);
        cJSON_AddNumberToObject(root, "seconds", seconds);
        cli_print_json(root);
        root = NULL;
    } else if (!c.o.quiet) {
        print_text(&session, folder);
    }
done:
    cJSON_Delete(root);
    cli_session_close(&session);
    cli_arrays_free(&arrays);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
