/* Q as early and DQ as late as each operator allows, and what forms where they meet: by text dump.  The passes that rewrite float
 * graphs, and the common cases, stand in test_opt.c. */
#include "unit/opt/opt_case.h"

static oct_value *codes(oct_graph *g, const char *name)
{
    return input(g, name, OCT_U8, 4, image);
}

/* One operator behind x; further operands are codes with the parameters that the tests use, dequantized. */
typedef oct_value *build_fn(oct_graph *g, oct_value *x);

static oct_value *max_pool(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_MAX_POOL, "n", x, NULL, NULL);
    OK(oct_node_set_ints(g, y->producer, "kernel_shape", (int64_t[]){2, 2}, 2));
    return y;
}
static oct_value *global_max(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_GLOBAL_MAX_POOL, "n", x, NULL, NULL);
}
static oct_value *reshape(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_RESHAPE, "n", x, s64s(g, "to", 2, (int64_t[]){2, 16}), NULL);
}
static oct_value *flatten(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_FLATTEN, "n", x, NULL, NULL);
}
static oct_value *squeeze(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_SQUEEZE, "n", x, s64s(g, "axes", 1, (int64_t[]){0}), NULL);
}
static oct_value *unsqueeze(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_UNSQUEEZE, "n", x, s64s(g, "axes", 1, (int64_t[]){0}), NULL);
}
static oct_value *transpose(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_TRANSPOSE, "n", x, NULL, NULL);
    OK(oct_node_set_ints(g, y->producer, "perm", (int64_t[]){0, 2, 3, 1}, 4));
    return y;
}
static oct_value *slice(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_SLICE, "n", x, s64s(g, "from", 1, (int64_t[]){0}), s64s(g, "to", 1, (int64_t[]){1}));
}
static oct_value *gather(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_GATHER, "n", x, s64s(g, "index", 1, (int64_t[]){0}), NULL);
}
static oct_value *expand(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_EXPAND, "n", x, s64s(g, "to", 4, (int64_t[]){3, 2, 4, 4}), NULL);
}
static oct_value *pad(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_PAD, "n", x, s64s(g, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}), NULL);
}
static oct_value *depth_to_space(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_SPACE_TO_DEPTH, "n", x, NULL, NULL);
    OK(oct_node_set_int(g, y->producer, "blocksize", 2));
    return y;
}
static oct_value *nearest(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_RESIZE, "n", x, NULL, NULL);
    OK(oct_node_set_input(g, y->producer, 1, NULL));
    OK(oct_node_set_input(g, y->producer, 2, f32(g, "scales", 1, (int64_t[]){4}, (float[]){1, 1, 2, 2})));
    return y;
}
static oct_value *concat(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_CONCAT, "n", x, dq(g, "od", codes(g, "o"), 0.5f, 3), NULL);
    OK(oct_node_set_int(g, y->producer, "axis", 1));
    return y;
}
static oct_value *split(oct_graph *g, oct_value *x)
{
    oct_value *y = op(g, OCT_OP_SPLIT, "n", x, NULL, NULL);
    OK(oct_node_set_int(g, y->producer, "num_outputs", 1));
    return y;
}
static oct_value *largest(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_MAX, "n", x, dq(g, "od", codes(g, "o"), 0.5f, 3), NULL);
}
static oct_value *smallest(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_MIN, "n", x, dq(g, "od", codes(g, "o"), 0.5f, 3), NULL);
}
static oct_value *choice(oct_graph *g, oct_value *x)
{
    return op(g, OCT_OP_WHERE, "n", input(g, "cond", OCT_BOOL, 4, image), x, dq(g, "od", codes(g, "o"), 0.5f, 3));
}

