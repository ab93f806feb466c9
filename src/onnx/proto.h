/* What the ONNX reader and writer share: the generated messages and the meaning of their numbers.  Private to src/onnx. */
#ifndef OCT_ONNX_PROTO_H
#define OCT_ONNX_PROTO_H

#include "ir/op.h"
#include "onnx.pb-c.h"

enum { OCT_OPSET_OLDEST = 7, OCT_OPSET_CANONICAL = 21 };

/* AttributeProto.type */
enum { OCT_PROTO_FLOAT = 1, OCT_PROTO_INT, OCT_PROTO_STRING, OCT_PROTO_TENSOR, OCT_PROTO_GRAPH, OCT_PROTO_FLOATS, OCT_PROTO_INTS, OCT_PROTO_STRINGS };

static inline const char *oct_or_empty(const char *s) { return s ? s : ""; }

/* --- tensor.c: element data --- */

/* Where external data may come from. folder NULL: from nowhere. Mappings stay until oct_onnx_files_close. */
typedef struct oct_onnx_files {
    const char *folder;
    struct oct_onnx_file *maps;
    int64_t count, capacity;
} oct_onnx_files;
void oct_onnx_files_close(oct_onnx_files *files);

/* Contents of a TensorProto as a dense tensor in the arena, 4-bit codes as 8-bit ones. label is for messages. CONTENT when sizes
 * do not fit, UNSUPPORTED for element types without meaning here, IO for external files. *bytes = stored bytes. */
oct_status oct_onnx_tensor_read(oct_onnx_files *files, oct_arena *arena, const Onnx__TensorProto *t, const char *label, oct_tensor *out,
                                int64_t *bytes);
/* The reverse, into t (in the arena): raw_data, borrowed from data where no packing is needed. */
oct_status oct_onnx_tensor_write(oct_arena *arena, oct_dtype dtype, int rank, const int64_t *dims, const void *data, int64_t bytes,
                                 const char *name, Onnx__TensorProto *t);

/* --- attrs.c: the known attributes of every operator --- */

/* Copy the attributes of p to n: unknown ones are refused, those that say nothing are left out. */
oct_status oct_onnx_attrs_read(oct_onnx_files *files, oct_graph *g, const Onnx__NodeProto *p, const char *op_type, int64_t opset, oct_node *n);
/* CONTENT when n still has an attribute that this opset no longer has: upgrading left it. */
oct_status oct_onnx_attrs_check(const oct_node *n, const char *op_type, int64_t opset);
/* Attributes of n (names in skip, NULL-terminated, left out; may be NULL) as protos in the arena. */
oct_status oct_onnx_attrs_write(oct_arena *arena, const oct_node *n, const char *const *skip, Onnx__NodeProto *p);
/* Append one INTS or INT attribute. */
oct_status oct_onnx_attr_add_ints(oct_arena *arena, Onnx__NodeProto *p, const char *name, const int64_t *v, int64_t count);

/* --- upgrade.c: old forms to canonical ones --- */

/* IR operator of an ONNX name in the default domain; Dropout and Upsample have none of their own. */
oct_op oct_onnx_op_find(const char *op_type, const char *domain);
/* A node `op` named "<of>_<what>" before `before`, with one output of that name; it stands for what `of` stands for. Nothing is inferred. */
oct_status oct_onnx_insert(oct_graph *g, const oct_node *of, oct_node *before, oct_op op, const char *what, int n_in, oct_value *const *in,
                           oct_node **out);
/* Bring n, an op_type of the given opset, to canonical form; its inputs' shapes are known. May insert nodes before n, may let n write
 * to another value with a node behind it. */
oct_status oct_onnx_upgrade(oct_graph *g, oct_node *n, const char *op_type, int64_t opset);

/* --- expand.c: integer operators as Q/DQ graphs --- */

/* Is this an operator that oct_onnx_expand knows? domain NULL: in any. */
bool oct_onnx_expands(const char *op_type, const char *domain);
/* n, created as a QuantizeLinear with the inputs of op_type, becomes the last node of what op_type means. */
oct_status oct_onnx_expand(oct_graph *g, oct_node *n, const char *op_type);

/* --- import.c, export.c --- */

/* m becomes a graph: names, constants, nodes in canonical form, shapes inferred, verified. Takes element data out of m (frees it). */
oct_status oct_onnx_import(Onnx__ModelProto *m, const char *file, const char *folder, oct_graph **out);
/* Write g to path. origin (may be NULL) gives what the graph does not hold. Initializers above `limit` bytes in total go to
 * "<path>.data". INTERNAL when g holds nodes that have no ONNX form. */
oct_status oct_onnx_export(const oct_graph *g, const Onnx__ModelProto *origin, const char *path, int64_t limit);
/* The same into a malloc'd block, weights included; UNSUPPORTED above 2 GiB. */
oct_status oct_onnx_export_memory(const oct_graph *g, const Onnx__ModelProto *origin, void **data, int64_t *size);

/* --- downgrade.c: canonical forms to what an opset has --- */

/* Smallest opset that can express n (>= 13). */
int64_t oct_onnx_needs(const oct_node *n);
/* p holds n in canonical form; change it to the form of opset target >= oct_onnx_needs(n). */
oct_status oct_onnx_downgrade(oct_arena *arena, const oct_node *n, int64_t target, Onnx__NodeProto *p);

#endif
