/* Lowering: values to plan tensors, layouts, constants, views and steps; the contract stands in lower.h.  What a node becomes is
 * said by its oct_op_lower_<stem>; memory offsets are given later by the planner. */
#include "op/lower.h"

#include <stdlib.h>
#include <string.h>
#include "num/num.h"
#include "op/infer.h"
#include "op/strides.h"

typedef struct value_tensors {
    int32_t home;        /* as its producer left it; -1 = not made yet */
    int32_t plain, nhwc; /* copies or canonical views in that layout; -1 = none */
} value_tensors;

/* The position of a value in this list is kept in its mark. */
typedef struct lower_state {
    value_tensors *values;
    int64_t count;
    const oct_node *text_of; /* node whose sources text is cached */
    const char *sources;
} lower_state;

oct_status oct_lower_create(oct_graph *g, oct_isa isa, oct_lower **out)
{
    oct_lower *l = calloc(1, sizeof *l);
    lower_state *state = calloc(1, sizeof *state);
    value_tensors *values = calloc((size_t)g->value_count + 1, sizeof *values);
    oct_status s = OCT_OK;
    if (!l || !state || !values)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "out of memory while lowering '%s'", g->name);
    for (int64_t i = 0; i < g->value_count; i++) {
        values[i] = (value_tensors){-1, -1, -1};
        g->values[i]->mark = (int32_t)i;
    }
    OCT_TRY_DONE(oct_draft_create(isa, &l->d));
    state->values = values;
    state->count = g->value_count;
    *l = (oct_lower){.g = g, .d = l->d, .isa = isa, .threads = 1, .state = state};
    *out = l;
    return OCT_OK;
done:
    free(values);
    free(state);
    free(l);
    return s;
}

void oct_lower_destroy(oct_lower *l)
{
    if (!l)
        return;
    lower_state *state = l->state;
    oct_draft_destroy(l->d);
    free(state->values);
    free(state);
    free(l);
}

static value_tensors *tensors_of(const oct_lower *l, const oct_value *v)
{
    lower_state *state = l->state;
    return &state->values[v->mark];
}

const oct_plan_tensor *oct_lower_tensor(const oct_lower *l, int32_t tensor)
{
    return &l->d->tensors[tensor];
}

/* --- types, strides ---------------------------------------------------------------------------------------------------- */

static oct_dtype physical(oct_dtype dtype)
{
    switch (dtype) {
    case OCT_S8:
    case OCT_S4:
    case OCT_U4:
        return OCT_U8;
    default:
        return dtype;
    }
}

static bool is_biased(oct_dtype dtype)
{
    return dtype == OCT_S8 || dtype == OCT_S4;
}

bool oct_value_stored_quant(const oct_value *v, oct_stored_quant *out)
{
    const oct_quant *q = v->quant;
    if (!q || q->n != 1)
        return false;
    oct_stored_quant r = {q->scale[0], q->zero[0], 0, 255};
    switch (v->dtype) {
    case OCT_U8:
        break;
    case OCT_S8:
        r.zero += 128;
        break;
    case OCT_U4:
        r.hi = 15;
        break;
    case OCT_S4:
        r.zero += 128;
        r.lo = 120;
        r.hi = 135;
        break;
    case OCT_U16:
        r.hi = 65535;
        break;
    case OCT_S16:
        r.lo = -32768;
        r.hi = 32767;
        break;
    default:
        return false;
    }
    *out = r;
    return true;
}

oct_precision oct_lower_precision(const oct_value *v)
{
    switch (v->dtype) {
    case OCT_F32:
    case OCT_F64:
    case OCT_F16:
    case OCT_BF16:
        return OCT_PREC_FLOAT;
    case OCT_U8:
    case OCT_S8:
    case OCT_U4:
    case OCT_S4:
        return OCT_PREC_INT8;
    default:
        return OCT_PREC_INTEGER;
    }
}

void oct_lower_reason(oct_lower *l, const char *text)
{
    if (!l->node->reason)
        l->node->reason = text;
}

/* --- tensors ----------------------------------------------------------------------------------------------------------- */

