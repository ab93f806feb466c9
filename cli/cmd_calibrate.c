/* calibrate: samples to a calibration cache; in shards with --state and --merge. */
#include <stdio.h>
#include <string.h>

#include "calibration.h"
#include "peers.h"

typedef struct job {
    const char *output, *state, *shard, *format, *from;
    cli_texts merge;
    cli_calibration calibration;
    oct_quant_options options;
    int part, parts;
} job;

/* "I/N" */
static int parse_shard(const cli *c, job *j)
{
    int used = 0;
    if (!j->shard)
        return 0;
    if (sscanf(j->shard, "%6d/%6d%n", &j->part, &j->parts, &used) != 2 || j->shard[used] || j->part < 1 || j->part > j->parts)
        return cli_error(c, OCT_ERR_USAGE, "--shard wants I/N with 1 <= I <= N, not '%s'", j->shard);
    if (!j->state)
        return cli_error(c, OCT_ERR_USAGE, "--shard wants --state FILE for the statistics of its part");
    return 0;
}

static int check(const cli *c, job *j, oct_cache_format *format)
{
    static const char *const formats[] = {"json", "tensorrt", NULL};
    if (j->format && cli_word(j->format, formats) < 0)
        return cli_error(c, OCT_ERR_USAGE, "--format is json or tensorrt, not '%s'", j->format);
    *format = j->format ? (oct_cache_format)cli_word(j->format, formats) : OCT_CACHE_JSON;
    if (j->from && (j->merge.count || c->arg_count || j->shard || j->state || c->o.data))
        return cli_error(c, OCT_ERR_USAGE, "--from takes a Q/DQ model and nothing else: no MODEL, no --data, no --merge, no --state");
    if (j->merge.count && (c->arg_count || j->shard || c->o.data))
        return cli_error(c, OCT_ERR_USAGE, "--merge takes state files only: no MODEL, no --data, no --shard");
    if (!j->merge.count && !j->from && !c->arg_count)
        return cli_error(c, OCT_ERR_USAGE, "MODEL is missing (or --merge with state files, or --from with a Q/DQ model)");
    if (!j->output && !j->state)
        return cli_error(c, OCT_ERR_USAGE, "-o CACHE is missing (or --state FILE)");
    int status = parse_shard(c, j);
    return status ? status : cli_quant_options(c, &j->calibration, &j->options);
}

/* A calibrator filled from --data. */
static int observe(const cli *c, const job *j, oct_calibrator **out, int64_t *skipped)
{
    cli_subject subject = {.path = c->args[0]};
    oct_preprocess pre;
    oct_calibrator *cal = NULL;
    int status = 0;
    oct_status s = oct_model_load(c->args[0], &subject.model);
    if (s == OCT_OK)
        s = oct_calibrator_create(subject.model, &j->options, &cal);
    if (s != OCT_OK)
        status = cli_report(c, s);
    if (!status)
        status = cli_preprocess(c, &subject, NULL, &pre);
    if (!status)
        status = cli_calibrate(c, cal, subject.model, &pre, j->part, j->parts, skipped);
    cli_subject_close(&subject);
    if (status)
        oct_calibrator_destroy(cal);
    else
        *out = cal;
    return status;
}

/* A calibrator from the states of all parts. */
static oct_status merge(const job *j, oct_calibrator **out)
{
    oct_calibrator *cal = NULL;
    oct_status s = oct_calibrator_load(j->merge.items[0], &j->options, &cal);
    for (int i = 1; s == OCT_OK && i < j->merge.count; i++)
        s = oct_calibrator_merge(cal, j->merge.items[i]);
    if (s == OCT_OK)
        *out = cal;
    else
        oct_calibrator_destroy(cal);
    return s;
}

/* The ranges that a Q/DQ model holds. */
static oct_status extract(const cli *c, const job *j, oct_ranges **out)
{
    oct_model *model = NULL;
    int64_t skipped = 0;
    oct_status s = oct_model_load(j->from, &model);
    if (s == OCT_OK)
        s = oct_ranges_from_model(model, out, &skipped);
    oct_model_destroy(model);
    if (s == OCT_OK && skipped)
        cli_note(c, "%lld quantizations of '%s' have no form in a cache and were left out", (long long)skipped, j->from);
    return s;
}

/* Each process has observed its part; the first one gets the whole, through files beside the output. */
static oct_status gather(const job *j, const oct_peers *peers, oct_calibrator *cal)
{
    char path[4096];
    float arrived = 1;
    const char *stem = j->output ? j->output : j->state;
    oct_status s = OCT_OK;
    snprintf(path, sizeof path, "%s.rank%d.tmp", stem, peers->rank);
    if (peers->rank > 0)
        s = oct_calibrator_save(cal, path);
    if (s == OCT_OK)
        s = peers->sum(peers->user, &arrived, 1);
    for (int r = 1; peers->rank == 0 && r < peers->size; r++) {
        snprintf(path, sizeof path, "%s.rank%d.tmp", stem, r);
        if (s == OCT_OK)
            s = oct_calibrator_merge(cal, path);
        remove(path);
    }
    return s;
}

