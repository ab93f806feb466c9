/* Elementwise float and integer steps: unary (to codes as well), binary, cast, range.  f32 runs in the span loops of kernels/nd; other types go
 * through 64-bit chunks. Views broadcast and may have any strides. */
#include "rt/exec_loop.h"

typedef struct unary_job {
    const oct_nd_ops *ops;
    oct_unary_fn fn;
    float alpha, beta;
    oct_dtype dtype;
    bool biased_in, biased_out;
    oct_quantize_span_fn *quantize; /* the results become codes; NULL = they stay */
    const oct_p_unary *p;
    int64_t *nan_count;
} unary_job;

static void unary_f32(const unary_job *job, const oct_nd_tile *t)
{
    float chunk[OCT_ND_CHUNK];
    for (int64_t r = 0; r < t->rows; r++) {
        char *y = t->data[0] + r * t->row_step[0];
        const char *x = t->data[1] + r * t->row_step[1];
        if (t->col_step[0] == sizeof(float) && t->col_step[1] == sizeof(float)) {
            job->ops->unary(job->fn, job->alpha, job->beta, (const float *)x, (float *)y, t->cols);
            continue;
        }
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            oct_nd_gather_row(sizeof(float), x + c * t->col_step[1], t->col_step[1], n, chunk);
            job->ops->unary(job->fn, job->alpha, job->beta, chunk, chunk, n);
            oct_nd_scatter_row(sizeof(float), y + c * t->col_step[0], t->col_step[0], n, chunk);
        }
    }
}

/* A float limit as s64; to_low says which way an out-of-range or NaN limit falls open. */
static int64_t integer_limit(float v, bool low)
{
    if (v != v)
        return low ? INT64_MIN : INT64_MAX;
    if (v >= 0x1p63f)
        return INT64_MAX;
    return v <= -0x1p63f ? INT64_MIN : (int64_t)v;
}

/* The functions that ONNX defines on integers and bool; the rest leave the value (the builder does not emit them). */
static int64_t unary_integer(const unary_job *job, int64_t v, int64_t lo, int64_t hi)
{
    switch (job->fn) {
    case OCT_UNARY_RELU: return v < 0 ? 0 : v;
    case OCT_UNARY_NEG: return (int64_t)(0 - (uint64_t)v);
    case OCT_UNARY_ABS: return v < 0 ? (int64_t)(0 - (uint64_t)v) : v;
    case OCT_UNARY_CLIP: return v < lo ? (lo > hi ? hi : lo) : v > hi ? hi : v;
    case OCT_UNARY_NOT: return v == 0;
    case OCT_UNARY_SIGN: return (v > 0) - (v < 0);
    case OCT_UNARY_BIT_NOT: return ~v;
    default: return v;
    }
}

static void unary_wide(const unary_job *job, const oct_nd_tile *t)
{
    int64_t wide[OCT_ND_CHUNK];
    const int64_t lo = integer_limit(job->alpha, true), hi = integer_limit(job->beta, false);
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            oct_nd_load_s64(job->dtype, job->biased_in, t->data[1] + r * t->row_step[1] + c * t->col_step[1], t->col_step[1], n,
                            wide);
            for (int64_t i = 0; i < n; i++)
                wide[i] = unary_integer(job, wide[i], lo, hi);
            oct_nd_store_s64(job->dtype, job->biased_out, wide, n, t->data[0] + r * t->row_step[0] + c * t->col_step[0],
                             t->col_step[0]);
        }
}

/* The floats between function and codes live in a chunk, which stays in the first cache. */
static void unary_codes(const unary_job *job, const oct_nd_tile *t)
{
    const oct_p_unary *p = job->p;
    float chunk[OCT_ND_CHUNK];
    uint8_t codes[OCT_ND_CHUNK];
    int64_t nan = 0;
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            const char *x = t->data[1] + r * t->row_step[1] + c * t->col_step[1];
            char *q = t->data[0] + r * t->row_step[0] + c * t->col_step[0];
            const bool dense_in = t->col_step[1] == sizeof(float), dense_out = t->col_step[0] == 1;
            if (!dense_in)
                oct_nd_gather_row(sizeof(float), x, t->col_step[1], n, chunk);
            job->ops->unary(job->fn, job->alpha, job->beta, dense_in ? (const float *)x : chunk, chunk, n);
            nan += job->quantize(chunk, dense_out ? (uint8_t *)q : codes, n, p->scale, p->zero, p->lo, p->hi);
            if (!dense_out)
                oct_nd_scatter_row(1, q, t->col_step[0], n, codes);
        }
    if (nan > 0)
        __atomic_fetch_add(job->nan_count, nan, __ATOMIC_RELAXED);
}

static void unary_tile(void *arg, const oct_nd_tile *t)
{
    const unary_job *job = arg;
    if (job->quantize)
        unary_codes(job, t);
    else if (job->dtype == OCT_F32)
        unary_f32(job, t);
    else
        unary_wide(job, t);
}

