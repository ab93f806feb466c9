/* Means of profiled runs, groups, and their two faces, text and JSON.  Measures nothing itself: cmd_bench.c does. */
#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- means over the middle half --- */

typedef struct timed {
    double ms;
    int64_t run;
} timed;

static int by_time(const void *a, const void *b)
{
    double x = ((const timed *)a)->ms, y = ((const timed *)b)->ms;
    return (x > y) - (x < y);
}

oct_status cli_profile_make(cli_profile *p, const oct_context *context, int step_count, const double *latency, int64_t count,
                            const double *run_ms, const double *step_ms, int64_t profiled, int64_t stride)
{
    oct_status status = OCT_OK;
    timed *order = calloc((size_t)profiled + 1, sizeof *order);
    p->step_count = step_count;
    p->steps = calloc((size_t)step_count + 1, sizeof *p->steps);
    p->ms = calloc((size_t)step_count + 1, sizeof *p->ms);
    if (!order || !p->steps || !p->ms) {
        free(order);
        return OCT_ERR_MEMORY;
    }
    for (int64_t i = 0; i < profiled; i++)
        order[i] = (timed){run_ms[i], i};
    qsort(order, (size_t)profiled, sizeof *order, by_time);
    const int64_t from = profiled / 4, to = profiled - from, first = count / 4, last = count - first;
    for (int64_t i = from; i < to; i++)
        p->run_ms += order[i].ms / (double)(to - from);
    for (int64_t i = first; i < last; i++)
        p->latency_ms += latency[i] / (double)(last - first);
    for (int k = 0; status == OCT_OK && k < step_count; k++) {
        for (int64_t i = from; i < to; i++)
            p->ms[k] += step_ms[k * stride + order[i].run] / (double)(to - from);
        p->sum_ms += p->ms[k];
        status = oct_context_get_profile(context, k, &p->steps[k]);
    }
    free(order);
    return status;
}

void cli_profile_free(cli_profile *p)
{
    free(p->steps);
    free(p->ms);
    *p = (cli_profile){0};
}

/* --- figures of a step --- */

static double percent(const cli_profile *p, double ms)
{
    return p->sum_ms > 0 ? 100 * ms / p->sum_ms : 0;
}
static double per_second(double amount, double ms)
{
    return ms > 0 ? amount / (ms * 1e6) : 0;
} /* in units of 10^9 */

/* What the cores could do in this precision; 0 when a step has no MACs or the peak is not known. */
static double peak_of(const cli_profile *p, const oct_step_profile *s)
{
    if (!s->macs)
        return 0;
    return strcmp(s->precision, "int8") == 0 ? p->peak_int8 : strcmp(s->precision, "float") == 0 ? p->peak_float : 0;
}

/* --- groups --- */

typedef struct group {
    const char *name;
    double ms;
    double macs;
    int steps;
} group;

static const char *op_of(const oct_step_profile *s)
{
    return s->op;
}
static const char *precision_of(const oct_step_profile *s)
{
    return s->precision;
}

static int by_most_ms(const void *a, const void *b)
{
    return (((const group *)a)->ms < ((const group *)b)->ms) - (((const group *)a)->ms > ((const group *)b)->ms);
}

/* Steps added up by a text of theirs, the longest first; NULL when memory is out. */
static group *make_groups(const cli_profile *p, const char *(*key)(const oct_step_profile *), int *count)
{
    group *list = calloc((size_t)p->step_count + 1, sizeof *list);
    *count = 0;
    for (int i = 0; list && i < p->step_count; i++) {
        const char *name = key(&p->steps[i]);
        int at = 0;
        while (at < *count && strcmp(list[at].name, name) != 0)
            at++;
        if (at == *count)
            list[(*count)++].name = name;
        list[at].ms += p->ms[i];
        list[at].macs += (double)p->steps[i].macs;
        list[at].steps++;
    }
    if (list)
        qsort(list, (size_t)*count, sizeof *list, by_most_ms);
    return list;
}

/* --- text --- */

static void print_groups(const cli_profile *p, const char *title, const char *(*key)(const oct_step_profile *))
{
    int count;
    group *list = make_groups(p, key, &count);
    printf("by %s:\n", title);
    for (int i = 0; list && i < count; i++)
        printf("%9.4f %6.1f %9.1f  %-18s %d steps\n", list[i].ms, percent(p, list[i].ms),
               per_second(list[i].macs, list[i].ms), list[i].name, list[i].steps);
    free(list);
}

