/* The timer and its cache: what a signature holds, files that come back byte for byte, merge, are refused, and spare all runs; the
 * cost model's order. How long anything takes is never asserted. */
#include "net.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"
#include "build/cost.h"
#include "build/timing_cache.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/octavo-timing-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int drop_folder(void **state)
{
    static const char *const files[] = {"a", "b", "c"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static oct_timer *timer(const char *cache)
{
    oct_timer *t;
    OK(oct_timer_create(&(oct_timer_options){.threads = 1, .rounds = 2, .cache = cache}, net_isa(), &t));
    return t;
}

static char *text_of(const char *path)
{
    void *data;
    int64_t size;
    OK(oct_file_read(path, &data, &size));
    return data;
}

static void write_text(const char *path, const char *text)
{
    OK(oct_file_write(path, text, (int64_t)strlen(text)));
}

/* --- signatures --- */
static char *signature(const oct_plan *p, int step, int threads)
{
    char *s;
    OK(oct_step_signature(p, &p->steps[step], threads, &s));
    return s;
}

static void signature__other_names_and_weights__the_same(void **state)
{
    oct_graph *g = net_graph(true, 1, 1), *h = net_graph(true, 1, 2);
    oct_plan *p = net_lower(g, NULL), *q = net_lower(h, NULL);
    (void)state;
    assert_int_equal(p->step_count, q->step_count);
    for (int i = 0; i < p->step_count; i++) {
        char *a = signature(p, i, 1), *b = signature(q, i, 1);
        assert_string_equal(a, b);
        assert_null(strpbrk(a, "\n\r"));
        free(a);
        free(b);
    }
    oct_plan_destroy(p);
    oct_plan_destroy(q);
    oct_graph_destroy(g);
    oct_graph_destroy(h);
}

static void signature__threads_shapes_types_or_kernel__differ(void **state)
{
    oct_graph *g = net_graph(true, 1, 1), *h = net_graph(true, 2, 1), *f = net_graph(false, 1, 1);
    oct_tactics *t;
    (void)state;
    OK(oct_tactics_random(g, net_isa(), 3, &t));
    oct_plan *p = net_lower(g, NULL), *q = net_lower(h, NULL), *r = net_lower(g, t), *d = net_lower(f, NULL);
    for (int i = 0; i < p->step_count; i++) {
        char *one = signature(p, i, 1), *two = signature(p, i, 2), *batch = signature(q, i, 1), *kernel = signature(r, i, 1);
        const bool same_kernel = strcmp(oct_plan_string(p, p->steps[i].tactic), oct_plan_string(r, r->steps[i].tactic)) == 0;
        assert_string_not_equal(one, two);
        assert_string_not_equal(one, batch);
        assert_int_equal(strcmp(one, kernel) == 0, same_kernel);
        for (int k = 0; k < d->step_count; k++) {
            char *floats = signature(d, k, 1);
            assert_string_not_equal(one, floats);
            free(floats);
        }
        for (int k = 0; k < i; k++) { /* the net has no two steps alike */
            char *other = signature(p, k, 1);
            assert_string_not_equal(one, other);
            free(other);
        }
        free(one);
        free(two);
        free(batch);
        free(kernel);
    }
    oct_plan_destroy(p);
    oct_plan_destroy(q);
    oct_plan_destroy(r);
    oct_plan_destroy(d);
    oct_tactics_destroy(t);
    oct_graph_destroy(g);
    oct_graph_destroy(h);
    oct_graph_destroy(f);
}

/* --- measuring --- */
static void steps__cache_holds_them__nothing_runs_and_the_figures_come_back(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_plan *p = net_lower(g, NULL);
    double first[64], again[64], *to = first;
    (void)state;
    assert_in_range(p->step_count, 1, 64);
    oct_timer *t = timer("a"); /* no such file yet */
    OK(oct_timer_steps(t, (const oct_plan *const *)&p, 1, &to));
    assert_true(oct_timer_runs(t) >= 2 + 2);
    OK(oct_timer_save(t, "a"));
    oct_timer_destroy(t);
    t = timer("a");
    to = again;
    OK(oct_timer_steps(t, (const oct_plan *const *)&p, 1, &to));
    assert_int_equal(oct_timer_runs(t), 0);
    for (int i = 0; i < p->step_count; i++) {
        assert_true(first[i] > 0);
        assert_true(first[i] == again[i]);
    }
    OK(oct_timer_save(t, "b"));
    oct_timer_destroy(t);
    char *a = text_of("a"), *b = text_of("b");
    assert_string_equal(a, b);
    free(a);
    free(b);
    oct_plan_destroy(p);
    oct_graph_destroy(g);
}

static void steps__some_known__only_the_plan_with_unknown_ones_runs(void **state)
{
    oct_graph *g = net_graph(true, 1, 1), *h = net_graph(true, 2, 1);
    const oct_plan *plans[2] = {net_lower(g, NULL), net_lower(h, NULL)};
    double first[64], second[64], *to[2] = {first, second};
    (void)state;
    oct_timer *t = timer(NULL);
    OK(oct_timer_steps(t, plans, 1, to));
    const int64_t runs = oct_timer_runs(t);
    OK(oct_timer_steps(t, plans, 2, to));
    assert_int_equal(oct_timer_runs(t), 2 * runs);
    OK(oct_timer_steps(t, plans, 2, to));
    assert_int_equal(oct_timer_runs(t), 2 * runs);
    oct_timer_destroy(t);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[0]);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[1]);
    oct_graph_destroy(g);
    oct_graph_destroy(h);
}

