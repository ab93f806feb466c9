/* The calibrator end to end on small models: the same bytes for any order, batch, threads and split; states as files; what is refused. */
#include "graphs.h"

#include <stdio.h>
#include <unistd.h>
#include <octavo/engine.h>
#include "base/file.h"
#include "base/hash.h"
#include "qparam/qparam.h"
#include "quant/calibrator.h"

enum { SAMPLES = 21, IMAGE = 3 * 8 * 8 };

typedef struct place {
    char folder[64], file[4][96];
} place;

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    char folder[] = "/tmp/octavo-calibrator-XXXXXX";
    if (!p || !mkdtemp(folder))
        return -1;
    strcpy(p->folder, folder);
    for (int i = 0; i < 4; i++)
        snprintf(p->file[i], sizeof p->file[i], "%s/%d", folder, i);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    for (int i = 0; i < 4; i++)
        unlink(p->file[i]);
    int left = rmdir(p->folder);
    free(p);
    return left;
}

static void image(int64_t id, float *x)
{
    for (int i = 0; i < IMAGE; i++)
        x[i] = (float)(2 * (double)(oct_rng_at(3, (uint64_t)(id * IMAGE + i)) >> 11) * 0x1p-53 - 1) * (1 + 0.1f * (float)(id % 7));
}

static oct_status push_as(oct_calibrator *cal, int64_t first, int64_t n, int rank, const int64_t *dims, int64_t each)
{
    float *x = malloc((size_t)(n * each) * sizeof *x);
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = rank};
    assert_non_null(x);
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    t.dims[0] = n;
    for (int64_t i = 0; i < n; i++) {
        float whole[IMAGE];
        image(first + i, whole);
        memcpy(x + i * each, whole, (size_t)each * sizeof *x);
    }
    oct_status s = oct_calibrator_push(cal, &t, 1, first);
    free(x);
    return s;
}

static void push(oct_calibrator *cal, int64_t first, int64_t n) { OK(push_as(cal, first, n, 4, (int64_t[]){1, 3, 8, 8}, IMAGE)); }

static oct_calibrator *calibrator(const oct_quant_options *o)
{
    oct_model *m = net_residual();
    oct_calibrator *cal = NULL;
    OK(oct_calibrator_create(m, o, &cal));
    oct_model_destroy(m); /* the calibrator keeps what it needs */
    return cal;
}

static char *read_text(const char *path, int64_t *size)
{
    void *data;
    OK(oct_file_read(path, &data, size));
    return data;
}

static void assert_files_equal(const char *a, const char *b)
{
    int64_t n, m;
    char *x = read_text(a, &n), *y = read_text(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, (size_t)n);
    free(x);
    free(y);
}

static void save_ranges(oct_calibrator *cal, const char *path)
{
    oct_ranges *r;
    OK(oct_calibrator_solve(cal, &r));
    OK(oct_ranges_save(r, path, OCT_CACHE_JSON));
    oct_ranges_destroy(r);
}

static void calibrator__order_batch_and_threads__same_state_and_cache(void **state)
{
    place *p = *state;
    oct_calibrator *cal = calibrator(&(oct_quant_options){.threads = 1});
    push(cal, 0, SAMPLES);
    OK(oct_calibrator_save(cal, p->file[0]));
    save_ranges(cal, p->file[1]);
    oct_calibrator_destroy(cal);
    for (int trial = 0; trial < 4; trial++) {
        cal = calibrator(&(oct_quant_options){.threads = 1 + trial % 3, .batch = 1 + 3 * trial});
        for (int64_t at = SAMPLES; at > 0;) {
            int64_t n = oct_min64(at, 1 + trial * 2);
            at -= n;
            push(cal, at, n);
        }
        assert_int_equal(oct_calibrator_sample_count(cal), SAMPLES);
        OK(oct_calibrator_save(cal, p->file[2]));
        save_ranges(cal, p->file[3]);
        assert_files_equal(p->file[0], p->file[2]);
        assert_files_equal(p->file[1], p->file[3]);
        oct_calibrator_destroy(cal);
    }
}

