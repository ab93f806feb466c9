/* The check of a step's parameters and tensors: what each runtime function (src/rt/exec_*.c) relies on without looking.
 * One function a group of kinds; convolutions stand in check_conv.c. */
#include "plan/check.h"

#include <string.h>
#include "plan/conv.h"
#include "plan/tactic.h"

enum { MAX_COUNT = 1 << 30, MAX_TENSORS = 4 };

typedef struct step_view {
    const oct_plan *p;
    const oct_plan_step *s;
    const void *params;
    const oct_plan_tensor *in[MAX_TENSORS], *out;
} step_view;

#define CHECK(condition, what)                                  \
    do {                                                        \
        if (!(condition))                                       \
            return oct_check_fail(v->p, v->s, what);            \
    } while (0)
#define CHECK_SHAPES(condition) CHECK(condition, "the shapes of its tensors do not fit")
#define CHECK_TYPES(condition)  CHECK(condition, "the types of its tensors do not fit")
#define CHECK_PARAMS(condition) CHECK(condition, "a parameter is out of range")
#define CHECK_INPUTS(least, most) CHECK(v->s->in_count >= (least) && v->s->in_count <= (most), "the number of its inputs does not fit")

static size_t size_of(const oct_plan_tensor *t) { return oct_dtype_size((oct_dtype)t->dtype); }

/* dims of a broadcast to those of b (NumPy's rule, ranks aligned at the end). */
static bool broadcasts(int rank_a, const int64_t *a, int rank_b, const int64_t *b)
{
    if (rank_a > rank_b)
        return false;
    for (int i = 0; i < rank_a; i++)
        if (a[i] != 1 && a[i] != b[rank_b - rank_a + i])
            return false;
    return true;
}
static bool fits(const oct_plan_tensor *a, const oct_plan_tensor *b) { return broadcasts(a->rank, a->dims, b->rank, b->dims); }
static bool same_dims(const oct_plan_tensor *a, const oct_plan_tensor *b) { return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof *a->dims * a->rank) == 0; }
static bool is_one(const oct_plan_tensor *t)
{
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1)
            return false;
    return true;
}
static bool is_list(const oct_plan_tensor *t, int64_t n) { return t->rank == 0 ? n == 1 : t->rank == 1 && t->dims[0] == n; }
static bool is_code(int32_t q) { return q >= 0 && q <= 255; }

/* --- 8-bit arithmetic and conversions --- */
static oct_status check_quantize(const step_view *v, const oct_plan_tensor *real, const oct_plan_tensor *code)
{
    const oct_p_quantize *q = v->params;
    int64_t least, most;
    const bool stored = q->scale_at >= 0;
    CHECK_INPUTS(stored ? 1 : 3, stored ? 1 : 3);
    switch (code->dtype) {
    case OCT_U8: least = 0; most = 255; break;
    case OCT_U16: least = 0; most = 65535; break;
    case OCT_S16: least = -32768; most = 32767; break;
    case OCT_S32: least = INT32_MIN; most = INT32_MAX; break;
    default: least = 1; most = 0;
    }
    CHECK_TYPES(real->dtype == OCT_F32 && least < most);
    CHECK_SHAPES(q->n == 1 ? fits(v->in[0], v->out) : same_dims(v->in[0], v->out));
    CHECK_PARAMS(q->n >= 1 && (q->n == 1 || (q->axis >= 0 && q->axis < code->rank && code->dims[q->axis] == q->n)));
    if (v->s->kind == OCT_STEP_QUANTIZE)
        CHECK_PARAMS(q->lo >= least && q->lo <= q->hi && q->hi <= most);
    if (!stored) {
        CHECK_TYPES(v->in[1]->dtype == OCT_F32 && v->in[2]->dtype == code->dtype);
        CHECK_SHAPES(is_list(v->in[1], q->n) && is_list(v->in[2], q->n));
        return OCT_OK;
    }
    CHECK_PARAMS(oct_check_const(v->p, q->scale_at, (int64_t)q->n * 4, 4) && oct_check_const(v->p, q->zero_at, (int64_t)q->n * 4, 4));
    const int32_t *zero = (const int32_t *)(const void *)(v->p->constants + q->zero_at);
    const float *scale = (const float *)(const void *)(v->p->constants + q->scale_at);
    for (int32_t i = 0; i < q->n; i++)
        CHECK_PARAMS(zero[i] >= least && zero[i] <= most && scale[i] > 0 && scale[i] <= 3.4028235e38f);
    return OCT_OK;
}

