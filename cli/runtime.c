/* Profiles, types of inputs and outputs: the texts of the options into the builder. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

/* "1x3x224x224" up to the character `end`: rank, or -1. */
static int parse_dims(const char **text, char end, int64_t dims[OCT_MAX_RANK])
{
    const char *at = *text;
    for (int rank = 0; rank < OCT_MAX_RANK; at++) {
        char *stop;
        if (*at < '0' || *at > '9')
            return -1;
        dims[rank++] = strtoll(at, &stop, 10);
        at = stop;
        if (*at == end) {
            *text = at + 1;
            return rank;
        }
        if (*at != 'x')
            return -1;
    }
    return -1;
}

/* The name before the last '=' as the library wants it; free() it. NULL: there is none. */
static char *name_of(const char *text)
{
    const char *equals = strrchr(text, '=');
    return equals && equals > text ? strndup(text, (size_t)(equals - text)) : NULL;
}

static int apply_profile(const cli *c, const char *text, oct_builder *b)
{
    int64_t dims[3][OCT_MAX_RANK];
    char *name = name_of(text);
    const char *at = name ? strrchr(text, '=') + 1 : text;
    int rank = name ? parse_dims(&at, ',', dims[0]) : -1;
    int bad = 0;
    if (rank < 0 || parse_dims(&at, ',', dims[1]) != rank || parse_dims(&at, '\0', dims[2]) != rank) {
        bad = cli_error(
            c, OCT_ERR_USAGE,
            "--profile wants INPUT=MIN,OPT,MAX with three shapes of one rank like 1x3x32x32,1x3x224x224,8x3x512x512, not '%s'",
            text);
    } else {
        oct_status s = oct_builder_set_profile(b, name, rank, dims[0], dims[1], dims[2]);
        bad = s == OCT_OK ? 0 : cli_report(c, s);
    }
    free(name);
    return bad;
}

static int apply_type(const cli *c, const char *option, const char *text, oct_builder *b)
{
    static const char *const words[] = {"float", "codes", "pixels", "pixels-nhwc", NULL};
    char *name = name_of(text);
    int kind = name ? cli_word(strrchr(text, '=') + 1, words) : -1, bad = 0;
    if (kind < 0) {
        bad = cli_error(c, OCT_ERR_USAGE, "%s wants NAME=codes, or of an input NAME=pixels or NAME=pixels-nhwc, not '%s'", option,
                        text);
    } else {
        oct_status s = oct_builder_set_io(b, name, (oct_io)kind);
        bad = s == OCT_OK ? 0 : cli_report(c, s);
    }
    free(name);
    return bad;
}

int cli_runtime_apply(const cli *c, const cli_runtime *r, oct_builder *b)
{
    int bad = 0;
    for (int i = 0; !bad && i < r->profiles.count; i++)
        bad = apply_profile(c, r->profiles.items[i], b);
    for (int i = 0; !bad && i < r->inputs.count; i++)
        bad = apply_type(c, "--input-type", r->inputs.items[i], b);
    for (int i = 0; !bad && i < r->outputs.count; i++)
        bad = apply_type(c, "--output-type", r->outputs.items[i], b);
    return bad;
}
