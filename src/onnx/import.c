/* ModelProto -> graph: names, constants, nodes, types of the graph's inputs; then, node by node in execution order, upgrade to the
 * canonical form and shape inference.  Whatever does not fit ends here with an error that names the node, so that everything
 * behind may trust the graph. */
#include "onnx/proto.h"

#include <string.h>
#include "ir/strmap.h"

typedef struct importer {
    oct_graph *g;
    Onnx__GraphProto *p;
    oct_onnx_files files;
    oct_strmap nodes; /* name of a first output -> index of its NodeProto */
    const Onnx__ModelProto *m;
    int64_t opset;
} importer;

static bool is_default_domain(const char *domain) { return *domain == 0 || strcmp(domain, "ai.onnx") == 0; }

static oct_status read_opset(importer *im)
{
    for (size_t i = 0; i < im->m->n_opset_import; i++)
        if (is_default_domain(oct_or_empty(im->m->opset_import[i]->domain)))
            im->opset = oct_max64(im->opset, im->m->opset_import[i]->version);
    if (im->opset == 0)
        return oct_fail(OCT_ERR_CONTENT, "the model does not say which ONNX opset it uses");
    if (im->opset < OCT_OPSET_OLDEST)
        return oct_fail(OCT_ERR_UNSUPPORTED, "opset %lld is not supported, only %d and newer", (long long)im->opset, OCT_OPSET_OLDEST);
    im->g->opset = im->opset;
    return OCT_OK;
}

/* --- names and constants --- */

static oct_status new_value(importer *im, const char *name, const char *what, oct_value **out)
{
    if (!name || !*name)
        return oct_fail(OCT_ERR_CONTENT, "%s has no name", what);
    if (oct_value_find(im->g, name)) {
        oct_fail(OCT_ERR_CONTENT, "the name '%s' is given to two tensors", name);
        return oct_fail_node(OCT_ERR_CONTENT, name);
    }
    return oct_value_add(im->g, name, name, out);
}

static oct_status add_constant(importer *im, const char *name, const Onnx__TensorProto *t)
{
    oct_value *v = NULL;
    oct_tensor data;
    int64_t bytes;
    OCT_TRY(new_value(im, name, "an initializer", &v));
    oct_status s = oct_onnx_tensor_read(&im->files, im->g->arena, t, name, &data, &bytes);
    if (s != OCT_OK)
        return oct_fail_node(s, name);
    v->dtype = data.dtype;
    v->shape.rank = data.rank;
    memcpy(v->shape.dim, data.dims, sizeof data.dims);
    v->data = data.data;
    v->bytes = bytes;
    return OCT_OK;
}

static oct_status read_initializers(importer *im)
{
    for (size_t i = 0; i < im->p->n_initializer; i++) {
        Onnx__TensorProto *t = im->p->initializer[i];
        OCT_TRY(add_constant(im, t->name, t));
        protobuf_c_message_free_unpacked(&t->base, NULL); /* the graph has its own copy: keep the peak low */
        im->p->initializer[i] = NULL;
    }
    im->p->n_initializer = 0; /* its array stays with the message */
    if (im->p->n_sparse_initializer)
        return oct_fail(OCT_ERR_UNSUPPORTED, "sparse initializers are not supported");
    return OCT_OK;
}

/* Constant: all forms of the value become a TensorProto on the stack. */
static oct_status read_constant(importer *im, const Onnx__NodeProto *p, const char *name)
{
    if (p->n_output != 1 || p->n_input != 0 || p->n_attribute != 1)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': a Constant has one attribute and one output", name);
    const Onnx__AttributeProto *a = p->attribute[0];
    const char *form = oct_or_empty(a->name);
    Onnx__TensorProto t;
    int64_t count;
    onnx__tensor_proto__init(&t);
    t.has_data_type = 1;
    t.dims = &count;
    if (strcmp(form, "value") == 0 && a->t) {
        return add_constant(im, p->output[0], a->t);
    } else if (strcmp(form, "value_float") == 0) {
        t.data_type = OCT_F32, t.n_float_data = 1, t.float_data = (float *)&a->f;
    } else if (strcmp(form, "value_floats") == 0) {
        t.data_type = OCT_F32, t.n_dims = 1, t.n_float_data = a->n_floats, t.float_data = a->floats;
    } else if (strcmp(form, "value_int") == 0) {
        t.data_type = OCT_S64, t.n_int64_data = 1, t.int64_data = (int64_t *)&a->i;
    } else if (strcmp(form, "value_ints") == 0) {
        t.data_type = OCT_S64, t.n_dims = 1, t.n_int64_data = a->n_ints, t.int64_data = a->ints;
    } else {
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': attribute '%s' of operator Constant (opset %lld) is not supported", name, form,
                        (long long)im->opset);
    }
    count = (int64_t)(t.n_float_data + t.n_int64_data);
    return add_constant(im, p->output[0], &t);
}

