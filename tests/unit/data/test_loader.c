/* The loader: what it delivers for any number of threads and batch, faults, arrays, and ports that do not fit. */
#include "unit/data/files.h"
#include "data/set.h"

enum { SIDE = 6, VALUES = 3 * SIDE * SIDE };

static const oct_port rgb = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 3, SIDE, SIDE}};

static oct_dataset *open_set(const char *path, const oct_data_options *o)
{
    oct_dataset *set = NULL;
    if (oct_dataset_open(path, o, &set) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return set;
}

static oct_loader *open_loader(oct_dataset *set, const oct_port *ports, int count, const oct_preprocess *pre, int64_t batch,
                               int threads)
{
    oct_loader *l = NULL;
    if (oct_loader_create(set, ports, count, pre, batch, threads, &l) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return l;
}

/* 40 images in 3 classes: keys[i] is the key of the i-th sample; put as files and, the same order, into archives. */
enum { COUNT = 40 };
static void make_images(void)
{
    packer tar = pack_open(at("i.tar"), PACK_TAR), gz = pack_open(at("i.tgz"), PACK_TAR_GZ), zip = pack_open(at("i.zip"), PACK_ZIP);
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        blob b;
        make_png(&b, SIDE, SIDE, 3, i);
        snprintf(name, sizeof name, "i/%c/%02d.png", 'a' + i / 14, i);
        put(name, b.bytes, b.size);
        pack_add(tar, name, b.bytes, b.size);
        pack_add(gz, name, b.bytes, b.size);
        pack_add(zip, name, b.bytes, b.size);
    }
    pack_close(tar);
    pack_close(gz);
    pack_close(zip);
}

/* Every sample of the set in order is the image of keys[i] (NCHW, v / 255) with its label. */
static void expect_samples(oct_dataset *set, int64_t batch, int threads, const int *keys, const int64_t *labels, int64_t n)
{
    oct_loader *l = open_loader(set, &rgb, 1, NULL, batch, threads);
    oct_batch b;
    int64_t seen = 0;
    for (;;) {
        OK(oct_loader_next(l, &b));
        if (b.count == 0)
            break;
        assert_int_equal(b.first, seen);
        assert_true(b.count == batch || seen + b.count == n);
        assert_int_equal(b.inputs[0].dims[0], b.count);
        assert_int_equal(b.inputs[0].dims[1], 3);
        for (int64_t i = 0; i < b.count; i++, seen++) {
            const float *x = (const float *)b.inputs[0].data + i * VALUES;
            for (int k = 0; k < VALUES; k++)
                if (x[k] != (float)pixel(keys[seen], k % (SIDE * SIDE) * 3 + k / (SIDE * SIDE)) / 255.0f)
                    fail_msg("sample %d, value %d: %f", (int)seen, k, (double)x[k]);
            assert_int_equal(b.labels[i], labels[seen]);
        }
    }
    assert_int_equal(seen, n);
    OK(oct_loader_next(l, &b));
    assert_int_equal(b.count, 0);
    oct_loader_destroy(l);
}

static void loader__sources_threads_batches__same_samples_in_order(void **state)
{
    static const char *const sources[] = {"i", "i.tar", "i.tgz", "i.zip"};
    static const int64_t batches[] = {1, 7, 64};
    int keys[COUNT];
    int64_t labels[COUNT];
    make_images();
    for (int i = 0; i < COUNT; i++) {
        keys[i] = i;
        labels[i] = i / 14;
    }
    for (int s = 0; s < 4; s++) {
        oct_dataset *set = open_set(at(sources[s]), NULL);
        for (int threads = 1; threads <= 4; threads++)
            for (int b = 0; b < 3; b++)
                expect_samples(set, batches[b], threads, keys, labels, COUNT);
        oct_dataset_destroy(set);
    }
}

static void loader__subset__same_samples_from_every_source(void **state)
{
    static const char *const sources[] = {"i", "i.tar", "i.tgz", "i.zip"};
    for (int s = 0; s < 4; s++) {
        oct_dataset *set = open_set(at(sources[s]), &(oct_data_options){.limit = 11, .seed = 5});
        int keys[11];
        int64_t labels[11];
        for (int i = 0; i < 11; i++) {
            const char *name = oct_listing_name(&set->list, set->list.items[oct_set_sample(set, i)].name);
            keys[i] = atoi(strrchr(name, '/') + 1);
            labels[i] = keys[i] / 14;
            static int first[11];
            if (s == 0)
                first[i] = keys[i];
            assert_int_equal(keys[i], first[i]);
        }
        expect_samples(set, 4, 2, keys, labels, 11);
        oct_dataset_destroy(set);
    }
}

static void loader__corrupt_images__named_once_and_left_out(void **state)
{
    int keys[12], n = 0;
    int64_t labels[12];
    packer zip = pack_open(at("c.zip"), PACK_ZIP);
    for (int i = 0; i < 12; i++) {
        char name[32];
        blob b;
        make_png(&b, SIDE, SIDE, 3, i);
        bool bad = i == 0 || i == 5 || i == 11;
        if (bad)
            b.size /= 2;
        else
            keys[n++] = i;
        snprintf(name, sizeof name, "c/%c/%02d.png", 'a' + i / 6, i);
        put(name, b.bytes, b.size);
        pack_add(zip, name, b.bytes, b.size);
    }
    pack_close(zip);
    for (int i = 0; i < n; i++)
        labels[i] = keys[i] / 6;
    for (int s = 0; s < 2; s++) {
        oct_dataset *set = open_set(at(s ? "c.zip" : "c"), NULL);
        for (int threads = 1; threads <= 4; threads++)
            expect_samples(set, 5, threads, keys, labels, n);
        assert_int_equal(oct_dataset_fault_count(set), 3);
        assert_non_null(strstr(oct_dataset_get_fault(set, 0), "a/00.png: "));
        assert_non_null(strstr(oct_dataset_get_fault(set, 1), "a/05.png: "));
        assert_non_null(strstr(oct_dataset_get_fault(set, 2), "b/11.png: "));
        assert_string_equal(oct_dataset_get_fault(set, 3), "");
        oct_dataset_destroy(set);
    }
}

static void loader__strict__corrupt_image_is_fatal_and_stays(void **state)
{
    oct_dataset *set = open_set(at("c"), &(oct_data_options){.strict = true});
    oct_loader *l = open_loader(set, &rgb, 1, NULL, 4, 2);
    oct_batch b = {.count = 99};
    for (int i = 0; i < 2; i++)
        FAILS(oct_loader_next(l, &b), OCT_ERR_CONTENT, "a/00.png");
    assert_int_equal(b.count, 99);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

static void loader__all_corrupt_or_missing__content_error(void **state)
{
    put_text("z/1.png", "x");
    oct_dataset *set = open_set(at("z"), NULL);
    oct_loader *l = open_loader(set, &rgb, 1, NULL, 4, 2);
    oct_batch b;
    FAILS(oct_loader_next(l, &b), OCT_ERR_CONTENT, "1.png");
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
    set = open_set(put_text("m.csv", "gone/1.png,0\ni/a/00.png,1\n"), NULL);
    expect_samples(set, 2, 2, (int[]){0}, (int64_t[]){1}, 1);
    assert_non_null(strstr(oct_dataset_get_fault(set, 0), "gone/1.png: cannot open"));
    oct_dataset_destroy(set);
}

static void loader__damaged_zip_entry__others_still_come(void **state)
{
    void *bytes;
    int64_t size;
    OK(oct_file_read(at("i.zip"), &bytes, &size));
    memset((char *)bytes + size / 3, 0x5A, 40); /* inside some entry's data */
    oct_dataset *set = open_set(put("hurt.zip", bytes, (size_t)size), NULL);
    oct_loader *l = open_loader(set, &rgb, 1, NULL, 8, 3);
    oct_batch b;
    int64_t n = 0;
    do {
        OK(oct_loader_next(l, &b));
        n += b.count;
    } while (b.count);
    assert_in_range(oct_dataset_fault_count(set), 1, 2);
    assert_int_equal(n + oct_dataset_fault_count(set), COUNT);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
    free(bytes);
}

static void loader__destroyed_early__no_hang(void **state)
{
    oct_dataset *set = open_set(at("i.tgz"), NULL);
    for (int threads = 1; threads <= 4; threads++) {
        oct_loader *l = open_loader(set, &rgb, 1, NULL, 2, threads);
        oct_batch b;
        if (threads % 2)
            OK(oct_loader_next(l, &b));
        oct_loader_destroy(l);
    }
    oct_dataset_destroy(set);
    oct_loader_destroy(NULL);
}

static void loader__preprocess__layout_order_mean_std(void **state)
{
    oct_dataset *set = open_set(at("i"), &(oct_data_options){.shard = 1, .shards = COUNT});
    oct_port nhwc = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, SIDE - 2, SIDE - 2, 3}};
    oct_preprocess pre;
    oct_preprocess_default(&pre);
    pre.crop_h = pre.crop_w = SIDE - 2;
    pre.color = 2;
    for (int c = 0; c < 3; c++) {
        pre.mean[c] = 0.1f * (float)(c + 1);
        pre.std[c] = 0.2f * (float)(c + 1);
    }
    oct_loader *l = open_loader(set, &nhwc, 1, &pre, 1, 1);
    oct_batch b;
    OK(oct_loader_next(l, &b));
    const float *x = b.inputs[0].data;
    for (int y = 0; y < SIDE - 2; y++)
        for (int k = 0; k < SIDE - 2; k++)
            for (int c = 0; c < 3; c++)
                assert_true(*x++ == ((float)pixel(0, ((y + 1) * SIDE + k + 1) * 3 + 2 - c) / 255.0f - pre.mean[c]) / pre.std[c]);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

static void loader__grey_port_and_free_size__taken_from_images(void **state)
{
    oct_dataset *set = open_set(at("i"), NULL);
    oct_port grey = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 1, -1, -1}};
    oct_loader *l = open_loader(set, &grey, 1, NULL, 3, 2);
    oct_batch b;
    OK(oct_loader_next(l, &b));
    assert_int_equal(b.inputs[0].dims[1], 1);
    assert_int_equal(b.inputs[0].dims[2], SIDE);
    assert_int_equal(b.inputs[0].dims[3], SIDE);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

