/* Gemm and MatMul, of constants or of two activations, by oneDNN's sgemm.  Y = A B  gives  dA = dY B'  and  dB = A' dY  (Giles
 * 2008, "Collected matrix derivative results for forward and reverse mode AD", 2.2.2); a broadcast batch adds up. */
#include "train/codes.h"
#include "train/vector.h"
#include "train/walk.h"

#include <string.h>

/* op(A) [m, k] times op(B) [k, n]; ta, tb: the array holds the transpose. */
typedef struct product {
    int64_t m, n, k;
    bool ta, tb;
    float alpha;
} product;

static int64_t leading(int64_t length)
{
    return length > 0 ? length : 1;
}

static oct_status forward(const product *p, const float *a, const float *b, float *y)
{
    return oct_dnn_status(dnnl_sgemm(p->ta ? 'T' : 'N', p->tb ? 'T' : 'N', p->m, p->n, p->k, p->alpha, a,
                                     leading(p->ta ? p->m : p->k), b, leading(p->tb ? p->k : p->n), 0.0f, y, leading(p->n)),
                          "a matrix product");
}

/* da += alpha dY op(B)', or its transpose where the array holds that. */
static oct_status backward_a(const product *p, const float *b, const float *dy, float *da)
{
    const int64_t ldb = leading(p->tb ? p->k : p->n);
    if (!p->ta)
        return oct_dnn_status(
            dnnl_sgemm('N', p->tb ? 'N' : 'T', p->m, p->k, p->n, p->alpha, dy, leading(p->n), b, ldb, 1.0f, da, leading(p->k)),
            "a matrix product");
    return oct_dnn_status(
        dnnl_sgemm(p->tb ? 'T' : 'N', 'T', p->k, p->m, p->n, p->alpha, b, ldb, dy, leading(p->n), 1.0f, da, leading(p->m)),
        "a matrix product");
}

/* db += alpha op(A)' dY, or its transpose. */
static oct_status backward_b(const product *p, const float *a, const float *dy, float *db)
{
    const int64_t lda = leading(p->ta ? p->m : p->k);
    if (!p->tb)
        return oct_dnn_status(
            dnnl_sgemm(p->ta ? 'N' : 'T', 'N', p->k, p->n, p->m, p->alpha, a, lda, dy, leading(p->n), 1.0f, db, leading(p->n)),
            "a matrix product");
    return oct_dnn_status(
        dnnl_sgemm('T', p->ta ? 'T' : 'N', p->n, p->k, p->m, p->alpha, dy, leading(p->n), a, lda, 1.0f, db, leading(p->k)),
        "a matrix product");
}

/* Of codes: their sums, and what these are worth. */
static oct_status forward_codes(const product *p, oct_diff_node *d, float *factor, float *shift)
{
    oct_slot *y = d->out[0];
    OCT_TRY(forward(p, d->in[0]->codes, d->in[1]->codes, y->sums));
    oct_codes_terms(d, NULL, p->n, factor, shift);
    oct_vector()->affine_rows(p->m, p->n, y->sums, factor, shift, false, y->data);
    return OCT_OK;
}

/* --- Gemm: Y = alpha op(A) op(B) + beta C --- */
typedef struct gemm_state {
    product p;
    float beta;
    oct_walk c;            /* streams: y, C */
    float *factor, *shift; /* [n] where codes are summed */
} gemm_state;

