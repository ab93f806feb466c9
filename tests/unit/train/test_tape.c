/* The tape itself: forward against the float engine, BatchNormalization's two modes, seeds, what is a parameter, what is refused, no memory per run. */
#include "nets.h"

#include <malloc.h>
#include "cpu/cpu.h"
#include "rt/context.h"

static oct_tape *tape_of(const oct_model *m, int64_t batch, bool training, bool inputs)
{
    oct_graph *g = NULL;
    oct_tape *t = NULL;
    OK(oct_graph_clone(m->graph, &g));
    OK(oct_build_bind(g, &(oct_build_options){.batch = batch}));
    OK(oct_tape_simplify(g));
    OK(oct_tape_create(g, &(oct_tape_options){.training = training, .input_gradients = inputs}, &t));
    oct_graph_destroy(g);
    return t;
}

static void fill(float *x, int64_t count, uint64_t seed)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((double)(oct_rng_at(seed, (uint64_t)i) >> 11) * 0x1p-52 - 1);
}

/* Largest difference of the tape's output from the float engine's, as a share of the largest output; the engine runs the graph as it stands. */
static double against_engine(const oct_model *m, int64_t batch)
{
    oct_graph *g = NULL;
    oct_plan *plan = NULL;
    oct_context *c = NULL;
    oct_isa isa;
    oct_tape *t = tape_of(m, batch, false, false);
    oct_tape_value x, y;
    oct_tensor in = {.dtype = OCT_F32}, out;
    double worst = 0, most = 0;
    assert_true(oct_tape_input(t, 0, &x));
    assert_true(oct_tape_output(t, 0, &y));
    fill(x.data, x.count, 5);
    OK(oct_tape_forward(t));
    OK(oct_graph_clone(m->graph, &g));
    OK(oct_build_bind(g, &(oct_build_options){.batch = batch}));
    OK(oct_cpu_isa(&isa));
    OK(oct_build_lower(g, isa, &plan));
    OK(oct_context_create(plan, 1, &c));
    in.data = x.data;
    in.rank = x.shape->rank;
    memcpy(in.dims, x.shape->dim, (size_t)in.rank * sizeof *in.dims);
    OK(oct_context_set_input(c, x.name, &in));
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, y.name, &out));
    assert_int_equal(oct_tensor_count(&out), y.count);
    for (int64_t i = 0; i < y.count; i++) {
        worst = fmax(worst, fabs((double)y.data[i] - ((float *)out.data)[i]));
        most = fmax(most, fabs((double)y.data[i]));
    }
    assert_true(most > 0);
    oct_context_destroy(c);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
    oct_tape_destroy(t);
    return worst / most;
}

/* Both are float32 with sums in different orders: some ulps of the largest value a layer. */
static void forward__small_nets__equals_the_float_engine(void **state)
{
    (void)state;
    oct_model *(*const make[])(void) = {small_cnn, transformer_block, net_residual, net_transformer};
    for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
        oct_model *m = make[i]();
        const double error = against_engine(m, i == 1 ? 0 : 3);
        if (getenv("OCT_TEST_VERBOSE"))
            print_message("net %zu: %.2e of the largest output\n", i, error);
        assert_true(error < 1e-5);
        oct_model_destroy(m);
    }
}

