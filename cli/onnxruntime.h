/* ONNX Runtime as the other side of a comparison: a child process of Python, asked through pipes. */
#ifndef OCT_CLI_ONNXRUNTIME_H
#define OCT_CLI_ONNXRUNTIME_H

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include "cli.h"

typedef struct cli_onnxruntime {
    const char *python; /* program, found in PATH */
    const char *model;  /* file */
    int threads;
    pid_t process;
    FILE *to, *from;
    struct sigaction pipe_action; /* of SIGPIPE before */
    int next;                     /* tensor that the child sends next */
    int count;
    bool *has;          /* count */
    char message[1024]; /* of the last failure here; "" when it came from the library */
} cli_onnxruntime;

/* Start the child and fill in *peer. UNSUPPORTED, with a message, when there is no such program. */
oct_status cli_onnxruntime_start(cli_onnxruntime *r, oct_compare_peer *peer);
void cli_onnxruntime_stop(cli_onnxruntime *r);

#endif
