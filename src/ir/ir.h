/* The graph: ONNX semantics, canonical form, one arena.  DESIGN 2.
 *
 * Nodes stand in execution order. Every node is an operator of op_defs.inc in the form of the newest opset that it names (the
 * importer upgrades older forms), so passes and lowering know one form of each. Values are edges; a value with data is a
 * constant. Nothing here computes: operators live in src/op. */
#ifndef OCT_IR_IR_H
#define OCT_IR_IR_H

#include <octavo/tensor.h>
#include "base/mem.h"

typedef enum oct_op {
    OCT_OP_NONE = 0,
#define OCT_OP_DEF(id, ...) OCT_OP_##id,
#include "ir/op_defs.inc"
#undef OCT_OP_DEF
    OCT_OP_COUNT
} oct_op;

/* A dimension is concrete (>= 0) or a symbol (< 0): -1 - index into graph->symbols. rank -1 = unknown rank. */
typedef struct oct_shape {
    int32_t rank;
    int64_t dim[OCT_MAX_RANK];
} oct_shape;

/* Quantization parameters of an 8/16-bit code tensor: real = (code - zero[c]) * scale[c]; n = 1 or the length of axis. */
typedef struct oct_quant {
    int32_t n, axis;
    const float *scale;    /* n, finite, > 0 */
    const int32_t *zero;   /* n */
} oct_quant;

typedef struct oct_node oct_node;

typedef struct oct_value {
    const char *name;      /* unique, non-empty */
    oct_dtype dtype;       /* NONE while unknown */
    oct_shape shape;
    const void *data;      /* constant contents, dense C order; NULL otherwise. 4-bit types are held as 8-bit codes. */
    int64_t bytes;
    const int64_t *known;  /* symbolic contents of a small S64/S32 tensor, same coding as a dimension but any integer >= -2^31
                              is literal and INT64_MIN + 1 + i is symbol i, INT64_MIN unknown; NULL when unknown */
    const oct_quant *quant;/* set on code tensors once a pass has lifted their Q/DQ parameters; else NULL */
    oct_node *producer;    /* NULL for graph inputs and constants */
    oct_node **users;      /* one entry per use */
    int64_t user_count, user_capacity;
    bool is_output;        /* a graph output, or kept by a caller: no pass may remove or rename it */
    int32_t mark;          /* scratch of the pass that runs */
} oct_value;

typedef enum oct_attr_kind { OCT_ATTR_INT = 1, OCT_ATTR_FLOAT, OCT_ATTR_STRING, OCT_ATTR_INTS, OCT_ATTR_FLOATS, OCT_ATTR_STRINGS, OCT_ATTR_TENSOR } oct_attr_kind;
typedef struct oct_attr {
    const char *name;
    oct_attr_kind kind;
    int64_t i;
    float f;
    const char *s;
    int64_t n;             /* of INTS, FLOATS, STRINGS */
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    oct_tensor tensor;     /* borrowed from the arena */
} oct_attr;

/* What a pass has fused behind a node, applied in this order: + residual, activation. */
typedef struct oct_fused {
    int32_t residual;      /* index of the input that is added to the result: 3 (2 is the bias slot, NULL without one); 0 = none */
    bool residual_inner;   /* int8 only: the graph clamps and quantizes the result before the Add, with these: */
    bool inner_clamp;
    float inner_lo, inner_hi;
    const oct_quant *inner_quant;
    oct_dtype inner_dtype;
    bool clamp;            /* result = min(max(result, lo), hi) in real units; +-INFINITY = open */
    float lo, hi;
} oct_fused;

struct oct_node {
    oct_op op;
    const char *name;      /* may be "" in the source; the importer then gives the first output's name */
    oct_value **inputs;    /* NULL entry = absent optional input */
    int32_t input_count;
    oct_value **outputs;   /* NULL entry = absent optional output */
    int32_t output_count;
    oct_attr *attrs;
    int32_t attr_count;
    bool int8;             /* formed by the Q/DQ passes: activation inputs and outputs are code tensors with quant, weights too */
    bool hold;             /* stays float: no integer operator is formed of it. reason says why */
    oct_fused fused;
    const char **sources;  /* names of the source-model nodes that this node stands for: its own, none where a pass of ours put it in */
    int32_t source_count;
    const char *reason;    /* why this node is not INT8; NULL when nobody has asked */
    int32_t mark;
};

typedef struct oct_graph {
    oct_arena *arena;      /* owns everything reachable from here, this struct included */
    const char *name;
    oct_node **nodes;
    int64_t node_count, node_capacity;
    oct_value **values;    /* all values, constants included; passes leave unused ones, oct_graph_sweep drops them */
    int64_t value_count, value_capacity;
    oct_value **inputs;    /* without initializers */
    int64_t input_count;
    oct_value **outputs;
    int64_t output_count;
    const char **symbols;  /* names of free dimensions */
    int64_t symbol_count, symbol_capacity;
    int64_t opset;         /* of the source model, default domain */
    const char **meta_keys, **meta_values;
    int64_t meta_count, meta_capacity;
    void *index;           /* name -> value hash, private to ir/graph.c */
} oct_graph;

