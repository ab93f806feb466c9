/* Graph -> ONNX file.  Everything the graph knows comes from the graph; what it does not hold (texts, unknown fields, declared shapes,
 * annotations) comes from the model it was read from, where its owner still exists.  The messages live in one arena and
 * borrow element data from the graph. */
#include "onnx/proto.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "ir/strmap.h"

enum { EXTERNAL_MIN = 1024, EXTERNAL_ALIGN = 4096 }; /* smaller tensors stay in the model; others begin on a page */

typedef struct writer {
    const oct_graph *g;
    const Onnx__ModelProto *origin; /* may be NULL */
    const Onnx__GraphProto *origin_graph;
    oct_arena *a;
    oct_strmap origin_nodes; /* name of a first output -> index of origin_graph->node */
    oct_strmap origin_in, origin_out; /* name -> index of origin_graph->input, ->output */
    oct_strmap read;         /* names that written nodes read */
    oct_strmap fresh;        /* names that the writer has made */
    Onnx__ModelProto m;
    Onnx__GraphProto p;
    int64_t target;
} writer;

/* An array of `count` zeroed pointers; *slot is its type's pointer. */
static oct_status pointers(writer *w, int64_t count, void *slot) { return oct_arena_alloc(w->a, (count + 1) * (int64_t)sizeof(void *), slot); }

/* --- nodes --- */

static const char *first_output(size_t count, char *const *names)
{
    for (size_t i = 0; i < count; i++)
        if (names[i][0])
            return names[i];
    return "";
}

static oct_status index_origin(writer *w)
{
    const Onnx__GraphProto *p = w->origin_graph;
    for (size_t i = 0; p && i < p->n_node; i++)
        OCT_TRY(oct_strmap_put(&w->origin_nodes, first_output(p->node[i]->n_output, p->node[i]->output), (int64_t)i));
    for (size_t i = 0; p && i < p->n_input; i++)
        OCT_TRY(oct_strmap_put(&w->origin_in, oct_or_empty(p->input[i]->name), (int64_t)i));
    for (size_t i = 0; p && i < p->n_output; i++)
        OCT_TRY(oct_strmap_put(&w->origin_out, oct_or_empty(p->output[i]->name), (int64_t)i));
    return OCT_OK;
}

static oct_status names_of(writer *w, oct_value *const *list, int32_t count, size_t *n, char ***out)
{
    OCT_TRY(pointers(w, count, out));
    for (int32_t i = 0; i < count; i++)
        (*out)[i] = (char *)(list[i] ? list[i]->name : "");
    *n = (size_t)count;
    return OCT_OK;
}

static oct_status new_node(writer *w, const char *op_type, const char *name, Onnx__NodeProto **out)
{
    Onnx__NodeProto *p = NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *p, (void **)&p));
    onnx__node_proto__init(p);
    p->op_type = (char *)op_type;
    p->name = (char *)name;
    w->p.node[w->p.n_node++] = p;
    *out = p;
    return OCT_OK;
}

/* Texts and unknown fields of the node that wrote the same tensor with the same operator. */
static void carry_node(const writer *w, Onnx__NodeProto *p)
{
    int64_t at;
    if (!oct_strmap_find(&w->origin_nodes, first_output(p->n_output, p->output), &at))
        return;
    const Onnx__NodeProto *from = w->origin_graph->node[at];
    if (strcmp(oct_or_empty(from->op_type), p->op_type) != 0)
        return;
    p->doc_string = from->doc_string;
    p->metadata_props = from->metadata_props;
    p->n_metadata_props = from->n_metadata_props;
    p->base.unknown_fields = from->base.unknown_fields;
    p->base.n_unknown_fields = from->base.n_unknown_fields;
    if (!oct_or_empty(from->name)[0])
        p->name = NULL; /* the graph's name for it was the importer's */
}

static oct_status mark_read(writer *w, const Onnx__NodeProto *p)
{
    for (size_t i = 0; i < p->n_input; i++)
        if (p->input[i][0])
            OCT_TRY(oct_strmap_put(&w->read, p->input[i], 1));
    return OCT_OK;
}