/* --- inputs and outputs of the graph --- */

static oct_status read_type(importer *im, const Onnx__ValueInfoProto *p, oct_value *v)
{
    const Onnx__TypeProto__Tensor *t = p->type ? p->type->tensor_type : NULL;
    if (!t)
        return oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' is not a tensor", v->name);
    v->dtype = (oct_dtype)t->elem_type;
    if (oct_dtype_size(v->dtype) == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' has element type %d (%s), which is not supported", v->name, (int)t->elem_type,
                        oct_dtype_name(v->dtype));
    if (!t->shape)
        return oct_fail(OCT_ERR_UNSUPPORTED, "input '%s' has no declared rank", v->name);
    if (t->shape->n_dim > OCT_MAX_RANK)
        return oct_fail(OCT_ERR_UNSUPPORTED, "input '%s': rank %zu is above %d", v->name, t->shape->n_dim, OCT_MAX_RANK);
    v->shape.rank = (int32_t)t->shape->n_dim;
    int64_t fixed[OCT_MAX_RANK], count;
    for (int i = 0; i < v->shape.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
        fixed[i] = 1;
        if (d->has_dim_value && d->dim_value >= 0) {
            v->shape.dim[i] = fixed[i] = d->dim_value;
        } else if (oct_or_empty(d->dim_param)[0]) {
            OCT_TRY(oct_graph_add_symbol(im->g, d->dim_param, &v->shape.dim[i]));
        } else { /* unnamed: free, and equal to no other */
            char *name = NULL;
            OCT_TRY(oct_arena_printf(im->g->arena, &name, "%s:%d", v->name, i));
            OCT_TRY(oct_graph_add_symbol(im->g, name, &v->shape.dim[i]));
        }
    }
    if (oct_size_count(fixed, v->shape.rank, &count) != OCT_OK)
        return oct_fail(OCT_ERR_CONTENT, "input '%s' is too large", v->name);
    return OCT_OK;
}

static oct_status read_inputs(importer *im)
{
    oct_graph *g = im->g;
    for (size_t i = 0; i < im->p->n_input; i++) {
        const Onnx__ValueInfoProto *p = im->p->input[i];
        oct_value *v = oct_value_find(g, oct_or_empty(p->name));
        if (v && v->data)
            continue; /* an initializer that is listed as an input is a constant to us */
        OCT_TRY(new_value(im, p->name, "a graph input", &v));
        OCT_TRY(oct_graph_add_input(g, v));
        oct_status s = read_type(im, p, v);
        if (s != OCT_OK)
            return oct_fail_node(s, v->name);
    }
    return OCT_OK;
}

static oct_status read_outputs(importer *im)
{
    oct_graph *g = im->g;
    if (im->p->n_output == 0)
        return oct_fail(OCT_ERR_CONTENT, "the graph has no outputs");
    for (size_t i = 0; i < im->p->n_output; i++) {
        const char *name = oct_or_empty(im->p->output[i]->name);
        oct_value *v = oct_value_find(g, name);
        if (!v) {
            oct_fail(OCT_ERR_CONTENT, "graph output '%s' is not computed by any node", name);
            return oct_fail_node(OCT_ERR_CONTENT, name);
        }
        if (v->is_output)
            return oct_fail(OCT_ERR_CONTENT, "graph output '%s' is listed twice", name);
        OCT_TRY(oct_graph_add_output(g, v));
    }
    return OCT_OK;
}