static void calibrator__shards_merged_in_any_order__same_as_one_run(void **state)
{
    place *p = *state;
    oct_calibrator *cal = calibrator(NULL);
    push(cal, 0, SAMPLES);
    OK(oct_calibrator_save(cal, p->file[3]));
    oct_calibrator_destroy(cal);
    for (int i = 0; i < 3; i++) {
        cal = calibrator(&(oct_quant_options){.batch = i});
        push(cal, i * 7, 7);
        OK(oct_calibrator_save(cal, p->file[i]));
        oct_calibrator_destroy(cal);
    }
    OK(oct_calibrator_load(p->file[1], NULL, &cal));
    OK(oct_calibrator_merge(cal, p->file[2]));
    OK(oct_calibrator_merge(cal, p->file[0]));
    OK(oct_calibrator_save(cal, p->file[0]));
    assert_files_equal(p->file[0], p->file[3]);
    oct_calibrator_destroy(cal);
}

static void calibrator__kept_samples__limited_and_the_same_for_any_order(void **state)
{
    (void)state;
    enum { MANY = 700 };
    oct_calibrator *a = calibrator(&(oct_quant_options){.batch = 50}), *b = calibrator(&(oct_quant_options){.batch = 50});
    for (int64_t i = 0; i < MANY; i += 50) {
        push(a, i, 50);
        push(b, MANY - 50 - i, 50);
    }
    assert_int_equal(a->kept_count, OCT_KEPT_MOST);
    for (int i = 0; i < a->kept_count; i++) {
        assert_true(a->kept[i].id == b->kept[i].id);
        assert_memory_equal(a->kept[i].inputs[0].data, b->kept[i].inputs[0].data, IMAGE * sizeof(float));
    }
    oct_calibrator_destroy(a);
    oct_calibrator_destroy(b);
}

static void calibrator__every_solver_and_scheme__quantized_model_close_to_float(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    for (int solver = OCT_SOLVER_AUTO; solver <= OCT_SOLVER_MSE; solver++)
        for (int scheme = 0; scheme < 2; scheme++) {
            oct_quant_options o = {.solver = (oct_solver)solver, .scheme = (oct_scheme)scheme, .batch = 4};
            oct_calibrator *cal;
            oct_ranges *r;
            oct_model *q;
            oct_plan *plan[2];
            oct_tensor y[2];
            oct_context *c[2];
            float x[IMAGE];
            OK(oct_calibrator_create(m, &o, &cal));
            push(cal, 0, SAMPLES);
            OK(oct_calibrator_solve(cal, &r));
            assert_int_equal(oct_ranges_count(r), 11);
            OK(oct_model_quantize(m, r, &o, &q));
            OK(oct_plan_build(m, NULL, &plan[0]));
            OK(oct_plan_build(q, NULL, &plan[1]));
            image(5, x);
            oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {1, 3, 8, 8}};
            for (int i = 0; i < 2; i++) {
                OK(oct_context_create(plan[i], 1, &c[i]));
                OK(oct_context_set_input(c[i], "x", &t));
                OK(oct_context_run(c[i]));
                OK(oct_context_get_output(c[i], "y", &y[i]));
            }
            for (int i = 0; i < 5; i++) /* probabilities */
                assert_true(fabsf(((float *)y[0].data)[i] - ((float *)y[1].data)[i]) < 0.03f);
            for (int i = 0; i < 2; i++) {
                oct_context_destroy(c[i]);
                oct_plan_destroy(plan[i]);
            }
            oct_model_destroy(q);
            oct_ranges_destroy(r);
            oct_calibrator_destroy(cal);
        }
    oct_model_destroy(m);
}

