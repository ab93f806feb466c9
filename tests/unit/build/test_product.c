/* INT8 and float convolutions and products against plain loops over DESIGN 3.4 and 3.5: byte for byte, on every level this CPU has,
 * for any number of threads.  Graphs of one node are lowered without passes, so that every form can be asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"
#include "num/num.h"

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != OCT_OK)                                                          \
            fail_msg("%s: %s", #call, oct_last_error()->message);                      \
    } while (0)

enum { ROUNDS = 400 };
static const uint64_t seed = 20240611;

typedef struct layer {
    oct_op op;
    int n, c, h, w, oc, oh, ow, groups, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, rank;
    oct_dtype x_type, w_type, y_type, r_type;
    bool per_channel, residual, inner, clamp, huge_bias, dead, float_y;
    float sx, sy, sr, si, *sw_;
    int32_t zx, zy, zr, zi, *zw;
    float lo, hi;
    uint8_t *x, *r;        /* logical codes as bytes of their type */
    uint8_t *codes;        /* weights, ONNX order */
    float *bias;
} layer;

static int64_t between(oct_rng *r, int64_t lo, int64_t hi) { return lo + (int64_t)oct_rng_below(r, (uint64_t)(hi - lo + 1)); }
static bool coin(oct_rng *r) { return oct_rng_below(r, 2) == 0; }

static int code_of(const uint8_t *p, int64_t i, oct_dtype t) { return t == OCT_S8 ? (int8_t)p[i] : p[i]; }
static int zero_of(oct_rng *r, oct_dtype t) { return t == OCT_S8 ? (coin(r) ? 0 : (int)between(r, -128, 127)) : (int)between(r, 0, 255); }

static void draw_shape(oct_rng *r, layer *k)
{
    const bool depthwise = oct_rng_below(r, 3) == 0, one_axis = oct_rng_below(r, 5) == 0;
    k->op = oct_rng_below(r, 4) == 0 ? OCT_OP_CONV_TRANSPOSE : OCT_OP_CONV;
    k->rank = one_axis ? 3 : 4;
    k->groups = depthwise ? (int)between(r, 2, 40) : coin(r) ? 1 : (int)between(r, 1, 3);
    k->c = depthwise ? k->groups : k->groups * (int)between(r, 1, 20);
    k->oc = depthwise ? k->groups : k->groups * (int)between(r, 1, 40);
    k->kh = one_axis ? 1 : (int)between(r, 1, 4);
    k->kw = (int)between(r, 1, 4);
    k->sh = one_axis ? 1 : (int)between(r, 1, 3);
    k->sw = (int)between(r, 1, 3);
    k->dh = one_axis ? 1 : (int)between(r, 1, 2);
    k->dw = (int)between(r, 1, 2);
    k->n = (int)between(r, 1, 3);
    k->h = one_axis ? 1 : (int)between(r, 1, 12);
    k->w = (int)between(r, 1, 40);
    k->pt = one_axis ? 0 : (int)between(r, 0, 2);
    k->pb = one_axis ? 0 : (int)between(r, 0, 2);
    k->pl = (int)between(r, 0, 2);
    k->pr = (int)between(r, 0, 2);
    const int reach_h = (k->kh - 1) * k->dh + 1, reach_w = (k->kw - 1) * k->dw + 1;
    if (k->op == OCT_OP_CONV) {
        k->oh = (k->h + k->pt + k->pb - reach_h) / k->sh + 1;
        k->ow = (k->w + k->pl + k->pr - reach_w) / k->sw + 1;
        if (k->h + k->pt + k->pb < reach_h || k->w + k->pl + k->pr < reach_w)
            k->oh = 0;
    } else {
        k->oh = (k->h - 1) * k->sh + reach_h - k->pt - k->pb;
        k->ow = (k->w - 1) * k->sw + reach_w - k->pl - k->pr;
    }
}

