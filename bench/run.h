/* What the programs share that run a plan over and over: errors, clock, memory, a context with its first input filled. Public headers only. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <octavo/octavo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void check(oct_status s)
{
    if (s != OCT_OK) {
        fprintf(stderr, "%s\n", oct_last_error()->message);
        exit((int)s);
    }
}

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static inline long resident_kb(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A context whose first input is set, floats to a pattern of -1 to 1; the input is the caller's to free, after the context. */
static inline oct_context *open_context(const oct_plan *plan, int threads, void **input)
{
    oct_context *c;
    oct_port port;
    oct_tensor x = {0};
    check(oct_context_create(plan, threads, &c));
    check(oct_plan_get_input(plan, 0, &port));
    x.dtype = port.dtype, x.rank = port.rank;
    memcpy(x.dims, port.dims, sizeof x.dims);
    const int64_t bytes = oct_tensor_count(&x) * (int64_t)oct_dtype_size(x.dtype);
    *input = x.data = calloc((size_t)bytes, 1);
    if (!x.data)
        exit(70);
    for (int64_t i = 0; x.dtype == OCT_F32 && i < bytes / 4; i++)
        ((float *)x.data)[i] = (float)(i * 7919 % 256) / 128 - 1;
    check(oct_context_set_input(c, port.name, &x));
    return c;
}

#endif
