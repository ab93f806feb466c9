/* The reader of function bodies (functions.h), and the table of those of a line. */
#include "onnx/functions.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "num/num.h"

enum { NAMES = 160, NAME_LENGTH = 16, ARGUMENTS = 8, LIST = 32 };

typedef struct work {
    oct_graph *g;
    oct_node *n;
    const char *op_type, *at;
    oct_attr *attrs; /* those of n in the file */
    int32_t attr_count;
    struct {
        char name[NAME_LENGTH];
        oct_value *value;
    } names[NAMES];
    int count, constants;
} work;

/* Bodies are part of the program: a mistake in one is ours. */
static oct_status broken(const work *w) { return oct_fail(OCT_ERR_INTERNAL, "the body of operator %s is wrong at '%.40s'", w->op_type, w->at); }

static void skip_space(work *w)
{
    while (isspace((unsigned char)*w->at))
        w->at++;
}

static bool take(work *w, char c)
{
    skip_space(w);
    if (*w->at != c)
        return false;
    w->at++;
    return true;
}

static bool take_name(work *w, char name[NAME_LENGTH * 2])
{
    int n = 0;
    skip_space(w);
    while ((isalnum((unsigned char)*w->at) || *w->at == '_') && n < NAME_LENGTH * 2 - 1)
        name[n++] = *w->at++;
    name[n] = '\0';
    return n > 0;
}

static const oct_attr *attr_of(const work *w, const char *name)
{
    for (int32_t i = 0; i < w->attr_count; i++)
        if (strcmp(w->attrs[i].name, name) == 0)
            return &w->attrs[i];
    return NULL;
}

static oct_status find(const work *w, const char *name, oct_value **out)
{
    for (int i = w->count - 1; i >= 0; i--)
        if (strcmp(w->names[i].name, name) == 0) {
            *out = w->names[i].value;
            return OCT_OK;
        }
    return broken(w);
}

static oct_status remember(work *w, const char *name, oct_value *v)
{
    if (w->count == NAMES || strlen(name) >= NAME_LENGTH)
        return broken(w);
    strcpy(w->names[w->count].name, name);
    w->names[w->count++].value = v;
    return OCT_OK;
}

/* --- constants --- */

static oct_status constant(work *w, oct_dtype dtype, int rank, const int64_t *dims, const void *data, oct_value **out)
{
    char *name = NULL;
    OCT_TRY(oct_arena_printf(w->g->arena, &name, "%s_c%d", w->n->name, w->constants++));
    return oct_value_const(w->g, name, dtype, rank, dims, data, out);
}

static oct_status scalar(work *w, double d, oct_value **out)
{
    const oct_dtype dtype = w->n->inputs[0] ? w->n->inputs[0]->dtype : OCT_F32;
    const float f = (float)d;
    const uint16_t h = dtype == OCT_F16 ? oct_f32_to_f16(f) : oct_f32_to_bf16(f);
    const int64_t i = (int64_t)d;
    switch (dtype) {
    case OCT_F64: return constant(w, dtype, 0, NULL, &d, out);
    case OCT_F16:
    case OCT_BF16: return constant(w, dtype, 0, NULL, &h, out);
    case OCT_F32: return constant(w, dtype, 0, NULL, &f, out);
    case OCT_STRING:
    case OCT_DTYPE_NONE: return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s over type %s", w->n->name, w->op_type, oct_dtype_name(dtype));
    default: return constant(w, dtype, 0, NULL, &i, out); /* the low bytes of an integer are the integer */
    }
}

static oct_status take_list(work *w, int64_t *out, int *count)
{
    *count = 0;
    while (!take(w, ']')) {
        char *end;
        if (*count == LIST)
            return broken(w);
        out[(*count)++] = strtoll(w->at, &end, 10);
        if (end == w->at)
            return broken(w);
        w->at = end;
        take(w, ',');
    }
    return OCT_OK;
}

static bool starts_number(const work *w) { return isdigit((unsigned char)*w->at) || *w->at == '-' || strncmp(w->at, "inf", 3) == 0; }

