/* The moving average of the parameters: one float a value beside them; the formula is in the header. */
#include "train/average.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct oct_average {
    oct_param *params;
    int64_t param_count, total;
    float *values;
    double decay;
    int64_t updates;
    bool swapped;
};

oct_status oct_average_create(const oct_param *params, int64_t count, double decay, oct_average **out)
{
    oct_status s = OCT_OK;
    if (!(decay >= 0 && decay < 1))
        return oct_fail(OCT_ERR_USAGE, "an average with decay %g: it is in [0, 1)", decay);
    oct_average *a = calloc(1, sizeof *a);
    if (!a)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate an average");
    a->decay = decay;
    a->param_count = count;
    a->params = malloc((size_t)oct_max64(count, 1) * sizeof *a->params);
    if (!a->params)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "cannot allocate an average of %lld parameters", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        a->params[i] = params[i];
        OCT_TRY_DONE(oct_size_add(a->total, params[i].count, &a->total));
    }
    int64_t bytes, at = 0;
    OCT_TRY_DONE(oct_size_mul(a->total, (int64_t)sizeof(float), &bytes));
    OCT_TRY_DONE(oct_alloc(bytes, false, (void **)&a->values));
    for (int64_t i = 0; i < count; at += params[i++].count)
        memcpy(a->values + at, params[i].value, (size_t)params[i].count * sizeof(float));
    *out = a;
    a = NULL;
done:
    oct_average_destroy(a);
    return s;
}

void oct_average_destroy(oct_average *a)
{
    if (!a)
        return;
    oct_free(a->values);
    free(a->params);
    free(a);
}

oct_status oct_average_update(oct_average *a)
{
    if (a->swapped)
        return oct_fail(OCT_ERR_INTERNAL, "an average is updated while its values stand in the parameters");
    a->updates++;
    const double d = fmin(a->decay, (double)a->updates / ((double)a->updates + 9));
    float *v = a->values;
    for (int64_t i = 0; i < a->param_count; v += a->params[i++].count)
        for (int64_t k = 0; k < a->params[i].count; k++)
            v[k] = (float)(d * (double)v[k] + (1 - d) * (double)a->params[i].value[k]);
    return OCT_OK;
}

void oct_average_swap(oct_average *a)
{
    float *v = a->values;
    for (int64_t i = 0; i < a->param_count; v += a->params[i++].count)
        for (int64_t k = 0; k < a->params[i].count; k++) {
            const float kept = v[k];
            v[k] = a->params[i].value[k];
            a->params[i].value[k] = kept;
        }
    a->swapped = !a->swapped;
}

bool oct_average_is_swapped(const oct_average *a)
{
    return a->swapped;
}

void oct_average_get_state(oct_average *a, oct_average_state *out)
{
    *out = (oct_average_state){.values = a->values, .count = a->total, .updates = &a->updates};
}
