/* Opening data sets of every kind: samples, classes, subsets, shards, and what is refused. */
#include "unit/data/files.h"
#include <math.h>
#include "data/set.h"
#include "data/subset.h"

static oct_dataset *open_set(const char *path, const oct_data_options *o)
{
    oct_dataset *set = NULL;
    if (oct_dataset_open(path, o, &set) != OCT_OK)
        fail_msg("%s", oct_last_error()->message);
    return set;
}

static const char *name_of(const oct_dataset *set, int64_t i)
{
    return oct_listing_name(&set->list, set->list.items[oct_set_sample(set, i)].name);
}

static void expect(const oct_dataset *set, int64_t n, const char *const *names, const int64_t *labels)
{
    assert_int_equal(oct_dataset_count(set), n);
    for (int64_t i = 0; i < n; i++) {
        assert_string_equal(name_of(set, i), names[i]);
        assert_int_equal(oct_set_label(set, i), labels ? labels[i] : -1);
    }
}

static void folder__classes__ranked_bytewise_with_empty_ones(void **state)
{
    put_text("f/a-b/1.png", "x");
    put_text("f/a/2.PNG", "x");
    put_text("f/a/1.jpeg", "x");
    put_text("f/a/deep/er/0.jpg", "x");
    put_text("f/Z/readme.txt", "x"); /* a class without images keeps its number */
    put_text("f/.hidden/1.png", "x");
    put_text("f/a/.1.png", "x");
    oct_dataset *set = open_set(at("f"), NULL);
    const char *names[] = {"a/1.jpeg", "a/2.PNG", "a/deep/er/0.jpg", "a-b/1.png"};
    expect(set, 4, names, (int64_t[]){1, 1, 1, 2});
    assert_true(oct_dataset_has_labels(set));
    assert_int_equal(oct_dataset_class_count(set), 3);
    assert_string_equal(oct_dataset_class_name(set, 0), "Z");
    assert_string_equal(oct_dataset_class_name(set, 2), "a-b");
    assert_string_equal(oct_dataset_class_name(set, 3), "");
    assert_string_equal(oct_dataset_class_name(set, -1), "");
    assert_int_equal(oct_dataset_first(set), 0);
    oct_dataset_destroy(set);
}

static void folder__flat__unlabelled(void **state)
{
    put_text("flat/b.png", "x");
    put_text("flat/a.png", "x");
    put_text("flat/list.txt", "x");
    oct_dataset *set = open_set(at("flat"), NULL);
    const char *names[] = {"a.png", "b.png"};
    expect(set, 2, names, NULL);
    assert_false(oct_dataset_has_labels(set));
    assert_int_equal(oct_dataset_class_count(set), 0);
    oct_dataset_destroy(set);
}

static void folder__links__one_level_and_no_cycle(void **state)
{
    put_text("links/real/1.png", "x");
    assert_int_equal(symlink(at("links/real"), at("links/alias")), 0);
    assert_int_equal(symlink(at("links"), at("links/real/loop")), 0);
    oct_dataset *set = open_set(at("links"), NULL);
    const char *names[] = {"alias/1.png", "real/1.png"};
    expect(set, 2, names, (int64_t[]){0, 1});
    oct_dataset_destroy(set);
}

static void single_image__file__one_sample(void **state)
{
    oct_dataset *set = open_set(put_text("one.png", "x"), NULL);
    const char *names[] = {"one.png"};
    expect(set, 1, names, NULL);
    oct_dataset_destroy(set);
}

static void open__nothing_usable__clear_errors(void **state)
{
    oct_dataset *set = NULL;
    FAILS(oct_dataset_open(at("missing"), NULL, &set), OCT_ERR_IO, "missing");
    mkdir(at("void"), 0777);
    FAILS(oct_dataset_open(at("void"), NULL, &set), OCT_ERR_CONTENT, "empty");
    put_text("other/a/1.webp", "x");
    FAILS(oct_dataset_open(at("other"), NULL, &set), OCT_ERR_CONTENT, "a/1.webp");
    put_text("mixed/a/1.png", "x");
    put_text("mixed/2.png", "x");
    FAILS(oct_dataset_open(at("mixed"), NULL, &set), OCT_ERR_CONTENT, "beside its class folders");
    FAILS(oct_dataset_open(put_text("noise.bin", "no archive at all, just some text"), NULL, &set), OCT_ERR_CONTENT,
          "neither a tar nor a zip");
    FAILS(oct_dataset_open(put_text("zero.tar", ""), NULL, &set), OCT_ERR_CONTENT, "zero.tar");
    assert_null(set);
}

