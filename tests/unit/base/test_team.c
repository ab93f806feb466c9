/* The thread team: every unit once, whatever the sizes; a late worker never touches the next loop. Run it under TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/rng.h"
#include "base/team.h"

enum { MOST = 5000 };

typedef struct loop {
    uint8_t hits[MOST]; /* plain: TSan sees when two workers share a unit */
    int64_t units;
    int size;
    atomic_int bad;
    double sum;
} loop;

static void mark(void *arg, int64_t unit, int worker)
{
    loop *l = arg;
    if (unit < 0 || unit >= l->units || worker < 0 || worker >= l->size) {
        atomic_fetch_add(&l->bad, 1);
        return;
    }
    l->hits[unit]++;
}

static void expect_once(oct_team *team, loop *l, int64_t units)
{
    memset(l->hits, 0, sizeof l->hits);
    l->units = units;
    l->size = oct_team_size(team);
    oct_team_for(team, units, mark, l);
    assert_int_equal(atomic_load(&l->bad), 0);
    for (int64_t i = 0; i < MOST; i++)
        assert_int_equal(l->hits[i], i < units);
}

static void loop__many_sizes_and_teams__every_unit_once(void **state)
{
    (void)state;
    loop *l = calloc(1, sizeof *l);
    for (int threads = 1; threads <= 4; threads++) {
        oct_team *team = NULL;
        assert_int_equal(oct_team_create(threads, &team), OCT_OK);
        assert_int_equal(oct_team_size(team), threads);
        for (int64_t units = 0; units < 40; units++)
            expect_once(team, l, units);
        oct_team_begin(team);
        oct_rng r = {.seed = 1};
        for (int i = 0; i < 300; i++)
            expect_once(team, l, (int64_t)oct_rng_below(&r, i % 10 ? 60 : MOST));
        oct_team_end(team);
        expect_once(team, l, 100);
        oct_team_destroy(team);
    }
    free(l);
}

/* Loops of tiny units in quick succession give every worker the chance to be late; each loop has its own arrays. */
typedef struct chain {
    int64_t values[64];
    int64_t from;
} chain;

static void step(void *arg, int64_t unit, int worker)
{
    (void)worker;
    chain *c = arg;
    /* reads what another worker wrote in the loop before */
    c[1].values[unit] = c[0].values[(unit * 7 + 3) % 64] + unit;
}

static void loop__quick_succession__sees_all_writes_of_the_one_before(void **state)
{
    (void)state;
    enum { LOOPS = 2000 };
    chain *c = calloc(LOOPS + 1, sizeof *c);
    for (int threads = 2; threads <= 4; threads++) {
        oct_team *team = NULL;
        assert_int_equal(oct_team_create(threads, &team), OCT_OK);
        memset(c, 0, (LOOPS + 1) * sizeof *c);
        for (int i = 0; i < LOOPS; i++) {
            if (i % 100 == 0)
                oct_team_begin(team);
            oct_team_for(team, 64, step, &c[i]);
            if (i % 100 == 50)
                oct_team_end(team);
        }
        oct_team_end(team);
        int64_t want[64] = {0}, next[64];
        for (int i = 0; i < LOOPS; i++) {
            for (int k = 0; k < 64; k++)
                next[k] = want[(k * 7 + 3) % 64] + k;
            memcpy(want, next, sizeof want);
        }
        assert_memory_equal(c[LOOPS].values, want, sizeof want);
        oct_team_destroy(team);
    }
    free(c);
}

static void slow(void *arg, int64_t unit, int worker)
{
    (void)worker;
    if (unit % 2 == 0)
        usleep(300);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void loop__unequal_units_and_pauses__sleepers_are_woken(void **state)
{
    (void)state;
    oct_team *team = NULL;
    assert_int_equal(oct_team_create(3, &team), OCT_OK);
    atomic_int count = 0;
    for (int i = 0; i < 50; i++) {
        if (i % 5 == 0)
            oct_team_begin(team);
        if (i % 7 == 0)
            usleep(500); /* longer than anybody spins */
        oct_team_for(team, 5, slow, &count);
        if (i % 5 == 4)
            oct_team_end(team);
    }
    assert_int_equal(atomic_load(&count), 250);
    oct_team_destroy(team);
}

static void *own_team(void *arg)
{
    oct_team *team = NULL;
    if (oct_team_create(2, &team) != OCT_OK)
        return NULL;
    oct_team_begin(team);
    for (int i = 0; i < 500; i++)
        oct_team_for(team, 9, slow, arg);
    oct_team_end(team);
    oct_team_destroy(team);
    return NULL;
}

static void teams__several_at_once__do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t t[3];
    atomic_int counts[3] = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, own_team, &counts[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(atomic_load(&counts[i]), 4500);
    }
}

static void add_little(void *arg, int64_t unit, int worker)
{
    (void)worker;
    volatile float one = 1, little = 0x1p-30f;
    usleep(200); /* gives every worker its share */
    ((float *)arg)[unit] = one + little;
}

static void workers__creator_rounds_upward__round_to_nearest(void **state)
{
    (void)state;
    oct_team *team = NULL;
    fesetround(FE_UPWARD);
    oct_status s = oct_team_create(4, &team);
    fesetround(FE_TONEAREST);
    assert_int_equal(s, OCT_OK);
    float got[16] = {0};
    oct_team_for(team, 16, add_little, got);
    for (int i = 0; i < 16; i++)
        assert_true(got[i] == 1);
    oct_team_destroy(team);
}

static void create__bad_count__is_usage(void **state)
{
    (void)state;
    oct_team *team = (oct_team *)1;
    assert_int_equal(oct_team_create(-1, &team), OCT_ERR_USAGE);
    assert_int_equal(oct_team_create(100000, &team), OCT_ERR_USAGE);
    assert_ptr_equal(team, (oct_team *)1);
    assert_int_equal(oct_team_create(0, &team), OCT_OK);
    assert_true(oct_team_size(team) >= 1);
    oct_team_destroy(team);
    oct_team_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop__many_sizes_and_teams__every_unit_once),
        cmocka_unit_test(loop__quick_succession__sees_all_writes_of_the_one_before),
        cmocka_unit_test(loop__unequal_units_and_pauses__sleepers_are_woken),
        cmocka_unit_test(teams__several_at_once__do_not_disturb_each_other),
        cmocka_unit_test(workers__creator_rounds_upward__round_to_nearest), cmocka_unit_test(create__bad_count__is_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
