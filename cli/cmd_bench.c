/* bench: latency percentiles and throughput of one model or plan, and the time of every step.
 *
 * Runs with the per-step clock on alternate with runs without: the clock costs something, and both see the same machine.
 * Latency comes from the runs without, the step times from the runs with (cli/profile.c). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "session.h"

#define PROFILE_EVERY 4    /* one profiled run after so many timed ones */
#define PROFILE_MOST  200
#define PEAK_ROUNDS   12   /* before and again after the runs; the best counts */

typedef struct job {
    cli_texts inputs, dims;
    bool as_float, profile;
    int64_t runs, warmup;
    double seconds;
    double *latency;       /* ms, sorted at the end */
    int64_t count;
    double *step_ms;       /* step_count x PROFILE_MOST */
    double run_ms[PROFILE_MOST]; /* whole runs with the clock on */
    double peak_int8, peak_float; /* GMAC/s of one core */
    int64_t profiled;
    int step_count;
} job;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The nearest-rank percentile of sorted values. */
static double percentile(const double *sorted, int64_t n, double p)
{
    int64_t i = (int64_t)ceil(p / 100 * (double)n) - 1;
    return n ? sorted[i < 0 ? 0 : i] : NAN;
}

/* The first batch of --data; *loader and *set keep it alive. */
static int data_inputs(cli_session *s, const cli *c, const cli_subject *subject, oct_dataset **set, oct_loader **loader)
{
    oct_preprocess pre;
    oct_batch b = {0};
    int bad = cli_preprocess(c, subject, NULL, &pre);
    if (!bad)
        bad = cli_dataset(c, 0, 0, set);
    if (bad)
        return bad;
    if (!s->batch)
        return cli_error(c, OCT_ERR_CONTENT, "the inputs do not have the samples as their first axis");
    oct_status status = oct_loader_create(*set, s->inputs, s->input_count, &pre, s->batch, (int)c->o.threads, loader);
    if (status == OCT_OK)
        status = oct_loader_next(*loader, &b);
    if (status == OCT_OK && b.count == 0)
        return cli_error(c, OCT_ERR_CONTENT, "'%s' has no sample that can be read", c->o.data);
    if (status == OCT_OK)
        status = cli_session_bind(s, b.inputs, 0, b.count);
    return status == OCT_OK ? 0 : cli_report(c, status);
}

static int array_inputs(cli_session *s, const cli *c, const cli_arrays *a)
{
    for (int i = 0; i < s->input_count; i++)
        for (int k = 0; k < s->inputs[i].rank; k++)
            if (a->tensors[i].dims[k] != s->inputs[i].dims[k] && !(k == 0 && s->batch && a->tensors[i].dims[0] > s->batch))
                return cli_error(c, OCT_ERR_CONTENT, "input '%s': axis %d of the array is %lld, the model wants %lld", s->inputs[i].name, k,
                                 (long long)a->tensors[i].dims[k], (long long)s->inputs[i].dims[k]);
    oct_status status = cli_session_bind(s, a->tensors, 0, s->batch);
    return status == OCT_OK ? 0 : cli_report(c, status);
}

static oct_status profile_once(cli_session *s, job *j)
{
    oct_context_profile(s->context, true);
    double start = cli_seconds();
    oct_status status = oct_context_run(s->context);
    j->run_ms[j->profiled] = 1e3 * (cli_seconds() - start);
    for (int i = 0; status == OCT_OK && i < j->step_count; i++) {
        oct_step_profile p;
        status = oct_context_get_profile(s->context, i, &p);
        if (status == OCT_OK)
            j->step_ms[i * PROFILE_MOST + j->profiled] = 1e3 * p.seconds / (double)(p.runs ? p.runs : 1);
    }
    oct_context_profile(s->context, false);
    j->profiled++;
    return status;
}

static void measure_peak(const cli_session *s, job *j)
{
    for (int i = 0; j->profile && i < PEAK_ROUNDS; i++) {
        j->peak_int8 = fmax(j->peak_int8, oct_plan_peak(s->plan, true));
        j->peak_float = fmax(j->peak_float, oct_plan_peak(s->plan, false));
    }
}

/* Timed runs: --runs of them, else as many as fit into --seconds, at least 10. */
static oct_status measure(cli_session *s, job *j)
{
    oct_status status = OCT_OK;
    int64_t most = j->runs ? j->runs : 1000000, capacity = 0;
    measure_peak(s, j);
    for (int64_t i = 0; status == OCT_OK && i < j->warmup; i++)
        status = oct_context_run(s->context);
    double begin = cli_seconds();
    while (status == OCT_OK && j->count < most && (j->runs || j->count < 10 || cli_seconds() - begin < j->seconds)) {
        if (j->count == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            double *p = realloc(j->latency, (size_t)capacity * sizeof *p);
            if (!p)
                return OCT_ERR_MEMORY;
            j->latency = p;
        }
        double start = cli_seconds();
        status = oct_context_run(s->context);
        j->latency[j->count++] = 1e3 * (cli_seconds() - start);
        if (status == OCT_OK && j->count % PROFILE_EVERY == 0 && j->profiled < PROFILE_MOST)
            status = profile_once(s, j);
    }
    if (status == OCT_OK && j->profiled == 0)
        status = profile_once(s, j);
    measure_peak(s, j);
    qsort(j->latency, (size_t)j->count, sizeof *j->latency, by_value);
    return status;
}

static double mean(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return n ? sum / (double)n : NAN;
}