/* A tensor of v's type and dims with given strides; place and memory are the caller's. */
static oct_status describe(const oct_lower *l, const oct_value *v, const int64_t *strides, oct_plan_tensor *t)
{
    oct_stored_quant q;
    oct_plan_tensor r = {.dtype = (uint8_t)physical(v->dtype),
                         .rank = (uint8_t)v->shape.rank,
                         .biased = is_biased(v->dtype),
                         .root = -1,
                         .port = -1};
    if (!oct_shape_is_concrete(&v->shape))
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s' has a shape that is only known at run time", v->name);
    if (!oct_dtype_size((oct_dtype)r.dtype))
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s' has type %s", v->name, oct_dtype_name(v->dtype));
    for (int i = 0; i < v->shape.rank; i++) {
        r.dims[i] = v->shape.dim[i];
        r.strides[i] = strides[i];
    }
    if (oct_value_stored_quant(v, &q)) {
        r.scale = q.scale;
        r.zero = q.zero;
    }
    *t = r;
    return OCT_OK;
}

static oct_status root_bytes(oct_plan_tensor *t, const char *name)
{
    int64_t count;
    OCT_TRY(oct_size_count(t->dims, t->rank, &count));
    return oct_size_mul(count, (int64_t)oct_dtype_size((oct_dtype)t->dtype), &t->bytes);
}

static oct_status new_root(oct_lower *l, const char *name, oct_plan_tensor *t, int32_t *id)
{
    t->root = -1;
    OCT_TRY(root_bytes(t, name));
    return oct_draft_tensor(l->d, name, t, id);
}

/* t becomes a view of `of` that begins byte_offset after of's first element. */
static oct_status new_view(oct_lower *l, const char *name, int32_t of, int64_t byte_offset, oct_plan_tensor *t, int32_t *id)
{
    const oct_plan_tensor *base = oct_lower_tensor(l, of);
    t->place = base->place;
    t->port = base->port;
    t->root = base->root < 0 ? of : base->root;
    t->offset = (t->root == of ? 0 : base->offset) + byte_offset;
    t->bytes = 0;
    return oct_draft_tensor(l->d, name, t, id);
}

/* Elements of `size` bytes from dense C order to dense layout order, 128 added to s8 codes. */
static void permute(const uint8_t *from, uint8_t *to, size_t size, int rank, const int64_t *dims, const int64_t *strides,
                    int64_t count, int bias)
{
    int64_t index[OCT_MAX_RANK] = {0}, at = 0;
    for (int64_t i = 0; i < count; i++) {
        if (size == 1)
            to[at] = (uint8_t)(from[i] + bias);
        else
            memcpy(to + at * (int64_t)size, from + i * (int64_t)size, size);
        for (int k = rank; k-- > 0;) {
            at += strides[k];
            if (++index[k] < dims[k])
                break;
            at -= strides[k] * dims[k];
            index[k] = 0;
        }
    }
}

static oct_status put_const(oct_lower *l, const char *name, const void *data, oct_plan_tensor *t, int32_t *id)
{
    uint8_t *to = NULL;
    size_t size = oct_dtype_size((oct_dtype)t->dtype);
    t->place = OCT_PLACE_CONST;
    OCT_TRY(root_bytes(t, name));
    OCT_TRY(oct_draft_const_reserve(l->d, t->bytes, &t->offset, &to));
    permute(data, to, size, t->rank, t->dims, t->strides, t->bytes / (int64_t)size, t->biased ? 128 : 0);
    return oct_draft_tensor(l->d, name, t, id);
}

oct_status oct_lower_const(oct_lower *l, oct_dtype dtype, int rank, const int64_t *dims, const void *data, int32_t *tensor)
{
    oct_plan_tensor t = {
        .dtype = (uint8_t)physical(dtype), .rank = (uint8_t)rank, .biased = is_biased(dtype), .root = -1, .port = -1};
    if (rank)
        memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    oct_strides_plain(rank, t.dims, t.strides);
    return put_const(l, "", data, &t, tensor);
}

