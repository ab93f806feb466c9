/* Every row of the fconv family: within its bound of the exact sums, the same bits for every cut of m and n and for all rows of
 * one ISA level. */
#include "kernels/check.h"

enum { BUFFER = 1 << 20 };
static guarded in, weights, res, out, expected;

typedef struct problem {
    int32_t tap_count, kc, oc;
    int64_t m;
    ptrdiff_t px, ldc, ldr;
    bool at_end, residual;
    float lo, hi;
} problem;

static problem some_problem(rnd *r, int32_t mr, int32_t nr)
{
    problem p = {.tap_count = rnd_int(r, 1, 5), .kc = rnd_int(r, 1, 30), .oc = rnd_int(r, 1, nr), .m = rnd_int(r, 1, 2 * mr + 1)};
    p.px = 4 * rnd_int(r, 1, 50);
    p.ldc = 4 * (p.oc + rnd_int(r, 0, 9));
    p.ldr = 4 * (p.oc + rnd_int(r, 0, 9));
    p.at_end = rnd_int(r, 0, 1);
    p.residual = rnd_int(r, 0, 1);
    p.lo = rnd_int(r, 0, 1) ? 0.0f : -INFINITY;
    p.hi = rnd_int(r, 0, 1) ? 6.0f : INFINITY;
    return p;
}

typedef struct data {
    float *a, *w, *bias, *residual;
    int64_t taps[5];
} data;

static data make_data(rnd *r, const problem *p)
{
    data d;
    int64_t reach = 0;
    for (int32_t t = 0; t < p->tap_count; t++) {
        d.taps[t] = 4 * rnd_int(r, 0, 300);
        reach = d.taps[t] > reach ? d.taps[t] : reach;
    }
    const int64_t in_bytes = reach + (p->m - 1) * p->px + 4 * p->kc, r_bytes = (p->m - 1) * p->ldr + 4 * p->oc;
    const int64_t k_total = (int64_t)p->tap_count * p->kc;
    d.a = guarded_place(&in, in_bytes, 4, p->at_end);
    fill_floats(r, d.a, in_bytes / 4, -2, 2);
    d.residual = guarded_place(&res, r_bytes, 4, p->at_end);
    fill_floats(r, d.residual, r_bytes / 4, -3, 3);
    d.w = malloc(sizeof(float) * (size_t)(k_total * p->oc));
    fill_floats(r, d.w, k_total * p->oc, -1, 1);
    d.bias = malloc(sizeof(float) * (size_t)p->oc);
    fill_floats(r, d.bias, p->oc, -1, 1);
    return d;
}
static void free_data(data *d)
{
    free(d->w), free(d->bias);
}

/* m in pieces of `piece` pixels. */
static void run(const oct_fconv_kernel *k, const problem *p, const data *d, float *c, int64_t piece)
{
    for (int32_t panel = 0; panel * k->nr < p->oc; panel++) {
        void *packed = guarded_place(&weights, oct_fconv_panel_bytes(k->nr, p->tap_count, p->kc), 64, p->at_end);
        oct_fconv_pack(k->nr, panel, p->oc, p->tap_count, p->kc, d->w, d->bias, packed);
        const int32_t first = panel * k->nr;
        for (int64_t i = 0; i < p->m; i += piece) {
            const float *residual = (const float *)((const char *)d->residual + i * p->ldr) + first;
            k->fn(&(oct_fconv_args){(const float *)((const char *)d->a + i * p->px), p->px, d->taps, p->tap_count, p->kc, packed,
                                    p->m - i < piece ? p->m - i : piece, p->oc - first < k->nr ? p->oc - first : k->nr,
                                    (float *)((char *)c + i * p->ldc) + first, p->ldc, p->residual ? residual : NULL, p->ldr, p->lo,
                                    p->hi});
        }
    }
}

static void check_bound(const char *kernel, const problem *p, const data *d, const float *c)
{
    const int64_t k_total = (int64_t)p->tap_count * p->kc;
    for (int64_t i = 0; i < p->m; i++)
        for (int32_t j = 0; j < p->oc; j++) {
            double sum = (double)d->bias[j], size = fabs(sum);
            for (int64_t k = 0; k < k_total; k++) {
                const double x = (double)*(const float *)((const char *)d->a + i * p->px + d->taps[k / p->kc] + 4 * (k % p->kc));
                const double product = x * (double)d->w[j * k_total + k];
                sum += product;
                size += fabs(product);
            }
            if (p->residual) {
                sum += (double)((const float *)((const char *)d->residual + i * p->ldr))[j];
                size += 3;
            }
            sum = fmin(fmax(sum, (double)p->lo), (double)p->hi);
            const double y = (double)((const float *)((const char *)c + i * p->ldc))[j];
            if (!(fabs(y - sum) <= 0x1p-22 * (double)(k_total + 2) * size))
                fail_msg("%s: pixel %lld column %d is %.9g, exact %.9g", kernel, (long long)i, j, y, sum);
        }
}