/* Transcendental functions cost ten times a move: smaller units. */
static int64_t unary_grain(oct_unary_fn fn)
{
    switch (fn) {
    case OCT_UNARY_RELU:
    case OCT_UNARY_LEAKY_RELU:
    case OCT_UNARY_CLIP:
    case OCT_UNARY_NEG:
    case OCT_UNARY_ABS:
    case OCT_UNARY_NOT:
    case OCT_UNARY_HARD_SIGMOID:
    case OCT_UNARY_HARD_SWISH: return OCT_ND_GRAIN;
    default: return OCT_ND_GRAIN / 4;
    }
}

void oct_exec_unary(oct_exec *x)
{
    const oct_p_unary *p = x->params;
    unary_job job = {.ops = oct_exec_ops(x),
                     .fn = (oct_unary_fn)p->fn,
                     .alpha = p->alpha,
                     .beta = p->beta,
                     .dtype = x->in[0].dtype,
                     .biased_in = oct_exec_in_biased(x, 0),
                     .biased_out = oct_exec_out_biased(x, 0),
                     .p = p,
                     .nan_count = &x->nan_count};
    if (oct_unary_to_codes(oct_exec_in_tensor(x, 0), oct_exec_out_tensor(x, 0))) {
        const oct_quantize_kernel *kernel = x->kernel ? x->kernel : oct_quantize_best(oct_exec_isa(x));
        job.quantize = kernel->fn;
    }
    oct_exec_elementwise(x, 0, 1, unary_grain(job.fn), unary_tile, &job);
}

/* --- binary ------------------------------------------------------------------------------------------------------------- */
typedef struct binary_job {
    const oct_nd_ops *ops;
    oct_binary_fn fn;
    float lo, hi;
    oct_dtype in, out;
    bool biased[3]; /* out, a, b */
} binary_job;

static void binary_f32(const binary_job *job, const oct_nd_tile *t)
{
    float pa[OCT_ND_CHUNK], pb[OCT_ND_CHUNK];
    const int64_t f = sizeof(float), sy = t->col_step[0], sa = t->col_step[1], sb = t->col_step[2];
    const bool dense = sy == f && (sa == f || sa == 0) && (sb == f || sb == 0);
    for (int64_t r = 0; r < t->rows; r++) {
        char *y = t->data[0] + r * t->row_step[0];
        const char *a = t->data[1] + r * t->row_step[1], *b = t->data[2] + r * t->row_step[2];
        if (dense) {
            job->ops->binary(job->fn, (const float *)a, sa != 0, (const float *)b, sb != 0, (float *)y, t->cols, job->lo, job->hi);
            continue;
        }
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            oct_nd_gather_row(sizeof(float), a + c * sa, sa, n, pa);
            oct_nd_gather_row(sizeof(float), b + c * sb, sb, n, pb);
            job->ops->binary(job->fn, pa, 1, pb, 1, pa, n, job->lo, job->hi);
            oct_nd_scatter_row(sizeof(float), y + c * sy, sy, n, pa);
        }
    }
}

/* Everything that is not f32 -> f32: integers through s64, floats (comparisons, f64) through double. */
static void binary_wide(const binary_job *job, const oct_nd_tile *t)
{
    union {
        int64_t i[OCT_ND_CHUNK];
        double f[OCT_ND_CHUNK];
    } a, b;
    const bool is_float = oct_nd_is_float(job->in);
    const int64_t sy = t->col_step[0], sa = t->col_step[1], sb = t->col_step[2];
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK) {
            const int64_t n = oct_min64(OCT_ND_CHUNK, t->cols - c);
            const char *pa = t->data[1] + r * t->row_step[1] + c * sa, *pb = t->data[2] + r * t->row_step[2] + c * sb;
            char *y = t->data[0] + r * t->row_step[0] + c * sy;
            if (is_float) {
                oct_nd_load_f64(job->in, false, pa, sa, n, a.f);
                oct_nd_load_f64(job->in, false, pb, sb, n, b.f);
                oct_nd_binary_f64(job->fn, a.f, b.f, a.f, n);
                oct_nd_cast(OCT_F64, false, a.f, sizeof(double), job->out, false, y, sy, n);
            } else {
                oct_nd_load_s64(job->in, job->biased[1], pa, sa, n, a.i);
                oct_nd_load_s64(job->in, job->biased[2], pb, sb, n, b.i);
                oct_nd_binary_s64(job->fn, job->in == OCT_U64, a.i, b.i, a.i, n);
                oct_nd_store_s64(job->out, job->biased[0], a.i, n, y, sy);
            }
        }
}

