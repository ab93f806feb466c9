/* Steps on codes against plain loops: quantize, dequantize, table, qadd, qmul, pools. */
#include "unit/rt/exec_case.h"

#include "num/num.h"

static const exec_layout layouts[] = {EXEC_DENSE, EXEC_NHWC, EXEC_ODD};
enum { CONSTANTS = 1 << 12 };

typedef struct stored {
    uint8_t bytes[CONSTANTS];
    int64_t size;
} stored;

static int64_t store(stored *s, const void *data, size_t size)
{
    const int64_t at = s->size;
    memcpy(s->bytes + at, data, size);
    s->size += (int64_t)size;
    return at;
}

static void quantize_case(oct_dtype code, int32_t lo, int32_t hi, int rank, const int64_t *dims, int axis, exec_layout in,
                          exec_layout out, uint64_t seed)
{
    exec_case e;
    stored s = {.size = 0};
    float scale[64];
    int32_t zero[64];
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, OCT_F32, rank, dims, in);
    exec_view(&e, 1, code, rank, dims, out);
    float *x = exec_fill_f32(&e, 0, code == OCT_U8 ? 3.0f : 300.0f);
    const int64_t total = exec_count(&e.view[0]);
    if (total > 9) {
        x[3] = NAN;
        x[4] = INFINITY;
        x[5] = -INFINITY;
        x[6] = 1e-42f;
        x[7] = 0.05f; /* a tie at scale 0.02 */
        x[8] = -3e38f;
        exec_put(&e, 0, x);
    }
    const int n = axis < 0 ? 1 : (int)dims[axis];
    for (int i = 0; i < n; i++) {
        scale[i] = 0.02f + 0.003f * (float)i;
        zero[i] = code == OCT_U8 ? 128 + i : code == OCT_U16 ? 1000 : 0;
    }
    oct_p_quantize p = {.n = n,
                        .axis = axis,
                        .lo = lo,
                        .hi = hi,
                        .scale_at = store(&s, scale, sizeof scale),
                        .zero_at = store(&s, zero, sizeof zero)};
    e.plan.constants = s.bytes;
    exec_run(&e, oct_exec_quantize, &p, false);
    char *y = exec_result(&e);
    int64_t inner = 1, nan = 0;
    for (int d = axis + 1; axis >= 0 && d < rank; d++)
        inner *= dims[d];
    for (int64_t i = 0; i < total; i++) {
        const int c = axis < 0 ? 0 : (int)(i / inner % dims[axis]);
        double want = nearbyint((double)(x[i] / scale[c])) + zero[c];
        want = x[i] != x[i] ? zero[c] : want < lo ? lo : want > hi ? hi : want;
        nan += x[i] != x[i];
        const double got = code == OCT_U8    ? ((uint8_t *)y)[i]
                           : code == OCT_U16 ? ((uint16_t *)y)[i]
                           : code == OCT_S16 ? ((int16_t *)y)[i]
                                             : ((int32_t *)y)[i];
        if (got != want)
            fail_msg("element %d (%.9g): code %g, not %g", (int)i, (double)x[i], got, want);
    }
    assert_int_equal(e.nan_count, nan);
    free(x);
    free(y);
    exec_end(&e);
}

static void quantize__types_layouts_axes__matches_the_formula(void **state)
{
    static const int64_t shapes[][5] = {{4, 2, 3, 37, 41}, {4, 1, 20, 33, 30}, {3, 2, 7, 900}, {1, 50000}, {0}, {4, 0, 3, 4, 5}};
    uint64_t seed = 1;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int i = 0; i < 9; i++) {
            const int rank = (int)shapes[s][0];
            quantize_case(OCT_U8, 0, 255, rank, shapes[s] + 1, -1, layouts[i % 3], layouts[i / 3], seed++);
            quantize_case(OCT_U8, 3, 250, rank, shapes[s] + 1, rank >= 3 ? 1 : -1, layouts[i % 3], layouts[i / 3], seed++);
            quantize_case(OCT_U16, 0, 65535, rank, shapes[s] + 1, -1, layouts[i % 3], layouts[i / 3], seed++);
            quantize_case(OCT_S16, -32768, 32767, rank, shapes[s] + 1, rank >= 3 ? 1 : -1, layouts[i % 3], layouts[i / 3], seed++);
            quantize_case(OCT_S32, INT32_MIN, INT32_MAX, rank, shapes[s] + 1, -1, layouts[i % 3], layouts[i / 3], seed++);
        }
}