static oct_status take_argument(work *w, oct_value **out)
{
    char name[NAME_LENGTH * 2], *end;
    int64_t list[LIST], length;
    int count;
    *out = NULL;
    skip_space(w);
    if (take(w, '[')) {
        OCT_TRY(take_list(w, list, &count));
        length = count;
        return constant(w, OCT_S64, 1, &length, list, out);
    }
    if (take(w, '$')) {
        if (!take_name(w, name) || !take(w, ':'))
            return broken(w);
        const oct_attr *a = attr_of(w, name);
        const double missing = strtod(w->at, &end);
        w->at = end;
        return scalar(w, a ? (double)(a->kind == OCT_ATTR_FLOAT ? a->f : (float)a->i) : missing, out);
    }
    if (starts_number(w)) {
        const double d = strtod(w->at, &end);
        w->at = end;
        if (!take(w, 'i'))
            return scalar(w, d, out);
        length = (int64_t)d;
        return constant(w, OCT_S64, 0, NULL, &length, out);
    }
    if (!take_name(w, name))
        return broken(w);
    return strcmp(name, "_") == 0 ? OCT_OK : find(w, name, out);
}

/* --- attributes --- */

static oct_status take_attribute(work *w, oct_node *m)
{
    char name[NAME_LENGTH * 2], text[NAME_LENGTH * 2], *end;
    int64_t list[LIST];
    int count;
    oct_value *v = NULL;
    if (take(w, '+')) {
        for (int32_t i = 0; i < w->attr_count; i++)
            OCT_TRY(oct_node_set_attr(w->g, m, &w->attrs[i]));
        return OCT_OK;
    }
    if (!take_name(w, name) || !take(w, '='))
        return broken(w);
    if (take(w, '$')) {
        const oct_attr *a = attr_of(w, name);
        const bool has_default = take(w, ':');
        const double missing = has_default ? strtod(w->at, &end) : 0;
        w->at = has_default ? end : w->at;
        if (a)
            return oct_node_set_attr(w->g, m, a);
        return has_default ? oct_node_set_float(w->g, m, name, (float)missing) : OCT_OK;
    }
    if (take(w, '@')) {
        if (!take_name(w, text))
            return broken(w);
        OCT_TRY(find(w, text, &v));
        return v ? oct_node_set_int(w->g, m, name, (int64_t)v->dtype) : broken(w);
    }
    if (take(w, '\'')) {
        if (!take_name(w, text) || !take(w, '\''))
            return broken(w);
        return oct_node_set_string(w->g, m, name, text);
    }
    if (take(w, '[')) {
        OCT_TRY(take_list(w, list, &count));
        return oct_node_set_ints(w->g, m, name, list, count);
    }
    const double d = strtod(w->at, &end);
    const bool is_float = memchr(w->at, '.', (size_t)(end - w->at)) != NULL;
    if (end == w->at)
        return broken(w);
    w->at = end;
    return is_float ? oct_node_set_float(w->g, m, name, (float)d) : oct_node_set_int(w->g, m, name, (int64_t)d);
}

static oct_status take_attributes(work *w, oct_node *m)
{
    if (!take(w, '{'))
        return OCT_OK;
    while (!take(w, '}')) {
        OCT_TRY(take_attribute(w, m));
        take(w, ',');
    }
    return OCT_OK;
}

/* --- statements --- */

/* n itself becomes the statement's operator, so that the output keeps its producer. */
static oct_status become(work *w, oct_op op, int count, oct_value *const *in)
{
    oct_node *n = w->n;
    n->op = op;
    n->attrs = NULL;
    n->attr_count = 0;
    for (int i = 0; i < count || i < n->input_count; i++)
        OCT_TRY(oct_node_set_input(w->g, n, i, i < count ? in[i] : NULL));
    n->input_count = count;
    return take_attributes(w, n);
}

