/* A small network that has a step of every family with tactics, in codes or in floats, for the tests of timing and tactics:
 * convolutions 3x3, 1x1 with residual, depthwise 3x3 and 5x5, table, product, sum, three pools, gemm. */
#ifndef OCT_TEST_BUILD_NET_H
#define OCT_TEST_BUILD_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"
#include "build/tactics.h"

#define OK(call)                                                                                                                   \
    do {                                                                                                                           \
        if ((call) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #call, oct_last_error()->message);                                                                  \
    } while (0)

/* The level in force, so that OCTAVO_ISA reaches these tests too. */
static inline oct_isa net_isa(void)
{
    oct_isa isa;
    OK(oct_cpu_isa(&isa));
    return isa;
}

enum { NET_IN = 13, NET_C = 40, NET_OUT = 10, NET_SIDE = 12 };

typedef struct net {
    oct_graph *g;
    bool codes;
    uint64_t seed;
    int batch;
} net;

static inline const oct_quant *net_quant(net *t, int n, float scale, int32_t zero)
{
    oct_quant q = {n, 0, NULL, NULL};
    void *p, *scales, *zeros;
    OK(oct_arena_alloc(t->g->arena, n * (int64_t)sizeof(float), &scales));
    OK(oct_arena_alloc(t->g->arena, n * (int64_t)sizeof(int32_t), &zeros));
    for (int i = 0; i < n; i++) {
        ((float *)scales)[i] = scale * (1 + 0.1f * (float)(i % 7));
        ((int32_t *)zeros)[i] = zero;
    }
    q.scale = scales;
    q.zero = zeros;
    OK(oct_arena_memdup(t->g->arena, &q, sizeof q, &p));
    return p;
}

/* A value of the net: codes with a scale, or floats. */
static inline oct_value *net_value(net *t, const char *name, int rank, int c, int side, float scale)
{
    oct_value *v;
    OK(oct_value_add(t->g, name, name, &v));
    v->dtype = t->codes ? OCT_U8 : OCT_F32;
    v->shape = (oct_shape){.rank = rank, .dim = {t->batch, c, side, side}};
    if (t->codes)
        v->quant = net_quant(t, 1, scale, 120);
    return v;
}

static inline oct_value *net_weights(net *t, int rank, int64_t a, int64_t b, int64_t k)
{
    const int64_t dims[4] = {a, b, k, k}, count = a * b * (rank == 4 ? k * k : 1);
    oct_value *v;
    oct_rng r = {t->seed++, 0};
    uint8_t *codes = malloc((size_t)count);
    float *floats = malloc((size_t)count * sizeof *floats);
    for (int64_t i = 0; i < count; i++) {
        codes[i] = (uint8_t)oct_rng_below(&r, 256);
        floats[i] = (float)(int8_t)codes[i] * 0.002f;
    }
    OK(oct_value_const(t->g, "w", t->codes ? OCT_S8 : OCT_F32, rank, dims, t->codes ? (void *)codes : (void *)floats, &v));
    if (t->codes)
        v->quant = net_quant(t, rank == 4 ? (int)a : 1, 0.002f, 0);
    free(codes);
    free(floats);
    return v;
}

static inline oct_node *net_node(net *t, oct_op op, const char *name, oct_value *a, oct_value *b, oct_value *y)
{
    oct_value *in[2] = {a, b};
    oct_node *n;
    OK(oct_node_add(t->g, NULL, op, name, b ? 2 : 1, in, 1, &y, &n));
    n->int8 = t->codes && op != OCT_OP_MAX_POOL && op != OCT_OP_FLATTEN && op != OCT_OP_GLOBAL_MAX_POOL;
    return n;
}

static inline oct_node *net_conv(net *t, const char *name, oct_value *x, oct_value *y, int groups, int kernel)
{
    const int pad = kernel / 2;
    oct_value *w = net_weights(t, 4, y->shape.dim[1], x->shape.dim[1] / groups, kernel);
    oct_node *n = net_node(t, OCT_OP_CONV, name, x, w, y);
    OK(oct_node_set_ints(t->g, n, "pads", (const int64_t[]){pad, pad, pad, pad}, 4));
    OK(oct_node_set_int(t->g, n, "group", groups));
    return n;
}

static inline void net_pool(net *t, oct_op op, const char *name, oct_value *x, oct_value *y)
{
    oct_node *n = net_node(t, op, name, x, NULL, y);
    OK(oct_node_set_ints(t->g, n, "kernel_shape", (const int64_t[]){2, 2}, 2));
    OK(oct_node_set_ints(t->g, n, "strides", (const int64_t[]){2, 2}, 2));
}

/* The entrance (codes: QuantizeLinear) and the exit (DequantizeLinear). */
static inline oct_value *net_cast(net *t, oct_op op, const char *name, oct_value *x, oct_value *y, float scale)
{
    const uint8_t zero = 120;
    oct_value *in[3] = {x};
    oct_node *n;
    OK(oct_value_const(t->g, "s", OCT_F32, 0, NULL, &scale, &in[1]));
    OK(oct_value_const(t->g, "z", OCT_U8, 0, NULL, &zero, &in[2]));
    OK(oct_node_add(t->g, NULL, op, name, 3, in, 1, &y, &n));
    return y;
}

/* Input "x" f32 [batch, NET_IN, 12, 12], output "y" f32 [batch, NET_OUT]. Different seeds: different weights and names. */
static inline oct_graph *net_graph(bool codes, int batch, uint64_t seed)
{
    net t = {.codes = codes, .batch = batch, .seed = seed * 1000};
    OK(oct_graph_create("net", &t.g));
    t.codes = false;
    oct_value *x = net_value(&t, "x", 4, NET_IN, NET_SIDE, 0), *y = net_value(&t, "y", 2, NET_OUT, 0, 0);
    t.codes = codes;
    OK(oct_graph_add_input(t.g, x));
    oct_value *in = codes ? net_cast(&t, OCT_OP_QUANTIZE, "q", x, net_value(&t, "c0", 4, NET_IN, NET_SIDE, 0.02f), 0.02f) : x;
    oct_value *c1 = net_value(&t, "c1", 4, NET_C, NET_SIDE, 0.05f), *c2 = net_value(&t, "c2", 4, NET_C, NET_SIDE, 0.06f);
    oct_value *c3 = net_value(&t, "c3", 4, NET_C, NET_SIDE, 0.04f), *c4 = net_value(&t, "c4", 4, NET_C, NET_SIDE, 0.05f);
    oct_value *c5 = net_value(&t, "c5", 4, NET_C, NET_SIDE, 0.008f), *c6 = net_value(&t, "c6", 4, NET_C, NET_SIDE, 0.03f);
    oct_value *c7 = net_value(&t, "c7", 4, NET_C, NET_SIDE, 0.05f), *c8 = net_value(&t, "c8", 4, NET_C, NET_SIDE / 2, 0.05f);
    oct_value *c9 = net_value(&t, "c9", 4, NET_C, NET_SIDE / 4, 0.04f), *c10 = net_value(&t, "c10", 4, NET_C, 1, 0.04f);
    oct_value *c11 = net_value(&t, "c11", 2, NET_C, 0, 0.04f);
    char name[32];
    snprintf(name, sizeof name, "first\\%llu", (unsigned long long)seed);
    net_conv(&t, name, in, c1, 1, 3);
    net_conv(&t, "deep 3", c1, c2, NET_C, 3);
    net_conv(&t, "deep 5", c2, c3, NET_C, 5);
    oct_node *sum = net_conv(&t, "point", c3, c4, 1, 1);
    OK(oct_node_set_input(t.g, sum, 2, NULL));
    OK(oct_node_set_input(t.g, sum, 3, c1));
    sum->fused.residual = 3;
    net_node(&t, OCT_OP_SIGMOID, "gate", c4, NULL, c5);
    net_node(&t, OCT_OP_MUL, "mul", c4, c5, c6);
    net_node(&t, OCT_OP_ADD, "add", c6, c3, c7);
    net_pool(&t, OCT_OP_MAX_POOL, "max", c7, c8);
    net_pool(&t, OCT_OP_AVERAGE_POOL, "mean", c8, c9);
    net_node(&t, OCT_OP_GLOBAL_AVERAGE_POOL, "all", c9, NULL, c10);
    net_node(&t, OCT_OP_FLATTEN, "flat", c10, NULL, c11);
    oct_value *c12 = codes ? net_value(&t, "c12", 2, NET_OUT, 0, 0.02f) : y;
    net_node(&t, OCT_OP_GEMM, "fc", c11, net_weights(&t, 2, NET_C, NET_OUT, 0), c12);
    if (codes)
        net_cast(&t, OCT_OP_DEQUANTIZE, "d", c12, y, 0.02f);
    OK(oct_graph_add_output(t.g, y));
    return t.g;
}

/* Lowered with a decision; NULL = by shape. */
static inline oct_plan *net_lower(oct_graph *g, const oct_tactics *tactics)
{
    oct_lower *l;
    oct_plan *p;
    OK(oct_lower_create(g, net_isa(), &l));
    oct_tactics_install(tactics, l);
    OK(oct_lower_graph(l));
    OK(oct_build_memory(l->d));
    OK(oct_draft_finish(l->d, &p));
    oct_lower_destroy(l);
    return p;
}

/* Output "y" for a fixed random input; free() it. */
static inline float *net_run(const oct_plan *p, int batch, int threads)
{
    const int64_t count = (int64_t)batch * NET_IN * NET_SIDE * NET_SIDE, out = (int64_t)batch * NET_OUT;
    float *x = malloc((size_t)count * sizeof *x), *kept = malloc((size_t)out * sizeof *kept);
    oct_rng r = {99, 0};
    oct_context *c;
    oct_tensor in = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {batch, NET_IN, NET_SIDE, NET_SIDE}}, y;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(oct_rng_unit(&r) * 4 - 2);
    OK(oct_context_create(p, threads, &c));
    OK(oct_context_set_input(c, "x", &in));
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, "y", &y));
    memcpy(kept, y.data, (size_t)out * sizeof *kept);
    oct_context_destroy(c);
    free(x);
    return kept;
}

static inline bool net_same_plan(const oct_plan *a, const oct_plan *b)
{
    return a->header->total == b->header->total && memcmp(a->header, b->header, a->header->total) == 0;
}

#endif
