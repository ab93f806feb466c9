/* ConvInteger and MatMulInteger against plain loops, and DynamicQuantizeLinear: the same bytes on every level this CPU has and for
 * any number of threads; zero points constant, absent, or computed at run time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"
#include "num/num.h"

#define OK(call)                                                                                                                   \
    do {                                                                                                                           \
        if ((call) != OCT_OK)                                                                                                      \
            fail_msg("%s: %s", #call, oct_last_error()->message);                                                                  \
    } while (0)

enum { ROUNDS = 200, MAX = 1 << 15 };
typedef enum zero_kind { ABSENT, CONSTANT, GIVEN } zero_kind;

typedef struct layer {
    int n, c, h, w, oc, oh, ow, groups, kh, kw, sh, sw, dh, dw, pads[4]; /* MatMulInteger: kh = 0, [n, c] x [c, oc] */
    oct_dtype x_type, w_type;
    zero_kind zero;
    int zx, zw[64], zw_count;
    uint8_t x[MAX], codes[MAX];
    int32_t want[MAX];
} layer;

static int between(oct_rng *r, int lo, int hi)
{
    return lo + (int)oct_rng_below(r, (uint64_t)(hi - lo + 1));
}
static int code_of(const uint8_t *p, int64_t i, oct_dtype t)
{
    return t == OCT_S8 ? (int8_t)p[i] : p[i];
}
static int64_t x_count(const layer *k)
{
    return k->kh ? (int64_t)k->n * k->c * k->h * k->w : (int64_t)k->n * k->c;
}
static int64_t w_count(const layer *k)
{
    return k->kh ? (int64_t)k->oc * (k->c / k->groups) * k->kh * k->kw : (int64_t)k->c * k->oc;
}
static int64_t y_count(const layer *k)
{
    return k->kh ? (int64_t)k->n * k->oc * k->oh * k->ow : (int64_t)k->n * k->oc;
}

static bool draw(oct_rng *r, layer *k)
{
    const bool depthwise = oct_rng_below(r, 3) == 0;
    memset(k, 0, sizeof *k);
    k->groups = depthwise ? between(r, 2, 20) : between(r, 1, 3);
    k->c = k->groups * (depthwise ? 1 : between(r, 1, 9));
    k->oc = k->groups * (depthwise ? 1 : between(r, 1, 20));
    k->n = between(r, 1, 3);
    k->kh = oct_rng_below(r, 3) == 0 ? 0 : between(r, 1, 3);
    k->kw = between(r, 1, 4);
    k->h = between(r, 1, 8);
    k->w = between(r, 1, 9);
    k->sh = between(r, 1, 2);
    k->sw = between(r, 1, 3);
    k->dh = between(r, 1, 2);
    k->dw = between(r, 1, 2);
    for (int i = 0; i < 4; i++)
        k->pads[i] = between(r, 0, 2);
    const int reach_h = k->h + k->pads[0] + k->pads[2] - ((k->kh - 1) * k->dh + 1),
              reach_w = k->w + k->pads[1] + k->pads[3] - ((k->kw - 1) * k->dw + 1);
    k->oh = reach_h / k->sh + 1;
    k->ow = reach_w / k->sw + 1;
    k->x_type = oct_rng_below(r, 2) ? OCT_U8 : OCT_S8;
    k->w_type = oct_rng_below(r, 2) ? OCT_U8 : OCT_S8;
    k->zero = (zero_kind)oct_rng_below(r, 3);
    k->zx = k->zero == ABSENT ? 0 : k->x_type == OCT_S8 ? between(r, -128, 127) : between(r, 0, 255);
    k->zw_count = between(r, 0, 2) == 0 ? 0 : between(r, 0, 1) ? 1 : k->oc;
    for (int i = 0; i < k->zw_count; i++)
        k->zw[i] = k->w_type == OCT_S8 ? between(r, -128, 127) : between(r, 0, 255);
    for (int i = 0; i < MAX; i++) {
        k->x[i] = (uint8_t)oct_rng_below(r, 256);
        k->codes[i] = (uint8_t)oct_rng_below(r, 256);
    }
    return (k->kh == 0 || (reach_h >= 0 && reach_w >= 0)) && x_count(k) <= MAX && w_count(k) <= MAX && y_count(k) <= MAX;
}

static int zero_of(const layer *k, int oc)
{
    return k->zw_count == 0 ? 0 : k->zw[k->zw_count == 1 ? 0 : oc];
}