/* A node in front of n; where it writes an output of n's, that one has it as producer from now on. */
static oct_status insert(work *w, const char *name, oct_op op, int count, oct_value *const *in)
{
    const int output = name[0] == 'y' && isdigit((unsigned char)name[1]) ? atoi(name + 1) : -1;
    oct_node *m = NULL;
    oct_value *v = output >= 0 ? oct_node_out(w->n, output) : NULL;
    if (v) {
        char *label = NULL;
        OCT_TRY(oct_node_set_output(w->g, w->n, output, NULL));
        OCT_TRY(oct_arena_printf(w->g->arena, &label, "%s_%s", w->n->name, name));
        OCT_TRY(oct_node_add(w->g, w->n, op, label, count, in, 1, &v, &m));
        m->source_count = 0;
        OCT_TRY(oct_node_add_source(w->g, m, w->n));
    } else {
        OCT_TRY(oct_onnx_insert(w->g, w->n, w->n, op, name, count, in, &m));
        m->name = m->outputs[0]->name; /* a body may give a name twice, the output's is unique */
    }
    OCT_TRY(take_attributes(w, m));
    OCT_TRY(oct_op_get(op)->infer(w->g, m));
    return remember(w, name, m->outputs[0]);
}

static oct_status statement(work *w)
{
    char name[NAME_LENGTH * 2], type[NAME_LENGTH * 2];
    oct_value *in[ARGUMENTS];
    int count = 0;
    if (!take_name(w, name) || !take(w, '=') || !take_name(w, type) || !take(w, '('))
        return broken(w);
    const oct_op op = oct_op_find(type, "");
    if (op == OCT_OP_NONE)
        return broken(w);
    while (!take(w, ')')) {
        if (count == ARGUMENTS)
            return broken(w);
        OCT_TRY(take_argument(w, &in[count++]));
        take(w, ',');
    }
    while (count > 0 && !in[count - 1])
        count--;
    return strcmp(name, "y0") == 0 ? become(w, op, count, in) : insert(w, name, op, count, in);
}

oct_status oct_function_expand(oct_graph *g, oct_node *n, const oct_function *f, const char *op_type, int64_t opset)
{
    char body[OCT_BODY_TEXT], input[NAME_LENGTH];
    work w = {.g = g, .n = n, .op_type = op_type, .at = f->body, .attrs = n->attrs, .attr_count = n->attr_count};
    if (!oct_node_in(n, 0))
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s (opset %lld) lacks input 0", n->name, op_type, (long long)opset);
    if (f->compose) {
        OCT_TRY(f->compose(n, op_type, opset, body));
        w.at = body;
    }
    for (int i = 0; i < 16; i++) {
        snprintf(input, sizeof input, "x%d", i);
        OCT_TRY(remember(&w, input, oct_node_in(n, i)));
    }
    do {
        OCT_TRY(statement(&w));
        take(&w, ';');
        skip_space(&w);
    } while (*w.at);
    return OCT_OK;
}

/* --- the table --- */

static oct_status body_mean(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    int at = 0;
    if (n->input_count > ARGUMENTS)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s of %d inputs, at most %d are supported", n->name, op_type, (int)n->input_count,
                        ARGUMENTS);
    at += snprintf(body, OCT_BODY_TEXT, "s=Sum(");
    for (int i = 0; i < n->input_count; i++)
        at += snprintf(body + at, (size_t)(OCT_BODY_TEXT - at), "x%d,", i);
    snprintf(body + at, (size_t)(OCT_BODY_TEXT - at), "); y0=Div(s,%d)", (int)n->input_count);
    return OCT_OK;
}

static oct_status body_is_inf(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    const bool below = oct_node_int(n, "detect_negative", 1) != 0, above = oct_node_int(n, "detect_positive", 1) != 0;
    strcpy(body, below && above ? "a=Abs(x0); y0=Equal(a,inf)"
                 : above        ? "y0=Equal(x0,inf)"
                 : below        ? "y0=Equal(x0,-inf)"
                                : "y0=Less(x0,-inf)");
    return OCT_OK;
}

static oct_status body_swish(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    strcpy(body, oct_node_float(n, "alpha", 1) == 1 ? "s=Sigmoid(x0); y0=Mul(x0,s)" : "a=Mul(x0,$alpha:1); s=Sigmoid(a); y0=Mul(x0,s)");
    return OCT_OK;
}