static const struct {
    build_fn *fn;
    const char *line;
} commuting[] = {
    {max_pool, "= MaxPool(c) {kernel_shape=[2,2]}"},
    {global_max, "= GlobalMaxPool(c)"},
    {reshape, "= Reshape(c, to)"},
    {flatten, "= Flatten(c)"},
    {squeeze, "= Squeeze(c, axes)"},
    {unsqueeze, "= Unsqueeze(c, axes)"},
    {transpose, "= Transpose(c) {perm=[0,2,3,1]}"},
    {slice, "= Slice(c, from, to)"},
    {gather, "= Gather(c, index)"},
    {expand, "= Expand(c, to)"},
    {pad, "= Pad(c, pads)"},
    {depth_to_space, "= SpaceToDepth(c) {blocksize=2}"},
    {nearest, "= Resize(c, -, scales)"},
    {concat, "= Concat(c, o) {axis=1}"},
    {split, "= Split(c) {num_outputs=1}"},
    {largest, "= Max(c, o)"},
    {smallest, "= Min(c, o)"},
    {choice, "= Where(cond, c, o)"},
};

static int64_t count_op(const oct_graph *g, oct_op o)
{
    int64_t n = 0;
    for (int64_t i = 0; i < g->node_count; i++)
        n += g->nodes[i]->op == o;
    return n;
}

static void expect_line(oct_graph *g, const char *line)
{
    char *text;
    OK(oct_graph_dump(g, &text));
    if (!strstr(text, line))
        fail_msg("no '%s' in\n%s", line, text);
    free(text);
}

static void dq_late__each_commuting_operator__moves_codes(void **state)
{
    for (size_t i = 0; i < sizeof commuting / sizeof *commuting; i++) {
        oct_graph *g = graph();
        output(g, op(g, OCT_OP_SOFTMAX, "y", commuting[i].fn(g, dq(g, "x", codes(g, "c"), 0.5f, 3)), NULL, NULL));
        run_stage(g, OCT_OPT_QDQ);
        expect_line(g, commuting[i].line);
        assert_int_equal(count_op(g, OCT_OP_DEQUANTIZE), 1); /* behind the operator */
        oct_graph_destroy(g);
    }
}

static void q_early__each_commuting_operator__reads_codes(void **state)
{
    for (size_t i = 0; i < sizeof commuting / sizeof *commuting; i++) {
        oct_graph *g = graph();
        oct_value *n = commuting[i].fn(g, op(g, OCT_OP_SOFTMAX, "f", input(g, "x", OCT_F32, 4, image), NULL, NULL));
        const oct_node *mover = n->producer;
        output(g, q(g, "y", n, 0.5f, 3));
        run_stage(g, OCT_OPT_QDQ);
        /* Q stands behind the Softmax: the operator makes the graph's output, from codes */
        assert_ptr_equal(oct_value_find(g, "y")->producer, mover);
        assert_int_equal(count_op(g, OCT_OP_QUANTIZE), 1);
        oct_graph_destroy(g);
    }
}

static void q_early__other_pad_value__stays(void **state)
{
    oct_graph *g = graph();
    oct_value *p = op(g, OCT_OP_PAD, "p", input(g, "x", OCT_F32, 4, image), s64s(g, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}),
                      scalar(g, "v", 0.3f));
    output(g, q(g, "y", p, 0.5f, 3));
    assert_int_equal(run(g, "lift"), 1);
    assert_int_equal(run(g, "q_early"), 0);
    oct_graph_destroy(g);
}

static void q_early__concat_of_unequal_scales__requantizes_each_branch(void **state)
{
    oct_graph *g = graph();
    oct_value *a = dq(g, "ad", codes(g, "a"), 0.5f, 3), *b = dq(g, "bd", codes(g, "b"), 0.25f, 9);
    oct_value *y = op(g, OCT_OP_CONCAT, "n", a, b, NULL);
    OK(oct_node_set_int(g, y->producer, "axis", 1));
    output(g, q(g, "y", y, 0.5f, 3));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "bd_1:u8[1,2,4,4] q{s=0.5 z=3} = Requantize(b) int8\ny:u8[1,4,4,4] q{s=0.5 z=3} = Concat(a, bd_1) {axis=1}\n");
    oct_graph_destroy(g);
}

