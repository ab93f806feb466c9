/* Augmentation as one word of the command line: "crop:4,flip,jitter:0.2,cutout:8,mixup:0.2". */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "data/augment.h"

#define MAX_VALUES 3
#define FORMS      "crop[:PIXELS[:reflect]] (4 pixels by default), flip, jitter:X or jitter:BRIGHTNESS:CONTRAST:SATURATION, cutout:PIXELS, mixup:ALPHA"

/* A part of the text: its name and the values behind it. */
typedef struct part {
    const char *name;
    char *values[MAX_VALUES];
    int count;
} part;

static bool read_number(const char *text, float *out)
{
    char *end;
    *out = strtof(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && *out >= 0 && !signbit(*out);
}

static bool read_pixels(const char *text, int *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    const long v = strtol(text, &end, 10);
    *out = (int)v;
    return *end == '\0' && v >= 1 && v <= OCT_IMAGE_MAX_SIDE;
}

static bool read_part(const part *p, oct_augment *a)
{
    if (strcmp(p->name, "flip") == 0) {
        a->flip = true;
        return p->count == 0;
    }
    if (strcmp(p->name, "crop") == 0 && p->count == 0) {
        a->crop = 4;
        return true;
    }
    if (strcmp(p->name, "crop") == 0) {
        a->reflect = p->count == 2;
        return p->count >= 1 && p->count <= 2 && read_pixels(p->values[0], &a->crop) && (!a->reflect || strcmp(p->values[1], "reflect") == 0);
    }
    if (strcmp(p->name, "cutout") == 0)
        return p->count == 1 && read_pixels(p->values[0], &a->cutout);
    if (strcmp(p->name, "mixup") == 0)
        return p->count == 1 && read_number(p->values[0], &a->mixup) && a->mixup > 0;
    if (strcmp(p->name, "jitter") != 0 || (p->count != 1 && p->count != 3))
        return false;
    float *const to[3] = {&a->brightness, &a->contrast, &a->saturation};
    for (int i = 0; i < 3; i++)
        if (!read_number(p->values[p->count == 1 ? 0 : i], to[i]))
            return false;
    return true;
}

/* Cuts "name:value:value" at its colons, in place; false with more values than any part has. */
static bool cut_part(char *text, part *out)
{
    *out = (part){.name = text};
    for (char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        *colon = '\0';
        if (out->count == MAX_VALUES)
            return false;
        out->values[out->count++] = colon + 1;
    }
    return true;
}

oct_status oct_augment_parse(const char *text, oct_augment *out)
{
    oct_status s = OCT_OK;
    oct_augment a = {0};
    const char *names[5]; /* into copy: one for each part there can be */
    int seen = 0;
    char *copy = strdup(text);
    if (!copy)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a line of text");
    if (strcmp(text, "none") == 0)
        goto done;
    for (char *at = copy, *next; at; at = next) {
        part p;
        const int64_t offset = at - copy;
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        const int length = (int)strlen(at);
        if (!cut_part(at, &p) || !read_part(&p, &a))
            OCT_FAIL_DONE(OCT_ERR_USAGE, "augmentation: '%.*s' is not understood; there is: " FORMS ", or none", length, text + offset);
        for (int i = 0; i < seen; i++)
            if (strcmp(names[i], p.name) == 0)
                OCT_FAIL_DONE(OCT_ERR_USAGE, "augmentation: '%s' is given twice", p.name);
        names[seen++] = p.name;
    }
    OCT_TRY_DONE(oct_augment_check(&a));
done:
    free(copy);
    if (s == OCT_OK)
        *out = a;
    return s;
}
