/* Many inferences in a row, and many contexts made and dropped: memory must stay flat and every answer the same.
 *
 *   bench_soak MODEL|PLAN [RUNS] [SECONDS]      defaults: 1,000,000 runs, at least 0 seconds (whichever ends later)
 *
 * Every 1,000 runs the context is made anew. Prints a line ten times, and exits with 1 when resident memory grew by more than 1 MB after the first tenth, or an
 * answer differed. */
#include "run.h"

int main(int argc, char **argv)
{
    const long runs = argc > 2 ? atol(argv[2]) : 1000000;
    const double seconds = argc > 3 ? atof(argv[3]) : 0, begin = 1e-3 * now_ms();
    oct_model *model = NULL;
    oct_plan *plan = NULL;
    oct_port out;
    if (argc < 2 || runs < 10) {
        fprintf(stderr, "usage: bench_soak MODEL|PLAN [RUNS] [SECONDS]\n");
        return 2;
    }
    if (strlen(argv[1]) > 5 && strcmp(argv[1] + strlen(argv[1]) - 5, ".onnx") == 0) {
        check(oct_model_load(argv[1], &model));
        check(oct_plan_build(model, NULL, &plan));
        oct_model_destroy(model);
    } else {
        check(oct_plan_load(argv[1], &plan));
    }
    check(oct_plan_get_output(plan, 0, &out));
    void *input = NULL, *first = NULL;
    oct_context *c = NULL;
    long done = 0, settled = 0, different = 0;
    for (int tenth = 1; done < runs || 1e-3 * now_ms() - begin < seconds; done++) {
        oct_tensor y;
        if (done % 1000 == 0) {
            oct_context_destroy(c);
            free(input);
            c = open_context(plan, 0, &input);
        }
        check(oct_context_run(c));
        check(oct_context_get_output(c, out.name, &y));
        const size_t bytes = (size_t)oct_tensor_count(&y) * oct_dtype_size(y.dtype);
        if (!first && !(first = malloc(bytes + 1)))
            return 70;
        if (done == 0)
            memcpy(first, y.data, bytes);
        different += memcmp(first, y.data, bytes) != 0;
        if (tenth <= 10 && done + 1 >= runs / 10 * tenth && 1e-3 * now_ms() - begin >= seconds / 10 * tenth) {
            settled = tenth == 1 ? resident_kb() : settled;
            printf("%9ld runs, %6.0f s, %ld KB resident, %ld answers differ\n", done + 1, 1e-3 * now_ms() - begin, resident_kb(), different);
            fflush(stdout);
            tenth++;
        }
    }
    const long grown = resident_kb() - settled;
    oct_context_destroy(c);
    oct_plan_destroy(plan);
    free(input);
    free(first);
    printf("%ld runs: memory grew by %ld KB after the first tenth\n", done, grown);
    return grown > 1024 || different;
}
