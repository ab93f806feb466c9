/* Runs a fuzz target on files: fuzz_X FILE|FOLDER...  Prints how many; a finding ends the process. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static int runs;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, got;
    if (!f) {
        fprintf(stderr, "replay: cannot read '%s'\n", path);
        exit(5);
    }
    do {
        data = realloc(data, size + 65536);
        if (!data)
            exit(70);
        got = fread(data + size, 1, 65536, f);
        size += got;
    } while (got);
    fclose(f);
    uint8_t *exact = malloc(size + !size); /* of just this size: reading behind it shows */
    if (!exact)
        exit(70);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    runs++;
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat s;
        DIR *folder = stat(argv[i], &s) == 0 && S_ISDIR(s.st_mode) ? opendir(argv[i]) : NULL;
        if (!folder) {
            run_file(argv[i]);
            continue;
        }
        for (struct dirent *e; (e = readdir(folder));) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (e->d_name[0] != '.')
                run_file(path);
        }
        closedir(folder);
    }
    printf("%d files\n", runs);
    return 0;
}
