/* quantize and dequantize: f32 to codes and back, per tensor or along an axis, from any layout to any; parameters are constants or computed by
 * steps before.  DESIGN 3.1.
 *
 * The 8-bit per-tensor case runs in the span kernels; where the layout changes on the way (NCHW image to NHWC codes), the cheap
 * side is moved: bytes, through a small block. Other types and per-axis parameters take the generic row. */
#include "rt/exec_loop.h"

#include "num/num.h"

enum { BLOCK_ROWS = 512, BLOCK_COLS = 16 };

typedef struct quantize_job {
    oct_quantize_span_fn *quantize;
    oct_dequantize_span_fn *dequantize;
    const oct_nd_ops *ops;
    oct_dtype code; /* stored type of the codes */
    float scale;
    int32_t zero, lo, hi;
    int64_t *nan_count;
} quantize_job;

static void count_nan(const quantize_job *job, int64_t nan)
{
    if (nan > 0)
        __atomic_fetch_add(job->nan_count, nan, __ATOMIC_RELAXED);
}

/* Codes that are no u8: n dense floats to the code type at a step. */
static int64_t quantize_wide(const quantize_job *job, const float *x, int64_t n, char *q, int64_t step)
{
    int64_t nan = 0, wide[OCT_ND_CHUNK];
    for (int64_t i = 0; i < n; i++) {
        nan += x[i] != x[i];
        if (job->code == OCT_S32) { /* limits beyond oct_quantize: the float is integral, so no second rounding */
            const float r = oct_clamp_nan_lo(oct_rne(x[i] / job->scale), -0x1p40f, 0x1p40f);
            const int64_t v = (x[i] != x[i] ? 0 : (int64_t)r) + job->zero;
            wide[i] = v < job->lo ? job->lo : v > job->hi ? job->hi : v;
        } else {
            wide[i] = oct_quantize(x[i], job->scale, job->zero, job->lo, job->hi);
        }
    }
    oct_nd_store_s64(job->code, false, wide, n, q, step);
    return nan;
}

/* One row of the generic path, in chunks. */
static int64_t quantize_row(const quantize_job *job, const char *x, int64_t x_step, char *q, int64_t q_step, int64_t n)
{
    float dense[OCT_ND_CHUNK];
    uint8_t codes[OCT_ND_CHUNK];
    int64_t nan = 0;
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        oct_nd_gather_row(sizeof(float), x + i * x_step, x_step, m, dense);
        if (job->code == OCT_U8) {
            nan += job->quantize(dense, codes, m, job->scale, job->zero, job->lo, job->hi);
            oct_nd_scatter_row(1, q + i * q_step, q_step, m, codes);
        } else {
            nan += quantize_wide(job, dense, m, q + i * q_step, q_step);
        }
    }
    return nan;
}

/* Tile rows are contiguous in the input, columns in the output: quantize along the rows, then transpose the bytes. */
static int64_t quantize_transposed(const quantize_job *job, const oct_nd_tile *t)
{
    uint8_t block[BLOCK_COLS * BLOCK_ROWS];
    int64_t nan = 0;
    for (int64_t r = 0; r < t->rows; r += BLOCK_ROWS) {
        const int64_t rows = oct_min64(BLOCK_ROWS, t->rows - r);
        for (int64_t c = 0; c < t->cols; c += BLOCK_COLS) {
            const int64_t cols = oct_min64(BLOCK_COLS, t->cols - c);
            for (int64_t k = 0; k < cols; k++) {
                const float *x = (const float *)(t->data[1] + r * t->row_step[1] + (c + k) * t->col_step[1]);
                nan += job->quantize(x, block + k * BLOCK_ROWS, rows, job->scale, job->zero, job->lo, job->hi);
            }
            job->ops->transpose(1, cols, rows, block, BLOCK_ROWS, t->data[0] + r * t->row_step[0] + c, t->row_step[0]);
        }
    }
    return nan;
}

static void quantize_tile(void *arg, const oct_nd_tile *t)
{
    const quantize_job *job = arg;
    int64_t nan = 0;
    const bool dense_out = job->code == OCT_U8 && t->col_step[0] == 1;
    if (dense_out && t->row_step[1] == sizeof(float) && t->col_step[1] != sizeof(float) && t->rows > 1) {
        nan = quantize_transposed(job, t);
    } else {
        for (int64_t r = 0; r < t->rows; r++) {
            char *q = t->data[0] + r * t->row_step[0];
            const char *x = t->data[1] + r * t->row_step[1];
            if (dense_out && t->col_step[1] == sizeof(float))
                nan += job->quantize((const float *)x, (uint8_t *)q, t->cols, job->scale, job->zero, job->lo, job->hi);
            else
                nan += quantize_row(job, x, t->col_step[1], q, t->col_step[0], t->cols);
        }
    }
    count_nan(job, nan);
}

static void dequantize_row(const quantize_job *job, const char *q, int64_t q_step, char *x, int64_t x_step, int64_t n)
{
    float dense[OCT_ND_CHUNK];
    uint8_t codes[OCT_ND_CHUNK];
    int64_t wide[OCT_ND_CHUNK];
    for (int64_t i = 0; i < n; i += OCT_ND_CHUNK) {
        const int64_t m = oct_min64(OCT_ND_CHUNK, n - i);
        if (job->code == OCT_U8) {
            oct_nd_gather_row(1, q + i * q_step, q_step, m, codes);
            job->dequantize(codes, dense, m, job->scale, job->zero);
        } else {
            oct_nd_load_s64(job->code, false, q + i * q_step, q_step, m, wide);
            for (int64_t k = 0; k < m; k++)
                dense[k] = (float)(wide[k] - job->zero) * job->scale;
        }
        oct_nd_scatter_row(sizeof(float), x + i * x_step, x_step, m, dense);
    }
}

