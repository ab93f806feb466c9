/* Observers as a monoid: every order, split, merge tree and file round trip of the same samples gives the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"
#include "quant/observer.h"

enum { SAMPLES = 40, LENGTH = 96, CHANNELS = 4, INNER = 8 };

static oct_observer *fresh(void)
{
    oct_observer *o = NULL;
    assert_int_equal(oct_observer_create(CHANNELS, &o), OCT_OK);
    return o;
}

static char *bytes_of(const oct_observer *o, int64_t *size)
{
    oct_text t = {0};
    char *data;
    oct_observer_write(o, &t);
    *size = t.size;
    assert_int_equal(oct_text_finish(&t, &data), OCT_OK);
    return data;
}

static void assert_same(const oct_observer *a, const oct_observer *b)
{
    int64_t n, m;
    char *x = bytes_of(a, &n), *y = bytes_of(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, (size_t)n);
    free(x);
    free(y);
}

/* Heavy tails over 60 octaves, zeros of both signs, denormals, now and then NaN and infinity. */
static void make_sample(uint64_t seed, int64_t id, float x[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) {
        uint64_t r = oct_rng_at(seed, (uint64_t)(id * LENGTH + i));
        float v = ldexpf((float)(r >> 40) - 0x1p23f, (int)(r & 63) - 40 - (int)(id % 5) * 8);
        int special = (int)(r >> 8 & 63);
        x[i] = special == 0 ? 0.0f : special == 1 ? -0.0f : special == 2 && id % 7 == 3 ? NAN : special == 3 && id % 7 == 4 ? -INFINITY
             : special == 4 ? 1e-42f : v;
    }
}

static void push(oct_observer *o, uint64_t seed, int64_t id)
{
    float x[LENGTH];
    make_sample(seed, id, x);
    assert_int_equal(oct_observer_push(o, x, LENGTH, INNER), OCT_OK);
}

static void shuffle(oct_rng *rng, int *order, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int k = (int)oct_rng_below(rng, (uint64_t)i + 1), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
}

static void observer__permutations_splits_and_trees__identical_bytes(void **state)
{
    (void)state;
    oct_rng rng = {11, 0};
    oct_observer *want = fresh();
    int order[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        push(want, 5, i);
        order[i] = i;
    }
    for (int trial = 0; trial < 1000; trial++) {
        oct_observer *part[4];
        int parts = 1 + (int)oct_rng_below(&rng, 4);
        shuffle(&rng, order, SAMPLES);
        for (int p = 0; p < parts; p++)
            part[p] = fresh();
        for (int i = 0; i < SAMPLES; i++)
            push(part[oct_rng_below(&rng, (uint64_t)parts)], 5, order[i]);
        for (int left = parts; left > 1; left--) {
            int from = (int)oct_rng_below(&rng, (uint64_t)left), into = from ? from - 1 : 1;
            assert_int_equal(oct_observer_merge(part[into], part[from]), OCT_OK);
            oct_observer_destroy(part[from]);
            part[from] = part[left - 1];
        }
        assert_same(part[0], want);
        oct_observer_destroy(part[0]);
    }
    oct_observer_destroy(want);
}

static void observer__counts_and_limits__agree_with_plain_loops(void **state)
{
    (void)state;
    oct_observer *o = fresh();
    uint64_t finite = 0, zeros = 0, bad = 0, negative = 0;
    float lo = INFINITY, hi = -INFINITY, channel[CHANNELS] = {0};
    double sum2 = 0;
    for (int id = 0; id < SAMPLES; id++) {
        float x[LENGTH];
        make_sample(5, id, x);
        push(o, 5, id);
        for (int i = 0; i < LENGTH; i++) {
            if (!isfinite(x[i])) {
                bad++;
                continue;
            }
            finite++;
            zeros += x[i] == 0;
            negative += x[i] < 0;
            lo = fminf(lo, x[i]);
            hi = fmaxf(hi, x[i]);
            sum2 += (double)x[i] * (double)x[i];
            channel[i / INNER % CHANNELS] = fmaxf(channel[i / INNER % CHANNELS], fabsf(x[i]));
        }
    }
    uint64_t linear = 0, octave = 0, below = 0;
    for (int i = 0; i < OCT_BINS; i++) {
        linear += o->pos->linear[i] + o->neg->linear[i];
        below += o->neg->linear[i];
    }
    for (int i = 0; i < OCT_OCTAVES; i++)
        octave += o->pos->octave[i] + o->neg->octave[i];
    assert_true(bad > 0 && zeros > 0);
    assert_true(o->count == finite && o->zeros == zeros && o->nonfinite == bad && o->samples == SAMPLES);
    assert_true(linear == finite - zeros && octave == linear && below == negative);
    assert_true(o->min == lo && o->max == hi && o->top[0] == hi && o->bottom[0] == lo);
    assert_true(fabs(oct_observer_mean_square(o) * (double)finite / sum2 - 1) < 1e-12);
    for (int c = 0; c < CHANNELS; c++)
        assert_true(o->channel_max[c] == channel[c]);
    oct_observer_destroy(o);
}

