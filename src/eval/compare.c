/* Two sides, the same inputs, tensor by tensor, batch after batch.
 *
 * Tensors are those whose names both sides share. In a Q/DQ model a tap must not change what is measured: the value of a
 * quantized tensor is read behind its DequantizeLinear, and a tensor that the engine keeps inside a fused integer layer
 * (between a convolution and the Q behind its activation) is left out, because tapping it would make that layer run in float. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/side.h"
#include "eval/stats.h"
#include "ir/op.h"
#include "onnx/model.h"
#include "plan/plan.h"

/* Codes behind a tensor; scale 0: it is not quantized. */
typedef struct grid {
    float scale;
    int32_t zero, lo, hi;
} grid;

typedef struct row {
    const char *name;
    grid grid[2];
    bool dropped;          /* the peer does not know it */
    oct_likeness likeness;
    int64_t elements, clipped[2];
} row;

struct oct_comparison {
    oct_compare_side what[2];
    oct_side side[2];
    row *rows;             /* row i reads tap i of both sides */
    int64_t count;
    float *data[2];
    int64_t room;          /* elements in each of data */
};

/* --- where a tensor can be read --- */

static const oct_value *behind_quantize(const oct_node *q)
{
    const oct_value *codes = q->outputs[0];
    for (int64_t i = 0; i < codes->user_count; i++)
        if (codes->users[i]->op == OCT_OP_DEQUANTIZE && codes->users[i]->inputs[0] == codes)
            return codes->users[i]->outputs[0];
    return NULL;
}

static bool fuses(oct_op op)
{
    return op == OCT_OP_RELU || op == OCT_OP_CLIP || op == OCT_OP_ADD || op == OCT_OP_SUM || op == OCT_OP_MUL || op == OCT_OP_LEAKY_RELU ||
           op == OCT_OP_PRELU || op == OCT_OP_SIGMOID || op == OCT_OP_HARD_SIGMOID || op == OCT_OP_HARD_SWISH || op == OCT_OP_SILU ||
           op == OCT_OP_TANH || op == OCT_OP_ELU || op == OCT_OP_GELU || op == OCT_OP_BATCH_NORM || op == OCT_OP_MIN || op == OCT_OP_MAX;
}

/* Where to read tensor v without disturbing the layers around it; NULL when that is impossible. */
static const oct_value *tap_of(const oct_value *v)
{
    for (int64_t i = 0; i < v->user_count; i++)
        if (v->users[i]->op == OCT_OP_QUANTIZE && v->users[i]->inputs[0] == v)
            return behind_quantize(v->users[i]);
    const oct_value *end = v;
    enum { LONGEST_CHAIN = 8 };
    for (int hops = 0; hops < LONGEST_CHAIN; hops++) {
        const oct_node *user = end->user_count == 1 && !end->is_output ? end->users[0] : NULL;
        if (!user)
            return v;
        if (user->op == OCT_OP_QUANTIZE)
            return NULL;
        if (!fuses(user->op))
            return v;
        end = user->outputs[0];
    }
    return v;
}

/* A float tensor that depends on the inputs as far as one can see: weights and their Q/DQ do not. */
static bool is_computed_float(const oct_value *v)
{
    if (!v || v->data || !v->producer || (v->dtype != OCT_F32 && v->dtype != OCT_F16))
        return false;
    if (v->producer->op != OCT_OP_DEQUANTIZE)
        return true;
    const oct_value *codes = v->producer->inputs[0];
    return !codes->data && !(codes->producer && codes->producer->op == OCT_OP_QUANTIZE && codes->producer->inputs[0]->data);
}

static bool is_dequantized(const oct_value *v) { return v->producer && v->producer->op == OCT_OP_DEQUANTIZE; }

/* The codes that a tensor of a graph is read from, when they have one scale. */
static grid grid_of_value(const oct_value *v)
{
    grid g = {0};
    float zero = 0;
    const oct_node *n = v->producer;
    if (!n || n->op != OCT_OP_DEQUANTIZE || (n->inputs[0]->dtype != OCT_U8 && n->inputs[0]->dtype != OCT_S8))
        return g;
    const bool u8 = n->inputs[0]->dtype == OCT_U8;
    if (oct_value_scalar(oct_node_in(n, 1), &g.scale) && g.scale > 0 && (!oct_node_in(n, 2) || oct_value_scalar(n->inputs[2], &zero)))
        return (grid){g.scale, (int32_t)zero, u8 ? 0 : -128, u8 ? 255 : 127};
    return (grid){0};
}

static const oct_plan_port *find_port(const oct_plan *p, const char *name)
{
    for (int32_t i = 0; i < p->output_count + p->tap_count; i++) {
        const oct_plan_port *port = i < p->output_count ? &p->outputs[i] : &p->taps[i - p->output_count];
        if (strcmp(oct_plan_string(p, port->name), name) == 0)
            return port;
    }
    return NULL;
}