/* Odd forms of single operators, where tape and engine each have code of their own. */
static void forward__odd_attributes__equals_the_float_engine(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        net n = net_new();
        oct_value *x = net_input(&n, "x", DIMS(2, 4, 7, 8)), *y;
        if (i < 2) {
            y = net_unary(&n, i ? OCT_OP_AVERAGE_POOL : OCT_OP_MAX_POOL, "y", x);
            set_ints(&n, y, "kernel_shape", INTS(3, 2));
            set_ints(&n, y, "strides", INTS(2, 3));
            set_ints(&n, y, "pads", INTS(1, 0, 1, 1));
            set_int(&n, y, "ceil_mode", 1);
            if (i)
                set_int(&n, y, "count_include_pad", 1);
        } else if (i < 5) {
            y = net_op(&n, i == 2 ? OCT_OP_CONV : OCT_OP_CONV_TRANSPOSE, "y", 2, x, net_random(&n, "w", 1, DIMS(4, 2, 3, 2)), NULL);
            set_int(&n, y, "group", 2);
            set_ints(&n, y, "strides", INTS(2, 1));
            if (i < 4)
                OK(oct_node_set_string(n.g, y->producer, "auto_pad", i == 2 ? "SAME_LOWER" : "SAME_UPPER"));
            else
                set_ints(&n, y, "output_shape", INTS(16, 9));
        } else {
            oct_value *in[5] = {x, net_ints(&n, "s", 2, (int64_t[]){-1, 1}), net_ints(&n, "e", 2, (int64_t[]){-100, 100}), net_ints(&n, "a", 2, (int64_t[]){3, 1}),
                                net_ints(&n, "p", 2, (int64_t[]){-3, 2})};
            oct_node *node;
            OK(oct_value_add(n.g, "y", "y", &y));
            OK(oct_node_add(n.g, NULL, OCT_OP_SLICE, "y", 5, in, 1, &y, &node));
        }
        oct_model *m = finish(&n, y);
        const double error = against_engine(m, 0);
        if (!(error < 1e-5))
            fail_msg("case %d: %g of the largest output", i, error);
        oct_model_destroy(m);
    }
}

static void forward__channels_last_between_convolutions__equals_the_float_engine(void **state)
{
    (void)state;
    for (int i = 0; i < BETWEEN; i++) {
        oct_model *m = between_convs(i);
        const double error = against_engine(m, 0);
        if (!(error < 1e-5))
            fail_msg("case %d: %g of the largest output", i, error);
        oct_tape *t = tape_of(m, 0, false, false);
        oct_tape_value v;
        int last = 0;
        for (int64_t k = 0; oct_tape_value_at(t, k, &v); k++)
            last += v.channels_last;
        assert_true(last > 0 || i == 13);
        oct_tape_destroy(t);
        oct_model_destroy(m);
    }
}

/* One forward and backward of m with random inputs and parameters, whole numbers of -8 to 8 or any in [-1, 1): the output, then the gradients of input and parameters.
 * Whole seeds, so that sums of whole numbers stay exact. */
static int64_t run_once(const oct_model *m, bool bf16, bool whole, float *to, int64_t room)
{
    oct_graph *g = NULL;
    oct_tape *t = NULL;
    oct_tape_value v, y;
    int64_t count = 0;
    OK(oct_graph_clone(m->graph, &g));
    OK(oct_build_bind(g, &(oct_build_options){0}));
    OK(oct_tape_create(g, &(oct_tape_options){.input_gradients = true, .bf16 = bf16}, &t));
    for (int64_t k = 0; oct_tape_value_at(t, k, &v); k++) {
        if (!v.parameter && strcmp(v.name, "x") != 0)
            continue;
        fill(v.data, v.count, (uint64_t)k + 3);
        for (int64_t i = 0; whole && i < v.count; i++)
            v.data[i] = rintf(8 * v.data[i]);
    }
    assert_true(oct_tape_output(t, 0, &y));
    float *seed = malloc((size_t)y.count * sizeof *seed);
    assert_non_null(seed);
    for (int64_t i = 0; i < y.count; i++)
        seed[i] = (float)(i % 5) - 2;
    OK(oct_tape_forward(t));
    OK(oct_tape_backward(t, (const float *const[]){seed}));
    assert_true(y.count <= room);
    memcpy(to, y.data, (size_t)y.count * sizeof *to);
    count = y.count;
    for (int64_t k = 0; oct_tape_value_at(t, k, &v); k++) {
        if (!v.grad || v.statistic || (!v.parameter && strcmp(v.name, "x") != 0))
            continue;
        assert_true(count + v.count <= room);
        memcpy(to + count, v.grad, (size_t)v.count * sizeof *to);
        count += v.count;
    }
    free(seed);
    oct_tape_destroy(t);
    oct_graph_destroy(g);
    return count;
}