static void print_result(const cli *c, const job *j, const oct_calibrator *cal, const oct_ranges *ranges, int64_t skipped)
{
    const int64_t samples = cal ? oct_calibrator_sample_count(cal) : 0;
    cJSON *counts = ranges ? cli_solver_counts(ranges) : NULL;
    if (c->o.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddNumberToObject(root, "samples", (double)samples);
        cJSON_AddNumberToObject(root, "skipped", (double)skipped);
        if (j->state)
            cJSON_AddStringToObject(root, "state", j->state);
        if (ranges) {
            cJSON_AddStringToObject(root, "output", j->output);
            cJSON_AddNumberToObject(root, "tensors", (double)oct_ranges_count(ranges));
            cJSON_AddItemToObject(root, "solvers", counts);
        }
        cli_print_json(root);
        return;
    }
    if (!c->o.quiet && ranges) {
        printf("%s: %lld tensors from %lld samples (", j->output, (long long)oct_ranges_count(ranges), (long long)samples);
        const cJSON *n;
        cJSON_ArrayForEach(n, counts) printf("%s%s %.0f", n == counts->child ? "" : ", ", n->string, n->valuedouble);
        printf(")\n");
    } else if (!c->o.quiet) {
        printf("%s: statistics of %lld samples\n", j->state, (long long)samples);
    }
    cJSON_Delete(counts);
}

int cmd_calibrate(int argc, char **argv)
{
    job j = {0};
    cli_option own[] = {{"--output", "-o", CLI_TEXT, &j.output, "CACHE", "where the ranges go", 0, 0},
                        CLI_CALIBRATION_OPTIONS(&j.calibration),
                        {"--format", NULL, CLI_TEXT, &j.format, "NAME", "of the cache: json or tensorrt (default: json)", 0, 0},
                        {"--shard", NULL, CLI_TEXT, &j.shard, "I/N", "observe part I of N of the data only; needs --state", 0, 0},
                        {"--state", NULL, CLI_TEXT, &j.state, "FILE", "write the statistics themselves, for --merge", 0, 0},
                        {"--from", NULL, CLI_TEXT, &j.from, "QDQ", "take the ranges that a Q/DQ or QOperator model holds (no MODEL)", 0, 0},
                        {"--merge", NULL, CLI_REST, &j.merge, "FILE", "solve from the states of all parts (no MODEL)", 0, 0},
                        {0}};
    cli c = {.command = "calibrate", .usage = "MODEL --data PATH -o CACHE", .summary = "Run samples through a float model and solve the range of every tensor.\n"
             "The same with several processes: MODEL --data PATH --shard I/N --state FILE each, then --merge FILE... -o CACHE; or under mpirun.\n"
             "--from QDQ -o CACHE takes the ranges of a quantized model instead.",
             .options = own, .arg_min = 0, .arg_max = 1};
    int status = 0;
    oct_cache_format format = OCT_CACHE_JSON;
    oct_calibrator *cal = NULL;
    oct_ranges *ranges = NULL;
    int64_t skipped = 0;
    const oct_peers *peers = NULL;
    if (!cli_parse(&c, argc, argv, &status) || (status = check(&c, &j, &format)))
        goto done;
    oct_status s = OCT_OK;
    if (!j.from && !j.merge.count && !j.shard && (status = cli_peers_open(&c, &peers)))
        goto done;
    if (peers) {
        j.part = peers->rank + 1;
        j.parts = peers->size;
    }
    if (j.from)
        s = extract(&c, &j, &ranges);
    else if (j.merge.count)
        s = merge(&j, &cal);
    else if ((status = observe(&c, &j, &cal, &skipped)))
        goto done;
    if (peers)
        s = gather(&j, peers, cal);
    if (peers && peers->rank > 0) {
        status = s == OCT_OK ? 0 : cli_report(&c, s);
        goto done;
    }
    if (s == OCT_OK && j.state)
        s = oct_calibrator_save(cal, j.state);
    if (s == OCT_OK && j.output && !ranges)
        s = oct_calibrator_solve(cal, &ranges);
    if (s == OCT_OK && j.output)
        s = oct_ranges_save(ranges, j.output, format);
    if (s != OCT_OK)
        status = cli_report(&c, s);
    else
        print_result(&c, &j, cal, ranges, skipped);
done:
    oct_ranges_destroy(ranges);
    oct_calibrator_destroy(cal);
    return cli_finish(&c, status);
}
