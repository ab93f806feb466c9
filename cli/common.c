/* Errors, notes, JSON and progress of all commands. */
#include <stdarg.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static int exit_status_of(oct_status s)
{
    return s == OCT_ERR_MEMORY || s == OCT_ERR_INTERNAL ? 70 : (int)s;
}

static int fail(const cli *c, oct_status status, const char *message, const char *node, const char *file)
{
    fprintf(stderr, "%soctavo %s: %s", isatty(STDERR_FILENO) ? "\r\033[K" : "", c->command, message); /* over a progress bar */
    if (*file && !strstr(message, file))
        fprintf(stderr, " (file '%s')", file);
    if (*node && !strstr(message, node))
        fprintf(stderr, " (node '%s')", node);
    fprintf(stderr, "\n");
    if (c->o.json) {
        cJSON *root = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(root, "error");
        cJSON_AddStringToObject(e, "status", oct_status_name(status));
        cJSON_AddStringToObject(e, "message", message);
        cJSON_AddStringToObject(e, "node", node);
        cJSON_AddStringToObject(e, "file", file);
        cli_print_json(root);
    }
    return exit_status_of(status);
}

int cli_report(const cli *c, oct_status status)
{
    const oct_error *e = oct_last_error();
    if (e->status != status) /* raised here, not in the library */
        return fail(c, status, status == OCT_ERR_MEMORY ? "out of memory" : oct_status_name(status), "", "");
    return fail(c, status, e->message, e->node, e->file);
}

int cli_error(const cli *c, oct_status status, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fail(c, status, message, "", "");
}

void cli_note(const cli *c, const char *format, ...)
{
    if (c->o.quiet)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "octavo %s: ", c->command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

void cli_print_json_text(char *text)
{
    if (text)
        printf("%s\n", text);
    free(text);
}

void cli_print_json(cJSON *value)
{
    cli_print_json_text(cJSON_Print(value));
    cJSON_Delete(value);
}

int cli_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

int cli_threads(const cli *c)
{
    cpu_set_t set;
    if (c->o.threads)
        return (int)c->o.threads;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* --- progress --- */

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_begin(cli_progress *p, const cli *c, const char *what)
{
    *p = (cli_progress){.what = what, .on = !c->o.quiet, .terminal = isatty(STDERR_FILENO), .start = cli_seconds()};
    p->last = p->start;
}

static void draw_bar(cli_progress *p, int64_t done, int64_t total, double elapsed)
{
    enum { WIDTH = 30 };
    char bar[WIDTH + 1];
    int filled = total > 0 ? (int)(done * WIDTH / total) : 0;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    long left = done > 0 ? (long)(elapsed * (double)(total - done) / (double)done + 0.5) : 0;
    fprintf(stderr, "\r%s [%s] %lld/%lld  %ld:%02ld left \033[K", p->what, bar, (long long)done, (long long)total, left / 60, left % 60);
    fflush(stderr);
    p->drawn = true;
}

void cli_progress_update(void *progress, int64_t done, int64_t total)
{
    cli_progress *p = progress;
    double now = cli_seconds(), between = p->terminal ? 0.1 : 10;
    if (!p->on || done > total || now - p->last < between)
        return;
    p->last = now;
    if (p->terminal)
        draw_bar(p, done, total, now - p->start);
    else
        fprintf(stderr, "%s: %lld of %lld, %.0f s\n", p->what, (long long)done, (long long)total, now - p->start);
}

void cli_progress_clear(cli_progress *p)
{
    if (p->on && p->drawn)
        fputs("\r\033[K", stderr);
    p->on = false;
}

void cli_progress_end(cli_progress *p, int64_t done)
{
    if (!p->on)
        return;
    fprintf(stderr, "%s%s: %lld samples, %.1f s\n", p->drawn ? "\r\033[K" : "", p->what, (long long)done, cli_seconds() - p->start);
    p->on = false;
}
