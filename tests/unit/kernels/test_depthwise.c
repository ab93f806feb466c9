/* Every row of the qdw family against plain arithmetic on the unpacked weights and, byte by byte, against the reference;
 * every row of fdw within its bound, with results that do not depend on how a row of pixels is cut. */
#include "kernels/check.h"

enum { BUFFER = 1 << 19, MAX_SIDE = 7 };
static guarded in, weights, res, out, expected;

typedef struct problem {
    int32_t kh, kw, c;
    int64_t m;
    ptrdiff_t px, kx_step, row, ldc, ldr;
    oct_qepilogue e;
    bool at_end, wide_scales;
} problem;

static int32_t element_size(oct_epilogue_kind kind)
{
    return kind == OCT_EPI_F32 || kind == OCT_EPI_S32 ? 4 : 1;
}

static problem some_problem(rnd *r, int32_t kh, int32_t kw, int32_t c, int32_t size)
{
    static const oct_epilogue_kind kinds[] = {OCT_EPI_U8,           OCT_EPI_U8,       OCT_EPI_U8_RES,
                                              OCT_EPI_U8_RES_INNER, OCT_EPI_U8_FBIAS, OCT_EPI_F32,
                                              OCT_EPI_F32,          OCT_EPI_S32};
    problem p = {.kh = kh, .kw = kw, .c = c, .m = rnd_int(r, 1, 9)};
    p.e = some_epilogue(r, kinds[rnd_int(r, 0, 7)]);
    const int32_t pixel = c + rnd_int(r, 0, 3), dilation = rnd_int(r, 0, 3) ? 1 : 2, stride = rnd_int(r, 1, 3);
    p.kx_step = (ptrdiff_t)pixel * dilation * size;
    p.px = (ptrdiff_t)pixel * stride * size;
    p.row = (p.m - 1) * p.px + (kw - 1) * p.kx_step + c * size + rnd_int(r, 0, 5) * size;
    p.ldc = (c + rnd_int(r, 0, 9)) * (size == 4 ? 4 : element_size(p.e.kind));
    p.ldr = (c + rnd_int(r, 0, 9)) * size;
    p.at_end = rnd_int(r, 0, 1);
    p.wide_scales = rnd_int(r, 0, 5) == 0;
    return p;
}

static int64_t input_bytes(const problem *p, int32_t size)
{
    return (p->kh - 1) * p->row + (p->m - 1) * p->px + (p->kw - 1) * p->kx_step + p->c * size;
}

static float clamp_round(float v, int32_t zp, int32_t lo, int32_t hi)
{
    return nearbyintf(fminf(fmaxf(v, (float)(lo - zp)), (float)(hi - zp))) + (float)zp;
}

/* The plain U8 epilogue only: the others are the reference's, which test_qconv checks. */
static void check_definition(const char *kernel, const problem *p, const uint8_t *const *rows, const int8_t *w, const int32_t *bias,
                             const float *scale, const uint8_t *got)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int32_t ch = 0; ch < p->c; ch++) {
            int32_t sum = bias[ch];
            for (int32_t y = 0; y < p->kh; y++)
                for (int32_t x = 0; x < p->kw; x++)
                    sum += rows[y][i * p->px + x * p->kx_step + ch] * w[ch * p->kh * p->kw + y * p->kw + x];
            const float t = (float)sum, v = t * scale[ch], want = clamp_round(v, p->e.zp, p->e.lo, p->e.hi);
            if (want != (float)got[i * p->ldc + ch])
                fail_msg("%s: pixel %lld channel %d is %d, the definition says %g", kernel, (long long)i, ch, got[i * p->ldc + ch],
                         (double)want);
        }
}

