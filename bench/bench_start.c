/* From a plan file to the first result: load, context, one run; against a run in the steady state, and the memory that it takes.
 *
 *   bench_start PLAN [THREADS] [ROUNDS]      defaults: 1 thread, 7 rounds
 *
 * The file cache is warm from the second round on; a round begins and ends without plan or context. Least and median over the rounds. */
#include "run.h"

enum { MOST = 101, STEADY = 15 };

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
        void *input;
        const long before = resident_kb();
        const double begin = now_ms();
        check(oct_plan_load(argv[1], &plan));
        oct_context *c = open_context(plan, threads, &input);
        check(oct_context_run(c));
        first[r] = now_ms() - begin;
        const double added = (double)(resident_kb() - before) * 1.024e-3;
        memory = added > memory ? added : memory;
        steady[r] = 1e30;
        for (int i = 0; i < STEADY; i++) {
            const double at = now_ms();
            check(oct_context_run(c));
            const double took = now_ms() - at;
            steady[r] = took < steady[r] ? took : steady[r];
        }
        oct_context_destroy(c);
        oct_plan_destroy(plan);
        free(input);
    }
    qsort(first, (size_t)rounds, sizeof *first, by_value);
    qsort(steady, (size_t)rounds, sizeof *steady, by_value);
    printf("%s, %d threads: file to first result %.2f ms (median %.2f), a steady run %.2f ms (median %.2f), beyond it %.2f ms, memory %.1f MB\n", argv[1], threads,
           first[0], first[rounds / 2], steady[0], steady[rounds / 2], first[0] - steady[0], memory);
    return 0;
}