/* Scales and zero points in tensors instead of constants: the same codes. */
static void quantize__parameters_in_tensors__same_as_constants(void **state)
{
    static const int64_t dims[3] = {2, 7, 300};
    static const oct_dtype types[] = {OCT_U8, OCT_U16, OCT_S16};
    for (int t = 0; t < 3; t++)
        for (int axis = -1; axis < 2; axis++)
            for (int layout = 0; layout < 3; layout++) {
                exec_case e;
                const int64_t n = axis < 0 ? 1 : dims[axis];
                float scale[8];
                uint16_t wide[8];
                uint8_t narrow[8];
                for (int i = 0; i < 8; i++) {
                    scale[i] = 0.02f + 0.003f * (float)i;
                    narrow[i] = (uint8_t)(120 + i);
                    wide[i] = narrow[i];
                }
                exec_begin(&e, 3, (uint64_t)(t * 9 + layout + 50));
                exec_view(&e, 0, OCT_F32, 3, dims, layouts[layout]);
                exec_view(&e, 1, OCT_F32, axis < 0 ? 0 : 1, &n, layouts[layout]);
                exec_view(&e, 2, types[t], axis < 0 ? 0 : 1, &n, layouts[layout]);
                exec_view(&e, 3, types[t], 3, dims, layouts[2 - layout]);
                float *x = exec_fill_f32(&e, 0, 3.0f);
                exec_put(&e, 1, scale);
                exec_put(&e, 2, types[t] == OCT_U8 ? (const void *)narrow : wide);
                const oct_p_quantize p = {.n = (int32_t)n, .axis = axis, .lo = 3, .hi = 250, .scale_at = -1, .zero_at = -1};
                exec_run(&e, oct_exec_quantize, &p, false);
                void *y = exec_result(&e);
                for (int64_t i = 0; i < exec_count(&e.view[0]); i++) {
                    const int c = axis < 0 ? 0 : (int)(axis == 0 ? i / 2100 : i / 300 % 7);
                    assert_int_equal(types[t] == OCT_U8 ? ((uint8_t *)y)[i] : ((uint16_t *)y)[i], oct_quantize(x[i], scale[c], narrow[c], 3, 250));
                }
                free(x);
                free(y);
                exec_end(&e);
            }
}

