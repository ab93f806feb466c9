/* Tools of the kernel tests: buffers between guard pages, seeded numbers, byte-exact comparison with a full report.
 *
 * A buffer is placed so that its first byte follows, or its last byte precedes, a page that faults: a kernel that reads or
 * writes outside its declared extents dies. Outputs are compared whole, so that writes into gaps show as well. */
#ifndef TESTS_KERNELS_CHECK_H
#define TESTS_KERNELS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "cpu/cpu.h"
#include "kernels/kernel.h"
#include "num/num.h"

/* --- numbers --------------------------------------------------------------------------------------------------------- */
typedef struct rnd {
    uint64_t state;
} rnd;

static inline uint32_t rnd_u32(rnd *r)
{
    r->state += 0x9e3779b97f4a7c15u;
    uint64_t z = r->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}
/* In [lo, hi]. */
static inline int32_t rnd_int(rnd *r, int32_t lo, int32_t hi)
{
    return lo + (int32_t)(rnd_u32(r) % (uint32_t)(hi - lo + 1));
}
static inline float rnd_float(rnd *r, float lo, float hi)
{
    return lo + (hi - lo) * ((float)(rnd_u32(r) >> 8) * 0x1p-24f);
}

/* The seed of a run: OCTAVO_TEST_SEED replays one. */
static inline rnd rnd_start(const char *test)
{
    const char *text = getenv("OCTAVO_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240607;
    print_message("%s: OCTAVO_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return (rnd){seed};
}

/* Codes of a buffer: all values, only both ends, or one constant. */
static inline void fill_codes(rnd *r, void *p, int64_t n, int lo, int hi)
{
    uint8_t *b = p;
    const int mode = rnd_int(r, 0, 3), constant = rnd_int(r, 0, 1) ? lo : hi;
    for (int64_t i = 0; i < n; i++)
        b[i] = (uint8_t)(mode == 0 ? constant : mode == 1 ? (rnd_int(r, 0, 1) ? lo : hi) : rnd_int(r, lo, hi));
}
static inline void fill_floats(rnd *r, float *p, int64_t n, float lo, float hi)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = rnd_float(r, lo, hi);
}

/* --- guarded buffers --------------------------------------------------------------------------------------------------- */
typedef struct guarded {
    uint8_t *map, *first, *end; /* usable: [first, end) */
    size_t mapped;
} guarded;

static inline guarded guarded_create(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    guarded g = {.mapped = body + 2 * page};
    g.map = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    g.first = g.map + page;
    g.end = g.first + body;
    assert_int_equal(mprotect(g.first, body, PROT_READ | PROT_WRITE), 0);
    return g;
}
static inline void guarded_destroy(guarded *g)
{
    munmap(g->map, g->mapped);
}

/* bytes of g, touching the guard page at its end (or at its start); aligned downwards, so that up to align - 1 bytes may be
 * left between the data and the end. */
static inline void *guarded_place(const guarded *g, int64_t bytes, size_t align, bool at_end)
{
    assert_true(bytes >= 0 && bytes <= g->end - g->first);
    if (!at_end)
        return g->first;
    return (void *)((uintptr_t)(g->end - bytes) / align * align);
}

/* --- comparison ---------------------------------------------------------------------------------------------------------- */
static inline void check_bytes(const char *kernel, const char *what, const void *expected, const void *got, int64_t n)
{
    const uint8_t *e = expected, *g = got;
    if (memcmp(e, g, (size_t)n) == 0)
        return;
    for (int64_t i = 0; i < n; i++)
        if (e[i] != g[i])
            fail_msg("%s: byte %lld of %lld is %d, the reference has %d (%s)", kernel, (long long)i, (long long)n, g[i], e[i],
                     what);
}

/* Runs the CPU the kernel of this level? */
static inline bool runnable(oct_isa isa)
{
    return oct_isa_runs(oct_cpu_detect(), isa);
}

/* A valid epilogue with limits and zero points at the ends as often as inside. */
static inline int32_t some_code(rnd *r)
{
    const int32_t mode = rnd_int(r, 0, 3);
    return mode == 0 ? 0 : mode == 1 ? 255 : mode == 2 ? 128 : rnd_int(r, 0, 255);
}
static inline oct_qepilogue some_epilogue(rnd *r, oct_epilogue_kind kind)
{
    oct_qepilogue e = {
        .kind = kind, .zp = some_code(r), .lo = 0, .hi = 255, .res_zp = some_code(r), .inner_zp = some_code(r), .inner_hi = 255};
    if (rnd_int(r, 0, 1)) {
        e.lo = rnd_int(r, 0, e.zp);
        e.hi = rnd_int(r, e.zp, 255);
        e.inner_lo = rnd_int(r, 0, e.inner_zp);
        e.inner_hi = rnd_int(r, e.inner_zp, 255);
    }
    e.res_scale = rnd_int(r, 0, 9) ? rnd_float(r, 0.01f, 2.0f) : rnd_float(r, -3e6f, 3e6f);
    e.inner_scale = rnd_float(r, 0.01f, 2.0f);
    e.flo = rnd_int(r, 0, 1) ? -3e38f : 0.0f;
    e.fhi = rnd_int(r, 0, 1) ? 3e38f : 6.0f;
    return e;
}
/* A scale that lets sums of about +-limit cover the codes; one time in eight something extreme. */
static inline float some_scale(rnd *r, double limit)
{
    const float usual = (float)(rnd_float(r, 0.2f, 3.0f) * 200 / (limit + 1));
    switch (rnd_int(r, 0, 31)) {
    case 0:
        return 1e30f;
    case 1:
        return 1e-38f;
    case 2:
        return 0.5f;
    case 3:
        return 2.0f;
    default:
        return usual;
    }
}

#endif