static void print_step(const cli_profile *p, bool full, int i)
{
    const oct_step_profile *s = &p->steps[i];
    const double ms = p->ms[i], gmacs = per_second((double)s->macs, ms), peak = peak_of(p, s);
    printf("%9.4f %6.1f ", ms, percent(p, ms));
    if (!full)
        printf("%9.1f", gmacs);
    else if (s->macs)
        printf("%9.1f %9s", gmacs, "");
    else
        printf("%9s %9.1f", "", per_second((double)s->bytes, ms));
    if (full && peak > 0)
        printf(" %6.1f", 100 * gmacs / peak);
    else if (full)
        printf(" %6s", "");
    printf("  %-8s %-18s %-26s %s\n", s->precision, s->op, s->tactic, s->name);
}

void cli_profile_print(const cli_profile *p, bool full)
{
    printf("%9s %6s %9s%s  %-8s %-18s %-26s %s\n", "ms", "%", "GMAC/s", full ? "      GB/s % peak" : "", "as", "op", "kernel",
           "name");
    for (int i = 0; i < p->step_count; i++)
        print_step(p, full, i);
    if (!full)
        return;
    print_groups(p, "operator", op_of);
    print_groups(p, "precision", precision_of);
    printf("time of a run (means over the middle half of the runs):\n");
    printf("%9.4f ms sum of the steps\n%+9.4f ms in the run and in no step: entry, waking and resting of the threads\n", p->sum_ms,
           p->run_ms - p->sum_ms);
    printf("%9.4f ms a run with the clock on\n%+9.4f ms what the clock and its dispatch cost\n", p->run_ms,
           p->latency_ms - p->run_ms);
    printf("%9.4f ms a run without the clock\n", p->latency_ms);
    if (p->peak_int8 > 0 || p->peak_float > 0)
        printf("peak: %.1f GMAC/s int8, %.1f GMAC/s float (one core, measured in registers, times the threads)\n", p->peak_int8,
               p->peak_float);
    else
        printf("peak: not known for the plan's level\n");
}

/* --- JSON --- */

static void add_groups(const cli_profile *p, const char *(*key)(const oct_step_profile *), const char *name, cJSON *to)
{
    int count;
    group *list = make_groups(p, key, &count);
    cJSON *all = cJSON_AddObjectToObject(to, name);
    for (int i = 0; list && i < count; i++) {
        cJSON *o = cJSON_AddObjectToObject(all, list[i].name);
        cJSON_AddNumberToObject(o, "ms", list[i].ms);
        cJSON_AddNumberToObject(o, "percent", percent(p, list[i].ms));
        cJSON_AddNumberToObject(o, "steps", list[i].steps);
        cJSON_AddNumberToObject(o, "macs", list[i].macs);
    }
    free(list);
}

static void add_or_null(cJSON *o, const char *key, bool known, double value)
{
    cJSON_AddItemToObject(o, key, known ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static cJSON *step_json(const cli_profile *p, bool full, int i)
{
    const oct_step_profile *s = &p->steps[i];
    const double ms = p->ms[i], gmacs = per_second((double)s->macs, ms), peak = peak_of(p, s);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", s->name);
    cJSON_AddStringToObject(o, "op", s->op);
    cJSON_AddStringToObject(o, "precision", s->precision);
    cJSON_AddStringToObject(o, "tactic", s->tactic);
    cJSON_AddNumberToObject(o, "ms", ms);
    cJSON_AddNumberToObject(o, "macs", (double)s->macs);
    cJSON_AddNumberToObject(o, "bytes", (double)s->bytes);
    if (full) {
        cJSON_AddNumberToObject(o, "percent", percent(p, ms));
        add_or_null(o, "gmac_per_s", s->macs > 0, gmacs);
        add_or_null(o, "gb_per_s", s->macs == 0, per_second((double)s->bytes, ms));
        add_or_null(o, "peak_percent", peak > 0, 100 * gmacs / peak);
    }
    return o;
}

void cli_profile_json(const cli_profile *p, bool full, cJSON *root)
{
    cJSON *steps = cJSON_AddArrayToObject(root, "steps");
    for (int i = 0; i < p->step_count; i++)
        cJSON_AddItemToArray(steps, step_json(p, full, i));
    if (!full)
        return;
    cJSON *o = cJSON_AddObjectToObject(root, "profile");
    cJSON_AddNumberToObject(o, "sum_ms", p->sum_ms);
    cJSON_AddNumberToObject(o, "unaccounted_ms", p->run_ms - p->sum_ms);
    cJSON_AddNumberToObject(o, "run_ms", p->run_ms);
    cJSON_AddNumberToObject(o, "clock_ms", p->run_ms - p->latency_ms);
    cJSON_AddNumberToObject(o, "latency_ms", p->latency_ms);
    add_or_null(o, "peak_int8_gmac_per_s", p->peak_int8 > 0, p->peak_int8);
    add_or_null(o, "peak_float_gmac_per_s", p->peak_float > 0, p->peak_float);
    add_groups(p, op_of, "by_op", o);
    add_groups(p, precision_of, "by_precision", o);
}
