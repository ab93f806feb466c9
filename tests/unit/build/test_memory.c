/* The memory planner: sharing buffers never changes a result.  Random graphs run once as planned, once with every value kept alive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/rng.h"
#include "build/build.h"

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != OCT_OK)                                                          \
            fail_msg("%s: %s", #call, oct_last_error()->message);                      \
    } while (0)

enum { SIDE = 6, COUNT = SIDE * SIDE, NODES = 14, ROUNDS = 300 };

static oct_value *add_value(oct_graph *g, const char *stem, int i)
{
    char name[16];
    oct_value *v = NULL;
    snprintf(name, sizeof name, "%s%d", stem, i);
    OK(oct_value_add(g, name, name, &v));
    v->dtype = OCT_F32;
    v->shape = (oct_shape){.rank = 2, .dim = {SIDE, SIDE}};
    return v;
}

/* A graph of NODES nodes over square matrices; the last value is the output. */
static oct_graph *random_graph(oct_rng *r, bool keep_all)
{
    static const oct_op ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL, OCT_OP_NEG, OCT_OP_SIGMOID, OCT_OP_TRANSPOSE, OCT_OP_TRANSPOSE, OCT_OP_SOFTMAX};
    oct_graph *g = NULL;
    oct_value *values[NODES + 1];
    OK(oct_graph_create("memory", &g));
    values[0] = add_value(g, "x", 0);
    OK(oct_graph_add_input(g, values[0]));
    for (int i = 0; i < NODES; i++) {
        oct_op op = ops[oct_rng_below(r, sizeof ops / sizeof *ops)];
        int recent = i < 3 ? i + 1 : 3; /* mostly young values, so that old ones die */
        oct_value *in[2] = {values[i - (int)oct_rng_below(r, (uint64_t)recent)], values[i - (int)oct_rng_below(r, (uint64_t)recent)]};
        bool two = op == OCT_OP_ADD || op == OCT_OP_SUB || op == OCT_OP_MUL;
        oct_node *n = NULL;
        values[i + 1] = add_value(g, "v", i);
        values[i + 1]->is_output = keep_all;
        OK(oct_node_add(g, NULL, op, values[i + 1]->name, two ? 2 : 1, in, 1, &values[i + 1], &n));
    }
    OK(oct_graph_add_output(g, values[NODES]));
    OK(oct_graph_infer(g));
    return g;
}

static void run(oct_graph *g, const float *x, float *y, int64_t *arena)
{
    oct_plan *plan = NULL;
    oct_context *c = NULL;
    oct_tensor in = {(void *)x, OCT_F32, 2, {SIDE, SIDE}}, out;
    OK(oct_build_lower(g, OCT_ISA_PORTABLE, &plan));
    OK(oct_context_create(plan, 1, &c));
    OK(oct_context_set_input(c, "x0", &in));
    OK(oct_context_run(c));
    OK(oct_context_get_output(c, g->outputs[0]->name, &out));
    memcpy(y, out.data, COUNT * sizeof *y);
    *arena = plan->header->arena_bytes;
    oct_context_destroy(c);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
}

static void planner__buffers_shared__same_result_as_all_kept(void **state)
{
    int64_t shared = 0, kept = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        oct_rng data = {round, 1}, a = {round, 1000}, b = {round, 1000};
        float x[COUNT], y[COUNT], want[COUNT];
        int64_t small, large;
        for (int i = 0; i < COUNT; i++)
            x[i] = (float)oct_rng_unit(&data) * 2 - 1;
        run(random_graph(&a, false), x, y, &small);
        run(random_graph(&b, true), x, want, &large);
        if (memcmp(y, want, sizeof y) != 0)
            fail_msg("graph %llu: sharing memory changed the result", (unsigned long long)round);
        shared += small;
        kept += large;
    }
    assert_true(shared * 2 < kept); /* and it is worth while */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(planner__buffers_shared__same_result_as_all_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
