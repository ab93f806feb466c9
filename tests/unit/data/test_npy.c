/* .npy files: round trips, NumPy's own layout, and malformed headers. */
#include "unit/data/files.h"

/* A version-1 file with this header text and n bytes of data. */
static const char *put_npy(const char *header, const void *data, size_t n)
{
    static uint8_t file[4096];
    size_t length = strlen(header);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (uint8_t)length;
    file[9] = (uint8_t)(length >> 8);
    memcpy(file + 10, header, length);
    memcpy(file + 10 + length, data, n);
    return put("a.npy", file, 10 + length + n);
}

static void npy__every_type__round_trip(void **state)
{
    static const oct_dtype types[] = {OCT_F32, OCT_F64, OCT_F16, OCT_U8,  OCT_S8,  OCT_U16,
                                      OCT_S16, OCT_S32, OCT_U32, OCT_S64, OCT_U64, OCT_BOOL};
    uint8_t data[48];
    for (int i = 0; i < 48; i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        oct_tensor t = {.data = data, .dtype = types[i], .rank = 2, .dims = {2, 3}}, back;
        OK(oct_npy_save(at("t.npy"), &t));
        OK(oct_npy_load(at("t.npy"), &back));
        assert_int_equal(back.dtype, t.dtype);
        assert_int_equal(back.rank, 2);
        assert_int_equal(back.dims[0], 2);
        assert_int_equal(back.dims[1], 3);
        assert_memory_equal(back.data, data, 6 * oct_dtype_size(t.dtype));
        oct_tensor_free(&back);
        assert_null(back.data);
    }
}

static void npy__ranks_0_1_8__round_trip(void **state)
{
    float data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const int ranks[3] = {0, 1, 8};
    for (int i = 0; i < 3; i++) {
        oct_tensor t = {.data = data, .dtype = OCT_F32, .rank = ranks[i], .dims = {2, 1, 2, 1, 1, 1, 2, 1}}, back;
        OK(oct_npy_save(at("t.npy"), &t));
        OK(oct_npy_load(at("t.npy"), &back));
        assert_int_equal(back.rank, ranks[i]);
        assert_memory_equal(back.dims, t.dims, (size_t)ranks[i] * sizeof *t.dims);
        assert_memory_equal(back.data, data, (size_t)oct_tensor_count(&t) * 4);
        oct_tensor_free(&back);
    }
}

static void npy__saved__is_what_numpy_writes(void **state)
{
    /* np.save of np.zeros((3, 4), np.float32) and of np.zeros(3, np.uint8): the first 128 bytes. */
    static const char *const want[2] = {"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }",
                                        "\x93NUMPY\x01\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"};
    float zeros[12] = {0};
    for (int i = 0; i < 2; i++) {
        oct_tensor t = {.data = zeros, .dtype = i ? OCT_U8 : OCT_F32, .rank = i ? 1 : 2, .dims = {3, 4}};
        void *bytes;
        int64_t size;
        OK(oct_npy_save(at("t.npy"), &t));
        OK(oct_file_read(at("t.npy"), &bytes, &size));
        assert_int_equal(size, 128 + (i ? 3 : 48));
        size_t text = 10 + strlen(want[i] + 10);
        assert_memory_equal(bytes, want[i], text);
        for (size_t k = text; k < 127; k++)
            assert_int_equal(((char *)bytes)[k], ' ');
        assert_int_equal(((char *)bytes)[127], '\n');
        free(bytes);
    }
}

