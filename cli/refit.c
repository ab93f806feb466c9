/* build OLD.plan: the same plan with other weights, ranges or taps, from what it carries; nothing is searched. */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

typedef struct numbers {
    oct_refit_weight *weights;
    oct_refit_range *ranges;
    char **names; /* of both, owned */
    int weight_count, range_count, name_count;
} numbers;

static int keep_name(const cli *c, const char *text, const char *want, numbers *n, const char **value)
{
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text)
        return cli_error(c, OCT_ERR_USAGE, "%s, not '%s'", want, text);
    if (!(n->names[n->name_count++] = strndup(text, (size_t)(equals - text))))
        return cli_error(c, OCT_ERR_MEMORY, "out of memory");
    *value = equals + 1;
    return 0;
}

static int read_weight(const cli *c, const char *text, numbers *n)
{
    const char *file = NULL;
    int bad = keep_name(c, text, "--weights wants NAME=FILE.npy", n, &file);
    if (bad)
        return bad;
    oct_refit_weight *w = &n->weights[n->weight_count];
    oct_status s = oct_npy_load(file, &w->tensor);
    if (s != OCT_OK)
        return cli_report(c, s);
    w->name = n->names[n->name_count - 1];
    n->weight_count++;
    return 0;
}

static int read_range(const cli *c, const char *text, numbers *n)
{
    const char *at = NULL;
    char *end = NULL;
    int bad = keep_name(c, text, "--range wants NAME=MIN,MAX", n, &at);
    if (bad)
        return bad;
    oct_refit_range *r = &n->ranges[n->range_count++];
    r->name = n->names[n->name_count - 1];
    r->min = strtof(at, &end);
    bool fits = end != at && *end == ',';
    if (fits) {
        at = end + 1;
        r->max = strtof(at, &end);
        fits = end != at && !*end;
    }
    return fits ? 0 : cli_error(c, OCT_ERR_USAGE, "--range wants NAME=MIN,MAX, not '%s'", text);
}

static int read_numbers(const cli *c, const cli_texts *weights, const cli_texts *ranges, numbers *n)
{
    int bad = 0;
    n->weights = calloc((size_t)weights->count + 1, sizeof *n->weights);
    n->ranges = calloc((size_t)ranges->count + 1, sizeof *n->ranges);
    n->names = calloc((size_t)weights->count + (size_t)ranges->count + 1, sizeof *n->names);
    if (!n->weights || !n->ranges || !n->names)
        return cli_error(c, OCT_ERR_MEMORY, "out of memory");
    for (int i = 0; !bad && i < weights->count; i++)
        bad = read_weight(c, weights->items[i], n);
    for (int i = 0; !bad && i < ranges->count; i++)
        bad = read_range(c, ranges->items[i], n);
    return bad;
}

static void free_numbers(numbers *n)
{
    for (int i = 0; i < n->weight_count; i++)
        oct_tensor_free(&n->weights[i].tensor);
    for (int i = 0; i < n->name_count; i++)
        free(n->names[i]);
    free(n->weights);
    free(n->ranges);
    free(n->names);
}

int cli_refit(const cli *c, const cli_texts *weights, const cli_texts *ranges, const cli_texts *taps, const char *output)
{
    numbers n = {0};
    oct_plan *old = NULL, *plan = NULL;
    int bad = read_numbers(c, weights, ranges, &n);
    if (!bad) {
        oct_status s = oct_plan_load(c->args[0], &old);
        if (s == OCT_OK)
            s = oct_plan_refit(old, n.weights, n.weight_count, n.ranges, n.range_count, &plan);
        if (s == OCT_OK && taps->count) {
            oct_plan *tapped = NULL;
            s = oct_plan_add_taps(plan, taps->items, taps->count, &tapped);
            oct_plan_destroy(plan);
            plan = tapped;
        }
        if (s == OCT_OK)
            s = oct_plan_save(plan, output);
        bad = s == OCT_OK ? 0 : cli_report(c, s);
    }
    oct_plan_destroy(plan);
    oct_plan_destroy(old);
    free_numbers(&n);
    return bad;
}
