/* What Python would do call by call, in one call without the interpreter's lock: bind, run and copy out; time a row of runs.
 * No arithmetic of its own; errors are those of the library. */
#ifndef OCTAVO_PYTHON_BRIDGE_H
#define OCTAVO_PYTHON_BRIDGE_H

#include <string.h>
#include <time.h>
#include <octavo/octavo.h>

/* Binds the inputs, runs, copies each output's `bytes` to `to`. An output of another size is INTERNAL: the caller asked the ports. */
static oct_status oct_bridge_run(oct_context *context, const char *const *inputs, const oct_tensor *tensors, int input_count,
                                 const char *const *outputs, void *const *to, const int64_t *bytes, int output_count)
{
    oct_status status = OCT_OK;
    for (int i = 0; status == OCT_OK && i < input_count; i++)
        status = oct_context_set_input(context, inputs[i], &tensors[i]);
    if (status == OCT_OK)
        status = oct_context_run(context);
    for (int i = 0; status == OCT_OK && i < output_count; i++) {
        oct_tensor out;
        status = oct_context_get_output(context, outputs[i], &out);
        if (status != OCT_OK)
            break;
        if (oct_tensor_count(&out) * (int64_t)oct_dtype_size(out.dtype) != bytes[i])
            return OCT_ERR_INTERNAL;
        if (bytes[i])
            memcpy(to[i], out.data, (size_t)bytes[i]);
    }
    return status;
}

/* seconds: of each of so many runs with the inputs that are bound. */
static oct_status oct_bridge_time(oct_context *context, int64_t runs, double *seconds)
{
    for (int64_t i = 0; i < runs; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        const oct_status status = oct_context_run(context);
        clock_gettime(CLOCK_MONOTONIC, &to);
        if (status != OCT_OK)
            return status;
        seconds[i] = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    }
    return OCT_OK;
}

#endif