static oct_status check_qparams(const step_view *v)
{
    const int32_t zero = ((const oct_p_qparams *)v->params)->zero;
    CHECK_INPUTS(2, 2);
    CHECK_PARAMS(zero == 0 || zero == 1);
    CHECK_TYPES(v->in[0]->dtype == OCT_F32 && v->in[1]->dtype == OCT_F32 && v->out->dtype == (zero ? OCT_U8 : OCT_F32));
    CHECK_SHAPES(is_one(v->in[0]) && is_one(v->in[1]) && is_one(v->out));
    return OCT_OK;
}

static oct_status check_table(const step_view *v)
{
    CHECK_INPUTS(1, 1);
    CHECK_TYPES(v->in[0]->dtype == OCT_U8 && v->out->dtype == OCT_U8);
    CHECK_SHAPES(fits(v->in[0], v->out));
    CHECK_PARAMS(oct_check_const(v->p, ((const oct_p_table *)v->params)->table_at, 256, 1));
    return OCT_OK;
}

/* in[1]: dense tables, one or one a channel, of the type of the result. */
static oct_status check_pixels(const step_view *v)
{
    const int32_t axis = ((const oct_p_axis *)v->params)->axis;
    CHECK_INPUTS(2, 2);
    const oct_plan_tensor *table = v->in[1];
    CHECK_TYPES(v->in[0]->dtype == OCT_U8 && (v->out->dtype == OCT_U8 || v->out->dtype == OCT_F32) && table->dtype == v->out->dtype);
    CHECK_PARAMS(axis == 1 || axis == 3);
    CHECK_SHAPES(v->out->rank == 4 && same_dims(v->in[0], v->out) && table->rank == 2 && table->dims[1] == 256 && oct_check_is_dense(table) &&
                 (table->dims[0] == 1 || table->dims[0] == v->out->dims[axis]));
    return OCT_OK;
}

static oct_status check_qbinary(const step_view *v)
{
    const oct_qbinary *q = &((const oct_p_qbinary *)v->params)->q;
    CHECK_INPUTS(2, 2);
    CHECK_TYPES(v->in[0]->dtype == OCT_U8 && v->in[1]->dtype == OCT_U8 && v->out->dtype == OCT_U8);
    CHECK_SHAPES(fits(v->in[0], v->out) && fits(v->in[1], v->out));
    CHECK_PARAMS(is_code(q->za) && is_code(q->zb) && is_code(q->z) && is_code(q->lo) && is_code(q->hi) && q->lo <= q->hi);
    return OCT_OK;
}

static bool is_window(int32_t k, int32_t s, int32_t d, int32_t p0, int32_t p1)
{
    return k >= 1 && k <= MAX_COUNT && s >= 1 && s <= MAX_COUNT && d >= 1 && d <= MAX_COUNT && p0 >= 0 && p0 <= MAX_COUNT && p1 >= 0 && p1 <= MAX_COUNT;
}

/* Does every window along one axis hold an element of the input? */
static bool windows_hold(int64_t in, int64_t out, int32_t k, int32_t s, int32_t d, int32_t pad)
{
    for (int64_t i = 0; i < out; i++) {
        int64_t first = i * s - pad;
        int64_t k0 = first < 0 ? oct_div_up(-first, d) : 0;
        if (k0 >= k || first + k0 * d >= in)
            return false;
    }
    return true;
}

static oct_status check_pool(const step_view *v)
{
    const oct_p_pool *q = v->params;
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    CHECK_INPUTS(1, 1);
    CHECK_TYPES((x->dtype == OCT_U8 || x->dtype == OCT_F32) && x->dtype == y->dtype);
    CHECK_SHAPES((x->rank == 3 || x->rank == 4) && y->rank == x->rank && x->dims[0] == y->dims[0] && x->dims[1] == y->dims[1]);
    const int last = x->rank - 1;
    const int64_t h = x->rank == 4 ? x->dims[2] : 1, oh = x->rank == 4 ? y->dims[2] : 1;
    CHECK_PARAMS(is_window(q->kh, q->sh, q->dh, q->pt, q->pb) && is_window(q->kw, q->sw, q->dw, q->pl, q->pr) &&
                 (int64_t)q->kh * q->kw <= (x->dtype == OCT_U8 ? INT32_MAX / 255 : MAX_COUNT));
    CHECK_PARAMS(is_code(q->zx) && is_code(q->z) && is_code(q->lo) && is_code(q->hi));
    CHECK_SHAPES(oh <= MAX_COUNT && y->dims[last] <= MAX_COUNT && windows_hold(h, oh, q->kh, q->sh, q->dh, q->pt) &&
                 windows_hold(x->dims[last], y->dims[last], q->kw, q->sw, q->dw, q->pl));
    return OCT_OK;
}