static void print_json(const cli *c, const cli_session *s, const job *j, const cli_profile *p)
{
    cJSON *root = cJSON_CreateObject(), *latency;
    cJSON_AddStringToObject(root, "model", c->args[0]);
    cJSON_AddNumberToObject(root, "threads", cli_threads(c));
    cJSON_AddNumberToObject(root, "batch", (double)(s->batch ? s->batch : 1));
    cJSON_AddNumberToObject(root, "warmup", (double)j->warmup);
    cJSON_AddNumberToObject(root, "runs", (double)j->count);
    latency = cJSON_AddObjectToObject(root, "latency_ms");
    cJSON_AddNumberToObject(latency, "min", j->latency[0]);
    cJSON_AddNumberToObject(latency, "p50", percentile(j->latency, j->count, 50));
    cJSON_AddNumberToObject(latency, "mean", mean(j->latency, j->count));
    cJSON_AddNumberToObject(latency, "p90", percentile(j->latency, j->count, 90));
    cJSON_AddNumberToObject(latency, "p99", percentile(j->latency, j->count, 99));
    cJSON_AddNumberToObject(root, "throughput_per_s", 1e3 * (double)(s->batch ? s->batch : 1) / mean(j->latency, j->count));
    cli_profile_json(p, j->profile, root);
    cli_print_json(root);
}

static void print_text(const cli *c, const cli_session *s, const job *j, const cli_profile *p)
{
    printf("%s: %d threads, batch %lld, %lld runs after %lld to warm up\n", c->args[0], cli_threads(c), (long long)(s->batch ? s->batch : 1),
           (long long)j->count, (long long)j->warmup);
    printf("latency ms  min %.4f  p50 %.4f  mean %.4f  p90 %.4f  p99 %.4f;  %.1f samples/s\n", j->latency[0], percentile(j->latency, j->count, 50),
           mean(j->latency, j->count), percentile(j->latency, j->count, 90), percentile(j->latency, j->count, 99),
           1e3 * (double)(s->batch ? s->batch : 1) / mean(j->latency, j->count));
    cli_profile_print(p, j->profile);
}

static int report(const cli *c, const cli_session *s, const job *j)
{
    cli_profile p = {.peak_int8 = j->peak_int8 * cli_threads(c), .peak_float = j->peak_float * cli_threads(c)};
    oct_status status = cli_profile_make(&p, s->context, j->step_count, j->latency, j->count, j->run_ms, j->step_ms, j->profiled, PROFILE_MOST);
    if (status == OCT_OK && c->o.json)
        print_json(c, s, j, &p);
    else if (status == OCT_OK)
        print_text(c, s, j, &p);
    cli_profile_free(&p);
    return status == OCT_OK ? 0 : cli_report(c, status);
}

int cmd_bench(int argc, char **argv)
{
    job j = {.warmup = 10, .seconds = 1};
    cli_option own[] = {{"--runs", NULL, CLI_INT, &j.runs, "N", "timed runs (default: as many as fit into --seconds)", 1, 1000000},
                        {"--seconds", NULL, CLI_NUMBER, &j.seconds, "S", "how long to measure without --runs (default: 1)", 0, 0},
                        {"--warmup", NULL, CLI_INT, &j.warmup, "N", "runs before the first timed one (default: 10)", 0, 1000000},
                        {"--input", "-i", CLI_TEXTS, &j.inputs, "NAME=FILE", ".npy of an input (default: random data)", 0, 0},
                        {"--profile", NULL, CLI_FLAG, &j.profile, NULL, "also GB/s, percent of the cores' peak, groups, and how the steps add up to a run", 0, 0},
                        {"--float", NULL, CLI_FLAG, &j.as_float, NULL, "of an ONNX file: every layer in float", 0, 0},
                        {"--dim", NULL, CLI_TEXTS, &j.dims, "NAME=N", "of an ONNX file: value of a free dimension", 0, 0},
                        {0}};
    cli c = {.command = "bench", .usage = "PLAN|MODEL", .summary = "Latency, throughput and the time of every step; --batch (default 1) and --threads are stated in the result.\n"
                        "Step times are means over the middle half of the runs that were profiled, one in four.",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    cli_subject subject = {0};
    cli_arrays arrays = {0};
    cli_session session = {0};
    oct_dataset *set = NULL;
    oct_loader *loader = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    oct_status s = cli_subject_open(c.args[0], &subject);
    if (s == OCT_OK && j.inputs.count && (status = cli_arrays_load(&c, &subject, &j.inputs, &arrays)))
        goto done;
    if (s == OCT_OK)
        s = cli_session_open(&session, &c, &subject, NULL, 1, &j.dims, j.as_float);
    if (s == OCT_OK && j.inputs.count)
        status = array_inputs(&session, &c, &arrays);
    else if (s == OCT_OK && c.o.data)
        status = data_inputs(&session, &c, &subject, &set, &loader);
    else if (s == OCT_OK)
        s = cli_session_random(&session, (uint64_t)c.o.seed);
    if (status)
        goto done;
    j.step_count = s == OCT_OK ? oct_plan_step_count(session.plan) : 0;
    j.step_ms = calloc((size_t)j.step_count * PROFILE_MOST + 1, sizeof *j.step_ms);
    if (s == OCT_OK)
        s = j.step_ms ? measure(&session, &j) : OCT_ERR_MEMORY;
    status = s == OCT_OK ? report(&c, &session, &j) : cli_report(&c, s);
done:
    free(j.step_ms);
    free(j.latency);
    oct_loader_destroy(loader);
    oct_dataset_destroy(set);
    cli_session_close(&session);
    cli_arrays_free(&arrays);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
