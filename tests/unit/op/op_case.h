/* One-node graphs from short texts, for the tests of src/op.
 *
 * Inputs, separated by blanks: f[N,3,8] a free f32 input with a symbol, l{1,2} a constant list, f=0.5 a constant scalar, l{} an empty
 * constant, - an absent input. Types: f f32, h f16, u u8, s s8, i s32, l s64, b bool. Attributes: axis=1 an integer, alpha=0.5 a
 * float, axes=1, or pads=0,1 integers, mode=edge a string. */
#ifndef OCT_TEST_OP_CASE_H
#define OCT_TEST_OP_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/op.h"
#include "op/infer.h"

#define ok(expr)                                                                   \
    do {                                                                           \
        if ((expr) != OCT_OK)                                                      \
            fail_msg("%s: %s", #expr, oct_last_error()->message);                  \
    } while (0)

static inline oct_dtype case_type(char c)
{
    switch (c) {
    case 'h': return OCT_F16;
    case 'u': return OCT_U8;
    case 's': return OCT_S8;
    case 'i': return OCT_S32;
    case 'l': return OCT_S64;
    case 'b': return OCT_BOOL;
    default: return OCT_F32;
    }
}

static inline char case_letter(oct_dtype t)
{
    for (const char *c = "husilb"; *c; c++)
        if (case_type(*c) == t)
            return *c;
    return t == OCT_F32 ? 'f' : '?';
}

static inline void case_element(oct_dtype dtype, const char *text, void *to)
{
    switch (dtype) {
    case OCT_S64: *(int64_t *)to = strtoll(text, NULL, 10); break;
    case OCT_S32: *(int32_t *)to = (int32_t)strtoll(text, NULL, 10); break;
    case OCT_F32: *(float *)to = strtof(text, NULL); break;
    default: *(uint8_t *)to = (uint8_t)strtol(text, NULL, 10); break;
    }
}

/* One token of the input list. */
static inline oct_value *case_input(oct_graph *g, const char *token, int at)
{
    char name[16], data[64 * 8] = {0};
    oct_value *v = NULL;
    oct_dtype dtype = case_type(token[0]);
    snprintf(name, sizeof name, "x%d", at);
    if (token[0] == '-')
        return NULL;
    if (token[1] == '=') {
        case_element(dtype, token + 2, data);
        ok(oct_value_const(g, name, dtype, 0, NULL, data, &v));
        return v;
    }
    int64_t dims[OCT_MAX_RANK], count = 0;
    const char *p = token + 2;
    while (*p && *p != ']' && *p != '}') {
        if (token[1] == '{')
            case_element(dtype, p, data + count * (int64_t)oct_dtype_size(dtype));
        else if (isdigit((unsigned char)*p))
            dims[count] = strtoll(p, NULL, 10);
        else {
            char symbol[2] = {*p, 0};
            ok(oct_graph_add_symbol(g, symbol, &dims[count]));
        }
        count++;
        p += strcspn(p, ",]}");
        p += *p == ',';
    }
    if (token[1] == '{') {
        ok(oct_value_const(g, name, dtype, 1, &count, data, &v));
        return v;
    }
    ok(oct_value_add(g, name, name, &v));
    v->dtype = dtype;
    v->shape.rank = (int32_t)count;
    for (int64_t i = 0; i < count; i++)
        v->shape.dim[i] = dims[i];
    ok(oct_graph_add_input(g, v));
    return v;
}

static inline void case_attr(oct_graph *g, oct_node *n, char *text)
{
    char *value = strchr(text, '=');
    *value++ = 0;
    if (strchr(value, ',')) {
        int64_t list[16];
        int count = 0;
        for (char *p = value; *p; p += *p == ',') {
            list[count++] = strtoll(p, &p, 10);
        }
        ok(oct_node_set_ints(g, n, text, list, count));
    } else if (isalpha((unsigned char)*value))
        ok(oct_node_set_string(g, n, text, value));
    else if (strchr(value, '.'))
        ok(oct_node_set_float(g, n, text, strtof(value, NULL)));
    else
        ok(oct_node_set_int(g, n, text, strtoll(value, NULL, 10)));
}

/* A graph of one node "n" with `outputs` outputs y0, y1..., all of them graph outputs. */
static inline oct_graph *case_graph(oct_op op, const char *inputs, const char *attrs, int outputs)
{
    oct_graph *g = NULL;
    oct_value *in[16], *out[8];
    oct_node *n = NULL;
    char text[512], *save = NULL;
    int count = 0;
    ok(oct_graph_create("case", &g));
    snprintf(text, sizeof text, "%s", inputs);
    for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save), count++)
        in[count] = case_input(g, t, count);
    for (int i = 0; i < outputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        ok(oct_value_add(g, name, name, &out[i]));
        out[i]->shape.rank = -1;
    }
    ok(oct_node_add(g, NULL, op, "n", count, in, outputs, out, &n));
    snprintf(text, sizeof text, "%s", attrs ? attrs : "");
    save = NULL;
    for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
        case_attr(g, n, t);
    for (int i = 0; i < outputs; i++)
        ok(oct_graph_add_output(g, out[i]));
    return g;
}

/* "f[N, 3] f[N, 5]" */
static inline const char *case_outputs(const oct_graph *g, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (int64_t i = 0; i < g->output_count; i++) {
        char shape[OCT_SHAPE_TEXT];
        const oct_value *v = g->outputs[i];
        at += (size_t)snprintf(text + at, size - at, "%s%c%s", i ? " " : "", case_letter(v->dtype), oct_shape_text(g, &v->shape, shape));
    }
    return text;
}

#endif