static void loader__ports_that_do_not_fit__clear_errors(void **state)
{
    oct_dataset *set = open_set(at("i"), NULL);
    oct_loader *l = NULL;
    oct_preprocess pre;
    oct_batch b;
    oct_port two[2] = {rgb, rgb}, p = rgb;
    FAILS(oct_loader_create(set, two, 2, NULL, 1, 1, &l), OCT_ERR_CONTENT, "has 2");
    FAILS(oct_loader_create(set, &rgb, 1, NULL, 0, 1, &l), OCT_ERR_USAGE, "batch 0");
    p.dtype = OCT_S64;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "int64");
    p = rgb;
    p.dims[1] = 5;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "5 channels");
    OK(oct_preprocess_preset(&pre, "imagenet"));
    FAILS(oct_loader_create(set, &rgb, 1, &pre, 1, 1, &l), OCT_ERR_USAGE, "224 x 224");
    oct_preprocess_default(&pre);
    pre.std[1] = 0;
    FAILS(oct_loader_create(set, &rgb, 1, &pre, 1, 1, &l), OCT_ERR_USAGE, "std");
    oct_preprocess_default(&pre);
    pre.color = 3;
    FAILS(oct_loader_create(set, &rgb, 1, &pre, 1, 1, &l), OCT_ERR_USAGE, "grey");
    assert_null(l);
    /* A picture of another size is no fault of the picture: nothing is skipped. */
    p = rgb;
    p.dims[2] = SIDE + 1;
    l = open_loader(set, &p, 1, NULL, 4, 2);
    FAILS(oct_loader_next(l, &b), OCT_ERR_CONTENT, "--resize");
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

