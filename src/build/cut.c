/* Maximum flow by Dinic's algorithm (shortest augmenting paths in levels), iterative. Source side = true: an arc from the source is
 * paid when a variable is false, an arc to the sink when it is true, an arc y -> z when y is true and z false. Source: E. A. Dinic
 * 1970; the energy form is that of V. Kolmogorov and R. Zabih, "What energy functions can be minimized via graph cuts?". */
#include "build/cut.h"

#include <stdlib.h>
#include <string.h>

enum { SOURCE = 0, SINK = 1, FIRST = 2 };
#define NEVER ((int64_t)1 << 56)
#define PICO  1e12

/* Arcs stand in pairs: arc i and its reverse i ^ 1. */
typedef struct arc {
    int32_t to, next;
    int64_t room;
} arc;

struct oct_cut {
    arc *arcs;
    int64_t arc_count, arc_capacity;
    int32_t *first; /* vertex -> its last added arc; -1 = none */
    int64_t vertex_count, first_capacity;
    int32_t *level, *at, *stack; /* of solve */
};

static oct_status add_vertex(oct_cut *c)
{
    if (c->vertex_count >= INT32_MAX / 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a choice of more than 2^30 variables");
    return OCT_PUSH(c->first, c->vertex_count, c->first_capacity, (int32_t){-1});
}

static oct_status add_arc(oct_cut *c, int32_t from, int32_t to, double cost)
{
    int64_t room = cost >= OCT_CUT_NEVER ? NEVER : (int64_t)(cost * PICO + 0.5);
    if (room <= 0)
        return OCT_OK;
    if (c->arc_count >= INT32_MAX - 2)
        return oct_fail(OCT_ERR_UNSUPPORTED, "a choice of more than 2^31 costs");
    OCT_TRY(OCT_PUSH(c->arcs, c->arc_count, c->arc_capacity, ((arc){to, c->first[from], room})));
    c->first[from] = (int32_t)c->arc_count - 1;
    OCT_TRY(OCT_PUSH(c->arcs, c->arc_count, c->arc_capacity, ((arc){from, c->first[to], 0})));
    c->first[to] = (int32_t)c->arc_count - 1;
    return OCT_OK;
}

oct_status oct_cut_create(oct_cut **out)
{
    oct_cut *c = calloc(1, sizeof *c);
    oct_status s = c ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "cannot allocate a choice");
    for (int i = 0; s == OCT_OK && i < FIRST; i++)
        s = add_vertex(c);
    if (s == OCT_OK)
        *out = c;
    else
        oct_cut_destroy(c);
    return s;
}

void oct_cut_destroy(oct_cut *c)
{
    if (!c)
        return;
    free(c->arcs);
    free(c->first);
    free(c->level);
    free(c->at);
    free(c->stack);
    free(c);
}

oct_status oct_cut_variable(oct_cut *c, double if_false, double if_true, int32_t *id)
{
    OCT_TRY(add_vertex(c));
    *id = (int32_t)c->vertex_count - 1 - FIRST;
    return oct_cut_cost(c, *id, if_false, if_true);
}

oct_status oct_cut_cost(oct_cut *c, int32_t id, double if_false, double if_true)
{
    OCT_TRY(add_arc(c, SOURCE, id + FIRST, if_false));
    return add_arc(c, id + FIRST, SINK, if_true);
}

oct_status oct_cut_pair(oct_cut *c, int32_t yes, int32_t no, double cost)
{
    return add_arc(c, yes + FIRST, no + FIRST, cost);
}

/* Levels from the source over arcs with room; false when the sink is out of reach. */
static bool find_levels(oct_cut *c)
{
    int64_t head = 0, tail = 0;
    for (int64_t i = 0; i < c->vertex_count; i++)
        c->level[i] = -1;
    c->level[SOURCE] = 0;
    c->stack[tail++] = SOURCE;
    while (head < tail) {
        int32_t v = c->stack[head++];
        for (int32_t a = c->first[v]; a >= 0; a = c->arcs[a].next)
            if (c->arcs[a].room > 0 && c->level[c->arcs[a].to] < 0) {
                c->level[c->arcs[a].to] = c->level[v] + 1;
                c->stack[tail++] = c->arcs[a].to;
            }
    }
    return c->level[SINK] >= 0;
}

/* One path along rising levels from the current arcs on; its arcs are left in stack, their number is returned, 0 = none. */
static int64_t find_path(oct_cut *c)
{
    int64_t depth = 0;
    int32_t v = SOURCE;
    while (v != SINK) {
        int32_t a = c->at[v];
        while (a >= 0 && !(c->arcs[a].room > 0 && c->level[c->arcs[a].to] == c->level[v] + 1))
            a = c->arcs[a].next;
        c->at[v] = a;
        if (a >= 0) {
            c->stack[depth++] = a;
            v = c->arcs[a].to;
        } else if (depth == 0) {
            return 0;
        } else { /* dead end: step back and go past the arc that led here */
            a = c->stack[--depth];
            v = c->arcs[a ^ 1].to;
            c->at[v] = c->arcs[a].next;
        }
    }
    return depth;
}

/* True where the sink cannot be reached any more: the largest source side of a minimum cut. */
static void label(oct_cut *c, bool *value)
{
    int64_t head = 0, tail = 0;
    for (int64_t i = FIRST; i < c->vertex_count; i++)
        value[i - FIRST] = true;
    for (int64_t i = 0; i < c->vertex_count; i++)
        c->level[i] = 0;
    c->level[SINK] = 1;
    c->stack[tail++] = SINK;
    while (head < tail) {
        int32_t v = c->stack[head++];
        for (int32_t a = c->first[v]; a >= 0; a = c->arcs[a].next) {
            int32_t from = c->arcs[a].to;
            if (c->arcs[a ^ 1].room > 0 && !c->level[from]) {
                c->level[from] = 1;
                c->stack[tail++] = from;
                if (from >= FIRST)
                    value[from - FIRST] = false;
            }
        }
    }
}

oct_status oct_cut_solve(oct_cut *c, bool *value)
{
    size_t n = (size_t)c->vertex_count;
    c->level = malloc(n * sizeof *c->level);
    c->at = malloc(n * sizeof *c->at);
    c->stack = malloc((n + 1) * sizeof *c->stack);
    if (!c->level || !c->at || !c->stack)
        return oct_fail(OCT_ERR_MEMORY, "cannot solve a choice of %zu variables", n);
    while (find_levels(c)) {
        memcpy(c->at, c->first, n * sizeof *c->at);
        for (int64_t depth; (depth = find_path(c)) > 0;) {
            int64_t least = INT64_MAX;
            for (int64_t i = 0; i < depth; i++)
                least = oct_min64(least, c->arcs[c->stack[i]].room);
            for (int64_t i = 0; i < depth; i++) {
                c->arcs[c->stack[i]].room -= least;
                c->arcs[c->stack[i] ^ 1].room += least;
            }
        }
    }
    label(c, value);
    return OCT_OK;
}
