/* Speed of every row of kernels.inc on layer shapes of real networks: GMAC/s and percent of the core's peak at the row's CPU level
 * (src/cpu/peak.c) that the same process measures in between; spans and pools in Gelement/s.  DESIGN 6, docs/kernels-howto.md.
 *
 *   bench_kernels [part of a row's or a layer's name ...]
 *
 * Variants of one layer run interleaved; a figure is the best round (the median follows in brackets). One thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "layers.h"
#include "kernels/kernel.h"
#include "kernels/nd/nd.h"

enum { ROUNDS = 15, MAX_CASES = 64 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *block(int64_t bytes, int seed)
{
    const size_t size = ((size_t)bytes + 191) / 64 * 64;
    uint8_t *p = aligned_alloc(64, size);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(70);
    }
    uint32_t x = 0x9e3779b9u * (uint32_t)(seed + 1);
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = seed < 0 ? 0 : (uint8_t)(x >> 24);
    }
    return p;
}
static float *floats(int64_t n, int seed)
{
    float *p = block(n * 4, -1);
    uint32_t x = 0x9e3779b9u * (uint32_t)(seed + 1);
    for (int64_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (float)(int32_t)x * 0x1p-31f;
    }
    return p;
}

/* --- one table of cases per layer: run them in turn --------------------------------------------------------------------------- */
typedef struct bench_case {
    const char *kernel;
    oct_isa isa;
    void (*run)(void *context);
    void *context;
    double best, times[ROUNDS];
} bench_case;
static bench_case cases[MAX_CASES];
static int case_count;
static int filter_count;
static char **filters;

static bool wanted(const char *of, const char *kernel)
{
    for (int i = 0; i < filter_count; i++)
        if (!strstr(of, filters[i]) && !strstr(kernel, filters[i]))
            return false;
    return true;
}