/* --- arrays --- */

static void add_npy(packer p, const char *name, const oct_tensor *t)
{
    void *bytes;
    int64_t size;
    OK(oct_npy_save(at("member.npy"), t));
    OK(oct_file_read(at("member.npy"), &bytes, &size));
    pack_add(p, name, bytes, (size_t)size);
    free(bytes);
}

enum { ROWS = 30 };
static const char *make_npz(void)
{
    static double d[ROWS * 4];
    static int64_t ids[ROWS * 2], labels[ROWS];
    for (int i = 0; i < ROWS * 4; i++)
        d[i] = i * 0.5;
    for (int i = 0; i < ROWS; i++) {
        ids[2 * i] = i;
        ids[2 * i + 1] = -i;
        labels[i] = i % 3;
    }
    packer p = pack_open(at("a.npz"), PACK_ZIP);
    add_npy(p, "unused.npy", &(oct_tensor){.data = d, .dtype = OCT_F64, .rank = 1, .dims = {ROWS}});
    add_npy(p, "values.npy", &(oct_tensor){.data = d, .dtype = OCT_F64, .rank = 3, .dims = {ROWS, 2, 2}});
    add_npy(p, "ids.npy", &(oct_tensor){.data = ids, .dtype = OCT_S64, .rank = 2, .dims = {ROWS, 2}});
    add_npy(p, "labels.npy", &(oct_tensor){.data = labels, .dtype = OCT_S64, .rank = 1, .dims = {ROWS}});
    pack_close(p);
    return at("a.npz");
}