static void npy__fortran_order__converted(void **state)
{
    const int16_t stored[6] = {1, 4, 2, 5, 3, 6}, want[6] = {1, 2, 3, 4, 5, 6};
    oct_tensor t;
    OK(oct_npy_load(put_npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n", stored, sizeof stored), &t));
    assert_memory_equal(t.data, want, sizeof want);
    oct_tensor_free(&t);
}

static void npy__odd_but_legal_headers__read(void **state)
{
    static const char *const headers[] = {"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<i2\"}",
                                          "{'descr': '=i2', 'fortran_order': False, 'shape': (2L,)}  \n",
                                          " { 'descr' : 'i2' , 'fortran_order' : False , 'shape' : ( 2 , ) , } "};
    const int16_t data[2] = {7, -8};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        oct_tensor t;
        OK(oct_npy_load(put_npy(headers[i], data, sizeof data), &t));
        assert_int_equal(t.dims[0], 2);
        assert_memory_equal(t.data, data, sizeof data);
        oct_tensor_free(&t);
    }
}

static void npy__malformed_header__content_error(void **state)
{
    static const char *const headers[] = {"",
                                          "{",
                                          "{}",
                                          "[]",
                                          "{'descr': '<f4'}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
                                          "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (1}",
                                          "{'descr': '<f4', 'descr': '<f4'}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                                          "{'descr': '<f4",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 1048576, 1048576)}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8)}",
                                          "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1}"};
    oct_tensor t = {0};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (oct_npy_load(put_npy(headers[i], "\0\0\0\0", 4), &t) != OCT_ERR_CONTENT)
            fail_msg("accepted: %s", headers[i]);
    assert_null(t.data);
}

static void npy__wrong_files__named_errors(void **state)
{
    oct_tensor t;
    FAILS(oct_npy_load(at("none.npy"), &t), OCT_ERR_IO, "none.npy");
    FAILS(oct_npy_load(scratch, &t), OCT_ERR_IO, "not a regular file");
    FAILS(oct_npy_load(put_text("b.npy", ""), &t), OCT_ERR_CONTENT, "b.npy");
    FAILS(oct_npy_load(put_text("b.npy", "hello, I am a text"), &t), OCT_ERR_CONTENT, "not a .npy");
    FAILS(oct_npy_load(put("b.npy", "\x93NUMPY\x09\0\0\0\0\0", 12), &t), OCT_ERR_UNSUPPORTED, "version 9");
    FAILS(oct_npy_load(put("b.npy", "\x93NUMPY\x02\0\xff\xff\xff\xff", 12), &t), OCT_ERR_CONTENT, "header of");
    FAILS(oct_npy_load(put_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "\0\0\0\0", 4), &t), OCT_ERR_UNSUPPORTED,
          "big-endian");
    FAILS(oct_npy_load(put_npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "", 0), &t), OCT_ERR_UNSUPPORTED, "<c8");
    FAILS(oct_npy_load(put_npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "", 0), &t), OCT_ERR_UNSUPPORTED,
          "structured");
    FAILS(oct_npy_load(put_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "", 0), &t),
          OCT_ERR_UNSUPPORTED, "dimensions");
    FAILS(oct_npy_load(put_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "\0\0\0\0", 4), &t), OCT_ERR_CONTENT,
          "ends too early");
    FAILS(oct_npy_load(put_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}", "\0\0\0\0", 4), &t),
          OCT_ERR_CONTENT, "ends too early");
    t = (oct_tensor){.dtype = OCT_BF16};
    FAILS(oct_npy_save(at("c.npy"), &t), OCT_ERR_UNSUPPORTED, "bfloat16");
    t.dtype = OCT_F32;
    t.data = &t;
    FAILS(oct_npy_save("/nonexistent/c.npy", &t), OCT_ERR_IO, "c.npy");
}

static void npy__truncated_anywhere__refused(void **state)
{
    float data[4] = {1, 2, 3, 4};
    oct_tensor t = {.data = data, .dtype = OCT_F32, .rank = 1, .dims = {4}}, back;
    void *bytes;
    int64_t size;
    OK(oct_npy_save(at("t.npy"), &t));
    OK(oct_file_read(at("t.npy"), &bytes, &size));
    for (int64_t n = 0; n < size; n++)
        assert_int_equal(oct_npy_load(put("u.npy", bytes, (size_t)n), &back), OCT_ERR_CONTENT);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy__every_type__round_trip),      cmocka_unit_test(npy__ranks_0_1_8__round_trip),
        cmocka_unit_test(npy__saved__is_what_numpy_writes), cmocka_unit_test(npy__fortran_order__converted),
        cmocka_unit_test(npy__odd_but_legal_headers__read), cmocka_unit_test(npy__malformed_header__content_error),
        cmocka_unit_test(npy__wrong_files__named_errors),   cmocka_unit_test(npy__truncated_anywhere__refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