/* --- elementwise and moves --- */
static oct_status check_elementwise(const step_view *v)
{
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    uint32_t inputs = v->s->kind == OCT_STEP_WHERE ? 3 : v->s->kind == OCT_STEP_BINARY ? 2 : v->s->kind == OCT_STEP_FILL ? 0 : 1;
    CHECK_INPUTS(inputs, inputs);
    for (uint32_t i = 0; i < inputs; i++)
        CHECK_SHAPES(fits(v->in[i], y));
    switch (v->s->kind) {
    case OCT_STEP_UNARY: {
        const oct_p_unary *q = v->params;
        const bool to_codes = oct_unary_to_codes(x, y);
        CHECK_TYPES(x->dtype == y->dtype || to_codes);
        CHECK_PARAMS(q->fn >= 0 && q->fn < OCT_UNARY_COUNT);
        CHECK_PARAMS(!to_codes || (q->scale > 0 && q->scale <= 3.4028235e38f && q->lo >= 0 && q->lo <= q->zero && q->zero <= q->hi && q->hi <= 255));
        return OCT_OK;
    }
    case OCT_STEP_BINARY: {
        int32_t fn = ((const oct_p_binary *)v->params)->fn;
        CHECK_PARAMS(fn >= 0 && fn < OCT_BINARY_COUNT);
        CHECK_TYPES(x->dtype == v->in[1]->dtype && (y->dtype == x->dtype || (oct_nd_is_compare((oct_binary_fn)fn) && y->dtype == OCT_BOOL)));
        return OCT_OK;
    }
    case OCT_STEP_WHERE:
        CHECK_TYPES(size_of(x) == 1 && size_of(v->in[1]) == size_of(y) && size_of(v->in[2]) == size_of(y));
        return OCT_OK;
    case OCT_STEP_COPY:
        CHECK_TYPES(size_of(x) == size_of(y));
        return OCT_OK;
    case OCT_STEP_FILL:
        CHECK_PARAMS((size_t)((const oct_p_fill *)v->params)->size == size_of(y));
        return OCT_OK;
    default: /* CAST: any two types */
        return OCT_OK;
    }
}

static oct_status check_pad(const step_view *v)
{
    const oct_p_pad *q = v->params;
    CHECK_INPUTS(1, 1);
    CHECK_TYPES(size_of(v->in[0]) == size_of(v->out));
    CHECK_SHAPES(v->in[0]->rank == v->out->rank);
    CHECK_PARAMS(q->mode >= 0 && q->mode < OCT_PAD_COUNT && q->rank == v->out->rank);
    for (int i = 0; i < v->out->rank; i++)
        CHECK_PARAMS(q->begin[i] >= -((int64_t)1 << 46) && q->begin[i] <= (int64_t)1 << 46);
    return OCT_OK;
}

static oct_status check_gather(const step_view *v)
{
    CHECK_INPUTS(2, 2);
    const oct_plan_tensor *x = v->in[0], *index = v->in[1], *y = v->out;
    const int32_t axis = ((const oct_p_axis *)v->params)->axis;
    CHECK_PARAMS(axis >= 0 && axis < x->rank);
    CHECK_TYPES((index->dtype == OCT_S32 || index->dtype == OCT_S64) && size_of(x) == size_of(y));
    CHECK_SHAPES(y->rank == x->rank - 1 + index->rank && memcmp(y->dims, x->dims, sizeof *x->dims * (size_t)axis) == 0 &&
                 memcmp(y->dims + axis, index->dims, sizeof *x->dims * index->rank) == 0 &&
                 memcmp(y->dims + axis + index->rank, x->dims + axis + 1, sizeof *x->dims * (size_t)(x->rank - axis - 1)) == 0);
    return OCT_OK;
}