static grid grid_of_port(const oct_plan *p, const oct_plan_port *port)
{
    const oct_plan_tensor *t = &p->tensors[port->tensor];
    const int32_t shift = t->biased ? 128 : 0;
    return t->scale > 0 && t->dtype == OCT_U8 ? (grid){t->scale, t->zero - shift, -shift, 255 - shift} : (grid){0};
}

/* Tensor `name` of one side: its tap's name and grid. False when the side does not have it, or cannot show it. */
static bool find_tap(const oct_compare_side *s, const char *name, const char **tap, grid *g, const oct_value **value)
{
    *value = NULL;
    if (s->plan) {
        const oct_plan_port *port = find_port(s->plan, name);
        if (!port)
            return false;
        *tap = name;
        *g = grid_of_port(s->plan, port);
        return true;
    }
    const oct_value *v = oct_value_find(s->model->graph, name), *t = is_computed_float(v) ? tap_of(v) : NULL;
    if (!t)
        return false;
    *value = v;
    *tap = t->name;
    *g = grid_of_value(t);
    return true;
}

static void add_row(oct_comparison *c, const char *name)
{
    const oct_value *v[2];
    const int64_t i = c->count;
    row r = {.name = name};
    for (int k = 0; k < 2; k++)
        if (!find_tap(&c->what[k], name, &c->side[k].taps[i], &r.grid[k], &v[k]))
            return;
    /* Where both sides dequantize, the tensor in front of the Q has a row that reads the same. */
    if (v[0] && v[1] && is_dequantized(v[0]) && is_dequantized(v[1]))
        for (int64_t k = 0; k < i; k++)
            if (c->side[0].taps[k] == c->side[0].taps[i] && c->side[1].taps[k] == c->side[1].taps[i])
                return;
    c->rows[c->count++] = r;
}

static void find_rows(oct_comparison *c)
{
    const oct_compare_side *a = &c->what[0];
    if (a->plan) {
        for (int32_t i = 0; i < a->plan->tap_count; i++)
            add_row(c, oct_plan_string(a->plan, a->plan->taps[i].name));
        for (int32_t i = 0; i < a->plan->output_count; i++)
            add_row(c, oct_plan_string(a->plan, a->plan->outputs[i].name));
        return;
    }
    const oct_graph *g = a->model->graph;
    for (int64_t i = 0; i < g->node_count; i++)
        for (int32_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k])
                add_row(c, g->nodes[i]->outputs[k]->name);
}

static int64_t most_rows(const oct_compare_side *a)
{
    return a->plan ? (int64_t)a->plan->tap_count + a->plan->output_count : a->model->graph->value_count;
}

/* --- peers --- */

static oct_status open_peer(oct_comparison *c, int k)
{
    const oct_compare_peer *peer = c->what[k].peer;
    bool *has = NULL;
    if (!peer)
        return OCT_OK;
    OCT_TRY(oct_alloc(c->count + 1, true, (void **)&has));
    memset(has, true, (size_t)c->count);
    oct_status s = peer->open(peer->user, c->side[k].taps, (int)c->count, has);
    int64_t known = 0;
    for (int64_t i = 0; i < c->count; i++) {
        c->rows[i].dropped = !has[i];
        known += has[i];
    }
    oct_free(has);
    if (s == OCT_OK && known == 0)
        s = oct_fail(OCT_ERR_CONTENT, "the other runtime knows none of the model's tensors");
    return s;
}

/* --- the public calls --- */

static oct_status check_sides(const oct_compare_side *a, const oct_compare_side *b)
{
    for (int k = 0; k < 2; k++) {
        const oct_compare_side *s = k ? b : a;
        if (!s->model == !s->plan || (s->peer && !s->model) || (s->plan && s->mode != OCT_BUILD_FASTEST))
            return oct_fail(OCT_ERR_USAGE, "each side of a comparison is one model or one plan; peers and modes are for models");
    }
    return a->peer && b->peer ? oct_fail(OCT_ERR_USAGE, "one side of a comparison must run here") : OCT_OK;
}

oct_status oct_comparison_create(const oct_compare_side *a, const oct_compare_side *b, int threads, oct_comparison **out)
{
    oct_status s = OCT_OK;
    oct_comparison *c = NULL;
    OCT_TRY(check_sides(a, b));
    OCT_TRY(oct_alloc((int64_t)sizeof *c, true, (void **)&c));
    c->what[0] = *a;
    c->what[1] = *b;
    OCT_TRY_DONE(oct_alloc((most_rows(a) + 1) * (int64_t)sizeof *c->rows, true, (void **)&c->rows));
    for (int k = 0; k < 2; k++)
        OCT_TRY_DONE(oct_side_open(&c->side[k], &c->what[k], threads, most_rows(a)));
    find_rows(c);
    if (c->count == 0)
        OCT_FAIL_DONE(OCT_ERR_CONTENT, "the two sides have no tensor of the same name that both can show");
    c->side[0].tap_count = c->side[1].tap_count = c->count;
    for (int k = 0; k < 2; k++)
        OCT_TRY_DONE(open_peer(c, k));
    *out = c;
done:
    if (s != OCT_OK)
        oct_comparison_destroy(c);
    return s;
}