/* A tensor name that neither the graph nor the writer uses. */
static oct_status fresh_name(writer *w, const char *stem, const char *what, char **out)
{
    OCT_TRY(oct_arena_printf(w->a, out, "%s_%s", stem, what));
    for (int i = 1; oct_value_find(w->g, *out) || oct_strmap_find(&w->fresh, *out, NULL); i++)
        OCT_TRY(oct_arena_printf(w->a, out, "%s_%s_%d", stem, what, i));
    return oct_strmap_put(&w->fresh, *out, 1);
}

/* Silu(x) = Mul(x, Sigmoid(x)): ONNX has no such operator in the opsets written here. */
static oct_status write_silu(writer *w, const oct_node *n)
{
    Onnx__NodeProto *sigmoid = NULL, *mul = NULL;
    char *middle = NULL, *name = NULL, **list = NULL;
    const char *x = n->inputs[0]->name;
    OCT_TRY(fresh_name(w, n->outputs[0]->name, "sigmoid", &middle));
    OCT_TRY(oct_arena_printf(w->a, &name, "%s_sigmoid", n->name));
    OCT_TRY(pointers(w, 4, &list));
    list[0] = (char *)x, list[1] = middle, list[2] = (char *)n->outputs[0]->name;
    OCT_TRY(new_node(w, "Sigmoid", name, &sigmoid));
    sigmoid->n_input = sigmoid->n_output = 1;
    sigmoid->input = &list[0];
    sigmoid->output = &list[1];
    OCT_TRY(new_node(w, "Mul", n->name, &mul));
    mul->n_input = 2, mul->n_output = 1;
    mul->input = &list[0];
    mul->output = &list[2];
    return mark_read(w, mul);
}

static oct_status write_node(writer *w, const oct_node *n)
{
    const oct_op_def *def = oct_op_get(n->op);
    Onnx__NodeProto *p = NULL;
    bool biased = n->op == OCT_OP_MATMUL && n->input_count > 2;
    if (n->int8 || n->fused.residual || n->fused.clamp || n->fused.residual_inner || biased)
        return oct_fail(OCT_ERR_INTERNAL, "node '%s' is fused or integer and has no ONNX form", n->name);
    if (n->op == OCT_OP_SILU)
        return write_silu(w, n);
    if (*def->domain)
        return oct_fail(OCT_ERR_INTERNAL, "node '%s': operator %s has no ONNX form", n->name, def->name);
    OCT_TRY(new_node(w, def->name, n->name, &p));
    OCT_TRY(names_of(w, n->inputs, n->input_count, &p->n_input, &p->input));
    OCT_TRY(names_of(w, n->outputs, n->output_count, &p->n_output, &p->output));
    OCT_TRY(oct_onnx_downgrade(w->a, n, w->target, p));
    carry_node(w, p);
    return mark_read(w, p);
}

/* --- types of the graph's inputs and outputs --- */

static const Onnx__ValueInfoProto *find_info(const oct_strmap *index, Onnx__ValueInfoProto *const *list, const char *name)
{
    int64_t at;
    return oct_strmap_find(index, name, &at) ? list[at] : NULL;
}

/* The dimension as the source declared it, where that says no less than the graph does. */
static oct_status write_dim(writer *w, int64_t dim, const Onnx__TensorShapeProto__Dimension *was, Onnx__TensorShapeProto__Dimension **out)
{
    Onnx__TensorShapeProto__Dimension *d = NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *d, (void **)&d));
    onnx__tensor_shape_proto__dimension__init(d);
    if (was)
        *d = *was;
    if (dim >= 0) {
        d->has_dim_value = 1;
        d->dim_value = dim;
        d->dim_param = NULL;
    } else if (!was) {
        d->dim_param = (char *)oct_graph_symbol_name(w->g, dim);
    }
    *out = d;
    return OCT_OK;
}

