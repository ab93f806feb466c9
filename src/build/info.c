/* What a model is made of, as JSON: ports, operators, parameters, work, which layers can be INT8 and why not, and what each optimizer
 * pass changes.  Works on copies of the model's graph; nothing here decides how a plan is built. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "onnx/model.h"
#include "opt/form.h"

/* --- ports, operators, parameters, work --- */

static cJSON *ports_json(const oct_graph *g, oct_value *const *list, int64_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < count; i++) {
        const oct_value *v = list[i];
        cJSON *o = cJSON_CreateObject(), *dims = cJSON_CreateArray();
        cJSON_AddStringToObject(o, "name", v->name);
        cJSON_AddStringToObject(o, "dtype", oct_dtype_name(v->dtype));
        for (int k = 0; k < v->shape.rank; k++) {
            int64_t d = v->shape.dim[k];
            cJSON_AddItemToArray(dims, d < 0 ? cJSON_CreateString(oct_graph_symbol_name(g, d)) : cJSON_CreateNumber((double)d));
        }
        cJSON_AddItemToObject(o, "dims", dims);
        cJSON_AddItemToArray(array, o);
    }
    return array;
}

static cJSON *ops_json(const oct_graph *g)
{
    cJSON *o = cJSON_CreateObject();
    for (int op = OCT_OP_NONE + 1; o && op < OCT_OP_COUNT; op++) {
        int64_t count = 0;
        for (int64_t i = 0; i < g->node_count; i++)
            count += g->nodes[i]->op == (oct_op)op;
        if (count)
            cJSON_AddNumberToObject(o, oct_op_get((oct_op)op)->name, (double)count);
    }
    return o;
}

static bool is_integer_product(const oct_node *n) { return n->op == OCT_OP_CONV_INTEGER || n->op == OCT_OP_MATMUL_INTEGER; }

/* Does n read input i as weights, rather than as a scale, a limit, an axis or a size? */
static bool reads_weights(const oct_node *n, int i)
{
    switch (n->op) {
    case OCT_OP_CONV_INTEGER:
    case OCT_OP_MATMUL_INTEGER: return i == 1;
    case OCT_OP_QUANTIZE: return false;
    case OCT_OP_DEQUANTIZE: return i == 0;
    case OCT_OP_CLIP:
    case OCT_OP_RESIZE:
    case OCT_OP_PAD:
    case OCT_OP_RANGE: return false;
    default: return true;
    }
}

/* Elements of constants, each counted once: float ones, and the integer codes of dequantized ones. */
static int64_t count_params(const oct_graph *g)
{
    int64_t total = 0, count;
    for (int64_t i = 0; i < g->value_count; i++) {
        const oct_value *v = g->values[i];
        bool weights = false, is_float = v->dtype == OCT_F32 || v->dtype == OCT_F16 || v->dtype == OCT_BF16 || v->dtype == OCT_F64;
        for (int64_t u = 0; v->data && u < v->user_count && !weights; u++) {
            const oct_node *n = v->users[u];
            for (int k = 0; k < n->input_count; k++)
                weights |= n->inputs[k] == v && reads_weights(n, k) && (is_float || n->op == OCT_OP_DEQUANTIZE || is_integer_product(n));
        }
        if (weights && oct_shape_count(&v->shape, &count) == OCT_OK)
            total += count;
    }
    return total;
}

/* Work for one sample: free dimensions are 1, as far as the model can be run like that. */
static oct_status count_macs(const oct_graph *g, double *out)
{
    oct_graph *bound = NULL;
    int64_t *ones = NULL;
    OCT_TRY(oct_graph_clone(g, &bound));
    oct_status s = oct_arena_alloc(bound->arena, (bound->symbol_count + 1) * (int64_t)sizeof *ones, (void **)&ones);
    for (int64_t i = 0; s == OCT_OK && i < bound->symbol_count; i++)
        ones[i] = 1;
    bool fits = s == OCT_OK && oct_graph_bind(bound, ones) == OCT_OK;
    const oct_graph *from = fits ? bound : g;
    double total = 0;
    for (int64_t i = 0; i < from->node_count; i++)
        total += (double)oct_node_macs(from->nodes[i]);
    oct_graph_destroy(bound);
    *out = total;
    return s;
}

/* --- layers --- */

/* Reshapes, copies and index arithmetic have no precision of their own. */
static bool is_layer(const oct_node *n)
{
    const oct_value *y = oct_node_out(n, 0);
    if (oct_op_get(n->op)->flags & OCT_OPF_M || !y)
        return false;
    switch (n->op) {
    case OCT_OP_QUANTIZE:
    case OCT_OP_DEQUANTIZE:
    case OCT_OP_REQUANTIZE:
    case OCT_OP_DYNAMIC_QUANTIZE:
    case OCT_OP_CAST: return false;
    default: return n->int8 || is_integer_product(n) || y->dtype == OCT_F32;
    }
}