static void qparams__ranges__scale_and_zero_of_onnx(void **state)
{
    static const struct { float lo, hi, scale; int zero; } rows[] = {
        {-1, 1, 2.0f / 255, 127}, {0, 255, 1, 0}, {3, 5.1f, 5.1f / 255, 0}, {-5.1f, -3, 5.1f / 255, 255}, {0, 0, 1, 0}, {INFINITY, -INFINITY, 1, 0},
        {-INFINITY, 1, INFINITY, 0}, {NAN, NAN, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int zero = 0; zero < 2; zero++) {
            exec_case e;
            exec_begin(&e, 2, 1);
            exec_view(&e, 0, OCT_F32, 0, NULL, EXEC_DENSE);
            exec_view(&e, 1, OCT_F32, 0, NULL, EXEC_DENSE);
            exec_view(&e, 2, zero ? OCT_U8 : OCT_F32, 0, NULL, EXEC_DENSE);
            exec_put(&e, 0, &rows[i].lo);
            exec_put(&e, 1, &rows[i].hi);
            exec_run(&e, oct_exec_qparams, &(oct_p_qparams){.zero = zero}, false);
            if (zero)
                assert_int_equal(*(uint8_t *)e.view[2].data, rows[i].zero);
            else
                assert_true(*(float *)e.view[2].data == rows[i].scale);
            exec_end(&e);
        }
}

/* A function that writes codes against the two steps that it stands for. */
static void unary_codes_case(int32_t fn, int rank, const int64_t *dims, exec_layout in, exec_layout out, uint64_t seed)
{
    const oct_p_unary function = {.fn = fn, .alpha = 0.3f, .beta = 0.6f};
    oct_p_unary fused = function;
    exec_case e, f;
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, OCT_F32, rank, dims, in);
    exec_view(&e, 1, OCT_U8, rank, dims, out);
    exec_begin(&f, 1, seed);
    exec_view(&f, 0, OCT_F32, rank, dims, EXEC_DENSE);
    exec_view(&f, 1, OCT_F32, rank, dims, EXEC_DENSE);
    float *x = exec_fill_f32(&e, 0, 6.0f), *y = malloc(sizeof(float) * (size_t)(exec_count(&e.view[0]) + 1));
    uint8_t *codes = malloc((size_t)exec_count(&e.view[1]) + 1);
    const int64_t total = exec_count(&e.view[0]);
    int64_t nan = 0;
    for (int64_t i = 0; i < total; i += 97)
        x[i] = i % 2 ? NAN : i % 3 ? INFINITY : -1e38f;
    exec_put(&e, 0, x);
    exec_put(&f, 0, x);
    fused.lo = (int32_t)oct_rng_below(&e.rng, 100);
    fused.hi = 255 - (int32_t)oct_rng_below(&e.rng, 100);
    fused.zero = fused.lo + (int32_t)oct_rng_below(&e.rng, (uint64_t)(fused.hi - fused.lo + 1));
    fused.scale = 0.003f + 0.05f * (float)oct_rng_unit(&e.rng);
    exec_run(&e, oct_exec_unary, &fused, false);
    exec_take(&e, 1, codes);
    exec_run(&f, oct_exec_unary, &function, true); /* NaN may differ in its payload */
    exec_take(&f, 1, y);
    for (int64_t i = 0; i < total; i++) {
        nan += y[i] != y[i];
        const int32_t want = oct_quantize(y[i], fused.scale, fused.zero, fused.lo, fused.hi);
        if (codes[i] != want)
            fail_msg("function %d, element %d (%.9g): code %d, not %d", fn, (int)i, (double)x[i], codes[i], want);
    }
    assert_int_equal(e.nan_count, nan);
    free(x);
    free(y);
    free(codes);
    exec_end(&e);
    exec_end(&f);
}

static void unary_to_codes__functions_and_layouts__codes_of_the_two_steps(void **state)
{
    static const int64_t shapes[][5] = {{4, 2, 3, 37, 41}, {4, 1, 20, 33, 30}, {1, 50000}, {0}, {4, 0, 3, 4, 5}};
    static const int32_t functions[] = {OCT_UNARY_SILU, OCT_UNARY_HARD_SWISH, OCT_UNARY_SIGMOID, OCT_UNARY_LOG};
    uint64_t seed = 100;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int i = 0; i < 9; i++)
            unary_codes_case(functions[i % 4], (int)shapes[s][0], shapes[s] + 1, layouts[i % 3], layouts[i / 3], seed++);
}

