/* Tactics: every kernel can be drawn and gives the same bytes, decisions replay exactly, travel as text, and follow the timing
 * cache. */
#include "net.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"

static oct_timer *timer(bool deterministic, const char *cache)
{
    oct_timer *t;
    OK(oct_timer_create(&(oct_timer_options){.threads = 1, .rounds = 2, .deterministic = deterministic, .cache = cache}, net_isa(),
                        &t));
    return t;
}

/* How many picks have taken it. */
static int chosen(const oct_tactics *t, const char *kernel)
{
    int count = 0;
    for (int64_t i = 0; i < oct_tactics_count(t); i++)
        count += strcmp(oct_tactics_kernel(t, i), kernel) == 0;
    return count;
}

/* --- random --- */
enum { SEEDS = 60 };

/* Every row of the families that the net has, for the windows that it has. */
static void expect_all_seen(oct_tactics *const *drawn, const oct_family *families, int count)
{
    for (int i = 0; i < count; i++) {
        oct_kernel_row rows[OCT_KERNEL_ROWS_MAX];
        int n = oct_kernel_rows(families[i], net_isa(), 3, 3, rows);
        for (int k = 0; k < n; k++) {
            bool seen = false;
            for (int s = 0; s < SEEDS && !seen; s++)
                seen = chosen(drawn[s], rows[k].name) > 0;
            if (!seen)
                fail_msg("%s was never drawn", rows[k].name);
        }
    }
}

static void random_tactics__int8_net__reach_every_kernel_and_give_the_same_bytes(void **state)
{
    static const oct_family families[] = {OCT_FAMILY_qconv,      OCT_FAMILY_qdw,        OCT_FAMILY_quantize,
                                          OCT_FAMILY_dequantize, OCT_FAMILY_table,      OCT_FAMILY_qadd,
                                          OCT_FAMILY_qmul,       OCT_FAMILY_maxpool_u8, OCT_FAMILY_avgpool_u8};
    oct_tactics *drawn[SEEDS];
    oct_graph *g = net_graph(true, 2, 1);
    oct_plan *standard = net_lower(g, NULL);
    float *expected = net_run(standard, 2, 1);
    (void)state;
    assert_true(fabsf(expected[0]) + fabsf(expected[7]) > 0);
    for (int s = 0; s < SEEDS; s++) {
        OK(oct_tactics_random(g, net_isa(), (uint64_t)s, &drawn[s]));
        oct_plan *p = net_lower(g, drawn[s]);
        float *y = net_run(p, 2, 1 + s % 2);
        if (memcmp(y, expected, sizeof *y * 2 * NET_OUT) != 0)
            fail_msg("seed %d gives other bytes", s);
        free(y);
        oct_plan_destroy(p);
    }
    expect_all_seen(drawn, families, (int)(sizeof families / sizeof *families));
    for (int s = 0; s < SEEDS; s++)
        oct_tactics_destroy(drawn[s]);
    free(expected);
    oct_plan_destroy(standard);
    oct_graph_destroy(g);
}

static void random_tactics__float_net__reach_every_kernel_and_agree(void **state)
{
    static const oct_family families[] = {OCT_FAMILY_fconv, OCT_FAMILY_fdw, OCT_FAMILY_maxpool_f32, OCT_FAMILY_avgpool_f32};
    oct_tactics *drawn[SEEDS];
    oct_graph *g = net_graph(false, 1, 1);
    oct_plan *standard = net_lower(g, NULL);
    float *expected = net_run(standard, 1, 1);
    (void)state;
    for (int s = 0; s < SEEDS; s++) {
        OK(oct_tactics_random(g, net_isa(), (uint64_t)s, &drawn[s]));
        oct_plan *p = net_lower(g, drawn[s]);
        float *y = net_run(p, 1, 1 + s % 2);
        for (int i = 0; i < NET_OUT; i++)
            assert_true(fabsf(y[i] - expected[i]) <= 1e-4f * (1 + fabsf(expected[i])));
        free(y);
        oct_plan_destroy(p);
    }
    expect_all_seen(drawn, families, (int)(sizeof families / sizeof *families));
    for (int s = 0; s < SEEDS; s++)
        oct_tactics_destroy(drawn[s]);
    free(expected);
    oct_plan_destroy(standard);
    oct_graph_destroy(g);
}