static void q_early__relu_behind_concat__clamps_codes(void **state)
{
    for (int zero = 0; zero < 2; zero++) {
        oct_graph *g = graph();
        oct_value *a = input(g, "a", OCT_F32, 4, image), *b = input(g, "b", OCT_F32, 4, image),
                  *y = op(g, OCT_OP_CONCAT, "n", a, b, NULL);
        OK(oct_node_set_int(g, y->producer, "axis", 1));
        output(g, q(g, "y", op(g, OCT_OP_RELU, "r", y, NULL, NULL), 0.5f, zero ? 3 : 0));
        run_stage(g, OCT_OPT_QDQ);
        /* with zero point 0 the codes are clamped already */
        expect_line(g, zero ? "y:u8[1,4,4,4] q{s=0.5 z=3} = Relu(n_1) int8" : "y:u8[1,4,4,4] q{s=0.5 z=0} = Identity(n_1)");
        assert_int_equal(oct_value_find(g, "n_1")->producer->op, OCT_OP_CONCAT);
        oct_graph_destroy(g);
    }
}

static void q_early__relu_behind_conv__stays_for_fusion(void **state)
{
    oct_graph *g = graph();
    oct_value *c = op(g, OCT_OP_CONV, "c", input(g, "x", OCT_F32, 4, image), zeros(g, "w", OCT_F32, 4, kernel), NULL);
    output(g, q(g, "y", op(g, OCT_OP_RELU, "r", c, NULL, NULL), 0.5f, 3));
    assert_int_equal(run(g, "lift"), 1);
    assert_int_equal(run(g, "q_early"), 0);
    oct_graph_destroy(g);
}

static void dq_late__relu_before_conv__conv_reads_codes(void **state)
{
    oct_graph *g = graph();
    oct_value *r = op(g, OCT_OP_RELU, "r", dq(g, "x", codes(g, "c"), 0.5f, 3), NULL, NULL);
    output(g, op(g, OCT_OP_CONV, "y", r, dq(g, "wf", zeros(g, "w", OCT_U8, 4, kernel), 0.25f, 0), NULL));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "r_1:u8[1,2,4,4] q{s=0.5 z=3} = Relu(c) int8\ny:f32[1,2,4,4] = Conv(r_1, w) int8\n");
    oct_graph_destroy(g);
}

/* 0 .. 6 lies on the grid of 0.5; 6.2 does not, and rounding it would change what is read. */
static void dq_late__clip__only_where_codes_have_its_limits(void **state)
{
    for (int on = 0; on < 2; on++) {
        oct_graph *g = graph();
        oct_value *x = dq(g, "x", codes(g, "c"), 0.5f, 3);
        output(g, op(g, OCT_OP_SOFTMAX, "y", op(g, OCT_OP_CLIP, "r", x, scalar(g, "lo", 0), scalar(g, "hi", on ? 6 : 6.2f)), NULL,
                     NULL));
        run_stage(g, OCT_OPT_QDQ);
        expect_line(g, on ? "r_1:u8[1,2,4,4] q{s=0.5 z=3} = Clip(c, lo, hi) int8" : "r:f32[1,2,4,4] = Clip(x, lo, hi)");
        oct_graph_destroy(g);
    }
}

static void share__two_equal_q__one(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image);
    output(g, dq(g, "a", q(g, "qa", x, 0.5f, 3), 0.5f, 3));
    output(g, dq(g, "b", q(g, "qb", x, 0.5f, 3), 0.5f, 3));
    output(g, dq(g, "c", q(g, "qc", x, 0.25f, 3), 0.25f, 3));
    run(g, "lift");
    assert_int_equal(run(g, "share"), 1);
    expect_line(g, "a:f32[1,2,4,4] = DequantizeLinear(qa");
    expect_line(g, "b:f32[1,2,4,4] = DequantizeLinear(qa");
    expect_line(g, "c:f32[1,2,4,4] = DequantizeLinear(qc");
    oct_graph_destroy(g);
}