static const char *pack(const char *name, pack_kind kind)
{
    packer p = pack_open(at(name), kind);
    pack_add(p, "./top/", NULL, 0);
    pack_add(p, "./top/empty/", NULL, 0);
    pack_png(p, "./top/dog/2.png", 4, 4, 2);
    pack_png(p, "./top/cat/1.png", 4, 4, 0);
    pack_png(p, "./top/cat/.junk.png", 4, 4, 9);
    pack_png(p, "./top/cat/2.png", 4, 4, 1);
    pack_png(p, "./top/dog/1.png", 4, 4, 3);
    pack_close(p);
    return at(name);
}

static void archive__every_kind__classes_below_shared_folder(void **state)
{
    static const char *const files[] = {"p.tar", "p.tar.gz", "p.zip"};
    for (int kind = PACK_TAR; kind <= PACK_ZIP; kind++) {
        oct_dataset *set = open_set(pack(files[kind], (pack_kind)kind), NULL);
        assert_int_equal(oct_dataset_count(set), 4);
        assert_int_equal(oct_dataset_class_count(set), 3);
        assert_string_equal(oct_dataset_class_name(set, 0), "cat");
        assert_string_equal(oct_dataset_class_name(set, 2), "empty");
        /* Delivered as packed. */
        const char *names[] = {"top/dog/2.png", "top/cat/1.png", "top/cat/2.png", "top/dog/1.png"};
        expect(set, 4, names, (int64_t[]){1, 0, 0, 1});
        oct_dataset_destroy(set);
    }
}

static void archive__flat_or_in_one_folder__unlabelled(void **state)
{
    for (int i = 0; i < 2; i++) {
        packer p = pack_open(at("flat.tar"), PACK_TAR);
        pack_png(p, i ? "images/1.png" : "1.png", 4, 4, 0);
        pack_png(p, i ? "images/2.png" : "2.png", 4, 4, 0);
        pack_close(p);
        oct_dataset *set = open_set(at("flat.tar"), NULL);
        assert_int_equal(oct_dataset_count(set), 2);
        assert_false(oct_dataset_has_labels(set));
        oct_dataset_destroy(set);
    }
}

static void zip__utf8_names__kept_in_the_c_locale(void **state)
{
    /* A stored zip by hand: two empty entries, names in UTF-8 (flag bit 11), as other programs write them. */
    static const char *const names[2] = {"\xC3\xA4/\xE6\x97\xA5.png", "z/1.png"};
    uint8_t zip[512], central[256];
    size_t n = 0, m = 0;
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(names[i]);
        uint8_t local[30] = {'P', 'K', 3, 4, 20, 0, 0, 8, [26] = (uint8_t)length};
        uint8_t entry[46] = {'P', 'K', 1, 2, 20, 3, 20, 0, 0, 8, [28] = (uint8_t)length, [40] = 0xA4, 0x81, [42] = (uint8_t)n};
        memcpy(zip + n, local, 30);
        memcpy(zip + n + 30, names[i], length);
        n += 30 + length;
        memcpy(central + m, entry, 46);
        memcpy(central + m + 46, names[i], length);
        m += 46 + length;
    }
    uint8_t end[22] = {'P', 'K', 5, 6, [8] = 2, [10] = 2, [12] = (uint8_t)m, [16] = (uint8_t)n};
    memcpy(zip + n, central, m);
    memcpy(zip + n + m, end, 22);
    oct_dataset *set = open_set(put("u.zip", zip, n + m + 22), NULL);
    assert_string_equal(oct_dataset_class_name(set, 1), "\xC3\xA4");
    assert_string_equal(name_of(set, 0), names[0]);
    oct_dataset_destroy(set);
}

static void archive__name_twice__later_entry_counts(void **state)
{
    packer p = pack_open(at("twice.tar"), PACK_TAR);
    pack_png(p, "a/1.png", 4, 4, 0);
    pack_png(p, "b/1.png", 4, 4, 1);
    pack_png(p, "a/1.png", 4, 4, 2);
    pack_close(p);
    oct_dataset *set = open_set(at("twice.tar"), NULL);
    assert_int_equal(oct_dataset_count(set), 2);
    assert_int_equal(set->list.items[oct_set_sample(set, 1)].ordinal, 2);
    oct_dataset_destroy(set);
}

