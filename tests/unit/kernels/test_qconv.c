/* Every row of the qconv family against plain arithmetic on the unpacked weights and, byte by byte, against the reference. */
#include "kernels/check.h"

enum { BUFFER = 1 << 21 };
static guarded in, weights, res, out, expected;

typedef struct problem {
    int32_t tap_count, kc, oc;
    int64_t m;
    int32_t rows;
    ptrdiff_t px, ldc, ldr;
    ptrdiff_t row_px, row_gap; /* gap: pixels between rows of results */
    oct_qepilogue e;
    bool at_end, wide_scales;
} problem;

static int32_t element_size(oct_epilogue_kind kind)
{
    return kind == OCT_EPI_F32 || kind == OCT_EPI_S32 ? 4 : 1;
}

static problem some_problem(rnd *r, int32_t mr, int32_t nr, oct_epilogue_kind kind)
{
    problem p = {
        .tap_count = rnd_int(r, 0, 2) ? rnd_int(r, 1, 3) : rnd_int(r, 4, 9), .kc = rnd_int(r, 1, 40), .oc = rnd_int(r, 1, nr)};
    p.m = rnd_int(r, 1, 2 * mr + 1);
    p.e = some_epilogue(r, kind);
    p.px = rnd_int(r, 1, 50);
    p.ldc = (p.oc + rnd_int(r, 0, 9)) * element_size(kind);
    p.ldr = p.oc + rnd_int(r, 0, 9);
    p.rows = rnd_int(r, 0, 2) ? 1 : rnd_int(r, 2, 5);
    p.row_px = rnd_int(r, 0, 300);
    p.row_gap = rnd_int(r, 0, 2);
    p.at_end = rnd_int(r, 0, 1);
    p.wide_scales = rnd_int(r, 0, 3) == 0;
    return p;
}

/* The value that DESIGN 3.5 defines, with library rounding. */
static float clamp_round(float v, int32_t zp, int32_t lo, int32_t hi)
{
    return nearbyintf(fminf(fmaxf(v, (float)(lo - zp)), (float)(hi - zp))) + (float)zp;
}
static double plain_value(const oct_qepilogue *e, int32_t acc, float scale, float fbias, uint8_t res_code)
{
    const float t = (float)acc, v = t * scale, back = (float)(res_code - e->res_zp) * e->res_scale;
    switch (e->kind) {
    case OCT_EPI_U8:
        return clamp_round(v, e->zp, e->lo, e->hi);
    case OCT_EPI_U8_RES:
        return clamp_round(v + back, e->zp, e->lo, e->hi);
    case OCT_EPI_U8_RES_INNER: {
        const float q = clamp_round(v, e->inner_zp, e->inner_lo, e->inner_hi), x = (q - (float)e->inner_zp) * e->inner_scale;
        return clamp_round(x + back, e->zp, e->lo, e->hi);
    }
    case OCT_EPI_U8_FBIAS:
        return clamp_round(v + fbias, e->zp, e->lo, e->hi);
    case OCT_EPI_F32:
        return fminf(fmaxf(v + fbias, e->flo), e->fhi);
    default:
        return acc;
    }
}