static const oct_port ids_port = {.name = "ids", .dtype = OCT_S64, .rank = 2, .dims = {-1, 2}};
static const oct_port values_port = {.name = "values", .dtype = OCT_F32, .rank = 3, .dims = {-1, -1, 2}};

static void arrays__two_inputs__rows_by_name_converted(void **state)
{
    const oct_port ports[2] = {ids_port, values_port};
    for (int64_t limit = 0; limit <= 9; limit += 9)
        for (int threads = 1; threads <= 4; threads++) {
            oct_dataset *set = open_set(make_npz(), &(oct_data_options){.limit = limit, .seed = 2});
            oct_loader *l = open_loader(set, ports, 2, NULL, 4, threads);
            oct_batch b;
            int64_t seen = 0, last = -1;
            for (OK(oct_loader_next(l, &b)); b.count; OK(oct_loader_next(l, &b))) {
                assert_int_equal(b.inputs[1].dtype, OCT_F32);
                assert_int_equal(b.inputs[1].dims[1], 2);
                for (int64_t i = 0; i < b.count; i++, seen++) {
                    int64_t row = ((const int64_t *)b.inputs[0].data)[2 * i];
                    assert_true(limit ? row > last : row == last + 1);
                    assert_int_equal(((const int64_t *)b.inputs[0].data)[2 * i + 1], -row);
                    for (int k = 0; k < 4; k++)
                        assert_true(((const float *)b.inputs[1].data)[4 * i + k] == (float)((double)(row * 4 + k) * 0.5));
                    assert_int_equal(b.labels[i], row % 3);
                    last = row;
                }
            }
            assert_int_equal(seen, limit ? limit : ROWS);
            oct_loader_destroy(l);
            oct_dataset_destroy(set);
        }
}