static void count_progress(void *user, const char *what, int64_t done, int64_t total)
{
    int64_t *calls = user;
    assert_non_null(what);
    ++*calls;
    assert_int_equal(done, *calls);
    assert_int_equal(total, 3);
}

static void race__rounds_given__every_plan_runs_so_often(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    const oct_plan *plans[2] = {net_lower(g, NULL), net_lower(g, NULL)};
    double seconds[2] = {0, 0};
    int64_t calls = 0;
    oct_timer *t;
    (void)state;
    OK(oct_timer_create(&(oct_timer_options){.threads = 1, .rounds = 3, .progress = count_progress, .user = &calls}, net_isa(),
                        &t));
    OK(oct_timer_race(t, plans, 2, seconds));
    assert_int_equal(calls, 3);
    assert_int_equal(oct_timer_runs(t) % 2, 0);
    assert_in_range(oct_timer_runs(t), 2 * (2 + 3), 2 * (2 + 3 * 2)); /* a short run is made twice a turn */
    assert_true(seconds[0] > 0 && seconds[1] > 0);
    oct_timer_destroy(t);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[0]);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[1]);
    oct_graph_destroy(g);
}

static void deterministic__race__is_the_sum_of_the_model_and_nothing_runs(void **state)
{
    oct_graph *g = net_graph(true, 1, 1);
    oct_plan *p = net_lower(g, NULL);
    double seconds = 0, sum = 0, steps[64], *to = steps;
    oct_timer *t;
    (void)state;
    OK(oct_timer_create(&(oct_timer_options){.threads = 2, .deterministic = true}, net_isa(), &t));
    OK(oct_timer_race(t, (const oct_plan *const *)&p, 1, &seconds));
    OK(oct_timer_steps(t, (const oct_plan *const *)&p, 1, &to));
    for (int i = 0; i < p->step_count; i++) {
        assert_true(steps[i] == oct_cost_step(p, &p->steps[i]));
        sum += steps[i];
    }
    assert_true(seconds == sum);
    assert_int_equal(oct_timer_runs(t), 0);
    OK(oct_timer_save(t, "c")); /* the model's figures are no measurements */
    char *text = text_of("c");
    assert_null(strstr(text, "QUANTIZE"));
    free(text);
    oct_timer_destroy(t);
    oct_plan_destroy(p);
    oct_graph_destroy(g);
}

