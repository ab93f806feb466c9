/* Layout: "OCTCKPT1", the number of items (u64); for each item the length of its name (u64), the bytes of its data (u64), the name,
 * the data; at the end XXH64 of all before. Numbers are little-endian. Nothing is believed before the checksum fits, and no length
 * without a look at what is left. */
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"

static const char magic[8] = {'O', 'C', 'T', 'C', 'K', 'P', 'T', '1'};
enum { WORD = 8, HEAD = sizeof magic + WORD, NAME_MOST = 255 };

struct oct_checkpoint {
    char *path;
    char *bytes;
    int64_t size; /* without the checksum */
    uint64_t count;
};

/* --- writing: in pieces, since a copy of all would double what training takes --- */

typedef struct writer {
    oct_file_out *file;
    oct_hash hash;
} writer;

static oct_status put(writer *w, const void *data, int64_t size)
{
    oct_hash_add(&w->hash, data, (size_t)size);
    return oct_file_put(w->file, data, size);
}

static oct_status put_word(writer *w, uint64_t v)
{
    unsigned char b[WORD];
    for (int i = 0; i < WORD; i++)
        b[i] = (unsigned char)(v >> 8 * i);
    return put(w, b, WORD);
}

static oct_status put_items(writer *w, const oct_checkpoint_item *items, int64_t count)
{
    OCT_TRY(put(w, magic, sizeof magic));
    OCT_TRY(put_word(w, (uint64_t)count));
    for (int64_t i = 0; i < count; i++) {
        const int64_t length = (int64_t)strlen(items[i].name);
        if (length > NAME_MOST || items[i].bytes < 0)
            return oct_fail(OCT_ERR_INTERNAL, "item %lld of a checkpoint has no fitting name or size", (long long)i);
        OCT_TRY(put_word(w, (uint64_t)length));
        OCT_TRY(put_word(w, (uint64_t)items[i].bytes));
        OCT_TRY(put(w, items[i].name, length));
        OCT_TRY(put(w, items[i].data, items[i].bytes));
    }
    return put_word(w, oct_hash_value(&w->hash));
}

/* A killed process leaves "<path>.<pid>.tmp", as large as a checkpoint; those whose process is gone are removed. Nothing depends on
 * it. */
static void sweep(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t length = strlen(name);
    char *folder = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
    DIR *d = folder ? opendir(folder) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        int pid = 0, used = 0;
        if (strncmp(e->d_name, name, length) == 0 && sscanf(e->d_name + length, ".%9d.tmp%n", &pid, &used) == 1 && used &&
            !e->d_name[length + (size_t)used] && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    free(folder);
}

oct_status oct_checkpoint_write(const char *path, const oct_checkpoint_item *items, int64_t count)
{
    writer w = {0};
    oct_hash_begin(&w.hash, 0);
    sweep(path);
    OCT_TRY(oct_file_begin(path, &w.file));
    const oct_status s = put_items(&w, items, count);
    if (s == OCT_OK)
        return oct_file_commit(w.file);
    oct_file_abort(w.file);
    return s;
}

/* --- reading --- */

static uint64_t word_at(const char *p)
{
    uint64_t v = 0;
    for (int i = WORD - 1; i >= 0; i--)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* Item at *at; false when it does not fit into the file. */
static bool next_item(const oct_checkpoint *c, int64_t *at, const char **name, int64_t *length, const char **data, int64_t *bytes)
{
    if (c->size - *at < 2 * WORD)
        return false;
    const uint64_t n = word_at(c->bytes + *at), size = word_at(c->bytes + *at + WORD);
    *at += 2 * WORD;
    if (n > NAME_MOST || n > (uint64_t)(c->size - *at) || size > (uint64_t)(c->size - *at) - n)
        return false;
    *name = c->bytes + *at;
    *length = (int64_t)n;
    *data = c->bytes + *at + n;
    *bytes = (int64_t)size;
    *at += (int64_t)(n + size);
    return true;
}

static oct_status bad(const oct_checkpoint *c, const char *why)
{
    return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "the checkpoint '%s' %s", c->path, why), c->path);
}

static oct_status check(oct_checkpoint *c)
{
    const char *name, *data;
    int64_t at = HEAD, length, bytes;
    if (c->size < HEAD + WORD || memcmp(c->bytes, magic, sizeof magic - 1) != 0)
        return bad(c, "is no checkpoint, or cut");
    if (c->bytes[sizeof magic - 1] != magic[sizeof magic - 1])
        return bad(c, "is of another version");
    c->size -= WORD;
    if (word_at(c->bytes + c->size) != oct_hash64(c->bytes, (size_t)c->size, 0))
        return bad(c, "is cut or damaged: its checksum is wrong");
    c->count = word_at(c->bytes + sizeof magic);
    for (uint64_t i = 0; i < c->count; i++)
        if (!next_item(c, &at, &name, &length, &data, &bytes))
            return bad(c, "has an item that does not fit into it");
    return at == c->size ? OCT_OK : bad(c, "has bytes behind its items");
}

oct_status oct_checkpoint_open(const char *path, oct_checkpoint **out)
{
    oct_status s = OCT_OK;
    oct_checkpoint *c = calloc(1, sizeof *c);
    if (!c || !(c->path = strdup(path)))
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for a checkpoint");
    OCT_TRY_DONE(oct_file_read(path, (void **)&c->bytes, &c->size));
    OCT_TRY_DONE(check(c));
    *out = c;
    c = NULL;
done:
    oct_checkpoint_close(c);
    return s;
}

void oct_checkpoint_close(oct_checkpoint *c)
{
    if (!c)
        return;
    free(c->path);
    free(c->bytes);
    free(c);
}

bool oct_checkpoint_find(const oct_checkpoint *c, const char *name, const void **data, int64_t *bytes)
{
    int64_t at = HEAD, length;
    const char *n, *d;
    for (uint64_t i = 0; i < c->count && next_item(c, &at, &n, &length, &d, bytes); i++) {
        if (length == (int64_t)strlen(name) && memcmp(n, name, (size_t)length) == 0) {
            *data = d;
            return true;
        }
    }
    return false;
}

oct_status oct_checkpoint_take(const oct_checkpoint *c, const char *name, void *data, int64_t bytes)
{
    const void *from;
    int64_t size;
    if (!oct_checkpoint_find(c, name, &from, &size) || size != bytes)
        return oct_fail_file(
            oct_fail(OCT_ERR_CONTENT, "the checkpoint '%s' has no item '%s' of %lld bytes", c->path, name, (long long)bytes),
            c->path);
    if (bytes > 0)
        memcpy(data, from, (size_t)bytes);
    return OCT_OK;
}
