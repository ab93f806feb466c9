/* Preprocessing as presets and as the line of text that ONNX metadata carries:
 * "resize=256 crop=224 mean=0.485,0.456,0.406,0 std=0.229,0.224,0.225,1 layout=nchw color=rgb"; sizes are N or HxW, what is
 * absent has its default, numbers have 9 digits and so come back exactly. */
#include <octavo/data.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "data/image.h"

static const char *const layouts[] = {"auto", "nchw", "nhwc"};
static const char *const colors[] = {"auto", "rgb", "bgr", "grey"};

void oct_preprocess_default(oct_preprocess *p) { *p = (oct_preprocess){.std = {1, 1, 1, 1}}; }

oct_status oct_preprocess_preset(oct_preprocess *p, const char *name)
{
    if (strcmp(name, "imagenet") != 0)
        return oct_fail(OCT_ERR_USAGE, "unknown preset '%s'; there is: imagenet", name);
    *p = (oct_preprocess){.resize = 256,
                          .crop_h = 224,
                          .crop_w = 224,
                          .mean = {0.485f, 0.456f, 0.406f, 0},
                          .std = {0.229f, 0.224f, 0.225f, 1},
                          .color = 1};
    return OCT_OK;
}

static void put_values(oct_text *t, const char *key, const float v[4])
{
    oct_text_printf(t, " %s=%.9g,%.9g,%.9g,%.9g", key, (double)v[0], (double)v[1], (double)v[2], (double)v[3]);
}

oct_status oct_preprocess_format(const oct_preprocess *p, char **text)
{
    oct_text t = {0};
    if (p->layout < 0 || p->layout > 2 || p->color < 0 || p->color > 3)
        return oct_fail(OCT_ERR_USAGE, "preprocessing: unknown layout or color");
    oct_text_printf(&t, "layout=%s color=%s", layouts[p->layout], colors[p->color]);
    if (p->resize_w)
        oct_text_printf(&t, " resize=%dx%d", p->resize, p->resize_w);
    else if (p->resize)
        oct_text_printf(&t, " resize=%d", p->resize);
    if (p->crop_h || p->crop_w)
        oct_text_printf(&t, " crop=%dx%d", p->crop_h, p->crop_w);
    put_values(&t, "mean", p->mean);
    put_values(&t, "std", p->std);
    return oct_text_finish(&t, text);
}

/* "N" gives h = N, w = 0; "HxW" both. */
static bool parse_size(const char *text, int *h, int *w)
{
    int used = 0;
    *w = 0;
    if (sscanf(text, "%6d%n", h, &used) != 1 || *h < 0 || *h > OCT_IMAGE_MAX_SIDE)
        return false;
    if (text[used] == '\0')
        return true;
    text += used;
    return *text == 'x' && sscanf(text + 1, "%6d%n", w, &used) == 1 && text[1 + used] == '\0' && *w > 0 && *w <= OCT_IMAGE_MAX_SIDE;
}

/* One value for all channels, or one each. */
static bool parse_values(const char *text, float v[4])
{
    int n = 0;
    for (;;) {
        char *end;
        float value = strtof(text, &end);
        if (end == text || !isfinite(value) || n == 4)
            return false;
        v[n++] = value;
        if (*end == '\0')
            break;
        if (*end != ',')
            return false;
        text = end + 1;
    }
    for (int c = 1; n == 1 && c < 4; c++)
        v[c] = v[0];
    return true;
}

static bool parse_word(const char *text, const char *const *words, int count, int *out)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool parse_pair(const char *key, const char *value, oct_preprocess *p)
{
    if (strcmp(key, "resize") == 0)
        return parse_size(value, &p->resize, &p->resize_w);
    if (strcmp(key, "crop") == 0) {
        bool ok = parse_size(value, &p->crop_h, &p->crop_w);
        if (ok && p->crop_w == 0)
            p->crop_w = p->crop_h;
        return ok;
    }
    if (strcmp(key, "mean") == 0)
        return parse_values(value, p->mean);
    if (strcmp(key, "std") == 0) {
        bool ok = parse_values(value, p->std);
        for (int c = 0; c < 4; c++)
            ok = ok && p->std[c] > 0.0f;
        return ok;
    }
    if (strcmp(key, "layout") == 0)
        return parse_word(value, layouts, 3, &p->layout);
    if (strcmp(key, "color") == 0)
        return parse_word(value, colors, 4, &p->color);
    return false;
}

oct_status oct_preprocess_parse(oct_preprocess *p, const char *text)
{
    oct_preprocess out;
    oct_preprocess_default(&out);
    char *copy = strdup(text), *rest = copy;
    if (!copy)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a line of text");
    oct_status s = OCT_OK;
    for (char *word; s == OCT_OK && (word = strtok_r(rest, " \t\r\n", &rest));) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        if (!value || !parse_pair(word, value, &out))
            s = oct_fail(OCT_ERR_CONTENT, "preprocessing: '%s%s%s' is not understood", word, value ? "=" : "", value ? value : "");
    }
    free(copy);
    if (s == OCT_OK)
        *p = out;
    return s;
}