static void deterministic__cache_knows_all_or_not__its_figures_or_the_model(void **state)
{
    oct_graph *g = net_graph(true, 1, 1), *h = net_graph(true, 2, 1);
    const oct_plan *plans[2] = {net_lower(g, NULL), net_lower(h, NULL)};
    double measured[64], first[64], second[64], *to[2] = {measured, NULL};
    oct_timer *t = timer(NULL);
    (void)state;
    OK(oct_timer_steps(t, plans, 1, to));
    unlink("a");
    OK(oct_timer_save(t, "a"));
    oct_timer_destroy(t);
    to[0] = first;
    to[1] = second;
    OK(oct_timer_create(&(oct_timer_options){.threads = 1, .deterministic = true, .cache = "a"}, net_isa(), &t));
    OK(oct_timer_steps(t, plans, 1, to));
    assert_memory_equal(first, measured, sizeof *first * (size_t)plans[0]->step_count);
    OK(oct_timer_steps(t, plans, 2, to)); /* measured and modelled figures are never compared with each other */
    for (int i = 0; i < plans[0]->step_count; i++)
        assert_true(first[i] == oct_cost_step(plans[0], &plans[0]->steps[i]));
    assert_int_equal(oct_timer_runs(t), 0);
    oct_timer_destroy(t);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[0]);
    oct_plan_destroy((oct_plan *)(uintptr_t)plans[1]);
    oct_graph_destroy(g);
    oct_graph_destroy(h);
}

/* --- files --- */
static oct_timing_cache *cache(void)
{
    oct_timing_cache *c;
    OK(oct_timing_cache_create(net_isa(), &c));
    return c;
}

/* The head of a cache of this machine and `entries` behind it. */
static char *with_entries(const char *entries)
{
    oct_timing_cache *c = cache();
    OK(oct_timing_cache_write(c, "c"));
    oct_timing_cache_destroy(c);
    char *head = text_of("c"), *text = malloc(strlen(head) + strlen(entries) + 1);
    assert_string_equal(head + strlen(head) - 4, "end\n");
    head[strlen(head) - 4] = 0;
    strcpy(text, head);
    strcat(text, entries);
    free(head);
    return text;
}

static void file__known_entries__documented_bytes(void **state)
{
    oct_timing_cache *c = cache();
    char model[OCT_CPU_MODEL_MAX], expected[512];
    (void)state;
    oct_cpu_model(model);
    OK(oct_timing_cache_put(c, "TABLE b", 2.5e-6));
    OK(oct_timing_cache_put(c, "TABLE a", 1));
    OK(oct_timing_cache_put(c, "TABLE b", 3e-6)); /* the smaller stays */
    OK(oct_timing_cache_put(c, "TABLE c", 0));
    OK(oct_timing_cache_write(c, "a"));
    snprintf(
        expected, sizeof expected,
        "octavo-timing 1\nversion %s\nlevel %s\ncpu %s\nkernels %016llx\n1000000000000 TABLE a\n2500000 TABLE b\n1 TABLE c\nend\n",
        oct_version(), oct_isa_name(net_isa()), model, (unsigned long long)oct_kernel_list_hash());
    char *text = text_of("a");
    assert_string_equal(text, expected);
    free(text);
    oct_timing_cache_destroy(c);
}

static void put__impossible_seconds__refused(void **state)
{
    static const double bad[] = {-1e-9, 3601, (double)NAN, (double)INFINITY, -(double)INFINITY};
    oct_timing_cache *c = cache();
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(oct_timing_cache_put(c, "TABLE x", bad[i]), OCT_ERR_INTERNAL);
    assert_int_equal(c->count, 0);
    oct_timing_cache_destroy(c);
}

