/* The whole of inference with Octavo: load a plan, feed one input, run, read one output.  Needs liboctavo_rt only.
 *   cc minimal.c $(pkg-config --cflags --libs octavo_rt) -o minimal
 *   octavo build model.onnx -o model.plan && ./minimal model.plan input.bin
 * input.bin holds the raw values of the first input; the values of the first output, when float, are printed one a line. */
#include <octavo/engine.h>
#include <stdio.h>
#include <stdlib.h>

static void check(oct_status status)
{
    if (status != OCT_OK) {
        fprintf(stderr, "minimal: %s\n", oct_last_error()->message);
        exit((int)status);
    }
}

int main(int argc, char **argv)
{
    oct_plan *plan;
    oct_context *context;
    oct_port in, out;
    oct_tensor x = {0}, y;
    if (argc != 3) {
        fprintf(stderr, "usage: minimal PLAN INPUT\n");
        return 2;
    }
    check(oct_plan_load(argv[1], &plan));
    check(oct_context_create(plan, 0, &context)); /* 0: all cores */
    check(oct_plan_get_input(plan, 0, &in));
    check(oct_plan_get_output(plan, 0, &out));

    x.dtype = in.dtype;
    x.rank = in.rank;
    for (int i = 0; i < in.rank; i++)
        x.dims[i] = in.dims[i];
    size_t bytes = (size_t)oct_tensor_count(&x) * oct_dtype_size(x.dtype);
    x.data = malloc(bytes);
    FILE *file = fopen(argv[2], "rb");
    if (!x.data || !file || fread(x.data, 1, bytes, file) != bytes) {
        fprintf(stderr, "minimal: '%s' does not hold the %zu bytes of input '%s'\n", argv[2], bytes, in.name);
        return 5;
    }
    fclose(file);

    check(oct_context_set_input(context, in.name, &x));
    check(oct_context_run(context));
    check(oct_context_get_output(context, out.name, &y));
    for (int64_t i = 0; y.dtype == OCT_F32 && i < oct_tensor_count(&y); i++)
        printf("%.9g\n", ((const float *)y.data)[i]);

    free(x.data);
    oct_context_destroy(context);
    oct_plan_destroy(plan);
    return 0;
}