static oct_status value_const(oct_lower *l, const oct_value *v, oct_layout layout, int32_t *id)
{
    int64_t strides[OCT_MAX_RANK];
    oct_plan_tensor t;
    if (!oct_shape_is_concrete(&v->shape))
        return oct_fail(OCT_ERR_INTERNAL, "constant '%s' has no shape", v->name);
    oct_strides_of_layout(layout, v->shape.rank, v->shape.dim, strides);
    OCT_TRY(describe(l, v, strides, &t));
    return put_const(l, v->name, v->data, &t, id);
}

static oct_status copy_into_layout(oct_lower *l, int32_t from, const int64_t *strides, int32_t *id)
{
    oct_plan_tensor t = *oct_lower_tensor(l, from);
    t.place = OCT_PLACE_ARENA;
    t.port = -1;
    t.offset = 0;
    if (t.rank)
        memcpy(t.strides, strides, (size_t)t.rank * sizeof *strides);
    OCT_TRY(new_root(l, "", &t, id));
    return oct_lower_step(l, OCT_STEP_COPY, OCT_PREC_CONVERT, "", 1, &from, 1, id, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}

oct_status oct_lower_in(oct_lower *l, oct_value *v, oct_layout want, int32_t *tensor)
{
    value_tensors *vt = tensors_of(l, v);
    if (want == OCT_LAYOUT_NHWC && v->shape.rank < 3)
        want = OCT_LAYOUT_PLAIN;
    if (vt->home < 0 && v->data)
        OCT_TRY(value_const(l, v, want, &vt->home));
    if (vt->home < 0)
        return oct_fail(OCT_ERR_INTERNAL, "'%s' is used before it is computed", v->name);
    if (want == OCT_LAYOUT_ANY) {
        *tensor = vt->home;
        return OCT_OK;
    }
    int32_t *slot = want == OCT_LAYOUT_NHWC ? &vt->nhwc : &vt->plain;
    if (*slot < 0) {
        int64_t strides[OCT_MAX_RANK];
        const oct_plan_tensor *home = oct_lower_tensor(l, vt->home);
        oct_strides_of_layout(want, home->rank, home->dims, strides);
        if (oct_strides_equal(home, strides))
            *slot = vt->home;
        else if (oct_strides_same_walk(home, strides))
            OCT_TRY(oct_lower_subview(l, vt->home, home->rank, v->shape.dim, strides, 0, slot));
        else if (v->data)
            OCT_TRY(value_const(l, v, want, slot));
        else
            OCT_TRY(copy_into_layout(l, vt->home, strides, slot));
    }
    *tensor = *slot;
    return OCT_OK;
}

oct_status oct_lower_out(oct_lower *l, oct_value *v, oct_layout layout, int32_t *tensor)
{
    int64_t strides[OCT_MAX_RANK];
    oct_plan_tensor t;
    if (!oct_shape_is_concrete(&v->shape))
        return oct_fail(OCT_ERR_UNSUPPORTED, "tensor '%s' has a shape that is only known at run time", v->name);
    oct_strides_of_layout(layout, v->shape.rank, v->shape.dim, strides);
    OCT_TRY(describe(l, v, strides, &t));
    OCT_TRY(new_root(l, v->name, &t, tensor));
    tensors_of(l, v)->home = *tensor;
    return OCT_OK;
}

oct_status oct_lower_bind(oct_lower *l, oct_value *v, int32_t tensor)
{
    const oct_plan_tensor *t = oct_lower_tensor(l, tensor);
    return oct_lower_view(l, v, tensor, t->strides, 0);
}

oct_status oct_lower_view(oct_lower *l, oct_value *v, int32_t of, const int64_t *strides, int64_t byte_offset)
{
    oct_plan_tensor t;
    OCT_TRY(describe(l, v, strides, &t));
    const oct_plan_tensor *base = oct_lower_tensor(l, of);
    if (t.dtype != base->dtype || t.biased != base->biased)
        return oct_fail(OCT_ERR_INTERNAL, "'%s' cannot be a view of another type", v->name);
    if (t.scale == 0) {
        t.scale = base->scale;
        t.zero = base->zero;
    }
    return new_view(l, v->name, of, byte_offset, &t, &tensors_of(l, v)->home);
}

oct_status oct_lower_subview(oct_lower *l, int32_t of, int rank, const int64_t *dims, const int64_t *strides, int64_t byte_offset,
                             int32_t *tensor)
{
    oct_plan_tensor t = *oct_lower_tensor(l, of);
    t.rank = (uint8_t)rank;
    for (int i = 0; i < OCT_MAX_RANK; i++) {
        t.dims[i] = i < rank ? dims[i] : 0;
        t.strides[i] = i < rank ? strides[i] : 0;
    }
    return new_view(l, "", of, byte_offset, &t, tensor);
}

oct_status oct_lower_temp(oct_lower *l, oct_dtype dtype, int rank, const int64_t *dims, int32_t *tensor)
{
    oct_plan_tensor t = {
        .place = OCT_PLACE_ARENA, .dtype = (uint8_t)physical(dtype), .rank = (uint8_t)rank, .biased = is_biased(dtype), .port = -1};
    if (rank)
        memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    oct_strides_plain(rank, t.dims, t.strides);
    return new_root(l, "", &t, tensor);
}

oct_layout oct_lower_layout(const oct_lower *l, const oct_value *v)
{
    int32_t home = tensors_of(l, v)->home;
    return home < 0 ? OCT_LAYOUT_PLAIN : oct_strides_layout(oct_lower_tensor(l, home));
}

oct_layout oct_lower_joint_layout(const oct_lower *l, const oct_node *n)
{
    const oct_shape *full = &n->outputs[0]->shape;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && oct_shape_equal(&n->inputs[i]->shape, full) && oct_lower_layout(l, n->inputs[i]) == OCT_LAYOUT_NHWC)
            return OCT_LAYOUT_NHWC;
    return OCT_LAYOUT_PLAIN;
}

