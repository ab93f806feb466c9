/* Every differentiable operator against central differences, over shapes and attributes, and two small nets end to end. */
#include "nets.h"

#include <octavo/train.h>

/* Checks and destroys m. */
static void check_with(const char *what, oct_model *m, const oct_gradient_options *opts, double most)
{
    double worst = -1;
    char *where = NULL;
    if (oct_check_gradient(m, opts, &worst, &where) != OCT_OK)
        fail_msg("%s: %s", what, oct_last_error()->message);
    if (!(worst >= 0 && worst <= most))
        fail_msg("%s: error %g at '%s', at most %g wanted", what, worst, where, most);
    if (getenv("OCT_TEST_VERBOSE"))
        print_message("%-40s %.2e at %s\n", what, worst, where);
    oct_string_free(where);
    oct_model_destroy(m);
}

/* Smooth operators leave only float32's noise. */
#define SMOOTH 2e-3
#define NOISY  5e-3 /* a bias of the keys has no influence at all: softmax takes it away */
#define KINKED 1e-2

static void check(const char *what, oct_model *m, double most) { check_with(what, m, NULL, most); }

typedef struct conv_case {
    const char *what;
    int64_t x[5], w[5]; /* [n, c, spatial...], [oc, c / groups, k...] (transposed: [c, oc / groups, k...]) */
    int spatial;
    int64_t groups, strides[3], dilations[3], pads[6], extra[3];
    const char *auto_pad;
} conv_case;

static void check_conv(oct_op op, const conv_case *c)
{
    net n = net_new();
    const int rank = c->spatial + 2;
    oct_value *x = net_input(&n, "x", rank, c->x), *w = net_random(&n, "w", 0.5f, rank, c->w);
    const int64_t oc = op == OCT_OP_CONV ? c->w[0] : c->w[1] * c->groups;
    oct_value *y = net_op(&n, op, "y", 3, x, w, net_random(&n, "b", 0.5f, 1, &oc));
    set_int(&n, y, "group", c->groups);
    set_ints(&n, y, "strides", c->strides, c->spatial);
    set_ints(&n, y, "dilations", c->dilations, c->spatial);
    if (op == OCT_OP_CONV_TRANSPOSE)
        set_ints(&n, y, "output_padding", c->extra, c->spatial);
    if (c->auto_pad)
        OK(oct_node_set_string(n.g, y->producer, "auto_pad", c->auto_pad));
    else
        set_ints(&n, y, "pads", c->pads, 2 * c->spatial);
    check(c->what, finish(&n, y), SMOOTH);
}

static void gradient__channels_last_between_convolutions__matches_differences(void **state)
{
    (void)state;
    for (int i = 0; i < BETWEEN; i++) {
        char what[32];
        snprintf(what, sizeof what, "between convolutions, case %d", i);
        check_with(what, between_convs(i), &(oct_gradient_options){.training = i % 2 == 0}, KINKED);
    }
}

