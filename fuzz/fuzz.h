/* What the fuzz targets share.  Each target is LLVMFuzzerTestOneInput over one kind of file, public headers only: whatever the bytes are, the library answers
 * with a status. libFuzzer drives them (preset fuzz, tools/fuzz); fuzz/replay.c runs the corpus in `make test`. */
#ifndef OCT_FUZZ_H
#define OCT_FUZZ_H

#include <dirent.h>
#include <octavo/octavo.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char fuzz_folder[64];

static inline void fuzz_remove_folder(void)
{
    DIR *d = opendir(fuzz_folder);
    char path[512];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", fuzz_folder, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(fuzz_folder);
}

/* The bytes as a file of that name in a folder of this process, in memory where that can be; the same place every time. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    static char path[128];
    if (!*fuzz_folder) {
        snprintf(fuzz_folder, sizeof fuzz_folder, "%s/octavo-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(fuzz_folder) || atexit(fuzz_remove_folder) != 0)
            abort();
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    return path;
}

/* Reads a set through a loader for images of 8 x 8 and drops it. */
static inline void fuzz_read_set(const char *path)
{
    const oct_port port = {.name = "x", .dtype = OCT_F32, .rank = 4, .dims = {-1, 3, 8, 8}};
    oct_preprocess p;
    oct_dataset *set = NULL;
    oct_loader *loader = NULL;
    oct_batch batch;
    oct_preprocess_default(&p);
    p.resize = 8;
    p.crop_h = p.crop_w = 8;
    if (oct_dataset_open(path, &(oct_data_options){.limit = 4}, &set) != OCT_OK)
        return;
    if (oct_loader_create(set, &port, 1, &p, 2, 1, &loader) == OCT_OK)
        while (oct_loader_next(loader, &batch) == OCT_OK && batch.count)
            continue;
    for (int64_t i = 0; i < oct_dataset_fault_count(set); i++)
        if (!oct_dataset_get_fault(set, i))
            abort();
    oct_loader_destroy(loader);
    oct_dataset_destroy(set);
}

/* A number of the plan's description, e.g. "arena_bytes". */
static inline double fuzz_plan_number(const oct_plan *plan, const char *member)
{
    char *text = NULL;
    if (oct_plan_inspect_json(plan, &text) != OCT_OK)
        return 0;
    const char *at = strstr(text, member);
    const double value = at ? strtod(at + strlen(member) + 2, NULL) : 0;
    oct_string_free(text);
    return value;
}

/* Runs a plan on zeros, unless it is large: a small file may well ask for hours and gigabytes. */
static inline void fuzz_run(const oct_plan *plan)
{
    oct_context *c = NULL;
    void *data[8] = {0};
    const int inputs = oct_plan_input_count(plan);
    if (inputs > 8 || fuzz_plan_number(plan, "arena_bytes") > 1 << 24 || fuzz_plan_number(plan, "macs") > 1 << 26 || oct_context_create(plan, 1, &c) != OCT_OK)
        return;
    bool ready = true;
    for (int i = 0; i < inputs && ready; i++) {
        oct_port port;
        oct_tensor t = {0};
        ready = oct_plan_get_input(plan, i, &port) == OCT_OK && port.rank <= OCT_MAX_RANK;
        if (!ready)
            break;
        t.dtype = port.dtype, t.rank = port.rank;
        memcpy(t.dims, port.dims, sizeof t.dims);
        const int64_t count = oct_tensor_count(&t);
        ready = count >= 0 && count <= 1 << 16;
        if (ready) {
            data[i] = t.data = calloc((size_t)count + 1, 16);
            ready = t.data && oct_context_set_input(c, port.name, &t) == OCT_OK;
        }
    }
    oct_tensor y;
    oct_port port;
    if (ready && oct_context_run(c) == OCT_OK)
        for (int i = 0; i < oct_plan_output_count(plan); i++)
            if (oct_plan_get_output(plan, i, &port) == OCT_OK && oct_context_get_output(c, port.name, &y) != OCT_OK)
                abort();
    oct_context_destroy(c);
    for (int i = 0; i < 8; i++)
        free(data[i]);
}

#endif
