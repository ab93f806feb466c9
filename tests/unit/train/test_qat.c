/* From a float model to the graph with quantizers and back: the start is PTQ, the export is what the graph computes, few bits stay few. */
#include "nets.h"

#include <octavo/engine.h>
#include "num/num.h"
#include "qparam/qparam.h"
#include "cpu/cpu.h"
#include "train/agree.h"

enum { BATCH = 4 };

static oct_ranges *ranges_of(const oct_model *m, oct_scheme scheme)
{
    oct_ranges *r;
    OK(oct_ranges_create(scheme, &r));
    OK(oct_graph_hash(m->graph, r->hash));
    for (int64_t i = 0; i < m->graph->value_count; i++) {
        const oct_value *v = m->graph->values[i];
        const bool positive = v->producer && v->producer->op == OCT_OP_RELU;
        if (!v->data && v->dtype == OCT_F32)
            OK(oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)(uintptr_t)v->name, .min = positive ? 0 : -1.6f, .max = 1.5f, .solver = "max", .error = -1}));
    }
    return r;
}

static oct_qat *qat_of(const oct_model *m, const oct_ranges *r, oct_qat_options o)
{
    oct_qat *q = NULL;
    o.batch = BATCH;
    OK(oct_qat_create(m, r, &o, &q));
    if (oct_qat_wants_data(q)) {
        oct_tape *t = NULL;
        oct_tape_value x;
        OK(oct_tape_create(oct_qat_float_graph(q), NULL, &t));
        assert_true(oct_tape_input(t, 0, &x));
        oct_rng rng = {21, 0};
        for (int64_t i = 0; i < x.count; i++)
            x.data[i] = (float)oct_rng_unit(&rng) * 3 - 1.5f;
        OK(oct_tape_forward(t));
        OK(oct_qat_observe(q, t));
        OK(oct_qat_solve(q));
        oct_tape_destroy(t);
    }
    assert_false(oct_qat_wants_data(q));
    return q;
}

/* What a model answers to fixed images in the engine. */
static void answer(const oct_model *m, float *y, int64_t count)
{
    oct_plan *p = NULL;
    oct_context *c = NULL;
    oct_port in, out;
    oct_tensor x = {.dtype = OCT_F32}, got;
    OK(oct_plan_build(m, &(oct_build_options){.batch = BATCH}, &p));
    OK(oct_plan_get_input(p, 0, &in));
    OK(oct_plan_get_output(p, 0, &out));
    int64_t size = 1;
    x.rank = in.rank;
    for (int i = 0; i < in.rank; i++)
        size *= x.dims[i] = in.dims[i];
    float *data = malloc((size_t)size * sizeof *data);
    assert_non_null(data);
    oct_rng rng = {5, 0};
    for (int64_t i = 0; i < size; i++)
        data[i] = (float)oct_rng_unit(&rng) * 3 - 1.5f;
    x.data = data;
    OK(oct_context_create(p, 1, &c));
    OK(oct_context_set_input(c, in.name, &x));
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, out.name, &got));
    memcpy(y, got.data, (size_t)count * sizeof *y);
    oct_context_destroy(c);
    oct_plan_destroy(p);
    free(data);
}

static void simulate(const oct_qat *q, float *y, int64_t count)
{
    oct_tape *t = NULL;
    oct_tape_value x, out;
    OK(oct_tape_create(oct_qat_graph(q), NULL, &t));
    assert_true(oct_tape_input(t, 0, &x) && oct_tape_output(t, 0, &out));
    oct_rng rng = {5, 0};
    for (int64_t i = 0; i < x.count; i++)
        x.data[i] = (float)oct_rng_unit(&rng) * 3 - 1.5f;
    OK(oct_tape_forward(t));
    assert_int_equal(out.count, count);
    memcpy(y, out.data, (size_t)count * sizeof *y);
    oct_tape_destroy(t);
}

static oct_model *exported(const oct_qat *q)
{
    oct_tape *t = NULL;
    oct_model *m = NULL;
    OK(oct_tape_create(oct_qat_graph(q), NULL, &t));
    OK(oct_qat_export(q, t, &m));
    oct_tape_destroy(t);
    return m;
}

