/* What the operators share for shape inference: errors that name the node, dimensions with symbols, broadcasting and the
 * propagation of known contents.  Place in the flow: called by every oct_op_infer_*; nothing here emits plan steps. */
#ifndef OCT_OP_INFER_H
#define OCT_OP_INFER_H

#include "ir/op.h"

#define OCT_KNOWN_MAX  64        /* longest tensor whose contents are followed */
#define OCT_KNOWN_NONE INT64_MIN /* one unknown entry */
#define OCT_SHAPE_TEXT 256

/* Symbolic contents, coded as oct_value.known: literals >= -2^31, else a symbol, else unknown. */
static inline bool oct_known_literal(int64_t k)
{
    return k >= -((int64_t)1 << 31);
}
static inline int64_t oct_known_of_dim(int64_t dim)
{
    return dim >= 0 ? dim : INT64_MIN - dim;
}
static inline bool oct_known_symbol(int64_t k)
{
    return !oct_known_literal(k) && k != OCT_KNOWN_NONE;
}
static inline int64_t oct_dim_of_symbol(int64_t k)
{
    return -1 - (k - (INT64_MIN + 1));
}

/* Fail with "<Op> '<node>': <text>" and the node in the error record. CONTENT and UNSUPPORTED. */
oct_status oct_op_bad(const oct_node *n, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
oct_status oct_op_unsupported(const oct_node *n, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
/* "[N, 3, 32, 32]" into text[OCT_SHAPE_TEXT]; returns text. */
const char *oct_shape_text(const oct_graph *g, const oct_shape *s, char *text);

/* Input i, CONTENT when absent. */
oct_status oct_infer_need(const oct_node *n, int i, oct_value **out);
/* Give output i its type and shape (checked: sizes fit). Absent outputs are skipped. rank -1 is allowed: unknown so far.
 * A code tensor that a pass has typed (int8 node, quant present) keeps its 8-bit type. */
oct_status oct_infer_out(oct_graph *g, oct_node *n, int i, oct_dtype dtype, const oct_shape *shape);
/* All outputs of unknown rank. */
oct_status oct_infer_unknown(oct_graph *g, oct_node *n, oct_dtype dtype);
/* The symbol "<output name>.<axis>" for a dimension that cannot be expressed; stable over repeated inference. */
oct_status oct_infer_fresh(oct_graph *g, const oct_node *n, int axis, int64_t *dim);
/* Axis in [-rank, rank) to [0, rank). */
oct_status oct_infer_axis(const oct_node *n, int64_t axis, int rank, int *out);
/* INTS attribute into out[max]; *count = -1 when absent. CONTENT when longer than max. */
oct_status oct_infer_ints(const oct_node *n, const char *name, int64_t *out, int max, int *count);
/* NumPy's broadcasting of a and b into *out; symbols match themselves, give way to 1 and to larger literals. */
oct_status oct_infer_broadcast(oct_graph *g, const oct_node *n, const oct_shape *a, const oct_shape *b, oct_shape *out);

/* Contents of a small integer tensor of rank 0 or 1: the count, or -1 when nothing is known. out[OCT_KNOWN_MAX]. */
int oct_infer_known(const oct_value *v, int64_t *out);
/* Remember contents of output i (rank 0 or 1, count entries); ignored when too long. */
oct_status oct_infer_set_known(oct_graph *g, oct_node *n, int i, const int64_t *known, int count);

/* Kernel, strides, dilations and pads of a sliding window over up to 3 spatial axes. */
typedef struct oct_window {
    int n; /* spatial axes */
    int64_t kernel[3], stride[3], dilation[3], begin[3], end[3];
    bool ceil_mode;
    bool same; /* auto_pad SAME_*: out = ceil(in / stride), pads from the input */
} oct_window;
/* Attributes strides, dilations, pads, auto_pad, ceil_mode; in = dimensions of the spatial axes
 * (symbols allowed). kernel is given by the caller. Everything is checked to fit int32. */
oct_status oct_window_read(const oct_node *n, int spatial, const int64_t *in, const int64_t *kernel, oct_window *w);
/* Output length along spatial axis i for an input of `in`, which may be a symbol. */
oct_status oct_window_out(oct_graph *g, const oct_node *n, const oct_window *w, int i, int64_t in, int64_t *out);

#endif