/* Runs row k on p; checks against the reference (plain = false) or the definition. */
static void check_problem(rnd *r, const oct_qconv_kernel *k, problem p, bool plain)
{
    const oct_qconv_kernel *ref = oct_qconv_get(0);
    const int64_t k_total = (int64_t)p.tap_count * p.kc;
    const int32_t size = element_size(p.e.kind), panel_count = (p.oc + k->nr - 1) / k->nr;
    int64_t taps[9], reach = 0;
    for (int32_t t = 0; t < p.tap_count; t++) {
        taps[t] = rnd_int(r, 0, 300);
        reach = taps[t] > reach ? taps[t] : reach;
    }
    const int64_t in_bytes = reach + (p.rows - 1) * p.row_px + (p.m - 1) * p.px + (p.kc + 3) / 4 * 4;
    uint8_t *a = guarded_place(&in, in_bytes, 1, p.at_end);
    fill_codes(r, a, in_bytes, 0, 255);
    int8_t *w = malloc((size_t)(k_total * p.oc));
    fill_codes(r, w, k_total * p.oc, -128, 127);
    int32_t *bias = malloc(sizeof *bias * (size_t)p.oc);
    float *scale = malloc(sizeof *scale * (size_t)p.oc), *fbias = malloc(sizeof *fbias * (size_t)p.oc);
    for (int32_t j = 0; j < p.oc; j++) {
        bias[j] = rnd_int(r, 0, 7) ? rnd_int(r, -20000, 20000) : (rnd_int(r, 0, 1) ? 2000000000 : -2000000000);
        scale[j] =
            p.wide_scales ? some_scale(r, (double)k_total * 3000) : rnd_float(r, 0.2f, 1.0f) * 100.0f / (float)(k_total * 3000);
        fbias[j] = rnd_float(r, -300, 300);
    }
    const int64_t spread = p.m + p.row_gap, last = (p.rows - 1) * spread + p.m - 1, c_bytes = last * p.ldc + p.oc * size, r_bytes = last * p.ldr + p.oc;
    uint8_t *c = guarded_place(&out, c_bytes, (size_t)size, p.at_end),
            *c_ref = guarded_place(&expected, c_bytes, (size_t)size, p.at_end);
    uint8_t *residual = guarded_place(&res, r_bytes, 1, p.at_end);
    fill_codes(r, residual, r_bytes, 0, 255);
    memset(c, 0xA5, (size_t)c_bytes);
    memset(c_ref, 0xA5, (size_t)c_bytes);

    const bool has_res = p.e.kind == OCT_EPI_U8_RES || p.e.kind == OCT_EPI_U8_RES_INNER;
    oct_qconv_args g = {a, p.px, taps, p.tap_count, p.kc, NULL, 0, p.m, 0, NULL, p.ldc, NULL, p.ldr, &p.e,
                        p.rows, p.row_px, spread * p.ldc, spread * p.ldr};
    for (int pass = 0; pass < 2; pass++) {
        const oct_qconv_kernel *now = pass ? k : ref;
        const int32_t panels = (p.oc + now->nr - 1) / now->nr;
        g.panel_bytes = oct_qconv_panel_bytes(now->nr, p.tap_count, p.kc);
        uint8_t *packed = guarded_place(&weights, g.panel_bytes * panels, 64, p.at_end);
        for (int32_t panel = 0; panel < panels; panel++)
            oct_qconv_pack(now->nr, panel, p.oc, p.tap_count, p.kc, w, bias, scale, fbias, packed + panel * g.panel_bytes);
        g.w = packed;
        g.n = p.oc;
        g.c = pass ? c : c_ref;
        g.res = has_res ? residual : NULL;
        now->fn(&g);
    }
    char what[200];
    snprintf(what, sizeof what, "kind %d taps %d kc %d m %lld rows %d oc %d px %td ldc %td at_end %d panels %d", p.e.kind, p.tap_count,
             p.kc, (long long)p.m, p.rows, p.oc, p.px, p.ldc, p.at_end, panel_count);
    check_bytes(k->name, what, c_ref, c, c_bytes);
    for (int64_t i = 0; plain && i < p.m * p.rows; i++)
        for (int32_t j = 0; j < p.oc; j++) {
            int64_t sum = bias[j];
            for (int32_t t = 0; t < p.tap_count; t++)
                for (int32_t x = 0; x < p.kc; x++)
                    sum += a[i / p.m * p.row_px + i % p.m * p.px + taps[t] + x] * w[j * k_total + (int64_t)t * p.kc + x];
            const int64_t pixel = i / p.m * spread + i % p.m;
            const uint8_t *at = c + pixel * p.ldc + j * size;
            const double want = plain_value(&p.e, (int32_t)sum, scale[j], fbias[j], has_res ? residual[pixel * p.ldr + j] : 0);
            double got = *at;
            if (p.e.kind == OCT_EPI_F32)
                got = (double)*(const float *)(const void *)at;
            if (p.e.kind == OCT_EPI_S32)
                got = *(const int32_t *)(const void *)at;
            if (want != got)
                fail_msg("%s: pixel %lld column %d is %.9g, the definition says %.9g (%s)", k->name, (long long)i, j, got, want,
                         what);
        }
    free(w), free(bias), free(scale), free(fbias);
}