static void archive__truncated__content_error(void **state)
{
    void *bytes;
    int64_t size;
    oct_dataset *set = NULL;
    OK(oct_file_read(pack("q.tar.gz", PACK_TAR_GZ), &bytes, &size));
    FAILS(oct_dataset_open(put("cut.tar.gz", bytes, (size_t)size / 2), NULL, &set), OCT_ERR_CONTENT, "cut.tar.gz");
    free(bytes);
    OK(oct_file_read(pack("q.zip", PACK_ZIP), &bytes, &size));
    for (int64_t n = 0; n < size; n += 31) {
        oct_status s = oct_dataset_open(put("cut.zip", bytes, (size_t)n), NULL, &set);
        if (s == OCT_OK)
            oct_dataset_destroy(set);
        else
            assert_int_equal(s, OCT_ERR_CONTENT);
    }
    free(bytes);
}

static void table__integers_and_header__class_indices(void **state)
{
    oct_dataset *set = open_set(put_text("t.csv", "\xEF\xBB\xBF"
                                                  "path,label,extra\r\nx/1.png,2,a\r\n\"y,\"\"q.png\",0\r\n\r\n/abs/z.jpg,2"),
                                NULL);
    const char *names[] = {"x/1.png", "y,\"q.png", "/abs/z.jpg"}; /* in the table's order */
    expect(set, 3, names, (int64_t[]){2, 0, 2});
    assert_int_equal(oct_dataset_class_count(set), 3);
    assert_string_equal(oct_dataset_class_name(set, 1), "");
    oct_dataset_destroy(set);
}

static void table__names_with_tabs__ranked(void **state)
{
    oct_dataset *set = open_set(put_text("t.tsv", "1.png\tzebra\n2.png\tape\n3.png\tzebra\n4.png\t12\n"), NULL);
    assert_int_equal(oct_dataset_class_count(set), 3);
    assert_string_equal(oct_dataset_class_name(set, 0), "12");
    assert_string_equal(oct_dataset_class_name(set, 1), "ape");
    const char *names[] = {"1.png", "2.png", "3.png", "4.png"};
    expect(set, 4, names, (int64_t[]){2, 1, 2, 0});
    oct_dataset_destroy(set);
}

static void table__paths_only__unlabelled(void **state)
{
    oct_dataset *set = open_set(put_text("p.csv", "2.png\n1.png\n"), NULL);
    assert_int_equal(oct_dataset_count(set), 2);
    assert_false(oct_dataset_has_labels(set));
    oct_dataset_destroy(set);
}

static void table__bad_rows__content_error_with_row(void **state)
{
    oct_dataset *set = NULL;
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,-1\n"), NULL, &set), OCT_ERR_CONTENT, "outside the classes");
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,99999999999\n"), NULL, &set), OCT_ERR_CONTENT, "outside the classes");
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,1\n2.png\n"), NULL, &set), OCT_ERR_CONTENT, "'2.png' has no label");
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,1\nnotes,2\n"), NULL, &set), OCT_ERR_CONTENT, "row 2");
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,1\n\"2.png,1\n"), NULL, &set), OCT_ERR_CONTENT, "not closed");
    FAILS(oct_dataset_open(put_text("b.csv", "1.png,\"1\"x\n"), NULL, &set), OCT_ERR_CONTENT, "quoted");
    FAILS(oct_dataset_open(put("b.csv", "1.png,1\n\0", 9), NULL, &set), OCT_ERR_CONTENT, "not a text file");
    FAILS(oct_dataset_open(put_text("b.csv", "path,label\n"), NULL, &set), OCT_ERR_CONTENT, "empty");
    FAILS(oct_dataset_open(put_text("b.csv", ""), NULL, &set), OCT_ERR_CONTENT, "empty");
}

/* --- subsets and shards --- */

static void subset__uneven_classes__as_even_as_possible(void **state)
{
    enum { N = 1000 };
    int64_t labels[N], *picked, n, count[4] = {0};
    for (int i = 0; i < N; i++)
        labels[i] = i < 5 ? 0 : i < 105 ? 1 : i < 505 ? 2 : 3; /* 5, 100, 400, 495 */
    OK(oct_subset_pick(N, labels, 4, 200, 7, &picked, &n));
    assert_int_equal(n, 200);
    for (int64_t i = 0; i < n; i++) {
        count[labels[picked[i]]]++;
        assert_true(i == 0 || picked[i] > picked[i - 1]);
    }
    assert_int_equal(count[0], 5);
    for (int c = 1; c < 4; c++)
        assert_int_equal(count[c], 65);
    free(picked);
}

