/* Listing class folders and archives, and telling classes from names.
 *
 * Both kinds give paths like "cat/a/1.png"; the first component is the class, deeper ones are only places. The rank of a
 * class is that of its folder's name, bytewise, empty folders counted, so that a subset of a data set keeps its numbers. */
#include "data/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "data/archive.h"

bool oct_is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    static const char *const known[] = {".png", ".jpg", ".jpeg", ".jpe"};
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strcasecmp(dot, known[i]) == 0)
            return true;
    return false;
}

oct_status oct_listing_add_name(oct_listing *l, const char *name, int64_t length, int64_t *offset)
{
    OCT_TRY(oct_grow((void **)&l->names, &l->name_capacity, l->name_bytes + length + 1, 1));
    memcpy(l->names + l->name_bytes, name, (size_t)length);
    l->names[l->name_bytes + length] = '\0';
    *offset = l->name_bytes;
    l->name_bytes += length + 1;
    return OCT_OK;
}

oct_status oct_listing_add_item(oct_listing *l, const char *name, int64_t ordinal)
{
    oct_item item = {.ordinal = ordinal, .label = -1};
    OCT_TRY(oct_listing_add_name(l, name, (int64_t)strlen(name), &item.name));
    return OCT_PUSH(l->items, l->count, l->capacity, item);
}

static int compare_classes(const void *a, const void *b, void *names)
{
    return strcmp((const char *)names + *(const int64_t *)a, (const char *)names + *(const int64_t *)b);
}

void oct_listing_sort_classes(oct_listing *l)
{
    int64_t n = 0;
    if (l->class_count)
        qsort_r(l->classes, (size_t)l->class_count, sizeof *l->classes, compare_classes, l->names);
    for (int64_t i = 0; i < l->class_count; i++)
        if (n == 0 || strcmp(l->names + l->classes[n - 1], l->names + l->classes[i]) != 0)
            l->classes[n++] = l->classes[i];
    l->class_count = n;
}

int64_t oct_listing_find_class(const oct_listing *l, const char *name, int64_t length)
{
    int64_t lo = 0, hi = l->class_count;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        const char *c = l->names + l->classes[mid];
        int order = strncmp(c, name, (size_t)length);
        if (order == 0 && c[length] == '\0')
            return mid;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

static int compare_items(const void *a, const void *b, void *names)
{
    const oct_item *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    int order = strcmp((const char *)names + x->name, (const char *)names + y->name);
    return order ? order : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

void oct_listing_sort_items(oct_listing *l)
{
    if (l->count)
        qsort_r(l->items, (size_t)l->count, sizeof *l->items, compare_items, l->names);
}

/* An appended tar may hold one name twice; as when unpacking, the later entry replaces the earlier one. */
static void drop_replaced(oct_listing *l)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->count; i++)
        if (i + 1 == l->count || strcmp(l->names + l->items[i].name, l->names + l->items[i + 1].name) != 0)
            l->items[n++] = l->items[i];
    l->count = n;
}

static bool hidden(const char *component) { return component[0] == '.' || strncmp(component, "__MACOSX", 8) == 0; }

static bool has_hidden_part(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (hidden(p))
            return true;
    }
    return false;
}

static oct_status add_file(oct_listing *l, const char *path, int64_t ordinal)
{
    if (oct_is_image_name(path))
        return oct_listing_add_item(l, path, ordinal);
    if (l->other_files++ == 0)
        return oct_listing_add_name(l, path, (int64_t)strlen(path), &l->first_other);
    return OCT_OK;
}

/* Length of the leading folders that all images share, the last '/' included. */
static int64_t shared_prefix(const oct_listing *l)
{
    const char *first = l->names + l->items[0].name;
    int64_t n = (int64_t)strlen(first);
    for (int64_t i = 1; i < l->count; i++) {
        const char *name = l->names + l->items[i].name;
        int64_t k = 0;
        while (k < n && name[k] == first[k])
            k++;
        n = k;
    }
    while (n > 0 && first[n - 1] != '/')
        n--;
    return n;
}