bool oct_lower_feeds_nhwc(const oct_value *v)
{
    for (int64_t i = 0; i < v->user_count; i++)
        switch (v->users[i]->op) {
        case OCT_OP_CONV:
        case OCT_OP_CONV_INTEGER:
        case OCT_OP_CONV_TRANSPOSE:
        case OCT_OP_MAX_POOL:
        case OCT_OP_AVERAGE_POOL:
        case OCT_OP_GLOBAL_MAX_POOL:
        case OCT_OP_GLOBAL_AVERAGE_POOL:
            return true;
        default:
            break;
        }
    return false;
}

oct_status oct_lower_temp_like(oct_lower *l, int32_t tensor_of, oct_dtype dtype, int32_t *tensor)
{
    const oct_plan_tensor *like = oct_lower_tensor(l, tensor_of);
    oct_plan_tensor t = {
        .place = OCT_PLACE_ARENA, .dtype = (uint8_t)physical(dtype), .rank = like->rank, .biased = like->biased, .port = -1};
    if (physical(dtype) != like->dtype)
        t.biased = is_biased(dtype);
    memcpy(t.dims, like->dims, sizeof t.dims);
    oct_strides_of_layout(oct_strides_layout(like), t.rank, t.dims, t.strides);
    return new_root(l, "", &t, tensor);
}

oct_status oct_lower_reshaped(oct_lower *l, int32_t t, int rank, const int64_t *dims, int32_t *tensor)
{
    int64_t strides[OCT_MAX_RANK], plain[OCT_MAX_RANK];
    const oct_plan_tensor *from = oct_lower_tensor(l, t);
    bool empty = false;
    for (int i = 0; i < from->rank; i++)
        empty |= from->dims[i] == 0;
    oct_strides_plain(rank, dims, strides);
    oct_strides_plain(from->rank, from->dims, plain);
    *tensor = -1;
    if (!empty && !oct_strides_same_walk(from, plain) && !oct_strides_reshape(from, rank, dims, strides))
        return OCT_OK;
    return oct_lower_subview(l, t, rank, dims, strides, 0, tensor);
}

/* --- steps ------------------------------------------------------------------------------------------------------------- */

