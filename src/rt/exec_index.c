/* Steps that go by indices element by element: gather_elements, gather_nd, scatter, rank, cumulate.  Plain loops, for graphs' edges and
 * their index arithmetic. Indices out of range wrap once when negative and are then clamped, so that nothing outside is touched. */
#include "rt/exec_loop.h"

#include <string.h>

/* All elements of a view in C order of its dims. */
static oct_nd_seq elements(const oct_view *v)
{
    oct_nd_seq s;
    oct_nd_seq_init(&s, v->rank, v->dims, v->strides, oct_dtype_size(v->dtype), ~0u);
    return s;
}

static int64_t index_at(const oct_view *v, int64_t offset, int64_t length)
{
    const char *at = (const char *)v->data + offset;
    int64_t i = v->dtype == OCT_S64 ? *(const int64_t *)at : *(const int32_t *)at;
    i += i < 0 ? length : 0;
    return i < 0 ? 0 : i >= length ? length - 1 : i;
}

/* Coordinates of element i of dims in C order. */
static void coordinates(int64_t i, int32_t rank, const int64_t *dims, int64_t *out)
{
    for (int32_t d = rank - 1; d >= 0; d--) {
        out[d] = i % dims[d];
        i /= dims[d];
    }
}

static int64_t offset_of(const oct_view *v, const int64_t *at)
{
    int64_t o = 0;
    for (int32_t d = 0; d < v->rank; d++)
        o += at[d] * v->strides[d];
    return o * (int64_t)oct_dtype_size(v->dtype);
}

/* Offset in x of what element i of an index along one axis names. */
static int64_t along_axis(const oct_view *x, const oct_view *index, const oct_nd_seq *order, int32_t axis, int64_t i)
{
    int64_t at[OCT_MAX_RANK];
    coordinates(i, index->rank, index->dims, at);
    at[axis] = index_at(index, oct_nd_seq_at(order, i), x->dims[axis]);
    return offset_of(x, at);
}

/* The same for element i of the rows that an index by tuples names: [batch..., positions..., rest of x]. */
static int64_t by_tuple(const oct_view *x, const oct_view *index, const oct_view *rows, int32_t batch, int64_t i)
{
    int64_t at[OCT_MAX_RANK], to[OCT_MAX_RANK], step = index->strides[index->rank - 1];
    const int64_t size = (int64_t)oct_dtype_size(index->dtype), positions = index->rank - 1, length = index->dims[positions];
    coordinates(i, rows->rank, rows->dims, at);
    int64_t from = 0;
    for (int64_t d = 0; d < positions; d++)
        from += at[d] * index->strides[d];
    memcpy(to, at, sizeof *to * (size_t)batch);
    for (int64_t k = 0; k < length; k++)
        to[batch + k] = index_at(index, (from + k * step) * size, x->dims[batch + k]);
    memcpy(to + batch + length, at + positions, sizeof *to * (size_t)(x->rank - batch - length));
    return offset_of(x, to);
}

void oct_exec_gather_elements(oct_exec *x)
{
    const oct_view *in = &x->in[0], *index = &x->in[1], *out = &x->out[0];
    const oct_nd_seq order = elements(index), to = elements(out);
    const int32_t axis = ((const oct_p_axis *)x->params)->axis;
    for (int64_t i = 0; i < order.count && in->dims[axis] > 0; i++)
        memcpy((char *)out->data + oct_nd_seq_at(&to, i), (const char *)in->data + along_axis(in, index, &order, axis, i), oct_dtype_size(in->dtype));
}

void oct_exec_gather_nd(oct_exec *x)
{
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const oct_nd_seq to = elements(out);
    const int32_t batch = ((const oct_p_axis *)x->params)->axis;
    for (int64_t i = 0; i < to.count && oct_view_count(in) > 0; i++)
        memcpy((char *)out->data + oct_nd_seq_at(&to, i), (const char *)in->data + by_tuple(in, &x->in[1], out, batch, i), oct_dtype_size(in->dtype));
}

/* --- scatter ------------------------------------------------------------------------------------------------------------ */
static void combine(oct_scatter_fn fn, oct_dtype dtype, bool biased, char *to, const char *by)
{
    if (fn == OCT_SCATTER_SET) {
        memcpy(to, by, oct_dtype_size(dtype));
        return;
    }
    static const oct_binary_fn functions[] = {[OCT_SCATTER_ADD] = OCT_BINARY_ADD, [OCT_SCATTER_MUL] = OCT_BINARY_MUL,
                                              [OCT_SCATTER_MIN] = OCT_BINARY_MIN, [OCT_SCATTER_MAX] = OCT_BINARY_MAX};
    if (oct_nd_is_float(dtype)) {
        double a, b;
        oct_nd_load_f64(dtype, false, to, 0, 1, &a);
        oct_nd_load_f64(dtype, false, by, 0, 1, &b);
        oct_nd_binary_f64(functions[fn], &a, &b, &a, 1);
        oct_nd_cast(OCT_F64, false, &a, 0, dtype, false, to, 0, 1);
    } else {
        int64_t a, b;
        oct_nd_load_s64(dtype, biased, to, 0, 1, &a);
        oct_nd_load_s64(dtype, biased, by, 0, 1, &b);
        oct_nd_binary_s64(functions[fn], dtype == OCT_U64, &a, &b, &a, 1);
        oct_nd_store_s64(dtype, biased, &a, 1, to, 0);
    }
}

