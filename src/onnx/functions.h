/* Operators that are functions of others: bodies as text, put in place of the node when a model is read.  Private to src/onnx. */
#ifndef OCT_ONNX_FUNCTIONS_H
#define OCT_ONNX_FUNCTIONS_H

#include "onnx/proto.h"

/* A body is a list of statements "name = Op(argument, ...){attribute=value, ...};".
 * Arguments: x0, x1, ... the node's inputs (absent ones stay absent); names of earlier statements; _ absent; a number: a scalar of x0's
 * type; a number with i: a scalar of int64; [1,2]: a list of int64; $name:default: the node's attribute of that name, as a scalar of x0's type.
 * Attributes: name=number (an int unless it has a point), name='text', name=[1,2], name=@v the type of a value, name=$ the node's attribute of
 * that name where it has one (name=$:number a float in its place), + all attributes of the node.
 * Outputs: y0, y1, ... name the node's outputs (y0 must be there and last, and becomes the node itself). */
enum { OCT_BODY_TEXT = 4096 };

/* Composes the body for this node: shapes and types of its inputs are known as far as the model tells. */
typedef oct_status oct_body_fn(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT]);

typedef struct oct_function {
    const char *op_type;
    const char *body;     /* NULL: compose */
    oct_body_fn *compose;
} oct_function;

/* NULL when op_type is no function. */
const oct_function *oct_function_find(const char *op_type);
/* n becomes the last statement of the body. */
oct_status oct_function_expand(oct_graph *g, oct_node *n, const oct_function *f, const char *op_type, int64_t opset);

/* Composers append to a text of OCT_BODY_TEXT characters; what does not fit is cut off, which the reader refuses. */
typedef struct oct_body {
    char *text;
    int at;
} oct_body;
void oct_body_add(oct_body *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "[from,from+1,...,to-1]" */
void oct_body_add_axes(oct_body *b, int from, int to);

/* Composers of more than a line: bodies.c, attention.c, einsum.c. */
oct_body_fn oct_body_instance_norm, oct_body_group_norm, oct_body_rms_norm, oct_body_mean_variance, oct_body_lp_norm, oct_body_lrn, oct_body_lp_pool;
oct_body_fn oct_body_loss, oct_body_attention, oct_body_rotary, oct_body_einsum;

#endif