static void draw(oct_rng *r, layer *k)
{
    do {
        memset(k, 0, sizeof *k);
        draw_shape(r, k);
    } while (k->oh < 1 || k->ow < 1);
    k->x_type = coin(r) ? OCT_U8 : OCT_S8;
    k->w_type = coin(r) ? OCT_S8 : OCT_U8;
    k->y_type = coin(r) ? OCT_U8 : OCT_S8;
    k->r_type = coin(r) ? OCT_U8 : OCT_S8;
    k->per_channel = coin(r);
    k->float_y = oct_rng_below(r, 5) == 0;
    k->residual = !k->float_y && k->op == OCT_OP_CONV && oct_rng_below(r, 3) == 0;
    k->inner = k->residual && coin(r);
    k->clamp = coin(r);
    k->dead = oct_rng_below(r, 4) == 0;
    k->huge_bias = !k->residual && !k->dead && oct_rng_below(r, 4) == 0;
    k->sx = 0.02f;
    k->sy = 0.05f * (1 + (float)oct_rng_unit(r));
    k->sr = 0.03f;
    k->si = 0.04f;
    k->zx = zero_of(r, k->x_type);
    k->zy = zero_of(r, k->y_type);
    k->zr = zero_of(r, k->r_type);
    k->zi = zero_of(r, k->y_type);
    k->lo = k->sy * -20;
    k->hi = k->sy * 60;
    const int64_t wc = (int64_t)k->oc * (k->c / k->groups) * k->kh * k->kw, xs = (int64_t)k->n * k->c * k->h * k->w, ys = (int64_t)k->n * k->oc * k->oh * k->ow;
    const int kind = (int)oct_rng_below(r, 3);
    k->sw_ = malloc(sizeof(float) * (size_t)k->oc);
    k->zw = malloc(sizeof(int32_t) * (size_t)k->oc);
    k->bias = malloc(sizeof(float) * (size_t)k->oc);
    k->x = malloc((size_t)xs);
    k->r = malloc((size_t)ys);
    k->codes = malloc((size_t)wc);
    for (int64_t i = 0; i < wc; i++)
        k->codes[i] = kind == 0 ? (coin(r) ? 0 : 255) : (uint8_t)between(r, 0, 255);
    for (int64_t i = 0; i < xs; i++)
        k->x[i] = (uint8_t)between(r, 0, 255);
    for (int64_t i = 0; i < ys; i++)
        k->r[i] = (uint8_t)between(r, 0, 255);
    for (int c = 0; c < k->oc; c++) {
        const bool shared = c > 0 && !k->per_channel;
        k->sw_[c] = shared ? k->sw_[0] : 0.001f * (1 + (float)oct_rng_unit(r));
        k->zw[c] = shared ? k->zw[0] : kind == 1 ? 0 : zero_of(r, k->w_type);
        if (k->dead && k->per_channel && c % 3 == 0)
            k->sw_[c] = 1e-30f;
        k->bias[c] = k->huge_bias && c % 2 ? 5e4f : (float)(oct_rng_unit(r) * 4 - 2);
    }
}

static void release(layer *k)
{
    free(k->sw_);
    free(k->zw);
    free(k->bias);
    free(k->x);
    free(k->r);
    free(k->codes);
}

/* --- the definition --- */
/* Weight code minus zero point of output channel o, input channel i of its group. */
static int weight(const layer *k, int o, int i, int ky, int kx)
{
    const int icg = k->c / k->groups, ocg = k->oc / k->groups;
    const int64_t tap = (int64_t)ky * k->kw + kx, taps = (int64_t)k->kh * k->kw;
    const int64_t at = k->op == OCT_OP_CONV ? ((int64_t)o * icg + i) * taps + tap : ((int64_t)(o / ocg * icg + i) * ocg + o % ocg) * taps + tap;
    return code_of(k->codes, at, k->w_type) - k->zw[k->op == OCT_OP_CONV ? o : o % ocg];
}
static float weight_scale(const layer *k, int o) { return k->sw_[k->op == OCT_OP_CONV ? o : o % (k->oc / k->groups)]; }

/* Input row or column that output position o reads with tap t, -1 when none. */
static int source(bool transposed, int o, int t, int stride, int dilation, int pad, int size)
{
    int v = transposed ? o + pad - t * dilation : o * stride + t * dilation - pad;
    if (transposed && v % stride)
        return -1;
    v = transposed ? v / stride : v;
    return v >= 0 && v < size ? v : -1;
}