static bool is_index(const oct_plan_tensor *t) { return t->dtype == OCT_S32 || t->dtype == OCT_S64; }

static oct_status check_gather_elements(const step_view *v)
{
    CHECK_INPUTS(2, 2);
    const oct_plan_tensor *x = v->in[0], *index = v->in[1], *y = v->out;
    const int32_t axis = ((const oct_p_axis *)v->params)->axis;
    CHECK_PARAMS(axis >= 0 && axis < x->rank);
    CHECK_TYPES(is_index(index) && size_of(x) == size_of(y));
    CHECK_SHAPES(x->rank == index->rank && same_dims(index, y));
    for (int i = 0; i < x->rank; i++)
        CHECK_SHAPES(i == axis || index->dims[i] <= x->dims[i]);
    return OCT_OK;
}

/* Dims of an index by tuples: [batch..., positions..., length of a tuple]; the rest of x behind the tuple is moved whole. */
static oct_status check_tuples(const step_view *v, const oct_plan_tensor *x, const oct_plan_tensor *index, const oct_plan_tensor *rows, int batch)
{
    CHECK_SHAPES(index->rank >= 1 && batch >= 0 && batch < index->rank && batch < x->rank);
    const int64_t length = index->dims[index->rank - 1];
    CHECK_SHAPES(length >= 1 && length + batch <= x->rank && rows->rank == index->rank - 1 + x->rank - batch - length);
    for (int i = 0; i < index->rank - 1; i++)
        CHECK_SHAPES(rows->dims[i] == index->dims[i] && (i >= batch || index->dims[i] == x->dims[i]));
    for (int i = (int)length + batch; i < x->rank; i++)
        CHECK_SHAPES(rows->dims[index->rank - 1 + i - batch - length] == x->dims[i]);
    return OCT_OK;
}

static oct_status check_gather_nd(const step_view *v)
{
    CHECK_INPUTS(2, 2);
    CHECK_TYPES(is_index(v->in[1]) && size_of(v->in[0]) == size_of(v->out));
    return check_tuples(v, v->in[0], v->in[1], v->out, ((const oct_p_axis *)v->params)->axis);
}

static oct_status check_scatter(const step_view *v)
{
    CHECK_INPUTS(3, 3);
    const oct_p_scatter *q = v->params;
    const oct_plan_tensor *x = v->in[0], *index = v->in[1], *updates = v->in[2], *y = v->out;
    CHECK_PARAMS(q->fn >= 0 && q->fn < OCT_SCATTER_COUNT);
    CHECK_TYPES(is_index(index) && x->dtype == y->dtype && updates->dtype == y->dtype);
    CHECK_SHAPES(same_dims(x, y));
    if (q->by_tuple)
        return check_tuples(v, x, index, updates, 0);
    CHECK_PARAMS(q->axis >= 0 && q->axis < x->rank);
    CHECK_SHAPES(x->rank == index->rank && same_dims(index, updates));
    for (int i = 0; i < x->rank; i++)
        CHECK_SHAPES(i == q->axis || index->dims[i] <= x->dims[i]);
    return OCT_OK;
}

static oct_status check_rank(const step_view *v)
{
    CHECK_INPUTS(1, 1);
    const oct_p_rank *q = v->params;
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    CHECK_PARAMS(q->axis >= 0 && q->axis < x->rank);
    CHECK_TYPES(y->dtype == OCT_S64);
    CHECK_SHAPES(x->rank == y->rank);
    for (int i = 0; i < x->rank; i++)
        CHECK_SHAPES(i == q->axis ? y->dims[i] <= x->dims[i] : y->dims[i] == x->dims[i]);
    return OCT_OK;
}

static oct_status check_cumulate(const step_view *v)
{
    CHECK_INPUTS(1, 1);
    const oct_p_cumulate *q = v->params;
    CHECK_TYPES(v->in[0]->dtype == v->out->dtype);
    CHECK_SHAPES(same_dims(v->in[0], v->out));
    CHECK_PARAMS(q->axis >= 0 && q->axis < v->out->rank);
    return OCT_OK;
}

