/* The energy of the precision choice against trying everything: for each set of held units the real placement is asked what it
 * would do, and its cost is added up the plain way. */
#include "unit/quant/graphs.h"

#include <stdio.h>
#include "build/energy.h"

enum { MAX_UNITS = 12, ROUNDS = 60 };

/* Cost of what placement makes of the held nodes, without any of the energy's reasoning. *consistent: every unit is wholly one or
 * the other. */
static double cost_of(const oct_units *u, const bool *hold, bool *consistent)
{
    oct_graph *g;
    oct_placement p;
    double sum = 0;
    OK(oct_graph_clone(u->g, &g));
    for (int64_t i = 0; i < g->node_count; i++)
        g->nodes[i]->hold |= hold[i];
    OK(oct_placement_make(g, &p));
    bool *asks = calloc((size_t)g->node_count + 1, 1), *point = calloc((size_t)g->value_count + 1, 1);
    for (int64_t i = 0; i < p.edge_count; i++) {
        asks[p.edges[i].index] = true;
        point[p.points[p.edges[i].point].value->mark] = true;
    }
    *consistent = true;
    for (int64_t i = 0; i < g->node_count; i++) {
        *consistent &= !u->asks[i] || asks[i] == !hold[i];
        if (u->unit[i] != i || !u->capable[i])
            continue;
        bool int8 = false;
        for (int64_t k = 0; k < g->node_count; k++)
            int8 |= u->unit[k] == i && asks[k];
        sum += int8 ? u->int8[i] : u->floats[i];
    }
    for (int64_t i = 0; i < g->value_count; i++) {
        const oct_value *v = g->values[i];
        bool all_codes = !v->is_output, made_int8 = false, was_point = u->quantize[i] > 0;
        if (!was_point)
            continue;
        for (int64_t k = 0; k < v->user_count; k++) {
            bool codes = false;
            for (int64_t e = 0; e < p.edge_count; e++)
                codes |= p.edges[e].node == v->users[k] && p.edges[e].node->inputs[p.edges[e].input] == v;
            all_codes &= codes;
        }
        for (int64_t k = 0; k < g->node_count && v->producer; k++)
            made_int8 |= u->unit[k] == u->unit[v->producer->mark] && asks[k];
        const bool function =
            v->producer && (oct_op_get(v->producer->op)->flags & OCT_OPF_U) && !u->capable[u->unit[v->producer->mark]];
        sum += point[i] && !((made_int8 || function) && all_codes) ? u->quantize[i] : 0;
        sum += made_int8 && !all_codes ? u->dequantize[i] : 0;
    }
    free(asks);
    free(point);
    oct_placement_free(&p);
    oct_graph_destroy(g);
    return sum;
}

static double random_time(oct_rng *rng)
{
    return 1e-6 * (double)(1 + oct_rng_below(rng, 30));
}

/* Units as the plans fuse them: a product with its activation, a sum with the product in front of it. */
static void join_chains(oct_units *u)
{
    for (int64_t i = 0; i < u->g->node_count; i++) {
        const oct_node *n = u->g->nodes[i];
        for (int k = 0; k < n->input_count; k++) {
            const oct_value *v = n->inputs[k];
            bool joins = v->producer && oct_value_only_user(v) &&
                         (n->op == OCT_OP_RELU || (n->op == OCT_OP_ADD && v->producer->op == OCT_OP_CONV));
            int32_t from = joins ? u->unit[v->producer->mark] : 0, to = u->unit[i];
            for (int64_t j = 0; joins && j < u->g->node_count; j++)
                if (u->unit[j] == from || u->unit[j] == to)
                    u->unit[j] = from < to ? from : to;
        }
    }
}