static void gradient__conv__matches_differences(void **state)
{
    (void)state;
    static const conv_case cases[] = {
        {"conv 3x3", {2, 3, 7, 6}, {5, 3, 3, 3}, 2, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"conv 1x1", {2, 8, 5, 5}, {16, 8, 1, 1}, 2, 1, {1, 1}, {1, 1}, {0}, {0}, NULL},
        {"conv 1x1 stride 2", {1, 4, 6, 5}, {3, 4, 1, 1}, 2, 1, {2, 2}, {1, 1}, {0}, {0}, NULL},
        {"conv 16 to 32, stride 2", {2, 16, 9, 9}, {32, 16, 3, 3}, 2, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"conv with unused pixels", {1, 2, 8, 8}, {3, 2, 3, 3}, 2, 1, {3, 2}, {1, 1}, {0}, {0}, NULL},
        {"conv dilated, uneven", {1, 2, 9, 11}, {3, 2, 3, 2}, 2, 1, {1, 2}, {2, 3}, {2, 0, 1, 3}, {0}, NULL},
        {"conv grouped", {2, 6, 5, 5}, {4, 3, 3, 3}, 2, 2, {1, 1}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"conv depthwise", {2, 16, 6, 6}, {16, 1, 3, 3}, 2, 16, {2, 1}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"conv depthwise, two each", {1, 3, 6, 6}, {6, 1, 3, 3}, 2, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"conv 1-d", {2, 4, 13}, {6, 4, 5}, 1, 1, {2}, {1}, {2, 2}, {0}, NULL},
        {"conv 1-d grouped, dilated", {2, 4, 13}, {6, 2, 3}, 1, 2, {1}, {2}, {0, 1}, {0}, NULL},
        {"conv 3-d", {1, 2, 4, 5, 3}, {3, 2, 3, 2, 2}, 3, 1, {1, 2, 1}, {1, 1, 1}, {1, 0, 1, 1, 1, 0}, {0}, NULL},
        {"conv with pads beyond the window", {1, 2, 3, 4}, {3, 2, 3, 3}, 2, 1, {1, 2}, {1, 1}, {5, 4, 3, 6}, {0}, NULL},
        {"conv with one image row", {2, 3, 1, 9}, {4, 3, 1, 3}, 2, 1, {1, 1}, {1, 1}, {0, 1, 0, 1}, {0}, NULL},
        {"conv same_upper", {1, 2, 7, 8}, {3, 2, 4, 3}, 2, 1, {2, 2}, {1, 1}, {0}, {0}, "SAME_UPPER"},
        {"conv same_lower", {1, 2, 7, 8}, {3, 2, 4, 3}, 2, 1, {2, 2}, {1, 1}, {0}, {0}, "SAME_LOWER"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_conv(OCT_OP_CONV, &cases[i]);
}

static void gradient__conv_transpose__matches_differences(void **state)
{
    (void)state;
    static const conv_case cases[] = {
        {"transposed 3x3", {2, 3, 4, 5}, {3, 5, 3, 3}, 2, 1, {1, 1}, {1, 1}, {0}, {0}, NULL},
        {"transposed 2x2 stride 2", {1, 8, 4, 4}, {8, 4, 2, 2}, 2, 1, {2, 2}, {1, 1}, {0}, {0}, NULL},
        {"transposed stride 2, extra", {2, 3, 4, 5}, {3, 2, 3, 3}, 2, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}, {1, 1}, NULL},
        {"transposed grouped, dilated", {1, 4, 4, 5}, {4, 3, 3, 2}, 2, 2, {1, 2}, {2, 1}, {1, 0, 0, 1}, {0}, NULL},
        {"transposed depthwise", {1, 6, 4, 4}, {6, 1, 3, 3}, 2, 6, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0}, NULL},
        {"transposed 1-d", {2, 3, 6}, {3, 4, 4}, 1, 1, {3}, {1}, {1, 0}, {0}, NULL},
        {"transposed same_upper", {1, 2, 4, 5}, {2, 3, 3, 3}, 2, 1, {2, 2}, {1, 1}, {0}, {0}, "SAME_UPPER"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_conv(OCT_OP_CONV_TRANSPOSE, &cases[i]);
}

static void gradient__conv_whose_input_has_other_users__adds_up(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 4, 5, 5)), *w = net_random(&n, "w", 0.3f, DIMS(4, 4, 3, 3));
    oct_value *a = net_op(&n, OCT_OP_CONV, "a", 2, x, w, NULL), *b = net_op(&n, OCT_OP_CONV, "b", 2, x, w, NULL);
    set_ints(&n, a, "pads", INTS(1, 1, 1, 1));
    set_ints(&n, b, "pads", INTS(1, 1, 1, 1));
    check("conv twice", finish(&n, net_add(&n, "y", net_add(&n, "s", a, x), net_unary(&n, OCT_OP_TANH, "t", b))), SMOOTH);
}