void oct_comparison_destroy(oct_comparison *c)
{
    if (!c)
        return;
    for (int k = 0; k < 2; k++) {
        oct_side_close(&c->side[k]);
        oct_free(c->data[k]);
    }
    oct_free(c->rows);
    oct_free(c);
}

static oct_status make_room(oct_comparison *c, int64_t count)
{
    int64_t bytes;
    if (count <= c->room)
        return OCT_OK;
    OCT_TRY(oct_size_mul(count, (int64_t)sizeof(float), &bytes));
    c->room = 0;
    for (int k = 0; k < 2; k++) {
        oct_free(c->data[k]);
        c->data[k] = NULL;
        OCT_TRY(oct_alloc(bytes, false, (void **)&c->data[k]));
    }
    c->room = count;
    return OCT_OK;
}

/* Values at an end of the type where that end is not the code of 0. The float came from the code by one rounding, so the code is near. */
static int64_t clipped(const grid *g, const float *data, int64_t count)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        const float code = rintf(data[i] / g->scale) + (float)g->zero;
        n += (code <= (float)g->lo && g->lo != g->zero) || (code >= (float)g->hi && g->hi != g->zero);
    }
    return n;
}

static oct_status add_tensor(oct_comparison *c, int64_t i, int64_t samples)
{
    row *r = &c->rows[i];
    oct_port port[2];
    int64_t count[2] = {0, 0};
    for (int k = 0; k < 2; k++)
        if (!c->what[k].peer) {
            OCT_TRY(oct_side_port(&c->side[k], i, &port[k]));
            OCT_TRY(oct_size_count(port[k].dims, port[k].rank, &count[k]));
        }
    for (int k = 0; k < 2; k++)
        if (c->what[k].peer) {
            port[k] = port[1 - k];
            count[k] = count[1 - k];
        }
    OCT_TRY(make_room(c, oct_max64(count[0], count[1])));
    for (int k = 0; k < 2; k++)
        OCT_TRY(oct_side_read(&c->side[k], i, c->data[k], count[k]));
    for (int k = 0; k < 2; k++) {
        /* Samples that only fill up a batch do not count. Where they cannot be told apart, nothing of this batch does. */
        const int64_t batch = c->side[k].input_count && c->side[k].inputs[0].rank ? c->side[k].inputs[0].dims[0] : 0;
        if (samples < batch && (port[k].rank < 1 || port[k].dims[0] != batch))
            return OCT_OK;
        if (samples < batch)
            count[k] = count[k] / batch * samples;
    }
    if (count[0] != count[1])
        return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "tensor '%s' has %lld elements on one side and %lld on the other", r->name, (long long)count[0],
                                      (long long)count[1]), r->name);
    oct_likeness_add(&r->likeness, c->data[0], c->data[1], count[0]);
    r->elements += count[0];
    for (int k = 0; k < 2; k++)
        if (r->grid[k].scale > 0)
            r->clipped[k] += clipped(&r->grid[k], c->data[k], count[k]);
    return OCT_OK;
}

oct_status oct_comparison_add(oct_comparison *c, const char *const *names, const oct_tensor *inputs, int input_count)
{
    const int64_t samples = input_count && inputs[0].rank ? inputs[0].dims[0] : 1;
    for (int k = 0; k < 2; k++)
        OCT_TRY(oct_side_run(&c->side[k], names, inputs, input_count));
    for (int64_t i = 0; i < c->count; i++)
        if (!c->rows[i].dropped)
            OCT_TRY(add_tensor(c, i, samples));
    return OCT_OK;
}

int64_t oct_comparison_count(const oct_comparison *c)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->count; i++)
        n += !c->rows[i].dropped;
    return n;
}

oct_status oct_comparison_get(const oct_comparison *c, int64_t index, oct_tensor_diff *out)
{
    int64_t at = 0;
    while (at < c->count && (c->rows[at].dropped || index-- != 0))
        at++;
    if (at == c->count)
        return oct_fail(OCT_ERR_USAGE, "a comparison has no row of that index");
    const row *r = &c->rows[at];
    const oct_likeness *l = &r->likeness;
    double share[2];
    for (int k = 0; k < 2; k++)
        share[k] = r->grid[k].scale > 0 && r->elements ? (double)r->clipped[k] / (double)r->elements : NAN;
    *out = (oct_tensor_diff){.name = r->name, .elements = r->elements, .max_abs = l->max_abs, .rel_l2 = oct_likeness_rel_l2(l),
                             .cosine = oct_likeness_cosine(l), .sqnr_db = oct_likeness_sqnr_db(l), .clipped_a = share[0], .clipped_b = share[1]};
    return OCT_OK;
}