static oct_status sources_text(oct_lower *l, const char **out)
{
    lower_state *state = l->state;
    const oct_node *n = l->node;
    if (state->text_of != n) {
        oct_text text = {0};
        char *joined = NULL, *kept = NULL;
        for (int i = 0; i < n->source_count; i++)
            oct_text_printf(&text, "%s%s", i ? "\n" : "", n->sources[i]);
        OCT_TRY(oct_text_finish(&text, &joined));
        oct_status s = oct_arena_strdup(l->d->arena, joined, &kept);
        free(joined);
        OCT_TRY(s);
        state->text_of = n;
        state->sources = kept;
    }
    *out = state->sources;
    return OCT_OK;
}

static const char *step_reason(const oct_lower *l, oct_step_kind kind, oct_precision precision)
{
    switch (precision) {
    case OCT_PREC_FLOAT:
        return l->node && l->node->reason ? l->node->reason : "not quantized";
    case OCT_PREC_INTEGER:
        return "index and shape arithmetic";
    case OCT_PREC_CONVERT:
        return kind == OCT_STEP_COPY ? "memory layout" : "conversion between types";
    default:
        return "";
    }
}

oct_status oct_lower_step(oct_lower *l, oct_step_kind kind, oct_precision precision, const char *tactic, int n_in,
                          const int32_t *in, int n_out, const int32_t *out, const void *params, size_t params_size,
                          oct_plan_step **step)
{
    const char *sources = "", *name = "", *op = "", *kept_tactic = "";
    char *text = NULL;
    oct_draft_step *made = NULL;
    if (l->node) {
        OCT_TRY(sources_text(l, &sources));
        OCT_TRY(oct_arena_strdup(l->d->arena, l->node->name, &text));
        name = text;
        op = oct_op_get(l->node->op)->name;
    } else if (n_out) { /* a conversion at a graph input or output */
        name = l->d->tensor_names[out[0]];
        op = kind == OCT_STEP_CAST ? "Cast" : "Identity";
    }
    if (*tactic) {
        OCT_TRY(oct_arena_strdup(l->d->arena, tactic, &text));
        kept_tactic = text;
    }
    OCT_TRY(oct_arena_strdup(l->d->arena, step_reason(l, kind, precision), &text));
    OCT_TRY(oct_draft_step_add(l->d, kind, precision, name, op, sources, kept_tactic, text, n_in, in, n_out, out, params,
                               params_size, &made));
    if (step)
        *step = &made->step;
    return OCT_OK;
}

const char *oct_lower_pick(oct_lower *l, oct_family family, int32_t kh, int32_t kw, const char *standard)
{
    oct_kernel_row rows[OCT_KERNEL_ROWS_MAX];
    oct_pick pick = {.family = family, .node = l->node, .index = l->pick_count, .rows = rows};
    if (l->pick_node != l->node)
        l->node_picks = 0;
    l->pick_node = l->node;
    pick.ordinal = l->node_picks++;
    l->pick_count++;
    if (!l->choose)
        return standard;
    pick.count = oct_kernel_rows(family, l->isa, kh, kw, rows);
    for (int i = 1; i < pick.count; i++) /* the standard row to the front, the others keep their order */
        for (int k = i; k > 0 && strcmp(rows[k].name, standard) == 0; k--) {
            oct_kernel_row t = rows[k - 1];
            rows[k - 1] = rows[k];
            rows[k] = t;
        }
    return rows[l->choose(l->choose_user, &pick)].name;
}

/* --- the whole graph ---------------------------------------------------------------------------------------------------- */

static oct_status lower_input(oct_lower *l, int32_t index)
{
    oct_value *v = l->g->inputs[index];
    int64_t strides[OCT_MAX_RANK];
    int32_t id, cast;
    oct_plan_tensor t;
    if (!oct_shape_is_concrete(&v->shape))
        return oct_fail(OCT_ERR_INTERNAL, "input '%s' has a free dimension", v->name);
    oct_strides_plain(v->shape.rank, v->shape.dim, strides);
    OCT_TRY(describe(l, v, strides, &t));
    t.place = OCT_PLACE_INPUT;
    t.port = index;
    if (t.biased) { /* the caller's bytes are s8 */
        t.dtype = OCT_S8;
        t.biased = 0;
        t.scale = 0;
        t.zero = 0;
    }
    OCT_TRY(new_root(l, v->name, &t, &id));
    OCT_TRY(oct_draft_port(l->d, OCT_PORT_INPUT, v->name, id, v->dtype, v->shape.rank, v->shape.dim));
    tensors_of(l, v)->home = id;
    if (t.dtype != OCT_S8)
        return OCT_OK;
    OCT_TRY(oct_lower_out(l, v, OCT_LAYOUT_PLAIN, &cast));
    return oct_lower_step(l, OCT_STEP_CAST, OCT_PREC_CONVERT, "", 1, &id, 1, &cast, &(oct_p_none){0}, sizeof(oct_p_none), NULL);
}

