/* Checkpoint files: what is written comes back, what is cut or damaged is refused, a failed write leaves the old file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "base/file.h"
#include "train/checkpoint.h"

static char path[64];

static int make(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/octavo-checkpoint-%d", (int)getpid());
    return 0;
}

static int drop(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_one(double number)
{
    float values[3] = {1, 2, 3};
    const oct_checkpoint_item items[] = {{"number", &number, sizeof number}, {"values", values, sizeof values}, {"nothing", NULL, 0}};
    assert_int_equal(oct_checkpoint_write(path, items, 3), OCT_OK);
}

static void checkpoint__written__comes_back(void **state)
{
    (void)state;
    oct_checkpoint *c = NULL;
    double number = 0;
    float values[3] = {0};
    const void *data;
    int64_t size;
    write_one(4.5);
    assert_int_equal(oct_checkpoint_open(path, &c), OCT_OK);
    assert_int_equal(oct_checkpoint_take(c, "values", values, sizeof values), OCT_OK);
    assert_int_equal(oct_checkpoint_take(c, "number", &number, sizeof number), OCT_OK);
    assert_true(number == 4.5 && values[2] == 3);
    assert_true(oct_checkpoint_find(c, "nothing", &data, &size) && size == 0);
    assert_false(oct_checkpoint_find(c, "numbe", &data, &size));
    assert_int_equal(oct_checkpoint_take(c, "values", values, 8), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "'values' of 8 bytes"));
    oct_checkpoint_close(c);
}

static void open_fails(const void *bytes, int64_t size)
{
    oct_checkpoint *c = NULL;
    assert_int_equal(oct_file_write(path, bytes, size), OCT_OK);
    assert_int_equal(oct_checkpoint_open(path, &c), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, path));
    assert_null(c);
}

static void checkpoint__cut_or_changed_anywhere__refused(void **state)
{
    (void)state;
    char *bytes;
    int64_t size;
    write_one(1);
    assert_int_equal(oct_file_read(path, (void **)&bytes, &size), OCT_OK);
    for (int64_t cut = 0; cut < size; cut++)
        open_fails(bytes, cut);
    for (int64_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        open_fails(bytes, size);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(bytes);
}

static void checkpoint__missing__io(void **state)
{
    (void)state;
    oct_checkpoint *c = NULL;
    assert_int_equal(oct_checkpoint_open("/tmp/octavo-no-such-checkpoint", &c), OCT_ERR_IO);
}

/* A file size limit stands for a full disk. */
static void checkpoint__no_room__old_file_stays(void **state)
{
    (void)state;
    struct rlimit before, small;
    static char big[1 << 16];
    const oct_checkpoint_item item = {"big", big, sizeof big};
    double number = 0;
    oct_checkpoint *c = NULL;
    write_one(7);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const oct_status s = oct_checkpoint_write(path, &item, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(s, OCT_ERR_IO);
    assert_int_equal(oct_checkpoint_open(path, &c), OCT_OK);
    assert_int_equal(oct_checkpoint_take(c, "number", &number, sizeof number), OCT_OK);
    assert_true(number == 7);
    oct_checkpoint_close(c);
}

/* What a killed process left goes with the next write; files of living processes and of others stay. */
static void checkpoint__leftovers_of_dead_processes__removed(void **state)
{
    (void)state;
    char name[5][96];
    const pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);
    snprintf(name[0], sizeof *name, "%s.%d.tmp", path, (int)dead);
    snprintf(name[1], sizeof *name, "%s.%d.tmp", path, (int)getppid());
    snprintf(name[2], sizeof *name, "%s.%dx.tmp", path, (int)dead);
    snprintf(name[3], sizeof *name, "%s.%d.tmp2", path, (int)dead);
    snprintf(name[4], sizeof *name, "%s.other.%d.tmp", path, (int)dead);
    for (int i = 0; i < 5; i++)
        assert_int_equal(oct_file_write(name[i], "x", 1), OCT_OK);
    write_one(3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(unlink(name[i]) == 0, i > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint__written__comes_back),
        cmocka_unit_test(checkpoint__cut_or_changed_anywhere__refused),
        cmocka_unit_test(checkpoint__missing__io),
        cmocka_unit_test(checkpoint__no_room__old_file_stays),
        cmocka_unit_test(checkpoint__leftovers_of_dead_processes__removed),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