static void dequantize_case(oct_dtype code, int rank, const int64_t *dims, int axis, exec_layout in, exec_layout out, uint64_t seed)
{
    exec_case e;
    stored s = {.size = 0};
    float scale[64];
    int32_t zero[64];
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, code, rank, dims, in);
    exec_view(&e, 1, OCT_F32, rank, dims, out);
    const int64_t total = exec_count(&e.view[0]), size = (int64_t)oct_dtype_size(code);
    uint8_t *x = malloc((size_t)(total * size) + 1);
    for (int64_t i = 0; i < total * size; i++)
        x[i] = (uint8_t)oct_rng_next(&e.rng);
    exec_put(&e, 0, x);
    const int n = axis < 0 ? 1 : (int)dims[axis];
    for (int i = 0; i < 64; i++) {
        scale[i] = 0.02f + 0.003f * (float)i;
        zero[i] = code == OCT_S32 ? 0 : 100 + i;
    }
    oct_p_quantize p = {.n = n, .axis = axis, .scale_at = store(&s, scale, sizeof scale), .zero_at = store(&s, zero, sizeof zero)};
    e.plan.constants = s.bytes;
    exec_run(&e, oct_exec_dequantize, &p, false);
    float *y = exec_result(&e);
    int64_t inner = 1;
    for (int d = axis + 1; axis >= 0 && d < rank; d++)
        inner *= dims[d];
    for (int64_t i = 0; i < total; i++) {
        const int c = axis < 0 ? 0 : (int)(i / inner % dims[axis]);
        const int64_t q = code == OCT_U8    ? x[i]
                          : code == OCT_U16 ? ((uint16_t *)x)[i]
                          : code == OCT_S16 ? ((int16_t *)x)[i]
                                            : ((int32_t *)x)[i];
        assert_true(y[i] == (float)(q - zero[c]) * scale[c]);
    }
    free(x);
    free(y);
    exec_end(&e);
}

static void dequantize__types_layouts_axes__matches_the_formula(void **state)
{
    static const oct_dtype types[] = {OCT_U8, OCT_U16, OCT_S16, OCT_S32};
    static const int64_t shapes[][5] = {{4, 2, 3, 37, 41}, {4, 1, 40, 33, 30}, {1, 50000}};
    uint64_t seed = 1;
    for (int t = 0; t < 4; t++)
        for (size_t s = 0; s < 3; s++)
            for (int i = 0; i < 9; i++)
                dequantize_case(types[t], (int)shapes[s][0], shapes[s] + 1, s == 0 && (i & 1) ? 1 : -1, layouts[i % 3],
                                layouts[i / 3], seed++);
}

static void table__layouts__looks_up(void **state)
{
    const int64_t dims[] = {2, 5, 61, 67};
    for (int i = 0; i < 9; i++) {
        exec_case e;
        stored s = {.size = 0};
        uint8_t table[256];
        exec_begin(&e, 1, (uint64_t)i);
        exec_view(&e, 0, OCT_U8, 4, dims, layouts[i % 3]);
        exec_view(&e, 1, OCT_U8, 4, dims, layouts[i / 3]);
        uint8_t *x = exec_fill_u8(&e, 0);
        for (int k = 0; k < 256; k++)
            table[k] = (uint8_t)oct_rng_next(&e.rng);
        const oct_p_table p = {store(&s, table, sizeof table)};
        e.plan.constants = s.bytes;
        exec_run(&e, oct_exec_table, &p, false);
        uint8_t *y = exec_result(&e);
        for (int64_t k = 0; k < exec_count(&e.view[0]); k++)
            assert_int_equal(y[k], table[x[k]]);
        free(x);
        free(y);
        exec_end(&e);
    }
}