static void start__8_bits__is_ptq_to_the_byte(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        const oct_scheme scheme = (oct_scheme)(k & 1);
        const bool per_tensor = k >> 1;
        oct_model *m = net_residual(), *ptq = NULL;
        oct_ranges *r = ranges_of(m, scheme);
        oct_qat *q = qat_of(m, r, (oct_qat_options){.weight_bits = 8, .activation_bits = 8, .per_tensor = per_tensor});
        oct_model *mine = exported(q);
        float a[BATCH * 5], b[BATCH * 5];
        OK(oct_model_quantize(m, r, &(oct_quant_options){.per_tensor = per_tensor}, &ptq));
        answer(ptq, a, BATCH * 5);
        answer(mine, b, BATCH * 5);
        assert_memory_equal(a, b, sizeof a);
        oct_model_destroy(mine);
        oct_model_destroy(ptq);
        oct_qat_destroy(q);
        oct_ranges_destroy(r);
        oct_model_destroy(m);
    }
}

static double distance(const float *a, const float *b, int count)
{
    double d = 0, e = 0;
    for (int i = 0; i < count; i++) {
        d += (a[i] - b[i]) * (a[i] - b[i]);
        e += a[i] * a[i];
    }
    return sqrt(d / e);
}

/* BatchNormalization stays an operator of the trained graph, with factors of both signs; the export has folded it. The bound is that of biases, which only the
 * engine rounds to the grid of sums: some codes beside a tie turn, and one of 4 bits weighs 16 times one of 8. */
static void export__with_batch_norm__computes_what_the_graph_does(void **state)
{
    (void)state;
    static const int bits[][2] = {{8, 8}, {4, 8}, {8, 4}, {4, 4}, {3, 5}};
    for (size_t k = 0; k < 2 * sizeof bits / sizeof *bits; k++) {
        oct_model *m = small_cnn();
        for (int64_t i = 0; i < m->graph->node_count; i++)
            if (m->graph->nodes[i]->op == OCT_OP_BATCH_NORM)
                ((float *)(uintptr_t)m->graph->nodes[i]->inputs[1]->data)[1] *= -1;
        oct_ranges *r = ranges_of(m, OCT_SCHEME_AFFINE);
        oct_qat *q = qat_of(m, r, (oct_qat_options){.weight_bits = bits[k / 2][0], .activation_bits = bits[k / 2][1], .narrow_edges = k % 2});
        oct_model *mine = exported(q);
        float sim[BATCH * 5], engine[BATCH * 5];
        simulate(q, sim, BATCH * 5);
        answer(mine, engine, BATCH * 5);
        if (distance(engine, sim, BATCH * 5) > (bits[k / 2][1] == 8 ? 0.01 : 0.06))
            fail_msg("%d/%d bits: %g", bits[k / 2][0], bits[k / 2][1], distance(engine, sim, BATCH * 5));
        for (int64_t i = 0; i < mine->graph->node_count; i++)
            assert_true(mine->graph->nodes[i]->op != OCT_OP_BATCH_NORM && mine->graph->nodes[i]->op != OCT_OP_FAKE_QUANT);
        oct_model_destroy(mine);
        oct_qat_destroy(q);
        oct_ranges_destroy(r);
        oct_model_destroy(m);
    }
}

/* Largest code of the weights that node n reads. */
static int largest_code(const oct_node *n)
{
    const oct_node *dq = n->inputs[1]->producer;
    int64_t count;
    int most = 0;
    OK(oct_shape_count(&dq->inputs[0]->shape, &count));
    for (int64_t i = 0; i < count; i++)
        most = abs(((const int8_t *)dq->inputs[0]->data)[i]) > most ? abs(((const int8_t *)dq->inputs[0]->data)[i]) : most;
    return most;
}

static void export__4_bits__inner_layers_are_narrow_and_edges_wide(void **state)
{
    (void)state;
    for (int int4 = 0; int4 < 2; int4++) {
        oct_model *m = net_residual();
        oct_ranges *r = ranges_of(m, OCT_SCHEME_AFFINE);
        oct_qat *q = qat_of(m, r, (oct_qat_options){.weight_bits = 4, .activation_bits = 4, .int4 = int4});
        oct_model *mine = exported(q);
        int weighted = 0, clips = 0, small = 0;
        for (int64_t i = 0; i < mine->graph->node_count; i++) {
            const oct_node *n = mine->graph->nodes[i];
            clips += n->op == OCT_OP_CLIP;
            small += n->op == OCT_OP_QUANTIZE && n->outputs[0]->dtype == OCT_U4;
            if (n->op != OCT_OP_CONV && n->op != OCT_OP_GEMM)
                continue;
            const bool edge = weighted == 0 || n->op == OCT_OP_GEMM;
            assert_true(edge ? largest_code(n) == 127 : largest_code(n) <= 8);
            assert_int_equal(n->inputs[1]->producer->inputs[0]->dtype, int4 && !edge ? OCT_S4 : OCT_S8);
            weighted++;
        }
        assert_int_equal(weighted, 5);
        assert_int_equal(clips, int4 ? 0 : 3); /* a and s are read by a sum too, b by a convolution alone */
        assert_int_equal(small, int4 ? 3 : 0);
        if (int4)
            assert_true(mine->graph->opset >= 21);
        float y[BATCH * 5];
        answer(mine, y, BATCH * 5);
        oct_model_destroy(mine);
        oct_qat_destroy(q);
        oct_ranges_destroy(r);
        oct_model_destroy(m);
    }
}