static oct_status write_info(writer *w, const oct_value *v, const Onnx__ValueInfoProto *was, Onnx__ValueInfoProto **out)
{
    Onnx__ValueInfoProto *info = NULL;
    Onnx__TypeProto *type = NULL;
    Onnx__TypeProto__Tensor *tensor = NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *info, (void **)&info));
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *type, (void **)&type));
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *tensor, (void **)&tensor));
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    const Onnx__TypeProto__Tensor *was_tensor = NULL;
    if (was)
        *info = *was;
    if (was && was->type) {
        *type = *was->type;
        was_tensor = was->type->tensor_type;
    }
    if (was_tensor)
        *tensor = *was_tensor;
    info->name = (char *)v->name;
    info->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)v->dtype;
    *out = info;
    if (v->shape.rank < 0)
        return OCT_OK;
    bool same = tensor->shape && tensor->shape->n_dim == (size_t)v->shape.rank;
    const Onnx__TensorShapeProto *was_shape = same ? tensor->shape : NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *tensor->shape, (void **)&tensor->shape));
    onnx__tensor_shape_proto__init(tensor->shape);
    OCT_TRY(pointers(w, v->shape.rank, &tensor->shape->dim));
    tensor->shape->n_dim = (size_t)v->shape.rank;
    for (int i = 0; i < v->shape.rank; i++)
        OCT_TRY(write_dim(w, v->shape.dim[i], was_shape ? was_shape->dim[i] : NULL, &tensor->shape->dim[i]));
    return OCT_OK;
}

static oct_status write_ports(writer *w)
{
    const oct_graph *g = w->g;
    const Onnx__GraphProto *from = w->origin_graph;
    OCT_TRY(pointers(w, g->input_count, &w->p.input));
    OCT_TRY(pointers(w, g->output_count, &w->p.output));
    for (int64_t i = 0; i < g->input_count; i++)
        OCT_TRY(write_info(w, g->inputs[i], from ? find_info(&w->origin_in, from->input, g->inputs[i]->name) : NULL, &w->p.input[w->p.n_input++]));
    for (int64_t i = 0; i < g->output_count; i++)
        OCT_TRY(write_info(w, g->outputs[i], from ? find_info(&w->origin_out, from->output, g->outputs[i]->name) : NULL, &w->p.output[w->p.n_output++]));
    return OCT_OK;
}

/* Declared types and annotations of tensors that still exist. */
static oct_status carry_tensors(writer *w)
{
    const Onnx__GraphProto *from = w->origin_graph;
    if (!from)
        return OCT_OK;
    OCT_TRY(pointers(w, (int64_t)from->n_value_info, &w->p.value_info));
    for (size_t i = 0; i < from->n_value_info; i++) {
        const oct_value *v = oct_value_find(w->g, oct_or_empty(from->value_info[i]->name));
        if (v && v->producer && !v->is_output)
            w->p.value_info[w->p.n_value_info++] = from->value_info[i];
    }
    OCT_TRY(pointers(w, (int64_t)from->n_quantization_annotation, &w->p.quantization_annotation));
    for (size_t i = 0; i < from->n_quantization_annotation; i++)
        if (oct_value_find(w->g, oct_or_empty(from->quantization_annotation[i]->tensor_name)))
            w->p.quantization_annotation[w->p.n_quantization_annotation++] = from->quantization_annotation[i];
    return OCT_OK;
}

/* --- initializers --- */

static oct_status write_initializers(writer *w, int64_t *total)
{
    const oct_graph *g = w->g;
    OCT_TRY(pointers(w, g->value_count, &w->p.initializer));
    for (int64_t i = 0; i < g->value_count; i++) {
        const oct_value *v = g->values[i];
        Onnx__TensorProto *t = NULL;
        if (!v->data || !(v->is_output || oct_strmap_find(&w->read, v->name, NULL)))
            continue;
        OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *t, (void **)&t));
        OCT_TRY(oct_onnx_tensor_write(w->a, v->dtype, v->shape.rank, v->shape.dim, v->data, v->bytes, v->name, t));
        OCT_TRY(oct_size_add(*total, (int64_t)t->raw_data.len, total));
        w->p.initializer[w->p.n_initializer++] = t;
    }
    return OCT_OK;
}

