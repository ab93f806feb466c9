/* Nets for the tests of the trainer: one operator between inputs and outputs, with what it needs. */
#ifndef OCT_TESTS_TRAIN_NETS_H
#define OCT_TESTS_TRAIN_NETS_H

#include "unit/quant/graphs.h"
#include "build/build.h"
#include "train/tape.h"

#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}
#define INTS(...) (int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static inline void set_ints(net *n, oct_value *y, const char *name, const int64_t *v, int count) { OK(oct_node_set_ints(n->g, y->producer, name, v, count)); }
static inline void set_int(net *n, oct_value *y, const char *name, int64_t v) { OK(oct_node_set_int(n->g, y->producer, name, v)); }
static inline void set_float(net *n, oct_value *y, const char *name, float v) { OK(oct_node_set_float(n->g, y->producer, name, v)); }

static inline oct_value *scalar(net *n, float v)
{
    oct_value *c;
    OK(oct_value_const(n->g, "scalar", OCT_F32, 0, NULL, &v, &c));
    return c;
}

/* Positive values in [lo, lo + 1): variances, and denominators. */
static inline oct_value *positive(net *n, const char *name, float lo, int64_t count)
{
    float data[64];
    oct_value *v;
    assert_true(count <= 64);
    for (int64_t i = 0; i < count; i++)
        data[i] = lo + (float)oct_rng_unit(&n->rng);
    OK(oct_value_const(n->g, name, OCT_F32, 1, &count, data, &v));
    return v;
}

static inline oct_value *batch_norm(net *n, const char *name, oct_value *x, int64_t c)
{
    oct_value *in[5] = {x, positive(n, "scale", 0.5f, c), net_random(n, "shift", 0.5f, 1, &c), net_random(n, "mean", 0.3f, 1, &c), positive(n, "var", 0.5f, c)}, *y;
    oct_node *node;
    OK(oct_value_add(n->g, name, name, &y));
    OK(oct_node_add(n->g, NULL, OCT_OP_BATCH_NORM, name, 5, in, 1, &y, &node));
    return y;
}

static inline oct_model *finish(net *n, oct_value *y)
{
    OK(oct_graph_add_output(n->g, y));
    return net_model(n);
}

/* conv bn relu, depthwise conv bn hard-swish, conv, + shortcut, pool, mean, gemm */
static inline oct_model *small_cnn(void)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){-1, 3, 10, 10});
    oct_value *a = net_unary(&n, OCT_OP_RELU, "a", batch_norm(&n, "bn0", net_conv(&n, "c0", x, 3, 8, 1), 8));
    oct_value *b = net_unary(&n, OCT_OP_HARD_SWISH, "b", batch_norm(&n, "bn1", net_conv(&n, "c1", a, 8, 8, 8), 8));
    oct_value *s = net_unary(&n, OCT_OP_RELU, "s", net_add(&n, "sum", a, batch_norm(&n, "bn2", net_conv(&n, "c2", b, 8, 8, 2), 8)));
    oct_value *p = net_unary(&n, OCT_OP_MAX_POOL, "p", s);
    set_ints(&n, p, "kernel_shape", INTS(3, 3));
    set_ints(&n, p, "strides", INTS(2, 2));
    set_ints(&n, p, "pads", INTS(1, 1, 1, 1));
    oct_value *m = net_unary(&n, OCT_OP_FLATTEN, "flat", net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "mean", p));
    return finish(&n, net_gemm(&n, "logits", m, 8, 5));
}

static inline oct_value *reshape(net *n, const char *name, oct_value *x, const int64_t *dims, int64_t count)
{
    return net_op(n, OCT_OP_RESHAPE, name, 2, x, net_ints(n, "dims", count, dims), NULL);
}
static inline oct_value *transpose(net *n, const char *name, oct_value *x, const int64_t *perm, int count)
{
    oct_value *y = net_unary(n, OCT_OP_TRANSPOSE, name, x);
    set_ints(n, y, "perm", perm, count);
    return y;
}

static inline oct_value *linear(net *n, const char *name, oct_value *x, int64_t in, int64_t out)
{
    oct_value *m = net_op(n, OCT_OP_MATMUL, name, 2, x, net_random(n, "weight", 1 / sqrtf((float)in), 2, (int64_t[]){in, out}), NULL);
    return net_op(n, OCT_OP_ADD, "biased", 2, m, net_random(n, "bias", 0.1f, 1, &out), NULL);
}

static inline oct_value *norm(net *n, const char *name, oct_value *x, int64_t width)
{
    return net_op(n, OCT_OP_LAYER_NORM, name, 3, x, positive(n, "gain", 0.5f, width), net_random(n, "offset", 0.2f, 1, &width));
}