/* Sets labels from the first component behind `skip` bytes. folders: offsets of all folder names below the root. */
static oct_status classify(oct_listing *l, int64_t skip, const int64_t *folders, int64_t folder_count, const char *path)
{
    int64_t flat = 0;
    for (int64_t i = 0; i < l->count; i++)
        flat += strchr(l->names + l->items[i].name + skip, '/') == NULL;
    if (flat == l->count) {
        oct_listing_sort_items(l);
        return OCT_OK;
    }
    if (flat)
        return oct_fail_file(
            oct_fail(OCT_ERR_CONTENT,
                     "'%s' holds %lld images beside its class folders: either all images lie in class folders or none", path,
                     (long long)flat),
            path);
    for (int64_t i = 0; i < folder_count; i++) {
        const char *name = l->names + folders[i];
        if (strncmp(name, l->names + l->items[0].name, (size_t)skip) == 0 && name[skip] && !strchr(name + skip, '/'))
            OCT_TRY(OCT_PUSH(l->classes, l->class_count, l->class_capacity, folders[i] + skip));
    }
    int64_t known = -1; /* class offset of the item before: neighbours mostly share theirs */
    for (int64_t i = 0; i < l->count; i++) {
        const char *name = l->names + l->items[i].name + skip;
        int64_t length = strchr(name, '/') - name;
        if (known >= 0 && strncmp(l->names + known, name, (size_t)length) == 0 && l->names[known + length] == '\0')
            continue;
        /* Room first: the name is copied from the block that would move. */
        OCT_TRY(oct_grow((void **)&l->names, &l->name_capacity, l->name_bytes + length + 1, 1));
        OCT_TRY(oct_listing_add_name(l, l->names + l->items[i].name + skip, length, &known));
        OCT_TRY(OCT_PUSH(l->classes, l->class_count, l->class_capacity, known));
    }
    oct_listing_sort_classes(l);
    for (int64_t i = 0; i < l->count; i++) {
        const char *name = l->names + l->items[i].name + skip;
        l->items[i].label = oct_listing_find_class(l, name, strchr(name, '/') - name);
    }
    l->labelled = true;
    oct_listing_sort_items(l);
    return OCT_OK;
}

/* One folder of the walk: its entries are filed as images or pushed as folders to visit. */
static oct_status walk_one(const char *root, const char *sub, oct_listing *l, int64_t **folders, int64_t *count, int64_t *capacity)
{
    oct_status s = OCT_OK;
    oct_text t = {0};
    char *path = NULL;
    oct_text_printf(&t, "%s%s%s", root, *sub ? "/" : "", sub);
    OCT_TRY(oct_text_finish(&t, &path));
    DIR *dir = opendir(path);
    if (!dir) {
        s = oct_fail_file(oct_fail(OCT_ERR_IO, "cannot open folder '%s': %s", path, strerror(errno)), path);
        free(path);
        return s;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (hidden(e->d_name))
            continue;
        struct stat st;
        unsigned char type = e->d_type;
        if (type == DT_UNKNOWN || type == DT_LNK) {
            /* Below the first level a linked folder is left out: no cycle can then be entered. */
            if (fstatat(dirfd(dir), e->d_name, &st, 0) != 0)
                continue;
            bool link = type == DT_LNK;
            type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
            if (type == DT_DIR && link && *sub)
                continue;
        }
        if (type != DT_DIR && type != DT_REG)
            continue;
        char *name = NULL;
        oct_text_printf(&t, "%s%s%s", sub, *sub ? "/" : "", e->d_name);
        OCT_TRY_DONE(oct_text_finish(&t, &name));
        int64_t offset = 0;
        if (type == DT_REG) {
            s = add_file(l, name, 0);
        } else {
            s = oct_listing_add_name(l, name, (int64_t)strlen(name), &offset);
            if (s == OCT_OK)
                s = OCT_PUSH(*folders, *count, *capacity, offset);
        }
        free(name);
        OCT_TRY_DONE(s);
    }
done:
    closedir(dir);
    free(path);
    return s;
}

oct_status oct_listing_folder(const char *root, oct_listing *out)
{
    oct_status s = OCT_OK;
    int64_t *folders = NULL, count = 0, capacity = 0;
    char *sub = strdup("");
    for (int64_t i = -1; i < count; i++) {
        if (i >= 0)
            sub = strdup(out->names + folders[i]);
        if (!sub)
            OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot list '%s'", root);
        OCT_TRY_DONE(walk_one(root, sub, out, &folders, &count, &capacity));
        free(sub);
        sub = NULL;
    }
    if (out->count)
        OCT_TRY_DONE(classify(out, 0, folders, count, root));
done:
    free(sub);
    free(folders);
    return s;
}

oct_status oct_listing_archive(const char *path, oct_listing *out)
{
    oct_status s = OCT_OK;
    oct_archive *a = NULL;
    oct_entry e;
    bool found = true;
    int64_t *folders = NULL, count = 0, capacity = 0;
    OCT_TRY_DONE(oct_archive_open(path, &a));
    for (;;) {
        OCT_TRY_DONE(oct_archive_next(a, &e, &found));
        if (!found)
            break;
        if (!*e.name || has_hidden_part(e.name))
            continue;
        if (e.is_file)
            OCT_TRY_DONE(add_file(out, e.name, e.ordinal));
        if (e.is_folder) {
            int64_t offset, length = (int64_t)strlen(e.name);
            while (length > 0 && e.name[length - 1] == '/')
                length--;
            OCT_TRY_DONE(oct_listing_add_name(out, e.name, length, &offset));
            OCT_TRY_DONE(OCT_PUSH(folders, count, capacity, offset));
        }
    }
    if (out->count) {
        oct_listing_sort_items(out);
        drop_replaced(out);
        OCT_TRY_DONE(classify(out, shared_prefix(out), folders, count, path));
    }
done:
    oct_archive_close(a);
    free(folders);
    return s;
}

oct_status oct_listing_single(const char *name, oct_listing *out) { return oct_listing_add_item(out, name, 0); }

void oct_listing_free(oct_listing *l)
{
    free(l->names);
    free(l->items);
    free(l->classes);
    *l = (oct_listing){0};
}