static void gradient__gemm__matches_differences(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        net n = net_new();
        const int ta = i & 1, tb = i >> 1 & 1, both = i >> 2;
        oct_value *a = net_input(&n, "a", 2, ta ? (int64_t[]){4, 3} : (int64_t[]){3, 4});
        const int64_t *bd = tb ? (int64_t[]){5, 4} : (int64_t[]){4, 5};
        oct_value *b = both ? net_input(&n, "b", 2, bd) : net_random(&n, "b", 1, 2, bd);
        oct_value *y = net_op(&n, OCT_OP_GEMM, "y", 3, a, b, both ? net_random(&n, "c", 1, DIMS(3, 1)) : net_random(&n, "c", 1, DIMS(5)));
        set_int(&n, y, "transA", ta);
        set_int(&n, y, "transB", tb);
        set_float(&n, y, "alpha", 0.7f);
        set_float(&n, y, "beta", -1.5f);
        check("gemm", finish(&n, y), SMOOTH);
    }
}

static void gradient__matmul__matches_differences(void **state)
{
    (void)state;
    static const struct {
        int ra, rb;
        int64_t a[4], b[4];
    } cases[] = {
        {2, 2, {3, 4}, {4, 5}},       {3, 2, {2, 3, 4}, {4, 5}},    {3, 3, {2, 3, 4}, {2, 4, 5}},          {4, 4, {2, 3, 2, 4}, {2, 3, 4, 5}},
        {4, 3, {2, 3, 2, 4}, {3, 4, 5}}, {2, 3, {3, 4}, {2, 4, 5}}, {4, 4, {2, 1, 2, 4}, {1, 3, 4, 5}},    {1, 2, {4}, {4, 5}},
        {2, 1, {3, 4}, {4}},          {3, 1, {2, 3, 4}, {4}},       {1, 3, {4}, {2, 4, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int constant = 0; constant < 2; constant++) {
            net n = net_new();
            oct_value *a = net_input(&n, "a", cases[i].ra, cases[i].a);
            oct_value *b = constant ? net_random(&n, "b", 1, cases[i].rb, cases[i].b) : net_input(&n, "b", cases[i].rb, cases[i].b);
            char what[32];
            snprintf(what, sizeof what, "matmul case %zu", i);
            check(what, finish(&n, net_op(&n, OCT_OP_MATMUL, "y", 2, a, b, NULL)), SMOOTH);
        }
    net n = net_new(); /* with the bias that the trainer moves into it */
    oct_value *a = net_input(&n, "a", DIMS(2, 3, 4));
    check("matmul with bias", finish(&n, net_op(&n, OCT_OP_MATMUL, "y", 3, a, net_random(&n, "b", 1, DIMS(4, 5)), net_random(&n, "c", 1, DIMS(5)))), SMOOTH);
}

static void gradient__batch_norm__matches_differences_in_both_modes(void **state)
{
    (void)state;
    static const struct {
        int rank;
        int64_t dims[4];
    } shapes[] = {{4, {3, 5, 4, 3}}, {3, {4, 5, 6}}, {2, {8, 5}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int training = 0; training < 2; training++) {
            net n = net_new();
            oct_value *y = batch_norm(&n, "y", net_input(&n, "x", shapes[i].rank, shapes[i].dims), 5);
            check_with(training ? "batch norm, training" : "batch norm", finish(&n, y), &(oct_gradient_options){.training = training != 0}, SMOOTH);
        }
}

static void gradient__layer_norm_and_softmax__match_differences(void **state)
{
    (void)state;
    for (int axis = -1; axis < 3; axis++) {
        net n = net_new();
        oct_value *y = net_unary(&n, OCT_OP_SOFTMAX, "y", net_input(&n, "x", DIMS(3, 4, 5)));
        set_int(&n, y, "axis", axis);
        check("softmax", finish(&n, y), SMOOTH);
        n = net_new();
        y = net_unary(&n, OCT_OP_LOG_SOFTMAX, "y", net_input(&n, "x", DIMS(3, 4, 5)));
        set_int(&n, y, "axis", axis);
        check("log softmax", finish(&n, y), SMOOTH);
    }
    net n = net_new();
    check("layer norm", finish(&n, norm(&n, "y", net_input(&n, "x", DIMS(2, 3, 8)), 8)), SMOOTH);
    n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 3, 8));
    oct_value *y = net_op(&n, OCT_OP_LAYER_NORM, "y", 2, x, net_random(&n, "gain", 1, DIMS(3, 8)), NULL);
    set_int(&n, y, "axis", 1);
    check("layer norm over two axes, without bias", finish(&n, y), SMOOTH);
}

static void gradient__unary__matches_differences(void **state)
{
    (void)state;
    static const struct {
        oct_op op;
        float gain, shift; /* of the input in [-1, 1) */
        const char *attr;
        float value;
        double most;
    } cases[] = {
        {OCT_OP_RELU, 1, 0, NULL, 0, KINKED},        {OCT_OP_LEAKY_RELU, 1, 0, "alpha", 0.3f, KINKED}, {OCT_OP_SIGMOID, 4, 0, NULL, 0, SMOOTH},
        {OCT_OP_HARD_SIGMOID, 6, 0, NULL, 0, KINKED}, {OCT_OP_HARD_SIGMOID, 4, 0, "alpha", 0.4f, KINKED}, {OCT_OP_HARD_SWISH, 5, 0, NULL, 0, KINKED},
        {OCT_OP_SILU, 4, 0, NULL, 0, SMOOTH},        {OCT_OP_TANH, 2, 0, NULL, 0, SMOOTH},            {OCT_OP_GELU, 3, 0, NULL, 0, SMOOTH},
        {OCT_OP_ELU, 2, 0, "alpha", 1, SMOOTH},      {OCT_OP_SOFTPLUS, 4, 0, NULL, 0, SMOOTH},        {OCT_OP_ERF, 2, 0, NULL, 0, SMOOTH},
        {OCT_OP_EXP, 2, 0, NULL, 0, SMOOTH},         {OCT_OP_LOG, 1, 1.5f, NULL, 0, SMOOTH},          {OCT_OP_SQRT, 1, 1.5f, NULL, 0, SMOOTH},
        {OCT_OP_NEG, 1, 0, NULL, 0, SMOOTH},         {OCT_OP_ABS, 1, 0, NULL, 0, KINKED},             {OCT_OP_RECIPROCAL, 1, 2, NULL, 0, SMOOTH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net n = net_new();
        oct_value *x = net_op(&n, OCT_OP_MUL, "gain", 2, net_input(&n, "x", DIMS(3, 7, 11)), scalar(&n, cases[i].gain), NULL);
        oct_value *y = net_unary(&n, cases[i].op, "y", net_op(&n, OCT_OP_ADD, "shift", 2, x, scalar(&n, cases[i].shift), NULL));
        if (cases[i].attr)
            set_float(&n, y, cases[i].attr, cases[i].value);
        check(oct_op_get(cases[i].op)->name, finish(&n, y), cases[i].most);
    }
    net n = net_new();
    oct_value *y = net_unary(&n, OCT_OP_GELU, "y", net_input(&n, "x", DIMS(40)));
    OK(oct_node_set_string(n.g, y->producer, "approximate", "tanh"));
    check("gelu tanh", finish(&n, y), SMOOTH);
    for (int i = 0; i < 3; i++) { /* both limits, the upper, the lower */
        n = net_new();
        oct_value *in[3] = {net_input(&n, "x", DIMS(10, 40)), i == 1 ? NULL : scalar(&n, -0.3f), i == 2 ? NULL : scalar(&n, 0.6f)};
        check("clip", finish(&n, net_op(&n, OCT_OP_CLIP, "y", i == 2 ? 2 : 3, in[0], in[1], in[2])), KINKED);
    }
}

static void gradient__binary_with_broadcasting__matches_differences(void **state)
{
    (void)state;
    static const oct_op ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL, OCT_OP_DIV};
    static const struct {
        int ra, rb;
        int64_t a[4], b[4];
    } shapes[] = {{3, 3, {2, 3, 4}, {2, 3, 4}}, {4, 3, {2, 3, 4, 5}, {3, 1, 1}}, {2, 3, {3, 1}, {2, 1, 4}}, {1, 3, {4}, {2, 3, 4}}, {4, 4, {2, 3, 4, 4}, {2, 3, 1, 1}}, {2, 0, {2, 3}, {0}}};
    for (size_t o = 0; o < 4; o++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            net n = net_new();
            oct_value *a = net_input(&n, "a", shapes[i].ra, shapes[i].a), *b = net_input(&n, "b", shapes[i].rb, shapes[i].b);
            if (ops[o] == OCT_OP_DIV)
                b = net_op(&n, OCT_OP_ADD, "away", 2, b, scalar(&n, 2.5f), NULL);
            check(oct_op_get(ops[o])->name, finish(&n, net_op(&n, ops[o], "y", 2, a, b, NULL)), SMOOTH);
        }
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(3, 4));
    check("x * x", finish(&n, net_op(&n, OCT_OP_MUL, "y", 2, x, x, NULL)), SMOOTH);
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 3, 4));
    check("x * parameter", finish(&n, net_op(&n, OCT_OP_MUL, "y", 2, x, net_random(&n, "gamma", 1, DIMS(4)), NULL)), SMOOTH);
}

