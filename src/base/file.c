/* Files: whole read, atomic replace, read-only mapping.  All errors are IO and name the file.
 *
 * A new file is written under a temporary name beside its place, synced, then renamed: readers see all bytes or the old
 * file. A path that is no regular file (a device, a pipe) is written directly, since a rename would replace the device. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"

#define READ_STEP (1 << 20)

static oct_status io_error(const char *what, const char *path, int error)
{
    return oct_fail_file(oct_fail(OCT_ERR_IO, "cannot %s '%s': %s", what, path, strerror(error)), path);
}

oct_status oct_file_read(const char *path, void **data, int64_t *size)
{
    oct_status s = OCT_OK;
    char *bytes = NULL;
    int64_t capacity = 0, n = 0;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error("open", path, errno);
    if (fstat(fd, &st) != 0)
        OCT_TRY_DONE(io_error("read", path, errno));
    if (S_ISDIR(st.st_mode))
        OCT_TRY_DONE(io_error("read", path, EISDIR));
    OCT_TRY_DONE(oct_grow((void **)&bytes, &capacity, (S_ISREG(st.st_mode) ? st.st_size : 0) + 2, 1));
    for (;;) {
        if (n + 1 >= capacity)
            OCT_TRY_DONE(oct_grow((void **)&bytes, &capacity, n + READ_STEP, 1));
        ssize_t got = read(fd, bytes + n, (size_t)(capacity - n - 1));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            OCT_TRY_DONE(io_error("read", path, errno));
        if (got == 0)
            break;
        n += got;
    }
    bytes[n] = '\0';
    *data = bytes;
    *size = n;
    bytes = NULL;
done:
    free(bytes);
    close(fd);
    return s;
}

struct oct_file_out {
    FILE *file;
    char *path;      /* where it shall be, links resolved */
    char *temporary; /* NULL when path is written directly */
};

static void file_out_free(oct_file_out *f)
{
    free(f->path);
    free(f->temporary);
    free(f);
}

void oct_file_abort(oct_file_out *f)
{
    if (!f)
        return;
    if (f->file)
        fclose(f->file);
    if (f->temporary)
        unlink(f->temporary);
    file_out_free(f);
}

oct_status oct_file_begin(const char *path, oct_file_out **out)
{
    oct_status s = OCT_OK;
    struct stat st;
    bool exists = stat(path, &st) == 0;
    oct_file_out *f = calloc(1, sizeof *f);
    if (!f)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an output file");
    f->path = exists ? realpath(path, NULL) : strdup(path);
    if (!f->path)
        OCT_TRY_DONE(io_error("write", path, errno));
    if (exists && S_ISDIR(st.st_mode))
        OCT_TRY_DONE(io_error("write", path, EISDIR));
    bool direct = exists && !S_ISREG(st.st_mode);
    if (!direct) {
        size_t size = strlen(f->path) + 32;
        f->temporary = malloc(size);
        if (!f->temporary)
            OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate an output file");
        snprintf(f->temporary, size, "%s.%ld.tmp", f->path, (long)getpid());
    }
    /* A file without write permission is refused as a plain open would, although the rename could replace it. */
    if (exists && access(path, W_OK) != 0)
        OCT_TRY_DONE(io_error("write", path, errno));
    int fd = direct ? open(f->path, O_WRONLY | O_CLOEXEC) : open(f->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        int error = errno;
        free(f->temporary);
        f->temporary = NULL;
        OCT_TRY_DONE(io_error("write", path, error));
    }
    if (!direct && exists && fchmod(fd, st.st_mode & 07777) != 0) {
        /* Not the owner: the new file keeps the default permissions. */
    }
    f->file = fdopen(fd, "wb");
    if (!f->file) {
        int error = errno;
        close(fd);
        OCT_TRY_DONE(io_error("write", path, error));
    }
    *out = f;
done:
    if (s != OCT_OK)
        oct_file_abort(f);
    return s;
}

oct_status oct_file_put(oct_file_out *f, const void *data, int64_t size)
{
    if (size && fwrite(data, 1, (size_t)size, f->file) != (size_t)size)
        return io_error("write", f->path, errno);
    return OCT_OK;
}

static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = slash ? snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path) : snprintf(folder, sizeof folder, ".");
    if (n < 0 || n >= (int)sizeof folder)
        return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

oct_status oct_file_commit(oct_file_out *f)
{
    oct_status s = OCT_OK;
    bool bad = ferror(f->file) || fflush(f->file) != 0;
    int error = bad && errno == 0 ? EIO : errno;
    if (!bad && f->temporary && fsync(fileno(f->file)) != 0) {
        bad = true;
        error = errno;
    }
    if (fclose(f->file) != 0 && !bad) {
        bad = true;
        error = errno;
    }
    f->file = NULL;
    if (bad)
        OCT_TRY_DONE(io_error("write", f->path, error));
    if (f->temporary) {
        if (rename(f->temporary, f->path) != 0)
            OCT_TRY_DONE(io_error("write", f->path, errno));
        sync_folder(f->path);
    }
    file_out_free(f);
    return OCT_OK;
done:
    oct_file_abort(f);
    return s;
}

oct_status oct_file_write(const char *path, const void *data, int64_t size)
{
    oct_file_out *f = NULL;
    OCT_TRY(oct_file_begin(path, &f));
    oct_status s = oct_file_put(f, data, size);
    if (s != OCT_OK) {
        oct_file_abort(f);
        return s;
    }
    return oct_file_commit(f);
}

oct_status oct_file_map(const char *path, oct_map *out)
{
    oct_status s = OCT_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error("open", path, errno);
    if (fstat(fd, &st) != 0)
        OCT_TRY_DONE(io_error("read", path, errno));
    if (!S_ISREG(st.st_mode))
        OCT_TRY_DONE(io_error("map", path, S_ISDIR(st.st_mode) ? EISDIR : EINVAL));
    if (st.st_size == 0)
        OCT_TRY_DONE(oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s' is empty", path), path));
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        OCT_TRY_DONE(io_error("map", path, errno));
    out->data = p;
    out->size = st.st_size;
done:
    close(fd);
    return s;
}

void oct_file_unmap(oct_map *map)
{
    if (map && map->data)
        munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    if (map)
        *map = (oct_map){0};
}

bool oct_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool oct_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}