static void observer__growth_by_2_to_40_in_one_step__equals_starting_there(void **state)
{
    (void)state;
    float small[4] = {0x1.23p-10f, 0x1p-11f, -0x1p-12f, 3e-5f}, large[4] = {0x1p30f, -0x1p29f, 1, 2};
    for (int first = 0; first < 2; first++) {
        oct_observer *o = NULL, *p = NULL;
        assert_int_equal(oct_observer_create(0, &o), OCT_OK);
        assert_int_equal(oct_observer_create(0, &p), OCT_OK);
        assert_int_equal(oct_observer_push(o, first ? small : large, 4, 1), OCT_OK);
        assert_int_equal(oct_observer_push(o, first ? large : small, 4, 1), OCT_OK);
        assert_int_equal(o->exponent, 31 - 12);
        assert_int_equal(o->pos->linear[2048], 1);
        assert_int_equal(o->pos->linear[0], 5);
        assert_int_equal(oct_observer_push(p, large, 4, 1), OCT_OK);
        assert_int_equal(oct_observer_push(p, small, 4, 1), OCT_OK);
        assert_same(o, p);
        oct_observer_destroy(o);
        oct_observer_destroy(p);
    }
}

static void observer__degenerate_data__no_range_invented(void **state)
{
    (void)state;
    oct_observer *o = fresh();
    float zero[32] = {0}, bad[32], one[32];
    zero[3] = -0.0f;
    for (int i = 0; i < 32; i++) {
        bad[i] = i % 2 ? NAN : INFINITY;
        one[i] = 1e-45f;
    }
    assert_int_equal(oct_observer_push(o, bad, 32, INNER), OCT_OK);
    assert_true(o->count == 0 && o->nonfinite == 32 && oct_observer_absmax(o) == 0);
    assert_int_equal(oct_observer_push(o, zero, 32, INNER), OCT_OK);
    assert_true(o->count == 32 && o->zeros == 32 && o->exponent == OCT_NO_EXPONENT && o->max == 0 && !signbit(o->min));
    assert_int_equal(oct_observer_push(o, one, 32, INNER), OCT_OK);
    assert_true(o->exponent == -126 && o->pos->linear[0] == 32 && o->pos->octave[0] == 32);
    assert_int_equal(oct_observer_push(o, one, 0, INNER), OCT_OK);
    assert_int_equal(o->samples, 4);
    oct_observer_destroy(o);
}

static void observer__written_and_read__same_state(void **state)
{
    (void)state;
    for (int n = 0; n < 12; n++) {
        oct_observer *o = fresh(), *back = NULL;
        for (int id = 0; id < n; id++)
            push(o, 9, id);
        int64_t size;
        char *data = bytes_of(o, &size);
        oct_bytes b = {(const uint8_t *)data, (const uint8_t *)data + size};
        assert_int_equal(oct_observer_read(&b, &back), OCT_OK);
        assert_ptr_equal(b.at, b.end);
        assert_same(o, back);
        /* The copy goes on counting like the original. */
        push(o, 9, 100);
        push(back, 9, 100);
        assert_same(o, back);
        oct_observer_destroy(back);
        oct_observer_destroy(o);
        free(data);
    }
}

static void observer__damaged_bytes__content_or_a_consistent_state(void **state)
{
    (void)state;
    oct_rng rng = {21, 0};
    oct_observer *o = fresh();
    for (int id = 0; id < 6; id++)
        push(o, 9, id);
    int64_t size;
    char *data = bytes_of(o, &size);
    for (int64_t cut = 0; cut < size; cut += 1 + cut / 40) {
        oct_observer *back = NULL;
        oct_bytes b = {(const uint8_t *)data, (const uint8_t *)data + cut};
        assert_int_equal(oct_observer_read(&b, &back), OCT_ERR_CONTENT);
        assert_null(back);
    }
    for (int trial = 0; trial < 2000; trial++) {
        oct_observer *back = NULL;
        uint64_t at = oct_rng_below(&rng, (uint64_t)size);
        char saved = data[at];
        data[at] = (char)oct_rng_next(&rng);
        oct_bytes b = {(const uint8_t *)data, (const uint8_t *)data + size};
        if (oct_observer_read(&b, &back) == OCT_OK) {
            oct_observer *sum = fresh();
            if (back->channels == CHANNELS)
                assert_int_equal(oct_observer_merge(sum, back), OCT_OK);
            oct_observer_destroy(sum);
        }
        oct_observer_destroy(back);
        data[at] = saved;
    }
    free(data);
    oct_observer_destroy(o);
}

static void observer__other_channels__content(void **state)
{
    (void)state;
    oct_observer *a = fresh(), *b = NULL;
    assert_int_equal(oct_observer_create(CHANNELS + 1, &b), OCT_OK);
    assert_int_equal(oct_observer_merge(a, b), OCT_ERR_CONTENT);
    oct_observer_destroy(a);
    oct_observer_destroy(b);
}