static void check_net(oct_model *m, uint64_t seed)
{
    oct_rng rng = {seed, 0};
    for (int round = 0; round < ROUNDS; round++) {
        oct_units u = {0};
        int32_t units[MAX_UNITS];
        int n = 0;
        OK(oct_graph_clone(m->graph, &u.g));
        OK(oct_units_create(&u));
        join_chains(&u);
        for (int64_t i = 0; i < u.g->node_count; i++)
            u.capable[u.unit[i]] |= u.asks[i];
        for (int64_t i = 0; i < u.g->node_count; i++)
            if (u.unit[i] == i && u.capable[i]) {
                assert_true(n < MAX_UNITS);
                units[n++] = (int32_t)i;
                u.int8[i] = random_time(&rng);
                u.floats[i] = random_time(&rng);
            }
        for (int64_t i = 0; i < u.p.point_count; i++) {
            u.quantize[u.p.points[i].value->mark] = random_time(&rng) / 3;
            u.dequantize[u.p.points[i].value->mark] = random_time(&rng) / 3;
        }
        bool *hold = calloc((size_t)u.g->node_count + 1, 1), consistent;
        double best = 1e9;
        for (int bits = 0; bits < 1 << n; bits++) {
            for (int64_t i = 0; i < u.g->node_count; i++) {
                hold[i] = false;
                for (int k = 0; k < n; k++)
                    hold[i] |= u.unit[i] == units[k] && u.asks[i] && bits >> k & 1;
            }
            double c = cost_of(&u, hold, &consistent);
            best = consistent && c < best ? c : best;
        }
        OK(oct_energy_minimise(&u, hold));
        double got = cost_of(&u, hold, &consistent);
        if (!consistent || got > best + 1e-12)
            fail_msg("seed %llu, round %d: %.3f us%s, the least is %.3f", (unsigned long long)seed, round, got * 1e6,
                     consistent ? "" : " (not what placement does)", best * 1e6);
        free(hold);
        oct_units_destroy(&u);
    }
    oct_model_destroy(m);
}

static oct_model *net_concat(void)
{
    net n = net_new();
    oct_value *x = net_input(&n, "x", 4, (int64_t[]){1, 8, 8, 8});
    oct_value *a = net_unary(&n, OCT_OP_RELU, "a", net_conv(&n, "c0", x, 8, 8, 1));
    oct_value *b = net_unary(&n, OCT_OP_SIGMOID, "b", net_conv(&n, "c1", a, 8, 8, 1));
    oct_value *j = net_op(&n, OCT_OP_CONCAT, "j", 2, a, b, NULL);
    OK(oct_node_set_int(n.g, j->producer, "axis", 1));
    oct_value *c = net_conv(&n, "c2", j, 16, 8, 1);
    oct_value *d = net_conv(&n, "c3", j, 16, 8, 1);
    OK(oct_graph_add_output(n.g, net_add(&n, "y", c, d)));
    OK(oct_graph_add_output(n.g, a));
    return net_model(&n);
}

static void energy__residual_network__equals_the_best_of_all_choices(void **state)
{
    (void)state;
    check_net(net_residual(), 3);
}

static void energy__concat_and_output_of_the_middle__equals_the_best_of_all_choices(void **state)
{
    (void)state;
    check_net(net_concat(), 4);
}

static void energy__transformer__equals_the_best_of_all_choices(void **state)
{
    (void)state;
    check_net(net_transformer(), 5);
}

static void energy__wanted_layer__is_not_held(void **state)
{
    (void)state;
    oct_model *m = net_residual();
    oct_units u = {0};
    OK(oct_graph_clone(m->graph, &u.g));
    OK(oct_units_create(&u));
    bool *hold = calloc((size_t)u.g->node_count + 1, 1);
    for (int64_t i = 0; i < u.g->node_count; i++) {
        u.int8[i] = 1e-3;
        u.wanted[i] = u.g->nodes[i]->outputs[0] == oct_value_find(u.g, "c1");
    }
    OK(oct_energy_minimise(&u, hold));
    for (int64_t i = 0; i < u.g->node_count; i++)
        assert_int_equal(hold[i], u.asks[i] && !u.wanted[i]);
    free(hold);
    oct_units_destroy(&u);
    oct_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energy__residual_network__equals_the_best_of_all_choices),
        cmocka_unit_test(energy__concat_and_output_of_the_middle__equals_the_best_of_all_choices),
        cmocka_unit_test(energy__transformer__equals_the_best_of_all_choices),
        cmocka_unit_test(energy__wanted_layer__is_not_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