static void arrays__plain_npy__feeds_the_only_input(void **state)
{
    float x[6] = {1, 2, 3, 4, 5, 6};
    oct_port p = {.name = "anything", .dtype = OCT_F32, .rank = 2, .dims = {-1, 2}};
    OK(oct_npy_save(at("x.npy"), &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 2, .dims = {3, 2}}));
    oct_dataset *set = open_set(at("x.npy"), NULL);
    assert_false(oct_dataset_has_labels(set));
    oct_loader *l = open_loader(set, &p, 1, NULL, 8, 2), *none = NULL;
    oct_batch b;
    OK(oct_loader_next(l, &b));
    assert_int_equal(b.count, 3);
    assert_null(b.labels);
    assert_memory_equal(b.inputs[0].data, x, sizeof x);
    oct_loader_destroy(l);
    const oct_port two[2] = {p, p};
    FAILS(oct_loader_create(set, two, 2, NULL, 1, 1, &none), OCT_ERR_CONTENT, "2 inputs");
    oct_dataset_destroy(set);
}

static void arrays__fortran_order__rows_as_in_c_order(void **state)
{
    /* shape (3, 2), values 0..5 in C order, stored column by column */
    static const char header[] = "\x93NUMPY\x01\0\x40\0{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }      ";
    const float stored[6] = {0, 2, 4, 1, 3, 5};
    uint8_t file[74 + sizeof stored];
    memset(file, ' ', sizeof file);
    memcpy(file, header, sizeof header - 1);
    memcpy(file + 74, stored, sizeof stored);
    oct_dataset *set = open_set(put("f.npy", file, sizeof file), &(oct_data_options){.shard = 2, .shards = 3});
    oct_port p = {.name = "x", .dtype = OCT_F32, .rank = 2, .dims = {-1, 2}};
    oct_loader *l = open_loader(set, &p, 1, NULL, 1, 1);
    oct_batch b;
    OK(oct_loader_next(l, &b));
    assert_true(((const float *)b.inputs[0].data)[0] == 2 && ((const float *)b.inputs[0].data)[1] == 3);
    oct_loader_destroy(l);
    oct_dataset_destroy(set);
}

static void arrays__ports_that_do_not_fit__name_file_and_array(void **state)
{
    oct_dataset *set = open_set(make_npz(), NULL);
    oct_loader *l = NULL;
    oct_port p = ids_port;
    p.name = "tokens";
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "'tokens'; it has: unused, values, ids, labels");
    p = ids_port;
    p.dtype = OCT_S32;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "array 'ids' is int64");
    p = ids_port;
    p.dims[1] = 3;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "has shape 30x2, the model's input 'ids' takes ?x3");
    p.rank = 3;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "shape");
    p.rank = 0;
    FAILS(oct_loader_create(set, &p, 1, NULL, 1, 1, &l), OCT_ERR_CONTENT, "shape");
    oct_dataset_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader__sources_threads_batches__same_samples_in_order),
        cmocka_unit_test(loader__subset__same_samples_from_every_source),
        cmocka_unit_test(loader__corrupt_images__named_once_and_left_out),
        cmocka_unit_test(loader__strict__corrupt_image_is_fatal_and_stays),
        cmocka_unit_test(loader__all_corrupt_or_missing__content_error),
        cmocka_unit_test(loader__damaged_zip_entry__others_still_come),
        cmocka_unit_test(loader__destroyed_early__no_hang),
        cmocka_unit_test(loader__preprocess__layout_order_mean_std),
        cmocka_unit_test(loader__grey_port_and_free_size__taken_from_images),
        cmocka_unit_test(loader__ports_that_do_not_fit__clear_errors),
        cmocka_unit_test(arrays__two_inputs__rows_by_name_converted),
        cmocka_unit_test(arrays__plain_npy__feeds_the_only_input),
        cmocka_unit_test(arrays__fortran_order__rows_as_in_c_order),
        cmocka_unit_test(arrays__ports_that_do_not_fit__name_file_and_array),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
