/* Options of build that are about the plan at run time: profiles of shapes, types of inputs and outputs, refit. */
#ifndef OCT_CLI_RUNTIME_H
#define OCT_CLI_RUNTIME_H

#include "cli.h"

typedef struct cli_runtime {
    cli_texts profiles, inputs, outputs;
} cli_runtime;

#define CLI_RUNTIME_OPTIONS(r)                                                                                                     \
    {"--profile",                                                                                                                  \
     NULL,                                                                                                                         \
     CLI_TEXTS,                                                                                                                    \
     &(r)->profiles,                                                                                                               \
     "INPUT=SHAPES",                                                                                                               \
     "shapes that an input may have: MIN,OPT,MAX, each like 1x3x224x224; tuned for OPT; may be repeated",                          \
     0,                                                                                                                            \
     0},                                                                                                                           \
        {"--input-type",                                                                                                           \
         NULL,                                                                                                                     \
         CLI_TEXTS,                                                                                                                \
         &(r)->inputs,                                                                                                             \
         "NAME=TYPE",                                                                                                              \
         "what an input takes: codes (no conversion), pixels, pixels-nhwc (bytes 0 to 255; normalisation folded in)",              \
         0,                                                                                                                        \
         0},                                                                                                                       \
    {                                                                                                                              \
        "--output-type", NULL, CLI_TEXTS, &(r)->outputs, "NAME=TYPE", "codes: an output as the codes that the model computes", 0,  \
            0                                                                                                                      \
    }

/* The plan args[0] with other weights (NAME=FILE.npy), ranges (NAME=MIN,MAX) and more taps, to the file `output`. 0 or the exit
 * status. */
int cli_refit(const cli *c, const cli_texts *weights, const cli_texts *ranges, const cli_texts *taps, const char *output);
/* All of it into the builder. 0 or the exit status. */
int cli_runtime_apply(const cli *c, const cli_runtime *r, oct_builder *b);

#endif