static void gradient__pools__match_differences(void **state)
{
    (void)state;
    static const struct {
        int spatial;
        int64_t x[4], kernel[2], strides[2], pads[4], dilations[2];
        int ceil_mode, include_pad;
    } cases[] = {
        {2, {2, 3, 8, 8}, {2, 2}, {2, 2}, {0}, {1, 1}, 0, 0},  {2, {1, 2, 7, 9}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 0, 0},
        {2, {1, 2, 7, 9}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 0, 1}, {2, {1, 2, 6, 8}, {3, 2}, {2, 3}, {1, 0, 0, 1}, {1, 1}, 1, 1},
        {2, {1, 2, 9, 9}, {3, 2}, {1, 1}, {1, 1, 2, 0}, {2, 3}, 0, 0}, {1, {2, 3, 11}, {3}, {2}, {1, 1}, {1}, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int max = 0; max < 2; max++) {
            net n = net_new();
            oct_value *y = net_unary(&n, max ? OCT_OP_MAX_POOL : OCT_OP_AVERAGE_POOL, "y", net_input(&n, "x", cases[i].spatial + 2, cases[i].x));
            set_ints(&n, y, "kernel_shape", cases[i].kernel, cases[i].spatial);
            set_ints(&n, y, "strides", cases[i].strides, cases[i].spatial);
            set_ints(&n, y, "pads", cases[i].pads, 2 * cases[i].spatial);
            set_ints(&n, y, "dilations", cases[i].dilations, cases[i].spatial);
            set_int(&n, y, "ceil_mode", cases[i].ceil_mode);
            if (!max)
                set_int(&n, y, "count_include_pad", cases[i].include_pad);
            check(max ? "max pool" : "average pool", finish(&n, y), max ? KINKED : SMOOTH);
        }
    net n = net_new();
    check("global average pool", finish(&n, net_unary(&n, OCT_OP_GLOBAL_AVERAGE_POOL, "y", net_input(&n, "x", DIMS(2, 3, 4, 5)))), SMOOTH);
}

static void gradient__reductions__match_differences(void **state)
{
    (void)state;
    static const struct {
        int64_t axes[3];
        int count, keep;
    } cases[] = {{{1}, 1, 1}, {{-1}, 1, 0}, {{0, 2}, 2, 0}, {{1, 2}, 2, 1}, {{0}, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int sum = 0; sum < 2; sum++) {
            net n = net_new();
            oct_value *x = net_input(&n, "x", DIMS(3, 4, 5));
            oct_value *y = net_op(&n, sum ? OCT_OP_REDUCE_SUM : OCT_OP_REDUCE_MEAN, "y", cases[i].count ? 2 : 1, x,
                                  cases[i].count ? net_ints(&n, "axes", cases[i].count, cases[i].axes) : NULL, NULL);
            set_int(&n, y, "keepdims", cases[i].keep);
            check(sum ? "reduce sum" : "reduce mean", finish(&n, y), SMOOTH);
        }
}

/* A weight behind the move gives every element a gradient of its own, and the tanh a second user of the input. */
static void check_moved(const char *what, net *n, oct_value *x, oct_value *moved)
{
    oct_value *t = net_unary(n, OCT_OP_TANH, "t", x);
    OK(oct_graph_add_output(n->g, t));
    check(what, finish(n, net_op(n, OCT_OP_MUL, "y", 2, moved, moved, NULL)), SMOOTH);
}

static void gradient__moves__match_differences(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 3, 4));
    check_moved("reshape", &n, x, reshape(&n, "m", x, INTS(4, -1)));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 3, 4));
    check_moved("flatten", &n, x, net_unary(&n, OCT_OP_FLATTEN, "m", x));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 1, 4));
    check_moved("squeeze", &n, x, net_op(&n, OCT_OP_SQUEEZE, "m", 2, x, net_ints(&n, "axes", 1, (int64_t[]){1}), NULL));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 4));
    check_moved("unsqueeze", &n, x, net_op(&n, OCT_OP_UNSQUEEZE, "m", 2, x, net_ints(&n, "axes", 2, (int64_t[]){0, 2}), NULL));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 3, 4, 5));
    check_moved("transpose", &n, x, transpose(&n, "m", x, INTS(2, 0, 3, 1)));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 3, 4));
    check_moved("transpose without perm", &n, x, net_unary(&n, OCT_OP_TRANSPOSE, "m", x));
    n = net_new();
    x = net_input(&n, "x", DIMS(3, 1, 4));
    check_moved("expand", &n, x, net_op(&n, OCT_OP_EXPAND, "m", 2, x, net_ints(&n, "dims", 4, (int64_t[]){2, 3, 5, 4}), NULL));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 3, 4));
    check_moved("identity", &n, x, net_unary(&n, OCT_OP_IDENTITY, "m", x));
}