static void qbinary_case(bool mul, const int64_t *a, const int64_t *b, const int64_t *out, exec_layout la, exec_layout lb,
                         exec_layout ly, uint64_t seed)
{
    exec_case e;
    exec_begin(&e, 2, seed);
    exec_view(&e, 0, OCT_U8, (int)a[0], a + 1, la);
    exec_view(&e, 1, OCT_U8, (int)b[0], b + 1, lb);
    exec_view(&e, 2, OCT_U8, (int)out[0], out + 1, ly);
    uint8_t *x = exec_fill_u8(&e, 0), *w = exec_fill_u8(&e, 1);
    const oct_p_qbinary p = {{.za = 120, .zb = 7, .z = 90, .lo = 1, .hi = 254, .ma = mul ? 0.01f : -0.7f, .mb = 0.4f}};
    exec_run(&e, mul ? oct_exec_qmul : oct_exec_qadd, &p, false);
    uint8_t *y = exec_result(&e);
    for (int64_t i = 0; i < exec_count(&e.view[2]); i++) {
        const int32_t va = x[exec_broadcast((int)out[0], out + 1, (int)a[0], a + 1, i)] - 120,
                      vb = w[exec_broadcast((int)out[0], out + 1, (int)b[0], b + 1, i)] - 7;
        const float r = mul ? (float)(va * vb) * 0.01f : (float)va * -0.7f + (float)vb * 0.4f;
        assert_int_equal(y[i], oct_requantize_f(r, 90, 1, 254));
    }
    free(x);
    free(w);
    free(y);
    exec_end(&e);
}

static void qadd_qmul__broadcasts_and_layouts__match_the_formula(void **state)
{
    static const int64_t full[] = {4, 2, 20, 31, 37}, channel[] = {4, 1, 20, 1, 1}, scalar[] = {0}, image[] = {4, 2, 20, 1, 1},
                         row[] = {2, 31, 1};
    const int64_t *const kinds[] = {full, channel, scalar, image, row};
    uint64_t seed = 1;
    for (int mul = 0; mul < 2; mul++)
        for (int k = 0; k < 5; k++)
            for (int l = 0; l < 9; l++) {
                qbinary_case(mul != 0, full, kinds[k], full, layouts[l % 3], layouts[l / 3], layouts[l % 3], seed++);
                qbinary_case(mul != 0, kinds[k], full, full, layouts[l % 3], layouts[l / 3], layouts[l / 3], seed++);
            }
}

/* --- pools ------------------------------------------------------------------------------------------------------------------- */
static void pool_case(oct_dtype type, oct_p_pool p, int rank, const int64_t *in, exec_layout li, exec_layout lo, uint64_t seed)
{
    exec_case e;
    const bool two = rank == 4;
    int64_t out[4] = {in[0], in[1]}, h = two ? in[2] : 1, w = in[rank - 1];
    const int64_t oh = two ? (h + p.pt + p.pb - ((p.kh - 1) * p.dh + 1)) / p.sh + 1 : 1,
                  ow = (w + p.pl + p.pr - ((p.kw - 1) * p.dw + 1)) / p.sw + 1;
    out[rank - 1] = ow;
    if (two)
        out[2] = oh;
    exec_begin(&e, 1, seed);
    exec_view(&e, 0, type, rank, in, li);
    exec_view(&e, 1, type, rank, out, lo);
    uint8_t *q = type == OCT_U8 ? exec_fill_u8(&e, 0) : NULL;
    float *f = type == OCT_F32 ? exec_fill_f32(&e, 0, 2.0f) : NULL;
    exec_run(&e, oct_exec_pool, &p, false);
    void *y = exec_result(&e);
    for (int64_t i = 0; i < exec_count(&e.view[1]); i++) {
        const int64_t ox = i % ow, oy = i / ow % oh, plane = i / (ow * oh);
        int32_t sum = 0, best = -1, taps = 0, padded = 0;
        float fsum = 0.0f, fbest = -INFINITY;
        for (int64_t ky = 0; ky < p.kh; ky++)
            for (int64_t kx = 0; kx < p.kw; kx++) {
                const int64_t iy = oy * p.sh - p.pt + ky * p.dh, ix = ox * p.sw - p.pl + kx * p.dw;
                padded += iy < h + p.pb && ix < w + p.pr;
                if (iy < 0 || iy >= h || ix < 0 || ix >= w)
                    continue;
                const int64_t at = (plane * h + iy) * w + ix;
                taps++;
                if (q) {
                    sum += q[at] - p.zx;
                    best = q[at] > best ? q[at] : best;
                } else {
                    fsum = taps == 1 ? f[at] : fsum + f[at];
                    fbest = f[at] > fbest ? f[at] : fbest;
                }
            }
        const int32_t count = p.include_pad ? padded : taps;
        if (q)
            assert_int_equal(((uint8_t *)y)[i], p.is_max ? best : oct_requantize(sum, (float)(p.scale / count), p.z, p.lo, p.hi));
        else
            assert_true(((float *)y)[i] == (p.is_max ? fbest : fsum * (1.0f / (float)count)));
    }
    free(q);
    free(f);
    free(y);
    exec_end(&e);
}