static void exact__any_doubles__sum_is_exact_in_any_order(void **state)
{
    (void)state;
    oct_rng rng = {4, 0};
    double v[200];
    oct_exact a = {0}, b = {0}, c = {0};
    for (int i = 0; i < 200; i += 2) {
        uint64_t r = oct_rng_next(&rng);
        v[i] = ldexp((double)(int64_t)oct_rng_next(&rng), (int)(r % 1900) - 1000);
        v[i + 1] = -v[i];
    }
    v[0] = 0x1p-1074; /* everything cancels but these */
    v[1] = 3;
    for (int i = 0; i < 200; i++) {
        oct_exact_add(&a, v[i]);
        oct_exact_add(i % 3 ? &b : &c, v[(i * 77) % 200]);
    }
    oct_exact_merge(&b, &c);
    oct_exact_settle(&a);
    assert_memory_equal(a.limb, b.limb, sizeof a.limb);
    assert_true(oct_exact_value(&a) == 3);
    oct_exact_add(&a, -3);
    assert_true(oct_exact_value(&a) == 0x1p-1074);
    oct_exact_add(&a, -0x1p-1073);
    assert_true(oct_exact_value(&a) == -0x1p-1074);
}

/* The public way: tensors of several samples, the state as bytes, ranges at 8 and 4 bits. */
static void observer__callers_tensors__state_and_grids(void **state)
{
    (void)state;
    float x[SAMPLES * LENGTH];
    oct_rng rng = {7, 0};
    for (int i = 0; i < SAMPLES * LENGTH; i++)
        x[i] = (float)oct_rng_unit(&rng) * 3 - 1;
    oct_observer *whole = NULL, *by_sample = fresh(), *back = NULL;
    oct_grid grid;
    char *bytes;
    size_t size;
    const oct_tensor all = {x, OCT_F32, 3, {SAMPLES, CHANNELS, LENGTH / CHANNELS}}, scalar = {x, OCT_F32, 0, {0}}, codes = {x, OCT_U8, 1, {4}};
    assert_int_equal(oct_observer_create(CHANNELS, &whole), OCT_OK);
    assert_int_equal(oct_observer_add(whole, &all), OCT_OK);
    for (int i = 0; i < SAMPLES; i++)
        assert_int_equal(oct_observer_push(by_sample, x + i * LENGTH, LENGTH, LENGTH / CHANNELS), OCT_OK);
    assert_same(whole, by_sample);
    assert_int_equal(oct_observer_sample_count(whole), SAMPLES);
    assert_int_equal(oct_observer_add(whole, &scalar), OCT_ERR_CONTENT);
    assert_int_equal(oct_observer_add(whole, &codes), OCT_ERR_CONTENT);

    assert_int_equal(oct_observer_save(whole, &bytes, &size), OCT_OK);
    assert_int_equal(oct_observer_load(bytes, size - 1, &back), OCT_ERR_CONTENT);
    assert_int_equal(oct_observer_load(bytes, size, &back), OCT_OK);
    assert_same(whole, back);

    const oct_quant_options max = {.solver = OCT_SOLVER_MAX}, none = {0}, symmetric = {.solver = OCT_SOLVER_MAX, .scheme = OCT_SCHEME_SYMMETRIC};
    assert_int_equal(oct_observer_solve(whole, &none, 8, &grid), OCT_ERR_USAGE);
    assert_int_equal(oct_observer_solve(whole, &max, 1, &grid), OCT_ERR_USAGE);
    assert_int_equal(oct_observer_solve(whole, &max, 8, &grid), OCT_OK);
    assert_true(grid.lo == 0 && grid.hi == 255 && grid.zero > 0 && grid.min == whole->min && grid.max == whole->max);
    assert_int_equal(oct_observer_solve(whole, &symmetric, 8, &grid), OCT_OK);
    assert_true(grid.lo == -128 && grid.hi == 127 && grid.zero == 0);
    assert_int_equal(oct_observer_solve(whole, &max, 4, &grid), OCT_OK);
    assert_true(grid.lo == 0 && grid.hi == 15 && grid.zero > 0 && grid.zero < 15);
    free(bytes);
    oct_observer_destroy(whole);
    oct_observer_destroy(by_sample);
    oct_observer_destroy(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observer__permutations_splits_and_trees__identical_bytes),
        cmocka_unit_test(observer__counts_and_limits__agree_with_plain_loops),
        cmocka_unit_test(observer__growth_by_2_to_40_in_one_step__equals_starting_there),
        cmocka_unit_test(observer__degenerate_data__no_range_invented),
        cmocka_unit_test(observer__written_and_read__same_state),
        cmocka_unit_test(observer__damaged_bytes__content_or_a_consistent_state),
        cmocka_unit_test(observer__other_channels__content),
        cmocka_unit_test(exact__any_doubles__sum_is_exact_in_any_order),
        cmocka_unit_test(observer__callers_tensors__state_and_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