static oct_status add_entry(writer *w, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *e, (void **)&e));
    onnx__string_string_entry_proto__init(e);
    e->key = (char *)key;
    e->value = (char *)value;
    t->external_data[t->n_external_data++] = e;
    return OCT_OK;
}

/* Move the data of one tensor behind `offset` of the open file. */
static oct_status move_out(writer *w, Onnx__TensorProto *t, const char *location, oct_file_out *f, int64_t *offset)
{
    static const char zeros[EXTERNAL_ALIGN];
    int64_t size = (int64_t)t->raw_data.len, at = oct_round_up(*offset, EXTERNAL_ALIGN);
    char *from = NULL, *length = NULL;
    OCT_TRY(oct_file_put(f, zeros, at - *offset));
    OCT_TRY(oct_file_put(f, t->raw_data.data, size));
    OCT_TRY(oct_arena_printf(w->a, &from, "%lld", (long long)at));
    OCT_TRY(oct_arena_printf(w->a, &length, "%lld", (long long)size));
    OCT_TRY(pointers(w, 3, &t->external_data));
    OCT_TRY(add_entry(w, t, "location", location));
    OCT_TRY(add_entry(w, t, "offset", from));
    OCT_TRY(add_entry(w, t, "length", length));
    t->has_raw_data = 0;
    t->has_data_location = 1;
    t->data_location = 1;
    *offset = at + size;
    return OCT_OK;
}

static oct_status write_external(writer *w, const char *path, oct_file_out **out)
{
    char *file = NULL;
    OCT_TRY(oct_arena_printf(w->a, &file, "%s.data", path));
    const char *slash = strrchr(file, '/');
    oct_file_out *f = NULL;
    OCT_TRY(oct_file_begin(file, &f));
    int64_t offset = 0;
    for (size_t i = 0; i < w->p.n_initializer; i++) {
        if (w->p.initializer[i]->raw_data.len < EXTERNAL_MIN)
            continue;
        oct_status s = move_out(w, w->p.initializer[i], slash ? slash + 1 : file, f, &offset);
        if (s != OCT_OK) {
            oct_file_abort(f);
            return s;
        }
    }
    *out = f;
    return OCT_OK;
}

/* --- the model --- */

static int64_t ir_version_for(int64_t opset)
{
    static const struct {
        int64_t opset, ir;
    } first[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {0, 7}}; /* of the release that brought the opset */
    size_t i = 0;
    while (opset < first[i].opset)
        i++;
    return first[i].ir;
}

static oct_status write_header(writer *w)
{
    static const char *const producer = "octavo";
    const Onnx__ModelProto *from = w->origin;
    onnx__model_proto__init(&w->m);
    if (from)
        w->m = *from; /* domain, texts, functions and unknown fields; borrowed */
    w->m.producer_name = (char *)producer;
    w->m.producer_version = (char *)oct_version();
    w->m.has_ir_version = 1;
    w->m.ir_version = oct_max64(from ? from->ir_version : 0, ir_version_for(w->target));
    w->m.graph = &w->p;

    size_t n = from ? from->n_opset_import : 0;
    Onnx__OperatorSetIdProto *own = NULL;
    OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *own, (void **)&own));
    onnx__operator_set_id_proto__init(own);
    own->domain = (char *)"";
    own->has_version = 1;
    own->version = w->target;
    OCT_TRY(pointers(w, (int64_t)n + 1, &w->m.opset_import));
    w->m.n_opset_import = 0;
    w->m.opset_import[w->m.n_opset_import++] = own;
    for (size_t i = 0; i < n; i++) {
        const char *domain = oct_or_empty(from->opset_import[i]->domain);
        if (*domain && strcmp(domain, "ai.onnx") != 0)
            w->m.opset_import[w->m.n_opset_import++] = from->opset_import[i];
    }

    OCT_TRY(pointers(w, w->g->meta_count, &w->m.metadata_props));
    w->m.n_metadata_props = 0;
    for (int64_t i = 0; i < w->g->meta_count; i++) {
        Onnx__StringStringEntryProto *e = NULL;
        OCT_TRY(oct_arena_alloc(w->a, (int64_t)sizeof *e, (void **)&e));
        onnx__string_string_entry_proto__init(e);
        e->key = (char *)w->g->meta_keys[i];
        e->value = (char *)w->g->meta_values[i];
        w->m.metadata_props[w->m.n_metadata_props++] = e;
    }
    return OCT_OK;
}