static void pool__windows_and_layouts__match_plain_loops(void **state)
{
    static const oct_p_pool windows[] = {
        {.kh = 2, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1},
        {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1},
        {.kh = 3, .kw = 2, .sh = 1, .sw = 3, .dh = 2, .dw = 3, .pt = 1, .pl = 1, .pb = 2, .pr = 0},
        {.kh = 13, .kw = 15, .sh = 1, .sw = 1, .dh = 1, .dw = 1},
        {.kh = 1, .kw = 5, .sh = 1, .sw = 2, .dh = 1, .dw = 1, .pl = 2, .pr = 2},
    };
    const int64_t image[] = {2, 19, 13, 15}, line[] = {2, 70, 15}, one[] = {3, 1, 13, 15};
    uint64_t seed = 1;
    for (size_t k = 0; k < sizeof windows / sizeof windows[0]; k++)
        for (int kind = 0; kind < 4; kind++)
            for (int t = 0; t < 2; t++)
                for (int l = 0; l < 9; l++) {
                    oct_p_pool p = windows[k];
                    p.is_max = kind & 1;
                    p.include_pad = kind >> 1;
                    p.zx = 120;
                    p.z = 130;
                    p.hi = 255;
                    p.scale = 0.9;
                    pool_case(t ? OCT_F32 : OCT_U8, p, 4, l & 1 ? one : image, layouts[l % 3], layouts[l / 3], seed++);
                    if (p.kh == 1)
                        pool_case(t ? OCT_F32 : OCT_U8, p, 3, line, layouts[l % 3], layouts[l / 3], seed++);
                }
}

/* More taps than a pointer list holds: the plain loop must round as the kernels do. */
static void pool__global_over_many_pixels__same_rule(void **state)
{
    const int64_t image[] = {1, 70, 40, 41};
    for (int k = 0; k < 8; k++) {
        const oct_p_pool p = {
            .is_max = k & 1, .kh = 40, .kw = 41, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .zx = 3, .z = 5, .hi = 255, .scale = 1.1};
        pool_case(k & 2 ? OCT_F32 : OCT_U8, p, 4, image, k & 4 ? EXEC_NHWC : EXEC_ODD, EXEC_NHWC, (uint64_t)k);
    }
}

/* Two taps with a dilation that steps over the one pixel: no tap inside. */
static void pool__no_tap_inside__lowest_or_zero(void **state)
{
    const int64_t one[] = {1, 3, 1, 1};
    for (int k = 0; k < 4; k++) {
        exec_case e;
        const oct_p_pool p = {.is_max = k & 1,
                              .kh = 2,
                              .kw = 2,
                              .sh = 1,
                              .sw = 1,
                              .dh = 2,
                              .dw = 2,
                              .pt = 1,
                              .pl = 1,
                              .pb = 1,
                              .pr = 1,
                              .zx = 9,
                              .z = 77,
                              .hi = 255,
                              .scale = 1.0};
        exec_begin(&e, 1, 1);
        exec_view(&e, 0, k & 2 ? OCT_F32 : OCT_U8, 4, one, EXEC_NHWC);
        exec_view(&e, 1, k & 2 ? OCT_F32 : OCT_U8, 4, one, EXEC_NHWC);
        exec_run(&e, oct_exec_pool, &p, false);
        for (int i = 0; i < 3; i++)
            if (k & 2)
                assert_true(((float *)e.view[1].data)[i] == (k & 1 ? -INFINITY : 0.0f));
            else
                assert_int_equal(((uint8_t *)e.view[1].data)[i], k & 1 ? 0 : 77);
        exec_end(&e);
    }
}

