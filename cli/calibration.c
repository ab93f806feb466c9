/* Calibration as `calibrate`, `quantize` and `build` share it. Streams: one batch of samples at a time, whatever the set's size. */
#include "calibration.h"

#include <stdlib.h>

#define LOAD_BATCH 8

int cli_quant_options(const cli *c, const cli_calibration *p, oct_quant_options *out)
{
    static const char *const solvers[] = {"auto", "max", "percentile", "entropy", "mse", NULL}, *const schemes[] = {"affine", "symmetric", NULL};
    int solver = p->solver ? cli_word(p->solver, solvers) : 0, scheme = p->scheme ? cli_word(p->scheme, schemes) : 0;
    if (solver < 0)
        return cli_error(c, OCT_ERR_USAGE, "--solver is auto, max, percentile, entropy or mse, not '%s'", p->solver);
    if (scheme < 0)
        return cli_error(c, OCT_ERR_USAGE, "--scheme is affine or symmetric, not '%s'", p->scheme);
    if (p->percentile != 0 && !(p->percentile > 50 && p->percentile <= 100))
        return cli_error(c, OCT_ERR_USAGE, "--percentile is above 50 and at most 100, not %g", p->percentile);
    *out = (oct_quant_options){.solver = (oct_solver)solver, .percentile = p->percentile, .scheme = (oct_scheme)scheme, .per_tensor = p->per_tensor,
                               .threads = (int)c->o.threads, .batch = c->o.batch};
    return 0;
}

static oct_status push_all(oct_calibrator *cal, oct_loader *loader, int inputs, int64_t first, int64_t total, cli_progress *progress)
{
    int64_t done = 0;
    for (;;) {
        oct_batch b;
        oct_status s = oct_loader_next(loader, &b);
        if (s != OCT_OK || b.count == 0) {
            if (s == OCT_OK)
                cli_progress_end(progress, done);
            return s;
        }
        s = oct_calibrator_push(cal, b.inputs, inputs, first + b.first);
        if (s != OCT_OK)
            return s;
        done += b.count;
        cli_progress_update(progress, done, total);
    }
}

int cli_calibrate_set(const cli *c, oct_calibrator *cal, const oct_model *model, const oct_preprocess *pre, oct_dataset *set, int64_t *skipped)
{
    oct_loader *loader = NULL;
    cli_progress progress;
    int count = oct_model_input_count(model);
    oct_status s = OCT_OK;
    oct_port *ports = calloc((size_t)count + 1, sizeof *ports);
    int status = 0;
    if (!ports)
        return cli_error(c, OCT_ERR_MEMORY, "out of memory");
    for (int i = 0; s == OCT_OK && i < count; i++)
        s = oct_model_get_input(model, i, &ports[i]);
    if (s == OCT_OK)
        s = oct_loader_create(set, ports, count, pre, c->o.batch ? c->o.batch : LOAD_BATCH, (int)c->o.threads, &loader);
    cli_progress_begin(&progress, c, "calibrating");
    if (s == OCT_OK)
        s = push_all(cal, loader, count, oct_dataset_first(set), oct_dataset_count(set), &progress);
    if (s != OCT_OK) {
        status = cli_report(c, s);
        goto done;
    }
    cli_note_faults(c, set);
    *skipped = oct_dataset_fault_count(set);
done:
    oct_loader_destroy(loader);
    free(ports);
    return status;
}

int cli_calibrate(const cli *c, oct_calibrator *cal, const oct_model *model, const oct_preprocess *pre, int shard, int shards, int64_t *skipped)
{
    oct_dataset *set = NULL;
    int status = cli_dataset(c, shard, shards, &set);
    if (!status)
        status = cli_calibrate_set(c, cal, model, pre, set, skipped);
    oct_dataset_destroy(set);
    return status;
}

int cli_obtain_ranges(const cli *c, const char *cache, const oct_quant_options *options, const oct_model *model, const oct_preprocess *pre, oct_ranges **out,
                      int64_t *samples, int64_t *skipped)
{
    oct_calibrator *cal = NULL;
    oct_status s = cache ? oct_ranges_load(cache, out) : oct_calibrator_create(model, options, &cal);
    if (s != OCT_OK)
        return cli_report(c, s);
    if (cache) {
        if (!*oct_ranges_model_hash(*out))
            cli_note(c, "'%s' does not say which model it belongs to: not checked", cache);
        return 0;
    }
    int status = cli_calibrate(c, cal, model, pre, 0, 0, skipped);
    if (!status && (s = oct_calibrator_solve(cal, out)) != OCT_OK)
        status = cli_report(c, s);
    *samples = oct_calibrator_sample_count(cal);
    oct_calibrator_destroy(cal);
    return status;
}

oct_status cli_keep_preprocess(oct_model *model, const oct_preprocess *pre)
{
    char *text = NULL;
    oct_status s = oct_preprocess_format(pre, &text);
    if (s == OCT_OK)
        s = oct_model_set_metadata(model, CLI_PREPROCESS_KEY, text);
    oct_string_free(text);
    return s;
}

cJSON *cli_solver_counts(const oct_ranges *ranges)
{
    cJSON *counts = cJSON_CreateObject();
    for (int64_t i = 0; i < oct_ranges_count(ranges); i++) {
        oct_range r;
        if (oct_ranges_get(ranges, i, &r) != OCT_OK || !r.solver)
            continue;
        cJSON *n = cJSON_GetObjectItem(counts, r.solver);
        if (n)
            cJSON_SetNumberValue(n, n->valuedouble + 1);
        else
            cJSON_AddNumberToObject(counts, r.solver, 1);
    }
    return counts;
}
