/* Small graphs for the tests of passes, and the text that must come out. */
#ifndef OCT_TESTS_OPT_CASE_H
#define OCT_TESTS_OPT_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>
#include "opt/opt.h"

#define OK(expr) assert_int_equal((expr), OCT_OK)

static inline oct_graph *graph(void)
{
    oct_graph *g;
    OK(oct_graph_create("t", &g));
    return g;
}

static inline oct_value *input(oct_graph *g, const char *name, oct_dtype t, int rank, const int64_t *dims)
{
    oct_value *v;
    OK(oct_value_add(g, name, name, &v));
    v->dtype = t;
    v->shape.rank = rank;
    memcpy(v->shape.dim, dims, (size_t)rank * sizeof *dims);
    OK(oct_graph_add_input(g, v));
    return v;
}

static inline oct_value *f32(oct_graph *g, const char *stem, int rank, const int64_t *dims, const float *data)
{
    oct_value *v;
    OK(oct_value_const(g, stem, OCT_F32, rank, dims, data, &v));
    return v;
}
static inline oct_value *scalar(oct_graph *g, const char *stem, float x)
{
    return f32(g, stem, 0, NULL, &x);
}
static inline oct_value *u8(oct_graph *g, const char *stem, uint8_t x)
{
    oct_value *v;
    OK(oct_value_const(g, stem, OCT_U8, 0, NULL, &x, &v));
    return v;
}
static inline oct_value *s64s(oct_graph *g, const char *stem, int64_t n, const int64_t *data)
{
    oct_value *v;
    OK(oct_value_const(g, stem, OCT_S64, 1, &n, data, &v));
    return v;
}
static inline oct_value *zeros(oct_graph *g, const char *stem, oct_dtype t, int rank, const int64_t *dims)
{
    static const uint8_t none[4096];
    oct_value *v;
    OK(oct_value_const(g, stem, t, rank, dims, none, &v));
    return v;
}

/* y = op(a, b, c): NULL inputs at the end are left out. */
static inline oct_value *op(oct_graph *g, oct_op o, const char *name, oct_value *a, oct_value *b, oct_value *c)
{
    oct_value *in[3] = {a, b, c}, *y;
    oct_node *n;
    OK(oct_value_add(g, name, name, &y));
    OK(oct_node_add(g, NULL, o, name, c ? 3 : b ? 2 : 1, in, 1, &y, &n));
    return y;
}

static inline oct_value *q(oct_graph *g, const char *name, oct_value *x, float s, uint8_t z)
{
    return op(g, OCT_OP_QUANTIZE, name, x, scalar(g, "s", s), u8(g, "z", z));
}
static inline oct_value *dq(oct_graph *g, const char *name, oct_value *x, float s, uint8_t z)
{
    return op(g, OCT_OP_DEQUANTIZE, name, x, scalar(g, "s", s), u8(g, "z", z));
}

static inline void output(oct_graph *g, oct_value *v)
{
    OK(oct_graph_add_output(g, v));
}

/* The lines of the dump that hold nodes (they contain " = " and do not start with const), compared with `want`. */
static inline void expect(oct_graph *g, const char *want)
{
    char *text, got[4096] = "";
    OK(oct_graph_dump(g, &text));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *cut = strstr(line, " # sources");
        if (strncmp(line, "const ", 6) == 0 || !strstr(line, " = "))
            continue;
        if (cut)
            *cut = 0;
        strcat(strcat(got, line), "\n");
    }
    free(text);
    assert_string_equal(got, want);
}

static inline int64_t run(oct_graph *g, const char *pass)
{
    int64_t changes = -1;
    OK(oct_graph_infer(g));
    OK(oct_opt_pass(&(oct_opt){.g = g}, pass, &changes));
    OK(oct_graph_verify(g, pass));
    return changes;
}
static inline void run_stage(oct_graph *g, unsigned stages)
{
    oct_status s = oct_opt_run(&(oct_opt){.g = g, .stages = stages});
    if (s != OCT_OK)
        print_message("%s\n", oct_last_error()->message);
    OK(s);
    OK(oct_graph_verify(g, "stages"));
}

static const int64_t image[4] = {1, 2, 4, 4}, kernel[4] = {2, 2, 1, 1}, two[1] = {2};

#endif
