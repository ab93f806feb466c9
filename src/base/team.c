/* The thread team.  DESIGN 5.6.
 *
 * One loop at a time. Its units are claimed from `ticket`: the loop's number and the range of units left, moved by compare-and-swap.
 * Threads with an even number take the first unit left, the others the last: so with two threads each works on the same half of every
 * layer, which its own cache has kept, and they meet wherever the faster one gets. A worker that comes late holds an old number and
 * cannot claim anything of the next loop; with no units left there is nothing to claim whatever the description says. The description (fn, arg, first,
 * units) may be rewritten while such a worker reads it, but a claim then fails: the caller rewrites it only after every
 * unit of the loop is done, so a claim that succeeds proves that what was read belongs to this loop.
 *
 * `signal` is the futex word that idle workers sleep on; `left` (units not yet done) is the one of the caller. */
#include "base/team.h"

#include <errno.h>
#include <fenv.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/quota.h"

#define MAX_THREADS 1024
#define SPIN_NS     40000 /* a futex round trip costs about 6 us: beyond a few of them sleeping is cheaper for everyone */
#define SPIN_MIN_NS 1000
#define TAKEN_NS    20000 /* a spinning thread that sees no time pass for so long did not have its core */
#define RANGE_BITS  18 /* of either end of the units left in a ticket; the rest is the loop's number */
#define MAX_UNITS   (((int64_t)1 << RANGE_BITS) - 1) /* of one round; longer loops take several */

typedef struct worker {
    oct_team *team;
    pthread_t thread;
    int id;
} worker;

struct oct_team {
    /* claimed by everybody */
    _Alignas(OCT_ALIGN) _Atomic uint64_t ticket;
    /* counted down by everybody, once a worker and loop */
    _Alignas(OCT_ALIGN) _Atomic uint32_t left;
    _Atomic uint32_t caller_sleeps;
    /* written by the caller, read by the workers */
    _Alignas(OCT_ALIGN) _Atomic uint32_t signal;
    _Atomic bool running, stop;
    _Atomic(oct_team_fn *) fn;
    _Atomic(void *) arg;
    _Atomic int64_t first;
    /* written by the workers when they go to sleep */
    _Alignas(OCT_ALIGN) _Atomic uint32_t sleepers;
    /* the caller's own */
    _Alignas(OCT_ALIGN) uint32_t number;
    int size;
    int64_t spin_ns, caller_spin;
    worker *workers;
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* The units left: [first_of, end_of). */
static uint32_t first_of(uint64_t ticket) { return (uint32_t)(ticket >> RANGE_BITS) & MAX_UNITS; }
static uint32_t end_of(uint64_t ticket) { return (uint32_t)ticket & MAX_UNITS; }

/* Claim and run units until none is left. */
static void work(oct_team *t, int id)
{
    const bool from_end = id % 2;
    uint32_t done = 0;
    uint64_t k = atomic_load_explicit(&t->ticket, memory_order_acquire);
    while (first_of(k) < end_of(k)) {
        oct_team_fn *fn = atomic_load_explicit(&t->fn, memory_order_relaxed);
        void *arg = atomic_load_explicit(&t->arg, memory_order_relaxed);
        int64_t first = atomic_load_explicit(&t->first, memory_order_relaxed);
        const uint64_t rest = from_end ? k - 1 : k + ((uint64_t)1 << RANGE_BITS);
        if (!atomic_compare_exchange_weak_explicit(&t->ticket, &k, rest, memory_order_acq_rel, memory_order_acquire))
            continue;
        fn(arg, first + (from_end ? end_of(k) - 1 : first_of(k)), id);
        done++;
        k = atomic_load_explicit(&t->ticket, memory_order_acquire);
    }
    if (done && atomic_fetch_sub(&t->left, done) == done && atomic_load(&t->caller_sleeps))
        futex_wake(&t->left, 1);
}

/* Spin until *word differs from value: true when it does in time. Whoever loses its core meanwhile shares it with somebody else: that
 * halves the next wait; a wait that paid restores it. A wait in vain alone says nothing, the caller may be busy with a step of one unit. */
static bool spin(const oct_team *t, const _Atomic uint32_t *word, uint32_t value, const _Atomic bool *running, int64_t *budget)
{
    if (t->spin_ns == 0)
        return false;
    int64_t now = now_ns(), end = now + *budget, before;
    bool taken = false;
    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) {
                *budget = t->spin_ns;
                return true;
            }
            pause_cpu();
        }
        if (running && !atomic_load_explicit(running, memory_order_relaxed))
            return false;
        before = now;
        now = now_ns();
        taken = taken || now - before > TAKEN_NS;
    } while (now < end);
    if (taken)
        *budget = oct_max64(*budget / 2, SPIN_MIN_NS);
    return false;
}