static void form__elementwise_between_dq_and_q__int8(void **state)
{
    static const struct {
        oct_op op;
        bool two;
        const char *line;
    } rows[] = {
        {OCT_OP_ADD, true, "= Add(a, b) int8"},       {OCT_OP_SUB, true, "= Sub(a, b) int8"},
        {OCT_OP_MUL, true, "= Mul(a, b) int8"},       {OCT_OP_GLOBAL_AVERAGE_POOL, false, "= GlobalAveragePool(a) int8"},
        {OCT_OP_SIGMOID, false, "= Sigmoid(a) int8"}, {OCT_OP_HARD_SWISH, false, "= HardSwish(a) int8"},
        {OCT_OP_RELU, false, "= Relu(a) int8"},       {OCT_OP_CLIP, false, "= Clip(a) int8"},
        {OCT_OP_DIV, true, "= Div(ad, bd)"},          {OCT_OP_FLOOR, false, "= Floor(ad)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        oct_graph *g = graph();
        oct_value *a = dq(g, "ad", codes(g, "a"), 0.5f, 3), *b = rows[i].two ? dq(g, "bd", codes(g, "b"), 0.25f, 9) : NULL;
        output(g, q(g, "y", op(g, rows[i].op, "n", a, b, NULL), 0.75f, 1));
        run_stage(g, OCT_OPT_QDQ);
        expect_line(g, rows[i].line);
        oct_graph_destroy(g);
    }
}

static void form__add_relu__one_sum_with_clamp(void **state)
{
    oct_graph *g = graph();
    oct_value *a = dq(g, "ad", codes(g, "a"), 0.5f, 3), *b = dq(g, "bd", codes(g, "b"), 0.25f, 9);
    output(g, q(g, "y", op(g, OCT_OP_RELU, "r", op(g, OCT_OP_ADD, "n", a, b, NULL), NULL, NULL), 0.75f, 1));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "y:u8[1,2,4,4] q{s=0.75 z=1} = Add(a, b) fused{clamp=[0,inf]} int8\n");
    oct_graph_destroy(g);
}

static void form__one_operand_float__stays_float(void **state)
{
    oct_graph *g = graph();
    output(g, q(g, "y", op(g, OCT_OP_ADD, "n", dq(g, "ad", codes(g, "a"), 0.5f, 3), input(g, "b", OCT_F32, 4, image), NULL), 0.75f,
                1));
    run_stage(g, OCT_OPT_QDQ | OCT_OPT_FUSE);
    expect_line(g, "n:f32[1,2,4,4] = Add(ad, b)");
    assert_string_equal(oct_value_find(g, "n")->producer->reason, "input 'b' has no Q/DQ");
    oct_graph_destroy(g);
}

static void form__float_residual__conv_leaves_float(void **state)
{
    oct_graph *g = graph();
    oct_value *c =
        op(g, OCT_OP_CONV, "c", dq(g, "xd", codes(g, "x"), 0.5f, 3), dq(g, "wf", zeros(g, "w", OCT_U8, 4, kernel), 0.25f, 0), NULL);
    output(g, q(g, "y", op(g, OCT_OP_ADD, "n", c, input(g, "b", OCT_F32, 4, image), NULL), 0.75f, 1));
    run_stage(g, OCT_OPT_QDQ);
    expect_line(g, "c:f32[1,2,4,4] = Conv(x, w) int8");
    oct_graph_destroy(g);
}

static void form__weights_alone_quantized__float_with_reason(void **state)
{
    oct_graph *g = graph();
    output(g, op(g, OCT_OP_CONV, "c", input(g, "x", OCT_F32, 4, image), dq(g, "wf", zeros(g, "w", OCT_U8, 4, kernel), 0.25f, 0),
                 NULL));
    run_stage(g, OCT_OPT_QDQ | OCT_OPT_FUSE);
    expect_line(g, "c:f32[1,2,4,4] = Conv(x, wf)");
    assert_string_equal(oct_value_find(g, "c")->producer->reason, "input 'x' has no Q/DQ");
    oct_graph_destroy(g);
}

