/* Models, plans, preprocessing options, data sets and .npy inputs, as the options name them. */
#include "source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- models and plans --- */

bool cli_is_plan_file(const char *path)
{
    char start[7] = {0};
    FILE *f = fopen(path, "rb");
    bool is = f && fread(start, 1, sizeof start, f) == sizeof start && memcmp(start, "OCTPLAN", sizeof start) == 0;
    if (f)
        fclose(f);
    return is;
}

oct_status cli_subject_open(const char *path, cli_subject *out)
{
    *out = (cli_subject){.path = path};
    return cli_is_plan_file(path) ? oct_plan_load(path, &out->plan) : oct_model_load(path, &out->model);
}

void cli_subject_close(cli_subject *s)
{
    oct_model_destroy(s->model);
    oct_plan_destroy(s->plan);
    *s = (cli_subject){0};
}

const char *cli_subject_metadata(const cli_subject *s, const char *key)
{
    return s->plan ? oct_plan_get_metadata(s->plan, key) : oct_model_get_metadata(s->model, key);
}

int cli_subject_input_count(const cli_subject *s)
{
    return s->plan ? oct_plan_input_count(s->plan) : oct_model_input_count(s->model);
}

oct_status cli_subject_input(const cli_subject *s, int index, oct_port *out)
{
    return s->plan ? oct_plan_get_input(s->plan, index, out) : oct_model_get_input(s->model, index, out);
}

int64_t cli_file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* --- preprocessing --- */

/* "N" or "HxW" into *h and *w (0 for N alone). */
static bool parse_size(const char *text, int *h, int *w)
{
    int a = 0, b = 0, used = 0;
    if (sscanf(text, "%5dx%5d%n", &a, &b, &used) == 2 && !text[used] && a > 0 && b > 0) {
        *h = a;
        *w = b;
        return true;
    }
    if (sscanf(text, "%5d%n", &a, &used) == 1 && !text[used] && a > 0) {
        *h = a;
        *w = 0;
        return true;
    }
    return false;
}

/* One to four numbers; one alone counts for all channels. */
static bool parse_channels(const char *text, float out[4])
{
    int n = 0;
    for (const char *at = text;; at++) {
        char *end;
        float v = strtof(at, &end);
        if (end == at || !isfinite(v) || n == 4)
            return false;
        out[n++] = v;
        at = end;
        if (!*at)
            break;
        if (*at != ',')
            return false;
    }
    if (n == 1)
        out[1] = out[2] = out[3] = out[0];
    return true;
}

static int parse_preprocess(const cli *c, oct_preprocess *p)
{
    static const char *const layouts[] = {"", "nchw", "nhwc", NULL}, *const colors[] = {"", "rgb", "bgr", "grey", "gray", NULL};
    const cli_common *o = &c->o;
    if (o->preset) {
        oct_status s = oct_preprocess_preset(p, o->preset);
        if (s != OCT_OK)
            return cli_report(c, s);
    }
    if (o->resize && !parse_size(o->resize, &p->resize, &p->resize_w))
        return cli_error(c, OCT_ERR_USAGE, "--resize wants N or HxW, not '%s'", o->resize);
    if (o->crop) {
        if (!parse_size(o->crop, &p->crop_h, &p->crop_w))
            return cli_error(c, OCT_ERR_USAGE, "--crop wants N or HxW, not '%s'", o->crop);
        if (!p->crop_w)
            p->crop_w = p->crop_h;
    }
    if (o->mean && !parse_channels(o->mean, p->mean))
        return cli_error(c, OCT_ERR_USAGE, "--mean wants one to four numbers with commas between, not '%s'", o->mean);
    if (o->std) {
        if (!parse_channels(o->std, p->std))
            return cli_error(c, OCT_ERR_USAGE, "--std wants one to four numbers with commas between, not '%s'", o->std);
        for (int i = 0; i < 4; i++)
            if (!(p->std[i] > 0))
                return cli_error(c, OCT_ERR_USAGE, "--std wants numbers above 0, not '%s'", o->std);
    }
    if (o->layout && (p->layout = cli_word(o->layout, layouts)) < 1)
        return cli_error(c, OCT_ERR_USAGE, "--layout is nchw or nhwc, not '%s'", o->layout);
    if (o->color) {
        p->color = cli_word(o->color, colors);
        if (p->color < 1)
            return cli_error(c, OCT_ERR_USAGE, "--color is rgb, bgr or grey, not '%s'", o->color);
        if (p->color == 4)
            p->color = 3;
    }
    return 0;
}

bool cli_preprocess_given(const cli *c)
{
    const cli_common *o = &c->o;
    return o->preset || o->resize || o->crop || o->mean || o->std || o->layout || o->color;
}

