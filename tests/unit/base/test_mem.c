/* Checked sizes, blocks, arena, growing arrays and text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"

static void size__overflow_or_negative__is_content_and_leaves_output(void **state)
{
    (void)state;
    int64_t n = 77;
    assert_int_equal(oct_size_mul(INT64_MAX / 2, 3, &n), OCT_ERR_CONTENT);
    assert_int_equal(oct_size_mul(-1, 3, &n), OCT_ERR_CONTENT);
    assert_int_equal(oct_size_add(INT64_MAX, 1, &n), OCT_ERR_CONTENT);
    assert_int_equal(oct_size_add(1, -1, &n), OCT_ERR_CONTENT);
    assert_int_equal(n, 77);
    assert_int_equal(oct_size_mul(1ll << 31, 1ll << 31, &n), OCT_OK);
    assert_true(n == 1ll << 62);
    assert_int_equal(oct_size_add(INT64_MAX - 1, 1, &n), OCT_OK);
    assert_true(n == INT64_MAX);
}

static void count__dims__product_or_error(void **state)
{
    (void)state;
    int64_t n = 77;
    assert_int_equal(oct_size_count((int64_t[]){2, 3, 4}, 3, &n), OCT_OK);
    assert_int_equal(n, 24);
    assert_int_equal(oct_size_count(NULL, 0, &n), OCT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(oct_size_count((int64_t[]){5, 0, 4}, 3, &n), OCT_OK);
    assert_int_equal(n, 0);
    n = 77;
    assert_int_equal(oct_size_count((int64_t[]){1ll << 23, 1ll << 23, 2}, 3, &n), OCT_ERR_CONTENT);
    assert_int_equal(oct_size_count((int64_t[]){0, INT64_MAX, INT64_MAX}, 3, &n), OCT_ERR_CONTENT);
    assert_int_equal(oct_size_count((int64_t[]){3, -1}, 2, &n), OCT_ERR_CONTENT);
    assert_int_equal(n, 77);
    assert_int_equal(oct_size_count((int64_t[]){1ll << 23, 1ll << 23}, 2, &n), OCT_OK);
}

static void alloc__any_size__is_aligned_zeroed_and_has_slack(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *p = NULL;
        assert_int_equal(oct_alloc(sizes[i], true, &p), OCT_OK);
        assert_int_equal((uintptr_t)p % OCT_ALIGN, 0);
        for (int64_t k = 0; k < sizes[i] + OCT_ALIGN; k++)
            assert_int_equal(((uint8_t *)p)[k], 0);
        oct_free(p);
    }
    void *p = (void *)1;
    assert_int_equal(oct_alloc(-1, false, &p), OCT_ERR_MEMORY);
    assert_int_equal(oct_alloc(INT64_MAX, false, &p), OCT_ERR_MEMORY);
    assert_ptr_equal(p, (void *)1);
    oct_free(NULL);
}

static void arena__many_sizes__blocks_are_apart_aligned_and_zeroed(void **state)
{
    (void)state;
    oct_arena *a = NULL;
    assert_int_equal(oct_arena_create(&a), OCT_OK);
    enum { COUNT = 3000 };
    uint8_t *blocks[COUNT];
    int64_t sizes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = i % 500 == 7 ? 70000 + i : (i * 37) % 300;
        assert_int_equal(oct_arena_alloc(a, sizes[i], (void **)&blocks[i]), OCT_OK);
        assert_int_equal((uintptr_t)blocks[i] % (sizes[i] >= 64 ? 64 : 16), 0);
        for (int64_t k = 0; k < sizes[i]; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], i & 255, (size_t)sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (int64_t k = 0; k < sizes[i]; k++)
            assert_int_equal(blocks[i][k], i & 255);
    /* slack after the last block, whichever chunk it ended */
    volatile uint8_t sum = 0;
    for (int i = 0; i < COUNT; i++)
        for (int64_t k = 0; k < OCT_ALIGN; k++)
            sum = (uint8_t)(sum + blocks[i][sizes[i] + k]);
    void *p = (void *)1;
    assert_int_equal(oct_arena_alloc(a, -5, &p), OCT_ERR_MEMORY);
    assert_int_equal(oct_arena_alloc(a, INT64_MAX, &p), OCT_ERR_MEMORY);
    assert_ptr_equal(p, (void *)1);
    oct_arena_destroy(a);
    oct_arena_destroy(NULL);
}

static void arena__text__is_copied_and_formatted(void **state)
{
    (void)state;
    oct_arena *a = NULL;
    assert_int_equal(oct_arena_create(&a), OCT_OK);
    char source[] = "abc", *copy = NULL, *text = NULL;
    assert_int_equal(oct_arena_strdup(a, source, &copy), OCT_OK);
    source[0] = 'x';
    assert_string_equal(copy, "abc");
    assert_int_equal(oct_arena_printf(a, &text, "%s_%d", copy, 12), OCT_OK);
    assert_string_equal(text, "abc_12");
    void *bytes = NULL;
    assert_int_equal(oct_arena_memdup(a, NULL, 0, &bytes), OCT_OK);
    assert_non_null(bytes);
    oct_arena_destroy(a);
}

static void push__many__array_grows_and_keeps(void **state)
{
    (void)state;
    int32_t *items = NULL;
    int64_t count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(OCT_PUSH(items, count, capacity, i), OCT_OK);
    assert_int_equal(count, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_int_not_equal(oct_grow((void **)&items, &capacity, INT64_MAX / 2, sizeof *items), OCT_OK);
    assert_int_equal(items[999], 999);
    free(items);
}

static void text__pieces__are_joined(void **state)
{
    (void)state;
    oct_text t = {0};
    for (int i = 0; i < 100; i++)
        oct_text_printf(&t, "%d,", i);
    oct_text_append(&t, "end", 3);
    char *s = NULL;
    assert_int_equal(oct_text_finish(&t, &s), OCT_OK);
    assert_int_equal(strlen(s), 10 * 2 + 90 * 3 + 3);
    assert_string_equal(s + strlen(s) - 6, "99,end");
    free(s);
    assert_int_equal(oct_text_finish(&t, &s), OCT_OK);
    assert_string_equal(s, "");
    free(s);
}

static void text__error__sticks(void **state)
{
    (void)state;
    oct_text t = {0};
    oct_text_printf(&t, "before");
    t.status = oct_fail(OCT_ERR_MEMORY, "no memory");
    oct_text_printf(&t, "after");
    char *s = (char *)1;
    assert_int_equal(oct_text_finish(&t, &s), OCT_ERR_MEMORY);
    assert_ptr_equal(s, (char *)1);
}

static void hash__known_input__is_xxh64(void **state)
{
    (void)state;
    assert_true(oct_hash64("", 0, 0) == 0xEF46DB3751D8E999ull);
    assert_true(oct_hash64("abc", 3, 0) == 0x44BC2CF5AD770999ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size__overflow_or_negative__is_content_and_leaves_output), cmocka_unit_test(count__dims__product_or_error),
        cmocka_unit_test(alloc__any_size__is_aligned_zeroed_and_has_slack),
        cmocka_unit_test(arena__many_sizes__blocks_are_apart_aligned_and_zeroed),
        cmocka_unit_test(arena__text__is_copied_and_formatted), cmocka_unit_test(push__many__array_grows_and_keeps),
        cmocka_unit_test(text__pieces__are_joined), cmocka_unit_test(text__error__sticks), cmocka_unit_test(hash__known_input__is_xxh64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