/* Whole numbers below 256 are bfloat16 numbers, and their products and sums are exact: both types give the same bytes. Others are within its rounding. */
static void bf16__convolutions__exact_on_whole_numbers_and_close_on_others(void **state)
{
    enum { ROOM = 40000 };
    static float a[ROOM], b[ROOM];
    (void)state;
    if (!oct_cpu_has_bf16()) {
        print_message("skipped: this processor has no bfloat16\n");
        skip();
    }
    for (int i = 0; i < 4; i++) {
        net n = net_new();
        oct_value *x = net_input(&n, "x", DIMS(2, 16, 9, 8)), *y;
        y = net_op(&n, i == 3 ? OCT_OP_CONV_TRANSPOSE : OCT_OP_CONV, "y", 3, x, net_random(&n, "w", 1, DIMS(16, i == 1 ? 1 : 16, 3, 3)), net_random(&n, "b", 1, DIMS(16)));
        set_int(&n, y, "group", i == 1 ? 16 : 1);
        set_ints(&n, y, "strides", INTS(i == 2 ? 2 : 1, 1));
        oct_model *m = finish(&n, y);
        const int64_t count = run_once(m, false, true, a, ROOM);
        double worst = 0, most = 0;
        assert_int_equal(run_once(m, true, true, b, ROOM), count);
        assert_memory_equal(a, b, (size_t)count * sizeof *a);
        run_once(m, false, false, a, ROOM);
        run_once(m, true, false, b, ROOM);
        for (int64_t k = 0; k < count; k++) {
            worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
            most = fmax(most, fabs((double)a[k]));
        }
        if (worst > 0.01 * most || worst == 0)
            fail_msg("case %d: %g of %g", i, worst, most);
        oct_model_destroy(m);
    }
}

static void batch_norm__training__normalizes_by_the_batch_and_moves_the_averages(void **state)
{
    (void)state;
    net n = net_new();
    oct_model *m = finish(&n, batch_norm(&n, "y", net_input(&n, "x", DIMS(4, 3, 5)), 3));
    oct_tape *t = tape_of(m, 0, true, false);
    oct_tape_value x, y, scale, shift, mean, var;
    OK(oct_tape_find(t, "x", &x));
    OK(oct_tape_find(t, "y", &y));
    OK(oct_tape_find(t, "scale", &scale));
    OK(oct_tape_find(t, "shift", &shift));
    OK(oct_tape_find(t, "mean", &mean));
    OK(oct_tape_find(t, "var", &var));
    const float mean0[3] = {mean.data[0], mean.data[1], mean.data[2]}, var0[3] = {var.data[0], var.data[1], var.data[2]};
    fill(x.data, x.count, 9);
    OK(oct_tape_forward(t));
    assert_true(mean.data[0] == mean0[0] && var.data[0] == var0[0]);
    oct_tape_update_statistics(t);
    for (int c = 0; c < 3; c++) {
        double mx = 0, vx = 0, my = 0, vy = 0;
        for (int k = 0; k < 20; k++) {
            const int at = (k / 5 * 3 + c) * 5 + k % 5;
            mx += x.data[at] / 20.0;
            my += y.data[at] / 20.0;
        }
        for (int k = 0; k < 20; k++) {
            const int at = (k / 5 * 3 + c) * 5 + k % 5;
            vx += (x.data[at] - mx) * (x.data[at] - mx) / 20;
            vy += (y.data[at] - my) * (y.data[at] - my) / 20;
        }
        assert_true(fabs(my - shift.data[c]) < 1e-6);
        assert_true(fabs(sqrt(vy) - scale.data[c] * sqrt(vx / (vx + 1e-5))) < 1e-6);
        assert_true(fabs(mean.data[c] - (0.9 * mean0[c] + 0.1 * mx)) < 1e-6);
        assert_true(fabs(var.data[c] - (0.9 * var0[c] + 0.1 * vx)) < 1e-6);
    }
    const float before = mean.data[0];
    oct_tape_set_training(t, false);
    OK(oct_tape_forward(t));
    assert_true(mean.data[0] == before);
    assert_true(fabs(y.data[0] - ((x.data[0] - mean.data[0]) / sqrt(var.data[0] + 1e-5) * scale.data[0] + shift.data[0])) < 1e-6);
    oct_tape_destroy(t);
    oct_model_destroy(m);
}

