/* What an operator of the tape sees: its inputs and outputs as slots, its state, scratch.  One file a family; forward stands before
 * backward.
 *
 * Letters: x, y are an operator's input and output, dx, dy the gradients of the loss by them. Gradients add up (a value may have
 * several users): backward adds to dx, never sets it. A NULL gradient is one that nobody asks for. */
#ifndef OCT_TRAIN_DIFF_H
#define OCT_TRAIN_DIFF_H

#include "ir/op.h"
#include "train/dnn.h"
#include "train/tape.h"

/* What an operator can do with tensors whose channels (axis 1) lie last in memory, and with gradients that nobody has written yet.
 */
enum {
    OCT_LAST_IN = 1,    /* takes inputs of either layout */
    OCT_LAST_OUT = 2,   /* makes outputs of either layout: that of an input */
    OCT_LAST_LIKED = 4, /* is faster with channels last, and makes its outputs so */
    OCT_WITH_RELU = 32, /* can do a Relu behind itself: BatchNormalization over rows of channels, sums of equal shapes */
    OCT_FLAT = 8,       /* goes through input 0 and output 0 in the order of memory: one layout for both */
    OCT_SETS = 16       /* asks oct_diff_fresh before it adds to the gradient of an input that is no parameter */
};

typedef struct oct_slot {
    const oct_value *value;
    int64_t count;
    bool last;                     /* channels last in memory; else dense in ONNX's order */
    bool fresh;                    /* grad holds nothing yet in this backward */
    int64_t strides[OCT_MAX_RANK]; /* by axis, in elements */
    float *data;                   /* [count]; NULL where absent or bare */
    float *grad;                   /* [count] or NULL */
    int64_t uses;                  /* node inputs that read it, plus one for a graph output */
    bool needs_grad, parameter, statistic;
    bool coded;   /* of a quantizer whose codes are summed somewhere */
    bool summed;  /* of a product that sums codes */
    bool bare;    /* nothing reads the real values of codes or sums: there are none */
    float *codes; /* [count] where coded: data are these times the quantizer's scale */
    float *sums;  /* [count] where summed: without scales and bias */
    bool absent;  /* between two operators that are done as one: has no data */
    int64_t at;   /* of parameters and statistics: place in the tape's block */
} oct_slot;

typedef struct oct_diff_node oct_diff_node;

typedef struct oct_diff_op {
    oct_status (*prepare)(oct_tape *t, oct_diff_node *d); /* check attributes, fill d->state and d->scratch */
    oct_status (*forward)(oct_tape *t, oct_diff_node *d);
    oct_status (*backward)(oct_tape *t, oct_diff_node *d);
    void (*update)(oct_diff_node *d); /* statistics take in what was measured; NULL = it has none */
    unsigned learn;                   /* bit i: float constants of input i are parameters */
    unsigned measured;                /* bit i: input i is a statistic */
    unsigned traits;                  /* OCT_LAST_IN ... */
} oct_diff_op;

struct oct_diff_node {
    const oct_node *node;
    const oct_diff_op *op;
    oct_slot **in, **out;              /* one for each input and output of node; NULL = absent or not float */
    bool relu;                         /* a Relu is done with it: out[0] is that one's output */
    bool absorbed;                     /* is such a Relu: nothing to do */
    const oct_diff_node *quantizer[2]; /* of the two inputs of a product that sums codes */
    void *state;                       /* the operator's own, in the tape's arena */
    int64_t scratch;                   /* bytes of t->scratch that it needs during one call */
};

struct oct_tape {
    oct_arena *arena;
    oct_graph *graph;
    oct_slot *slots;
    oct_diff_node *nodes;
    int64_t slot_count, node_count;
    oct_dnn *dnn;
    float *values, *grads; /* one block each, of all but parameters and statistics; slots point into them */
    int64_t grad_bytes;
    oct_tape_block block; /* in use */
    float *own;           /* the tape's own block: values, then grads */
    void *scratch;        /* shared by all nodes, one after the other */
    bool training;
    bool bf16; /* convolutions and products multiply in bfloat16 */
    double dampening;
};

#define OCT_DIFF(id, stem, learn, traits)                                                                                          \
    oct_status oct_diff_prepare_##stem(oct_tape *t, oct_diff_node *d);                                                             \
    oct_status oct_diff_forward_##stem(oct_tape *t, oct_diff_node *d);                                                             \
    oct_status oct_diff_backward_##stem(oct_tape *t, oct_diff_node *d);
#include "train/ops.inc"
#undef OCT_DIFF
#undef OCT_DIFF_MEASURED
void oct_diff_update_batch_norm(oct_diff_node *d);

/* Zeroed room for d->state, or for what a state points to. */
oct_status oct_diff_alloc(oct_tape *t, int64_t count, size_t element, void **out);
/* UNSUPPORTED "<Op> '<node>': <text>: training does not support it". */
oct_status oct_diff_unsupported(const oct_node *n, const char *text);
/* Elements of axes [from, to) of s. */
int64_t oct_diff_product(const oct_shape *s, int from, int to);

/* Layouts of all slots, by what the nodes can do (layout.c). Before anything is placed or prepared. */
void oct_diff_choose_layouts(oct_tape *t);
/* Then: Relus that the operator before them can do. */
void oct_diff_absorb_relus(oct_tape *t);

/* Is this the first gradient that s gets? Then it must be set, every element, else added to. */
static inline bool oct_diff_fresh(oct_slot *s)
{
    const bool fresh = s->fresh;
    s->fresh = false;
    return fresh;
}

static inline oct_slot *oct_diff_in(const oct_diff_node *d, int i)
{
    return i < d->node->input_count ? d->in[i] : NULL;
}
static inline float *oct_diff_grad(const oct_diff_node *d, int i)
{
    oct_slot *s = oct_diff_in(d, i);
    return s ? s->grad : NULL;
}

#endif