static void subset__seed__repeats_and_differs(void **state)
{
    int64_t *a, *b, *c, n;
    OK(oct_subset_pick(500, NULL, 0, 20, 1, &a, &n));
    OK(oct_subset_pick(500, NULL, 0, 20, 1, &b, &n));
    OK(oct_subset_pick(500, NULL, 0, 20, 2, &c, &n));
    assert_int_equal(n, 20);
    assert_memory_equal(a, b, 20 * sizeof *a);
    assert_memory_not_equal(a, c, 20 * sizeof *a);
    assert_true(a[19] > 250); /* not the first ones */
    free(a);
    free(b);
    free(c);
}

static void subset__draws__uniform_over_members(void **state)
{
    int hits[50] = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        int64_t *picked, n;
        OK(oct_subset_pick(50, NULL, 0, 10, seed, &picked, &n));
        for (int64_t i = 0; i < n; i++)
            hits[picked[i]]++;
        free(picked);
    }
    for (int i = 0; i < 50; i++) /* expected 400, standard deviation 18 */
        assert_in_range(hits[i], 310, 490);
}

static void shards__any_count__partition_the_limited_set(void **state)
{
    for (int i = 0; i < 23; i++) {
        char name[32];
        snprintf(name, sizeof name, "s/%c/%02d.png", 'a' + i % 3, i);
        put_text(name, "x");
    }
    oct_dataset *whole = open_set(at("s"), &(oct_data_options){.limit = 17, .seed = 3});
    assert_int_equal(oct_dataset_count(whole), 17);
    for (int shards = 1; shards <= 17; shards += 4) {
        int64_t next = 0;
        for (int shard = 1; shard <= shards; shard++) {
            oct_dataset *part = open_set(at("s"), &(oct_data_options){.limit = 17, .seed = 3, .shard = shard, .shards = shards});
            assert_int_equal(oct_dataset_first(part), next);
            for (int64_t i = 0; i < oct_dataset_count(part); i++)
                assert_string_equal(name_of(part, i), name_of(whole, next + i));
            next += oct_dataset_count(part);
            oct_dataset_destroy(part);
        }
        assert_int_equal(next, 17);
    }
    oct_dataset_destroy(whole);
}

/* --- splits --- */

static void split__uneven_classes__each_gives_its_share(void **state)
{
    enum { N = 1000, CLASSES = 5 };
    static const int64_t bounds[CLASSES + 1] = {0, 5, 105, 105, 505, N}; /* sizes 5, 100, 0, 400, 495 */
    int64_t labels[N];
    uint8_t held[N], again[N], other[N];
    for (int c = 0; c < CLASSES; c++)
        for (int64_t i = bounds[c]; i < bounds[c + 1]; i++)
            labels[i] = c;
    static const double fractions[] = {0.001, 0.1, 0.125, 1.0 / 3, 0.5, 0.9, 0.999};
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
        OK(oct_subset_split(N, labels, CLASSES, fractions[f], 9, held));
        int64_t total = 0;
        for (int c = 0; c < CLASSES; c++) {
            int64_t n = 0;
            for (int64_t i = bounds[c]; i < bounds[c + 1]; i++)
                n += held[i];
            const double share = fractions[f] * (double)(bounds[c + 1] - bounds[c]);
            assert_true((double)n > share - 1 && (double)n < share + 1);
            total += n;
        }
        assert_int_equal(total, llround(fractions[f] * N));
        OK(oct_subset_split(N, labels, CLASSES, fractions[f], 9, again));
        assert_memory_equal(held, again, N);
        OK(oct_subset_split(N, labels, CLASSES, fractions[f], 10, other));
        assert_memory_not_equal(held, other, N);
    }
}

static void split__draws__uniform_over_members_and_apart_from_the_subset(void **state)
{
    enum { N = 40, DRAWS = 4000 };
    int count[N] = {0}, both = 0;
    uint8_t held[N];
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        int64_t *picked, n;
        OK(oct_subset_split(N, NULL, 0, 0.25, seed, held));
        OK(oct_subset_pick(N, NULL, 0, N / 4, seed, &picked, &n));
        for (int i = 0; i < N; i++)
            count[i] += held[i];
        for (int64_t i = 0; i < n; i++)
            both += held[picked[i]];
        free(picked);
    }
    /* sd of a count is sqrt(4000 * 3 / 16) = 27; `both` is 4000 sums of hypergeometric draws with mean 2.5 and sd 1.2: sd 76 */
    for (int i = 0; i < N; i++)
        assert_in_range(count[i], DRAWS / 4 - 150, DRAWS / 4 + 150);
    assert_in_range(both, DRAWS * 10 / 4 - 500, DRAWS * 10 / 4 + 500);
}

