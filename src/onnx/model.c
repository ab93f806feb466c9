/* The public model: load, look at, save.  Owns the graph and the stripped ModelProto that it came from. */
#include "onnx/model.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "onnx/proto.h"

static oct_status wrap(oct_graph *graph, Onnx__ModelProto *origin, const char *name, oct_model **out)
{
    oct_model *m = calloc(1, sizeof *m);
    char *own = strdup(name);
    if (!m || !own) {
        free(m);
        free(own);
        return oct_fail(OCT_ERR_MEMORY, "out of memory for the model '%s'", name);
    }
    *m = (oct_model){graph, origin, own};
    *out = m;
    return OCT_OK;
}

static oct_status load(const void *bytes, size_t size, const char *name, const char *folder, oct_model **out)
{
    oct_graph *graph = NULL;
    Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, size, bytes);
    if (!m)
        return oct_fail_file(oct_fail(OCT_ERR_CONTENT, "'%s' is not an ONNX model, or it is corrupt or truncated", name), name);
    oct_status s = oct_onnx_import(m, name, folder, &graph);
    if (s == OCT_OK)
        s = wrap(graph, m, name, out);
    if (s != OCT_OK) {
        oct_graph_destroy(graph);
        onnx__model_proto__free_unpacked(m, NULL);
    }
    return s;
}

oct_status oct_model_load_memory(const void *bytes, size_t size, const char *name, oct_model **out)
{
    return load(bytes, size, name ? name : "memory", NULL, out);
}

oct_status oct_model_load(const char *path, oct_model **out)
{
    void *data = NULL;
    int64_t size;
    OCT_TRY(oct_file_read(path, &data, &size));
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    oct_status s = folder ? load(data, (size_t)size, path, folder, out) : oct_fail(OCT_ERR_MEMORY, "out of memory while loading '%s'", path);
    free(folder);
    free(data);
    return s;
}

enum { SPLIT_LIMIT = 0x7f000000 }; /* a protobuf message ends below 2 GiB */

oct_status oct_model_save_split(const oct_model *model, const char *path, int64_t limit)
{
    return oct_onnx_export(model->graph, model->origin, path, limit);
}

oct_status oct_model_save_memory(const oct_model *model, void **data, int64_t *size)
{
    return oct_onnx_export_memory(model->graph, model->origin, data, size);
}

oct_status oct_model_save(const oct_model *model, const char *path) { return oct_model_save_split(model, path, SPLIT_LIMIT); }

void oct_model_destroy(oct_model *model)
{
    if (!model)
        return;
    oct_graph_destroy(model->graph);
    if (model->origin)
        onnx__model_proto__free_unpacked(model->origin, NULL);
    free(model->name);
    free(model);
}

static oct_status copy_origin(const Onnx__ModelProto *from, Onnx__ModelProto **out)
{
    size_t size = onnx__model_proto__get_packed_size(from);
    uint8_t *bytes = malloc(size + 1);
    if (bytes) {
        onnx__model_proto__pack(from, bytes);
        *out = onnx__model_proto__unpack(NULL, size, bytes);
    }
    free(bytes);
    return *out ? OCT_OK : oct_fail(OCT_ERR_MEMORY, "out of memory while copying a model");
}

oct_status oct_model_from_graph(oct_graph *graph, const oct_model *origin, oct_model **out)
{
    Onnx__ModelProto *copy = NULL;
    oct_status s = origin && origin->origin ? copy_origin(origin->origin, &copy) : OCT_OK;
    if (s == OCT_OK)
        s = wrap(graph, copy, origin ? origin->name : graph->name, out);
    if (s != OCT_OK) {
        oct_graph_destroy(graph);
        if (copy)
            onnx__model_proto__free_unpacked(copy, NULL);
    }
    return s;
}

/* --- looking --- */

static oct_status port(const oct_graph *g, oct_value *const *list, int64_t count, int index, const char *what, oct_port *out)
{
    if (index < 0 || index >= count)
        return oct_fail(OCT_ERR_USAGE, "the model has %lld %ss, there is no %s %d", (long long)count, what, what, index);
    const oct_value *v = list[index];
    if (v->shape.rank < 0)
        return oct_fail(OCT_ERR_UNSUPPORTED, "the rank of %s '%s' is not known", what, v->name);
    oct_port p = {.name = v->name, .dtype = v->dtype, .rank = v->shape.rank};
    for (int i = 0; i < p.rank; i++) {
        p.dims[i] = v->shape.dim[i];
        p.dim_names[i] = v->shape.dim[i] < 0 ? oct_graph_symbol_name(g, v->shape.dim[i]) : "";
    }
    *out = p;
    return OCT_OK;
}

int oct_model_input_count(const oct_model *model) { return (int)model->graph->input_count; }
int oct_model_output_count(const oct_model *model) { return (int)model->graph->output_count; }

oct_status oct_model_get_input(const oct_model *model, int index, oct_port *out)
{
    return port(model->graph, model->graph->inputs, model->graph->input_count, index, "input", out);
}

oct_status oct_model_get_output(const oct_model *model, int index, oct_port *out)
{
    return port(model->graph, model->graph->outputs, model->graph->output_count, index, "output", out);
}

const char *oct_model_get_metadata(const oct_model *model, const char *key) { return oct_graph_meta(model->graph, key); }

oct_status oct_model_set_metadata(oct_model *model, const char *key, const char *value) { return oct_graph_set_meta(model->graph, key, value); }

bool oct_model_is_quantized(const oct_model *model) { return oct_graph_is_quantized(model->graph); }