static int64_t sum_at(const layer *k, int n, int o, int oy, int ox)
{
    const int icg = k->c / k->groups, first = o / (k->oc / k->groups) * icg;
    int64_t acc = 0;
    for (int ky = 0; ky < k->kh; ky++)
        for (int kx = 0; kx < k->kw; kx++) {
            int y = source(k->op != OCT_OP_CONV, oy, ky, k->sh, k->dh, k->pt, k->h), x = source(k->op != OCT_OP_CONV, ox, kx, k->sw, k->dw, k->pl, k->w);
            for (int i = 0; y >= 0 && x >= 0 && i < icg; i++)
                acc += (int64_t)(code_of(k->x, (((int64_t)n * k->c + first + i) * k->h + y) * k->w + x, k->x_type) - k->zx) * weight(k, o, i, ky, kx);
        }
    return acc;
}

static int least(oct_dtype t) { return t == OCT_S8 ? -128 : 0; }
static int most(oct_dtype t) { return t == OCT_S8 ? 127 : 255; }
static int clamp_code(float v, int z, oct_dtype t, bool clamp, float lo, float hi, float s)
{
    int a = clamp ? oct_quantize(lo, s, z, least(t), most(t)) : least(t), b = clamp ? oct_quantize(hi, s, z, least(t), most(t)) : most(t);
    double q = nearbyint((double)v) + z;
    return q < a ? a : q > b ? b : (int)q;
}

/* Output element at (n, o, oy, ox) as a code, or as a float. */
static float expected(const layer *k, int n, int o, int oy, int ox, int64_t at)
{
    const double to = k->float_y ? 1 : k->inner ? k->si : k->sy;
    const float m = (float)((double)k->sx * (double)weight_scale(k, o) / to), fbias = (float)((double)k->bias[o] / to);
    int32_t grid = 0;
    const bool fits = oct_quantize_bias(k->bias[o], k->sx, weight_scale(k, o), &grid);
    int64_t acc = sum_at(k, n, o, oy, ox);
    float v = fits && !k->huge_bias && !k->float_y ? (float)(int32_t)(acc + grid) * m : (float)(int32_t)acc * m + fbias;
    if (k->float_y)
        return k->clamp ? fminf(fmaxf(v, k->lo), k->hi) : v;
    if (!k->residual)
        return (float)clamp_code(v, k->zy, k->y_type, k->clamp, k->lo, k->hi, k->sy);
    if (k->inner)
        v = (float)(clamp_code(v, k->zi, k->y_type, false, 0, 0, k->si) - k->zi) * (float)((double)k->si / (double)k->sy);
    const float r = (float)(code_of(k->r, at, k->r_type) - k->zr) * (float)((double)k->sr / (double)k->sy);
    return (float)clamp_code(v + r, k->zy, k->y_type, k->clamp, k->lo, k->hi, k->sy);
}

/* --- the graph --- */
static const oct_quant *quant(oct_graph *g, int n, int axis, const float *scale, const int32_t *zero)
{
    oct_quant q = {n, axis, NULL, NULL};
    void *p;
    OK(oct_arena_memdup(g->arena, scale, n * (int64_t)sizeof *scale, (void **)&q.scale));
    OK(oct_arena_memdup(g->arena, zero, n * (int64_t)sizeof *zero, (void **)&q.zero));
    OK(oct_arena_memdup(g->arena, &q, sizeof q, &p));
    return p;
}

static oct_value *value(oct_graph *g, const char *name, oct_dtype type, int rank, int n, int c, int h, int w)
{
    oct_value *v;
    OK(oct_value_add(g, name, name, &v));
    v->dtype = type;
    v->shape = (oct_shape){.rank = rank, .dim = {n, c, rank == 4 ? h : w, w}};
    return v;
}