static void calibrator__max__ranges_are_the_extremes(void **state)
{
    (void)state;
    oct_calibrator *cal = calibrator(&(oct_quant_options){.solver = OCT_SOLVER_MAX});
    oct_ranges *r;
    float lo = 0, hi = 0;
    push(cal, 0, SAMPLES);
    for (int64_t i = 0; i < SAMPLES; i++) {
        float x[IMAGE];
        image(i, x);
        for (int k = 0; k < IMAGE; k++) {
            lo = fminf(lo, x[k]);
            hi = fmaxf(hi, x[k]);
        }
    }
    OK(oct_calibrator_solve(cal, &r));
    const oct_range_entry *e = oct_ranges_find(r, "x"), *s = oct_ranges_find(r, "s"), *d = oct_ranges_find(r, "d");
    assert_true(e && e->min == lo && e->max == hi);
    assert_true(s && d && s->min == 0 && s->scale == d->scale && s->zero == d->zero);
    assert_non_null(oct_ranges_find(r, "logits"));
    assert_null(oct_ranges_find(r, "c1")); /* fused away */
    assert_int_equal(r->samples, SAMPLES);
    oct_ranges_destroy(r);
    oct_calibrator_destroy(cal);
}

static void calibrator__fixed_batch__auto_prices_an_input_too(void **state)
{
    (void)state;
    float scale[2], x[20 * IMAGE];
    for (int i = 0; i < 20; i++)
        image(i, x + i * IMAGE);
    for (int i = 0; i < 20 * IMAGE; i++)
        x[i] = powf(x[i], 15); /* a long tail, so that ranges that clip are candidates */
    for (int fixed = 0; fixed < 2; fixed++) {
        oct_model *m = net_residual_of(fixed ? 4 : -1);
        oct_calibrator *cal;
        oct_ranges *r;
        OK(oct_calibrator_create(m, NULL, &cal));
        OK(oct_calibrator_push(cal, &(oct_tensor){.data = x, .dtype = OCT_F32, .rank = 4, .dims = {20, 3, 8, 8}}, 1, 0));
        OK(oct_calibrator_solve(cal, &r));
        scale[fixed] = oct_ranges_find(r, "x")->scale;
        oct_ranges_destroy(r);
        oct_calibrator_destroy(cal);
        oct_model_destroy(m);
    }
    assert_true(scale[0] > 0 && scale[0] == scale[1]);
}

static void calibrator__transformer__stream_observed_and_solved(void **state)
{
    (void)state;
    oct_model *m = net_transformer();
    oct_calibrator *cal;
    oct_ranges *r;
    OK(oct_calibrator_create(m, &(oct_quant_options){.batch = 2}, &cal));
    OK(push_as(cal, 0, 9, 3, (int64_t[]){1, 4, 6}, 24));
    OK(oct_calibrator_solve(cal, &r));
    assert_non_null(oct_ranges_find(r, "norm1"));
    assert_non_null(oct_ranges_find(r, "s0"));
    oct_ranges_destroy(r);
    oct_calibrator_destroy(cal);
    oct_model_destroy(m);
}

static void calibrator__wrong_use__clear_errors(void **state)
{
    (void)state;
    oct_calibrator *cal = calibrator(NULL), *none = NULL;
    oct_ranges *r = NULL;
    float x[IMAGE] = {0};
    oct_tensor t = {.data = x, .dtype = OCT_F32, .rank = 4, .dims = {1, 3, 8, 8}};
    assert_int_equal(oct_calibrator_solve(cal, &r), OCT_ERR_DEMAND);
    assert_null(r);
    assert_int_equal(oct_calibrator_push(cal, &t, 2, 0), OCT_ERR_USAGE);
    t.dims[2] = 4;
    assert_int_equal(oct_calibrator_push(cal, &t, 1, 0), OCT_ERR_CONTENT);
    assert_string_equal(oct_last_error()->node, "x");
    t.dims[2] = 8;
    t.dtype = OCT_S32;
    assert_int_equal(oct_calibrator_push(cal, &t, 1, 0), OCT_ERR_CONTENT);
    t.dtype = OCT_F32;
    OK(oct_calibrator_push(cal, &t, 1, 3));
    assert_int_equal(oct_calibrator_push(cal, &t, 1, 3), OCT_ERR_CONTENT);
    oct_calibrator_destroy(cal);
    oct_model *m = net_residual();
    assert_int_equal(oct_calibrator_create(m, &(oct_quant_options){.solver = (oct_solver)77}, &none), OCT_ERR_USAGE);
    assert_int_equal(oct_calibrator_create(m, &(oct_quant_options){.scheme = (oct_scheme)5}, &none), OCT_ERR_USAGE);
    assert_int_equal(oct_calibrator_create(m, &(oct_quant_options){.solver = OCT_SOLVER_PERCENTILE, .percentile = 200}, &none), OCT_ERR_USAGE);
    assert_null(none);
    oct_model_destroy(m);
}