/* The larger or smaller of two codes, and s32 arithmetic, row by row without widening; false where that is not what is asked. */
static bool binary_narrow(const binary_job *job, const oct_nd_tile *t)
{
    const bool codes = job->in == OCT_U8 && job->out == OCT_U8 && job->biased[0] == job->biased[1] && job->biased[0] == job->biased[2] &&
                       (job->fn == OCT_BINARY_MIN || job->fn == OCT_BINARY_MAX);
    const bool sums = job->in == OCT_S32 && job->out == OCT_S32 && (job->fn == OCT_BINARY_ADD || job->fn == OCT_BINARY_SUB || job->fn == OCT_BINARY_MUL);
    const int64_t size = codes ? 1 : (int64_t)sizeof(int32_t);
    if ((!codes && !sums) || t->col_step[0] != size || t->col_step[1] != size || (t->col_step[2] != size && t->col_step[2] != 0))
        return false;
    const int64_t n = t->cols, step = t->col_step[2] != 0;
    for (int64_t r = 0; r < t->rows; r++) {
        char *y = t->data[0] + r * t->row_step[0];
        const char *a = t->data[1] + r * t->row_step[1], *b = t->data[2] + r * t->row_step[2];
        const uint8_t *ca = (const uint8_t *)a, *cb = (const uint8_t *)b;
        const uint32_t *sa = (const uint32_t *)(const void *)a, *sb = (const uint32_t *)(const void *)b;
        uint32_t *sy = (uint32_t *)(void *)y;
        if (codes && job->fn == OCT_BINARY_MAX)
            for (int64_t i = 0; i < n; i++)
                ((uint8_t *)y)[i] = ca[i] > cb[i * step] ? ca[i] : cb[i * step];
        else if (codes)
            for (int64_t i = 0; i < n; i++)
                ((uint8_t *)y)[i] = ca[i] < cb[i * step] ? ca[i] : cb[i * step];
        else if (job->fn == OCT_BINARY_ADD) /* all three wrap, as the wide path does */
            for (int64_t i = 0; i < n; i++)
                sy[i] = sa[i] + sb[i * step];
        else if (job->fn == OCT_BINARY_SUB)
            for (int64_t i = 0; i < n; i++)
                sy[i] = sa[i] - sb[i * step];
        else
            for (int64_t i = 0; i < n; i++)
                sy[i] = sa[i] * sb[i * step];
    }
    return true;
}

static void binary_tile(void *arg, const oct_nd_tile *t)
{
    const binary_job *job = arg;
    if (binary_narrow(job, t))
        return;
    if (job->in == OCT_F32 && job->out == OCT_F32 && !oct_nd_is_compare(job->fn) && job->fn != OCT_BINARY_MOD && job->fn != OCT_BINARY_FMOD)
        binary_f32(job, t);
    else
        binary_wide(job, t);
}

void oct_exec_binary(oct_exec *x)
{
    const oct_p_binary *p = x->params;
    binary_job job = {oct_exec_ops(x),
                      (oct_binary_fn)p->fn,
                      p->lo,
                      p->hi,
                      x->in[0].dtype,
                      x->out[0].dtype,
                      {oct_exec_out_biased(x, 0), oct_exec_in_biased(x, 0), oct_exec_in_biased(x, 1)}};
    oct_exec_elementwise(x, 0, 2, OCT_ND_GRAIN, binary_tile, &job);
}

/* --- cast --------------------------------------------------------------------------------------------------------------- */
typedef struct cast_job {
    oct_dtype from, to;
    bool biased_in, biased_out;
} cast_job;

static void cast_tile(void *arg, const oct_nd_tile *t)
{
    const cast_job *job = arg;
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c += OCT_ND_CHUNK)
            oct_nd_cast(job->from, job->biased_in, t->data[1] + r * t->row_step[1] + c * t->col_step[1], t->col_step[1], job->to,
                        job->biased_out, t->data[0] + r * t->row_step[0] + c * t->col_step[0], t->col_step[0],
                        oct_min64(OCT_ND_CHUNK, t->cols - c));
}

void oct_exec_cast(oct_exec *x)
{
    cast_job job = {x->in[0].dtype, x->out[0].dtype, oct_exec_in_biased(x, 0), oct_exec_out_biased(x, 0)};
    if (job.from == job.to && job.biased_in == job.biased_out)
        oct_exec_move(x, &x->out[0], &x->in[0]);
    else
        oct_exec_elementwise(x, 0, 1, OCT_ND_GRAIN, cast_tile, &job);
}

/* --- range: in start [, limit], delta; the count is the output's ------------------------------------------------------------ */
void oct_exec_range(oct_exec *x)
{
    const oct_view *out = &x->out[0], *start = &x->in[0], *delta = &x->in[x->in_count - 1];
    const int64_t n = oct_view_count(out), step = out->rank > 0 ? out->strides[0] * (int64_t)oct_dtype_size(out->dtype) : 0;
    for (int64_t i = 0; i < n; i++) {
        char *y = (char *)out->data + i * step;
        if (out->dtype == OCT_F32) {
            *(float *)y = *(const float *)start->data + (float)i * *(const float *)delta->data;
        } else if (out->dtype == OCT_F64) {
            *(double *)y = *(const double *)start->data + (double)i * *(const double *)delta->data;
        } else {
            int64_t s, d;
            oct_nd_load_s64(start->dtype, false, start->data, 0, 1, &s);
            oct_nd_load_s64(delta->dtype, false, delta->data, 0, 1, &d);
            s = (int64_t)((uint64_t)s + (uint64_t)i * (uint64_t)d);
            oct_nd_store_s64(out->dtype, false, &s, 1, y, 0);
        }
    }
}