static oct_graph *graph_of(const layer *k)
{
    oct_graph *g;
    oct_node *node;
    oct_value *in[4] = {0}, *y;
    const int icg = k->c / k->groups, ocg = k->oc / k->groups;
    const bool conv = k->op == OCT_OP_CONV;
    const int64_t dims[4] = {conv ? k->oc : k->c, conv ? icg : ocg, k->rank == 4 ? k->kh : k->kw, k->kw}, oc = k->oc;
    OK(oct_graph_create("one", &g));
    in[0] = value(g, "x", k->x_type, k->rank, k->n, k->c, k->h, k->w);
    in[0]->quant = quant(g, 1, 0, &k->sx, &k->zx);
    OK(oct_graph_add_input(g, in[0]));
    OK(oct_value_const(g, "w", k->w_type, k->rank, dims, k->codes, &in[1]));
    in[1]->quant = quant(g, k->per_channel ? (conv ? k->oc : ocg) : 1, conv ? 0 : 1, k->sw_, k->zw);
    OK(oct_value_const(g, "b", OCT_F32, 1, &oc, k->bias, &in[2]));
    if (k->residual) {
        in[3] = value(g, "r", k->r_type, k->rank, k->n, k->oc, k->oh, k->ow);
        in[3]->quant = quant(g, 1, 0, &k->sr, &k->zr);
        OK(oct_graph_add_input(g, in[3]));
    }
    y = value(g, "y", k->float_y ? OCT_F32 : k->y_type, k->rank, k->n, k->oc, k->oh, k->ow);
    if (!k->float_y)
        y->quant = quant(g, 1, 0, &k->sy, &k->zy);
    OK(oct_node_add(g, NULL, k->op, "node", k->residual ? 4 : 3, in, 1, &y, &node));
    OK(oct_graph_add_output(g, y));
    const bool two = k->rank == 4;
    const int64_t strides[2] = {two ? k->sh : k->sw, k->sw}, dilations[2] = {two ? k->dh : k->dw, k->dw};
    const int64_t pads[4] = {two ? k->pt : k->pl, two ? k->pl : k->pr, k->pb, k->pr};
    OK(oct_node_set_ints(g, node, "strides", strides, k->rank - 2));
    OK(oct_node_set_ints(g, node, "dilations", dilations, k->rank - 2));
    OK(oct_node_set_ints(g, node, "pads", pads, 2 * (k->rank - 2)));
    OK(oct_node_set_int(g, node, "group", k->groups));
    node->int8 = true;
    node->fused = (oct_fused){.residual = k->residual ? 3 : 0, .residual_inner = k->inner, .clamp = k->clamp, .lo = k->lo, .hi = k->hi};
    if (k->inner) {
        node->fused.inner_quant = quant(g, 1, 0, &k->si, &k->zi);
        node->fused.inner_dtype = k->y_type;
    }
    return g;
}

static void set_input(oct_context *c, const char *name, void *data, oct_dtype type, int rank, int n, int ch, int h, int w)
{
    oct_tensor t = {.data = data, .dtype = type, .rank = rank, .dims = {n, ch, rank == 4 ? h : w, w}};
    OK(oct_context_set_input(c, name, &t));
}

static void compare(const layer *k, const oct_tensor *y, const char *isa, uint64_t round)
{
    int64_t at = 0;
    for (int n = 0; n < k->n; n++)
        for (int o = 0; o < k->oc; o++)
            for (int oy = 0; oy < k->oh; oy++)
                for (int ox = 0; ox < k->ow; ox++, at++) {
                    float e = expected(k, n, o, oy, ox, at), got = k->float_y ? ((float *)y->data)[at] : (float)code_of(y->data, at, k->y_type);
                    if (memcmp(&e, &got, sizeof e) != 0 && e != got)
                        fail_msg("round %llu on %s: element (%d, %d, %d, %d) is %g, the formula says %g", (unsigned long long)round, isa, n, o, oy, ox,
                                 (double)got, (double)e);
                }
}

static void run_and_compare(const layer *k, oct_isa isa, int threads, uint64_t round)
{
    oct_graph *g = graph_of(k);
    oct_plan *plan;
    oct_context *c;
    oct_tensor y;
    OK(oct_build_lower(g, isa, &plan));
    for (int i = 0; i < plan->step_count; i++)
        assert_int_not_equal(plan->steps[i].precision, OCT_PREC_FLOAT);
    OK(oct_context_create(plan, threads, &c));
    set_input(c, "x", k->x, k->x_type, k->rank, k->n, k->c, k->h, k->w);
    if (k->residual)
        set_input(c, "r", k->r, k->r_type, k->rank, k->n, k->oc, k->oh, k->ow);
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, "y", &y));
    compare(k, &y, oct_isa_name(isa), round);
    oct_context_destroy(c);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
}