static void merge__two_files__smaller_times_in_any_order(void **state)
{
    static const char *const orders[2][2] = {{"a", "b"}, {"b", "a"}};
    char *a = with_entries("5 K one\n9 K two\nend\n"), *b = with_entries("7 K one\n4 K three\n3 K two\nend\n"),
         *expected = with_entries("5 K one\n4 K three\n3 K two\nend\n");
    (void)state;
    write_text("a", a);
    write_text("b", b);
    for (int i = 0; i < 2; i++) {
        oct_timer *t;
        OK(oct_timer_create(&(oct_timer_options){.threads = 1, .cache = orders[i][0], .merge = &orders[i][1], .merge_count = 1},
                            net_isa(), &t));
        unlink("c");
        OK(oct_timer_save(t, "c"));
        char *c = text_of("c");
        assert_string_equal(c, expected);
        free(c);
        oct_timer_destroy(t);
    }
    oct_timer *t = timer("a");
    OK(oct_timer_save(t, "b")); /* with what the file holds by then */
    char *c = text_of("b");
    assert_string_equal(c, expected);
    free(c);
    oct_timer_destroy(t);
    free(a);
    free(b);
    free(expected);
}

static void merge__missing_file__io(void **state)
{
    const char *const missing = "no such file";
    oct_timer *t = NULL;
    (void)state;
    assert_int_equal(oct_timer_create(&(oct_timer_options){.threads = 1, .merge = &missing, .merge_count = 1}, net_isa(), &t),
                     OCT_ERR_IO);
    assert_string_equal(oct_last_error()->file, missing);
    assert_null(t);
}

static void expect_refused(const char *text, const char *message)
{
    oct_timer *t = NULL;
    write_text("a", text);
    oct_status s = oct_timer_create(&(oct_timer_options){.threads = 1, .cache = "a"}, net_isa(), &t);
    if (s != OCT_ERR_CONTENT || !strstr(oct_last_error()->message, message))
        fail_msg("expected '%s', got status %d '%s' for:\n%s", message, (int)s, oct_last_error()->message, text);
    assert_string_equal(oct_last_error()->file, "a");
    assert_null(t);
}

static void file__damaged__content_naming_file_and_line(void **state)
{
    static const struct {
        const char *entries, *message;
    } bad[] = {
        {"5 K one\n", "line 7 is cut off"},
        {"5 K one\nen", "line 7 is cut off"},
        {"5 K one\nend\n5 K two\n", "something follows line 7"},
        {"nan K one\nend\n", "line 6 has no time"},
        {"-5 K one\nend\n", "line 6 has no time"},
        {"0 K one\nend\n", "line 6 has no time"},
        {"3600000000000001 K one\nend\n", "line 6 has no time"},
        {"99999999999999999999999 K one\nend\n", "line 6 has no time"},
        {"5\nend\n", "line 6 names no step"},
        {"5 \nend\n", "line 6 names no step"},
        {"5e3 K one\nend\n", "line 6 names no step"},
        {"5 K two\n5 K one\nend\n", "line 7 is not behind"},
        {"5 K one\n5 K one\nend\n", "line 7 is not behind"},
        {"\nend\n", "line 6 has no time"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = with_entries(bad[i].entries);
        expect_refused(text, bad[i].message);
        free(text);
    }
    expect_refused("", "line 1 is cut off");
    expect_refused("OCTPLAN1\n", "no timing cache");
    expect_refused("octavo-timing 1\nend\n", "line 2 does not name 'version'");
}

static void file__of_another_machine__content_naming_what_differs(void **state)
{
    static const struct {
        const char *key, *message;
    } lines[] = {
        {"octavo-timing ", "has format version 9"}, {"version ", "was measured by Octavo 9"}, {"level ", "at CPU level 9"},
        {"cpu ", "was measured on CPU 9"},          {"kernels ", "with kernel list 9"},
    };
    char *good = with_entries("5 K one\nend\n");
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *at = strstr(good, lines[i].key) + strlen(lines[i].key), *after = strchr(at, '\n'), text[600];
        snprintf(text, sizeof text, "%.*s9%s", (int)(at - good), good, after);
        expect_refused(text, lines[i].message);
        oct_timer *t = timer(NULL); /* nor is it written over */
        assert_int_equal(oct_timer_save(t, "a"), OCT_ERR_CONTENT);
        char *kept = text_of("a");
        assert_string_equal(kept, text);
        free(kept);
        oct_timer_destroy(t);
    }
    free(good);
}