static void tape__shared_block__two_tapes_of_other_batches_see_one_set_of_values(void **state)
{
    (void)state;
    oct_model *m = small_cnn();
    oct_tape *a = tape_of(m, 2, true, false), *b = tape_of(m, 5, true, false);
    oct_tape_block ba, bb;
    oct_tape_value va, vb;
    oct_tape_get_block(a, &ba);
    oct_tape_get_block(b, &bb);
    assert_int_equal(ba.room, bb.room);
    assert_int_equal(ba.trained, bb.trained);
    assert_true(ba.trained > 0 && ba.trained < ba.room);
    assert_memory_equal(ba.values, bb.values, (size_t)ba.room * sizeof(float));
    oct_tape_set_block(b, ba.values, bb.grads);
    for (int64_t i = 0; oct_tape_value_at(a, i, &va); i++) {
        if (!va.data) { /* inside of operators that are done as one */
            assert_int_equal(oct_tape_find(b, va.name, &vb), OCT_ERR_USAGE);
            continue;
        }
        OK(oct_tape_find(b, va.name, &vb));
        assert_int_equal(va.parameter, vb.parameter);
        assert_int_equal(va.statistic, vb.statistic);
        assert_true((va.parameter || va.statistic) == (va.data == vb.data));
        if (va.parameter || va.statistic)
            assert_int_equal(va.grad - ba.grads, vb.grad - bb.grads);
    }
    oct_tape_destroy(b);
    oct_tape_destroy(a);
    oct_model_destroy(m);
}

static void tape__parameters__are_what_the_list_calls_learnable(void **state)
{
    (void)state;
    oct_model *m = small_cnn();
    oct_tape *t = tape_of(m, 2, true, false);
    oct_tape_value v;
    int parameters = 0;
    for (int64_t i = 0; oct_tape_value_at(t, i, &v); i++) {
        parameters += v.parameter;
        assert_true(!v.parameter || v.grad);
    }
    assert_int_equal(parameters, 3 * 2 + 3 * 2 + 2); /* convolutions, batch norms, gemm */
    OK(oct_tape_find(t, "x", &v));
    assert_null(v.grad);
    OK(oct_tape_find(t, "mean", &v));
    assert_false(v.parameter);
    assert_int_equal(oct_tape_find(t, "nothing", &v), OCT_ERR_USAGE);
    oct_tape_destroy(t);
    oct_model_destroy(m);
}

/* y = a x + b has gradients that can be written down; a second backward does not add to the first, and no seed is no gradient. */
static void backward__seeds__give_the_gradient_of_their_sum(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(2, 2)), *a = net_random(&n, "a", 1, DIMS(2)), *b = net_random(&n, "b", 1, DIMS(2));
    oct_value *p = net_op(&n, OCT_OP_MUL, "p", 2, x, a, NULL);
    OK(oct_graph_add_output(n.g, p));
    oct_model *m = finish(&n, net_add(&n, "y", p, b));
    oct_tape *t = tape_of(m, 0, false, true);
    oct_tape_value vx, va, vb;
    const float of_p[4] = {1, 2, 3, 4}, of_y[4] = {10, 20, 30, 40};
    OK(oct_tape_find(t, "x", &vx));
    OK(oct_tape_find(t, "a", &va));
    OK(oct_tape_find(t, "b", &vb));
    fill(vx.data, 4, 3);
    OK(oct_tape_forward(t));
    for (int i = 0; i < 2; i++)
        OK(oct_tape_backward(t, (const float *const[]){of_p, of_y}));
    assert_true(vb.grad[0] == 40 && vb.grad[1] == 60);
    assert_true(vx.grad[3] == 44 * va.data[1]);
    assert_true(fabs(va.grad[0] - (11 * (double)vx.data[0] + 33 * (double)vx.data[2])) < 1e-5);
    OK(oct_tape_backward(t, (const float *const[]){of_p, NULL}));
    assert_true(vb.grad[0] == 0 && vx.grad[0] == va.data[0]);
    oct_tape_destroy(t);
    oct_model_destroy(m);
}