static void random_tactics__one_seed__is_one_decision(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_tactics *a, *b, *other;
    (void)state;
    OK(oct_tactics_random(g, net_isa(), 7, &a));
    OK(oct_tactics_random(g, net_isa(), 7, &b));
    OK(oct_tactics_random(g, net_isa(), 8, &other));
    oct_plan *p = net_lower(g, a), *q = net_lower(g, b), *r = net_lower(g, other);
    assert_true(net_same_plan(p, q));
    assert_false(net_same_plan(p, r));
    oct_plan_destroy(p);
    oct_plan_destroy(q);
    oct_plan_destroy(r);
    oct_tactics_destroy(a);
    oct_tactics_destroy(b);
    oct_tactics_destroy(other);
    oct_graph_destroy(g);
}

/* --- levels --- */
static void level__0_and_1__are_the_choice_by_shape(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_plan *standard = net_lower(g, NULL);
    (void)state;
    for (int level = 0; level < OCT_TACTICS_TIMED; level++) {
        oct_tactics *t;
        OK(oct_tactics_choose(g, net_isa(), NULL, level, &t));
        oct_plan *p = net_lower(g, t);
        assert_true(net_same_plan(p, standard));
        assert_true(oct_tactics_count(t) > 10);
        oct_plan_destroy(p);
        oct_tactics_destroy(t);
    }
    oct_plan_destroy(standard);
    oct_graph_destroy(g);
}

static void level__out_of_range__usage(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_tactics *t = NULL;
    (void)state;
    assert_int_equal(oct_tactics_choose(g, net_isa(), NULL, 4, &t), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_last_error()->message, "0 to 3"));
    assert_int_equal(oct_tactics_choose(g, net_isa(), NULL, -1, &t), OCT_ERR_USAGE);
    assert_null(t);
    oct_graph_destroy(g);
}

static void level_2__timed__keeps_to_the_best_rows(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_timer *t = timer(false, NULL);
    oct_tactics *d, *standard;
    (void)state;
    OK(oct_tactics_choose(g, net_isa(), t, 2, &d));
    OK(oct_tactics_choose(g, net_isa(), NULL, 0, &standard));
    for (int64_t i = 0; i < oct_tactics_count(d); i++)
        assert_true(!oct_kernel_is_reference(oct_tactics_kernel(d, i)) || oct_kernel_is_reference(oct_tactics_kernel(standard, i)));
    oct_tactics_destroy(standard);
    oct_tactics_destroy(d);
    oct_timer_destroy(t);
    oct_graph_destroy(g);
}

static void deterministic__built_twice__same_plan_and_nothing_runs(void **state)
{
    (void)state;
    for (int level = 2; level <= OCT_TACTICS_LEVEL_MAX; level++) {
        oct_plan *plans[2];
        for (int i = 0; i < 2; i++) {
            oct_graph *g = net_graph(true, 2, 5);
            oct_timer *t = timer(true, NULL);
            oct_tactics *d;
            OK(oct_tactics_choose(g, net_isa(), t, level, &d));
            assert_int_equal(oct_timer_runs(t), 0);
            plans[i] = net_lower(g, d);
            oct_tactics_destroy(d);
            oct_timer_destroy(t);
            oct_graph_destroy(g);
        }
        assert_true(net_same_plan(plans[0], plans[1]));
        oct_plan_destroy(plans[0]);
        oct_plan_destroy(plans[1]);
    }
}

/* --- the cache decides --- */
typedef struct text_file {
    char path[64];
} text_file;