/* Below opset 13 everything from axis on is one row. */
static oct_status body_hardmax(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    const int rank = n->inputs[0]->shape.rank;
    int64_t axis = oct_node_int(n, "axis", opset < 13 ? 1 : -1);
    if (rank < 1)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s over a tensor of rank %d", n->name, op_type, rank);
    axis += axis < 0 ? rank : 0;
    if (opset < 13)
        snprintf(body, OCT_BODY_TEXT, "f=Flatten(x0){axis=%d}; m=ArgMax(f){axis=1}; s=Shape(f){start=1,end=2}; k=Squeeze(s,[0]); r=Range(0i,k,1i); "
                 "e=Equal(m,r); c=Cast(e){to=@x0}; t=Shape(x0); y0=Reshape(c,t)", (int)axis);
    else
        snprintf(body, OCT_BODY_TEXT, "m=ArgMax(x0){axis=%d}; s=Shape(x0){start=%d,end=%d}; k=Squeeze(s,[0]); r=Range(0i,k,1i); u=Reshape(r,[-1%.*s]); "
                 "e=Equal(m,u); y0=Cast(e){to=@x0}", (int)axis, (int)axis, (int)axis + 1, 2 * (rank - 1 - (int)axis), ",1,1,1,1,1,1,1");
    return OCT_OK;
}

static const oct_function functions[] = {
    {"Attention", NULL, oct_body_attention},
    {"CastLike", "y0=Cast(x0){to=@x1}", NULL},
    {"Celu", "q=Div(x0,$alpha:1); e=Elu(q); y0=Mul(e,$alpha:1)", NULL},
    {"Einsum", NULL, oct_body_einsum},
    {"GroupNormalization", NULL, oct_body_group_norm},
    {"Hardmax", NULL, body_hardmax},
    {"InstanceNormalization", NULL, oct_body_instance_norm},
    {"IsInf", NULL, body_is_inf},
    {"IsNaN", "e=Equal(x0,x0); y0=Not(e)", NULL},
    {"LRN", NULL, oct_body_lrn},
    {"LpNormalization", NULL, oct_body_lp_norm},
    {"LpPool", NULL, oct_body_lp_pool},
    {"Mean", NULL, body_mean},
    {"MeanVarianceNormalization", NULL, oct_body_mean_variance},
    {"Mish", "s=Softplus(x0); t=Tanh(s); y0=Mul(x0,t)", NULL},
    {"NegativeLogLikelihoodLoss", NULL, oct_body_loss},
    {"RMSNormalization", NULL, oct_body_rms_norm},
    {"ReduceL1", "a=Abs(x0); y0=ReduceSum(a,x1){+}", NULL},
    {"ReduceL2", "q=Mul(x0,x0); s=ReduceSum(q,x1){+}; y0=Sqrt(s)", NULL},
    {"ReduceLogSum", "s=ReduceSum(x0,x1){+}; y0=Log(s)", NULL},
    /* less its largest element, kept finite: nothing overflows */
    {"ReduceLogSumExp", "t=ReduceMax(x0,x1){noop_with_empty_axes=$}; a=Max(t,-3.4028235e38); m=Min(a,3.4028235e38); d=Sub(x0,m); e=Exp(d); "
     "s=ReduceSum(e,x1){+}; l=Log(s); k=ReduceSum(m,x1){+}; y0=Add(l,k)", NULL},
    {"ReduceSumSquare", "q=Mul(x0,x0); y0=ReduceSum(q,x1){+}", NULL},
    {"RotaryEmbedding", NULL, oct_body_rotary},
    {"Selu", "e=Elu(x0){alpha=$:1.67326319217681884765625}; y0=Mul(e,$gamma:1.05070102214813232421875)", NULL},
    {"Shrink", "l=Neg($lambd:0.5); p=Sub(x0,$bias:0); q=Add(x0,$bias:0); a=Greater(x0,$lambd:0.5); b=Less(x0,l); t=Where(a,p,0); y0=Where(b,q,t)", NULL},
    {"SoftmaxCrossEntropyLoss", NULL, oct_body_loss},
    {"Softsign", "a=Abs(x0); b=Add(a,1); y0=Div(x0,b)", NULL},
    {"Swish", NULL, body_swish},
    {"ThresholdedRelu", "c=Greater(x0,$alpha:1); y0=Where(c,x0,0)", NULL},
};

const oct_function *oct_function_find(const char *op_type)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].op_type, op_type) == 0)
            return &functions[i];
    return NULL;
}