static void want_conv(layer *k)
{
    const int icg = k->c / k->groups, ocg = k->oc / k->groups;
    int32_t *y = k->want;
    for (int n = 0; n < k->n; n++)
        for (int o = 0; o < k->oc; o++)
            for (int oy = 0; oy < k->oh; oy++)
                for (int ox = 0; ox < k->ow; ox++, y++)
                    for (int i = 0; i < icg; i++)
                        for (int ky = 0; ky < k->kh; ky++)
                            for (int kx = 0; kx < k->kw; kx++) {
                                const int iy = oy * k->sh - k->pads[0] + ky * k->dh, ix = ox * k->sw - k->pads[1] + kx * k->dw,
                                          ch = o / ocg * icg + i;
                                if (iy >= 0 && iy < k->h && ix >= 0 && ix < k->w)
                                    *y += (code_of(k->x, ((int64_t)(n * k->c + ch) * k->h + iy) * k->w + ix, k->x_type) - k->zx) *
                                          (code_of(k->codes, ((int64_t)(o * icg + i) * k->kh + ky) * k->kw + kx, k->w_type) -
                                           zero_of(k, o));
                            }
}

static void want_matmul(layer *k)
{
    for (int n = 0; n < k->n; n++)
        for (int o = 0; o < k->oc; o++)
            for (int i = 0; i < k->c; i++)
                k->want[n * k->oc + o] += (code_of(k->x, n * k->c + i, k->x_type) - k->zx) *
                                          (code_of(k->codes, i * k->oc + o, k->w_type) - zero_of(k, o));
}

static oct_value *input(oct_graph *g, const char *name, oct_dtype t, int rank, const int64_t *dims)
{
    oct_value *v;
    OK(oct_value_add(g, name, name, &v));
    v->dtype = t;
    v->shape.rank = rank;
    for (int i = 0; i < rank; i++)
        v->shape.dim[i] = dims[i];
    OK(oct_graph_add_input(g, v));
    return v;
}

static oct_graph *graph_of(const layer *k)
{
    oct_graph *g;
    oct_node *n;
    oct_value *in[4] = {NULL}, *y;
    uint8_t zx = (uint8_t)k->zx, zw[64];
    const int rank = k->kh ? 4 : 2;
    OK(oct_graph_create("g", &g));
    in[0] = input(g, "x", k->x_type, rank, k->kh ? (int64_t[]){k->n, k->c, k->h, k->w} : (int64_t[]){k->n, k->c});
    OK(oct_value_const(g, "w", k->w_type, rank,
                       k->kh ? (int64_t[]){k->oc, k->c / k->groups, k->kh, k->kw} : (int64_t[]){k->c, k->oc}, k->codes, &in[1]));
    if (k->zero == GIVEN)
        in[2] = input(g, "z", k->x_type, 0, NULL);
    else if (k->zero == CONSTANT)
        OK(oct_value_const(g, "z", k->x_type, 0, NULL, &zx, &in[2]));
    for (int i = 0; i < k->zw_count; i++)
        zw[i] = (uint8_t)k->zw[i];
    if (k->zw_count)
        OK(oct_value_const(g, "zw", k->w_type, k->zw_count == 1 ? 0 : 1, (int64_t[]){k->zw_count}, zw, &in[3]));
    OK(oct_value_add(g, "y", "y", &y));
    OK(oct_node_add(g, NULL, k->kh ? OCT_OP_CONV_INTEGER : OCT_OP_MATMUL_INTEGER, "n", 4, in, 1, &y, &n));
    if (k->kh) {
        OK(oct_node_set_int(g, n, "group", k->groups));
        OK(oct_node_set_ints(g, n, "strides", (int64_t[]){k->sh, k->sw}, 2));
        OK(oct_node_set_ints(g, n, "dilations", (int64_t[]){k->dh, k->dw}, 2));
        OK(oct_node_set_ints(g, n, "pads", (int64_t[]){k->pads[0], k->pads[1], k->pads[2], k->pads[3]}, 4));
    }
    OK(oct_graph_add_output(g, y));
    OK(oct_graph_infer(g));
    return g;
}

static void set_input(oct_context *c, const char *name, oct_dtype t, int rank, const int64_t *dims, const void *data)
{
    oct_tensor in = {.dtype = t, .rank = rank, .data = (void *)data};
    for (int i = 0; i < rank; i++)
        in.dims[i] = dims[i];
    OK(oct_context_set_input(c, name, &in));
}