static void check_problem(rnd *r, const oct_qdw_kernel *k, problem p)
{
    const oct_qdw_kernel *ref = oct_qdw_get(0);
    const int32_t taps = p.kh * p.kw;
    uint8_t *a = guarded_place(&in, input_bytes(&p, 1), 1, p.at_end);
    fill_codes(r, a, input_bytes(&p, 1), 0, 255);
    const uint8_t *rows[MAX_SIDE];
    for (int32_t y = 0; y < p.kh; y++)
        rows[y] = a + y * p.row;
    int8_t *w = malloc((size_t)(taps * p.c));
    fill_codes(r, w, taps * p.c, -128, 127);
    int32_t *bias = malloc(sizeof *bias * (size_t)p.c);
    float *scale = malloc(sizeof *scale * (size_t)p.c), *fbias = malloc(sizeof *fbias * (size_t)p.c);
    for (int32_t j = 0; j < p.c; j++) {
        bias[j] = rnd_int(r, 0, 7) ? rnd_int(r, -20000, 20000) : (rnd_int(r, 0, 1) ? 2000000000 : -2000000000);
        scale[j] = p.wide_scales ? some_scale(r, taps * 3000) : rnd_float(r, 0.2f, 1.0f) * 100.0f / (float)(taps * 3000);
        fbias[j] = rnd_float(r, -300, 300);
    }
    const int32_t size = element_size(p.e.kind);
    const int64_t c_bytes = (p.m - 1) * p.ldc + p.c * size, r_bytes = (p.m - 1) * p.ldr + p.c;
    uint8_t *got = guarded_place(&out, c_bytes, (size_t)size, p.at_end),
            *want = guarded_place(&expected, c_bytes, (size_t)size, p.at_end);
    uint8_t *residual = guarded_place(&res, r_bytes, 1, p.at_end);
    fill_codes(r, residual, r_bytes, 0, 255);
    memset(got, 0xA5, (size_t)c_bytes);
    memset(want, 0xA5, (size_t)c_bytes);
    const bool has_res = p.e.kind == OCT_EPI_U8_RES || p.e.kind == OCT_EPI_U8_RES_INNER;
    for (int pass = 0; pass < 2; pass++) {
        const oct_qdw_kernel *now = pass ? k : ref;
        void *packed = guarded_place(&weights, now->packed_bytes(p.c, p.kh, p.kw), 64, p.at_end);
        now->pack(p.c, p.kh, p.kw, w, bias, scale, fbias, packed);
        now->fn(&(oct_qdw_args){rows, p.px, p.kx_step, p.kh, p.kw, p.c, packed, p.m, pass ? got : want, p.ldc,
                                has_res ? residual : NULL, p.ldr, &p.e});
    }
    char what[200];
    snprintf(what, sizeof what, "kind %d %dx%d c %d m %lld px %td kx %td ldc %td at_end %d", p.e.kind, p.kh, p.kw, p.c,
             (long long)p.m, p.px, p.kx_step, p.ldc, p.at_end);
    check_bytes(k->name, what, want, got, c_bytes);
    if (p.e.kind == OCT_EPI_U8)
        check_definition(k->name, &p, rows, w, bias, scale, got);
    free(w), free(bias), free(scale), free(fbias);
}

static void qdw__every_channel_count__equals_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qdw_get(i); i++) {
        const oct_qdw_kernel *k = oct_qdw_get(i);
        for (int32_t c = 1; runnable(k->isa) && c <= 200; c++)
            for (int n = 0; n < 4; n++)
                check_problem(&r, k, some_problem(&r, k->kh ? k->kh : 3, k->kw ? k->kw : 3, c, 1));
    }
}

static void qdw__every_width_and_stride__equals_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qdw_get(i); i++) {
        const oct_qdw_kernel *k = oct_qdw_get(i);
        for (int32_t m = 1; runnable(k->isa) && m <= 19; m++)
            for (int32_t stride = 1; stride <= 3; stride++)
                for (int32_t dilation = 1; dilation <= 3; dilation++) {
                    problem p = some_problem(&r, k->kh ? k->kh : 3, k->kw ? k->kw : 3, rnd_int(&r, 1, 130), 1);
                    p.m = m;
                    p.px = (ptrdiff_t)stride * p.c;
                    p.kx_step = (ptrdiff_t)dilation * p.c;
                    p.row = (p.m - 1) * p.px + (p.kw - 1) * p.kx_step + p.c;
                    check_problem(&r, k, p);
                }
    }
}

/* Pixels without gaps between them, input and output: variants may treat the row as one long pixel. */
static void qdw__dense_rows__equal_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qdw_get(i); i++) {
        const oct_qdw_kernel *k = oct_qdw_get(i);
        for (int32_t c = 1; runnable(k->isa) && c <= 70; c++)
            for (int32_t m = 1; m <= 17; m++) {
                problem p = some_problem(&r, k->kh ? k->kh : 3, k->kw ? k->kw : 3, c, 1);
                p.e = some_epilogue(&r, OCT_EPI_U8);
                p.m = m;
                p.px = p.kx_step = p.ldc = c;
                p.row = (m + p.kw - 1) * c;
                check_problem(&r, k, p);
            }
    }
}

static void qdw__every_kernel_size__equals_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qdw_get(i); i++) {
        const oct_qdw_kernel *k = oct_qdw_get(i);
        for (int32_t kh = 1; runnable(k->isa) && kh <= MAX_SIDE; kh++)
            for (int32_t kw = 1; kw <= MAX_SIDE; kw++)
                for (int n = 0; n < 4; n++)
                    if ((k->kh == 0 || k->kh == kh) && (k->kw == 0 || k->kw == kw))
                        check_problem(&r, k, some_problem(&r, kh, kw, rnd_int(&r, 1, 130), 1));
    }
}