/* --- the cost model --- */
static double cost_of(bool codes, int batch, const char *name)
{
    oct_graph *g = net_graph(codes, batch, 1);
    oct_plan *p = net_lower(g, NULL);
    double cost = 0;
    for (int i = 0; i < p->step_count; i++)
        if (strncmp(oct_plan_string(p, p->steps[i].name), name, strlen(name)) == 0)
            cost += oct_cost_step(p, &p->steps[i]);
    oct_plan_destroy(p);
    oct_graph_destroy(g);
    return cost;
}

static void cost__more_work__costs_more(void **state)
{
    static const char *const steps[] = {"first", "deep 3", "deep 5", "point", "gate", "mul", "add", "max", "mean", "all", "fc"};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int codes = 0; codes < 2; codes++) {
            double one = cost_of(codes, 1, steps[i]), many = cost_of(codes, 8, steps[i]);
            if (!(one > 0 && many > one && many < 8.01 * one))
                fail_msg("%s, codes %d: %g s for one sample, %g s for eight", steps[i], codes, one, many);
        }
    assert_true(cost_of(true, 8, "deep 5") > cost_of(true, 8, "deep 3"));
    if (net_isa() == OCT_ISA_AVX512VNNI) /* portable code gains nothing from codes */
        assert_true(cost_of(true, 8, "first") < cost_of(false, 8, "first"));
}

static void cost__reference_kernel__costs_more_than_any_other(void **state)
{
    oct_graph *g = net_graph(true, 4, 1);
    oct_plan *standard = net_lower(g, NULL);
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        oct_tactics *t;
        OK(oct_tactics_random(g, net_isa(), seed, &t));
        oct_plan *p = net_lower(g, t);
        for (int i = 0; i < p->step_count; i++)
            if (oct_kernel_is_reference(oct_plan_string(p, p->steps[i].tactic)) &&
                !oct_kernel_is_reference(oct_plan_string(standard, standard->steps[i].tactic)))
                if (!(oct_cost_step(p, &p->steps[i]) > oct_cost_step(standard, &standard->steps[i])))
                    fail_msg("%s", oct_plan_string(p, p->steps[i].name));
        oct_plan_destroy(p);
        oct_tactics_destroy(t);
    }
    oct_plan_destroy(standard);
    oct_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature__other_names_and_weights__the_same),
        cmocka_unit_test(signature__threads_shapes_types_or_kernel__differ),
        cmocka_unit_test(steps__cache_holds_them__nothing_runs_and_the_figures_come_back),
        cmocka_unit_test(steps__some_known__only_the_plan_with_unknown_ones_runs),
        cmocka_unit_test(race__rounds_given__every_plan_runs_so_often),
        cmocka_unit_test(deterministic__race__is_the_sum_of_the_model_and_nothing_runs),
        cmocka_unit_test(deterministic__cache_knows_all_or_not__its_figures_or_the_model),
        cmocka_unit_test(file__known_entries__documented_bytes),
        cmocka_unit_test(put__impossible_seconds__refused),
        cmocka_unit_test(merge__two_files__smaller_times_in_any_order),
        cmocka_unit_test(merge__missing_file__io),
        cmocka_unit_test(file__damaged__content_naming_file_and_line),
        cmocka_unit_test(file__of_another_machine__content_naming_what_differs),
        cmocka_unit_test(cost__more_work__costs_more),
        cmocka_unit_test(cost__reference_kernel__costs_more_than_any_other),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
