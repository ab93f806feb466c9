/* The command line: options of the command's table and the common ones, `--name value` and `--name=value`, help, hints. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"

enum { COMMON_COUNT = 17 };

static void common_options(cli_common *o, cli_option list[COMMON_COUNT])
{
    const cli_option all[COMMON_COUNT] = {
        {"--threads", NULL, CLI_INT, &o->threads, "N", "threads (default: all cores)", 0, 1024},
        {"--batch", NULL, CLI_INT, &o->batch, "N", "samples per run where the model leaves it free", 1, 65536},
        {"--data", NULL, CLI_TEXT, &o->data, "PATH", "samples: folder or tar/zip with a sub-folder per class, CSV of path,label, .npz, .npy", 0, 0},
        {"--preset", NULL, CLI_TEXT, &o->preset, "NAME", "preprocessing of images by name: imagenet", 0, 0},
        {"--resize", NULL, CLI_TEXT, &o->resize, "N|HxW", "resize: the shorter side, or both (default: as it is)", 0, 0},
        {"--crop", NULL, CLI_TEXT, &o->crop, "N|HxW", "centre crop (default: none)", 0, 0},
        {"--mean", NULL, CLI_TEXT, &o->mean, "A,B,C", "subtracted from pixels in 0...1 (default: 0)", 0, 0},
        {"--std", NULL, CLI_TEXT, &o->std, "A,B,C", "then divided by (default: 1)", 0, 0},
        {"--layout", NULL, CLI_TEXT, &o->layout, "nchw|nhwc", "order of the input's axes (default: as the model's shape says)", 0, 0},
        {"--color", NULL, CLI_TEXT, &o->color, "rgb|bgr|grey", "order of the channels (default: as the channel count says)", 0, 0},
        {"--limit", NULL, CLI_INT, &o->limit, "N", "a seeded random subset of N samples over all classes", 1, INT64_MAX},
        {"--seed", NULL, CLI_INT, &o->seed, "N", "seed of everything random (default: 0)", 0, INT64_MAX},
        {"--strict", NULL, CLI_FLAG, &o->strict, NULL, "an image that cannot be read is an error (default: it is named and skipped)", 0, 0},
        {"--quiet", NULL, CLI_FLAG, &o->quiet, NULL, "no progress, no messages", 0, 0},
        {"--json", NULL, CLI_FLAG, &o->json, NULL, "one JSON value on stdout and nothing else", 0, 0},
        {"--help", "-h", CLI_FLAG, &o->help, NULL, "this text", 0, 0},
        {0},
    };
    memcpy(list, all, sizeof all);
}

static void print_options(const cli_option *list)
{
    for (; list->name; list++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s%s%s", list->letter ? list->letter : "", list->letter ? ", " : "", list->name, list->value ? " " : "",
                 list->value ? list->value : "", list->type == CLI_REST ? "..." : "");
        printf("  %-22s %s\n", left, list->help);
    }
}

static void print_help(const cli *c, const cli_option *common)
{
    printf("usage: octavo %s %s [options]\n\n%s\n", c->command, c->usage, c->summary);
    if (c->options->name) {
        printf("\noptions:\n");
        print_options(c->options);
    }
    printf("\noptions of all commands:\n");
    print_options(common);
}

/* Edits between two option names, cut off: enough to find a slip of the finger. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 24 };
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    int row[LONGEST + 1];
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = row[j] + 1 < change ? row[j] + 1 : change;
            if (row[j - 1] + 1 < row[j])
                row[j] = row[j - 1] + 1;
        }
    }
    return row[m];
}

static const cli_option *find(const cli_option *own, const cli_option *common, const char *text, size_t length)
{
    for (int pass = 0; pass < 2; pass++)
        for (const cli_option *o = pass ? common : own; o->name; o++)
            if ((strlen(o->name) == length && strncmp(o->name, text, length) == 0) ||
                (o->letter && strlen(o->letter) == length && strncmp(o->letter, text, length) == 0))
                return o;
    return NULL;
}

static int unknown_option(const cli *c, const cli_option *common, const char *text, size_t length)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), text);
    const cli_option *best = NULL;
    int nearest = 4;
    for (int pass = 0; pass < 2; pass++)
        for (const cli_option *o = pass ? common : c->options; o->name; o++)
            if (distance(name, o->name) < nearest) {
                nearest = distance(name, o->name);
                best = o;
            }
    if (best)
        return cli_error(c, OCT_ERR_USAGE, "unknown option '%s'; did you mean '%s'? 'octavo %s --help' lists them", name, best->name, c->command);
    return cli_error(c, OCT_ERR_USAGE, "unknown option '%s'; 'octavo %s --help' lists the options", name, c->command);
}

/* 0, or the exit status of a bad value. */
static int set_value(const cli *c, const cli_option *o, const char *text, int argc)
{
    char *end = NULL;
    errno = 0;
    switch (o->type) {
    case CLI_INT: {
        long long v = strtoll(text, &end, 10);
        if (end == text || *end || errno || (o->lo != o->hi && (v < o->lo || v > o->hi))) {
            if (o->lo != o->hi && o->hi < INT64_MAX)
                return cli_error(c, OCT_ERR_USAGE, "%s wants a whole number from %lld to %lld, not '%s'", o->name, (long long)o->lo, (long long)o->hi, text);
            return cli_error(c, OCT_ERR_USAGE, "%s wants a whole number of at least %lld, not '%s'", o->name, (long long)o->lo, text);
        }
        *(int64_t *)o->target = v;
        return 0;
    }
    case CLI_NUMBER: {
        double v = strtod(text, &end);
        if (end == text || *end || !isfinite(v))
            return cli_error(c, OCT_ERR_USAGE, "%s wants a number, not '%s'", o->name, text);
        *(double *)o->target = v;
        return 0;
    }
    case CLI_TEXT: *(const char **)o->target = text; return 0;
    case CLI_TEXTS:
    case CLI_REST: {
        cli_texts *t = o->target;
        if (!t->items)
            t->items = calloc((size_t)argc + 1, sizeof *t->items);
        if (!t->items)
            return cli_error(c, OCT_ERR_MEMORY, "out of memory");
        t->items[t->count++] = text;
        return 0;
    }
    case CLI_FLAG: break;
    }
    return 0;
}