static oct_status check_range(const step_view *v)
{
    CHECK_INPUTS(2, 3);
    const oct_plan_tensor *delta = v->in[v->s->in_count - 1];
    CHECK_SHAPES(v->out->rank <= 1);
    for (uint32_t i = 0; i < v->s->in_count; i++)
        for (int k = 0; k < v->in[i]->rank; k++)
            CHECK_SHAPES(v->in[i]->dims[k] >= 1);
    CHECK_TYPES(v->in[0]->dtype == v->out->dtype && delta->dtype == v->out->dtype);
    return OCT_OK;
}

/* --- products, reductions, norms --- */
static oct_status check_matmul(const step_view *v)
{
    const bool sums = v->s->kind == OCT_STEP_MATMUL_S32;
    CHECK_INPUTS(sums ? 4 : 2, sums ? 4 : 2);
    const oct_plan_tensor *a = v->in[0], *b = v->in[1], *y = v->out;
    const oct_dtype in = sums ? OCT_U8 : OCT_F32;
    CHECK_TYPES(a->dtype == in && b->dtype == in && y->dtype == (sums ? OCT_S32 : OCT_F32));
    for (int i = 2; sums && i < 4; i++) {
        CHECK_TYPES(v->in[i]->dtype == OCT_U8);
        CHECK_SHAPES(is_one(v->in[i]));
    }
    CHECK_SHAPES(a->rank >= 2 && b->rank >= 2 && y->rank >= 2 && a->dims[a->rank - 1] == b->dims[b->rank - 2] &&
                 a->dims[a->rank - 2] == y->dims[y->rank - 2] && b->dims[b->rank - 1] == y->dims[y->rank - 1] &&
                 broadcasts(a->rank - 2, a->dims, y->rank - 2, y->dims) && broadcasts(b->rank - 2, b->dims, y->rank - 2, y->dims));
    return OCT_OK;
}

static oct_status check_reduce(const step_view *v)
{
    const oct_p_reduce *q = v->params;
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    CHECK_INPUTS(1, 1);
    CHECK_TYPES(x->dtype == y->dtype);
    CHECK_PARAMS(q->fn >= 0 && q->fn < OCT_REDUCE_COUNT && q->axes >> x->rank == 0);
    CHECK_SHAPES(x->rank == y->rank);
    for (int i = 0; i < x->rank; i++)
        CHECK_SHAPES(y->dims[i] == (q->axes >> i & 1 ? 1 : x->dims[i]));
    return OCT_OK;
}

static oct_status check_arg_max(const step_view *v)
{
    const int32_t axis = ((const oct_p_axis *)v->params)->axis;
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    CHECK_INPUTS(1, 1);
    CHECK_PARAMS(axis >= 0 && axis < x->rank);
    const bool keeps = y->rank == x->rank;
    CHECK_SHAPES(keeps ? y->dims[axis] == 1 : y->rank == x->rank - 1);
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            CHECK_SHAPES(y->dims[i < axis || keeps ? i : i - 1] == x->dims[i]);
    return OCT_OK;
}

static oct_status check_softmax(const step_view *v)
{
    const int32_t axis = ((const oct_p_softmax *)v->params)->axis;
    CHECK_INPUTS(1, 1);
    CHECK_TYPES(v->in[0]->dtype == OCT_F32 && v->out->dtype == OCT_F32);
    CHECK_SHAPES(same_dims(v->in[0], v->out));
    CHECK_PARAMS(axis >= 0 && axis < v->out->rank);
    return OCT_OK;
}

static oct_status check_layer_norm(const step_view *v)
{
    const int32_t axis = ((const oct_p_layer_norm *)v->params)->axis;
    CHECK_INPUTS(2, 3);
    CHECK_TYPES(v->out->dtype == OCT_F32);
    for (uint32_t i = 0; i < v->s->in_count; i++)
        CHECK_TYPES(v->in[i]->dtype == OCT_F32);
    CHECK_SHAPES(same_dims(v->in[0], v->out) && fits(v->in[1], v->out) && (v->s->in_count < 3 || fits(v->in[2], v->out)));
    CHECK_PARAMS(axis >= 0 && axis < v->out->rank);
    return OCT_OK;
}