static void gradient__slice_pad_split_concat__match_differences(void **state)
{
    (void)state;
    static const int64_t bounds[][4][2] = {{{1, 0}, {3, 9999}, {1, 2}, {1, 1}}, {{-1, 3}, {-9999, 0}, {0, 1}, {-1, -2}}, {{-3, 1}, {-1, 5}, {1, -1}, {1, 3}}};
    for (size_t i = 0; i < 3; i++) {
        net n = net_new();
        oct_value *x = net_input(&n, "x", DIMS(3, 4, 6)), *in[5] = {x}, *m;
        oct_node *node;
        for (int k = 0; k < 4; k++)
            in[k + 1] = net_ints(&n, "bounds", 2, bounds[i][k]);
        OK(oct_value_add(n.g, "m", "m", &m));
        OK(oct_node_add(n.g, NULL, OCT_OP_SLICE, "m", 5, in, 1, &m, &node));
        check_moved("slice", &n, x, m);
    }
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 3, 4)), *parts[3];
    oct_node *node;
    check_moved("pad and crop", &n, x, net_op(&n, OCT_OP_PAD, "m", 3, x, net_ints(&n, "pads", 6, (int64_t[]){1, -1, 0, 0, 2, -2}), scalar(&n, 0.5f)));
    n = net_new();
    x = net_input(&n, "x", DIMS(2, 7, 3));
    oct_value *in[2] = {x, net_ints(&n, "lengths", 3, (int64_t[]){2, 4, 1})};
    for (int i = 0; i < 3; i++)
        OK(oct_value_add(n.g, NULL, "part", &parts[i]));
    OK(oct_node_add(n.g, NULL, OCT_OP_SPLIT, "split", 2, in, 3, parts, &node));
    OK(oct_node_set_int(n.g, node, "axis", 1));
    oct_value *c = net_op(&n, OCT_OP_CONCAT, "c", 3, parts[2], net_unary(&n, OCT_OP_TANH, "tanh", parts[0]), parts[2]);
    set_int(&n, c, "axis", -2);
    check_moved("split and concat", &n, x, c);
}