static void form__weights_with_block_scales__reason_says_blocks(void **state)
{
    const int64_t xs[2] = {3, 4}, ws[2] = {4, 2}, blocks[2] = {2, 2};
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "x", OCT_U8, 2, xs), 0.5f, 3);
    oct_value *w =
        op(g, OCT_OP_DEQUANTIZE, "wf", zeros(g, "w", OCT_U4, 2, ws), f32(g, "s", 2, blocks, (float[]){1, 2, 3, 4}), NULL);
    OK(oct_node_set_int(g, w->producer, "axis", 0));
    OK(oct_node_set_int(g, w->producer, "block_size", 2));
    output(g, op(g, OCT_OP_MATMUL, "y", x, w, NULL));
    run_stage(g, OCT_OPT_QDQ | OCT_OPT_FUSE);
    expect_line(g, "y:f32[3,2] = MatMul(xd, wf)");
    assert_string_equal(oct_value_find(g, "y")->producer->reason, "weights 'wf' have scales for blocks of 2");
    oct_graph_destroy(g);
}

static oct_value *u4(oct_graph *g, uint8_t x)
{
    oct_value *v;
    OK(oct_value_const(g, "z", OCT_U4, 0, NULL, &x, &v));
    return v;
}

static void form__four_bit_codes__int8(void **state)
{
    oct_graph *g = graph();
    oct_value *c = op(g, OCT_OP_QUANTIZE, "c", input(g, "x", OCT_F32, 4, image), scalar(g, "s", 0.5f), u4(g, 7));
    oct_value *x = op(g, OCT_OP_DEQUANTIZE, "xd", c, scalar(g, "s", 0.5f), u4(g, 7));
    oct_value *w = op(g, OCT_OP_DEQUANTIZE, "wf", zeros(g, "w", OCT_U4, 4, kernel), scalar(g, "s", 0.25f), u4(g, 8));
    output(g, dq(g, "y", q(g, "yq", op(g, OCT_OP_CONV, "n", x, w, NULL), 0.75f, 1), 0.75f, 1));
    run_stage(g, OCT_OPT_QDQ);
    expect_line(g, "yq:u8[1,2,4,4] q{s=0.75 z=1} = Conv(c, w) int8");
    oct_graph_destroy(g);
}

static void form__gemm_that_no_integer_product_fits__float(void **state)
{
    const int64_t xs[2] = {3, 2}, ws[2] = {2, 2}, whole[2] = {3, 2};
    static const struct {
        float alpha;
        bool whole;
        bool int8;
    } rows[] = {{1, false, true}, {-1, false, false}, {1, true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        oct_graph *g = graph();
        oct_value *x = dq(g, "xd", input(g, "x", OCT_U8, 2, xs), 0.5f, 3), *w = dq(g, "wf", zeros(g, "w", OCT_U8, 2, ws), 0.25f, 0);
        oct_value *y =
            op(g, OCT_OP_GEMM, "n", x, w, rows[i].whole ? zeros(g, "b", OCT_F32, 2, whole) : zeros(g, "b", OCT_F32, 1, two));
        OK(oct_node_set_float(g, y->producer, "alpha", rows[i].alpha));
        output(g, q(g, "y", y, 0.75f, 1));
        run_stage(g, OCT_OPT_QDQ);
        assert_int_equal(oct_value_find(g, "y")->producer->op == OCT_OP_GEMM, rows[i].int8);
        oct_graph_destroy(g);
    }
}

static void bias__sum_behind_integer_matmul__bias_slot(void **state)
{
    const int64_t xs[2] = {3, 2}, ws[2] = {2, 2};
    oct_graph *g = graph();
    oct_value *x = dq(g, "xd", input(g, "x", OCT_U8, 2, xs), 0.5f, 3), *w = dq(g, "wf", zeros(g, "w", OCT_U8, 2, ws), 0.25f, 0);
    oct_value *sum = op(g, OCT_OP_ADD, "sum", op(g, OCT_OP_MATMUL, "m", x, w, NULL), zeros(g, "b", OCT_F32, 1, two), NULL);
    output(g, q(g, "y", sum, 0.75f, 1));
    run_stage(g, OCT_OPT_QDQ);
    expect(g, "y:u8[3,2] q{s=0.75 z=1} = MatMul(x, w, b) int8\n");
    oct_graph_destroy(g);
}

/* An evaluator that gives zeros: which nodes are folded is the passes' decision. */
static oct_status zero_fold(void *user, oct_graph *g, oct_node *n)
{
    int64_t count, bytes;
    void *data;
    ++*(int *)user;
    for (int i = 0; i < n->output_count; i++) {
        OCT_TRY(oct_shape_count(&n->outputs[i]->shape, &count));
        bytes = count * (int64_t)oct_dtype_size(n->outputs[i]->dtype);
        OCT_TRY(oct_arena_alloc(g->arena, bytes, &data));
        n->outputs[i]->data = data;
        n->outputs[i]->bytes = bytes;
    }
    return OCT_OK;
}

static void fold__constants_but_not_their_dq__until_weights_stay_float(void **state)
{
    int folded = 0;
    oct_graph *g = graph();
    oct_value *w = op(g, OCT_OP_RELU, "w2", zeros(g, "w", OCT_F32, 4, kernel), NULL, NULL);
    oct_value *wd = dq(g, "wd", q(g, "wq", w, 0.5f, 3), 0.5f, 3);
    output(g, op(g, OCT_OP_CONV, "y", input(g, "x", OCT_F32, 4, image), wd, NULL));
    const oct_opt opt = {.g = g, .stages = OCT_OPT_EXPORT, .fold = zero_fold, .fold_user = &folded};
    OK(oct_opt_run(&opt));
    assert_int_equal(folded, 2); /* Relu and Q */
    assert_int_equal(count_op(g, OCT_OP_DEQUANTIZE), 1);
    OK(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_QDQ | OCT_OPT_FUSE, .fold = zero_fold, .fold_user = &folded}));
    assert_int_equal(folded, 3);
    expect(g, "y:f32[1,2,4,4] = Conv(x, wd)\n");
    oct_graph_destroy(g);
}

