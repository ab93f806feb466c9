/* What all commands share: the parsed command line, errors, JSON, progress.  Public headers of the library only. */
#ifndef OCT_CLI_H
#define OCT_CLI_H

#include <cjson/cJSON.h>
#include <octavo/octavo.h>
#include <stdbool.h>
#include <stdint.h>

/* --- options: a command names its own in a table; the common ones are added to each (cli/options.c) --- */
typedef enum cli_type {
    CLI_FLAG,   /* bool */
    CLI_INT,    /* int64_t in [lo, hi] */
    CLI_NUMBER, /* double, finite */
    CLI_TEXT,   /* const char * */
    CLI_TEXTS,  /* cli_texts, may be repeated */
    CLI_REST    /* cli_texts, all arguments up to the next option */
} cli_type;

typedef struct cli_texts {
    const char **items; /* room for every argument there is; freed by cli_finish */
    int count;
} cli_texts;

typedef struct cli_option {
    const char *name, *letter; /* "--output", "-o" or NULL */
    cli_type type;
    void *target;
    const char *value, *help;  /* "FILE", one line */
    int64_t lo, hi;            /* CLI_INT; lo == hi means any */
} cli_option;

/* Options that every command takes. */
typedef struct cli_common {
    int64_t threads, batch, limit, seed;
    const char *data, *preset, *resize, *crop, *mean, *std, *layout, *color;
    bool strict, quiet, json, help;
} cli_common;

typedef struct cli {
    const char *command, *usage, *summary; /* usage: what stands behind the command's name */
    cli_option *options;                   /* the command's own, ends with name NULL */
    const char *args[4];                   /* positional */
    int arg_count, arg_min, arg_max;
    cli_common o;
} cli;

/* Parse. True when the command shall go on; else *exit_status is what to return (help was printed, or a usage error). */
bool cli_parse(cli *c, int argc, char **argv, int *exit_status);
/* Frees what parsing allocated, flushes stdout: returns exit_status, or 5 when the output could not be written. */
int cli_finish(cli *c, int exit_status);

/* --- errors: to stderr as text, with --json also to stdout as {"error": ...}; the value is the exit status --- */
int cli_report(const cli *c, oct_status status); /* of the library's last error */
int cli_error(const cli *c, oct_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void cli_note(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3))); /* stderr, not with --quiet */

/* Print a JSON value (and free it) as the one thing on stdout. */
void cli_print_json(cJSON *value);
/* The same for text that is JSON already; the text is freed. */
void cli_print_json_text(char *text);
/* NULL-terminated words; index of text among them, or -1. */
int cli_word(const char *text, const char *const *words);

/* --- progress on stderr: a bar with the time left on a terminal, else a line now and then; nothing with --quiet --- */
typedef struct cli_progress {
    const char *what;
    bool on, terminal, drawn;
    double start, last;
} cli_progress;
double cli_seconds(void); /* monotonic */
void cli_progress_begin(cli_progress *p, const cli *c, const char *what);
void cli_progress_update(void *progress, int64_t done, int64_t total);
void cli_progress_clear(cli_progress *p); /* no last line */
void cli_progress_end(cli_progress *p, int64_t done);

int cli_threads(const cli *c); /* --threads, or the cores that this process may use */

/* --- commands, one file each; the table is in main.c --- */
int cmd_info(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_build(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_inspect(int argc, char **argv);

#endif