/* --- float ----------------------------------------------------------------------------------------------------------------- */
static void run_fdw(const oct_fdw_kernel *k, const problem *p, const float *const *rows, const void *w, const float *residual,
                    float *c, int64_t piece)
{
    for (int64_t i = 0; i < p->m; i += piece) {
        const float *shifted[MAX_SIDE];
        for (int32_t y = 0; y < p->kh; y++)
            shifted[y] = (const float *)((const char *)rows[y] + i * p->px);
        k->fn(&(oct_fdw_args){shifted, p->px, p->kx_step, p->kh, p->kw, p->c, w, p->m - i < piece ? p->m - i : piece,
                              (float *)((char *)c + i * p->ldc), p->ldc,
                              residual ? (const float *)((const char *)residual + i * p->ldr) : NULL, p->ldr, p->e.flo, p->e.fhi});
    }
}

static void check_float(rnd *r, const oct_fdw_kernel *k, problem p)
{
    const int32_t taps = p.kh * p.kw;
    float *a = guarded_place(&in, input_bytes(&p, 4), 4, p.at_end);
    fill_floats(r, a, input_bytes(&p, 4) / 4, -2, 2);
    const float *rows[MAX_SIDE];
    for (int32_t y = 0; y < p.kh; y++)
        rows[y] = (const float *)((const char *)a + y * p.row);
    float *w = malloc(sizeof *w * (size_t)(taps * p.c)), *bias = malloc(sizeof *bias * (size_t)p.c);
    fill_floats(r, w, taps * p.c, -1, 1);
    fill_floats(r, bias, p.c, -1, 1);
    const int64_t c_bytes = (p.m - 1) * p.ldc + p.c * 4, r_bytes = (p.m - 1) * p.ldr + p.c * 4;
    float *got = guarded_place(&out, c_bytes, 4, p.at_end), *pieces = guarded_place(&expected, c_bytes, 4, p.at_end);
    float *residual = rnd_int(r, 0, 1) ? guarded_place(&res, r_bytes, 4, p.at_end) : NULL;
    if (residual)
        fill_floats(r, residual, r_bytes / 4, -3, 3);
    memset(got, 0xA5, (size_t)c_bytes);
    memset(pieces, 0xA5, (size_t)c_bytes);
    void *packed = guarded_place(&weights, oct_fdw_packed_bytes(p.c, p.kh, p.kw), 64, p.at_end);
    oct_fdw_pack(p.c, p.kh, p.kw, w, bias, packed);
    run_fdw(k, &p, rows, packed, residual, got, p.m);
    run_fdw(k, &p, rows, packed, residual, pieces, rnd_int(r, 1, 3));
    check_bytes(k->name, "whole against pieces", pieces, got, c_bytes);
    for (int64_t i = 0; i < p.m; i++)
        for (int32_t ch = 0; ch < p.c; ch++) {
            double sum = (double)bias[ch], size = fabs(sum);
            for (int32_t t = 0; t < taps; t++) {
                const float *x = (const float *)((const char *)rows[t / p.kw] + i * p.px + t % p.kw * p.kx_step) + ch;
                sum += (double)*x * (double)w[ch * taps + t];
                size += fabs((double)*x * (double)w[ch * taps + t]);
            }
            if (residual) {
                sum += (double)((const float *)((const char *)residual + i * p.ldr))[ch];
                size += 3;
            }
            sum = fmin(fmax(sum, (double)p.e.flo), (double)p.e.fhi);
            const double y = (double)((const float *)((const char *)got + i * p.ldc))[ch];
            if (!(fabs(y - sum) <= 0x1p-22 * (taps + 2) * size))
                fail_msg("%s: pixel %lld channel %d is %.9g, exact %.9g", k->name, (long long)i, ch, y, sum);
        }
    free(w), free(bias);
}

static void fdw__all_shapes__exact_within_the_bound_however_cut(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_fdw_get(i); i++) {
        const oct_fdw_kernel *k = oct_fdw_get(i);
        for (int32_t c = 1; runnable(k->isa) && c <= 140; c++)
            for (int n = 0; n < 3; n++)
                check_float(&r, k, some_problem(&r, n ? 3 : rnd_int(&r, 1, MAX_SIDE), n ? 3 : rnd_int(&r, 1, MAX_SIDE), c, 4));
    }
}

static int open_buffers(void **state)
{
    in = guarded_create(BUFFER);
    weights = guarded_create(BUFFER);
    res = guarded_create(BUFFER);
    out = guarded_create(BUFFER);
    expected = guarded_create(BUFFER);
    return 0;
}
static int close_buffers(void **state)
{
    guarded_destroy(&in);
    guarded_destroy(&weights);
    guarded_destroy(&res);
    guarded_destroy(&out);
    guarded_destroy(&expected);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qdw__every_channel_count__equals_the_reference),
        cmocka_unit_test(qdw__every_width_and_stride__equals_the_reference),
        cmocka_unit_test(qdw__dense_rows__equal_the_reference),
        cmocka_unit_test(qdw__every_kernel_size__equals_the_reference),
        cmocka_unit_test(fdw__all_shapes__exact_within_the_bound_however_cut),
    };
    return cmocka_run_group_tests(tests, open_buffers, close_buffers);
}