static void check_problem(rnd *r, const oct_fconv_kernel *k, problem p)
{
    data d = make_data(r, &p);
    const int64_t bytes = (p.m - 1) * p.ldc + 4 * p.oc;
    float *c = guarded_place(&out, bytes, 4, p.at_end), *other = guarded_place(&expected, bytes, 4, p.at_end);
    memset(c, 0xA5, (size_t)bytes);
    run(k, &p, &d, c, p.m);
    check_bound(k->name, &p, &d, c);
    memset(other, 0xA5, (size_t)bytes);
    run(k, &p, &d, other, rnd_int(r, 1, 3));
    check_bytes(k->name, "whole against pieces", other, c, bytes);
    for (int i = 0; oct_fconv_get(i); i++) {
        const oct_fconv_kernel *same = oct_fconv_get(i);
        if (same->isa != k->isa || same == k)
            continue;
        memset(other, 0xA5, (size_t)bytes);
        run(same, &p, &d, other, p.m);
        check_bytes(k->name, same->name, other, c, bytes);
    }
    free_data(&d);
}

static void fconv__every_m__exact_within_the_bound_however_cut(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_fconv_get(i); i++) {
        const oct_fconv_kernel *k = oct_fconv_get(i);
        for (int m = 1; runnable(k->isa) && m <= 2 * k->mr + 1; m++)
            for (int n = 0; n < 3; n++) {
                problem p = some_problem(&r, k->mr, k->nr);
                p.m = m;
                check_problem(&r, k, p);
            }
    }
}

static void fconv__every_n__exact_within_the_bound_however_cut(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_fconv_get(i); i++) {
        const oct_fconv_kernel *k = oct_fconv_get(i);
        for (int n = 1; runnable(k->isa) && n <= 2 * k->nr + 1; n++) {
            problem p = some_problem(&r, k->mr, k->nr);
            p.oc = n;
            p.ldc = 4 * (n + n % 5);
            p.ldr = 4 * (n + n % 3);
            check_problem(&r, k, p);
        }
    }
}

static void fconv__every_kc__exact_within_the_bound_however_cut(void **state)
{
    rnd r = rnd_start(__func__);
    for (int i = 0; oct_fconv_get(i); i++) {
        const oct_fconv_kernel *k = oct_fconv_get(i);
        for (int kc = 1; runnable(k->isa) && kc <= 40; kc++) {
            problem p = some_problem(&r, k->mr, k->nr);
            p.kc = kc == 40 ? 509 : kc;
            check_problem(&r, k, p);
        }
    }
}

/* A NaN in the data must reach the output, whatever the limits. */
static void fconv__nan_input__gives_nan_output(void **state)
{
    for (int i = 0; oct_fconv_get(i); i++) {
        const oct_fconv_kernel *k = oct_fconv_get(i);
        if (!runnable(k->isa))
            continue;
        float a[3] = {1, NAN, 2}, w[3] = {1, 1, 1}, y = 0;
        int64_t tap = 0;
        void *packed = guarded_place(&weights, oct_fconv_panel_bytes(k->nr, 1, 3), 64, true);
        oct_fconv_pack(k->nr, 0, 1, 1, 3, w, NULL, packed);
        k->fn(&(oct_fconv_args){a, 12, &tap, 1, 3, packed, 1, 1, &y, 4, NULL, 0, 0.0f, 6.0f});
        assert_true(y != y);
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
        cmocka_unit_test(fconv__every_m__exact_within_the_bound_however_cut),
        cmocka_unit_test(fconv__every_n__exact_within_the_bound_however_cut),
        cmocka_unit_test(fconv__every_kc__exact_within_the_bound_however_cut),
        cmocka_unit_test(fconv__nan_input__gives_nan_output),
    };
    return cmocka_run_group_tests(tests, open_buffers, close_buffers);
}