oct_status oct_diff_prepare_gemm(oct_tape *t, oct_diff_node *d)
{
    gemm_state *s;
    const oct_node *n = d->node;
    const oct_shape *a = &n->inputs[0]->shape, *y = &n->outputs[0]->shape;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    s->p = (product){.m = y->dim[0],
                     .n = y->dim[1],
                     .ta = oct_node_int(n, "transA", 0) != 0,
                     .tb = oct_node_int(n, "transB", 0) != 0,
                     .alpha = oct_node_float(n, "alpha", 1)};
    s->p.k = a->dim[s->p.ta ? 0 : 1];
    s->beta = oct_node_float(n, "beta", 1);
    oct_walk_init(&s->c, y);
    oct_walk_dense(&s->c, 0, y);
    if (oct_diff_in(d, 2))
        oct_walk_dense(&s->c, 1, &n->inputs[2]->shape);
    if (!d->out[0]->summed)
        return OCT_OK;
    OCT_TRY(oct_diff_alloc(t, s->p.n, sizeof *s->factor, (void **)&s->factor));
    return oct_diff_alloc(t, s->p.n, sizeof *s->shift, (void **)&s->shift);
}

oct_status oct_diff_forward_gemm(oct_tape *t, oct_diff_node *d)
{
    const gemm_state *s = d->state;
    const oct_slot *c = oct_diff_in(d, 2);
    float *y = d->out[0]->data;
    oct_run r;
    (void)t;
    if (d->out[0]->summed)
        return forward_codes(&s->p, d, s->factor, s->shift);
    OCT_TRY(forward(&s->p, d->in[0]->data, d->in[1]->data, y));
    for (bool more = c && oct_run_first(&s->c, &r); more; more = oct_run_next(&s->c, &r))
        for (int64_t i = 0; i < oct_run_length(&s->c); i++)
            y[r.at[0] + i * oct_run_step(&s->c, 0)] += s->beta * c->data[r.at[1] + i * oct_run_step(&s->c, 1)];
    return OCT_OK;
}

oct_status oct_diff_backward_gemm(oct_tape *t, oct_diff_node *d)
{
    const gemm_state *s = d->state;
    const float *dy = d->out[0]->grad;
    float *da = d->in[0]->grad, *db = d->in[1]->grad, *dc = oct_diff_grad(d, 2);
    const bool codes = d->in[0]->bare;
    oct_run r;
    (void)t;
    if (da)
        OCT_TRY(backward_a(&s->p, d->in[1]->data, dy, da));
    if (db)
        OCT_TRY(backward_b(&s->p, codes ? d->in[0]->codes : d->in[0]->data, dy, db));
    if (db && codes)
        oct_codes_scale_gradient(d);
    for (bool more = dc && oct_run_first(&s->c, &r); more; more = oct_run_next(&s->c, &r))
        for (int64_t i = 0; i < oct_run_length(&s->c); i++)
            dc[r.at[1] + i * oct_run_step(&s->c, 1)] += s->beta * dy[r.at[0] + i * oct_run_step(&s->c, 0)];
    return OCT_OK;
}

/* --- MatMul: batches of products, broadcast by NumPy's rule --- */
typedef struct matmul_state {
    product p;
    oct_walk batch;        /* streams: y, A, B; steps in elements */
    int64_t rows;          /* of y, n wide: a bias (input 2) is a row, added to each */
    float *factor, *shift; /* [n] where codes are summed */
} matmul_state;

/* The axes of `of` before its matrix, as a shape of its own. */
static oct_shape batch_of(const oct_shape *of)
{
    oct_shape s = {.rank = of->rank > 2 ? of->rank - 2 : 0};
    memcpy(s.dim, of->dim, (size_t)s.rank * sizeof *s.dim);
    return s;
}

static void scale_steps(oct_walk *w, int stream, int64_t factor)
{
    for (int i = 0; i < w->rank; i++)
        w->step[stream][i] *= factor;
}

