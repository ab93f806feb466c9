/* Observers for callers who have tensors of their own, such as the values inside a network of another framework. */
#include "quant/solver.h"

oct_status oct_observer_add(oct_observer *o, const oct_tensor *samples)
{
    if (samples->dtype != OCT_F32)
        return oct_fail(OCT_ERR_CONTENT, "an observer takes float32, not %s", oct_dtype_name(samples->dtype));
    if (samples->rank < 1 || (o->channels && (samples->rank < 2 || samples->dims[1] != o->channels)))
        return oct_fail(OCT_ERR_CONTENT, "an observer takes samples along the first axis%s", o->channels ? ", its channels along the second" : "");
    const int64_t count = oct_tensor_count(samples), each = samples->dims[0] ? count / samples->dims[0] : 0;
    const float *x = samples->data;
    for (int64_t i = 0; i < samples->dims[0]; i++)
        OCT_TRY(oct_observer_push(o, x + i * each, each, o->channels ? each / o->channels : 1));
    return OCT_OK;
}

int64_t oct_observer_sample_count(const oct_observer *o) { return (int64_t)o->samples; }

oct_status oct_observer_save(const oct_observer *o, char **bytes, size_t *size)
{
    oct_text t = {0};
    oct_observer_write(o, &t);
    const size_t written = (size_t)t.size;
    OCT_TRY(oct_text_finish(&t, bytes));
    *size = written;
    return OCT_OK;
}

oct_status oct_observer_load(const void *bytes, size_t size, oct_observer **out)
{
    oct_bytes b = {bytes, (const uint8_t *)bytes + size};
    oct_observer *o;
    OCT_TRY(oct_observer_read(&b, &o));
    if (b.at != b.end) {
        oct_observer_destroy(o);
        return oct_fail(OCT_ERR_CONTENT, "calibration state: there is more than one observer");
    }
    *out = o;
    return OCT_OK;
}

oct_status oct_observer_solve(const oct_observer *o, const oct_quant_options *opts, int bits, oct_grid *out)
{
    oct_method method;
    oct_solution s;
    if (bits < 2 || bits > 8)
        return oct_fail(OCT_ERR_USAGE, "%d bits: a quantizer has 2 to 8", bits);
    OCT_TRY(oct_method_make(opts->solver, opts->percentile, &method));
    if (bits < 8) {
        const oct_narrow n = oct_solve_narrow(o, opts->scheme, bits);
        *out = (oct_grid){(float)(n.lo - n.params.zero) * n.params.scale, (float)(n.hi - n.params.zero) * n.params.scale, n.params.scale,
                          n.params.zero, n.lo, n.hi};
        return OCT_OK;
    }
    if (method.solver == OCT_SOLVER_AUTO)
        return oct_fail(OCT_ERR_USAGE, "auto chooses by the error at a tensor's reader, which a single observer does not know");
    oct_solve(o, opts->scheme, method, &s);
    const bool affine = opts->scheme == OCT_SCHEME_AFFINE;
    *out = (oct_grid){s.min, s.max, s.scale, s.zero, affine ? 0 : -128, affine ? 255 : 127};
    return OCT_OK;
}
