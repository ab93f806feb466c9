/* Events of a training run as log lines, progress and points of the curve. */
#include "monitor.h"

#include "output.h"
#include "source.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static void fail(cli_monitor *m, int status)
{
    m->status = m->status ? m->status : status;
    if (m->stop)
        *m->stop = 1;
}

int cli_monitor_open(cli_monitor *m, const cli *c, const char *log_path, bool append, volatile sig_atomic_t *stop)
{
    *m = (cli_monitor){.c = c,
                       .log_path = log_path,
                       .append = append,
                       .stop = stop,
                       .start = cli_seconds(),
                       .last_top1 = NAN,
                       .terminal = isatty(STDERR_FILENO)};
    m->last = m->start;
    if (!log_path)
        return 0;
    m->log = fopen(log_path, "a");
    return m->log ? 0 : cli_error(c, OCT_ERR_IO, "cannot write the log '%s': %s", log_path, strerror(errno));
}

void cli_monitor_close(cli_monitor *m)
{
    if (m->log)
        fclose(m->log);
    cli_curve_free(&m->curve);
}

/* --- the log --- */

static void add_number(cJSON *line, const char *key, double v)
{
    if (isfinite(v))
        cJSON_AddNumberToObject(line, key, v);
    else
        cJSON_AddNullToObject(line, key);
}

static cJSON *line_of(const oct_train_event *e, double images_per_s)
{
    static const char *const names[] = {"start", NULL, NULL, "rollback", "checkpoint", "resume"};
    cJSON *line = cJSON_CreateObject();
    if (names[e->kind])
        cJSON_AddStringToObject(line, "event", names[e->kind]);
    cJSON_AddNumberToObject(line, "epoch", (double)e->epoch);
    cJSON_AddNumberToObject(line, "step", (double)e->step);
    add_number(line, "loss", e->loss);
    add_number(line, "lr", e->lr);
    add_number(line, "images_per_s", images_per_s);
    if (e->kind == OCT_TRAIN_STARTED || e->kind == OCT_TRAIN_EPOCH) {
        add_number(line, "val_top1", e->val_top1);
        if (e->kind == OCT_TRAIN_STARTED)
            add_number(line, "ptq_top1", e->val_top1);
        cJSON *scales = cJSON_AddObjectToObject(line, "scales");
        for (int64_t i = 0; i < e->scale_count; i++)
            add_number(scales, e->scale_names[i], (double)e->scales[i]);
    }
    add_number(line, "seconds", e->seconds);
    if (e->text)
        cJSON_AddStringToObject(line, "text", e->text);
    return line;
}

static void write_line(cli_monitor *m, const cJSON *line)
{
    char *text = cJSON_PrintUnformatted(line);
    if (m->log && !m->status && (!text || fprintf(m->log, "%s\n", text) < 0 || fflush(m->log) != 0))
        fail(m, cli_error(m->c, OCT_ERR_IO, "cannot write the log '%s': %s", m->log_path, strerror(errno)));
    cJSON_free(text);
}

/* The log up to the checkpoint is the run's first part; what was written behind it will be written again. */
static void go_on(cli_monitor *m, int64_t step)
{
    if (!m->log)
        return;
    fclose(m->log);
    m->log = NULL;
    int status = cli_log_cut(m->c, m->log_path, step);
    if (!status && cli_is_regular(m->log_path) && cli_file_size(m->log_path) > 0)
        status = cli_curve_read(m->c, m->log_path, &m->curve);
    if (!status && !(m->log = fopen(m->log_path, "a")))
        status = cli_error(m->c, OCT_ERR_IO, "cannot write the log '%s': %s", m->log_path, strerror(errno));
    if (status)
        fail(m, status);
}

/* A run that starts anew has no use for the lines of another. */
static void start_anew(cli_monitor *m)
{
    if (m->log && cli_is_regular(m->log_path) && ftruncate(fileno(m->log), 0) != 0)
        fail(m, cli_error(m->c, OCT_ERR_IO, "cannot write the log '%s': %s", m->log_path, strerror(errno)));
}

/* --- progress --- */

static void clear_line(cli_monitor *m)
{
    if (m->drawn)
        fputs("\r\033[K", stderr);
    m->drawn = false;
}

static void show_step(cli_monitor *m, const oct_train_event *e)
{
    const double now = cli_seconds(), each = (now - m->start - m->first_seconds) / (double)(e->step - m->first_step);
    const long left = (long)(each * (double)(e->steps - e->step));
    char top1[32] = "";
    if (m->c->o.quiet || now - m->last < (m->terminal ? 0.1 : 15))
        return;
    m->last = now;
    if (isfinite(m->last_top1))
        snprintf(top1, sizeof top1, "  top-1 %.2f %%", m->last_top1);
    fprintf(stderr, "%sepoch %lld/%lld  step %lld/%lld  loss %.4f%s  lr %.3g  %.0f images/s  %ld:%02ld left%s",
            m->terminal ? "\r" : "", (long long)e->epoch + 1, (long long)e->epochs, (long long)e->step, (long long)e->steps,
            e->loss, top1, e->lr, e->images_per_s, left / 60, left % 60, m->terminal ? "\033[K" : "\n");
    fflush(stderr);
    m->drawn = m->terminal;
}

static void show_epoch(cli_monitor *m, const oct_train_event *e, double images_per_s)
{
    clear_line(m);
    if (m->c->o.quiet)
        return;
    if (e->kind == OCT_TRAIN_STARTED)
        fprintf(stderr, "start: top-1 %.2f %% on held-out data\n", e->val_top1);
    else
        fprintf(stderr, "epoch %lld/%lld: loss %.4f, top-1 %.2f %% on held-out data, %.0f images/s, %.0f s\n", (long long)e->epoch,
                (long long)e->epochs, e->loss, e->val_top1, images_per_s, e->seconds);
}

void cli_monitor_event(void *user, const oct_train_event *e)
{
    cli_monitor *m = user;
    double images_per_s = e->images_per_s;
    if (e->kind == OCT_TRAIN_CHECKPOINT)
        return;
    if (e->kind == OCT_TRAIN_EPOCH)
        images_per_s = m->image_steps ? (double)m->image_steps / m->image_seconds : NAN;
    if (e->kind == OCT_TRAIN_STARTED)
        start_anew(m);
    if (e->kind == OCT_TRAIN_RESUMED)
        go_on(m, e->step);
    if (e->kind == OCT_TRAIN_STARTED || e->kind == OCT_TRAIN_RESUMED) {
        m->first_step = e->step;
        m->first_seconds = cli_seconds() - m->start;
    }
    cJSON *line = line_of(e, images_per_s);
    write_line(m, line);
    cli_curve_add(&m->curve, line);
    cJSON_Delete(line);
    switch (e->kind) {
    case OCT_TRAIN_STEP:
        m->image_seconds += 1 / e->images_per_s;
        m->image_steps++;
        show_step(m, e);
        break;
    case OCT_TRAIN_STARTED:
    case OCT_TRAIN_EPOCH:
        m->last_top1 = e->val_top1;
        m->image_seconds = 0;
        m->image_steps = 0;
        show_epoch(m, e, images_per_s);
        break;
    default:
        clear_line(m);
        cli_note(m->c, "%s%s", e->kind == OCT_TRAIN_RESUMED ? "going on from " : "", e->text);
    }
}
