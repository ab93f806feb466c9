/* build: an ONNX file to a plan file for this machine, in calibrated mode (ranges given) or as the model's Q/DQ say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibration.h"
#include "runtime.h"

typedef struct job {
    const char *output, *cache, *tactic, *target;
    cli_texts ranges, precisions, dims, taps, timing_merge, weights;
    bool int8, as_float;
    cli_calibration calibration;
    cli_runtime runtime;
    oct_quant_options quant;
    oct_build_options build;
    int64_t level, samples, skipped;
    cli_progress progress;
} job;

static void count_steps(const oct_plan *plan, int *steps, int *int8)
{
    *steps = oct_plan_step_count(plan);
    *int8 = 0;
    for (int i = 0; i < *steps; i++) {
        oct_step_profile step;
        *int8 += oct_plan_get_step(plan, i, &step) == OCT_OK && strcmp(step.precision, "int8") == 0;
    }
}

/* "random:SEED" */
static int parse_tactic(const cli *c, job *j)
{
    if (!j->tactic)
        return 0;
    char *end = NULL;
    const char *seed = strncmp(j->tactic, "random:", 7) == 0 ? j->tactic + 7 : "";
    j->build.tactic_seed = strtoull(seed, &end, 10);
    j->build.random_tactics = true;
    return *seed >= '0' && *seed <= '9' && !*end ? 0 : cli_error(c, OCT_ERR_USAGE, "--tactic is random:SEED, not '%s'", j->tactic);
}

static int check(const cli *c, job *j)
{
    if (!j->output)
        return cli_error(c, OCT_ERR_USAGE, "-o PLAN is missing");
    if (j->weights.count && !cli_is_plan_file(c->args[0]))
        return cli_error(c, OCT_ERR_USAGE, "--weights is for a plan that was built with --refit: '%s' is none", c->args[0]);
    if (j->int8 && j->as_float)
        return cli_error(c, OCT_ERR_USAGE, "--int8 and --float exclude each other");
    if (j->cache && c->o.data)
        return cli_error(c, OCT_ERR_USAGE, "ranges come from --calib or from --data, not from both");
    int status = parse_tactic(c, j);
    j->build.batch = c->o.batch;
    j->build.dims = j->dims.items;
    j->build.dim_count = j->dims.count;
    j->build.taps = j->taps.items;
    j->build.tap_count = j->taps.count;
    j->build.mode = j->as_float ? OCT_BUILD_FLOAT : j->int8 ? OCT_BUILD_INT8 : OCT_BUILD_FASTEST;
    j->build.target = j->target;
    j->build.level = (int)j->level;
    j->build.threads = (int)c->o.threads;
    j->build.timing_merge = j->timing_merge.items;
    j->build.timing_merge_count = j->timing_merge.count;
    return status ? status : cli_quant_options(c, &j->calibration, &j->quant);
}

static oct_status set_range(oct_builder *b, const cli *c, const char *text, int *bad)
{
    const char *equals = strrchr(text, '='), *comma = equals ? strchr(equals, ',') : NULL;
    char *end_min = NULL, *end_max = NULL;
    float min = equals ? strtof(equals + 1, &end_min) : 0, max = comma ? strtof(comma + 1, &end_max) : 0;
    if (!comma || equals == text || end_min == equals + 1 || end_min != comma || end_max == comma + 1 || *end_max) {
        *bad = cli_error(c, OCT_ERR_USAGE, "--range wants NAME=MIN,MAX, not '%s'", text);
        return OCT_OK;
    }
    char *name = strndup(text, (size_t)(equals - text));
    oct_status s = name ? oct_builder_set_range(b, name, min, max) : OCT_ERR_MEMORY;
    free(name);
    return s;
}

static oct_status set_precision(oct_builder *b, const cli *c, const char *text, int *bad)
{
    static const char *const words[] = {"any", "int8", "float", NULL};
    const char *equals = strrchr(text, '=');
    int which = equals ? cli_word(equals + 1, words) : -1;
    if (which < 0 || equals == text) {
        *bad = cli_error(c, OCT_ERR_USAGE, "--precision wants LAYER=int8 or LAYER=float, not '%s'", text);
        return OCT_OK;
    }
    char *name = strndup(text, (size_t)(equals - text));
    oct_status s = name ? oct_builder_set_precision(b, name, (oct_layer_precision)which) : OCT_ERR_MEMORY;
    free(name);
    return s;
}