static void int8_convolution__random_layers__formula_byte_for_byte(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        oct_rng r = {seed + round, 0};
        layer k;
        draw(&r, &k);
        for (int isa = OCT_ISA_PORTABLE; isa <= (int)oct_cpu_detect(); isa++)
            run_and_compare(&k, (oct_isa)isa, isa == OCT_ISA_PORTABLE ? 1 : 2, round);
        release(&k);
    }
}

/* --- Gemm and MatMul by a constant --- */
typedef struct product {
    bool gemm, transposed, per_channel, float_y, bias;
    int m, k, n;
    float alpha, beta, sx, sy, *sw;
    int32_t zx, zy, *zw;
    uint8_t *x, *w;
    float *b;
} product;

static void draw_product(oct_rng *r, product *p)
{
    *p = (product){.gemm = coin(r), .per_channel = coin(r), .float_y = coin(r), .bias = coin(r), .m = (int)between(r, 1, 40), .k = (int)between(r, 1, 300),
                   .n = (int)between(r, 1, 200), .alpha = 1, .beta = 1, .sx = 0.03f, .sy = 0.1f, .zx = (int)between(r, 0, 255), .zy = (int)between(r, -128, 127)};
    p->transposed = p->gemm && coin(r);
    if (p->gemm && coin(r)) {
        p->alpha = 0.75f;
        p->beta = -2;
    }
    p->bias = p->gemm && p->bias;
    p->sw = malloc(sizeof(float) * (size_t)p->n);
    p->zw = calloc((size_t)p->n, sizeof(int32_t));
    p->b = malloc(sizeof(float) * (size_t)p->n);
    p->x = malloc((size_t)(p->m * p->k));
    p->w = malloc((size_t)(p->k * p->n));
    for (int i = 0; i < p->m * p->k; i++)
        p->x[i] = (uint8_t)between(r, 0, 255);
    for (int i = 0; i < p->k * p->n; i++)
        p->w[i] = (uint8_t)between(r, 0, 255);
    for (int i = 0; i < p->n; i++) {
        p->sw[i] = i && !p->per_channel ? p->sw[0] : 0.001f * (1 + (float)oct_rng_unit(r));
        p->b[i] = (float)oct_rng_unit(r) * 3 - 1;
    }
}

static oct_graph *product_graph(const product *p)
{
    oct_graph *g;
    oct_node *node;
    oct_value *in[3], *y;
    const int64_t dims[2] = {p->transposed ? p->n : p->k, p->transposed ? p->k : p->n}, n = p->n;
    OK(oct_graph_create("one", &g));
    OK(oct_value_add(g, "x", "x", &in[0]));
    in[0]->dtype = OCT_U8;
    /* A product takes any number of leading dims. */
    in[0]->shape = p->gemm ? (oct_shape){.rank = 2, .dim = {p->m, p->k}} : (oct_shape){.rank = 3, .dim = {1, p->m, p->k}};
    in[0]->quant = quant(g, 1, 0, &p->sx, &p->zx);
    OK(oct_graph_add_input(g, in[0]));
    OK(oct_value_const(g, "w", OCT_S8, 2, dims, p->w, &in[1]));
    in[1]->quant = quant(g, p->per_channel ? p->n : 1, p->transposed ? 0 : 1, p->sw, p->zw);
    OK(oct_value_const(g, "b", OCT_F32, 1, &n, p->b, &in[2]));
    OK(oct_value_add(g, "y", "y", &y));
    y->dtype = p->float_y ? OCT_F32 : OCT_S8;
    y->shape = in[0]->shape;
    y->shape.dim[y->shape.rank - 1] = p->n;
    if (!p->float_y)
        y->quant = quant(g, 1, 0, &p->sy, &p->zy);
    OK(oct_node_add(g, NULL, p->gemm ? OCT_OP_GEMM : OCT_OP_MATMUL, "node", p->bias ? 3 : 2, in, 1, &y, &node));
    OK(oct_graph_add_output(g, y));
    if (p->gemm) {
        OK(oct_node_set_int(g, node, "transB", p->transposed));
        OK(oct_node_set_float(g, node, "alpha", p->alpha));
        OK(oct_node_set_float(g, node, "beta", p->beta));
    }
    node->int8 = true;
    return g;
}