static void tape__operator_without_gradient__refused_by_name(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *y = net_unary(&n, OCT_OP_DEPTH_TO_SPACE, "spread", net_input(&n, "x", DIMS(1, 4, 2, 2)));
    set_int(&n, y, "blocksize", 2);
    oct_model *m = finish(&n, y);
    oct_tape *t = NULL;
    assert_int_equal(oct_tape_create(m->graph, NULL, &t), OCT_ERR_UNSUPPORTED);
    assert_null(t);
    assert_string_equal(oct_last_error()->message, "operator DepthToSpace of node 'spread' has no gradient: training does not support it");
    assert_string_equal(oct_last_error()->node, "spread");
    oct_model_destroy(m);
}

static void tape__form_without_gradient__refused_by_name(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *y = net_op(&n, OCT_OP_PAD, "pad", 2, net_input(&n, "x", DIMS(4, 4)), net_ints(&n, "pads", 4, (int64_t[]){1, 1, 1, 1}), NULL);
    OK(oct_node_set_string(n.g, y->producer, "mode", "reflect"));
    oct_model *m = finish(&n, y);
    oct_tape *t = NULL;
    assert_int_equal(oct_tape_create(m->graph, NULL, &t), OCT_ERR_UNSUPPORTED);
    assert_string_equal(oct_last_error()->message, "Pad 'pad': a mode other than constant: training does not support it");
    assert_string_equal(oct_last_error()->node, "pad");
    oct_model_destroy(m);
}

/* Output pixels that no window reaches are no convolution's input to oneDNN. */
static void tape__geometry_that_onednn_has_not__refused_by_name(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", DIMS(1, 2, 4, 5)), *y = net_op(&n, OCT_OP_CONV_TRANSPOSE, "up", 2, x, net_random(&n, "w", 1, DIMS(2, 3, 2, 2)), NULL);
    set_ints(&n, y, "strides", INTS(2, 2));
    set_ints(&n, y, "output_padding", INTS(0, 5));
    oct_model *m = finish(&n, y);
    oct_tape *t = NULL;
    assert_int_equal(oct_tape_create(m->graph, NULL, &t), OCT_ERR_UNSUPPORTED);
    assert_string_equal(oct_last_error()->message, "ConvTranspose 'up': a geometry that oneDNN has no convolution for: training does not support it");
    oct_model_destroy(m);
}

static void tape__forward_and_backward__keep_no_memory(void **state)
{
    (void)state;
    oct_model *(*const make[])(void) = {small_cnn, transformer_block};
    for (int i = 0; i < 2; i++) {
        oct_model *m = make[i]();
        oct_tape *t = tape_of(m, i ? 0 : 2, true, true);
        oct_tape_value x, y;
        assert_true(oct_tape_input(t, 0, &x));
        assert_true(oct_tape_output(t, 0, &y));
        fill(x.data, x.count, 1);
        float *seed = calloc((size_t)y.count, sizeof *seed);
        fill(seed, y.count, 2);
        for (int k = 0; k < 2; k++) {
            OK(oct_tape_forward(t));
            OK(oct_tape_backward(t, (const float *const[]){seed}));
        }
        const size_t before = mallinfo2().uordblks;
        for (int k = 0; k < 10; k++) {
            OK(oct_tape_forward(t));
            OK(oct_tape_backward(t, (const float *const[]){seed}));
        }
        assert_int_equal(mallinfo2().uordblks, before);
        free(seed);
        oct_tape_destroy(t);
        oct_model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward__small_nets__equals_the_float_engine),
        cmocka_unit_test(forward__odd_attributes__equals_the_float_engine),
        cmocka_unit_test(forward__channels_last_between_convolutions__equals_the_float_engine),
        cmocka_unit_test(bf16__convolutions__exact_on_whole_numbers_and_close_on_others),
        cmocka_unit_test(batch_norm__training__normalizes_by_the_batch_and_moves_the_averages),
        cmocka_unit_test(tape__shared_block__two_tapes_of_other_batches_see_one_set_of_values),
        cmocka_unit_test(tape__parameters__are_what_the_list_calls_learnable),
        cmocka_unit_test(backward__seeds__give_the_gradient_of_their_sum),
        cmocka_unit_test(tape__operator_without_gradient__refused_by_name),
        cmocka_unit_test(tape__form_without_gradient__refused_by_name),
        cmocka_unit_test(tape__geometry_that_onednn_has_not__refused_by_name),
        cmocka_unit_test(tape__forward_and_backward__keep_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
