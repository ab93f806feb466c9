/* Q/DQ graphs from a few calls, for the tests of inspector and lint. */
#ifndef OCT_TESTS_BUILD_QDQ_H
#define OCT_TESTS_BUILD_QDQ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "onnx/model.h"

#define OK(expr)                                                                                                                   \
    do {                                                                                                                           \
        if ((expr) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #expr, oct_last_error()->message);                                                                  \
    } while (0)

static inline oct_graph *qdq_graph(void)
{
    oct_graph *g;
    OK(oct_graph_create("t", &g));
    g->opset = 17;
    return g;
}

static inline oct_value *qdq_input(oct_graph *g, const char *name, int rank, const int64_t *dims)
{
    oct_value *v;
    OK(oct_value_add(g, name, name, &v));
    v->dtype = OCT_F32;
    v->shape.rank = rank;
    memcpy(v->shape.dim, dims, (size_t)rank * sizeof *dims);
    OK(oct_graph_add_input(g, v));
    return v;
}

static inline oct_value *qdq_const(oct_graph *g, const char *stem, oct_dtype t, int rank, const int64_t *dims, const void *data)
{
    oct_value *v;
    OK(oct_value_const(g, stem, t, rank, dims, data, &v));
    return v;
}
static inline oct_value *qdq_scale(oct_graph *g, float s)
{
    return qdq_const(g, "s", OCT_F32, 0, NULL, &s);
}
static inline oct_value *qdq_zero(oct_graph *g, uint8_t z)
{
    return qdq_const(g, "z", OCT_U8, 0, NULL, &z);
}

/* y = op(a, b, c): NULL inputs at the end are left out; the value has the node's name. */
static inline oct_node *qdq_node(oct_graph *g, oct_op o, const char *name, oct_value *a, oct_value *b, oct_value *c)
{
    oct_value *in[3] = {a, b, c}, *y;
    oct_node *n;
    OK(oct_value_add(g, name, name, &y));
    OK(oct_node_add(g, NULL, o, name, c ? 3 : b ? 2 : 1, in, 1, &y, &n));
    return n;
}
static inline oct_value *qdq_op(oct_graph *g, oct_op o, const char *name, oct_value *a, oct_value *b, oct_value *c)
{
    return qdq_node(g, o, name, a, b, c)->outputs[0];
}

/* x through Q and DQ of u8: "NAME_q", "NAME_dq". */
static inline oct_value *qdq_pair(oct_graph *g, const char *name, oct_value *x, float s, uint8_t z)
{
    char text[64];
    snprintf(text, sizeof text, "%s_q", name);
    oct_value *q = qdq_op(g, OCT_OP_QUANTIZE, text, x, qdq_scale(g, s), qdq_zero(g, z));
    snprintf(text, sizeof text, "%s_dq", name);
    return qdq_op(g, OCT_OP_DEQUANTIZE, text, q, qdq_scale(g, s), qdq_zero(g, z));
}

/* 1x1 convolution with s8 codes w[oc][c] of one scale. */
static inline oct_value *qdq_conv(oct_graph *g, const char *name, oct_value *x, int64_t oc, int64_t c, const int8_t *w, float s)
{
    const int8_t zero = 0;
    oct_value *codes = qdq_const(g, "w", OCT_S8, 4, (int64_t[]){oc, c, 1, 1}, w);
    oct_value *weights = qdq_op(g, OCT_OP_DEQUANTIZE, "w_dq", codes, qdq_scale(g, s), qdq_const(g, "wz", OCT_S8, 0, NULL, &zero));
    return qdq_op(g, OCT_OP_CONV, name, x, weights, NULL);
}

/* The graph becomes a model; the caller destroys it. */
static inline oct_model *qdq_model(oct_graph *g, oct_value *output)
{
    oct_model *m = NULL;
    OK(oct_graph_add_output(g, output));
    OK(oct_graph_infer(g));
    OK(oct_model_from_graph(g, NULL, &m));
    return m;
}

#endif