/* Why a layer of a float model stays float however it is quantized; "" when it has an integer form. */
static const char *obstacle(const oct_node *n)
{
    const oct_value *w = oct_node_in(n, 1);
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_CONV_TRANSPOSE: return w->data ? "" : "the weights are not constant";
    case OCT_OP_GEMM:
    case OCT_OP_MATMUL:
        if (!w->data)
            return "both factors are activations";
        if (n->op == OCT_OP_MATMUL && w->shape.rank != 2)
            return "the weights are not a matrix";
        return oct_node_int(n, "transA", 0) ? "the first factor is transposed" : "";
    case OCT_OP_REDUCE_MEAN: return oct_is_spatial_mean(n) ? "" : "only a mean over height and width has an integer form";
    case OCT_OP_ADD:
    case OCT_OP_SUB:
    case OCT_OP_MUL:
    case OCT_OP_MAX_POOL:
    case OCT_OP_AVERAGE_POOL:
    case OCT_OP_GLOBAL_AVERAGE_POOL:
    case OCT_OP_GLOBAL_MAX_POOL: return "";
    case OCT_OP_RESIZE: return strcmp(oct_node_string(n, "mode", "nearest"), "nearest") == 0 ? "" : "interpolation runs in float";
    case OCT_OP_PAD: return oct_pad_writes_value(n) ? "only padding with zero has an integer form" : "";
    default: return oct_op_get(n->op)->flags & OCT_OPF_U ? "" : "the operator has no integer form";
    }
}

static cJSON *layers_json(const oct_graph *g, bool quantized)
{
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array && i < g->node_count; i++) {
        const oct_node *n = g->nodes[i];
        if (!is_layer(n))
            continue;
        const bool int8 = n->int8 || is_integer_product(n);
        const char *reason = int8 ? "" : !quantized ? obstacle(n) : n->reason ? n->reason : "";
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", n->name);
        cJSON_AddStringToObject(o, "op", oct_op_get(n->op)->name);
        cJSON_AddBoolToObject(o, "int8", quantized ? int8 : !*reason);
        cJSON_AddStringToObject(o, "reason", reason);
        cJSON_AddItemToArray(array, o);
    }
    return array;
}

static void add_lines(cJSON *array, char *text)
{
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        cJSON_AddItemToArray(array, cJSON_CreateString(line));
        line = end ? end + 1 : NULL;
    }
}

/* Run the passes on a copy. */
static oct_status optimize(const oct_graph *g, unsigned stages, oct_text *report, oct_graph **out)
{
    oct_graph *copy = NULL;
    OCT_TRY(oct_graph_clone(g, &copy));
    oct_status s = oct_opt_run(&(oct_opt){.g = copy, .stages = stages, .fold = oct_build_fold, .report = report});
    if (s == OCT_OK)
        *out = copy;
    else
        oct_graph_destroy(copy);
    return s;
}

/* Layers are those of the optimized graph: what folds away is not there to be INT8 or not. */
static oct_status add_layers(const oct_graph *g, bool quantized, cJSON *root)
{
    oct_graph *copy = NULL;
    OCT_TRY(optimize(g, quantized ? OCT_OPT_EXPORT | OCT_OPT_QDQ | OCT_OPT_FUSE : OCT_OPT_EXPORT, NULL, &copy));
    cJSON_AddItemToObject(root, "layers", layers_json(copy, quantized));
    oct_graph_destroy(copy);
    return OCT_OK;
}

static oct_status add_passes(const oct_graph *g, cJSON *root)
{
    oct_graph *copy = NULL;
    oct_text report = {0};
    char *text = NULL;
    oct_status s = optimize(g, OCT_OPT_EXPORT | OCT_OPT_QDQ | OCT_OPT_FUSE, &report, &copy);
    if (s == OCT_OK)
        s = oct_text_finish(&report, &text);
    if (s == OCT_OK)
        add_lines(cJSON_AddArrayToObject(root, "passes"), text);
    free(text);
    oct_text_discard(&report);
    oct_graph_destroy(copy);
    return s;
}

oct_status oct_model_info_json(const oct_model *model, bool passes, char **json)
{
    oct_status s = OCT_OK;
    const oct_graph *g = model->graph;
    double macs = 0;
    char *text = NULL;
    cJSON *root = cJSON_CreateObject();
    OCT_TRY_DONE(count_macs(g, &macs));
    cJSON_AddItemToObject(root, "inputs", ports_json(g, g->inputs, g->input_count));
    cJSON_AddItemToObject(root, "outputs", ports_json(g, g->outputs, g->output_count));
    cJSON_AddItemToObject(root, "ops", ops_json(g));
    cJSON_AddNumberToObject(root, "params", (double)count_params(g));
    cJSON_AddNumberToObject(root, "macs", macs);
    cJSON_AddNumberToObject(root, "opset", (double)g->opset);
    cJSON_AddBoolToObject(root, "quantized", oct_model_is_quantized(model));
    OCT_TRY_DONE(add_layers(g, oct_model_is_quantized(model), root));
    if (passes)
        OCT_TRY_DONE(add_passes(g, root));
    text = cJSON_PrintUnformatted(root);
    if (!text)
        OCT_FAIL_DONE(OCT_ERR_MEMORY, "no memory for the description of a model");
    *json = text;
done:
    cJSON_Delete(root);
    return s;
}
