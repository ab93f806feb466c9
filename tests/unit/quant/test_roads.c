/* The two roads to INT8 and the way back: a cache through the builder, the same cache through a Q/DQ model, and the cache that a
 * Q/DQ model gives all make the same codes. */
#include "graphs.h"

#include <stdio.h>
#include <unistd.h>
#include "build/build.h"
#include "qparam/qparam.h"

enum { CLASSES = 5, SAMPLES = 6, PIXELS = 3 * 8 * 8 };

/* What a plan answers to fixed random images, all its output bytes. */
static void answer(oct_plan *p, float out[SAMPLES * CLASSES])
{
    static float x[SAMPLES * PIXELS];
    oct_rng rng = {5, 0};
    oct_context *c = NULL;
    oct_tensor in = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {SAMPLES, 3, 8, 8}}, y;
    for (int i = 0; i < SAMPLES * PIXELS; i++)
        x[i] = (float)oct_rng_unit(&rng) * 4 - 2;
    OK(oct_context_create(p, 1, &c));
    OK(oct_context_set_input(c, "x", &in));
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, "y", &y));
    memcpy(out, y.data, SAMPLES * CLASSES * sizeof *out);
    oct_context_destroy(c);
    oct_plan_destroy(p);
}

static void by_ranges(const oct_model *m, const oct_ranges *r, float *out)
{
    oct_builder *b = NULL;
    oct_plan *p = NULL;
    OK(oct_builder_create(m, &b));
    OK(oct_builder_add_ranges(b, r));
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8, .batch = SAMPLES}, &p));
    oct_builder_destroy(b);
    answer(p, out);
}

static oct_ranges *ranges_for(const oct_model *m, oct_scheme scheme)
{
    oct_ranges *r;
    oct_rng rng = {9, 0};
    OK(oct_ranges_create(scheme, &r));
    OK(oct_graph_hash(m->graph, r->hash));
    for (int64_t i = 0; i < m->graph->value_count; i++)
        if (!m->graph->values[i]->data && m->graph->values[i]->dtype == OCT_F32)
            OK(oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)(uintptr_t)m->graph->values[i]->name,
                                                    .min = -(float)oct_rng_unit(&rng),
                                                    .max = 1 + (float)oct_rng_unit(&rng),
                                                    .solver = "max",
                                                    .error = -1}));
    return r;
}

static void roads__cache_qdq_and_back__same_bytes(void **state)
{
    (void)state;
    for (int scheme = 0; scheme < 2; scheme++) {
        oct_model *m = net_residual(), *q = NULL;
        oct_ranges *r = ranges_for(m, (oct_scheme)scheme), *back = NULL;
        oct_plan *p = NULL;
        int64_t skipped = -1;
        float direct[SAMPLES * CLASSES], through[SAMPLES * CLASSES], again[SAMPLES * CLASSES];
        by_ranges(m, r, direct);
        OK(oct_model_quantize(m, r, NULL, &q));
        OK(oct_plan_build(q, &(oct_build_options){.batch = SAMPLES}, &p));
        answer(p, through);
        OK(oct_ranges_from_model(q, &back, &skipped));
        assert_int_equal(skipped, 0);
        assert_int_equal(back->scheme, scheme);
        assert_string_equal(back->hash, r->hash);
        by_ranges(m, back, again);
        assert_memory_equal(direct, through, sizeof direct);
        assert_memory_equal(direct, again, sizeof direct);
        oct_ranges_destroy(back);
        oct_ranges_destroy(r);
        oct_model_destroy(q);
        oct_model_destroy(m);
    }
}

/* Some tensors as u8, some as s8 codes of the same grid: one affine cache says both. */
static void roads__codes_of_both_signs__meet_in_one_cache(void **state)
{
    (void)state;
    oct_model *m = net_residual(), *q = NULL;
    oct_ranges *r = ranges_for(m, OCT_SCHEME_AFFINE), *back = NULL;
    float direct[SAMPLES * CLASSES], again[SAMPLES * CLASSES];
    int64_t skipped, turned = 0;
    by_ranges(m, r, direct);
    OK(oct_model_quantize(m, r, NULL, &q));
    for (int64_t i = 0; i < q->graph->node_count; i += 3) {
        oct_node *n = q->graph->nodes[i];
        if (n->op != OCT_OP_QUANTIZE)
            continue;
        int8_t zero = (int8_t)(*(const uint8_t *)n->inputs[2]->data - 128);
        n->inputs[2]->dtype = n->outputs[0]->dtype = OCT_S8;
        memcpy((void *)(uintptr_t)n->inputs[2]->data, &zero, 1);
        turned++;
    }
    assert_true(turned > 0);
    OK(oct_ranges_from_model(q, &back, &skipped));
    assert_int_equal(back->scheme, OCT_SCHEME_AFFINE);
    by_ranges(m, back, again);
    assert_memory_equal(direct, again, sizeof direct);
    oct_ranges_destroy(back);
    oct_ranges_destroy(r);
    oct_model_destroy(q);
    oct_model_destroy(m);
}

static void roads__float_model__has_no_cache_to_give(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_ranges *r = NULL;
    int64_t skipped;
    assert_int_equal(oct_ranges_from_model(m, &r, &skipped), OCT_ERR_CONTENT);
    assert_null(r);
    oct_model_destroy(m);
}

/* A cache as TensorRT writes it, from hand-made hex: scale 2^-6 is 3c800000; the layer reads it as written, symmetric s8. */
static void tensorrt_cache__written_by_hand__scales_are_those_bits(void **state)
{
    (void)state;
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){1, 8, 4, 4});
    oct_value *h = net_unary(&n, OCT_OP_RELU, "(Unnamed Layer* 0) [Conv: 3x3]_output", net_conv(&n, "c0", x, 8, 8, 1));
    OK(oct_graph_add_output(n.g, net_conv(&n, "c1", h, 8, 8, 1)));
    oct_model *m = net_model(&n);
    char path[] = "/tmp/octavo-roads-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] =
        "TRT-8602-EntropyCalibration2\nx: 3c800000\n(Unnamed Layer* 0) [Conv: 3x3]_output: 3d000000\nunused: 3f800000\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    oct_builder *b = NULL;
    oct_plan *p = NULL;
    OK(oct_builder_create(m, &b));
    OK(oct_builder_load_ranges(b, path));
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8}, &p));
    int seen = 0;
    for (int32_t i = 0; i < p->tensor_count; i++) {
        const oct_plan_tensor *t = &p->tensors[i];
        if (t->scale > 0 && t->biased) {
            assert_true(t->scale == 0x1p-6f || t->scale == 0x1p-5f);
            assert_int_equal(t->zero, 128);
            seen++;
        }
    }
    assert_true(seen >= 2);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roads__cache_qdq_and_back__same_bytes),
        cmocka_unit_test(roads__codes_of_both_signs__meet_in_one_cache),
        cmocka_unit_test(roads__float_model__has_no_cache_to_give),
        cmocka_unit_test(tensorrt_cache__written_by_hand__scales_are_those_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