/* Ranges and constraints into the builder. */
static int fill(const cli *c, job *j, oct_model *model, oct_builder *b)
{
    cli_subject subject = {.path = c->args[0], .model = model};
    oct_ranges *ranges = NULL;
    oct_preprocess pre;
    oct_status s = OCT_OK;
    int status = cli_preprocess(c, &subject, NULL, &pre);
    if (!status && (j->cache || c->o.data))
        status = cli_obtain_ranges(c, j->cache, &j->quant, model, &pre, &ranges, &j->samples, &j->skipped);
    if (!status && ranges)
        s = oct_builder_add_ranges(b, ranges);
    oct_ranges_destroy(ranges);
    for (int i = 0; !status && s == OCT_OK && i < j->ranges.count; i++)
        s = set_range(b, c, j->ranges.items[i], &status);
    for (int i = 0; !status && s == OCT_OK && i < j->precisions.count; i++)
        s = set_precision(b, c, j->precisions.items[i], &status);
    if (!status && s == OCT_OK && (c->o.data || cli_preprocess_given(c)))
        s = cli_keep_preprocess(model, &pre);
    if (!status && s == OCT_OK && j->int8 && !j->cache && !c->o.data && !j->ranges.count && !oct_model_is_quantized(model))
        status = cli_error(c, OCT_ERR_USAGE, "--int8 of a float model wants ranges (--calib, --range or --data): none are ever made up");
    if (!status && s == OCT_OK)
        status = cli_runtime_apply(c, &j->runtime, b);
    return status || s == OCT_OK ? status : cli_report(c, s);
}

static void on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    job *j = user;
    j->progress.what = what;
    cli_progress_update(&j->progress, done, total);
}

static void print_notes(const cli *c, const cJSON *report)
{
    const cJSON *n;
    cJSON_ArrayForEach(n, cJSON_GetObjectItem(report, "notes")) cli_note(c, "%s", n->valuestring);
}

static void print_result(const cli *c, const job *j, const oct_plan *plan, const oct_builder *b, double seconds)
{
    char *text = NULL;
    int steps, int8;
    cJSON *report = oct_builder_report_json(b, &text) == OCT_OK ? cJSON_Parse(text) : NULL;
    oct_string_free(text);
    count_steps(plan, &steps, &int8);
    print_notes(c, report);
    if (c->o.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "model", c->args[0]);
        cJSON_AddStringToObject(root, "output", j->output);
        cJSON_AddNumberToObject(root, "bytes", (double)cli_file_size(j->output));
        cJSON_AddNumberToObject(root, "steps", steps);
        cJSON_AddNumberToObject(root, "int8_steps", int8);
        cJSON_AddNumberToObject(root, "seconds", seconds);
        cJSON_AddItemToObject(root, "report", report);
        cli_print_json(root);
        return;
    }
    if (!c->o.quiet) {
        const cJSON *t, *chosen = cJSON_GetObjectItem(report, "chosen");
        printf("%s: %d steps, %d in INT8, %lld bytes, %.1f s\n", j->output, steps, int8, (long long)cli_file_size(j->output), seconds);
        cJSON_ArrayForEach(t, cJSON_GetObjectItem(report, "candidates"))
            printf("  %-6s %9.4f ms%s\n", cJSON_GetObjectItem(t, "name")->valuestring, cJSON_GetObjectItem(t, "ms")->valuedouble,
                   strcmp(cJSON_GetObjectItem(t, "name")->valuestring, chosen->valuestring) == 0 ? "  (taken)" : "");
    }
    cJSON_Delete(report);
}

/* MODEL is a plan: only numbers and taps can change. */
static int refit(const cli *c, const job *j)
{
    if (j->cache || c->o.data || c->o.batch || j->precisions.count || j->dims.count || j->int8 || j->as_float || j->tactic || j->runtime.profiles.count ||
        j->runtime.inputs.count || j->runtime.outputs.count)
        return cli_error(c, OCT_ERR_USAGE, "a plan keeps how it was built: of '%s' --weights, --range and --tap can change", c->args[0]);
    double start = cli_seconds();
    int status = cli_refit(c, &j->weights, &j->ranges, &j->taps, j->output);
    if (!status && c->o.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "model", c->args[0]);
        cJSON_AddStringToObject(root, "output", j->output);
        cJSON_AddNumberToObject(root, "bytes", (double)cli_file_size(j->output));
        cJSON_AddNumberToObject(root, "seconds", cli_seconds() - start);
        cli_print_json(root);
    } else if (!status && !c->o.quiet) {
        printf("%s: refitted, %lld bytes, %.1f s\n", j->output, (long long)cli_file_size(j->output), cli_seconds() - start);
    }
    return status;
}