static oct_status check_outputs(const importer *im)
{
    for (size_t i = 0; i < im->p->n_output; i++) {
        const Onnx__ValueInfoProto *p = im->p->output[i];
        const oct_value *v = im->g->outputs[i];
        int32_t declared = p->type && p->type->tensor_type ? p->type->tensor_type->elem_type : 0;
        if (v->dtype == OCT_U4 || v->dtype == OCT_S4) {
            oct_fail(OCT_ERR_UNSUPPORTED, "graph output '%s' has element type %s, which is not supported", v->name, oct_dtype_name(v->dtype));
            return oct_fail_node(OCT_ERR_UNSUPPORTED, v->name);
        }
        if (declared != 0 && v->dtype != OCT_DTYPE_NONE && declared != (int32_t)v->dtype)
            return oct_fail(OCT_ERR_CONTENT, "graph output '%s' is declared as %s and computed as %s", v->name, oct_dtype_name((oct_dtype)declared),
                            oct_dtype_name(v->dtype));
    }
    return OCT_OK;
}

/* --- nodes --- */

static const char *node_name(const Onnx__NodeProto *p)
{
    if (oct_or_empty(p->name)[0])
        return p->name;
    for (size_t i = 0; i < p->n_output; i++)
        if (p->output[i][0])
            return p->output[i];
    return "";
}

static bool is_constant(const Onnx__NodeProto *p)
{
    return strcmp(oct_or_empty(p->op_type), "Constant") == 0 && is_default_domain(oct_or_empty(p->domain));
}

/* Names of everything that nodes compute, so that a file may list its nodes in any order. */
static oct_status declare_outputs(importer *im, int64_t index)
{
    const Onnx__NodeProto *p = im->p->node[index];
    const char *name = node_name(p);
    bool first = true;
    if (!*name)
        return oct_fail(OCT_ERR_CONTENT, "node %lld (%s) has no outputs", (long long)index, oct_or_empty(p->op_type));
    if (is_constant(p)) {
        oct_status s = read_constant(im, p, name);
        return s == OCT_OK ? s : oct_fail_node(s, name);
    }
    for (size_t i = 0; i < p->n_output; i++) {
        oct_value *v = NULL;
        if (!p->output[i][0])
            continue;
        OCT_TRY(new_value(im, p->output[i], "an output", &v));
        if (first)
            OCT_TRY(oct_strmap_put(&im->nodes, v->name, index));
        first = false;
    }
    return OCT_OK;
}

static int64_t opset_of(const importer *im, const char *domain)
{
    for (size_t i = 0; i < im->m->n_opset_import; i++)
        if (strcmp(oct_or_empty(im->m->opset_import[i]->domain), domain) == 0)
            return im->m->opset_import[i]->version;
    return is_default_domain(domain) ? im->opset : 0;
}

static oct_status find_op(importer *im, const Onnx__NodeProto *p, const char *name, oct_op *op)
{
    const char *type = oct_or_empty(p->op_type), *domain = oct_or_empty(p->domain);
    *op = oct_onnx_op_find(type, domain);
    if (*op == OCT_OP_NONE)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s%s%s (opset %lld) is not supported", name, domain, *domain ? "." : "", type,
                        (long long)opset_of(im, domain));
    if (is_default_domain(domain) && oct_op_get(*op)->since > im->opset && strcmp(type, oct_op_get(*op)->name) == 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s is not part of opset %lld, only of %d and newer", name, type,
                        (long long)im->opset, oct_op_get(*op)->since);
    return OCT_OK;
}

static oct_status edges(importer *im, const char *name, size_t count, char **names, oct_value ***out)
{
    OCT_TRY(oct_arena_alloc(im->g->arena, (int64_t)(count * sizeof **out), (void **)out));
    for (size_t i = 0; i < count; i++)
        if (names[i][0] && !((*out)[i] = oct_value_find(im->g, names[i])))
            return oct_fail(OCT_ERR_CONTENT, "node '%s' reads '%s', which nothing computes", name, names[i]);
    return OCT_OK;
}

