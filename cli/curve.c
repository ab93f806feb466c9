/* Logs of training read, cut and drawn as text.  The picture is in plot.c. */
#include "curve.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

void cli_curve_free(cli_curve *c)
{
    for (int64_t i = 0; i < c->epoch_count; i++)
        free(c->epochs[i].scales);
    for (int64_t i = 0; i < c->scale_count; i++)
        free(c->scale_names[i]);
    free(c->steps);
    free(c->epochs);
    free(c->scale_names);
    free(c->rollbacks);
}

/* Room for one more; false when memory is out. */
static bool grow(void **array, int64_t count, int64_t *capacity, size_t element)
{
    if (count < *capacity)
        return true;
    const int64_t wanted = *capacity ? 2 * *capacity : 64;
    void *more = realloc(*array, (size_t)wanted * element);
    if (!more)
        return false;
    *array = more;
    *capacity = wanted;
    return true;
}

static double number(const cJSON *line, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(line, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

/* The first epoch names the scales; later ones are read by these names. */
static bool take_scales(cli_curve *c, const cJSON *scales, cli_curve_epoch *e)
{
    const int count = cJSON_GetArraySize(scales);
    if (!c->scale_names && count > 0) {
        c->scale_names = calloc((size_t)count, sizeof *c->scale_names);
        const cJSON *s;
        cJSON_ArrayForEach(s, scales) if (c->scale_names && s->string && (c->scale_names[c->scale_count] = strdup(s->string)))
            c->scale_count++;
    }
    e->scales = calloc((size_t)c->scale_count + 1, sizeof *e->scales);
    for (int64_t i = 0; e->scales && i < c->scale_count; i++)
        e->scales[i] = number(scales, c->scale_names[i]);
    return e->scales != NULL;
}

bool cli_curve_add(cli_curve *c, const cJSON *line)
{
    const double epoch = number(line, "epoch"), step = number(line, "step");
    if (isnan(epoch) || isnan(step))
        return false;
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItem(line, "event"));
    if (event && strcmp(event, "rollback") == 0) {
        if (!grow((void **)&c->rollbacks, c->rollback_count, &c->rollback_capacity, sizeof *c->rollbacks))
            return false;
        c->rollbacks[c->rollback_count++] = (int64_t)step;
    }
    if (event && !cJSON_GetObjectItem(line, "val_top1"))
        return true;
    if (cJSON_GetObjectItem(line, "val_top1")) {
        cli_curve_epoch e = {(int64_t)epoch, (int64_t)step, number(line, "val_top1"), number(line, "loss"), NULL};
        if (!grow((void **)&c->epochs, c->epoch_count, &c->epoch_capacity, sizeof e) ||
            !take_scales(c, cJSON_GetObjectItem(line, "scales"), &e))
            return false;
        c->epochs[c->epoch_count++] = e;
        return true;
    }
    const cli_curve_step s = {(int64_t)epoch, (int64_t)step, number(line, "loss"), number(line, "lr"),
                              number(line, "images_per_s")};
    if (!grow((void **)&c->steps, c->step_count, &c->step_capacity, sizeof s))
        return false;
    c->steps[c->step_count++] = s;
    return true;
}

/* --- files --- */

/* Calls take for every line that is whole; *bad = number of the first line that it refused, 0 = none. */
static int each_line(const cli *c, const char *path, bool (*take)(void *user, const char *text, const cJSON *line), void *user,
                     long *bad)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    *bad = 0;
    if (!f)
        return cli_error(c, OCT_ERR_IO, "cannot open the log '%s': %s", path, strerror(errno));
    for (long at = 1; (length = getline(&text, &room, f)) > 0 && !*bad; at++) {
        const bool whole = text[length - 1] == '\n';
        cJSON *line = cJSON_Parse(text);
        if (whole && !take(user, text, line))
            *bad = at;
        cJSON_Delete(line);
    }
    free(text);
    fclose(f);
    return 0;
}

static bool add_line(void *user, const char *text, const cJSON *line)
{
    (void)text;
    return line && cli_curve_add(user, line);
}

int cli_curve_read(const cli *c, const char *path, cli_curve *out)
{
    long bad;
    const int status = each_line(c, path, add_line, out, &bad);
    if (status)
        return status;
    if (bad)
        return cli_error(c, OCT_ERR_CONTENT, "line %ld of '%s' is no line of a training log", bad, path);
    return out->epoch_count + out->step_count ? 0 : cli_error(c, OCT_ERR_CONTENT, "the log '%s' is empty", path);
}

typedef struct cut {
    FILE *to;
    int64_t step;
} cut;

static bool keep_line(void *user, const char *text, const cJSON *line)
{
    const cut *k = user;
    if (line && number(line, "step") <= (double)k->step)
        fputs(text, k->to);
    return true;
}

int cli_log_cut(const cli *c, const char *path, int64_t step)
{
    cli_output out = {0};
    long bad;
    if (!cli_is_regular(path))
        return 0;
    int status = cli_output_begin(c, path, &out);
    if (status)
        return status;
    cut k = {out.file, step};
    if ((status = each_line(c, path, keep_line, &k, &bad))) {
        cli_output_abort(&out);
        return status;
    }
    return cli_output_commit(c, &out);
}

/* --- text --- */

enum { ROWS = 8, COLUMNS = 60 };

/* Value at column k of a series that is spread over the columns; the series' own place nearest to it. */
static double at_column(const double *v, int64_t count, int k)
{
    const int64_t i = count > 1 ? (int64_t)((double)k * (double)(count - 1) / (COLUMNS - 1) + 0.5) : 0;
    return v[i];
}

static void print_series(const char *title, const char *unit, const double *v, int64_t count)
{
    double lo = INFINITY, hi = -INFINITY;
    const int columns = count > 1 ? COLUMNS : 1;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(v[i])) {
            lo = fmin(lo, v[i]);
            hi = fmax(hi, v[i]);
        }
    if (!(lo <= hi))
        return;
    printf("\n%s\n", title);
    for (int r = hi > lo ? ROWS - 1 : 0; r >= 0; r--) {
        printf("%9.3f%s |", lo + (hi - lo) * r / (ROWS - 1), unit);
        for (int k = 0; k < columns; k++) {
            const double x = at_column(v, count, k);
            const int row = hi > lo ? (int)((x - lo) / (hi - lo) * (ROWS - 1) + 0.5) : 0;
            putchar(isfinite(x) && row == r ? '*' : ' ');
        }
        putchar('\n');
    }
}

void cli_curve_print(const cli_curve *c)
{
    const int64_t most = c->step_count > c->epoch_count ? c->step_count : c->epoch_count;
    double *v = calloc((size_t)most + 1, sizeof *v);
    if (!v)
        return;
    for (int64_t i = 0; i < c->step_count; i++) { /* means over a fortieth of the run */
        const int64_t window = c->step_count / 40 + 1, from = i + 1 > window ? i + 1 - window : 0;
        for (int64_t k = from; k <= i; k++)
            v[i] += c->steps[k].loss / (double)(i + 1 - from);
    }
    print_series("loss over the steps", "  ", v, c->step_count);
    for (int64_t i = 0; i < c->epoch_count; i++)
        v[i] = c->epochs[i].val_top1;
    print_series("top-1 on held-out data over the epochs, from the starting point on", " %", v, c->epoch_count);
    free(v);
}
