/* Lowering: what an operator's oct_op_lower_<stem> may use to turn its node into plan steps.  DESIGN 5.3.
 *
 * Every graph value has at most one physical tensor per layout, made on demand. Because plan tensors are strided views and the
 * generic steps (copy, unary, binary, reduce, ...) obey strides, only steps that walk memory themselves (conv, pool, matmul by
 * constant) ask for a layout; the others pass ANY and give their output the layout of their input.
 *
 * Conventions of the draft that lowering leaves:
 * - Every s8 tensor is stored as u8 + 128 with `biased` set; only ports keep s8. A CAST step obeys `biased` on both sides (the
 *   logical number is stored - 128), so S8 -> U8 biased at inputs and U8 biased -> S8 at outputs are plain CASTs.
 * - The offset of a view is relative to the first byte of its root (src/build/memory.c adds the root's own). Roots: arena 0,
 *   constants their place in the constant section, inputs 0. Views have the place and port of their root. */
#ifndef OCT_OP_LOWER_H
#define OCT_OP_LOWER_H

#include "ir/op.h"
#include "kernels/kernel.h"
#include "plan/plan.h"

/* PLAIN: dense in ONNX order. NHWC: dense with channels (axis 1) last; rank >= 3 only, lower ranks are PLAIN. */
typedef enum oct_layout { OCT_LAYOUT_ANY, OCT_LAYOUT_PLAIN, OCT_LAYOUT_NHWC } oct_layout;

/* A place where lowering takes a kernel: what the hook below may choose by. */
typedef struct oct_pick {
    oct_family family;
    const oct_node *node;
    int64_t index;       /* of the pick in the whole lowering, from 0 */
    int ordinal;         /* of the pick within its node, from 0 */
    const oct_kernel_row *rows;
    int count;           /* at least 1; rows[0] is the choice by shape, the others follow in the registry's order */
} oct_pick;
/* Index of the row to take. Lowering puts one step with a tactic into the plan for every pick, in the same order. */
typedef int oct_choose_fn(void *user, const oct_pick *pick);

typedef struct oct_lower {
    oct_graph *g; /* concrete shapes everywhere */
    oct_draft *d;
    oct_isa isa;
    oct_node *node; /* being lowered: gives steps their name, op, sources and reason */
    int threads;    /* hint for tiling decisions only; results never depend on it */
    oct_choose_fn *choose; /* NULL = rows[0] everywhere */
    void *choose_user;
    int64_t winograd_bytes;       /* of weights so far, see product.c */
    int64_t pick_count;
    const oct_node *pick_node; /* of the last pick, and how many it has had */
    int node_picks;
    void *state;    /* value -> tensors, private to src/op/lower.c */
} oct_lower;

oct_status oct_lower_create(oct_graph *g, oct_isa isa, oct_lower **out);
void oct_lower_destroy(oct_lower *l); /* not g */

/* Plan tensor that holds v in the wanted layout; a COPY (precision convert) is emitted when it exists only in another. Constants
 * are put into the constant section on first use (s8 codes with quant stored as u8 + 128). */
oct_status oct_lower_in(oct_lower *l, oct_value *v, oct_layout want, int32_t *tensor);
/* New arena tensor for output v. ANY = PLAIN. 8-bit codes get scale and stored zero from v->quant when per tensor. */
oct_status oct_lower_out(oct_lower *l, oct_value *v, oct_layout layout, int32_t *tensor);
/* Let output v be a view of an existing tensor: dims of v, given strides (elements) and byte offset relative to `of`'s first
 * element. */
oct_status oct_lower_view(oct_lower *l, oct_value *v, int32_t of, const int64_t *strides, int64_t byte_offset);
/* A nameless view of a tensor, for steps that need other dims or a part of it. */
oct_status oct_lower_subview(oct_lower *l, int32_t of, int rank, const int64_t *dims, const int64_t *strides, int64_t byte_offset,
                             int32_t *tensor);
/* A nameless temporary in the arena, dense. */
oct_status oct_lower_temp(oct_lower *l, oct_dtype dtype, int rank, const int64_t *dims, int32_t *tensor);
/* The same with the dims, and the layout, of tensor t. */
oct_status oct_lower_temp_like(oct_lower *l, int32_t t, oct_dtype dtype, int32_t *tensor);
/* The layout that v has already (PLAIN or NHWC), for operators that follow their input. */
oct_layout oct_lower_layout(const oct_lower *l, const oct_value *v);
/* For operators with broadcasting: NHWC when an input with the full shape of output 0 is, else PLAIN. */
oct_layout oct_lower_joint_layout(const oct_lower *l, const oct_node *n);
/* A nameless dense constant (data copied); S8 data is stored as u8 + 128 like every s8 tensor. */
oct_status oct_lower_const(oct_lower *l, oct_dtype dtype, int rank, const int64_t *dims, const void *data, int32_t *tensor);
/* Let output v be tensor t itself (dims and physical dtype must be those of v). */
oct_status oct_lower_bind(oct_lower *l, oct_value *v, int32_t tensor);
/* A view of t with other dims over the same elements in the same order. *tensor = -1 when that takes a copy. */
oct_status oct_lower_reshaped(oct_lower *l, int32_t t, int rank, const int64_t *dims, int32_t *tensor);
/* Whether an operator that works on NHWC (convolution, pool) reads v. */
bool oct_lower_feeds_nhwc(const oct_value *v);
/* Precision of a step that moves or computes in the type of v: FLOAT, INT8 for 8-bit codes, else INTEGER. */
oct_precision oct_lower_precision(const oct_value *v);
/* Why the current node runs in float, when nobody has said so before. text is a literal. */
void oct_lower_reason(oct_lower *l, const char *text);
const oct_plan_tensor *oct_lower_tensor(const oct_lower *l, int32_t tensor);

/* Emit a step for l->node. tactic may be "". Precision: INT8 when the arithmetic is on 8-bit codes, FLOAT, INTEGER for index and
 * shape values, CONVERT for quantize, dequantize and layout copies. *step (may be NULL): for macs and scratch sizes. */
oct_status oct_lower_step(oct_lower *l, oct_step_kind kind, oct_precision precision, const char *tactic, int n_in,
                          const int32_t *in, int n_out, const int32_t *out, const void *params, size_t params_size,
                          oct_plan_step **step);

/* The kernel of a step about to be emitted: `standard` (the row that follows from shapes) or what the hook takes instead. kh, kw: the
 * window of a depthwise step, else 0. Every step with a tactic asks here, once. */
const char *oct_lower_pick(oct_lower *l, oct_family family, int32_t kh, int32_t kw, const char *standard);

/* Stored form of a code tensor's per-tensor parameters: s8 zero + 128, limits of the stored dtype. false when quant is absent or
 * per axis. */
typedef struct oct_stored_quant {
    float scale;
    int32_t zero, lo, hi;
} oct_stored_quant;
bool oct_value_stored_quant(const oct_value *v, oct_stored_quant *out);

/* Lower the whole graph in order and add ports and taps (values marked is_output that are no graph output). Arena offsets are not
 * assigned yet: src/build/memory.c does that. */
oct_status oct_lower_graph(oct_lower *l);

#endif