int cli_preprocess(const cli *c, const cli_subject *a, const cli_subject *b, oct_preprocess *out)
{
    memset(out, 0, sizeof *out);
    oct_preprocess_default(out);
    if (cli_preprocess_given(c))
        return parse_preprocess(c, out);
    const char *text = a ? cli_subject_metadata(a, CLI_PREPROCESS_KEY) : NULL;
    if (!text && b)
        text = cli_subject_metadata(b, CLI_PREPROCESS_KEY);
    if (!text)
        return 0;
    oct_status s = oct_preprocess_parse(out, text);
    return s == OCT_OK ? 0 : cli_report(c, s);
}

/* --- data sets --- */

int cli_dataset(const cli *c, int shard, int shards, oct_dataset **out)
{
    if (!c->o.data)
        return cli_error(c, OCT_ERR_USAGE, "--data is missing: a folder, archive, CSV list, .npz or .npy with samples");
    oct_data_options options = {.limit = c->o.limit, .seed = (uint64_t)c->o.seed, .shard = shard, .shards = shards, .strict = c->o.strict};
    oct_status s = oct_dataset_open(c->o.data, &options, out);
    return s == OCT_OK ? 0 : cli_report(c, s);
}

void cli_note_faults(const cli *c, const oct_dataset *set)
{
    enum { SHOWN = 10 };
    int64_t n = oct_dataset_fault_count(set);
    for (int64_t i = 0; i < n && i < SHOWN; i++)
        cli_note(c, "skipped %s", oct_dataset_get_fault(set, i));
    if (n > SHOWN)
        cli_note(c, "skipped %lld more", (long long)(n - SHOWN));
}

/* --- arrays --- */

/* The input that `text` names and the file behind the '='; names may hold '=' themselves. */
static int find_input(const cli *c, const cli_arrays *a, const char *text, int *index, const char **file)
{
    for (const char *e = strchr(text, '='); e; e = strchr(e + 1, '='))
        for (int i = 0; i < a->count; i++)
            if (strlen(a->names[i]) == (size_t)(e - text) && strncmp(a->names[i], text, (size_t)(e - text)) == 0) {
                *index = i;
                *file = e + 1;
                return 0;
            }
    if (a->count == 1 && !strchr(text, '=')) {
        *index = 0;
        *file = text;
        return 0;
    }
    char list[512] = "";
    for (int i = 0; i < a->count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s'%s'", i ? ", " : "", a->names[i]);
    return cli_error(c, OCT_ERR_USAGE, "--input '%s' is not NAME=FILE.npy with an input of the model (%s)", text, list);
}

int cli_arrays_load(const cli *c, const cli_subject *subject, const cli_texts *given, cli_arrays *out)
{
    int bad = 0;
    cli_arrays a = {.count = cli_subject_input_count(subject)};
    a.tensors = calloc((size_t)a.count + 1, sizeof *a.tensors);
    a.names = calloc((size_t)a.count + 1, sizeof *a.names);
    a.ports = calloc((size_t)a.count + 1, sizeof *a.ports);
    if (!a.tensors || !a.names || !a.ports)
        bad = cli_error(c, OCT_ERR_MEMORY, "out of memory");
    for (int i = 0; !bad && i < a.count; i++) {
        oct_status s = cli_subject_input(subject, i, &a.ports[i]);
        a.names[i] = a.ports[i].name;
        if (s != OCT_OK)
            bad = cli_report(c, s);
    }
    for (int k = 0; !bad && k < given->count; k++) {
        int i = 0;
        const char *file = NULL;
        bad = find_input(c, &a, given->items[k], &i, &file);
        if (!bad && a.tensors[i].data)
            bad = cli_error(c, OCT_ERR_USAGE, "--input names '%s' twice", a.names[i]);
        oct_status s = bad ? OCT_OK : oct_npy_load(file, &a.tensors[i]);
        if (s != OCT_OK)
            bad = cli_report(c, s);
        else if (!bad && a.tensors[i].dtype != a.ports[i].dtype)
            bad = cli_error(c, OCT_ERR_CONTENT, "'%s' holds %s, input '%s' wants %s", file, oct_dtype_name(a.tensors[i].dtype), a.names[i],
                            oct_dtype_name(a.ports[i].dtype));
        else if (!bad && a.tensors[i].rank != a.ports[i].rank)
            bad = cli_error(c, OCT_ERR_CONTENT, "'%s' has %d axes, input '%s' wants %d", file, a.tensors[i].rank, a.names[i], a.ports[i].rank);
    }
    for (int i = 0; !bad && i < a.count; i++)
        if (!a.tensors[i].data)
            bad = cli_error(c, OCT_ERR_USAGE, "--input %s=FILE.npy is missing", a.names[i]);
    if (bad)
        cli_arrays_free(&a);
    else
        *out = a;
    return bad;
}

void cli_arrays_free(cli_arrays *a)
{
    for (int i = 0; a->tensors && i < a->count; i++) {
        if (a->copied)
            free(a->tensors[i].data);
        else
            oct_tensor_free(&a->tensors[i]);
    }
    free(a->tensors);
    free(a->names);
    free(a->ports);
    *a = (cli_arrays){0};
}