static void matmul_s32__batches_and_layouts__match_plain_loops(void **state)
{
    static const struct { int ra, rb, ry; int64_t a[4], b[4], y[4]; } rows[] = {
        {2, 2, 2, {5, 33}, {33, 300}, {5, 300}},
        {3, 3, 3, {2, 5, 7}, {2, 7, 4}, {2, 5, 4}},
        {4, 3, 4, {3, 1, 5, 7}, {2, 7, 4}, {3, 2, 5, 4}},
        {2, 2, 2, {5, 0}, {0, 4}, {5, 4}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int layout = 0; layout < 3; layout++) {
            exec_case e;
            exec_begin(&e, 4, 70 + i * 3 + (uint64_t)layout);
            exec_view(&e, 0, OCT_U8, rows[i].ra, rows[i].a, layouts[layout]);
            exec_view(&e, 1, OCT_U8, rows[i].rb, rows[i].b, layouts[2 - layout]);
            exec_view(&e, 2, OCT_U8, 0, NULL, EXEC_DENSE);
            exec_view(&e, 3, OCT_U8, 0, NULL, EXEC_DENSE);
            exec_view(&e, 4, OCT_S32, rows[i].ry, rows[i].y, layouts[layout]);
            uint8_t *a = exec_fill_u8(&e, 0), *b = exec_fill_u8(&e, 1), *za = exec_fill_u8(&e, 2), *zb = exec_fill_u8(&e, 3);
            exec_run(&e, oct_exec_matmul_s32, &(oct_p_none){0}, false);
            int32_t *y = exec_result(&e);
            const int64_t m = rows[i].y[rows[i].ry - 2], n = rows[i].y[rows[i].ry - 1], k = rows[i].a[rows[i].ra - 1];
            for (int64_t at = 0; at < exec_count(&e.view[4]); at++) {
                const int64_t batch = at / (m * n), r = at / n % m, c = at % n;
                const int64_t ba = exec_broadcast(rows[i].ry - 2, rows[i].y, rows[i].ra - 2, rows[i].a, batch);
                const int64_t bb = exec_broadcast(rows[i].ry - 2, rows[i].y, rows[i].rb - 2, rows[i].b, batch);
                int32_t want = 0;
                for (int64_t p = 0; p < k; p++)
                    want += (a[(ba * m + r) * k + p] - *za) * (b[(bb * k + p) * n + c] - *zb);
                assert_int_equal(y[at], want);
            }
            free(a);
            free(b);
            free(za);
            free(zb);
            free(y);
            exec_end(&e);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize__types_layouts_axes__matches_the_formula),
        cmocka_unit_test(quantize__parameters_in_tensors__same_as_constants),
        cmocka_unit_test(qparams__ranges__scale_and_zero_of_onnx),
        cmocka_unit_test(unary_to_codes__functions_and_layouts__codes_of_the_two_steps),
        cmocka_unit_test(dequantize__types_layouts_axes__matches_the_formula),
        cmocka_unit_test(matmul_s32__batches_and_layouts__match_plain_loops),
        cmocka_unit_test(table__layouts__looks_up),
        cmocka_unit_test(qadd_qmul__broadcasts_and_layouts__match_the_formula),
        cmocka_unit_test(pool__windows_and_layouts__match_plain_loops),
        cmocka_unit_test(pool__no_tap_inside__lowest_or_zero),
        cmocka_unit_test(pool__global_over_many_pixels__same_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
