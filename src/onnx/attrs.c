/* Attributes between file and graph.  attrs.inc says which ones exist; everything else is refused by name, because an attribute
 * that is not understood may change what an operator computes. */
#include "onnx/proto.h"

#include <string.h>

typedef enum attr_use { KEEP, NEED, DROP, OLD, ONLY, SKIP } attr_use;

typedef struct attr_row {
    const char *op, *name;
    oct_attr_kind kind;
    attr_use use;
    double number; /* of INT, INTS, FLOAT */
    const char *text;
} attr_row;

#define VALUE_INT(v)    .number = (v)
#define VALUE_INTS(v)   .number = (v)
#define VALUE_FLOAT(v)  .number = (v)
#define VALUE_FLOATS(v) .number = (v)
#define VALUE_TENSOR(v) .number = (v)
#define VALUE_STRING(v) .text = (v)
static const attr_row rows[] = {
#define ATTR(op_, name_, kind_, use_, value_) {.op = op_, .name = name_, .kind = OCT_ATTR_##kind_, .use = use_, VALUE_##kind_(value_)},
#include "onnx/attrs.inc"
#undef ATTR
};

static const attr_row *find_row(const char *op, const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0 && strcmp(rows[i].op, op) == 0)
            return &rows[i];
    return NULL;
}

static bool is_default(const attr_row *row, const oct_attr *a)
{
    switch (a->kind) {
    case OCT_ATTR_INT: return a->i == (int64_t)row->number;
    case OCT_ATTR_FLOAT: return a->f == (float)row->number;
    case OCT_ATTR_STRING: return strcmp(a->s, row->text) == 0;
    case OCT_ATTR_INTS:
        for (int64_t i = 0; i < a->n; i++)
            if (a->ints[i] != (int64_t)row->number)
                return false;
        return true;
    default: return false;
    }
}

static int32_t proto_type(oct_attr_kind kind)
{
    switch (kind) {
    case OCT_ATTR_INT: return OCT_PROTO_INT;
    case OCT_ATTR_FLOAT: return OCT_PROTO_FLOAT;
    case OCT_ATTR_STRING: return OCT_PROTO_STRING;
    case OCT_ATTR_INTS: return OCT_PROTO_INTS;
    case OCT_ATTR_FLOATS: return OCT_PROTO_FLOATS;
    case OCT_ATTR_STRINGS: return OCT_PROTO_STRINGS;
    case OCT_ATTR_TENSOR: return OCT_PROTO_TENSOR;
    }
    return 0;
}

/* Borrowed view of the proto's value; NULL-terminated copies of strings go to the arena. */
static oct_status read_value(oct_onnx_files *files, oct_graph *g, const Onnx__AttributeProto *p, const char *label, oct_attr *a)
{
    int64_t bytes;
    switch (a->kind) {
    case OCT_ATTR_INT: a->i = p->i; break;
    case OCT_ATTR_FLOAT: a->f = p->f; break;
    case OCT_ATTR_STRING: return oct_arena_printf(g->arena, (char **)&a->s, "%.*s", (int)oct_min64((int64_t)p->s.len, 4096), p->s.len ? (const char *)p->s.data : "");
    case OCT_ATTR_INTS: a->n = (int64_t)p->n_ints, a->ints = p->ints; break;
    case OCT_ATTR_FLOATS: a->n = (int64_t)p->n_floats, a->floats = p->floats; break;
    case OCT_ATTR_TENSOR:
        if (!p->t)
            return oct_fail(OCT_ERR_CONTENT, "%s: attribute '%s' holds no tensor", label, a->name);
        if (p->t->data_type == OCT_U4 || p->t->data_type == OCT_S4)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: attribute '%s' holds 4-bit codes", label, a->name);
        return oct_onnx_tensor_read(files, g->arena, p->t, a->name, &a->tensor, &bytes);
    default: return oct_fail(OCT_ERR_UNSUPPORTED, "%s: attribute '%s' has an unsupported kind", label, a->name);
    }
    return OCT_OK;
}