oct_status oct_diff_prepare_matmul(oct_tape *t, oct_diff_node *d)
{
    matmul_state *s;
    const oct_node *n = d->node;
    const oct_shape *a = &n->inputs[0]->shape, *b = &n->inputs[1]->shape, *y = &n->outputs[0]->shape;
    OCT_TRY(oct_diff_alloc(t, 1, sizeof *s, (void **)&s));
    d->state = s;
    if (oct_diff_in(d, 2) && d->in[2]->count != (b->rank > 1 ? b->dim[b->rank - 1] : 1))
        return oct_diff_unsupported(n, "a bias that is no row");
    s->p = (product){.m = a->rank > 1 ? a->dim[a->rank - 2] : 1,
                     .k = a->dim[a->rank - 1],
                     .n = b->rank > 1 ? b->dim[b->rank - 1] : 1,
                     .alpha = 1};
    s->rows = s->p.n > 0 ? d->out[0]->count / s->p.n : 0;
    if (d->out[0]->summed) {
        OCT_TRY(oct_diff_alloc(t, s->p.n, sizeof *s->factor, (void **)&s->factor));
        OCT_TRY(oct_diff_alloc(t, s->p.n, sizeof *s->shift, (void **)&s->shift));
    }
    if (b->rank <= 2) { /* one right factor: all rows of A are one matrix */
        s->p.m = oct_diff_product(a, 0, a->rank - 1);
        oct_walk_init(&s->batch, &(oct_shape){.rank = 0});
        return OCT_OK;
    }
    oct_shape sa = batch_of(a), sb = batch_of(b), sy = *y;
    sy.rank = sa.rank > sb.rank ? sa.rank : sb.rank;
    oct_walk_init(&s->batch, &sy);
    oct_walk_dense(&s->batch, 0, &sy);
    oct_walk_dense(&s->batch, 1, &sa);
    oct_walk_dense(&s->batch, 2, &sb);
    scale_steps(&s->batch, 0, s->p.m * s->p.n);
    scale_steps(&s->batch, 1, s->p.m * s->p.k);
    scale_steps(&s->batch, 2, s->p.k * s->p.n);
    return OCT_OK;
}

oct_status oct_diff_forward_matmul(oct_tape *t, oct_diff_node *d)
{
    const matmul_state *s = d->state;
    const oct_walk *w = &s->batch;
    const oct_slot *bias = oct_diff_in(d, 2);
    oct_run r;
    (void)t;
    if (d->out[0]->summed)
        return forward_codes(&s->p, d, s->factor, s->shift);
    for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))
        for (int64_t i = 0; i < oct_run_length(w); i++)
            OCT_TRY(forward(&s->p, d->in[0]->data + r.at[1] + i * oct_run_step(w, 1),
                            d->in[1]->data + r.at[2] + i * oct_run_step(w, 2), d->out[0]->data + r.at[0] + i * oct_run_step(w, 0)));
    if (bias)
        oct_vector()->add_rows(s->rows, s->p.n, bias->data, d->out[0]->data);
    return OCT_OK;
}

oct_status oct_diff_backward_matmul(oct_tape *t, oct_diff_node *d)
{
    const matmul_state *s = d->state;
    const oct_walk *w = &s->batch;
    float *da = d->in[0]->grad, *db = d->in[1]->grad, *dbias = oct_diff_grad(d, 2);
    const bool codes = d->in[0]->bare;
    const float *x = codes ? d->in[0]->codes : d->in[0]->data;
    oct_run r;
    (void)t;
    for (int64_t i = 0; dbias && i < d->out[0]->count; i++)
        dbias[i % s->p.n] += d->out[0]->grad[i];
    for (bool more = oct_run_first(w, &r); more; more = oct_run_next(w, &r))
        for (int64_t i = 0; i < oct_run_length(w); i++) {
            const int64_t at_a = r.at[1] + i * oct_run_step(w, 1), at_b = r.at[2] + i * oct_run_step(w, 2);
            const float *dy = d->out[0]->grad + r.at[0] + i * oct_run_step(w, 0);
            if (da)
                OCT_TRY(backward_a(&s->p, d->in[1]->data + at_b, dy, da + at_a));
            if (db)
                OCT_TRY(backward_b(&s->p, x + at_a, dy, db + at_b));
        }
    if (db && codes)
        oct_codes_scale_gradient(d);
    return OCT_OK;
}