static void split__two_sets__disjoint_and_complete_from_every_source(void **state)
{
    enum { N = 30 };
    packer zip = pack_open(at("split.zip"), PACK_ZIP);
    for (int i = N - 1; i >= 0; i--) { /* packed from behind: the archive's order is another one */
        char name[32];
        blob b;
        make_png(&b, 2, 2, 3, i);
        snprintf(name, sizeof name, "split/%c/%02d.png", i < 20 ? 'a' : 'b', i);
        put(name, b.bytes, b.size);
        pack_add(zip, name, b.bytes, b.size);
    }
    pack_close(zip);
    int side[N];
    for (int source = 0; source < 2; source++) {
        int seen[N] = {0};
        for (int held = 0; held < 2; held++) {
            oct_dataset *set = open_set(at(source ? "split.zip" : "split"), &(oct_data_options){.split = 0.2, .held_out = held, .seed = 3});
            assert_int_equal(oct_dataset_count(set), held ? 6 : 24);
            assert_int_equal(oct_dataset_class_count(set), 2);
            int64_t of_a = 0;
            for (int64_t i = 0; i < oct_dataset_count(set); i++) {
                const char *name = oct_listing_name(&set->list, set->list.items[oct_set_sample(set, i)].name);
                const int k = atoi(strrchr(name, '/') + 1);
                seen[k]++;
                of_a += oct_set_label(set, i) == 0;
                if (source == 0)
                    side[k] = held;
                assert_int_equal(side[k], held);
            }
            assert_int_equal(of_a, held ? 4 : 16);
            oct_dataset_destroy(set);
            set = open_set(at(source ? "split.zip" : "split"), &(oct_data_options){.split = 0.2, .held_out = held, .seed = 3, .limit = 5});
            assert_int_equal(oct_dataset_count(set), 5);
            for (int64_t i = 0; i < 5; i++) {
                const char *name = oct_listing_name(&set->list, set->list.items[oct_set_sample(set, i)].name);
                assert_int_equal(side[atoi(strrchr(name, '/') + 1)], held);
            }
            oct_dataset_destroy(set);
        }
        for (int k = 0; k < N; k++)
            assert_int_equal(seen[k], 1);
    }
    oct_dataset *set = NULL;
    FAILS(oct_dataset_open(at("split"), &(oct_data_options){.split = 0.001}, &set), OCT_ERR_USAGE, "empty");
    FAILS(oct_dataset_open(at("split"), &(oct_data_options){.split = 1}, &set), OCT_ERR_USAGE, "a split of 1");
    FAILS(oct_dataset_open(at("split"), &(oct_data_options){.split = -0.5}, &set), OCT_ERR_USAGE, "fraction");
    FAILS(oct_dataset_open(at("split"), &(oct_data_options){.split = NAN}, &set), OCT_ERR_USAGE, "fraction");
    FAILS(oct_dataset_open(at("split"), &(oct_data_options){.held_out = true}, &set), OCT_ERR_USAGE, "without a split");
}

static void options__nonsense__usage_error(void **state)
{
    oct_dataset *set = NULL;
    put_text("o/1.png", "x");
    FAILS(oct_dataset_open(at("o"), &(oct_data_options){.limit = -1}, &set), OCT_ERR_USAGE, "limit");
    FAILS(oct_dataset_open(at("o"), &(oct_data_options){.shard = 2, .shards = 1}, &set), OCT_ERR_USAGE, "shard 2 of 1");
    FAILS(oct_dataset_open(at("o"), &(oct_data_options){.shard = 0, .shards = 3}, &set), OCT_ERR_USAGE, "shard 0 of 3");
    FAILS(oct_dataset_open(at("o"), &(oct_data_options){.shard = 1, .shards = 2}, &set), OCT_ERR_USAGE, "empty");
    oct_dataset_destroy(NULL);
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

static void npz__labels__classes(void **state)
{
    float x[12] = {0};
    int32_t y[4] = {2, 0, 2, 1};
    packer p = pack_open(at("l.npz"), PACK_ZIP);
    add_npy(p, "x.npy", &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 2, .dims = {4, 3}});
    add_npy(p, "labels.npy", &(oct_tensor){.data = y, .dtype = OCT_S32, .rank = 2, .dims = {4, 1}});
    pack_close(p);
    oct_dataset *set = open_set(at("l.npz"), &(oct_data_options){.shard = 2, .shards = 2});
    assert_int_equal(oct_dataset_count(set), 2);
    assert_int_equal(oct_dataset_class_count(set), 3);
    assert_int_equal(oct_set_label(set, 0), 2);
    assert_int_equal(oct_set_label(set, 1), 1);
    oct_dataset_destroy(set);
}