static void gradient__residual_cnn__matches_differences_in_both_modes(void **state)
{
    (void)state;
    check_with("residual cnn", small_cnn(), &(oct_gradient_options){.batch = 4}, KINKED);
    check_with("residual cnn, training", small_cnn(), &(oct_gradient_options){.batch = 4, .training = true}, KINKED);
    check_with("quantizer's residual net", net_residual(), &(oct_gradient_options){.batch = 3}, KINKED);
}

static void gradient__transformer_block__matches_differences(void **state)
{
    (void)state;
    check("transformer block", transformer_block(), NOISY);
    check_with("quantizer's transformer", net_transformer(), &(oct_gradient_options){.batch = 3}, SMOOTH);
}

/* a = 0 * x + bias: the same at every place of the batch, so that a kink of what follows is met by all or none. */
static oct_value *constant(net *n, oct_value *x, float first, float others)
{
    const float data[] = {first, others, others, others};
    oct_value *bias;
    OK(oct_value_const(n->g, "bias", OCT_F32, DIMS(4), data, &bias));
    return net_add(n, "a", net_op(n, OCT_OP_MUL, "zero", 2, x, scalar(n, 0), NULL), bias);
}

static void gradient__element_beside_a_kink__one_side_agrees(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(4, 4));
    check("relu beside its kink", finish(&n, net_add(&n, "s", net_unary(&n, OCT_OP_RELU, "y", constant(&n, x, 1e-7f, 1)), x)), SMOOTH);
}

