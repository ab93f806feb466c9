/* The builder in calibrated mode: ranges, constraints, what is refused, what the report says.  The choice itself: test_energy.c. */
#include "unit/quant/graphs.h"

#include <cjson/cJSON.h>
#include <octavo/engine.h>
#include "plan/plan.h"
#include "qparam/qparam.h"

/* A range for every computed tensor, as a calibration would leave them. */
static void fill_ranges(const oct_model *m, oct_ranges *r)
{
    for (int64_t i = 0; i < m->graph->value_count; i++)
        if (!m->graph->values[i]->data && m->graph->values[i]->dtype == OCT_F32)
            OK(oct_ranges_put(
                r, &(oct_range_entry){
                       .tensor = (char *)(uintptr_t)m->graph->values[i]->name, .min = -1, .max = 2, .solver = "max", .error = -1}));
}

static oct_builder *calibrated(const oct_model *m)
{
    oct_builder *b = NULL;
    oct_ranges *r = NULL;
    OK(oct_ranges_create(OCT_SCHEME_AFFINE, &r));
    fill_ranges(m, r);
    OK(oct_builder_create(m, &b));
    OK(oct_builder_add_ranges(b, r));
    oct_ranges_destroy(r);
    return b;
}

static int count_int8(const oct_plan *p)
{
    int n = 0;
    for (int32_t i = 0; i < p->step_count; i++)
        n += p->steps[i].precision == OCT_PREC_INT8;
    return n;
}

/* The step that a layer of the source model has become; NULL = none. */
static const oct_plan_step *step_of(const oct_plan *p, const char *layer)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        const char *at = oct_plan_string(p, p->steps[i].sources);
        size_t n = strlen(layer);
        for (; *at; at += strcspn(at, "\n"), at += *at == '\n')
            if (p->steps[i].precision != OCT_PREC_CONVERT && strncmp(at, layer, n) == 0 && (at[n] == 0 || at[n] == '\n'))
                return &p->steps[i];
    }
    return NULL;
}

static cJSON *report_of(const oct_builder *b)
{
    char *text = NULL;
    OK(oct_builder_report_json(b, &text));
    cJSON *root = cJSON_Parse(text);
    oct_string_free(text);
    assert_non_null(root);
    return root;
}

static const oct_build_options as_int8 = {.mode = OCT_BUILD_INT8};