/* One block of a transformer: tokens [2, 5, 8], two heads of 4, pre-norm, GELU. */
static inline oct_model *transformer_block(void)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", 3, (int64_t[]){2, 5, 8});
    oct_value *h = norm(&n, "n0", x, 8), *part[3];
    for (int i = 0; i < 3; i++) {
        oct_value *m = reshape(&n, "heads", linear(&n, "project", h, 8, 8), INTS(2, 5, 2, 4));
        part[i] = transpose(&n, "turned", m, i == 1 ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3}, 4);
    }
    oct_value *scores = net_op(&n, OCT_OP_MUL, "scores", 2, net_op(&n, OCT_OP_MATMUL, "qk", 2, part[0], part[1], NULL), scalar(&n, 0.5f), NULL);
    oct_value *mixed = net_op(&n, OCT_OP_MATMUL, "av", 2, net_unary(&n, OCT_OP_SOFTMAX, "attention", scores), part[2], NULL);
    oct_value *joined = reshape(&n, "joined", transpose(&n, "back", mixed, INTS(0, 2, 1, 3)), INTS(2, 5, 8));
    oct_value *stream = net_add(&n, "stream", x, linear(&n, "out", joined, 8, 8));
    oct_value *wide = net_unary(&n, OCT_OP_GELU, "wide", linear(&n, "up", norm(&n, "n1", stream, 8), 8, 16));
    return finish(&n, net_add(&n, "y", stream, linear(&n, "down", wide, 16, 8)));
}

/* conv, one operator that sees images with channels last, and what leads back to the output: case 0 ... BETWEEN - 1. */
enum { BETWEEN = 18 };
static inline oct_model *between_convs(int i)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 3, 6, 6)), *a = net_conv(&n, "c0", x, 3, 4, 1), *b = net_conv(&n, "c1", x, 3, 4, 1), *y, *parts[2];
    switch (i) {
    case 0:
    case 1:
        y = net_unary(&n, i ? OCT_OP_AVERAGE_POOL : OCT_OP_MAX_POOL, "y", a);
        set_ints(&n, y, "kernel_shape", INTS(3, 2));
        set_ints(&n, y, "strides", INTS(2, 1));
        set_ints(&n, y, "pads", INTS(1, 0, 1, 1));
        break;
    case 2:
        y = net_unary(&n, OCT_OP_MAX_POOL, "y", a);
        set_ints(&n, y, "kernel_shape", INTS(1, 1));
        set_ints(&n, y, "strides", INTS(2, 2));
        break;
    case 3:
    case 4:
        y = net_op(&n, OCT_OP_CONCAT, "y", 2, a, b, NULL);
        set_int(&n, y, "axis", i == 3 ? 1 : 2);
        break;
    case 5: {
        oct_value *in[2] = {a, net_ints(&n, "sizes", 2, (int64_t[]){1, 3})};
        oct_node *node;
        OK(oct_value_add(n.g, "p0", "p0", &parts[0]));
        OK(oct_value_add(n.g, "p1", "p1", &parts[1]));
        OK(oct_node_add(n.g, NULL, OCT_OP_SPLIT, "split", 2, in, 2, parts, &node));
        OK(oct_node_set_int(n.g, node, "axis", 1));
        y = net_op(&n, OCT_OP_MUL, "y", 2, parts[1], parts[0], NULL);
        break;
    }
    case 6: {
        oct_value *in[4] = {a, net_ints(&n, "s", 2, (int64_t[]){1, 1}), net_ints(&n, "e", 2, (int64_t[]){4, 6}), net_ints(&n, "axes", 2, (int64_t[]){1, 3})};
        oct_node *node;
        OK(oct_value_add(n.g, "y", "y", &y));
        OK(oct_node_add(n.g, NULL, OCT_OP_SLICE, "y", 4, in, 1, &y, &node));
        break;
    }
    case 7:
        y = net_op(&n, OCT_OP_PAD, "y", 2, a, net_ints(&n, "pads", 8, (int64_t[]){0, 1, 2, 0, 0, 2, 0, 1}), NULL);
        break;
    case 8:
        y = transpose(&n, "y", a, INTS(0, 2, 3, 1));
        break;
    case 9:
        return finish(&n, net_gemm(&n, "y", net_unary(&n, OCT_OP_FLATTEN, "flat", a), 144, 5));
    case 10:
        y = reshape(&n, "y", a, INTS(2, 6, 4, 6));
        break;
    case 11:
        y = net_op(&n, OCT_OP_ADD, "y", 2, a, net_random(&n, "shift", 1, DIMS(4, 1, 1)), NULL);
        break;
    case 12: /* a gate */
        y = net_op(&n, OCT_OP_MUL, "y", 2, a, net_unary(&n, OCT_OP_SIGMOID, "gate", net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "mean", b)), NULL);
        break;
    case 13:
        y = net_unary(&n, OCT_OP_SOFTMAX, "y", a);
        break;
    case 14:
        y = net_unary(&n, OCT_OP_HARD_SWISH, "y", batch_norm(&n, "bn", net_conv(&n, "dw", a, 4, 4, 4), 4));
        break;
    case 15:
        y = net_op(&n, OCT_OP_CONV_TRANSPOSE, "y", 2, a, net_random(&n, "w", 0.3f, DIMS(4, 4, 2, 2)), NULL);
        set_ints(&n, y, "strides", INTS(2, 2));
        break;
    case 16:
        y = net_unary(&n, OCT_OP_RELU, "y", net_add(&n, "sum", net_unary(&n, OCT_OP_RELU, "r", batch_norm(&n, "bn", a, 4)), b));
        break;
    default:
        y = net_add(&n, "y", a, a);
    }
    if (i != 10 && i != 8 && i != 13)
        y = net_conv(&n, "c2", y, i == 3 ? 8 : i == 5 || i == 6 ? 3 : i == 7 ? 7 : 4, 2, 1);
    return finish(&n, y);
}

#endif