void oct_exec_scatter(oct_exec *x)
{
    const oct_p_scatter *p = x->params;
    const oct_view *index = &x->in[1], *updates = &x->in[2], *out = &x->out[0];
    oct_exec_move(x, out, &x->in[0]);
    if (oct_view_count(out) == 0)
        return;
    const oct_nd_seq order = elements(index), from = elements(updates);
    for (int64_t i = 0; i < from.count; i++) {
        const int64_t to = p->by_tuple ? by_tuple(out, index, updates, 0, i) : along_axis(out, index, &order, p->axis, i);
        combine((oct_scatter_fn)p->fn, out->dtype, oct_exec_out_biased(x, 0), (char *)out->data + to, (const char *)updates->data + oct_nd_seq_at(&from, i));
    }
}

/* --- along one axis ------------------------------------------------------------------------------------------------------ */
typedef struct row {
    oct_nd_seq in, out; /* starts of the rows */
    int64_t count, in_step, out_step, n; /* rows; bytes along the axis; elements of the input along it */
} row;

static row rows_along(const oct_view *in, const oct_view *out, int32_t axis)
{
    row r;
    oct_nd_seq_init(&r.in, in->rank, in->dims, in->strides, oct_dtype_size(in->dtype), ~(1u << axis));
    oct_nd_seq_init(&r.out, out->rank, out->dims, out->strides, oct_dtype_size(out->dtype), ~(1u << axis));
    r.count = r.in.count;
    r.in_step = in->strides[axis] * (int64_t)oct_dtype_size(in->dtype);
    r.out_step = out->strides[axis] * (int64_t)oct_dtype_size(out->dtype);
    r.n = in->dims[axis];
    return r;
}

/* A value that orders like the element: integers as they are, floats by their bits, NaN above all. */
static int64_t key_of(oct_dtype dtype, bool biased, const char *x)
{
    int64_t v;
    if (!oct_nd_is_float(dtype)) {
        oct_nd_load_s64(dtype, biased, x, 0, 1, &v);
        return dtype == OCT_U64 ? (int64_t)((uint64_t)v ^ ((uint64_t)1 << 63)) : v;
    }
    double d;
    oct_nd_load_f64(dtype, false, x, 0, 1, &d);
    d = d + 0.0; /* -0 is 0 */
    memcpy(&v, &d, sizeof v);
    return v < 0 ? (int64_t)((uint64_t)~v ^ ((uint64_t)1 << 63)) : v;
}

/* Place by place: the next one is the best of those that come behind the last one. No memory of its own. */
void oct_exec_rank(oct_exec *x)
{
    const oct_p_rank *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const row r = rows_along(in, out, p->axis);
    const bool biased = oct_exec_in_biased(x, 0);
    for (int64_t i = 0; i < r.count; i++) {
        const char *from = (const char *)in->data + oct_nd_seq_at(&r.in, i);
        char *to = (char *)out->data + oct_nd_seq_at(&r.out, i);
        int64_t last_key = 0, last = -1;
        for (int64_t k = 0; k < out->dims[p->axis]; k++) {
            int64_t best_key = 0, best = -1;
            for (int64_t j = 0; j < r.n; j++) {
                int64_t key = key_of(in->dtype, biased, from + j * r.in_step);
                key = p->rising ? ~key : key;
                const bool behind = k == 0 || key < last_key || (key == last_key && j > last);
                if (behind && (best < 0 || key > best_key)) {
                    best = j;
                    best_key = key;
                }
            }
            *(int64_t *)(to + k * r.out_step) = last = best;
            last_key = best_key;
        }
    }
}

void oct_exec_cumulate(oct_exec *x)
{
    const oct_p_cumulate *p = x->params;
    const oct_view *in = &x->in[0], *out = &x->out[0];
    const row r = rows_along(in, out, p->axis);
    const bool is_float = oct_nd_is_float(in->dtype);
    const oct_binary_fn fn = p->product ? OCT_BINARY_MUL : OCT_BINARY_ADD;
    for (int64_t i = 0; i < r.count; i++) {
        const char *from = (const char *)in->data + oct_nd_seq_at(&r.in, i);
        char *to = (char *)out->data + oct_nd_seq_at(&r.out, i);
        double f = p->product, fv;
        int64_t s = p->product, sv;
        for (int64_t k = 0; k < r.n; k++) {
            const int64_t at = p->reverse ? r.n - 1 - k : k;
            for (int half = 0; half < 2; half++) {
                if (half == (p->exclusive != 0)) {
                    if (is_float) {
                        oct_nd_load_f64(in->dtype, false, from + at * r.in_step, 0, 1, &fv);
                        oct_nd_binary_f64(fn, &f, &fv, &f, 1);
                    } else {
                        oct_nd_load_s64(in->dtype, oct_exec_in_biased(x, 0), from + at * r.in_step, 0, 1, &sv);
                        oct_nd_binary_s64(fn, false, &s, &sv, &s, 1);
                    }
                } else if (is_float) {
                    oct_nd_cast(OCT_F64, false, &f, 0, out->dtype, false, to + at * r.out_step, 0, 1);
                } else {
                    oct_nd_store_s64(out->dtype, oct_exec_out_biased(x, 0), &s, 1, to + at * r.out_step, 0);
                }
            }
        }
    }
}