static oct_status hundred_fold(void *user, oct_graph *g, oct_node *n)
{
    int folded = 0;
    OCT_TRY(zero_fold(&folded, g, n));
    assert_int_equal(n->outputs[0]->dtype, OCT_S8); /* asked for a type that plans have */
    memset((void *)n->outputs[0]->data, 100, (size_t)n->outputs[0]->bytes);
    return OCT_OK;
}

static void fold__q_to_four_bits__saturates_there(void **state)
{
    oct_graph *g = graph();
    oct_value *zero, *wq;
    OK(oct_value_const(g, "z", OCT_S4, 0, NULL, "\0", &zero));
    wq = op(g, OCT_OP_QUANTIZE, "wq", zeros(g, "w", OCT_F32, 4, kernel), scalar(g, "s", 0.5f), zero);
    output(g, op(g, OCT_OP_CONV, "y", input(g, "x", OCT_F32, 4, image),
                 op(g, OCT_OP_DEQUANTIZE, "wd", wq, scalar(g, "s", 0.5f), zero), NULL));
    OK(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_EXPORT, .fold = hundred_fold}));
    assert_int_equal(wq->dtype, OCT_S4);
    assert_memory_equal(wq->data, "\7\7\7\7", 4);
    oct_graph_destroy(g);
}

/* 4 MiB and more of floats from a quarter of that in codes. */
static void fold_dq__large_weights__folded(void **state)
{
    const int64_t xs[2] = {1, 2048}, ws[2] = {2048, 1024};
    int folded = 0;
    oct_graph *g = graph();
    oct_value *w;
    void *data = calloc(2048, 1024);
    OK(oct_value_const(g, "w", OCT_U8, 2, ws, data, &w));
    free(data);
    output(g, op(g, OCT_OP_MATMUL, "y", input(g, "x", OCT_F32, 2, xs), dq(g, "wd", w, 0.5f, 3), NULL));
    OK(oct_opt_run(&(oct_opt){.g = g, .stages = OCT_OPT_QDQ | OCT_OPT_FUSE, .fold = zero_fold, .fold_user = &folded}));
    assert_int_equal(folded, 1);
    oct_graph_destroy(g);
}

