/* Files written under a temporary name and renamed; checks before the work. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const cli *c, const char *path, int error)
{
    return cli_error(c, OCT_ERR_IO, "cannot write '%s': %s", path, strerror(error));
}

bool cli_is_regular(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* --- writing --- */

void cli_output_abort(cli_output *o)
{
    if (o->file)
        fclose(o->file);
    if (o->temporary)
        unlink(o->temporary);
    free(o->path);
    free(o->temporary);
    *o = (cli_output){0};
}

int cli_output_begin(const cli *c, const char *path, cli_output *out)
{
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    cli_output o = {.path = exists ? realpath(path, NULL) : strdup(path)};
    const size_t room = strlen(path) + PATH_MAX + 32;
    const bool direct = exists && !S_ISREG(st.st_mode);
    int error = errno;
    if (o.path && !direct && (o.temporary = malloc(room)))
        snprintf(o.temporary, room, "%s.%ld.tmp", o.path, (long)getpid());
    if (o.path && (direct || o.temporary)) {
        o.file = fopen(direct ? o.path : o.temporary, "w");
        error = errno;
    }
    if (!o.file) {
        free(o.temporary); /* not made: nothing to remove */
        o.temporary = NULL;
        cli_output_abort(&o);
        return cannot(c, path, error);
    }
    if (!direct && exists && fchmod(fileno(o.file), st.st_mode & 07777) != 0) {
        /* Not the owner: the new file keeps the default permissions. */
    }
    *out = o;
    return 0;
}

int cli_output_commit(const cli *c, cli_output *o)
{
    errno = 0;
    bool good = fflush(o->file) == 0 && !ferror(o->file);
    int error = errno ? errno : EIO, status = 0;
    if (fclose(o->file) != 0 && good) {
        error = errno;
        good = false;
    }
    o->file = NULL;
    if (good && o->temporary && rename(o->temporary, o->path) != 0) {
        error = errno;
        good = false;
    }
    if (good) {
        free(o->temporary); /* renamed: nothing to remove */
        o->temporary = NULL;
    } else {
        status = cannot(c, o->path, error);
    }
    cli_output_abort(o);
    return status;
}

/* --- checks --- */

/* errno of making something at path, 0 when it can be made: its folder must be there and writable. */
static int cannot_make(const char *path)
{
    char folder[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0)
        return ENOENT;
    if (n >= sizeof folder)
        return ENAMETOOLONG;
    memcpy(folder, path, n + 1);
    while (n > 1 && folder[n - 1] == '/')
        folder[--n] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    return access(slash ? folder : ".", W_OK | X_OK) == 0 ? 0 : errno;
}

int cli_output_check(const cli *c, const char *path)
{
    struct stat st;
    char real[PATH_MAX];
    int error = 0;
    if (stat(path, &st) != 0)
        error = errno == ENOENT ? cannot_make(path) : errno;
    else if (S_ISDIR(st.st_mode))
        error = EISDIR;
    else if (access(path, W_OK) != 0)
        error = errno;
    else if (S_ISREG(st.st_mode))
        error = realpath(path, real) ? cannot_make(real) : errno;
    return error ? cannot(c, path, error) : 0;
}

int cli_output_check_folder(const cli *c, const char *path)
{
    struct stat st;
    int error = 0;
    if (stat(path, &st) != 0)
        error = errno == ENOENT ? cannot_make(path) : errno;
    else if (!S_ISDIR(st.st_mode))
        error = ENOTDIR;
    else if (access(path, W_OK | X_OK) != 0)
        error = errno;
    return error ? cli_error(c, OCT_ERR_IO, "cannot write into the folder '%s': %s", path, strerror(error)) : 0;
}