oct_status oct_onnx_attrs_read(oct_onnx_files *files, oct_graph *g, const Onnx__NodeProto *p, const char *op_type, int64_t opset, oct_node *n)
{
    char *label = NULL;
    OCT_TRY(oct_arena_printf(g->arena, &label, "node '%s'", n->name));
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *ap = p->attribute[i];
        const char *name = oct_or_empty(ap->name);
        const attr_row *row = find_row(op_type, name);
        if (!row || oct_or_empty(ap->ref_attr_name)[0])
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: attribute '%s' of operator %s (opset %lld) is not supported", label, name, op_type, (long long)opset);
        if (ap->has_type && ap->type && ap->type != proto_type(row->kind))
            return oct_fail(OCT_ERR_CONTENT, "%s: attribute '%s' of operator %s has type %d, not %d", label, name, op_type, (int)ap->type,
                            (int)proto_type(row->kind));
        if (oct_node_attr(n, name))
            return oct_fail(OCT_ERR_CONTENT, "%s: attribute '%s' is given twice", label, name);
        oct_attr a = {.name = name, .kind = row->kind};
        if (row->use == SKIP)
            continue;
        OCT_TRY(read_value(files, g, ap, label, &a));
        bool same = (row->use == DROP || row->use == ONLY) && is_default(row, &a);
        if (row->use == ONLY && !same)
            return oct_fail(OCT_ERR_UNSUPPORTED, "%s: this value of attribute '%s' of operator %s (opset %lld) is not supported", label, name,
                            op_type, (long long)opset);
        if (!same)
            OCT_TRY(oct_node_set_attr(g, n, &a));
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].use == NEED && strcmp(rows[i].op, op_type) == 0 && !oct_node_attr(n, rows[i].name))
            return oct_fail(OCT_ERR_CONTENT, "%s: operator %s needs attribute '%s'", label, op_type, rows[i].name);
    return OCT_OK;
}

oct_status oct_onnx_attrs_check(const oct_node *n, const char *op_type, int64_t opset)
{
    for (int32_t i = 0; i < n->attr_count; i++) {
        const attr_row *row = find_row(op_type, n->attrs[i].name);
        if (row && row->use == OLD)
            return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s of opset %lld has no attribute '%s'", n->name, op_type, (long long)opset,
                            n->attrs[i].name);
    }
    return OCT_OK;
}

static oct_status add_attr(oct_arena *arena, Onnx__NodeProto *p, const char *name, oct_attr_kind kind, Onnx__AttributeProto **out)
{
    Onnx__AttributeProto **longer = NULL, *a = NULL;
    OCT_TRY(oct_arena_alloc(arena, (int64_t)((p->n_attribute + 1) * sizeof *longer), (void **)&longer));
    OCT_TRY(oct_arena_alloc(arena, (int64_t)sizeof *a, (void **)&a));
    if (p->n_attribute)
        memcpy(longer, p->attribute, p->n_attribute * sizeof *longer);
    onnx__attribute_proto__init(a);
    a->name = (char *)name;
    a->has_type = 1;
    a->type = proto_type(kind);
    longer[p->n_attribute++] = a;
    p->attribute = longer;
    *out = a;
    return OCT_OK;
}

oct_status oct_onnx_attr_add_ints(oct_arena *arena, Onnx__NodeProto *p, const char *name, const int64_t *v, int64_t count)
{
    Onnx__AttributeProto *a = NULL;
    OCT_TRY(add_attr(arena, p, name, OCT_ATTR_INTS, &a));
    a->n_ints = (size_t)count;
    return oct_arena_memdup(arena, v, count * (int64_t)sizeof *v, (void **)&a->ints);
}

static oct_status write_value(oct_arena *arena, const oct_attr *from, Onnx__AttributeProto *a)
{
    switch (from->kind) {
    case OCT_ATTR_INT: a->has_i = 1, a->i = from->i; return OCT_OK;
    case OCT_ATTR_FLOAT: a->has_f = 1, a->f = from->f; return OCT_OK;
    case OCT_ATTR_STRING:
        a->has_s = 1;
        a->s.data = (uint8_t *)from->s;
        a->s.len = strlen(from->s);
        return OCT_OK;
    case OCT_ATTR_INTS: a->n_ints = (size_t)from->n, a->ints = (int64_t *)from->ints; return OCT_OK;
    case OCT_ATTR_FLOATS: a->n_floats = (size_t)from->n, a->floats = (float *)from->floats; return OCT_OK;
    case OCT_ATTR_TENSOR: {
        const oct_tensor *t = &from->tensor;
        OCT_TRY(oct_arena_alloc(arena, (int64_t)sizeof *a->t, (void **)&a->t));
        return oct_onnx_tensor_write(arena, t->dtype, t->rank, t->dims, t->data, oct_tensor_count(t) * (int64_t)oct_dtype_size(t->dtype), NULL, a->t);
    }
    case OCT_ATTR_STRINGS: break;
    }
    return oct_fail(OCT_ERR_INTERNAL, "attribute '%s' has no ONNX form", from->name);
}

oct_status oct_onnx_attrs_write(oct_arena *arena, const oct_node *n, const char *const *skip, Onnx__NodeProto *p)
{
    for (int32_t i = 0; i < n->attr_count; i++) {
        bool left_out = false;
        for (const char *const *k = skip; k && *k; k++)
            left_out |= strcmp(*k, n->attrs[i].name) == 0;
        if (left_out)
            continue;
        Onnx__AttributeProto *a = NULL;
        OCT_TRY(add_attr(arena, p, n->attrs[i].name, n->attrs[i].kind, &a));
        OCT_TRY(write_value(arena, &n->attrs[i], a));
    }
    return OCT_OK;
}
