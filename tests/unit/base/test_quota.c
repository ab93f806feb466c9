/* CPU quotas of control groups, in folders that look like /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/quota.h"

static char root[64];

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/octavo-quota-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}
static void put(const char *path, const char *text)
{
    char full[512], command[1024];
    snprintf(full, sizeof full, "%s%s", root, path);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", full);
    assert_int_equal(system(command), 0);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void quota__version_2__the_tightest_of_all_parents(void **state)
{
    (void)state;
    assert_int_equal(oct_cpu_quota(root), 0);
    put("/proc/self/cgroup", "0::/a/b\n");
    assert_int_equal(oct_cpu_quota(root), 0);
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_int_equal(oct_cpu_quota(root), 0);
    put("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    assert_int_equal(oct_cpu_quota(root), 4);
    put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    assert_int_equal(oct_cpu_quota(root), 2);
    put("/sys/fs/cgroup/cpu.max", "1000 100000\n");
    assert_int_equal(oct_cpu_quota(root), 1);
}

static void quota__version_1__quota_over_period(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "9:cpuset:/x\n3:cpu,cpuacct:/job\n1:name=systemd:/cpu\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(oct_cpu_quota(root), 0);
    put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(oct_cpu_quota(root), 3);
}

static void quota__nonsense__none(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "rubbish\n0::/z\n");
    put("/sys/fs/cgroup/z/cpu.max", "100000 0\n");
    put("/sys/fs/cgroup/cpu.max", "nan nan\n");
    assert_int_equal(oct_cpu_quota(root), 0);
    put("/sys/fs/cgroup/z/cpu.max", "");
    assert_int_equal(oct_cpu_quota(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota__version_2__the_tightest_of_all_parents),
        cmocka_unit_test(quota__version_1__quota_over_period),
        cmocka_unit_test(quota__nonsense__none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
