/* Ranges in memory and as files: exact round trips, and every kind of broken cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/rng.h"
#include "num/num.h"
#include "qparam/qparam.h"

static char file[] = "/tmp/octavo-cache-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(file);
}

static oct_status load_text(const char *text, oct_ranges **out)
{
    assert_int_equal(oct_file_write(file, text, (int64_t)strlen(text)), OCT_OK);
    return oct_ranges_load(file, out);
}

static float any_float(oct_rng *rng)
{
    for (;;) {
        float f = oct_f32_from_bits((uint32_t)oct_rng_next(rng));
        if (isfinite(f))
            return f;
    }
}

static void ranges__put_find_set__last_one_wins(void **state)
{
    (void)state;
    oct_ranges *r;
    oct_range got;
    assert_int_equal(oct_ranges_create(OCT_SCHEME_AFFINE, &r), OCT_OK);
    assert_int_equal(oct_ranges_set(r, "x", 0, 255), OCT_OK);
    assert_int_equal(oct_ranges_set(r, "y", -1, 1), OCT_OK);
    assert_int_equal(oct_ranges_set(r, "x", 0, 51), OCT_OK);
    assert_int_equal(oct_ranges_count(r), 2);
    assert_int_equal(oct_ranges_get(r, 0, &got), OCT_OK);
    assert_string_equal(got.tensor, "x");
    assert_string_equal(got.solver, "user");
    assert_true(got.scale == 0.2f && got.zero == 0 && got.max == 51);
    assert_non_null(oct_ranges_find(r, "y"));
    assert_null(oct_ranges_find(r, "z"));
    assert_int_equal(oct_ranges_get(r, 2, &got), OCT_ERR_USAGE);
    oct_ranges_destroy(r);
}

static void ranges__bad_values__usage_and_unchanged(void **state)
{
    (void)state;
    oct_ranges *r;
    assert_int_equal(oct_ranges_create(OCT_SCHEME_SYMMETRIC, &r), OCT_OK);
    assert_int_equal(oct_ranges_set(r, "x", 1, -1), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "'x'"));
    assert_int_equal(oct_ranges_set(r, "x", NAN, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_ranges_set(r, "x", 0, INFINITY), OCT_ERR_USAGE);
    assert_int_equal(oct_ranges_set(r, "", 0, 1), OCT_ERR_USAGE);
    assert_int_equal(oct_ranges_put(r, &(oct_range_entry){.tensor = (char *)"x", .max = 1, .scale = 1, .zero = 128}), OCT_ERR_CONTENT);
    assert_int_equal(oct_ranges_count(r), 0);
    oct_ranges_destroy(r);
}

static void json__any_floats_and_names__come_back_bit_for_bit(void **state)
{
    (void)state;
    oct_rng rng = {7, 0};
    oct_ranges *r, *b;
    assert_int_equal(oct_ranges_create(OCT_SCHEME_AFFINE, &r), OCT_OK);
    strcpy(r->hash, "0123456789abcdef");
    r->samples = 512;
    r->method = "auto";
    for (int i = 0; i < 500; i++) {
        char name[64];
        snprintf(name, sizeof name, "a/b:%d \"q\" \\ \t\xc3\xa9", i);
        float a = any_float(&rng), c = any_float(&rng), scale = fabsf(any_float(&rng));
        oct_range_entry e = {.tensor = name, .min = fminf(a, c), .max = fmaxf(a, c), .scale = scale ? scale : 1, .zero = i % 256,
                             .solver = (char *)"max", .digest = (double)scale * 1e-3, .error = i % 2 ? -1 : (double)scale};
        assert_int_equal(oct_ranges_put(r, &e), OCT_OK);
    }
    assert_int_equal(oct_ranges_save(r, file, OCT_CACHE_JSON), OCT_OK);
    assert_int_equal(oct_ranges_load(file, &b), OCT_OK);
    assert_int_equal(b->count, r->count);
    assert_int_equal(b->samples, 512);
    assert_string_equal(b->hash, r->hash);
    assert_string_equal(b->method, "auto");
    assert_int_equal(b->scheme, OCT_SCHEME_AFFINE);
    for (int64_t i = 0; i < r->count; i++) {
        const oct_range_entry *x = &r->entries[i], *y = &b->entries[i];
        assert_string_equal(x->tensor, y->tensor);
        assert_string_equal(x->solver, y->solver);
        assert_memory_equal(&x->min, &y->min, 4);
        assert_memory_equal(&x->max, &y->max, 4);
        assert_memory_equal(&x->scale, &y->scale, 4);
        assert_true(x->zero == y->zero && x->digest == y->digest && x->error == y->error);
    }
    oct_ranges_destroy(b);
    oct_ranges_destroy(r);
}

static void tensorrt__published_lines__scale_as_written_and_symmetric(void **state)
{
    (void)state;
    oct_ranges *r;
    assert_int_equal(load_text("TRT-7103-EntropyCalibration2\ndata: 3c008912\r\n(Unnamed Layer* 0) [Convolution]_output: 404efcc8\n\n"
                               "a:b: c: 3c010a14", &r), OCT_OK);
    assert_int_equal(r->scheme, OCT_SCHEME_SYMMETRIC);
    assert_int_equal(r->count, 3);
    assert_string_equal(oct_ranges_model_hash(r), "");
    const oct_range_entry *e = oct_ranges_find(r, "data");
    assert_non_null(e);
    assert_int_equal(oct_f32_bits(e->scale), 0x3c008912);
    assert_true(e->zero == 0 && e->max == -e->min && fabsf(e->max - 127 * 0.0078452f) < 1e-4f);
    assert_non_null(oct_ranges_find(r, "(Unnamed Layer* 0) [Convolution]_output"));
    e = oct_ranges_find(r, "a:b: c");
    assert_true(e && oct_f32_bits(e->scale) == 0x3c010a14);
    assert_int_equal(oct_ranges_save(r, file, OCT_CACHE_TENSORRT), OCT_OK);
    oct_ranges *b;
    assert_int_equal(oct_ranges_load(file, &b), OCT_OK);
    assert_int_equal(b->count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(b->entries[i].scale == r->entries[i].scale && strcmp(b->entries[i].tensor, r->entries[i].tensor) == 0);
    oct_ranges_destroy(b);
    oct_ranges_destroy(r);
}

static void tensorrt__affine_ranges__written_as_absmax_over_127(void **state)
{
    (void)state;
    oct_ranges *r, *b;
    assert_int_equal(oct_ranges_create(OCT_SCHEME_AFFINE, &r), OCT_OK);
    assert_int_equal(oct_ranges_set(r, "x", -2, 254), OCT_OK);
    assert_int_equal(oct_ranges_save(r, file, OCT_CACHE_TENSORRT), OCT_OK);
    assert_int_equal(oct_ranges_load(file, &b), OCT_OK);
    assert_true(b->entries[0].scale == 2.0f);
    assert_int_equal(oct_ranges_set(r, "a\nb", -2, 254), OCT_OK);
    assert_int_equal(oct_ranges_save(r, file, OCT_CACHE_TENSORRT), OCT_ERR_CONTENT);
    oct_ranges_destroy(b);
    oct_ranges_destroy(r);
}

static void tensorrt__broken__content_naming_the_line(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } cases[] = {
        {"TRT-8602\nx: 3c008912\n", "line 1"}, {"TRT-\n", "line 1"}, {"TRT-8602-E\nx 3c008912\n", "line 2"},
        {"TRT-8602-E\nx: 3c00891\n", "line 2"}, {"TRT-8602-E\nx: 3c0089123\n", "line 2"}, {"TRT-8602-E\nx: 3c00891g\n", "line 2"},
        {"TRT-8602-E\n\nx: 00000000\n", "line 3"}, {"TRT-8602-E\nx: 7f800000\n", "line 2"}, {"TRT-8602-E\nx: bc008912\n", "line 2"},
        {"TRT-8602-E\nx: 7f000000\n", "line 2"}, {"TRT-8602-E\nx: 3c008912\nx: 3c008912\n", "line 3"}, {"TRT-8602-E\n: 3c008912\n", "line 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oct_ranges *r = NULL;
        assert_int_equal(load_text(cases[i].text, &r), OCT_ERR_CONTENT);
        assert_null(r);
        assert_non_null(strstr(oct_last_error()->message, cases[i].says));
        assert_string_equal(oct_last_error()->file, file);
    }
}

#define HEAD "{\"format\":\"octavo-calibration\",\"version\":1,\"model_hash\":\"\",\"method\":\"max\",\"samples\":1,\"scheme\":\"affine\",\"tensors\":["
#define TENSOR(min, max, scale, zero) "{\"name\":\"t\",\"min\":" min ",\"max\":" max ",\"scale\":" scale ",\"zero\":" zero ",\"solver\":\"max\",\"digest\":1}"

static void json__broken__content_naming_line_or_tensor(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } cases[] = {
        {"", "starts neither"}, {"hello", "starts neither"}, {"{\n\"format\": \n oops}", "line 3"}, {"{}", "\"format\""},
        {"{\"format\":\"x\"}", "format is \"x\""}, {"{\"format\":\"octavo-calibration\",\"version\":2}", "version 2"},
        {HEAD "]} x", "line 1"}, {HEAD "7]}", "\"name\""}, {HEAD TENSOR("0", "1", "0", "0") "]}", "scale"},
        {HEAD TENSOR("0", "1", "1e-60", "0") "]}", "scale"}, {HEAD TENSOR("2", "1", "1", "0") "]}", "'t'"},
        {HEAD TENSOR("0", "1e39", "1", "0") "]}", "max"}, {HEAD TENSOR("0", "1", "1", "-1") "]}", "zero point"},
        {HEAD TENSOR("0", "1", "1", "1.5") "]}", "no integer"}, {HEAD TENSOR("0", "1", "1", "0") "," TENSOR("0", "1", "1", "0") "]}", "twice"},
        {HEAD TENSOR("\"0\"", "1", "1", "0") "]}", "min"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oct_ranges *r = NULL;
        assert_int_equal(load_text(cases[i].text, &r), OCT_ERR_CONTENT);
        assert_null(r);
        if (!strstr(oct_last_error()->message, cases[i].says))
            fail_msg("case %zu: \"%s\" does not say %s", i, oct_last_error()->message, cases[i].says);
    }
    oct_ranges *r = NULL;
    assert_int_equal(load_text(HEAD TENSOR("0", "1", "1", "256") "]}", &r), OCT_ERR_CONTENT);
    assert_string_equal(oct_last_error()->node, "t");
}

static void json__truncated_anywhere__content_never_a_crash(void **state)
{
    (void)state;
    const char *whole = HEAD TENSOR("0", "1", "1", "0") "]}";
    oct_ranges *r = NULL;
    for (size_t n = 0; n < strlen(whole); n++) {
        char *part = strndup(whole, n);
        assert_int_equal(load_text(part, &r), OCT_ERR_CONTENT);
        free(part);
    }
    assert_int_equal(load_text(whole, &r), OCT_OK);
    oct_ranges_destroy(r);
    assert_int_equal(oct_ranges_load("/nonexistent/cache", &r), OCT_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges__put_find_set__last_one_wins),
        cmocka_unit_test(ranges__bad_values__usage_and_unchanged),
        cmocka_unit_test(json__any_floats_and_names__come_back_bit_for_bit),
        cmocka_unit_test(tensorrt__published_lines__scale_as_written_and_symmetric),
        cmocka_unit_test(tensorrt__affine_ranges__written_as_absmax_over_127),
        cmocka_unit_test(tensorrt__broken__content_naming_the_line),
        cmocka_unit_test(json__broken__content_naming_line_or_tensor),
        cmocka_unit_test(json__truncated_anywhere__content_never_a_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