static void compare_product(const product *p, const oct_tensor *y, uint64_t round)
{
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->n; j++) {
            const float sw = p->sw[j] * p->alpha;
            int32_t grid = 0;
            int64_t acc = 0;
            for (int k = 0; k < p->k; k++)
                acc += (int64_t)(p->x[i * p->k + k] - p->zx) * (int8_t)p->w[p->transposed ? j * p->k + k : k * p->n + j];
            if (p->bias)
                assert_true(oct_quantize_bias(p->b[j] * p->beta, p->sx, sw, &grid));
            const float v = (float)(int32_t)(acc + grid) * (float)((double)p->sx * (double)sw / (double)p->sy);
            const float raw = (float)(int32_t)acc * (float)((double)p->sx * (double)sw) + (p->bias ? p->b[j] * p->beta : 0);
            const float e = p->float_y ? raw : (float)clamp_code(v, p->zy, OCT_S8, false, 0, 0, p->sy);
            const float got = p->float_y ? ((float *)y->data)[i * p->n + j] : (float)((int8_t *)y->data)[i * p->n + j];
            if (got != e)
                fail_msg("round %llu: element (%d, %d) is %g, the formula says %g", (unsigned long long)round, i, j, (double)got, (double)e);
        }
}

static void int8_product__random_sizes__formula_byte_for_byte(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        oct_rng r = {seed * 3 + round, 0};
        product p;
        draw_product(&r, &p);
        for (int isa = OCT_ISA_PORTABLE; isa <= (int)oct_cpu_detect(); isa++) {
            oct_graph *g = product_graph(&p);
            oct_plan *plan;
            oct_context *c;
            oct_tensor x = {.data = p.x, .dtype = OCT_U8, .rank = g->inputs[0]->shape.rank}, y;
            memcpy(x.dims, g->inputs[0]->shape.dim, sizeof x.dims);
            OK(oct_build_lower(g, (oct_isa)isa, &plan));
            OK(oct_context_create(plan, 2, &c));
            OK(oct_context_set_input(c, "x", &x));
            OK(oct_context_run(c));
            OK(oct_context_get_output(c, "y", &y));
            compare_product(&p, &y, round);
            oct_context_destroy(c);
            oct_plan_destroy(plan);
            oct_graph_destroy(g);
        }
        free(p.sw);
        free(p.zw);
        free(p.b);
        free(p.x);
        free(p.w);
    }
}

/* Sums that could leave s32 make the layer float, with the reason. */
static void int8_product__too_deep_for_32_bits__float_with_reason(void **state)
{
    (void)state;
    product p = {.gemm = true, .m = 1, .k = 70000, .n = 1, .alpha = 1, .beta = 1, .sx = 0.01f, .sy = 0.1f, .float_y = true, .sw = &(float){0.001f}, .zw = &(int32_t){0},
                 .x = malloc(70000), .w = malloc(70000), .b = &(float){0}};
    memset(p.x, 255, 70000);
    memset(p.w, 127, 70000);
    oct_graph *g = product_graph(&p);
    oct_plan *plan;
    int floats = 0;
    OK(oct_build_lower(g, OCT_ISA_PORTABLE, &plan));
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].precision == OCT_PREC_FLOAT) {
            floats++;
            assert_string_equal(oct_plan_string(plan, plan->steps[i].reason), "a sum could leave 32 bits");
        }
    assert_int_equal(floats, 1);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
    free(p.x);
    free(p.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_convolution__random_layers__formula_byte_for_byte),
        cmocka_unit_test(int8_product__random_sizes__formula_byte_for_byte),
        cmocka_unit_test(int8_product__too_deep_for_32_bits__float_with_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
