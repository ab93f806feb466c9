/* Reading CPU quotas of control groups: see quota.h.  A group's quota binds its children too, so all folders up to the top are looked at. */
#include "base/quota.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_line(const char *path, char line[256])
{
    FILE *f = fopen(path, "r");
    const bool ok = f && fgets(line, 256, f);
    if (f)
        fclose(f);
    return ok;
}

/* quota / period rounded up, at least 1; 0 when there is no limit. */
static int cores_of(double quota, double period)
{
    if (!(quota > 0) || !(period > 0) || quota / period > 1e6)
        return 0;
    const int whole = (int)(quota / period);
    return whole + (whole < quota / period);
}

/* Of one folder. */
static int folder_cores(const char *folder, bool v2)
{
    char path[PATH_MAX], line[256], period[256], *end;
    if (v2) {
        if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path || !read_line(path, line))
            return 0;
        const double quota = strtod(line, &end); /* "max 100000": no number */
        return end == line ? 0 : cores_of(quota, strtod(end, NULL));
    }
    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder) >= (int)sizeof path || !read_line(path, line) ||
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >= (int)sizeof path || !read_line(path, period))
        return 0;
    return cores_of(strtod(line, NULL), strtod(period, NULL));
}

/* The least of `least` and the quotas of mount/group and of every folder above it, down to mount. */
static int tightest(const char *mount, const char *group, bool v2, int least)
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder)
        return least;
    for (;;) {
        const int cores = folder_cores(folder, v2);
        if (cores && (!least || cores < least))
            least = cores;
        char *slash = strrchr(folder, '/');
        if (!slash || slash - folder < (ptrdiff_t)strlen(mount))
            return least;
        *slash = 0;
    }
}

int oct_cpu_quota(const char *root)
{
    char path[PATH_MAX], line[PATH_MAX];
    int least = 0;
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) { /* number:controllers:group */
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        group[strcspn(group, "\n")] = 0;
        char list[256];
        const bool v2 = !*controllers, v1 = snprintf(list, sizeof list, ",%s,", controllers) < (int)sizeof list && strstr(list, ",cpu,");
        char mount[PATH_MAX];
        if ((v2 || v1) && snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/cpu") < (int)sizeof mount)
            least = tightest(mount, group, v2, least);
    }
    if (f)
        fclose(f);
    return least;
}