static void *worker_main(void *p)
{
    const worker *w = p;
    oct_team *t = w->team;
    uint32_t seen = 0;
    int64_t budget = t->spin_ns;
    fesetenv(FE_DFL_ENV); /* rounding to nearest even, denormals kept, whatever mode the creator was in (DESIGN 3.5) */
    for (;;) {
        uint32_t now = atomic_load_explicit(&t->signal, memory_order_acquire);
        if (atomic_load_explicit(&t->stop, memory_order_relaxed))
            return NULL;
        if (now != seen) {
            seen = now;
            work(t, w->id);
            continue;
        }
        if (atomic_load_explicit(&t->running, memory_order_relaxed) && spin(t, &t->signal, seen, &t->running, &budget))
            continue;
        atomic_fetch_add(&t->sleepers, 1);
        futex_wait(&t->signal, seen);
        atomic_fetch_sub(&t->sleepers, 1);
    }
}

/* Tell the workers to look; at most `wanted` sleepers are woken. */
static void raise_signal(oct_team *t, int64_t wanted)
{
    atomic_fetch_add(&t->signal, 1);
    if (atomic_load(&t->sleepers))
        futex_wake(&t->signal, (int)oct_min64(wanted, MAX_THREADS));
}

static int available_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)oct_min64(n, MAX_THREADS) : 1;
}

/* Start worker i with all signals blocked: they belong to the threads of the program. */
static oct_status start_worker(oct_team *t, int i)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->workers[i] = (worker){.team = t, .id = i + 1};
    int error = pthread_create(&t->workers[i].thread, NULL, worker_main, &t->workers[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return oct_fail(OCT_ERR_MEMORY, "cannot start thread %d: %s", i + 2, strerror(error));
    return OCT_OK;
}

oct_status oct_team_create(int threads, oct_team **out)
{
    if (threads < 0 || threads > MAX_THREADS)
        return oct_fail(OCT_ERR_USAGE, "%d threads: 0 (all cores) to %d are possible", threads, MAX_THREADS);
    oct_status s = OCT_OK;
    oct_team *t = NULL;
    const int quota = threads ? 0 : oct_cpu_quota("");
    int cores = available_cores();
    cores = quota && quota < cores ? quota : cores;
    int size = threads ? threads : (int)oct_min64(cores, MAX_THREADS);
    OCT_TRY_DONE(oct_alloc(sizeof *t, true, (void **)&t));
    t->size = 1; /* threads started so far: destroy joins just these */
    OCT_TRY_DONE(oct_alloc((int64_t)sizeof *t->workers * size, true, (void **)&t->workers));
    t->spin_ns = size <= cores ? SPIN_NS : 0; /* with more threads than cores a spinning one keeps a working one off */
    t->caller_spin = t->spin_ns;
    for (int i = 0; i < size - 1; i++) {
        OCT_TRY_DONE(start_worker(t, i));
        t->size++;
    }
    *out = t;
done:
    if (s != OCT_OK)
        oct_team_destroy(t);
    return s;
}

void oct_team_destroy(oct_team *team)
{
    if (!team)
        return;
    atomic_store(&team->stop, true);
    raise_signal(team, MAX_THREADS);
    for (int i = 0; i < team->size - 1; i++)
        pthread_join(team->workers[i].thread, NULL);
    oct_free(team->workers);
    oct_free(team);
}

int oct_team_size(const oct_team *team) { return team->size; }

void oct_team_begin(oct_team *team)
{
    if (team->size == 1)
        return;
    atomic_store_explicit(&team->running, true, memory_order_relaxed);
    if (team->spin_ns)
        raise_signal(team, MAX_THREADS);
}

void oct_team_end(oct_team *team) { atomic_store_explicit(&team->running, false, memory_order_relaxed); }

/* One round: publish units [first, first + units), take part, wait for the rest. */
static void run_round(oct_team *t, int64_t first, uint32_t units, oct_team_fn *fn, void *arg)
{
    atomic_store_explicit(&t->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&t->arg, arg, memory_order_relaxed);
    atomic_store_explicit(&t->first, first, memory_order_relaxed);
    atomic_store_explicit(&t->left, units, memory_order_relaxed);
    atomic_store_explicit(&t->ticket, (uint64_t)++t->number << 2 * RANGE_BITS | units, memory_order_release);
    raise_signal(t, (int64_t)units - 1);
    work(t, 0);

    uint32_t left = atomic_load_explicit(&t->left, memory_order_acquire);
    while (left && spin(t, &t->left, left, NULL, &t->caller_spin))
        left = atomic_load_explicit(&t->left, memory_order_acquire);
    if (!left)
        return;
    atomic_store(&t->caller_sleeps, 1);
    while ((left = atomic_load(&t->left)) != 0)
        futex_wait(&t->left, left);
    atomic_store_explicit(&t->caller_sleeps, 0, memory_order_relaxed);
}

void oct_team_for(oct_team *team, int64_t units, oct_team_fn *fn, void *arg)
{
    if (team->size == 1 || units == 1) {
        for (int64_t i = 0; i < units; i++)
            fn(arg, i, 0);
        return;
    }
    for (int64_t first = 0; first < units; first += MAX_UNITS)
        run_round(team, first, (uint32_t)oct_min64(units - first, MAX_UNITS), fn, arg);
}