static void ranges__int8_mode__every_weighted_layer_is_int8(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *p = NULL;
    OK(oct_builder_build(b, &as_int8, &p));
    for (int i = 0; i < 4; i++)
        assert_int_equal(step_of(p, (const char *[]){"c0", "c1", "c2", "c3"}[i])->precision, OCT_PREC_INT8);
    oct_plan_destroy(p);
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_FLOAT}, &p));
    assert_int_equal(count_int8(p), 0);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void ranges__one_missing__its_layers_are_float_and_name_it(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = NULL;
    oct_plan *p = NULL;
    OK(oct_builder_create(m, &b));
    OK(oct_builder_set_range(b, "x", -1, 1));
    OK(oct_builder_set_range(b, "a", 0, 1));
    OK(oct_builder_build(b, &as_int8, &p));
    assert_int_equal(step_of(p, "c0")->precision, OCT_PREC_INT8);
    const oct_plan_step *s = step_of(p, "c1");
    assert_int_equal(s->precision, OCT_PREC_FLOAT);
    assert_string_equal(oct_plan_string(p, s->reason), "tensor 'b' has no range");
    cJSON *report = report_of(b);
    assert_non_null(strstr(cJSON_GetObjectItem(report, "notes")->child->valuestring,
                           "stay in float: tensor 'b' has no range, tensor 's' has no range"));
    cJSON_Delete(report);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void ranges__set_where_no_codes_are__noted(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *p = NULL;
    OK(oct_builder_set_range(b, "c0", -1, 1)); /* a is what c0 writes: the activation fuses */
    OK(oct_builder_set_range(b, "a", 0, 1));
    OK(oct_builder_build(b, &as_int8, &p));
    cJSON *report = report_of(b);
    const cJSON *notes = cJSON_GetObjectItem(report, "notes");
    assert_int_equal(cJSON_GetArraySize(notes), 1);
    assert_string_equal(notes->child->valuestring, "the range of tensor 'c0' is not used: no layer reads or writes codes of it");
    cJSON_Delete(report);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void ranges__set_by_hand__win_over_the_cache_in_any_order(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_ranges *r = NULL;
    oct_builder *b = NULL;
    oct_plan *p = NULL;
    OK(oct_ranges_create(OCT_SCHEME_AFFINE, &r));
    fill_ranges(m, r);
    OK(oct_builder_create(m, &b));
    OK(oct_builder_set_range(b, "b", 0, 5.1f));
    OK(oct_builder_add_ranges(b, r));
    OK(oct_builder_build(b, &as_int8, &p));
    const oct_plan_step *s = step_of(p, "c1");
    assert_float_equal(p->tensors[p->index[s->out_first]].scale, 5.1 / 255, 1e-7);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_ranges_destroy(r);
    oct_model_destroy(m);
}

static void bad_input__ranges_and_layers__are_refused_by_name(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_ranges *r = NULL;
    oct_builder *b = NULL;
    OK(oct_builder_create(m, &b));
    assert_int_equal(oct_builder_set_range(b, "x", 2, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_builder_set_range(b, "x", NAN, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_builder_set_range(b, "x", 0, INFINITY), OCT_ERR_USAGE);
    assert_int_equal(oct_builder_set_range(b, "weight", 0, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_builder_set_range(b, "nosuch", 0, 1), OCT_ERR_USAGE);
    assert_string_equal(oct_last_error()->node, "nosuch");
    assert_int_equal(oct_builder_set_precision(b, "nosuch", OCT_LAYER_INT8), OCT_ERR_USAGE);
    OK(oct_ranges_create(OCT_SCHEME_AFFINE, &r));
    fill_ranges(m, r);
    strcpy(r->hash, "0123456789abcdef");
    assert_int_equal(oct_builder_add_ranges(b, r), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "another model"));
    oct_builder_destroy(b);
    oct_ranges_destroy(r);
    oct_model_destroy(m);
}

static void constraint__layer_in_float__alone_is_float_with_its_reason(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *all = NULL, *p = NULL;
    OK(oct_builder_build(b, &as_int8, &all));
    OK(oct_builder_set_precision(b, "c1", OCT_LAYER_FLOAT));
    OK(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8, .obey = true}, &p));
    assert_int_equal(count_int8(p), count_int8(all) - 1);
    assert_string_equal(oct_plan_string(p, step_of(p, "c1")->reason), "held in float by request");
    oct_plan_destroy(p);
    oct_plan_destroy(all);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void constraint__that_cannot_be_met__note_or_demand(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *p = NULL;
    OK(oct_builder_set_precision(b, "y", OCT_LAYER_INT8)); /* a softmax */
    OK(oct_builder_build(b, &as_int8, &p));
    cJSON *report = report_of(b);
    const cJSON *notes = cJSON_GetObjectItem(report, "notes");
    assert_int_equal(cJSON_GetArraySize(notes), 1);
    assert_non_null(strstr(notes->child->valuestring, "layer 'y' does not run in INT8"));
    cJSON_Delete(report);
    oct_plan_destroy(p);
    p = NULL;
    assert_int_equal(oct_builder_build(b, &(oct_build_options){.mode = OCT_BUILD_INT8, .obey = true}, &p), OCT_ERR_DEMAND);
    assert_null(p);
    assert_string_equal(oct_last_error()->node, "y");
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void search__wish_for_int8__float_plan_is_no_candidate(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *p = NULL;
    OK(oct_builder_set_precision(b, "c0", OCT_LAYER_INT8));
    OK(oct_builder_build(b, &(oct_build_options){.obey = true}, &p)); /* fails if c0 came out in float */
    cJSON *report = report_of(b);
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(report, "candidates"))
        assert_string_not_equal(cJSON_GetObjectItem(c, "name")->valuestring, "float");
    cJSON_Delete(report);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

static void search__deterministic__same_bytes_twice_and_every_node_accounted_for(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_plan *p[2];
    for (int i = 0; i < 2; i++) {
        oct_builder *b = calibrated(m);
        OK(oct_builder_build(b, &(oct_build_options){.level = 2, .deterministic = true}, &p[i]));
        cJSON *report = report_of(b), *layers = cJSON_GetObjectItem(report, "layers");
        const cJSON *l;
        assert_string_equal(cJSON_GetObjectItem(report, "mode")->valuestring, "calibrated");
        assert_int_equal(cJSON_GetArraySize(layers), m->graph->node_count);
        cJSON_ArrayForEach(l, layers) if (strcmp(cJSON_GetObjectItem(l, "precision")->valuestring, "int8") != 0)
            assert_true(*cJSON_GetObjectItem(l, "reason")->valuestring);
        cJSON_Delete(report);
        oct_builder_destroy(b);
    }
    assert_int_equal(p[0]->header->total, p[1]->header->total);
    assert_memory_equal(p[0]->header, p[1]->header, p[0]->header->total);
    for (int i = 0; i < 2; i++)
        oct_plan_destroy(p[i]);
    oct_model_destroy(m);
}

static void search__timed__takes_a_candidate_that_was_raced(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_builder *b = calibrated(m);
    oct_plan *p = NULL;
    OK(oct_builder_build(b, &(oct_build_options){.level = 1, .threads = 1}, &p));
    cJSON *report = report_of(b), *list = cJSON_GetObjectItem(report, "candidates");
    const cJSON *c;
    double least = 1e9, taken = -1;
    cJSON_ArrayForEach(c, list)
    {
        double ms = cJSON_GetObjectItem(c, "ms")->valuedouble;
        assert_true(ms > 0);
        least = ms < least ? ms : least;
        if (strcmp(cJSON_GetObjectItem(c, "name")->valuestring, cJSON_GetObjectItem(report, "chosen")->valuestring) == 0)
            taken = ms;
    }
    assert_true(cJSON_GetArraySize(list) >= 2 && taken == least);
    cJSON_Delete(report);
    oct_plan_destroy(p);
    oct_builder_destroy(b);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges__int8_mode__every_weighted_layer_is_int8),
        cmocka_unit_test(ranges__one_missing__its_layers_are_float_and_name_it),
        cmocka_unit_test(ranges__set_where_no_codes_are__noted),
        cmocka_unit_test(ranges__set_by_hand__win_over_the_cache_in_any_order),
        cmocka_unit_test(bad_input__ranges_and_layers__are_refused_by_name),
        cmocka_unit_test(constraint__layer_in_float__alone_is_float_with_its_reason),
        cmocka_unit_test(constraint__that_cannot_be_met__note_or_demand),
        cmocka_unit_test(search__wish_for_int8__float_plan_is_no_candidate),
        cmocka_unit_test(search__deterministic__same_bytes_twice_and_every_node_accounted_for),
        cmocka_unit_test(search__timed__takes_a_candidate_that_was_raced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