/* --- building (all strings are copied into the arena) --- */
oct_status oct_graph_create(const char *name, oct_graph **out);
void oct_graph_destroy(oct_graph *g);
oct_status oct_graph_clone(const oct_graph *g, oct_graph **out); /* constants share nothing with the source */
/* name NULL or taken: a fresh one is made from stem ("stem_1"...). */
oct_status oct_value_add(oct_graph *g, const char *name, const char *stem, oct_value **out);
oct_value *oct_value_find(const oct_graph *g, const char *name); /* NULL when absent */
/* Constant from dense data (copied). */
oct_status oct_value_const(oct_graph *g, const char *stem, oct_dtype dtype, int rank, const int64_t *dims, const void *data, oct_value **out);
/* Node with given inputs and outputs, appended, or inserted before `before` when not NULL. Use lists and producers are kept. */
oct_status oct_node_add(oct_graph *g, oct_node *before, oct_op op, const char *name, int n_in, oct_value *const *in, int n_out,
                        oct_value *const *out, oct_node **node);
oct_status oct_node_set_input(oct_graph *g, oct_node *n, int index, oct_value *v); /* grows the list when index == input_count */
oct_status oct_node_set_output(oct_graph *g, oct_node *n, int index, oct_value *v);
void oct_node_remove(oct_graph *g, oct_node *n);      /* its outputs lose their producer */
oct_status oct_value_replace_uses(oct_graph *g, oct_value *from, oct_value *to); /* users only, not graph outputs */
oct_status oct_node_add_source(oct_graph *g, oct_node *n, const oct_node *from); /* append from's sources, without doubles; a held part holds the whole */
oct_status oct_graph_sort(oct_graph *g);              /* topological; CONTENT names a node on a cycle */
void oct_graph_sweep(oct_graph *g);                   /* drop nodes whose outputs nobody needs, and unused values */
oct_status oct_graph_add_symbol(oct_graph *g, const char *name, int64_t *dim); /* existing or new; *dim is the coded dimension */
const char *oct_graph_symbol_name(const oct_graph *g, int64_t dim);            /* of a coded dimension < 0 */
oct_status oct_graph_add_input(oct_graph *g, oct_value *v);
oct_status oct_graph_add_output(oct_graph *g, oct_value *v);
const char *oct_graph_meta(const oct_graph *g, const char *key);
oct_status oct_graph_set_meta(oct_graph *g, const char *key, const char *value);

/* --- attributes --- */
const oct_attr *oct_node_attr(const oct_node *n, const char *name);
int64_t oct_node_int(const oct_node *n, const char *name, int64_t missing);
float oct_node_float(const oct_node *n, const char *name, float missing);
const char *oct_node_string(const oct_node *n, const char *name, const char *missing);
/* Copies up to max ints; returns the count, 0 when absent. */
int oct_node_ints(const oct_node *n, const char *name, int64_t *out, int max);
oct_status oct_node_set_int(oct_graph *g, oct_node *n, const char *name, int64_t v);
oct_status oct_node_set_float(oct_graph *g, oct_node *n, const char *name, float v);
oct_status oct_node_set_string(oct_graph *g, oct_node *n, const char *name, const char *v);
oct_status oct_node_set_ints(oct_graph *g, oct_node *n, const char *name, const int64_t *v, int count);
oct_status oct_node_set_attr(oct_graph *g, oct_node *n, const oct_attr *attr); /* deep copy */
void oct_node_drop_attr(oct_node *n, const char *name);                        /* absent is fine */

/* --- looking --- */
static inline oct_value *oct_node_in(const oct_node *n, int i) { return i < n->input_count ? n->inputs[i] : NULL; }
static inline oct_value *oct_node_out(const oct_node *n, int i) { return i < n->output_count ? n->outputs[i] : NULL; }
bool oct_shape_is_concrete(const oct_shape *s);
bool oct_shape_equal(const oct_shape *a, const oct_shape *b);
/* Elements of a concrete shape; CONTENT when symbolic or too large. */
oct_status oct_shape_count(const oct_shape *s, int64_t *out);
/* Constant as int64 list (S64, S32, from data): count or -1 when v is NULL or not constant or longer than max. */
int oct_value_ints(const oct_value *v, int64_t *out, int max);
/* Constant scalar as float; false when not a constant F32/F16/integer of one element. */
bool oct_value_scalar(const oct_value *v, float *out);
/* A Pad that writes a value of its own: other than 0, or not known. The modes that repeat values do not. */
bool oct_pad_writes_value(const oct_node *n);
/* Some node is a Q, a DQ or an integer product, or was made one (node->int8). */
bool oct_graph_is_quantized(const oct_graph *g);
/* The single user of v when it has exactly one use and is no graph output, else NULL. */
oct_node *oct_value_only_user(const oct_value *v);

/* One line a node, stable, for tests and `info --passes`. free() the text. */
oct_status oct_graph_dump(const oct_graph *g, char **text);
/* Invariants: order, use lists, unique names, arity, quant of int8 nodes. INTERNAL naming the pass `where`. */
oct_status oct_graph_verify(const oct_graph *g, const char *where);
/* Hash of the float graph and weights (names, ops, attributes, constants), 16 hex digits. DESIGN 4.3. */
oct_status oct_graph_hash(const oct_graph *g, char out[17]);

#endif