static oct_status add_node(importer *im, const Onnx__NodeProto *p, const char *name)
{
    oct_op op;
    oct_value **in = NULL, **out = NULL;
    oct_node *n = NULL;
    if (p->n_input > INT32_MAX / 2 || p->n_output > INT32_MAX / 2)
        return oct_fail(OCT_ERR_CONTENT, "node '%s' has too many edges", name);
    OCT_TRY(find_op(im, p, name, &op));
    OCT_TRY(edges(im, name, p->n_input, p->input, &in));
    OCT_TRY(edges(im, name, p->n_output, p->output, &out));
    OCT_TRY(oct_node_add(im->g, NULL, op, name, (int)p->n_input, in, (int)p->n_output, out, &n));
    return oct_onnx_attrs_read(&im->files, im->g, p, oct_or_empty(p->op_type), im->opset, n);
}

static oct_status read_nodes(importer *im)
{
    for (size_t i = 0; i < im->p->n_node; i++)
        OCT_TRY(declare_outputs(im, (int64_t)i));
    for (size_t i = 0; i < im->p->n_node; i++) {
        const Onnx__NodeProto *p = im->p->node[i];
        oct_status s = is_constant(p) ? OCT_OK : add_node(im, p, node_name(p));
        if (s != OCT_OK)
            return oct_fail_node(s, node_name(p));
    }
    return OCT_OK;
}

static const Onnx__NodeProto *proto_of(const importer *im, const oct_node *n)
{
    int64_t index;
    for (int32_t i = 0; i < n->output_count; i++)
        if (n->outputs[i] && oct_strmap_find(&im->nodes, n->outputs[i]->name, &index))
            return im->p->node[index];
    return NULL;
}

static oct_status upgrade_all(importer *im)
{
    oct_graph *g = im->g;
    for (int64_t i = 0; i < g->node_count; i++) {
        oct_node *n = g->nodes[i];
        const Onnx__NodeProto *p = proto_of(im, n); /* NULL when the file names none of its outputs */
        oct_status s = oct_onnx_upgrade(g, n, p ? oct_or_empty(p->op_type) : "", im->opset);
        if (s == OCT_OK)
            s = oct_op_get(n->op)->infer(g, n);
        if (s != OCT_OK)
            return oct_fail_node(s, n->name);
        while (g->nodes[i] != n) /* behind what was inserted before n */
            i++;
    }
    return OCT_OK;
}

static oct_status import(importer *im)
{
    OCT_TRY(read_opset(im));
    for (size_t i = 0; i < im->m->n_metadata_props; i++)
        OCT_TRY(oct_graph_set_meta(im->g, oct_or_empty(im->m->metadata_props[i]->key), oct_or_empty(im->m->metadata_props[i]->value)));
    OCT_TRY(read_initializers(im));
    OCT_TRY(read_inputs(im));
    OCT_TRY(read_nodes(im));
    OCT_TRY(read_outputs(im));
    OCT_TRY(oct_graph_sort(im->g));
    OCT_TRY(upgrade_all(im));
    OCT_TRY(check_outputs(im));
    return oct_graph_verify(im->g, "import");
}

/* Attributes are in the graph now; names, texts and unknown fields stay for the way back. */
static void strip(Onnx__GraphProto *p)
{
    for (size_t i = 0; i < p->n_node; i++) {
        for (size_t k = 0; k < p->node[i]->n_attribute; k++)
            protobuf_c_message_free_unpacked(&p->node[i]->attribute[k]->base, NULL);
        p->node[i]->n_attribute = 0;
    }
}

oct_status oct_onnx_import(Onnx__ModelProto *m, const char *file, const char *folder, oct_graph **out)
{
    if (!m->graph)
        return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s' holds no graph: it is not an ONNX model", file), file);
    importer im = {.m = m, .p = m->graph, .files = {.folder = folder}};
    OCT_TRY(oct_graph_create(oct_or_empty(m->graph->name), &im.g));
    im.nodes.arena = im.g->arena;
    oct_status s = import(&im);
    oct_onnx_files_close(&im.files);
    if (s == OCT_OK) {
        strip(m->graph);
        *out = im.g;
    } else {
        oct_graph_destroy(im.g);
        oct_fail_file(s, file);
    }
    return s;
}