int cmd_build(int argc, char **argv)
{
    job j = {.level = 2};
    cli_option own[] = {
        {"--output", "-o", CLI_TEXT, &j.output, "PLAN", "where the plan goes", 0, 0},
        {"--calib", NULL, CLI_TEXT, &j.cache, "CACHE", "of a float model: ranges from a calibration cache, Octavo's or TensorRT's (or calibrate on --data)", 0, 0},
        {"--range", NULL, CLI_TEXTS, &j.ranges, "NAME=MIN,MAX", "range of one tensor; wins over the cache; may be repeated", 0, 0},
        {"--precision", NULL, CLI_TEXTS, &j.precisions, "LAYER=P", "int8 or float for one layer of the source model; may be repeated", 0, 0},
        {"--obey", NULL, CLI_FLAG, &j.build.obey, NULL, "fail when a layer cannot run as --precision wants (default: say so)", 0, 0},
        {"--int8", NULL, CLI_FLAG, &j.int8, NULL, "INT8 wherever ranges and kernels exist (default: where it is faster)", 0, 0},
        {"--float", NULL, CLI_FLAG, &j.as_float, NULL, "every layer in float", 0, 0},
        {"--dim", NULL, CLI_TEXTS, &j.dims, "NAME=N", "value of a free dimension, by symbol or INPUT:AXIS", 0, 0},
        {"--tap", NULL, CLI_TEXTS, &j.taps, "NAME", "keep a tensor of the source model readable at run time", 0, 0},
        {"--target", NULL, CLI_TEXT, &j.target, "LEVEL", "portable, avx2, avx512vnni or neon: a plan for another CPU level (default: this machine's)", 0, 0},
        {"--level", NULL, CLI_INT, &j.level, "0..3", "0 times nothing, 1 times precision, 2 kernels too (default), 3 also kernels of lower CPU levels", 0, 3},
        {"--deterministic", NULL, CLI_FLAG, &j.build.deterministic, NULL, "time nothing: the timing cache or a cost model decide; same input, same plan", 0, 0},
        {"--timing-cache", NULL, CLI_TEXT, &j.build.timing_cache, "FILE", "measured times: read when it is there, then updated", 0, 0},
        {"--timing-merge", NULL, CLI_TEXTS, &j.timing_merge, "FILE", "further timing caches to read; may be repeated", 0, 0},
        {"--tactic", NULL, CLI_TEXT, &j.tactic, "random:SEED", "kernels at random, for tests", 0, 0},
        {"--refit", NULL, CLI_FLAG, &j.build.refit, NULL, "the plan carries its model, so that weights, ranges and taps can be changed later", 0, 0},
        {"--weights", NULL, CLI_TEXTS, &j.weights, "NAME=NPY", "of a plan with --refit: file with new contents of an initializer; may be repeated", 0, 0},
        CLI_RUNTIME_OPTIONS(&j.runtime),
        CLI_CALIBRATION_OPTIONS(&j.calibration),
        {0}};
    cli c = {.command = "build", .usage = "MODEL|PLAN -o PLAN",
             .summary = "Build a plan for this machine; --batch sets a free first dimension (default 1).\n"
                        "Calibrated mode: a float model with --calib, --range or --data; INT8 is used where it makes the model faster, never without a range.\n"
                        "Explicit mode: a model with Q/DQ layers, whose scales are obeyed.\n"
                        "Refit: a plan that was built with --refit or --profile, with --weights, --range and --tap; nothing is searched again.",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    oct_model *model = NULL;
    oct_builder *b = NULL;
    oct_plan *plan = NULL;
    double start = cli_seconds();
    if (!cli_parse(&c, argc, argv, &status) || (status = check(&c, &j)))
        goto done;
    if (cli_is_plan_file(c.args[0])) {
        status = refit(&c, &j);
        goto done;
    }
    oct_status s = oct_model_load(c.args[0], &model);
    if (s == OCT_OK)
        s = oct_builder_create(model, &b);
    if (s == OCT_OK && (status = fill(&c, &j, model, b)))
        goto done;
    cli_progress_begin(&j.progress, &c, "building");
    j.build.progress = on_progress;
    j.build.user = &j;
    if (s == OCT_OK)
        s = oct_builder_build(b, &j.build, &plan);
    cli_progress_clear(&j.progress);
    if (s == OCT_OK)
        s = oct_plan_save(plan, j.output);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else
        print_result(&c, &j, plan, b, cli_seconds() - start);
done:
    oct_plan_destroy(plan);
    oct_builder_destroy(b);
    oct_model_destroy(model);
    return cli_finish(&c, status);
}
