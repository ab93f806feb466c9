/* CSV and TSV lists of path,label.
 *
 * Fields may be quoted (RFC 4180: "" is a quote). A first row whose path has no image extension is a header. Labels are all
 * integers (class indices) or else all names (class = bytewise rank). Paths are relative to the table's own folder. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "data/listing.h"

#define MAX_CLASSES ((int64_t)1 << 24)

/* Cuts one field off *p in place, unquoted and NUL-terminated; *p goes behind its separator. *last: the row ends. */
static oct_status take_field(char **p, char separator, char **field, bool *last)
{
    char *from = *p, *to;
    bool quoted = *from == '"';
    to = *field = from + quoted;
    from = to;
    for (;; from++) {
        if (*from == '\0' && quoted)
            return oct_fail(OCT_ERR_CONTENT, "a quoted field is not closed");
        if (quoted && *from == '"') {
            if (from[1] != '"')
                break;
            from++;
        } else if (!quoted && (*from == separator || *from == '\n' || *from == '\0')) {
            break;
        }
        *to++ = *from;
    }
    if (quoted)
        from++;
    if (*from == '\r' && from[1] == '\n')
        from++;
    if (*from != separator && *from != '\n' && *from != '\0')
        return oct_fail(OCT_ERR_CONTENT, "text follows a quoted field");
    *last = *from != separator;
    *p = from + (*from != '\0');
    if (!quoted && to > *field && to[-1] == '\r')
        to--;
    *to = '\0';
    return OCT_OK;
}

static bool parse_index(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || *text == ' ')
        return false;
    *out = v;
    return true;
}

/* Classes from the label texts (one offset per item, -1 for a missing one). */
static oct_status label_items(oct_listing *l, const int64_t *texts, const char *path)
{
    int64_t missing = 0, index;
    bool numbers = true;
    for (int64_t i = 0; i < l->count; i++) {
        missing += texts[i] < 0;
        numbers &= texts[i] >= 0 && parse_index(l->names + texts[i], &index);
    }
    if (missing == l->count)
        return OCT_OK;
    for (int64_t i = 0; i < l->count; i++) {
        const char *name = l->names + l->items[i].name;
        if (texts[i] < 0)
            return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s': '%s' has no label, other rows have one", path, name), path);
        if (numbers && (!parse_index(l->names + texts[i], &index) || index < 0 || index >= MAX_CLASSES))
            return oct_fail_file(
                oct_fail(OCT_ERR_CONTENT, "'%s': label %s of '%s' is outside the classes", path, l->names + texts[i], name), path);
        if (numbers) {
            l->items[i].label = index;
            l->class_count = oct_max64(l->class_count, index + 1);
        } else {
            OCT_TRY(OCT_PUSH(l->classes, l->class_count, l->class_capacity, texts[i]));
        }
    }
    l->labelled = true;
    if (numbers)
        return OCT_OK;
    oct_listing_sort_classes(l);
    for (int64_t i = 0; i < l->count; i++) {
        const char *text = l->names + texts[i];
        l->items[i].label = oct_listing_find_class(l, text, (int64_t)strlen(text));
    }
    return OCT_OK;
}

oct_status oct_listing_table(const char *path, oct_listing *out)
{
    oct_status s = OCT_OK;
    void *bytes = NULL;
    int64_t size = 0, *texts = NULL, count = 0, capacity = 0, line = 0;
    OCT_TRY(oct_file_read(path, &bytes, &size));
    char *p = bytes;
    size_t n = strlen(path);
    char separator = n > 4 && strcasecmp(path + n - 4, ".tsv") == 0 ? '\t' : ',';
    if (memchr(bytes, 0, (size_t)size))
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' is not a text file", path);
    if (strncmp(p, "\xEF\xBB\xBF", 3) == 0)
        p += 3;
    while (*p) {
        char *field, *name = NULL, *label = NULL;
        bool last = false;
        line++;
        for (int column = 0; !last; column++) {
            s = take_field(&p, separator, &field, &last);
            if (s != OCT_OK)
                OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' row %lld: %s", path, (long long)line, oct_last_error()->message);
            if (column == 0)
                name = field;
            if (column == 1)
                label = field;
        }
        if (!*name && (!label || !*label))
            continue;
        if (!oct_is_image_name(name)) {
            if (line == 1)
                continue; /* the header */
            OCT_FAIL_DONE(OCT_ERR_CONTENT, "'%s' row %lld: '%s' is not the name of a PNG or JPEG file", path, (long long)line,
                          name);
        }
        int64_t text = -1;
        OCT_TRY_DONE(oct_listing_add_item(out, name, 0));
        if (label && *label)
            OCT_TRY_DONE(oct_listing_add_name(out, label, (int64_t)strlen(label), &text));
        OCT_TRY_DONE(OCT_PUSH(texts, count, capacity, text));
    }
    OCT_TRY_DONE(label_items(out, texts, path));
done:
    free(bytes);
    free(texts);
    return s == OCT_OK ? s : oct_fail_file(s, path);
}