static oct_status check_resize(const step_view *v)
{
    const oct_p_resize *q = v->params;
    const oct_plan_tensor *x = v->in[0], *y = v->out;
    CHECK_INPUTS(1, 1);
    CHECK_TYPES(q->mode == OCT_RESIZE_LINEAR ? x->dtype == OCT_F32 && y->dtype == OCT_F32 : size_of(x) == size_of(y));
    CHECK_SHAPES(x->rank == y->rank);
    CHECK_PARAMS(q->rank == y->rank && (q->mode == OCT_RESIZE_NEAREST || q->mode == OCT_RESIZE_LINEAR) && q->coord >= 0 &&
                 q->coord <= OCT_COORD_HALF_PIXEL_SYMMETRIC && q->nearest >= 0 && q->nearest <= OCT_NEAREST_CEIL);
    return OCT_OK;
}

static oct_status check_kind(const step_view *v)
{
    switch ((oct_step_kind)v->s->kind) {
    case OCT_STEP_CONV_Q:
    case OCT_STEP_CONV_F:
    case OCT_STEP_WINO_Q:
    case OCT_STEP_DW_Q:
    case OCT_STEP_DW_F: return oct_check_conv(v->p, v->s, v->in, v->out);
    case OCT_STEP_MATMUL:
    case OCT_STEP_MATMUL_S32: return check_matmul(v);
    case OCT_STEP_QUANTIZE: return check_quantize(v, v->in[0], v->out);
    case OCT_STEP_DEQUANTIZE: return check_quantize(v, v->out, v->in[0]);
    case OCT_STEP_TABLE: return check_table(v);
    case OCT_STEP_PIXELS: return check_pixels(v);
    case OCT_STEP_QADD:
    case OCT_STEP_QMUL: return check_qbinary(v);
    case OCT_STEP_POOL: return check_pool(v);
    case OCT_STEP_UNARY:
    case OCT_STEP_BINARY:
    case OCT_STEP_WHERE:
    case OCT_STEP_COPY:
    case OCT_STEP_FILL:
    case OCT_STEP_CAST: return check_elementwise(v);
    case OCT_STEP_PAD: return check_pad(v);
    case OCT_STEP_GATHER: return check_gather(v);
    case OCT_STEP_GATHER_ELEMENTS: return check_gather_elements(v);
    case OCT_STEP_GATHER_ND: return check_gather_nd(v);
    case OCT_STEP_SCATTER: return check_scatter(v);
    case OCT_STEP_RANK: return check_rank(v);
    case OCT_STEP_CUMULATE: return check_cumulate(v);
    case OCT_STEP_REDUCE: return check_reduce(v);
    case OCT_STEP_ARG_MAX: return check_arg_max(v);
    case OCT_STEP_SOFTMAX: return check_softmax(v);
    case OCT_STEP_LAYER_NORM: return check_layer_norm(v);
    case OCT_STEP_RESIZE: return check_resize(v);
    case OCT_STEP_RANGE: return check_range(v);
    case OCT_STEP_QPARAMS: return check_qparams(v);
    case OCT_STEP_NONE:
    case OCT_STEP_COUNT: break;
    }
    return oct_check_fail(v->p, v->s, "it has no known kind");
}

oct_status oct_check_step(const oct_plan *p, const oct_plan_step *s)
{
    step_view view = {.p = p, .s = s, .params = p->params + s->params}, *v = &view;
    const void *row;
    CHECK(s->out_count == 1 && s->in_count <= MAX_TENSORS, "the number of its tensors does not fit");
    /* Every kind but FILL reads input 0; looking at it is safe before its own check has counted. */
    CHECK(s->in_count > 0 || s->kind == OCT_STEP_FILL, "the number of its tensors does not fit");
    for (uint32_t i = 0; i < s->in_count; i++)
        v->in[i] = &p->tensors[p->index[s->in_first + i]];
    v->out = &p->tensors[p->index[s->out_first]];
    OCT_TRY(check_kind(v));
    /* Memory is asked for as the plan says: only what the kind can need. */
    const oct_p_pool *pool = s->kind == OCT_STEP_POOL ? view.params : NULL;
    CHECK(oct_step_is_conv((oct_step_kind)s->kind) || s->worker_bytes <= (pool ? oct_round_up((int64_t)pool->kh * pool->kw * 8, OCT_ALIGN) : 0),
          "its scratch does not fit");
    CHECK(s->scratch_bytes == 0, "its scratch does not fit");
    return oct_step_kernel(p, s, &row);
}
