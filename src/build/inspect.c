/* What a plan does, step by step, as JSON: names, operator, precision, tactic, shapes, scales, work, and the reason when not INT8. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "build/build.h"

static cJSON *string_list(const char *joined)
{
    cJSON *list = cJSON_CreateArray();
    while (list && *joined) {
        size_t n = strcspn(joined, "\n");
        char *one = strndup(joined, n);
        if (!one || !cJSON_AddItemToArray(list, cJSON_CreateString(one))) {
            free(one);
            cJSON_Delete(list);
            return NULL;
        }
        free(one);
        joined += n + (joined[n] == '\n');
    }
    return list;
}

static cJSON *dims_list(const int64_t *dims, int rank)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; list && i < rank; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)dims[i]));
    return list;
}

static const char *dtype_of(const oct_plan_tensor *t) { return oct_dtype_name(t->biased ? OCT_S8 : (oct_dtype)t->dtype); }

/* {"name","dtype","shape"[,"scale","zero"]} of one input or output of a step; zero is that of the logical type. */
static cJSON *tensor_json(const oct_plan *p, int32_t id)
{
    const oct_plan_tensor *t = &p->tensors[id];
    cJSON *o = cJSON_CreateObject();
    if (!o)
        return NULL;
    cJSON_AddStringToObject(o, "name", oct_plan_string(p, t->name));
    cJSON_AddStringToObject(o, "dtype", dtype_of(t));
    cJSON_AddItemToObject(o, "shape", dims_list(t->dims, t->rank));
    if (t->scale > 0) {
        cJSON_AddNumberToObject(o, "scale", (double)t->scale);
        cJSON_AddNumberToObject(o, "zero", t->zero - (t->biased ? 128 : 0));
    }
    return o;
}

static int64_t bytes_of(const oct_plan_tensor *t)
{
    int64_t n = (int64_t)oct_dtype_size((oct_dtype)t->dtype);
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

static cJSON *step_json(const oct_plan *p, const oct_plan_step *s)
{
    cJSON *o = cJSON_CreateObject(), *shapes = cJSON_CreateObject(), *scales = cJSON_CreateObject();
    if (!o || !shapes || !scales)
        goto out_of_memory;
    cJSON_AddStringToObject(o, "name", oct_plan_string(p, s->name));
    cJSON_AddItemToObject(o, "sources", string_list(oct_plan_string(p, s->sources)));
    cJSON_AddStringToObject(o, "op", oct_plan_string(p, s->op));
    cJSON_AddStringToObject(o, "kind", oct_step_kind_name((oct_step_kind)s->kind));
    cJSON_AddStringToObject(o, "precision", oct_precision_name((oct_precision)s->precision));
    cJSON_AddStringToObject(o, "tactic", oct_plan_string(p, s->tactic));
    cJSON *in = cJSON_AddArrayToObject(o, "inputs"), *out = cJSON_AddArrayToObject(o, "outputs");
    cJSON *in_shapes = cJSON_AddArrayToObject(shapes, "inputs"), *out_shapes = cJSON_AddArrayToObject(shapes, "outputs");
    cJSON *in_scales = cJSON_AddArrayToObject(scales, "inputs"), *out_scales = cJSON_AddArrayToObject(scales, "outputs");
    int64_t bytes = 0;
    for (uint32_t i = 0; i < s->in_count + s->out_count; i++) {
        bool is_in = i < s->in_count;
        int32_t id = p->index[is_in ? s->in_first + i : s->out_first + i - s->in_count];
        const oct_plan_tensor *t = &p->tensors[id];
        cJSON_AddItemToArray(is_in ? in : out, tensor_json(p, id));
        cJSON_AddItemToArray(is_in ? in_shapes : out_shapes, dims_list(t->dims, t->rank));
        cJSON_AddItemToArray(is_in ? in_scales : out_scales, t->scale > 0 ? cJSON_CreateNumber((double)t->scale) : cJSON_CreateNull());
        bytes += bytes_of(t);
    }
    cJSON_AddItemToObject(o, "shapes", shapes);
    cJSON_AddItemToObject(o, "scales", scales);
    cJSON_AddNumberToObject(o, "macs", (double)s->macs);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddStringToObject(o, "reason", s->precision == OCT_PREC_INT8 ? "" : oct_plan_string(p, s->reason));
    return o;
out_of_memory:
    cJSON_Delete(o);
    cJSON_Delete(shapes);
    cJSON_Delete(scales);
    return NULL;
}

static cJSON *ports_json(const oct_plan *p, const oct_plan_port *ports, int32_t count)
{
    cJSON *list = cJSON_CreateArray();
    for (int32_t i = 0; list && i < count; i++) {
        cJSON *o = cJSON_CreateObject();
        if (!o)
            break;
        cJSON_AddStringToObject(o, "name", oct_plan_string(p, ports[i].name));
        cJSON_AddStringToObject(o, "dtype", oct_dtype_name((oct_dtype)ports[i].dtype));
        cJSON_AddItemToObject(o, "shape", dims_list(ports[i].dims, (int)ports[i].rank));
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

oct_status oct_plan_inspect_json(const oct_plan *plan, char **json)
{
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the description of a plan");
    cJSON_AddStringToObject(root, "isa", oct_isa_name((oct_isa)plan->header->isa));
    cJSON_AddNumberToObject(root, "arena_bytes", (double)plan->header->arena_bytes);
    cJSON_AddNumberToObject(root, "constant_bytes", (double)plan->header->section[OCT_SEC_CONST].size);
    cJSON_AddItemToObject(root, "inputs", ports_json(plan, plan->inputs, plan->input_count));
    cJSON_AddItemToObject(root, "outputs", ports_json(plan, plan->outputs, plan->output_count));
    cJSON *steps = cJSON_AddArrayToObject(root, "steps");
    for (int32_t i = 0; i < plan->step_count; i++)
        cJSON_AddItemToArray(steps, step_json(plan, &plan->steps[i]));
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the description of a plan");
    *json = text;
    return OCT_OK;
}