/* The measure itself: a backward pass that is wrong is seen. 3 relu(a) - relu(-a) has slope 0 at 0 here, but 3 above, 1 below and 2 by central differences. */
static void gradient__difference_and_backward_disagree__error_is_large(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(4, 4)), *a = constant(&n, x, 0, 0);
    oct_value *up = net_op(&n, OCT_OP_MUL, "up", 2, net_unary(&n, OCT_OP_RELU, "above", a), scalar(&n, 3), NULL);
    oct_value *down = net_unary(&n, OCT_OP_RELU, "below", net_unary(&n, OCT_OP_NEG, "minus", a));
    oct_model *m = finish(&n, net_add(&n, "s", net_op(&n, OCT_OP_SUB, "y", 2, up, down, NULL), x));
    double worst = 0;
    char *where = NULL;
    OK(oct_check_gradient(m, NULL, &worst, &where));
    assert_true(worst > 0.1);
    assert_string_equal(where, "bias");
    oct_string_free(where);
    oct_model_destroy(m);
}

static void gradient__bad_options__refused(void **state)
{
    (void)state;
    oct_model *m = small_cnn();
    double worst = 7;
    assert_int_equal(oct_check_gradient(m, &(oct_gradient_options){.directions = -1}, &worst, NULL), OCT_ERR_USAGE);
    assert_int_equal(oct_check_gradient(m, &(oct_gradient_options){.step = -1}, &worst, NULL), OCT_ERR_USAGE);
    assert_int_equal(oct_check_gradient(m, &(oct_gradient_options){.dims = (const char *const[]){"none=3"}, .dim_count = 1}, &worst, NULL), OCT_ERR_USAGE);
    assert_true(worst == 7);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient__channels_last_between_convolutions__matches_differences),
        cmocka_unit_test(gradient__conv__matches_differences),
        cmocka_unit_test(gradient__conv_transpose__matches_differences),
        cmocka_unit_test(gradient__conv_whose_input_has_other_users__adds_up),
        cmocka_unit_test(gradient__gemm__matches_differences),
        cmocka_unit_test(gradient__matmul__matches_differences),
        cmocka_unit_test(gradient__batch_norm__matches_differences_in_both_modes),
        cmocka_unit_test(gradient__layer_norm_and_softmax__match_differences),
        cmocka_unit_test(gradient__unary__matches_differences),
        cmocka_unit_test(gradient__binary_with_broadcasting__matches_differences),
        cmocka_unit_test(gradient__pools__match_differences),
        cmocka_unit_test(gradient__reductions__match_differences),
        cmocka_unit_test(gradient__moves__match_differences),
        cmocka_unit_test(gradient__slice_pad_split_concat__match_differences),
        cmocka_unit_test(gradient__residual_cnn__matches_differences_in_both_modes),
        cmocka_unit_test(gradient__transformer_block__matches_differences),
        cmocka_unit_test(gradient__element_beside_a_kink__one_side_agrees),
        cmocka_unit_test(gradient__difference_and_backward_disagree__error_is_large),
        cmocka_unit_test(gradient__bad_options__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