static oct_status lower_output(oct_lower *l, oct_value *v)
{
    int64_t strides[OCT_MAX_RANK];
    int32_t from, id;
    OCT_TRY(oct_lower_in(l, v, OCT_LAYOUT_ANY, &from));
    oct_strides_plain(v->shape.rank, v->shape.dim, strides);
    const oct_plan_tensor *home = oct_lower_tensor(l, from);
    bool own = home->place == OCT_PLACE_ARENA && (home->root < 0 || home->root == from);
    if (own && !home->biased && oct_strides_same_walk(home, strides)) {
        OCT_TRY(oct_lower_in(l, v, OCT_LAYOUT_PLAIN, &id));
        return oct_draft_port(l->d, OCT_PORT_OUTPUT, v->name, id, v->dtype, v->shape.rank, v->shape.dim);
    }
    oct_plan_tensor t = *home;
    bool cast = t.biased;
    if (cast) {
        t.dtype = OCT_S8;
        t.biased = 0;
        t.scale = 0;
        t.zero = 0;
    }
    t.place = OCT_PLACE_ARENA;
    t.port = -1;
    t.offset = 0;
    if (t.rank)
        memcpy(t.strides, strides, (size_t)t.rank * sizeof *strides);
    OCT_TRY(new_root(l, v->name, &t, &id));
    OCT_TRY(oct_lower_step(l, cast ? OCT_STEP_CAST : OCT_STEP_COPY, OCT_PREC_CONVERT, "", 1, &from, 1, &id, &(oct_p_none){0},
                           sizeof(oct_p_none), NULL));
    return oct_draft_port(l->d, OCT_PORT_OUTPUT, v->name, id, v->dtype, v->shape.rank, v->shape.dim);
}

static oct_status lower_node(oct_lower *l, oct_node *n)
{
    l->node = n;
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && !oct_shape_is_concrete(&n->outputs[i]->shape))
            return oct_op_unsupported(n, "the shape of '%s' is only known at run time", n->outputs[i]->name);
    oct_status s = oct_op_get(n->op)->lower(l, n);
    return s == OCT_OK ? s : oct_fail_node(s, n->name);
}

static oct_status lower_taps(oct_lower *l)
{
    for (int64_t i = 0; i < l->g->value_count; i++) {
        oct_value *v = l->g->values[i];
        bool is_port = false;
        for (int64_t k = 0; k < l->g->output_count; k++)
            is_port |= l->g->outputs[k] == v;
        if (!v->is_output || is_port || (tensors_of(l, v)->home < 0 && !v->data))
            continue;
        int32_t id;
        OCT_TRY(oct_lower_in(l, v, OCT_LAYOUT_ANY, &id));
        OCT_TRY(oct_draft_port(l->d, OCT_PORT_TAP, v->name, id, v->dtype, v->shape.rank, v->shape.dim));
    }
    return OCT_OK;
}

oct_status oct_lower_graph(oct_lower *l)
{
    oct_graph *g = l->g;
    for (int64_t i = 0; i < g->input_count; i++)
        OCT_TRY(lower_input(l, (int32_t)i));
    for (int64_t i = 0; i < g->node_count; i++)
        OCT_TRY(lower_node(l, g->nodes[i]));
    l->node = NULL;
    for (int64_t i = 0; i < g->output_count; i++) {
        l->node = g->outputs[i]->producer;
        OCT_TRY(lower_output(l, g->outputs[i]));
    }
    l->node = NULL;
    return lower_taps(l);
}
