/* Files that the program writes itself, and whether a file can be written at all, before the work that it would be lost to. */
#ifndef OCT_CLI_OUTPUT_H
#define OCT_CLI_OUTPUT_H

#include <stdio.h>

#include "cli.h"

/* The file that stands at path is replaced when all is written, and stays as it is otherwise. A device or pipe is written directly.
 */
typedef struct cli_output {
    FILE *file;
    char *path;      /* links resolved */
    char *temporary; /* NULL when path is written directly */
} cli_output;

/* 0 or the exit status. */
int cli_output_begin(const cli *c, const char *path, cli_output *out);
int cli_output_commit(const cli *c, cli_output *out); /* closes, also on error */
void cli_output_abort(cli_output *out);

/* Whether a file can be made or replaced at path, or a folder be used or made there, without doing it. 0 or the exit status. */
int cli_output_check(const cli *c, const char *path);
int cli_output_check_folder(const cli *c, const char *path);
/* A file that can be cut and replaced: there, and no device or pipe. */
bool cli_is_regular(const char *path);

#endif