static void qconv__small_shapes__equal_the_definition(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int n = 0; runnable(k->isa) && n < 240; n++) {
            problem p = some_problem(&r, 3, k->nr, (oct_epilogue_kind)(n % 6));
            p.kc = rnd_int(&r, 1, 12);
            check_problem(&r, k, p, true);
        }
    }
}

static void qconv__every_m__equals_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int m = 1; runnable(k->isa) && m <= 2 * k->mr + 1; m++)
            for (int kind = 0; kind < 6; kind++) {
                problem p = some_problem(&r, k->mr, k->nr, (oct_epilogue_kind)kind);
                p.m = m;
                check_problem(&r, k, p, false);
            }
    }
}

static void qconv__every_n__writes_only_n_columns(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int n = 1; runnable(k->isa) && n <= 2 * k->nr + 1; n++)
            for (int kind = 0; kind < 6; kind++) {
                problem p = some_problem(&r, k->mr, k->nr, (oct_epilogue_kind)kind);
                p.oc = n;
                p.ldc = (n + kind) * element_size((oct_epilogue_kind)kind);
                p.ldr = n + kind;
                check_problem(&r, k, p, false);
            }
    }
}

static void qconv__every_kc_and_long_sums__equal_the_reference(void **state)
{
    static const int32_t primes[] = {97, 127, 251, 509, 1021, 2039};
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int kc = 1; runnable(k->isa) && kc <= 76; kc++)
            for (int kind = 0; kind < 6; kind++) {
                problem p = some_problem(&r, k->mr, k->nr, (oct_epilogue_kind)kind);
                p.kc = kc <= 70 ? kc : primes[kc - 71];
                if (kc > 70)
                    p.tap_count = 1;
                check_problem(&r, k, p, false);
            }
    }
}

/* DESIGN 3.5 with sums, scales and residuals that leave s32 and the codes on both sides. */
static void qconv__extreme_scales__equal_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int n = 0; runnable(k->isa) && n < 300; n++) {
            problem p = some_problem(&r, k->mr, k->nr, (oct_epilogue_kind)(n % 6));
            p.wide_scales = true;
            check_problem(&r, k, p, false);
        }
    }
}

/* More pixels and panels than one block of a kernel holds, in one row and in several. */
static void qconv__many_pixels_and_panels__equal_the_reference(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_qconv_get(i); i++) {
        const oct_qconv_kernel *k = oct_qconv_get(i);
        for (int n = 0; runnable(k->isa) && n < 60; n++) {
            problem p = some_problem(&r, k->mr, k->nr, (oct_epilogue_kind)(n % 6));
            p.m = rnd_int(&r, 1, 220);
            p.rows = rnd_int(&r, 1, 4);
            p.oc = rnd_int(&r, 1, 5 * k->nr);
            p.ldc = p.oc * element_size(p.e.kind);
            p.ldr = p.oc;
            check_problem(&r, k, p, false);
        }
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
        cmocka_unit_test(qconv__small_shapes__equal_the_definition),
        cmocka_unit_test(qconv__every_m__equals_the_reference),
        cmocka_unit_test(qconv__every_n__writes_only_n_columns),
        cmocka_unit_test(qconv__every_kc_and_long_sums__equal_the_reference),
        cmocka_unit_test(qconv__extreme_scales__equal_the_reference),
        cmocka_unit_test(qconv__many_pixels_and_panels__equal_the_reference),
    };
    return cmocka_run_group_tests(tests, open_buffers, close_buffers);
}
