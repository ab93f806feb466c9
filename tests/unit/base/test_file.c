/* Whole reads, atomic replacement, mappings: the bad paths are the point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"

typedef struct place {
    char folder[64], file[96];
} place;

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/octavo-file-XXXXXX");
    if (!p || !mkdtemp(p->folder))
        return -1;
    snprintf(p->file, sizeof p->file, "%s/data", p->folder);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    unlink(p->file);
    int left = rmdir(p->folder); /* fails when a temporary file was left behind */
    free(p);
    return left;
}

static void expect_content(const char *path, const char *want, int64_t size)
{
    void *data = NULL;
    int64_t n = -1;
    assert_int_equal(oct_file_read(path, &data, &n), OCT_OK);
    assert_int_equal(n, size);
    assert_memory_equal(data, want, (size_t)size);
    assert_int_equal(((char *)data)[n], 0);
    free(data);
}

static void write__then_read__same_bytes(void **state)
{
    const place *p = *state;
    assert_int_equal(oct_file_write(p->file, "a\0b", 3), OCT_OK);
    expect_content(p->file, "a\0b", 3);
    assert_int_equal(oct_file_write(p->file, NULL, 0), OCT_OK);
    expect_content(p->file, "", 0);
    const int64_t large = 3 << 20;
    char *bytes = malloc((size_t)large);
    for (int64_t i = 0; i < large; i++)
        bytes[i] = (char)(i * 7);
    assert_int_equal(oct_file_write(p->file, bytes, large), OCT_OK);
    expect_content(p->file, bytes, large);
    free(bytes);
}

static void read__missing_or_folder__is_io_and_named(void **state)
{
    const place *p = *state;
    void *data = (void *)1;
    int64_t n = -1;
    assert_int_equal(oct_file_read(p->file, &data, &n), OCT_ERR_IO);
    assert_string_equal(oct_last_error()->file, p->file);
    assert_non_null(strstr(oct_last_error()->message, p->file));
    assert_int_equal(oct_file_read(p->folder, &data, &n), OCT_ERR_IO);
    assert_ptr_equal(data, (void *)1);
}

static void read__endless_size_unknown__device_is_read_to_its_end(void **state)
{
    (void)state;
    void *data = NULL;
    int64_t n = -1;
    assert_int_equal(oct_file_read("/dev/null", &data, &n), OCT_OK);
    assert_int_equal(n, 0);
    free(data);
    assert_int_equal(oct_file_read("/proc/self/status", &data, &n), OCT_OK); /* says size 0 */
    assert_true(n > 0);
    free(data);
}

static void write__file_size_limit__old_file_stays(void **state)
{
    const place *p = *state;
    assert_int_equal(oct_file_write(p->file, "old", 3), OCT_OK);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    char *bytes = calloc(1, 200000);
    oct_status s = oct_file_write(p->file, bytes, 200000);
    oct_status few = oct_file_write(p->file, bytes, 2000); /* noticed at the flush */
    setrlimit(RLIMIT_FSIZE, &before);
    free(bytes);
    assert_int_equal(s, OCT_ERR_IO);
    assert_int_equal(few, OCT_ERR_IO);
    expect_content(p->file, "old", 3);
}

static void write__full_device__is_io_and_device_stays(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    char bytes[100] = {0};
    assert_int_equal(oct_file_write("/dev/full", bytes, sizeof bytes), OCT_ERR_IO);
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void write__no_such_folder_or_a_folder__is_io(void **state)
{
    const place *p = *state;
    char deep[160];
    snprintf(deep, sizeof deep, "%s/none/file", p->folder);
    assert_int_equal(oct_file_write(deep, "x", 1), OCT_ERR_IO);
    assert_non_null(strstr(oct_last_error()->message, deep));
    assert_int_equal(oct_file_write(p->folder, "x", 1), OCT_ERR_IO);
}

static void write__read_only_folder__is_io_and_old_file_stays(void **state)
{
    const place *p = *state;
    if (geteuid() == 0)
        skip(); /* root may write everywhere */
    assert_int_equal(oct_file_write(p->file, "old", 3), OCT_OK);
    chmod(p->folder, 0500);
    oct_status s = oct_file_write(p->file, "new", 3);
    chmod(p->folder, 0700);
    assert_int_equal(s, OCT_ERR_IO);
    expect_content(p->file, "old", 3);
}

static void write__through_link__replaces_the_target(void **state)
{
    const place *p = *state;
    char alias[96];
    snprintf(alias, sizeof alias, "%s/alias", p->folder);
    assert_int_equal(oct_file_write(p->file, "old", 3), OCT_OK);
    assert_int_equal(chmod(p->file, 0640), 0);
    assert_int_equal(symlink(p->file, alias), 0);
    assert_int_equal(oct_file_write(alias, "newer", 5), OCT_OK);
    expect_content(p->file, "newer", 5);
    struct stat st;
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(lstat(alias, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(alias);
}

static void pieces__abort__leaves_nothing(void **state)
{
    const place *p = *state;
    oct_file_out *f = NULL;
    assert_int_equal(oct_file_begin(p->file, &f), OCT_OK);
    assert_int_equal(oct_file_put(f, "ab", 2), OCT_OK);
    assert_false(oct_path_exists(p->file));
    oct_file_abort(f);
    oct_file_abort(NULL);
    assert_false(oct_path_exists(p->file));
    assert_int_equal(oct_file_begin(p->file, &f), OCT_OK);
    assert_int_equal(oct_file_put(f, "ab", 2), OCT_OK);
    assert_int_equal(oct_file_put(f, "cd", 2), OCT_OK);
    assert_int_equal(oct_file_commit(f), OCT_OK);
    expect_content(p->file, "abcd", 4);
}

static void map__file__shows_its_bytes(void **state)
{
    const place *p = *state;
    oct_map m = {0};
    assert_int_equal(oct_file_map(p->file, &m), OCT_ERR_IO);
    assert_int_equal(oct_file_map(p->folder, &m), OCT_ERR_IO);
    assert_int_equal(oct_file_map("/dev/null", &m), OCT_ERR_IO);
    assert_int_equal(oct_file_write(p->file, NULL, 0), OCT_OK);
    assert_int_equal(oct_file_map(p->file, &m), OCT_ERR_CONTENT);
    assert_null(m.data);
    assert_int_equal(oct_file_write(p->file, "abc", 3), OCT_OK);
    assert_int_equal(oct_file_map(p->file, &m), OCT_OK);
    assert_int_equal(m.size, 3);
    assert_memory_equal(m.data, "abc", 3);
    oct_file_unmap(&m);
    assert_null(m.data);
    oct_file_unmap(&m);
    assert_true(oct_path_is_dir(p->folder));
    assert_false(oct_path_is_dir(p->file));
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(write__then_read__same_bytes), WITH_FOLDER(read__missing_or_folder__is_io_and_named),
        cmocka_unit_test(read__endless_size_unknown__device_is_read_to_its_end), WITH_FOLDER(write__file_size_limit__old_file_stays),
        cmocka_unit_test(write__full_device__is_io_and_device_stays), WITH_FOLDER(write__no_such_folder_or_a_folder__is_io),
        WITH_FOLDER(write__read_only_folder__is_io_and_old_file_stays), WITH_FOLDER(write__through_link__replaces_the_target),
        WITH_FOLDER(pieces__abort__leaves_nothing), WITH_FOLDER(map__file__shows_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
