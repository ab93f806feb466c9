/* The error record and the constant names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <octavo/tensor.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/status.h"

static void fail__message_node_file__are_recorded(void **state)
{
    (void)state;
    assert_int_equal(oct_fail(OCT_ERR_CONTENT, "conv '%s': %d", "c1", 7), OCT_ERR_CONTENT);
    assert_int_equal(oct_fail_node(OCT_ERR_CONTENT, "c1"), OCT_ERR_CONTENT);
    oct_fail_node(OCT_ERR_CONTENT, "later");
    oct_fail_file(OCT_ERR_CONTENT, "m.onnx");
    const oct_error *e = oct_last_error();
    assert_int_equal(e->status, OCT_ERR_CONTENT);
    assert_string_equal(e->message, "conv 'c1': 7");
    assert_string_equal(e->node, "c1");
    assert_string_equal(e->file, "m.onnx");
    oct_fail(OCT_ERR_IO, "next");
    e = oct_last_error();
    assert_string_equal(e->node, "");
    assert_string_equal(e->file, "");
}

static void fail__long_text__is_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    oct_fail(OCT_ERR_CONTENT, "%s", text);
    oct_fail_node(OCT_ERR_CONTENT, text);
    oct_fail_file(OCT_ERR_CONTENT, text);
    assert_int_equal(strlen(oct_last_error()->message), 1023);
    assert_int_equal(strlen(oct_last_error()->node), 255);
    assert_int_equal(strlen(oct_last_error()->file), 1023);
}

static void fail__quotes_its_own_record__keeps_both(void **state)
{
    (void)state;
    oct_fail(OCT_ERR_IO, "inner");
    oct_fail(OCT_ERR_CONTENT, "outer: %s", oct_last_error()->message);
    assert_string_equal(oct_last_error()->message, "outer: inner");
}

static void *other_thread(void *arg)
{
    int *clean = arg;
    *clean = oct_last_error()->status == OCT_OK && oct_last_error()->message[0] == '\0';
    oct_fail(OCT_ERR_INTERNAL, "of the other thread");
    return NULL;
}

static void last_error__other_thread__has_its_own(void **state)
{
    (void)state;
    oct_fail(OCT_ERR_USAGE, "mine");
    int clean = 0;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, other_thread, &clean), 0);
    pthread_join(t, NULL);
    assert_true(clean);
    assert_string_equal(oct_last_error()->message, "mine");
}

static void names__all_values__are_constant_words(void **state)
{
    (void)state;
    assert_string_equal(oct_status_name(OCT_OK), "ok");
    assert_string_equal(oct_status_name(OCT_ERR_UNSUPPORTED), "unsupported");
    assert_string_equal(oct_status_name((oct_status)99), "unknown");
    assert_string_equal(oct_dtype_name(OCT_F32), "float32");
    assert_string_equal(oct_dtype_name((oct_dtype)99), "none");
    assert_int_equal(oct_dtype_size(OCT_BF16), 2);
    assert_int_equal(oct_dtype_size(OCT_F64), 8);
    assert_int_equal(oct_dtype_size(OCT_S4), 0);
    assert_int_equal(oct_dtype_size(OCT_STRING), 0);
    int major, minor, patch;
    assert_int_equal(sscanf(oct_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    oct_tensor t = {.rank = 3, .dims = {2, 3, 5}};
    assert_int_equal(oct_tensor_count(&t), 30);
    t.rank = 0;
    assert_int_equal(oct_tensor_count(&t), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail__message_node_file__are_recorded), cmocka_unit_test(fail__long_text__is_cut),
        cmocka_unit_test(fail__quotes_its_own_record__keeps_both), cmocka_unit_test(last_error__other_thread__has_its_own),
        cmocka_unit_test(names__all_values__are_constant_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