static void create__no_ranges__is_the_float_model(void **state)
{
    (void)state;
    oct_model *m = small_cnn();
    oct_qat *q = qat_of(m, NULL, (oct_qat_options){.weight_bits = 8, .activation_bits = 8});
    oct_model *mine = exported(q);
    float a[BATCH * 5], b[BATCH * 5];
    answer(m, a, BATCH * 5);
    answer(mine, b, BATCH * 5);
    assert_memory_equal(a, b, sizeof a);
    assert_false(oct_model_is_quantized(mine));
    oct_model_destroy(mine);
    oct_qat_destroy(q);
    oct_model_destroy(m);
}

static void settle__scales_stay_positive_and_follow(void **state)
{
    (void)state;
    oct_model *m = small_cnn();
    oct_ranges *r = ranges_of(m, OCT_SCHEME_AFFINE);
    oct_qat *q = qat_of(m, r, (oct_qat_options){.weight_bits = 8, .activation_bits = 8, .mode = OCT_SCALES_EMA});
    oct_tape *t = NULL;
    oct_tape_value w, s, v;
    OK(oct_tape_create(oct_qat_graph(q), &(oct_tape_options){.training = true}, &t));
    OK(oct_tape_find(t, "c0_weights_scale", &s));
    OK(oct_tape_find(t, "weight", &w));
    const float before = s.data[0];
    for (int64_t i = 0; i < w.count; i++)
        w.data[i] *= 2;
    for (int64_t i = 0; oct_tape_value_at(t, i, &v); i++)
        if (v.count == 1 && v.parameter && strstr(v.name, "_scale"))
            v.data[0] = -1;
    OK(oct_qat_settle(q, t));
    assert_true(fabs(s.data[0] / before - 2) < 1e-5);
    const char *name;
    float scale;
    int64_t points = 0;
    for (; oct_qat_scale(q, t, points, &name, &scale); points++)
        assert_true(scale > 0);
    assert_true(points > 3);
    oct_tape_destroy(t);
    oct_qat_destroy(q);
    oct_ranges_destroy(r);
    oct_model_destroy(m);
}

/* Scales, statistics and weights that training could leave, so that nothing is at its start. */
static void stir(oct_tape *t)
{
    oct_tape_value v;
    oct_rng rng = {8, 0};
    for (int64_t i = 0; oct_tape_value_at(t, i, &v); i++)
        for (int64_t k = 0; (v.parameter || v.statistic) && k < v.count; k++) {
            const bool zero = strstr(v.name, "_zero") != NULL, gamma = strcmp(v.name, "scale") == 0;
            v.data[k] *= zero ? 1 : (float)(0.7 + 0.6 * oct_rng_unit(&rng));
            if (gamma && k % 3 == 1)
                v.data[k] = k % 2 ? -v.data[k] : 0;
        }
}

/* Codes of training against the engine's, on some inputs. */
static oct_agreement agreement_of(const oct_model *m, oct_scheme scheme, oct_qat_options o, bool bf16)
{
    oct_ranges *r = ranges_of(m, scheme);
    oct_qat *q = qat_of(m, r, o);
    oct_agreement sum = {0};
    oct_agree *a = NULL;
    oct_tape *t = NULL;
    oct_tape_value x;
    OK(oct_tape_create(oct_qat_graph(q), &(oct_tape_options){.bf16 = bf16}, &t));
    stir(t);
    OK(oct_agree_create(q, t, &a));
    assert_true(oct_tape_input(t, 0, &x));
    for (int n = 0; n < 3; n++) {
        oct_rng rng = {(uint64_t)n + 30, 0};
        for (int64_t i = 0; i < x.count; i++)
            x.data[i] = (float)oct_rng_unit(&rng) * 3 - 1.5f;
        OK(oct_tape_forward(t));
        OK(oct_agree_add(a, t, &sum));
    }
    sum.worst_tensor = NULL;
    oct_agree_destroy(a);
    oct_tape_destroy(t);
    oct_qat_destroy(q);
    oct_ranges_destroy(r);
    return sum;
}

