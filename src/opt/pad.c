/* Pad with constant zero on spatial axes, followed by a convolution: the convolution's own pads do it without a copy. */
#include "opt/pass.h"

static bool zero_pad(const oct_node *n, int64_t pads[2 * OCT_MAX_RANK], int *rank)
{
    if (n->op != OCT_OP_PAD || strcmp(oct_node_string(n, "mode", "constant"), "constant") != 0 || oct_pad_writes_value(n))
        return false;
    *rank = n->inputs[0]->shape.rank;
    if (*rank < 3 || *rank > OCT_MAX_RANK)
        return false;
    int64_t given[2 * OCT_MAX_RANK], axes[OCT_MAX_RANK];
    int count = oct_value_ints(oct_node_in(n, 1), given, 2 * OCT_MAX_RANK);
    if (count < 0)
        return false;
    memset(pads, 0, 2 * OCT_MAX_RANK * sizeof *pads);
    int n_axes = *rank;
    if (oct_node_in(n, 3)) {
        n_axes = oct_value_ints(oct_node_in(n, 3), axes, OCT_MAX_RANK);
        if (n_axes < 0)
            return false;
    } else {
        for (int i = 0; i < n_axes; i++)
            axes[i] = i;
    }
    if (count != 2 * n_axes)
        return false;
    for (int i = 0; i < n_axes; i++) {
        int64_t a = axes[i] < 0 ? axes[i] + *rank : axes[i];
        if (a < 0 || a >= *rank)
            return false;
        pads[a] = given[i];
        pads[*rank + a] = given[n_axes + i];
    }
    for (int i = 0; i < 2 * *rank; i++)
        if (pads[i] < 0 || (i % *rank < 2 && pads[i] != 0))
            return false;
    return true;
}

oct_status oct_pass_pad(const oct_opt *opt, int64_t *changes)
{
    oct_graph *g = opt->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *conv = g->nodes[i], *pad = conv->inputs[0] ? conv->inputs[0]->producer : NULL;
        int64_t extra[2 * OCT_MAX_RANK], pads[2 * OCT_MAX_RANK] = {0};
        int rank;
        if (conv->op != OCT_OP_CONV || !pad || !zero_pad(pad, extra, &rank) || strcmp(oct_node_string(conv, "auto_pad", "NOTSET"), "NOTSET") != 0)
            continue;
        int spatial = rank - 2, count = oct_node_ints(conv, "pads", pads, 2 * OCT_MAX_RANK);
        if (count != 0 && count != 2 * spatial)
            continue;
        for (int s = 0; s < spatial; s++) {
            pads[s] += extra[2 + s];
            pads[spatial + s] += extra[rank + 2 + s];
        }
        OCT_TRY(oct_node_set_ints(g, conv, "pads", pads, 2 * spatial));
        OCT_TRY(oct_node_add_source(g, conv, pad));
        OCT_TRY(oct_node_set_input(g, conv, 0, pad->inputs[0]));
        ++*changes;
    }
    return OCT_OK;
}
