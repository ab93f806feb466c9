/* A preload library that lets the n-th allocation, or the n-th step of writing a file, fail once: OCTAVO_FAIL=alloc:N or write:N.  At the end of the process it says on
 * descriptor OCTAVO_FAIL_FD how many there were. Writing: fwrite to anything but the standard streams, fflush, fclose, fsync, rename.
 * Allocations of libraries that do not survive a failing one are left alone: libarchive 3.6's zip reader, and the C++ libraries under training. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic long allocations, writes;
static long fail_allocation = -1, fail_write = -1;

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t), *(*real_aligned)(size_t, size_t);
static int (*real_memalign)(void **, size_t, size_t);
static size_t (*real_fwrite)(const void *, size_t, size_t, FILE *);
static int (*real_fflush)(FILE *), (*real_fclose)(FILE *), (*real_fsync)(int), (*real_rename)(const char *, const char *);

/* dlsym itself allocates before calloc is known. */
static char early[8192];
static size_t early_used;
static _Thread_local int looking;

static void look_up(void)
{
    looking = 1;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&real_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&real_fwrite = dlsym(RTLD_NEXT, "fwrite");
    *(void **)&real_fflush = dlsym(RTLD_NEXT, "fflush");
    *(void **)&real_fclose = dlsym(RTLD_NEXT, "fclose");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_rename = dlsym(RTLD_NEXT, "rename");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    looking = 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *what = getenv("OCTAVO_FAIL");
    if (!real_calloc)
        look_up();
    if (what && strncmp(what, "alloc:", 6) == 0)
        fail_allocation = atol(what + 6); /* 0: count only */
    if (what && strncmp(what, "write:", 6) == 0)
        fail_write = atol(what + 6);
    allocations = writes = 0;
}

__attribute__((destructor)) static void report(void)
{
    const char *fd = getenv("OCTAVO_FAIL_FD");
    char text[64];
    if (fd) {
        int n = snprintf(text, sizeof text, "%ld %ld\n", (long)allocations, (long)writes);
        if (write(atoi(fd), text, (size_t)n) < 0)
            return;
    }
}

static int is_fragile(const void *caller)
{
    static const char *const names[] = {"libarchive", "libdnnl", "libstdc++", "libgomp", "libOpenCL", "libtbb"};
    Dl_info info;
    if (fail_allocation < 0 || !dladdr(caller, &info) || !info.dli_fname)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(info.dli_fname, names[i]))
            return 1;
    return 0;
}

static int allocation_fails(const void *caller)
{
    if (is_fragile(caller))
        return 0;
    if (atomic_fetch_add(&allocations, 1) + 1 != fail_allocation)
        return 0;
    errno = ENOMEM;
    return 1;
}
static int write_fails(void)
{
    if (atomic_fetch_add(&writes, 1) + 1 != fail_write)
        return 0;
    errno = ENOSPC;
    return 1;
}

void *malloc(size_t n)
{
    if (!real_malloc)
        look_up();
    return allocation_fails(__builtin_return_address(0)) ? NULL : real_malloc(n);
}
void *calloc(size_t n, size_t m)
{
    if (!real_calloc) {
        if (!looking) {
            look_up();
        } else {
            void *p = early + early_used;
            early_used += (n * m + 15) / 16 * 16;
            if (early_used > sizeof early)
                abort();
            return p;
        }
    }
    return allocation_fails(__builtin_return_address(0)) ? NULL : real_calloc(n, m);
}
void *realloc(void *p, size_t n)
{
    if (!real_realloc)
        look_up();
    return allocation_fails(__builtin_return_address(0)) ? NULL : real_realloc(p, n);
}
void *aligned_alloc(size_t a, size_t n)
{
    if (!real_aligned)
        look_up();
    return allocation_fails(__builtin_return_address(0)) ? NULL : real_aligned(a, n);
}
int posix_memalign(void **p, size_t a, size_t n)
{
    if (!real_memalign)
        look_up();
    return allocation_fails(__builtin_return_address(0)) ? ENOMEM : real_memalign(p, a, n);
}
void free(void *p)
{
    static void (*real_free)(void *);
    if ((char *)p >= early && (char *)p < early + sizeof early)
        return;
    if (!real_free)
        *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    real_free(p);
}

static int is_standard(FILE *f) { return f == stdout || f == stderr || !f; }

size_t fwrite(const void *p, size_t size, size_t n, FILE *f) { return !is_standard(f) && write_fails() ? 0 : real_fwrite(p, size, n, f); }
int fflush(FILE *f) { return !is_standard(f) && write_fails() ? EOF : real_fflush(f); }
int fclose(FILE *f)
{
    const int fails = !is_standard(f) && write_fails(), status = real_fclose(f);
    if (fails)
        errno = ENOSPC;
    return fails ? EOF : status;
}
int fsync(int fd) { return write_fails() ? -1 : real_fsync(fd); }
int rename(const char *from, const char *to) { return write_fails() ? -1 : real_rename(from, to); }