static void dequantize_transposed(const quantize_job *job, const oct_nd_tile *t)
{
    uint8_t block[BLOCK_COLS * BLOCK_ROWS];
    for (int64_t c = 0; c < t->cols; c += BLOCK_ROWS) {
        const int64_t cols = oct_min64(BLOCK_ROWS, t->cols - c);
        for (int64_t r = 0; r < t->rows; r += BLOCK_COLS) {
            const int64_t rows = oct_min64(BLOCK_COLS, t->rows - r);
            job->ops->transpose(1, cols, rows, t->data[1] + r + c * t->col_step[1], t->col_step[1], block, BLOCK_ROWS);
            for (int64_t k = 0; k < rows; k++)
                job->dequantize(block + k * BLOCK_ROWS, (float *)(t->data[0] + (r + k) * t->row_step[0]) + c, cols, job->scale,
                                job->zero);
        }
    }
}

static void dequantize_tile(void *arg, const oct_nd_tile *t)
{
    const quantize_job *job = arg;
    const bool dense_out = job->code == OCT_U8 && t->col_step[0] == sizeof(float);
    if (dense_out && t->row_step[1] == 1 && t->col_step[1] != 1 && t->rows > 1) {
        dequantize_transposed(job, t);
        return;
    }
    for (int64_t r = 0; r < t->rows; r++) {
        char *y = t->data[0] + r * t->row_step[0];
        const char *q = t->data[1] + r * t->row_step[1];
        if (dense_out && t->col_step[1] == 1)
            job->dequantize((const uint8_t *)q, (float *)y, t->cols, job->scale, job->zero);
        else
            dequantize_row(job, q, t->col_step[1], y, t->col_step[0], t->cols);
    }
}

/* Parameters i: from the constants, or from inputs 1 and 2. */
static void take_params(const oct_exec *x, int32_t i, quantize_job *job)
{
    const oct_p_quantize *p = x->params;
    if (p->scale_at >= 0) {
        job->scale = ((const float *)oct_exec_const(x, p->scale_at))[i];
        job->zero = ((const int32_t *)oct_exec_const(x, p->zero_at))[i];
        return;
    }
    const oct_view *scale = &x->in[1], *zero = &x->in[2];
    const int64_t at = zero->rank ? i * zero->strides[0] * (int64_t)oct_dtype_size(zero->dtype) : 0;
    int64_t z;
    oct_nd_load_s64(zero->dtype, false, (const char *)zero->data + at, 0, 1, &z);
    job->scale = ((const float *)scale->data)[scale->rank ? i * scale->strides[0] : 0];
    job->zero = (int32_t)z;
}

/* One loop for each set of parameters: along an axis the views shrink to one index of it. */
static void run(oct_exec *x, quantize_job *job, oct_nd_tile_fn *fn)
{
    const oct_p_quantize *p = x->params;
    const int32_t parts = p->n > 1 ? p->n : 1;
    oct_view out = x->out[0], in = x->in[0];
    for (int32_t i = 0; i < parts; i++) {
        if (parts > 1) {
            out.dims[p->axis] = in.dims[p->axis] = 1;
            out.data = (char *)x->out[0].data + i * out.strides[p->axis] * (int64_t)oct_dtype_size(out.dtype);
            in.data = (char *)x->in[0].data + i * in.strides[p->axis] * (int64_t)oct_dtype_size(in.dtype);
        }
        take_params(x, i, job);
        const oct_nd_operand to = oct_exec_operand(&out), from = oct_exec_operand(&in);
        oct_nd_loop l;
        oct_nd_loop_init_transposing(&l, &to, &from, OCT_ND_GRAIN);
        oct_exec_loop(x, &l, fn, job);
    }
}

void oct_exec_quantize(oct_exec *x)
{
    const oct_p_quantize *p = x->params;
    const oct_quantize_kernel *kernel = x->kernel ? x->kernel : oct_quantize_best(oct_exec_isa(x));
    quantize_job job = {.quantize = kernel->fn,
                        .ops = oct_exec_ops(x),
                        .code = x->out[0].dtype,
                        .lo = p->lo,
                        .hi = p->hi,
                        .nan_count = &x->nan_count};
    run(x, &job, quantize_tile);
}

void oct_exec_dequantize(oct_exec *x)
{
    const oct_dequantize_kernel *kernel = x->kernel ? x->kernel : oct_dequantize_best(oct_exec_isa(x));
    quantize_job job = {.dequantize = kernel->fn, .ops = oct_exec_ops(x), .code = x->in[0].dtype};
    run(x, &job, dequantize_tile);
}

void oct_exec_qparams(oct_exec *x)
{
    const oct_qparams q = oct_qparams_dynamic_u8(*(const float *)x->in[0].data, *(const float *)x->in[1].data);
    if (((const oct_p_qparams *)x->params)->zero)
        *(uint8_t *)x->out[0].data = (uint8_t)q.zero;
    else
        *(float *)x->out[0].data = q.scale;
}