static void npz__bad_members__content_error(void **state)
{
    static const struct {
        oct_dtype dtype;
        int32_t rank;
        int64_t dims[2];
        const char *says;
    } cases[] = {{OCT_S32, 1, {3, 0}, "samples"},
                 {OCT_F32, 1, {4, 0}, "float32"},
                 {OCT_S8, 1, {4, 0}, "outside the classes"},
                 {OCT_S32, 2, {4, 2}, "more than one value"},
                 {OCT_S32, 0, {0, 0}, "single number"}};
    int8_t y[32];
    float x[12] = {0};
    oct_dataset *set = NULL;
    memset(y, -1, sizeof y);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        packer p = pack_open(at("bad.npz"), PACK_ZIP);
        add_npy(p, "x.npy", &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 2, .dims = {4, 3}});
        add_npy(
            p, "labels.npy",
            &(oct_tensor){.data = y, .dtype = cases[i].dtype, .rank = cases[i].rank, .dims = {cases[i].dims[0], cases[i].dims[1]}});
        pack_close(p);
        FAILS(oct_dataset_open(at("bad.npz"), NULL, &set), OCT_ERR_CONTENT, cases[i].says);
    }
    packer p = pack_open(at("bad.npz"), PACK_ZIP);
    pack_add(p, "x.npy", "no array", 8);
    pack_close(p);
    FAILS(oct_dataset_open(at("bad.npz"), NULL, &set), OCT_ERR_CONTENT, "x.npy");
    pack_close(pack_open(at("bad.npz"), PACK_ZIP));
    FAILS(oct_dataset_open(at("bad.npz"), NULL, &set), OCT_ERR_CONTENT, "bad.npz");
    FAILS(oct_dataset_open(put_text("bad.npz", "x"), NULL, &set), OCT_ERR_CONTENT, "bad.npz");
    OK(oct_npy_save(at("none.npy"), &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 2, .dims = {0, 3}}));
    FAILS(oct_dataset_open(at("none.npy"), NULL, &set), OCT_ERR_CONTENT, "empty");
    assert_null(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder__classes__ranked_bytewise_with_empty_ones),
        cmocka_unit_test(folder__flat__unlabelled),
        cmocka_unit_test(folder__links__one_level_and_no_cycle),
        cmocka_unit_test(single_image__file__one_sample),
        cmocka_unit_test(open__nothing_usable__clear_errors),
        cmocka_unit_test(archive__every_kind__classes_below_shared_folder),
        cmocka_unit_test(archive__flat_or_in_one_folder__unlabelled),
        cmocka_unit_test(zip__utf8_names__kept_in_the_c_locale),
        cmocka_unit_test(archive__name_twice__later_entry_counts),
        cmocka_unit_test(archive__truncated__content_error),
        cmocka_unit_test(table__integers_and_header__class_indices),
        cmocka_unit_test(table__names_with_tabs__ranked),
        cmocka_unit_test(table__paths_only__unlabelled),
        cmocka_unit_test(table__bad_rows__content_error_with_row),
        cmocka_unit_test(subset__uneven_classes__as_even_as_possible),
        cmocka_unit_test(subset__seed__repeats_and_differs),
        cmocka_unit_test(subset__draws__uniform_over_members),
        cmocka_unit_test(shards__any_count__partition_the_limited_set),
        cmocka_unit_test(split__uneven_classes__each_gives_its_share),
        cmocka_unit_test(split__draws__uniform_over_members_and_apart_from_the_subset),
        cmocka_unit_test(split__two_sets__disjoint_and_complete_from_every_source),
        cmocka_unit_test(options__nonsense__usage_error),
        cmocka_unit_test(npz__labels__classes),
        cmocka_unit_test(npz__bad_members__content_error),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