static void text_file_make(text_file *f)
{
    strcpy(f->path, "/tmp/octavo-tactics-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    unlink(f->path);
}

/* Give every entry of the file whose signature names `kernel` after its kind the time `picoseconds`. Returns how many. */
static int set_times(const char *path, const char *kernel, const char *picoseconds)
{
    void *data;
    int64_t size;
    int changed = 0;
    oct_text out = {0};
    char *text, *line, *rest, pattern[80];
    OK(oct_file_read(path, &data, &size));
    rest = data;
    snprintf(pattern, sizeof pattern, " %s t", kernel);
    while ((line = strsep(&rest, "\n")) && (rest || *line)) {
        char *blank = strchr(line, ' ');
        bool hit = blank && strstr(line, pattern) && line[0] >= '0' && line[0] <= '9';
        changed += hit;
        oct_text_printf(&out, "%s%s\n", hit ? picoseconds : line, hit ? blank : "");
    }
    OK(oct_text_finish(&out, &text));
    OK(oct_file_write(path, text, (int64_t)strlen(text)));
    free(text);
    free(data);
    return changed;
}

static void cache__a_faster_time_is_put_in__the_choice_follows(void **state)
{
    oct_kernel_row rows[OCT_KERNEL_ROWS_MAX];
    oct_graph *g = net_graph(true, 1, 1);
    oct_tactics *before, *after, *same;
    text_file f;
    (void)state;
    text_file_make(&f);
    oct_timer *t = timer(false, NULL);
    OK(oct_tactics_choose(g, net_isa(), t, 3, &before));
    OK(oct_timer_save(t, f.path));
    oct_timer_destroy(t);

    t = timer(false, f.path);
    OK(oct_tactics_choose(g, net_isa(), t, 3, &same));
    assert_int_equal(oct_timer_runs(t), 0);
    for (int64_t i = 0; i < oct_tactics_count(before); i++)
        assert_string_equal(oct_tactics_kernel(before, i), oct_tactics_kernel(same, i));
    oct_timer_destroy(t);

    int n = oct_kernel_rows(OCT_FAMILY_qconv, net_isa(), 0, 0, rows);
    for (int k = 0; k < n; k++) { /* each kernel in turn becomes the fastest, below anything a clock can measure */
        char picoseconds[24];
        snprintf(picoseconds, sizeof picoseconds, "%d", 8000 >> k);
        assert_true(set_times(f.path, rows[k].name, picoseconds) >= 3);
        t = timer(false, f.path);
        OK(oct_tactics_choose(g, net_isa(), t, 3, &after));
        assert_int_equal(oct_timer_runs(t), 0);
        assert_int_equal(chosen(after, rows[k].name), 3); /* two convolutions and the gemm */
        oct_tactics_destroy(after);
        oct_timer_destroy(t);
    }
    unlink(f.path);
    oct_tactics_destroy(before);
    oct_tactics_destroy(same);
    oct_graph_destroy(g);
}

/* --- the recipe --- */
static void recipe__written_and_parsed__gives_the_same_plan(void **state)
{
    oct_graph *g = net_graph(true, 1, 3);
    oct_tactics *a, *b;
    char *text, *again;
    (void)state;
    OK(oct_tactics_random(g, net_isa(), 11, &a));
    OK(oct_tactics_write(a, &text));
    assert_non_null(strstr(text, "first\\x5C3\n")); /* the backslash of the node's name */
    assert_non_null(strstr(text, " 0 deep 5\n"));
    OK(oct_tactics_parse(text, &b));
    OK(oct_tactics_write(b, &again));
    assert_string_equal(text, again);
    oct_plan *p = net_lower(g, a), *q = net_lower(g, b);
    assert_true(net_same_plan(p, q));
    oct_plan_destroy(p);
    oct_plan_destroy(q);
    oct_tactics_destroy(a);
    oct_tactics_destroy(b);
    free(text);
    free(again);
    oct_graph_destroy(g);
}

static void recipe__another_batch_and_other_weights__same_kernels_by_name(void **state)
{
    oct_graph *g = net_graph(true, 1, 3), *h = net_graph(true, 3, 3);
    oct_tactics *t;
    (void)state;
    OK(oct_tactics_random(g, net_isa(), 4, &t));
    oct_plan *p = net_lower(g, t), *q = net_lower(h, t);
    assert_int_equal(p->step_count, q->step_count);
    for (int i = 0; i < p->step_count; i++)
        assert_string_equal(oct_plan_string(p, p->steps[i].tactic), oct_plan_string(q, q->steps[i].tactic));
    oct_plan_destroy(p);
    oct_plan_destroy(q);
    oct_tactics_destroy(t);
    oct_graph_destroy(g);
    oct_graph_destroy(h);
}

static void recipe__row_cannot_run_the_step__choice_by_shape(void **state)
{
    oct_graph *g = net_graph(true, 1, 3);
    oct_plan *standard = net_lower(g, NULL);
    oct_tactics *t;
    oct_kernel_row rows[OCT_KERNEL_ROWS_MAX];
    char text[128];
    int n = oct_kernel_rows(OCT_FAMILY_qdw, OCT_ISA_COUNT, 3, 3, rows);
    (void)state;
    snprintf(text, sizeof text, "qdw %s 0 deep 5\nqconv qconv_ref 0 nobody\n",
             rows[n - 1].name); /* made for 3x3 where there is such a row */
    OK(oct_tactics_parse(text, &t));
    oct_plan *p = net_lower(g, t);
    if (n > oct_kernel_rows(OCT_FAMILY_qdw, OCT_ISA_COUNT, 5, 5, rows))
        assert_true(net_same_plan(p, standard));
    else
        assert_int_equal(p->step_count, standard->step_count);
    oct_plan_destroy(p);
    oct_plan_destroy(standard);
    oct_tactics_destroy(t);
    oct_graph_destroy(g);
}

static void recipe__bad_text__content_naming_the_line(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"qconv qconv_ref 0 a\nqconv qconv_ref 0", "line 2"},
        {"qconv qconv_ref\n", "line 1"},
        {"qconv qconv_ref x a\n", "line 1"},
        {"qconv qconv_ref -1 a\n", "line 1"},
        {"qconv qconv_ref 0 a\\\n", "line 1"},
        {"qconv qconv_ref 0 a\\x00\n", "line 1"},
        {"qconv no_such_kernel 0 a\n", "no kernel 'no_such_kernel'"},
        {"nothing qconv_ref 0 a\n", "family 'nothing'"},
        {"qconv fconv_ref 0 a\n", "no kernel 'fconv_ref'"},
        {"\n", "line 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oct_tactics *t = NULL;
        assert_int_equal(oct_tactics_parse(bad[i].text, &t), OCT_ERR_CONTENT);
        assert_non_null(strstr(oct_last_error()->message, bad[i].message));
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tactics__int8_net__reach_every_kernel_and_give_the_same_bytes),
        cmocka_unit_test(random_tactics__float_net__reach_every_kernel_and_agree),
        cmocka_unit_test(random_tactics__one_seed__is_one_decision),
        cmocka_unit_test(level__0_and_1__are_the_choice_by_shape),
        cmocka_unit_test(level__out_of_range__usage),
        cmocka_unit_test(level_2__timed__keeps_to_the_best_rows),
        cmocka_unit_test(deterministic__built_twice__same_plan_and_nothing_runs),
        cmocka_unit_test(cache__a_faster_time_is_put_in__the_choice_follows),
        cmocka_unit_test(recipe__written_and_parsed__gives_the_same_plan),
        cmocka_unit_test(recipe__another_batch_and_other_weights__same_kernels_by_name),
        cmocka_unit_test(recipe__row_cannot_run_the_step__choice_by_shape),
        cmocka_unit_test(recipe__bad_text__content_naming_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