/* One option at argv[*i]; moves *i over its values. */
static int take_option(cli *c, const cli_option *common, int argc, char **argv, int *i)
{
    const char *text = argv[*i], *equals = text[1] == '-' ? strchr(text, '=') : NULL;
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const cli_option *o = find(c->options, common, text, length);
    if (!o)
        return unknown_option(c, common, text, length);
    if (o->type == CLI_FLAG) {
        if (equals)
            return cli_error(c, OCT_ERR_USAGE, "%s takes no value", o->name);
        *(bool *)o->target = true;
        return 0;
    }
    if (!equals && *i + 1 >= argc)
        return cli_error(c, OCT_ERR_USAGE, "%s wants a value (%s)", o->name, o->value);
    int bad = set_value(c, o, equals ? equals + 1 : argv[++*i], argc);
    while (!bad && !equals && o->type == CLI_REST && *i + 1 < argc && argv[*i + 1][0] != '-')
        bad = set_value(c, o, argv[++*i], argc);
    return bad;
}

bool cli_parse(cli *c, int argc, char **argv, int *exit_status)
{
    cli_option common[COMMON_COUNT];
    common_options(&c->o, common);
    /* Errors of the command line itself also keep to --json, and --help wins over them. */
    for (int i = 1; i < argc; i++) {
        c->o.json |= strcmp(argv[i], "--json") == 0;
        c->o.help |= strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    }
    if (c->o.help) {
        print_help(c, common);
        *exit_status = 0;
        return false;
    }
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1]) {
            *exit_status = take_option(c, common, argc, argv, &i);
            if (*exit_status)
                return false;
        } else if (c->arg_count < c->arg_max) {
            c->args[c->arg_count++] = argv[i];
        } else {
            *exit_status = cli_error(c, OCT_ERR_USAGE, "unexpected argument '%s'; usage: octavo %s %s [options]", argv[i], c->command, c->usage);
            return false;
        }
    }
    if (c->arg_count < c->arg_min) {
        *exit_status = cli_error(c, OCT_ERR_USAGE, "usage: octavo %s %s [options]; 'octavo %s --help' explains", c->command, c->usage, c->command);
        return false;
    }
    return true;
}

int cli_finish(cli *c, int exit_status)
{
    for (cli_option *o = c->options; o->name; o++)
        if (o->type == CLI_TEXTS || o->type == CLI_REST)
            free(((cli_texts *)o->target)->items);
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_status == 0) {
        fprintf(stderr, "octavo %s: cannot write to standard output: %s\n", c->command, strerror(errno));
        exit_status = OCT_ERR_IO;
    }
    cli_peers_close(exit_status);
    return exit_status;
}