static void agree__nets_of_any_width__every_code_is_the_engines(void **state)
{
    static const int bits[] = {8, 4, 2};
    oct_model *(*const make[])(void) = {small_cnn, net_residual, net_transformer};
    (void)state;
    for (int k = 0; k < 2 * 2 * 2 * 3 * 2 * 3; k++) {
        const int which = k % 3, width = bits[k / 3 % 3], rest = k / 9;
        const bool bf16 = rest >> 3 & 1;
        if (bf16 && !oct_cpu_has_bf16())
            continue;
        oct_model *m = make[which]();
        const oct_agreement sum = agreement_of(m, rest & 1 ? OCT_SCHEME_AFFINE : OCT_SCHEME_SYMMETRIC,
                                               (oct_qat_options){.weight_bits = width, .activation_bits = width, .per_tensor = rest >> 1 & 1, .narrow_edges = rest >> 2 & 1}, bf16);
        /* LayerNormalization sums floats in another order than the engine: a tie may fall to either side */
        const int64_t allowed = which == 2 ? 1 + sum.codes / 2000 : 0;
        if (sum.codes < 300 || sum.differing > allowed || sum.worst > 1.01)
            fail_msg("case %d: %lld of %lld codes differ, by %g", k, (long long)sum.differing, (long long)sum.codes, sum.worst);
        oct_model_destroy(m);
    }
}

/* Gradients of every parameter, products on codes or on real values, one after the other. */
static int64_t gradients_of(const oct_qat *q, bool real_products, float *to, int64_t room)
{
    oct_tape *t = NULL;
    oct_tape_value v, y;
    int64_t count = 0;
    OK(oct_tape_create(oct_qat_graph(q), &(oct_tape_options){.training = true, .real_products = real_products}, &t));
    assert_true(oct_tape_input(t, 0, &v) && oct_tape_output(t, 0, &y));
    oct_rng rng = {12, 0};
    for (int64_t i = 0; i < v.count; i++)
        v.data[i] = (float)oct_rng_unit(&rng) * 3 - 1.5f;
    float *seed = malloc((size_t)y.count * sizeof *seed);
    assert_non_null(seed);
    for (int64_t i = 0; i < y.count; i++)
        seed[i] = (float)(i % 7) - 3;
    OK(oct_tape_forward(t));
    OK(oct_tape_backward(t, (const float *const[]){seed}));
    for (int64_t i = 0; oct_tape_value_at(t, i, &v); i++) {
        if (!v.parameter)
            continue;
        assert_true(count + v.count <= room);
        memcpy(to + count, v.grad, (size_t)v.count * sizeof *to);
        count += v.count;
    }
    free(seed);
    oct_tape_destroy(t);
    return count;
}

static void backward__products_of_codes__gradients_are_those_of_real_values(void **state)
{
    enum { ROOM = 20000 };
    static float a[ROOM], b[ROOM];
    oct_model *(*const make[])(void) = {small_cnn, net_residual, net_transformer};
    (void)state;
    for (int k = 0; k < 6; k++) {
        oct_model *m = make[k % 3]();
        oct_ranges *r = ranges_of(m, OCT_SCHEME_AFFINE);
        oct_qat *q = qat_of(m, r, (oct_qat_options){.weight_bits = 8, .activation_bits = 8, .per_tensor = k >= 3});
        const int64_t count = gradients_of(q, false, a, ROOM);
        double error = 0, size = 0;
        assert_int_equal(gradients_of(q, true, b, ROOM), count);
        for (int64_t i = 0; i < count; i++) {
            error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
            size += (double)b[i] * (double)b[i];
        }
        if (!(sqrt(error / size) < 1e-3)) /* a code on a tie may round to the other side */
            fail_msg("case %d: gradients differ by %g", k, sqrt(error / size));
        oct_qat_destroy(q);
        oct_ranges_destroy(r);
        oct_model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__8_bits__is_ptq_to_the_byte),
        cmocka_unit_test(backward__products_of_codes__gradients_are_those_of_real_values),
        cmocka_unit_test(agree__nets_of_any_width__every_code_is_the_engines),
        cmocka_unit_test(export__with_batch_norm__computes_what_the_graph_does),
        cmocka_unit_test(export__4_bits__inner_layers_are_narrow_and_edges_wide),
        cmocka_unit_test(create__no_ranges__is_the_float_model),
        cmocka_unit_test(settle__scales_stay_positive_and_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
