/* BatchNormalization into the convolution or Gemm before it: w' = w * k, b' = (b - mean) * k + beta with k = gamma / sqrt(var + eps),
 * per output channel, computed in double.  Other BatchNormalization nodes stay and run as a multiply and an add. */
#include <math.h>
#include "opt/pass.h"

typedef struct bn_terms {
    double *k, *shift; /* y = k * x + shift */
    int64_t channels;
} bn_terms;

static oct_status read_bn(oct_graph *g, const oct_node *bn, bn_terms *out, bool *ok)
{
    *ok = false;
    const float *p[4];
    int64_t count[4];
    for (int i = 0; i < 4; i++) {
        p[i] = oct_const_f32(oct_node_in(bn, i + 1), &count[i]);
        if (!p[i] || count[i] != count[0])
            return OCT_OK;
    }
    double eps = oct_node_float(bn, "epsilon", 1e-5f);
    void *k, *shift;
    OCT_TRY(oct_arena_alloc(g->arena, count[0] * (int64_t)sizeof(double), &k));
    OCT_TRY(oct_arena_alloc(g->arena, count[0] * (int64_t)sizeof(double), &shift));
    out->k = k;
    out->shift = shift;
    out->channels = count[0];
    for (int64_t c = 0; c < count[0]; c++) {
        out->k[c] = (double)p[0][c] / sqrt((double)p[3][c] + eps);
        out->shift[c] = (double)p[1][c] - (double)p[2][c] * out->k[c];
        if (!isfinite(out->k[c]) || !isfinite(out->shift[c]))
            return oct_fail_node(oct_fail(OCT_ERR_CONTENT, "BatchNormalization '%s': channel %lld has no finite scale (variance %g)", bn->name,
                                          (long long)c, (double)p[3][c]), bn->name);
    }
    *ok = true;
    return OCT_OK;
}

/* Axis of the output channels in the weight tensor and how many groups interleave it; -1 when the node cannot take it. */
static int channel_axis(const oct_node *n, int64_t *groups)
{
    *groups = 1;
    switch (n->op) {
    case OCT_OP_CONV:
        return 0;
    case OCT_OP_CONV_TRANSPOSE:
        *groups = oct_node_int(n, "group", 1);
        return 1;
    case OCT_OP_GEMM:
        if (oct_node_float(n, "alpha", 1) != 1 || oct_node_float(n, "beta", 1) != 1)
            return -1;
        return oct_node_int(n, "transB", 0) ? 0 : 1;
    default:
        return -1;
    }
}

/* Scale w along axis; with groups (ConvTranspose) output channel = group * dims[1] + index and the group follows from axis 0. */
static void scale_weights(const float *w, const oct_shape *s, int axis, int64_t groups, const double *k, float *out)
{
    int64_t inner = 1, outer = 1, mid = s->dim[axis];
    for (int i = axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    for (int i = 0; i < axis; i++)
        outer *= s->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t m = 0; m < mid; m++) {
            int64_t c = groups == 1 ? m : o / (outer / groups) * mid + m;
            for (int64_t i = 0; i < inner; i++) {
                int64_t at = (o * mid + m) * inner + i;
                out[at] = (float)((double)w[at] * k[c]);
            }
        }
}

static oct_status fold_into(oct_graph *g, oct_node *n, oct_node *bn, const bn_terms *t, bool *done)
{
    int64_t groups, wcount, bcount = 0;
    int axis = channel_axis(n, &groups);
    oct_value *w = oct_node_in(n, 1), *b = oct_node_in(n, 2);
    const float *wd = oct_const_f32(w, &wcount), *bd = b ? oct_const_f32(b, &bcount) : NULL;
    *done = false;
    if (axis < 0 || !wd || (b && !bd) || w->shape.rank <= axis || groups < 1 || w->shape.dim[axis] * groups != t->channels ||
        (groups > 1 && w->shape.dim[0] % groups) || (bd && bcount != t->channels && bcount != 1))
        return OCT_OK;
    void *nw, *nb;
    OCT_TRY(oct_arena_alloc(g->arena, wcount * 4, &nw));
    OCT_TRY(oct_arena_alloc(g->arena, t->channels * 4, &nb));
    scale_weights(wd, &w->shape, axis, groups, t->k, nw);
    for (int64_t c = 0; c < t->channels; c++)
        ((float *)nb)[c] = (float)((bd ? (double)bd[bcount == 1 ? 0 : c] * t->k[c] : 0.0) + t->shift[c]);
    oct_value *vw, *vb;
    OCT_TRY(oct_value_const(g, w->name, OCT_F32, w->shape.rank, w->shape.dim, nw, &vw));
    OCT_TRY(oct_value_const(g, b ? b->name : bn->name, OCT_F32, 1, &t->channels, nb, &vb));
    OCT_TRY(oct_node_set_input(g, n, 1, vw));
    OCT_TRY(oct_node_set_input(g, n, 2, vb));
    oct_value *y = bn->outputs[0];
    oct_node_remove(g, bn);
    OCT_TRY(oct_node_set_output(g, n, 0, y));
    OCT_TRY(oct_node_add_source(g, n, bn));
    *done = true;
    return OCT_OK;
}

oct_status oct_pass_batch_norm(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *bn = g->nodes[i];
        if (bn->op != OCT_OP_BATCH_NORM || !bn->inputs[0]->producer || oct_value_only_user(bn->inputs[0]) != bn)
            continue;
        bn_terms t;
        bool ok, done;
        OCT_TRY(read_bn(g, bn, &t, &ok));
        if (!ok)
            continue;
        OCT_TRY(fold_into(g, bn->inputs[0]->producer, bn, &t, &done));
        if (done) {
            i--;
            ++*changes;
        }
    }
    return OCT_OK;
}
