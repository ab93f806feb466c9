/* Where models and samples come from: ONNX or plan files, preprocessing options, data sets, .npy inputs. */
#ifndef OCT_CLI_SOURCE_H
#define OCT_CLI_SOURCE_H

#include "cli.h"

/* A model or a plan, whichever the file holds. */
typedef struct cli_subject {
    const char *path;
    oct_model *model;
    oct_plan *plan;
} cli_subject;

bool cli_is_plan_file(const char *path);
oct_status cli_subject_open(const char *path, cli_subject *out);
void cli_subject_close(cli_subject *s);
const char *cli_subject_metadata(const cli_subject *s, const char *key);
int cli_subject_input_count(const cli_subject *s);
oct_status cli_subject_input(const cli_subject *s, int index, oct_port *out);
int64_t cli_file_size(const char *path); /* -1 when unknown */

#define CLI_PREPROCESS_KEY "octavo.preprocess"
/* Whether any option says something about preprocessing; and the preprocessing in force: the options given, else what the file's metadata says (of b when a says nothing; b may be
 * NULL), else the default. 0 or the exit status. */
bool cli_preprocess_given(const cli *c);
int cli_preprocess(const cli *c, const cli_subject *a, const cli_subject *b, oct_preprocess *out);

/* Open --data. 0 or the exit status. */
int cli_dataset(const cli *c, int shard, int shards, oct_dataset **out);
/* Name the samples that were skipped. */
void cli_note_faults(const cli *c, const oct_dataset *set);

/* .npy files given as NAME=FILE, in the order of the subject's inputs. */
typedef struct cli_arrays {
    oct_tensor *tensors;
    oct_port *ports;
    const char **names; /* per input */
    int count;
    bool copied;        /* the tensors' data are malloc'd here, not read from .npy */
} cli_arrays;
int cli_arrays_load(const cli *c, const cli_subject *s, const cli_texts *given, cli_arrays *out);
void cli_arrays_free(cli_arrays *a);

#endif
