/* The octavo program: the table of commands and nothing else. Each command is one file beside this one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include "cli.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"info", "inputs, outputs, operators, parameters, MACs; which layers can be INT8", cmd_info},
    {"calibrate", "samples -> calibration cache", cmd_calibrate},
    {"quantize", "float ONNX + samples -> Q/DQ ONNX", cmd_quantize},
    {"train", "float ONNX + labelled samples -> Q/DQ ONNX at float accuracy (quantization-aware training)", cmd_train},
    {"build", "ONNX -> plan file", cmd_build},
    {"run", "plan or ONNX on arrays or images -> outputs", cmd_run},
    {"eval", "accuracy of one or two models, with a statistical verdict", cmd_eval},
    {"bench", "latency, throughput, time per step", cmd_bench},
    {"compare", "two models tensor by tensor", cmd_compare},
    {"inspect", "the steps of a plan: precision, kernel, and why not INT8", cmd_inspect},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static int help(FILE *to, int status)
{
    fprintf(to, "octavo %s: float ONNX in, accurate INT8 out, run on the CPU\n\nusage: octavo <command> MODEL [options]\n\n", oct_version());
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'octavo <command> --help' shows the options of a command.\n");
    return fflush(to) == 0 ? status : OCT_ERR_IO;
}

/* cJSON leaves out what it has no memory for: reports would lose members without a word. */
static void *json_alloc(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) {
        fputs("octavo: no memory for a report\n", stderr);
        exit(70);
    }
    return p;
}

int main(int argc, char **argv)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = json_alloc, .free_fn = free});
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(stdout, 0);
    if (strcmp(name, "--version") == 0) {
        printf("octavo %s\n", oct_version());
        return fflush(stdout) == 0 ? 0 : OCT_ERR_IO;
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "octavo: unknown command '%s'\n\n", name);
    return help(stderr, OCT_ERR_USAGE);
}
