/* Small float models for the tests of placement, quantizer and calibrator. */
#ifndef OCT_TESTS_QUANT_GRAPHS_H
#define OCT_TESTS_QUANT_GRAPHS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "ir/op.h"
#include "onnx/model.h"

#define OK(expr)                                              \
    do {                                                      \
        if ((expr) != OCT_OK)                                 \
            fail_msg("%s: %s", #expr, oct_last_error()->message); \
    } while (0)

typedef struct net {
    oct_graph *g;
    oct_rng rng;
} net;

static inline net net_new(void)
{
    net n = {.rng = {77, 0}};
    OK(oct_graph_create("net", &n.g));
    n.g->opset = 17;
    return n;
}

/* dims[0] < 0: a free batch. */
static inline oct_value *net_input(net *n, const char *name, int rank, const int64_t *dims)
{
    oct_value *v;
    OK(oct_value_add(n->g, name, name, &v));
    v->dtype = OCT_F32;
    v->shape.rank = rank;
    memcpy(v->shape.dim, dims, (size_t)rank * sizeof *dims);
    if (dims[0] < 0)
        OK(oct_graph_add_symbol(n->g, "batch", &v->shape.dim[0]));
    OK(oct_graph_add_input(n->g, v));
    return v;
}

static inline oct_value *net_random(net *n, const char *name, float size, int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *data = malloc((size_t)count * sizeof *data);
    oct_value *v;
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = size * (float)(2 * oct_rng_unit(&n->rng) - 1);
    OK(oct_value_const(n->g, name, OCT_F32, rank, dims, data, &v));
    free(data);
    return v;
}

static inline oct_value *net_ints(net *n, const char *name, int64_t count, const int64_t *data)
{
    oct_value *v;
    OK(oct_value_const(n->g, name, OCT_S64, 1, &count, data, &v));
    return v;
}

static inline oct_value *net_op(net *n, oct_op op, const char *name, int inputs, oct_value *a, oct_value *b, oct_value *c)
{
    oct_value *in[3] = {a, b, c}, *y;
    oct_node *node;
    OK(oct_value_add(n->g, name, name, &y));
    OK(oct_node_add(n->g, NULL, op, name, inputs, in, 1, &y, &node));
    return y;
}
static inline oct_value *net_unary(net *n, oct_op op, const char *name, oct_value *x) { return net_op(n, op, name, 1, x, NULL, NULL); }
static inline oct_value *net_add(net *n, const char *name, oct_value *a, oct_value *b) { return net_op(n, OCT_OP_ADD, name, 2, a, b, NULL); }

/* 3x3 convolution with padding 1. */
static inline oct_value *net_conv(net *n, const char *name, oct_value *x, int64_t in, int64_t out, int64_t groups)
{
    oct_value *w = net_random(n, "weight", 1.0f / sqrtf(9.0f * (float)(in / groups)), 4, (int64_t[]){out, in / groups, 3, 3});
    oct_value *b = net_random(n, "bias", 0.1f, 1, &out);
    oct_value *y = net_op(n, OCT_OP_CONV, name, 3, x, w, b);
    OK(oct_node_set_ints(n->g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    OK(oct_node_set_int(n->g, y->producer, "group", groups));
    return y;
}

static inline oct_value *net_gemm(net *n, const char *name, oct_value *x, int64_t in, int64_t out)
{
    oct_value *y = net_op(n, OCT_OP_GEMM, name, 3, x, net_random(n, "weight", 1.0f / sqrtf((float)in), 2, (int64_t[]){out, in}), net_random(n, "bias", 0.1f, 1, &out));
    OK(oct_node_set_int(n->g, y->producer, "transB", 1));
    return y;
}

static inline oct_model *net_model(net *n)
{
    oct_model *m = NULL;
    OK(oct_graph_infer(n->g));
    OK(oct_model_from_graph(n->g, NULL, &m));
    return m;
}

/* conv relu [conv relu conv + relu] [maxpool pad / conv conv +] mean flatten gemm softmax */
static inline oct_model *net_residual_of(int64_t batch)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){batch, 3, 8, 8});
    oct_value *a = net_unary(&n, OCT_OP_RELU, "a", net_conv(&n, "c0", x, 3, 8, 1));
    oct_value *b = net_unary(&n, OCT_OP_RELU, "b", net_conv(&n, "c1", a, 8, 8, 8));
    oct_value *s = net_unary(&n, OCT_OP_RELU, "s", net_add(&n, "sum", a, net_conv(&n, "c2", b, 8, 8, 1)));
    oct_value *p = net_unary(&n, OCT_OP_MAX_POOL, "p", s);
    OK(oct_node_set_ints(n.g, p->producer, "kernel_shape", (int64_t[]){1, 1}, 2));
    oct_value *pads = net_ints(&n, "pads", 8, (int64_t[]){0, 2, 0, 0, 0, 2, 0, 0});
    oct_value *d = net_op(&n, OCT_OP_PAD, "d", 2, p, pads, NULL);
    oct_value *t = net_unary(&n, OCT_OP_RELU, "t", net_add(&n, "sum2", d, net_conv(&n, "c3", s, 8, 12, 1)));
    oct_value *m = net_unary(&n, OCT_OP_FLATTEN, "flat", net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "mean", t));
    oct_value *y = net_unary(&n, OCT_OP_SOFTMAX, "y", net_gemm(&n, "logits", m, 12, 5));
    OK(oct_graph_add_output(n.g, y));
    return net_model(&n);
}

static inline oct_model *net_residual(void) { return net_residual_of(-1); }

/* tokens [B, 4, 6]: x + MatMul(LayerNorm(x)), twice the bias as an Add; the residual stream is huge beside the branch. */
static inline oct_model *net_transformer(void)
{
    net n = net_new();
    int64_t width = 6;
    oct_value *x = net_input(&n, "x", 3, (int64_t[]){-1, 4, 6});
    oct_value *stream = x;
    for (int i = 0; i < 2; i++) {
        oct_value *norm = net_op(&n, OCT_OP_LAYER_NORM, i ? "norm1" : "norm0", 3, stream, net_random(&n, "g", 1, 1, &width), net_random(&n, "h", 1, 1, &width));
        oct_value *m = net_op(&n, OCT_OP_MATMUL, i ? "m1" : "m0", 2, norm, net_random(&n, "weight", 0.4f, 2, (int64_t[]){6, 6}), NULL);
        stream = net_add(&n, i ? "s1" : "s0", net_add(&n, i ? "mb1" : "mb0", net_random(&n, "bias", 0.1f, 1, &width), m), stream);
    }
    OK(oct_graph_add_output(n.g, stream));
    return net_model(&n);
}

#endif
