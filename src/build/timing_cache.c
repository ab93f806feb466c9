/* The timing cache as a sorted list and as a text file: see timing_cache.h.  Measures nothing (timing.c does). */
#include "build/timing_cache.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "kernels/kernel.h"

#define FORMAT "octavo-timing"
enum { FORMAT_VERSION = 1, HEAD_LINES = 5, HEAD_MAX = 128 };
static const int64_t longest = 3600 * INT64_C(1000000000000);

oct_status oct_timing_cache_create(oct_isa isa, oct_timing_cache **out)
{
    oct_timing_cache *c = calloc(1, sizeof *c);
    if (!c)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a timing cache");
    c->isa = isa;
    oct_status s = oct_arena_create(&c->arena);
    if (s != OCT_OK) {
        free(c);
        return s;
    }
    *out = c;
    return OCT_OK;
}

void oct_timing_cache_destroy(oct_timing_cache *c)
{
    if (!c)
        return;
    oct_arena_destroy(c->arena);
    free(c->entries);
    free(c);
}

/* Position of the signature, or where it belongs. */
static int64_t position(const oct_timing_cache *c, const char *signature)
{
    int64_t lo = 0, hi = c->count;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (strcmp(c->entries[middle].signature, signature) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static bool stands_at(const oct_timing_cache *c, int64_t at, const char *signature)
{
    return at < c->count && strcmp(c->entries[at].signature, signature) == 0;
}

bool oct_timing_cache_find(const oct_timing_cache *c, const char *signature, double *seconds)
{
    int64_t at = position(c, signature);
    if (!stands_at(c, at, signature))
        return false;
    *seconds = (double)c->entries[at].picoseconds * 1e-12;
    return true;
}

static oct_status put(oct_timing_cache *c, const char *signature, int64_t picoseconds)
{
    int64_t at = position(c, signature);
    if (stands_at(c, at, signature)) {
        c->entries[at].picoseconds = oct_min64(c->entries[at].picoseconds, picoseconds);
        return OCT_OK;
    }
    oct_timing_entry e = {NULL, picoseconds};
    OCT_TRY(oct_arena_strdup(c->arena, signature, &e.signature));
    OCT_TRY(OCT_PUSH(c->entries, c->count, c->capacity, e));
    memmove(&c->entries[at + 1], &c->entries[at], (size_t)(c->count - 1 - at) * sizeof e);
    c->entries[at] = e;
    return OCT_OK;
}

oct_status oct_timing_cache_put(oct_timing_cache *c, const char *signature, double seconds)
{
    if (!(seconds >= 0 && seconds * 1e12 <= (double)longest))
        return oct_fail(OCT_ERR_INTERNAL, "step '%s' took %g seconds", signature, seconds);
    return put(c, signature, oct_max64(1, (int64_t)(seconds * 1e12)));
}

oct_status oct_timing_cache_merge(oct_timing_cache *c, const oct_timing_cache *from)
{
    for (int64_t i = 0; i < from->count; i++)
        OCT_TRY(put(c, from->entries[i].signature, from->entries[i].picoseconds));
    return OCT_OK;
}

/* --- the head: what a cache must agree in ------------------------------------------------------------------------------ */

typedef struct head_line {
    const char *key, *what; /* what: for the message */
    char value[HEAD_MAX];
} head_line;

static void fill_head(oct_isa isa, head_line head[HEAD_LINES])
{
    char model[OCT_CPU_MODEL_MAX];
    oct_cpu_model(model);
    head[0] = (head_line){FORMAT, "has format version", ""};
    head[1] = (head_line){"version", "was measured by Octavo", ""};
    head[2] = (head_line){"level", "was measured at CPU level", ""};
    head[3] = (head_line){"cpu", "was measured on CPU", ""};
    head[4] = (head_line){"kernels", "was measured with kernel list", ""};
    snprintf(head[0].value, HEAD_MAX, "%d", (int)FORMAT_VERSION);
    snprintf(head[1].value, HEAD_MAX, "%s", oct_version());
    snprintf(head[2].value, HEAD_MAX, "%s", oct_isa_name(isa));
    snprintf(head[3].value, HEAD_MAX, "%s", model);
    snprintf(head[4].value, HEAD_MAX, "%016" PRIx64, oct_kernel_list_hash());
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

typedef struct reader {
    char *at, *end; /* the NUL behind the text */
    long line;
} reader;

/* The next line without its '\n', NUL-terminated in place. */
static oct_status next_line(reader *r, char **out)
{
    char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->line++;
    if (!newline)
        return oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld is cut off", r->line);
    if (memchr(r->at, 0, (size_t)(newline - r->at)))
        return oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld holds a NUL", r->line);
    *newline = 0;
    *out = r->at;
    r->at = newline + 1;
    return OCT_OK;
}

static oct_status read_head(reader *r, const head_line head[HEAD_LINES])
{
    char *line = NULL;
    for (int i = 0; i < HEAD_LINES; i++) {
        const size_t length = strlen(head[i].key);
        OCT_TRY(next_line(r, &line));
        if (strncmp(line, head[i].key, length) != 0 || line[length] != ' ')
            return i == 0 ? oct_fail(OCT_ERR_CONTENT, "the file is no timing cache: it does not start with '" FORMAT "'")
                          : oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld does not name '%s'", r->line, head[i].key);
        if (strcmp(line + length + 1, head[i].value) != 0)
            return oct_fail(OCT_ERR_CONTENT, "the timing cache %s %.100s; this build needs %s", head[i].what, line + length + 1,
                            head[i].value);
    }
    return OCT_OK;
}

/* "<picoseconds> <signature>" */
static oct_status read_entry(const reader *r, const char *line, const char *previous, oct_timing_cache *into,
                             const char **signature)
{
    size_t digits = strspn(line, "0123456789");
    long long picoseconds = digits > 0 && digits <= 16 ? strtoll(line, NULL, 10) : 0;
    if (picoseconds < 1 || picoseconds > longest)
        return oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld has no time from 1 to %lld picoseconds", r->line,
                        (long long)longest);
    if (line[digits] != ' ' || !line[digits + 1])
        return oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld names no step", r->line);
    *signature = line + digits + 1;
    if (previous && strcmp(previous, *signature) >= 0)
        return oct_fail(OCT_ERR_CONTENT, "timing cache: line %ld is not behind its predecessor in order", r->line);
    return put(into, *signature, picoseconds);
}

static oct_status read_text(char *text, int64_t size, oct_timing_cache *into)
{
    head_line head[HEAD_LINES];
    reader r = {text, text + size, 0};
    const char *previous = NULL;
    char *line = NULL;
    fill_head(into->isa, head);
    OCT_TRY(read_head(&r, head));
    for (;;) {
        OCT_TRY(next_line(&r, &line));
        if (strcmp(line, "end") == 0)
            break;
        OCT_TRY(read_entry(&r, line, previous, into, &previous));
    }
    return r.at == r.end ? OCT_OK : oct_fail(OCT_ERR_CONTENT, "timing cache: something follows line %ld, the end", r.line);
}

oct_status oct_timing_cache_read(oct_timing_cache *c, const char *path)
{
    oct_status s = OCT_OK;
    oct_timing_cache *read = NULL;
    void *data = NULL;
    int64_t size;
    OCT_TRY_DONE(oct_file_read(path, &data, &size));
    OCT_TRY_DONE(oct_timing_cache_create(c->isa, &read));
    OCT_TRY_DONE(read_text(data, size, read));
    OCT_TRY_DONE(oct_timing_cache_merge(c, read));
done:
    oct_timing_cache_destroy(read);
    free(data);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}

oct_status oct_timing_cache_write(const oct_timing_cache *c, const char *path)
{
    head_line head[HEAD_LINES];
    oct_text t = {0};
    char *text = NULL;
    fill_head(c->isa, head);
    for (int i = 0; i < HEAD_LINES; i++)
        oct_text_printf(&t, "%s %s\n", head[i].key, head[i].value);
    for (int64_t i = 0; i < c->count; i++)
        oct_text_printf(&t, "%lld %s\n", (long long)c->entries[i].picoseconds, c->entries[i].signature);
    oct_text_printf(&t, "end\n");
    int64_t size = t.size;
    OCT_TRY(oct_text_finish(&t, &text));
    oct_status s = oct_file_write(path, text, size);
    free(text);
    return s;
}