static oct_status write_graph(writer *w)
{
    const oct_graph *g = w->g;
    onnx__graph_proto__init(&w->p);
    w->p.name = (char *)(*g->name ? g->name : "octavo"); /* ONNX wants one */
    if (w->origin_graph) {
        w->p.doc_string = w->origin_graph->doc_string;
        w->p.base.unknown_fields = w->origin_graph->base.unknown_fields;
        w->p.base.n_unknown_fields = w->origin_graph->base.n_unknown_fields;
    }
    w->target = g->opset;
    for (int64_t i = 0; i < g->node_count; i++)
        w->target = oct_max64(w->target, oct_onnx_needs(g->nodes[i]));
    OCT_TRY(index_origin(w));
    OCT_TRY(pointers(w, 2 * g->node_count, &w->p.node));
    for (int64_t i = 0; i < g->node_count; i++)
        OCT_TRY(write_node(w, g->nodes[i]));
    OCT_TRY(write_ports(w));
    return carry_tensors(w);
}

/* The message as one malloc'd block; name is for messages. */
static oct_status pack(const writer *w, const char *name, void **out, int64_t *out_size)
{
    size_t size = onnx__model_proto__get_packed_size(&w->m);
    if (size > INT_MAX)
        return oct_fail(OCT_ERR_UNSUPPORTED, "'%s' would be a model of more than 2 GiB without its weights", name);
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return oct_fail(OCT_ERR_MEMORY, "out of memory while writing '%s'", name);
    onnx__model_proto__pack(&w->m, bytes);
    *out = bytes;
    *out_size = (int64_t)size;
    return OCT_OK;
}

static oct_status write_file(const writer *w, const char *path, oct_file_out *external)
{
    oct_status s = OCT_OK;
    oct_file_out *f = NULL;
    void *bytes = NULL;
    int64_t size = 0;
    OCT_TRY_DONE(pack(w, path, &bytes, &size));
    OCT_TRY_DONE(oct_file_begin(path, &f));
    OCT_TRY_DONE(oct_file_put(f, bytes, size));
    if (external) { /* weights first: a model never names data that is not there */
        oct_file_out *weights = external;
        external = NULL;
        OCT_TRY_DONE(oct_file_commit(weights));
    }
    oct_file_out *whole = f;
    f = NULL;
    s = oct_file_commit(whole);
done:
    free(bytes);
    oct_file_abort(f);
    oct_file_abort(external);
    return s;
}

/* Everything but where it goes. */
static oct_status make_message(writer *w, int64_t *weight_bytes)
{
    OCT_TRY(oct_arena_create(&w->a));
    w->origin_nodes.arena = w->origin_in.arena = w->origin_out.arena = w->read.arena = w->fresh.arena = w->a;
    OCT_TRY(write_graph(w));
    OCT_TRY(write_header(w));
    return write_initializers(w, weight_bytes);
}

oct_status oct_onnx_export(const oct_graph *g, const Onnx__ModelProto *origin, const char *path, int64_t limit)
{
    writer w = {.g = g, .origin = origin, .origin_graph = origin ? origin->graph : NULL};
    oct_file_out *external = NULL;
    int64_t total = 0;
    oct_status s = make_message(&w, &total);
    if (s == OCT_OK && total > limit)
        s = write_external(&w, path, &external);
    if (s == OCT_OK)
        s = write_file(&w, path, external);
    oct_arena_destroy(w.a);
    return s;
}

oct_status oct_onnx_export_memory(const oct_graph *g, const Onnx__ModelProto *origin, void **data, int64_t *size)
{
    writer w = {.g = g, .origin = origin, .origin_graph = origin ? origin->graph : NULL};
    int64_t total = 0;
    oct_status s = make_message(&w, &total);
    if (s == OCT_OK)
        s = pack(&w, g->name, data, size);
    oct_arena_destroy(w.a);
    return s;
}