static void add_case(const char *kernel, oct_isa isa, void (*run)(void *), void *context)
{
    if (case_count < MAX_CASES)
        cases[case_count++] = (bench_case){.kernel = kernel, .isa = isa, .run = run, .context = context};
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { UNIT_INT8, UNIT_F32, UNIT_ELEMENTS };

static void run_cases(const char *title, double work, int unit)
{
    double top[OCT_ISA_COUNT] = {0}; /* the best of the rounds */
    for (int r = 0; r < ROUNDS; r++) {
        for (int level = 0; level < OCT_ISA_COUNT && unit != UNIT_ELEMENTS; level++)
            top[level] = fmax(top[level], oct_cpu_peak((oct_isa)level, unit == UNIT_INT8));
        for (int i = 0; i < case_count; i++) {
            bench_case *c = &cases[i];
            c->run(c->context);
            int64_t runs = 1;
            double seconds;
            for (;; runs *= 4) {
                double t = now();
                for (int64_t j = 0; j < runs; j++)
                    c->run(c->context);
                seconds = now() - t;
                if (seconds > 5e-4)
                    break;
            }
            c->times[r] = seconds / (double)runs;
        }
    }
    for (int i = 0; i < case_count; i++) {
        bench_case *c = &cases[i];
        qsort(c->times, ROUNDS, sizeof c->times[0], by_value);
        const double rate = work / c->times[0] * 1e-9, median = work / c->times[ROUNDS / 2] * 1e-9, peak = top[c->isa];
        printf("%-34s %-26s %9.2f us %8.2f %s", title, c->kernel, c->times[0] * 1e6, rate,
               unit == UNIT_ELEMENTS ? "Gel/s " : "GMAC/s");
        if (peak > 0)
            printf(" %5.1f %% of peak (median %.1f)", 100 * rate / peak, 100 * median / peak);
        else
            printf(" (median %.2f)", median);
        printf("\n");
        free(c->context);
    }
    case_count = 0;
}

/* --- convolutions --- */
typedef struct conv_context {
    oct_qconv_args q;
    oct_fconv_args f;
    oct_qepilogue e;
    oct_qconv_fn *qfn;
    oct_fconv_fn *ffn;
    int32_t nr, oc, panels, rows, element;
    int64_t panel_bytes, row_in, row_out;
    int64_t taps[7];
    char name[48];
} conv_context;

/* As the engine calls: an INT8 kernel gets bands of about 112 pixels and all panels. Floats: rows outside, panels inside; a row of the
 * image stays in L1 while the panels pass by. A 1x1 convolution has one long row, cut into pieces. */
static void run_qconv(conv_context *x)
{
    const int32_t band = x->rows > 1 && x->q.m < 112 ? (int32_t)(112 / x->q.m) : 1;
    for (int32_t row = 0; row < x->rows; row += band)
        for (int64_t i = 0; i < x->q.m; i += 112) {
            oct_qconv_args g = x->q;
            const int64_t out = (row * x->q.m + i) * x->row_out;
            g.a += row * x->row_in + i * g.px;
            g.c = (char *)g.c + out;
            g.res = g.res ? g.res + out : NULL;
            g.panel_bytes = x->panel_bytes;
            g.m = x->q.m - i < 112 ? x->q.m - i : 112;
            g.n = x->oc;
            g.rows = x->rows - row < band ? x->rows - row : band;
            g.row_px = x->row_in;
            g.row_ldc = g.row_ldr = x->q.m * x->row_out;
            x->qfn(&g);
        }
}

static void run_fconv(conv_context *x)
{
    int64_t piece = 12288 / x->f.px / 14 * 14;
    piece = piece < 28 ? 28 : piece;
    for (int32_t row = 0; row < x->rows; row++)
        for (int64_t i = 0; i < x->f.m; i += piece)
            for (int32_t p = 0; p < x->panels; p++) {
                oct_fconv_args g = x->f;
                g.a = (const float *)((const char *)g.a + row * x->row_in + i * g.px);
                g.w = (const char *)g.w + p * x->panel_bytes;
                g.c = (float *)((char *)g.c + (row * x->f.m + i) * x->row_out + (int64_t)p * x->nr * x->element);
                g.m = x->f.m - i < piece ? x->f.m - i : piece;
                g.n = x->oc - p * x->nr < x->nr ? x->oc - p * x->nr : x->nr;
                x->ffn(&g);
            }
}

static void run_conv(void *context)
{
    conv_context *x = context;
    if (x->qfn)
        run_qconv(x);
    else
        run_fconv(x);
}

static conv_context *conv_case(const layer *l, int32_t nr, int32_t element)
{
    conv_context *x = calloc(1, sizeof *x);
    const bool one = l->kernel == 1;
    const int64_t width = (int64_t)(l->out - 1) * l->stride + l->kernel, pixel = (int64_t)l->c * element;
    x->nr = nr, x->oc = l->oc, x->element = element;
    x->panels = (l->oc + nr - 1) / nr;
    x->rows = one ? 1 : l->out;
    x->row_in = width * pixel * l->stride;
    x->row_out = (int64_t)l->oc * element;
    for (int t = 0; t < l->kernel; t++)
        x->taps[t] = t * width * pixel;
    return x;
}

static void bench_conv(bool integer)
{
    for (size_t i = 0; i < sizeof conv_layers / sizeof conv_layers[0]; i++) {
        const layer *l = &conv_layers[i];
        const int64_t width = (int64_t)(l->out - 1) * l->stride + l->kernel, k = (int64_t)l->kernel * l->kernel * l->c;
        const int64_t pixels = (int64_t)l->out * l->out, run_length = (int64_t)l->kernel * l->c;
        const int32_t run = (int32_t)run_length;
        uint8_t *codes = block(width * width * l->c, 1), *res = block(pixels * l->oc, 2), *out = block(pixels * l->oc, -1);
        float *image = floats(width * width * l->c, 1), *fout = floats(pixels * l->oc, 2);
        int8_t *w = block(k * l->oc, 3);
        float *fw = floats(k * l->oc, 3), *scale = floats(l->oc, 4);
        int32_t *bias = block(l->oc * 4, -1);
        void *packed[MAX_CASES];
        int packed_count = 0;
        for (int32_t j = 0; j < l->oc; j++)
            scale[j] = 0.0001f;
        for (int v = 0; integer && oct_qconv_get(v); v++) {
            const oct_qconv_kernel *row = oct_qconv_get(v);
            if (!oct_isa_runs(oct_cpu_detect(), row->isa) || !wanted(l->name, row->name))
                continue;
            const int64_t panel_bytes = oct_qconv_panel_bytes(row->nr, l->kernel, run);
            const int32_t panel_count = (l->oc + row->nr - 1) / row->nr;
            char *panels = packed[packed_count++] = block(panel_bytes * panel_count, -1);
            for (int32_t p = 0; p < panel_count; p++)
                oct_qconv_pack(row->nr, p, l->oc, l->kernel, run, w, bias, scale, NULL, panels + p * panel_bytes);
            for (int to_float = 0; to_float < 2; to_float++) {
                const bool residual = l->residual && !to_float;
                const int64_t size = to_float ? 4 : 1;
                conv_context *x = conv_case(l, row->nr, 1);
                x->panel_bytes = panel_bytes;
                x->element = (int32_t)size;
                x->row_out = l->oc * size;
                x->e = (oct_qepilogue){.kind = to_float   ? OCT_EPI_F32
                                               : residual ? OCT_EPI_U8_RES
                                                          : OCT_EPI_U8,
                                       .zp = 3,
                                       .hi = 255,
                                       .res_zp = 7,
                                       .res_scale = 0.9f,
                                       .flo = -1e30f,
                                       .fhi = 1e30f};
                x->q = (oct_qconv_args){codes,
                                        (int64_t)l->stride * l->c,
                                        x->taps,
                                        l->kernel,
                                        run,
                                        panels,
                                        0,
                                        l->kernel == 1 ? pixels : l->out,
                                        0,
                                        to_float ? (void *)fout : out,
                                        l->oc * size,
                                        residual ? res : NULL,
                                        l->oc,
                                        &x->e,
                                        1, 0, 0, 0};
                x->qfn = row->fn;
                snprintf(x->name, sizeof x->name, "%s%s", row->name, to_float ? " to f32" : "");
                add_case(x->name, row->isa, run_conv, x);
            }
        }
        for (int v = 0; !integer && oct_fconv_get(v); v++) {
            const oct_fconv_kernel *row = oct_fconv_get(v);
            if (!oct_isa_runs(oct_cpu_detect(), row->isa) || !wanted(l->name, row->name))
                continue;
            conv_context *x = conv_case(l, row->nr, 4);
            x->panel_bytes = oct_fconv_panel_bytes(row->nr, l->kernel, run);
            char *panels = packed[packed_count++] = block(x->panel_bytes * x->panels, -1);
            for (int32_t p = 0; p < x->panels; p++)
                oct_fconv_pack(row->nr, p, l->oc, l->kernel, run, fw, NULL, panels + p * x->panel_bytes);
            x->f = (oct_fconv_args){image,
                                    (int64_t)l->stride * l->c * 4,
                                    x->taps,
                                    l->kernel,
                                    run,
                                    panels,
                                    l->kernel == 1 ? pixels : l->out,
                                    0,
                                    fout,
                                    (int64_t)l->oc * 4,
                                    NULL,
                                    0,
                                    0,
                                    1e30f};
            x->ffn = row->fn;
            add_case(row->name, row->isa, run_conv, x);
        }
        run_cases(l->name, (double)pixels * (double)k * l->oc, integer ? UNIT_INT8 : UNIT_F32);
        while (packed_count)
            free(packed[--packed_count]);
        free(codes), free(res), free(out), free(image), free(fout), free(w), free(fw), free(scale), free(bias);
    }
}

/* --- depthwise --- */
typedef struct dw_context {
    oct_qdw_args q;
    oct_fdw_args f;
    oct_qepilogue e;
    oct_qdw_fn *qfn;
    oct_fdw_fn *ffn;
    int32_t rows, stride;
    int64_t row_bytes, out_bytes;
    char name[48];
} dw_context;

static void run_dw(void *context)
{
    dw_context *x = context;
    for (int32_t y = 0; y < x->rows; y++) {
        const void *rows[7];
        const int32_t kh = x->qfn ? x->q.kh : x->f.kh;
        const char *image = x->qfn ? (const char *)x->q.rows : (const char *)x->f.rows;
        for (int32_t ky = 0; ky < kh; ky++)
            rows[ky] = image + ((int64_t)y * x->stride + ky) * x->row_bytes;
        if (x->qfn) {
            oct_qdw_args g = x->q;
            g.rows = (const uint8_t *const *)rows;
            g.out = (char *)g.out + y * x->out_bytes;
            x->qfn(&g);
        } else {
            oct_fdw_args g = x->f;
            g.rows = (const float *const *)rows;
            g.out = (float *)((char *)g.out + y * x->out_bytes);
            x->ffn(&g);
        }
    }
}

static void bench_dw(bool integer)
{
    for (size_t i = 0; i < sizeof dw_layers / sizeof dw_layers[0]; i++) {
        const layer *l = &dw_layers[i];
        const int64_t width = (int64_t)(l->out - 1) * l->stride + l->kernel, pixels = (int64_t)l->out * l->out;
        const int32_t kk = l->kernel * l->kernel;
        uint8_t *codes = block(width * width * l->c, 1);
        float *image = floats(width * width * l->c, 1), *fout = floats(pixels * l->c, 2), *fw = floats(kk * l->c, 3),
              *scale = floats(l->c, 4);
        int8_t *w = block(kk * l->c, 3);
        int32_t *bias = block(l->c * 4, -1);
        void *packed[MAX_CASES];
        int packed_count = 0;
        for (int32_t j = 0; j < l->c; j++)
            scale[j] = 0.002f;
        for (int v = 0; integer && oct_qdw_get(v); v++) {
            const oct_qdw_kernel *row = oct_qdw_get(v);
            if (!oct_isa_runs(oct_cpu_detect(), row->isa) || !wanted(l->name, row->name) || (row->kh && row->kh != l->kernel))
                continue;
            void *weights = packed[packed_count++] = block(row->packed_bytes(l->c, l->kernel, l->kernel), -1);
            row->pack(l->c, l->kernel, l->kernel, w, bias, scale, NULL, weights);
            for (int to_float = 0; to_float < 2; to_float++) {
                dw_context *x = calloc(1, sizeof *x);
                const int64_t pixel = l->c * (to_float ? 4 : 1);
                x->e =
                    (oct_qepilogue){.kind = to_float ? OCT_EPI_F32 : OCT_EPI_U8, .zp = 3, .hi = 255, .flo = -1e30f, .fhi = 1e30f};
                x->q = (oct_qdw_args){(const void *)codes,
                                      (int64_t)l->stride * l->c,
                                      l->c,
                                      l->kernel,
                                      l->kernel,
                                      l->c,
                                      weights,
                                      l->out,
                                      fout,
                                      pixel,
                                      NULL,
                                      0,
                                      &x->e};
                x->qfn = row->fn, x->rows = l->out, x->stride = l->stride, x->row_bytes = width * l->c,
                x->out_bytes = l->out * pixel;
                snprintf(x->name, sizeof x->name, "%s%s", row->name, to_float ? " to f32" : "");
                add_case(x->name, row->isa, run_dw, x);
            }
        }
        for (int v = 0; !integer && oct_fdw_get(v); v++) {
            const oct_fdw_kernel *row = oct_fdw_get(v);
            if (!oct_isa_runs(oct_cpu_detect(), row->isa) || !wanted(l->name, row->name))
                continue;
            dw_context *x = calloc(1, sizeof *x);
            void *weights = packed[packed_count++] = block(oct_fdw_packed_bytes(l->c, l->kernel, l->kernel), -1);
            oct_fdw_pack(l->c, l->kernel, l->kernel, fw, NULL, weights);
            x->f = (oct_fdw_args){(const void *)image,
                                  (int64_t)l->stride * l->c * 4,
                                  (int64_t)l->c * 4,
                                  l->kernel,
                                  l->kernel,
                                  l->c,
                                  weights,
                                  l->out,
                                  fout,
                                  (int64_t)l->c * 4,
                                  NULL,
                                  0,
                                  0,
                                  1e30f};
            x->ffn = row->fn, x->rows = l->out, x->stride = l->stride, x->row_bytes = width * l->c * 4,
            x->out_bytes = (int64_t)l->out * l->c * 4;
            add_case(row->name, row->isa, run_dw, x);
        }
        run_cases(l->name, (double)pixels * kk * l->c, integer ? UNIT_INT8 : UNIT_F32);
        while (packed_count)
            free(packed[--packed_count]);
        free(codes), free(image), free(fout), free(fw), free(scale), free(w), free(bias);
    }
}

/* --- spans and pools
 * ------------------------------------------------------------------------------------------------------------------ */
typedef struct span_context {
    union {
        oct_quantize_span_fn *quantize;
        oct_dequantize_span_fn *dequantize;
        oct_table_span_fn *table;
        oct_qbinary_span_fn *binary;
        oct_maxpool_u8_fn *max_u8;
        oct_maxpool_f32_fn *max_f32;
        oct_avgpool_u8_fn *avg_u8;
        oct_avgpool_f32_fn *avg_f32;
    } fn;
    uint8_t *a, *b, *y;
    float *x, *fy;
    int64_t n;
} span_context;

enum { SPAN = 16384, CHANNELS = 256 };

static void run_quantize(void *p)
{
    span_context *x = p;
    x->fn.quantize(x->x, x->y, x->n, 0.01f, 128, 0, 255);
}
static void run_dequantize(void *p)
{
    span_context *x = p;
    x->fn.dequantize(x->a, x->fy, x->n, 0.01f, 128);
}
static void run_table(void *p)
{
    span_context *x = p;
    x->fn.table(x->a, x->y, x->n, x->b);
}
static void run_binary(void *p)
{
    span_context *x = p;
    const oct_qbinary k = {.za = 120, .zb = 3, .z = 5, .hi = 255, .ma = 0.4f, .mb = 0.7f};
    x->fn.binary(x->a, x->b, 1, x->y, x->n, &k);
}
static void run_max_u8(void *p)
{
    span_context *x = p;
    const uint8_t *taps[9];
    for (int t = 0; t < 9; t++)
        taps[t] = x->a + t * CHANNELS;
    x->fn.max_u8(taps, 9, CHANNELS, x->y);
}
static void run_max_f32(void *p)
{
    span_context *x = p;
    const float *taps[9];
    for (int t = 0; t < 9; t++)
        taps[t] = x->x + t * CHANNELS;
    x->fn.max_f32(taps, 9, CHANNELS, x->fy);
}
static void run_avg_u8(void *p)
{
    span_context *x = p;
    const uint8_t *taps[49];
    for (int t = 0; t < 49; t++)
        taps[t] = x->a + t * CHANNELS;
    x->fn.avg_u8(taps, 49, CHANNELS, 10, 0.02f, 10, 0, 255, x->y);
}
static void run_avg_f32(void *p)
{
    span_context *x = p;
    const float *taps[49];
    for (int t = 0; t < 49; t++)
        taps[t] = x->x + t * CHANNELS;
    x->fn.avg_f32(taps, 49, CHANNELS, 1 / 49.0f, x->fy);
}

#define BENCH_SPAN(F, label, member, run, work)                                                                                    \
    do {                                                                                                                           \
        for (int v = 0; oct_##F##_get(v); v++) {                                                                                   \
            const oct_##F##_kernel *row = oct_##F##_get(v);                                                                        \
            if (!oct_isa_runs(oct_cpu_detect(), row->isa) || !wanted(label, row->name))                                                          \
                continue;                                                                                                          \
            span_context *x = malloc(sizeof *x);                                                                                   \
            *x = base;                                                                                                             \
            x->fn.member = row->fn;                                                                                                \
            add_case(row->name, row->isa, run, x);                                                                                          \
        }                                                                                                                          \
        run_cases(label, work, UNIT_ELEMENTS);                                                                                     \
    } while (0)

static void bench_spans(void)
{
    const span_context base = {
        .a = block(SPAN, 1), .b = block(SPAN, 2), .y = block(SPAN, -1), .x = floats(SPAN, 3), .fy = floats(SPAN, 4), .n = SPAN};
    BENCH_SPAN(quantize, "quantize 16384", quantize, run_quantize, SPAN);
    BENCH_SPAN(dequantize, "dequantize 16384", dequantize, run_dequantize, SPAN);
    BENCH_SPAN(table, "table 16384", table, run_table, SPAN);
    BENCH_SPAN(qadd, "qadd 16384", binary, run_binary, SPAN);
    BENCH_SPAN(qmul, "qmul 16384", binary, run_binary, SPAN);
    BENCH_SPAN(maxpool_u8, "maxpool u8 3x3 c256", max_u8, run_max_u8, 9 * CHANNELS);
    BENCH_SPAN(maxpool_f32, "maxpool f32 3x3 c256", max_f32, run_max_f32, 9 * CHANNELS);
    BENCH_SPAN(avgpool_u8, "avgpool u8 7x7 c256", avg_u8, run_avg_u8, 49 * CHANNELS);
    BENCH_SPAN(avgpool_f32, "avgpool f32 7x7 c256", avg_f32, run_avg_f32, 49 * CHANNELS);
    free(base.a), free(base.b), free(base.y), free(base.x), free(base.fy);
}

/* --- float functions of one value, alone and followed by codes as a fused step runs them ---------------------------------------
 */
typedef struct unary_context {
    const oct_nd_ops *ops;
    oct_quantize_span_fn *quantize;
    oct_unary_fn fn;
    const float *x;
    float *y;
    uint8_t *q;
    char name[48];
} unary_context;

static void run_unary(void *p)
{
    const unary_context *c = p;
    c->ops->unary(c->fn, 0.2f, 0.5f, c->x, c->y, SPAN);
}
static void run_unary_quantize(void *p)
{
    const unary_context *c = p;
    float chunk[OCT_ND_CHUNK];
    for (int i = 0; i < SPAN; i += OCT_ND_CHUNK) {
        c->ops->unary(c->fn, 0.2f, 0.5f, c->x + i, chunk, OCT_ND_CHUNK);
        c->quantize(chunk, c->q + i, OCT_ND_CHUNK, 0.01f, 128, 0, 255);
    }
}

static void bench_unary(void)
{
    static const struct {
        oct_unary_fn fn;
        const char *name;
    } functions[] = {{OCT_UNARY_SILU, "silu 16384"},
                     {OCT_UNARY_SIGMOID, "sigmoid 16384"},
                     {OCT_UNARY_HARD_SWISH, "hardswish 16384"},
                     {OCT_UNARY_HARD_SIGMOID, "hardsigmoid 16384"},
                     {OCT_UNARY_GELU, "gelu 16384"},
                     {OCT_UNARY_TANH, "tanh 16384"}};
    float *x = floats(SPAN, 3), *y = floats(SPAN, 4);
    uint8_t *q = block(SPAN, -1);
    for (int i = 0; i < SPAN; i++)
        x[i] *= 8;
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        for (int level = OCT_ISA_PORTABLE; level <= (int)oct_cpu_detect(); level++)
            for (int quantizes = 0; quantizes < 2; quantizes++) {
                const oct_isa isa = (oct_isa)level;
                unary_context *c = malloc(sizeof *c);
                *c = (unary_context){oct_nd_ops_get(isa), oct_quantize_best(isa)->fn, functions[f].fn, x, y, q, ""};
                snprintf(c->name, sizeof c->name, "nd_unary %s%s", oct_isa_name(isa), quantizes ? " to u8" : "");
                if (wanted(functions[f].name, c->name))
                    add_case(c->name, isa, quantizes ? run_unary_quantize : run_unary, c);
                else
                    free(c);
            }
        run_cases(functions[f].name, SPAN, UNIT_ELEMENTS);
    }
    free(x), free(y), free(q);
}

int main(int argc, char **argv)
{
    filter_count = argc - 1;
    filters = argv + 1;
    printf("peak: %.1f GMAC/s int8, %.1f GMAC/s f32 (registers only, one thread)\n", oct_cpu_peak(oct_cpu_detect(), true),
           oct_cpu_peak(oct_cpu_detect(), false));
    bench_conv(true);
    bench_dw(true);
    bench_conv(false);
    bench_dw(false);
    bench_spans();
    bench_unary();
    return 0;
}