static void sums__random_layers__match_plain_loops_on_every_level(void **state)
{
    oct_rng r = {.seed = 5};
    layer *k = malloc(sizeof *k);
    for (int round = 0; round < ROUNDS;) {
        if (!draw(&r, k))
            continue;
        if (k->kh)
            want_conv(k);
        else
            want_matmul(k);
        const uint8_t zx = (uint8_t)k->zx;
        for (int isa = 0; isa <= (int)oct_cpu_detect(); isa++) {
            oct_graph *g = graph_of(k);
            oct_plan *plan;
            oct_context *c;
            oct_tensor y;
            OK(oct_build_lower(g, (oct_isa)isa, &plan));
            OK(oct_context_create(plan, 1 + round % 3, &c));
            set_input(c, "x", k->x_type, k->kh ? 4 : 2, k->kh ? (int64_t[]){k->n, k->c, k->h, k->w} : (int64_t[]){k->n, k->c},
                      k->x);
            if (k->zero == GIVEN)
                set_input(c, "z", k->x_type, 0, NULL, &zx);
            OK(oct_context_run(c));
            OK(oct_context_get_output(c, "y", &y));
            assert_int_equal(y.dtype, OCT_S32);
            for (int64_t i = 0; i < y_count(k); i++)
                if (((int32_t *)y.data)[i] != k->want[i])
                    fail_msg("round %d level %d element %d: %d, not %d", round, isa, (int)i, ((int32_t *)y.data)[i], k->want[i]);
            oct_context_destroy(c);
            oct_plan_destroy(plan);
            oct_graph_destroy(g);
        }
        round++;
    }
    free(k);
}

static void sums__could_leave_32_bits__unsupported(void **state)
{
    enum { K = 70000 };
    oct_graph *g;
    oct_node *n;
    oct_plan *plan = NULL;
    oct_value *in[2], *y;
    uint8_t *w = malloc(K);
    memset(w, 255, K);
    OK(oct_graph_create("g", &g));
    in[0] = input(g, "x", OCT_U8, 2, (int64_t[]){1, K});
    OK(oct_value_const(g, "w", OCT_U8, 2, (int64_t[]){K, 1}, w, &in[1]));
    OK(oct_value_add(g, "y", "y", &y));
    OK(oct_node_add(g, NULL, OCT_OP_MATMUL_INTEGER, "n", 2, in, 1, &y, &n));
    OK(oct_graph_add_output(g, y));
    OK(oct_graph_infer(g));
    assert_int_equal(oct_build_lower(g, OCT_ISA_PORTABLE, &plan), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_last_error()->message, "MatMulInteger 'n': a sum of output channel 0 could leave 32 bits"));
    oct_graph_destroy(g);
    free(w);
}

static void dynamic__random_tensors__formula_on_every_level(void **state)
{
    enum { N = 3 * 5 * 7 };
    oct_rng r = {.seed = 9};
    for (int round = 0; round < 40; round++) {
        float x[N], lo = 0, hi = 0;
        const float shift = round % 3 == 0 ? 0 : round % 3 == 1 ? 4 : -4; /* both signs, one sign */
        for (int i = 0; i < N; i++) {
            x[i] = round == 0 ? 0 : (float)(oct_rng_unit(&r) * 6 - 3) + shift;
            lo = fminf(lo, x[i]);
            hi = fmaxf(hi, x[i]);
        }
        float scale = hi == lo ? 1 : (hi - lo) / 255.0f;
        const int zero = (int)nearbyintf(fminf(fmaxf(-lo / scale, 0), 255));
        for (int isa = 0; isa <= (int)oct_cpu_detect(); isa++) {
            oct_graph *g;
            oct_node *n;
            oct_plan *plan;
            oct_context *c;
            oct_value *in, *out[3];
            oct_tensor q, s, z;
            OK(oct_graph_create("g", &g));
            in = input(g, "x", OCT_F32, 3, (int64_t[]){3, 5, 7});
            OK(oct_value_add(g, "q", "q", &out[0]));
            OK(oct_value_add(g, "s", "s", &out[1]));
            OK(oct_value_add(g, "z", "z", &out[2]));
            OK(oct_node_add(g, NULL, OCT_OP_DYNAMIC_QUANTIZE, "n", 1, &in, 3, out, &n));
            for (int i = 0; i < 3; i++)
                OK(oct_graph_add_output(g, out[i]));
            OK(oct_graph_infer(g));
            OK(oct_build_lower(g, (oct_isa)isa, &plan));
            OK(oct_context_create(plan, 2, &c));
            set_input(c, "x", OCT_F32, 3, (int64_t[]){3, 5, 7}, x);
            OK(oct_context_run(c));
            OK(oct_context_get_output(c, "q", &q));
            OK(oct_context_get_output(c, "s", &s));
            OK(oct_context_get_output(c, "z", &z));
            assert_true(*(float *)s.data == scale);
            assert_int_equal(*(uint8_t *)z.data, zero);
            for (int i = 0; i < N; i++)
                assert_int_equal(((uint8_t *)q.data)[i], oct_quantize(x[i], scale, zero, 0, 255));
            oct_context_destroy(c);
            oct_plan_destroy(plan);
            oct_graph_destroy(g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums__random_layers__match_plain_loops_on_every_level),
        cmocka_unit_test(sums__could_leave_32_bits__unsupported),
        cmocka_unit_test(dynamic__random_tensors__formula_on_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