static void shapes__known_contents__become_a_constant(void **state)
{
    oct_graph *g = graph();
    oct_value *x = input(g, "x", OCT_F32, 4, image), *shape = op(g, OCT_OP_SHAPE, "shape", x, NULL, NULL);
    output(g, op(g, OCT_OP_RESHAPE, "y", op(g, OCT_OP_FLATTEN, "f", x, NULL, NULL), shape, NULL));
    assert_int_equal(run(g, "shapes"), 1);
    expect(g, "f:f32[1,32] = Flatten(x)\ny:f32[1,2,4,4] = Reshape(f, shape)\n");
    assert_non_null(oct_value_find(g, "shape")->data);
    oct_graph_destroy(g);
}

static void turn__transposed_codes_of_a_weight__codes_turned_and_axis_moved(void **state)
{
    static const uint8_t codes_2x3[] = {1, 2, 3, 4, 5, 6}, want[] = {1, 4, 2, 5, 3, 6};
    const int64_t dims[2] = {2, 3}, xs[3] = {1, 4, 3};
    const float scales[2] = {0.5f, 0.25f};
    oct_graph *g = graph();
    oct_value *w;
    OK(oct_value_const(g, "w", OCT_U8, 2, dims, codes_2x3, &w));
    oct_value *real = op(g, OCT_OP_DEQUANTIZE, "real", w, f32(g, "s", 1, two, scales), NULL);
    OK(oct_node_set_int(g, real->producer, "axis", 0));
    output(g, op(g, OCT_OP_MATMUL, "y", input(g, "x", OCT_F32, 3, xs), op(g, OCT_OP_TRANSPOSE, "t", real, NULL, NULL), NULL));
    assert_int_equal(run(g, "turn"), 1);
    const oct_node *dq = oct_value_find(g, "t")->producer;
    assert_int_equal(dq->op, OCT_OP_DEQUANTIZE);
    assert_int_equal(oct_node_int(dq, "axis", 1), 1);
    assert_int_equal(dq->inputs[0]->shape.dim[0], 3);
    assert_memory_equal(dq->inputs[0]->data, want, sizeof want);
    assert_int_equal(run(g, "turn"), 0);
    oct_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turn__transposed_codes_of_a_weight__codes_turned_and_axis_moved),
        cmocka_unit_test(dq_late__each_commuting_operator__moves_codes),
        cmocka_unit_test(q_early__each_commuting_operator__reads_codes),
        cmocka_unit_test(q_early__other_pad_value__stays),
        cmocka_unit_test(q_early__concat_of_unequal_scales__requantizes_each_branch),
        cmocka_unit_test(q_early__relu_behind_concat__clamps_codes),
        cmocka_unit_test(q_early__relu_behind_conv__stays_for_fusion),
        cmocka_unit_test(dq_late__relu_before_conv__conv_reads_codes),
        cmocka_unit_test(dq_late__clip__only_where_codes_have_its_limits),
        cmocka_unit_test(share__two_equal_q__one),
        cmocka_unit_test(form__elementwise_between_dq_and_q__int8),
        cmocka_unit_test(form__add_relu__one_sum_with_clamp),
        cmocka_unit_test(form__one_operand_float__stays_float),
        cmocka_unit_test(form__float_residual__conv_leaves_float),
        cmocka_unit_test(form__weights_alone_quantized__float_with_reason),
        cmocka_unit_test(form__weights_with_block_scales__reason_says_blocks),
        cmocka_unit_test(form__four_bit_codes__int8),
        cmocka_unit_test(form__gemm_that_no_integer_product_fits__float),
        cmocka_unit_test(bias__sum_behind_integer_matmul__bias_slot),
        cmocka_unit_test(fold__constants_but_not_their_dq__until_weights_stay_float),
        cmocka_unit_test(fold__q_to_four_bits__saturates_there),
        cmocka_unit_test(fold_dq__large_weights__folded),
        cmocka_unit_test(shapes__known_contents__become_a_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