static void state__other_model_overlap_or_damage__content(void **state)
{
    place *p = *state;
    oct_rng rng = {5, 0};
    oct_calibrator *cal = calibrator(NULL), *other = NULL, *back = NULL;
    oct_model *t = net_transformer();
    push(cal, 0, 3);
    OK(oct_calibrator_save(cal, p->file[0]));
    assert_int_equal(oct_calibrator_merge(cal, p->file[0]), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "overlap"));
    assert_int_equal(oct_calibrator_merge(cal, "/nonexistent/state"), OCT_ERR_IO);
    OK(oct_calibrator_create(t, NULL, &other));
    assert_int_equal(oct_calibrator_merge(other, p->file[0]), OCT_ERR_CONTENT);
    assert_non_null(strstr(oct_last_error()->message, "another model"));
    oct_calibrator_destroy(other);
    oct_model_destroy(t);
    int64_t size;
    char *data = read_text(p->file[0], &size);
    for (int trial = 0; trial < 60; trial++) {
        int64_t cut = (int64_t)oct_rng_below(&rng, (uint64_t)size);
        OK(oct_file_write(p->file[1], data, trial < 30 ? cut : size));
        if (trial >= 30) {
            char saved = data[cut];
            data[cut] ^= 0x15;
            OK(oct_file_write(p->file[1], data, size));
            data[cut] = saved;
        }
        assert_int_equal(oct_calibrator_load(p->file[1], NULL, &back), OCT_ERR_CONTENT);
        assert_string_equal(oct_last_error()->file, p->file[1]);
        assert_null(back);
    }
    free(data);
    oct_calibrator_destroy(cal);
}

/* Behind the checksum the reader must stand on its own. */
static void state__damaged_with_a_right_checksum__no_crash(void **state)
{
    place *p = *state;
    oct_rng rng = {8, 0};
    oct_calibrator *cal = calibrator(NULL);
    push(cal, 0, 2);
    OK(oct_calibrator_save(cal, p->file[0]));
    oct_calibrator_destroy(cal);
    int64_t size;
    uint8_t *data = (uint8_t *)read_text(p->file[0], &size);
    for (int trial = 0; trial < 400; trial++) {
        oct_calibrator *back = NULL;
        int64_t at = 28 + (int64_t)oct_rng_below(&rng, (uint64_t)(size - 28));
        uint8_t saved = data[at];
        data[at] = (uint8_t)oct_rng_next(&rng);
        uint64_t h = oct_hash64(data + 28, (size_t)(size - 28), 0);
        for (int i = 0; i < 8; i++)
            data[20 + i] = (uint8_t)(h >> (8 * i));
        OK(oct_file_write(p->file[1], data, size));
        oct_status s = oct_calibrator_load(p->file[1], NULL, &back);
        assert_true(s == OCT_OK || s == OCT_ERR_CONTENT || s == OCT_ERR_UNSUPPORTED);
        oct_calibrator_destroy(back);
        data[at] = saved;
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibrator__order_batch_and_threads__same_state_and_cache),
        cmocka_unit_test(calibrator__shards_merged_in_any_order__same_as_one_run),
        cmocka_unit_test(calibrator__kept_samples__limited_and_the_same_for_any_order),
        cmocka_unit_test(calibrator__every_solver_and_scheme__quantized_model_close_to_float),
        cmocka_unit_test(calibrator__max__ranges_are_the_extremes),
        cmocka_unit_test(calibrator__fixed_batch__auto_prices_an_input_too),
        cmocka_unit_test(calibrator__transformer__stream_observed_and_solved),
        cmocka_unit_test(calibrator__wrong_use__clear_errors),
        cmocka_unit_test(state__other_model_overlap_or_damage__content),
        cmocka_unit_test(state__damaged_with_a_right_checksum__no_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
