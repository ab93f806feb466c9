/* From a plan file to the first result: load, context, one run; against a run in the steady state, and the memory that it takes.
 *
 *   bench_start PLAN [THREADS] [ROUNDS]      defaults: 1 thread, 7 rounds
 *
 * The file cache is warm from the second round on; a round begins and ends without plan or context. Least and median over the rounds. */
#include <octavo/octavo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 101, STEADY = 15 };

static void check(oct_status s)
{
    if (s != OCT_OK) {
        fprintf(stderr, "bench_start: %s\n", oct_last_error()->message);
        exit((int)s);
    }
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static double resident_mb(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const int threads = argc > 2 ? atoi(argv[2]) : 1, rounds = argc > 3 ? atoi(argv[3]) : 7;
    double first[MOST], steady[MOST], memory = 0;
    if (argc < 2 || rounds < 1 || rounds > MOST) {
        fprintf(stderr, "usage: bench_start PLAN [THREADS] [ROUNDS]\n");
        return 2;
    }
    for (int r = 0; r < rounds; r++) {
        oct_plan *plan;
        oct_context *c;
        oct_port port;
        oct_tensor x = {0};
        const double before = resident_mb(), begin = now_ms();
        check(oct_plan_load(argv[1], &plan));
        check(oct_context_create(plan, threads, &c));
        check(oct_plan_get_input(plan, 0, &port));
        x.dtype = port.dtype, x.rank = port.rank;
        memcpy(x.dims, port.dims, sizeof x.dims);
        x.data = calloc((size_t)oct_tensor_count(&x), oct_dtype_size(x.dtype));
        check(oct_context_set_input(c, port.name, &x));
        check(oct_context_run(c));
        first[r] = now_ms() - begin;
        memory = resident_mb() - before > memory ? resident_mb() - before : memory;
        steady[r] = 1e30;
        for (int i = 0; i < STEADY; i++) {
            const double at = now_ms();
            check(oct_context_run(c));
            const double took = now_ms() - at;
            steady[r] = took < steady[r] ? took : steady[r];
        }
        oct_context_destroy(c);
        oct_plan_destroy(plan);
        free(x.data);
    }
    qsort(first, (size_t)rounds, sizeof *first, by_value);
    qsort(steady, (size_t)rounds, sizeof *steady, by_value);
    printf("%s, %d threads: file to first result %.2f ms (median %.2f), a steady run %.2f ms (median %.2f), beyond it %.2f ms, memory %.1f MB\n", argv[1], threads,
           first[0], first[rounds / 2], steady[0], steady[rounds / 2], first[0] - steady[0], memory);
    return 0;
}
