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

/* The sources in one line, as other tools write fused layers: "conv1 + add1 + relu1". */
static bool add_fused(cJSON *o, const char *joined)
{
    oct_text t = {0};
    char *text = NULL;
    for (; *joined; joined += *joined == '\n') {
        size_t n = strcspn(joined, "\n");
        oct_text_printf(&t, "%s%.*s", t.size ? " + " : "", (int)n, joined);
        joined += n;
    }
    bool done = oct_text_finish(&t, &text) == OCT_OK && cJSON_AddStringToObject(o, "fused", text);
    free(text);
    return done;
}

static cJSON *dims_list(const int64_t *dims, int rank)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; list && i < rank; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)dims[i]));
    return list;
}

static const char *dtype_of(const oct_plan_tensor *t) { return oct_dtype_name(t->biased ? OCT_S8 : (oct_dtype)t->dtype); }

/* The elements lie as in memory of dims in the order `axes`, without gaps. Axes of one element lie anywhere. */
static bool is_dense(const oct_plan_tensor *t, const int *axes)
{
    int64_t step = 1;
    for (int i = t->rank; i-- > 0;) {
        const int64_t n = t->dims[axes[i]];
        if (n > 1 && t->strides[axes[i]] != step)
            return false;
        step *= n;
    }
    return true;
}

static const char *format_of(const oct_plan_tensor *t)
{
    int plain[OCT_MAX_RANK], nhwc[OCT_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        plain[i] = i;
        nhwc[i] = i == 0 ? 0 : i + 1 < t->rank ? i + 1 : 1;
    }
    return is_dense(t, plain) ? "plain" : t->rank > 2 && is_dense(t, nhwc) ? "nhwc" : "strided";
}

/* {"name","dtype","shape","format"[,"scale","zero"]} of one input or output of a step; zero is that of the logical type. */
static cJSON *tensor_json(const oct_plan *p, int32_t id)
{
    const oct_plan_tensor *t = &p->tensors[id];
    cJSON *o = cJSON_CreateObject();
    if (!o)
        return NULL;
    cJSON_AddStringToObject(o, "name", oct_plan_string(p, t->name));
    cJSON_AddStringToObject(o, "dtype", dtype_of(t));
    cJSON_AddItemToObject(o, "shape", dims_list(t->dims, t->rank));
    cJSON_AddStringToObject(o, "format", format_of(t));
    if (t->scale > 0) {
        cJSON_AddNumberToObject(o, "scale", (double)t->scale);
        cJSON_AddNumberToObject(o, "zero", t->zero - (t->biased ? 128 : 0));
    }
    return o;
}

static const char *reason_of(const oct_plan *p, const oct_plan_step *s)
{
    return s->precision == OCT_PREC_INT8 ? "" : oct_plan_string(p, s->reason);
}

static cJSON *step_json(const oct_plan *p, const oct_plan_step *s)
{
    cJSON *o = cJSON_CreateObject(), *shapes = cJSON_CreateObject(), *scales = cJSON_CreateObject();
    if (!o || !shapes || !scales || !add_fused(o, oct_plan_string(p, s->sources)))
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
    const oct_step_bytes bytes = oct_step_traffic(p, s);
    for (uint32_t i = 0; i < s->in_count + s->out_count; i++) {
        bool is_in = i < s->in_count;
        int32_t id = p->index[is_in ? s->in_first + i : s->out_first + i - s->in_count];
        const oct_plan_tensor *t = &p->tensors[id];
        cJSON_AddItemToArray(is_in ? in : out, tensor_json(p, id));
        cJSON_AddItemToArray(is_in ? in_shapes : out_shapes, dims_list(t->dims, t->rank));
        cJSON_AddItemToArray(is_in ? in_scales : out_scales, t->scale > 0 ? cJSON_CreateNumber((double)t->scale) : cJSON_CreateNull());
    }
    cJSON_AddItemToObject(o, "shapes", shapes);
    cJSON_AddItemToObject(o, "scales", scales);
    cJSON_AddNumberToObject(o, "macs", (double)s->macs);
    cJSON_AddNumberToObject(o, "bytes", (double)(bytes.in + bytes.out + bytes.weights));
    cJSON_AddNumberToObject(o, "weight_bytes", (double)bytes.weights);
    cJSON_AddStringToObject(o, "reason", reason_of(p, s));
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

/* A reason without the names that it quotes: head up to the first quote mark, tail from the last one on; without quotes all is head. */
typedef struct reason {
    const char *text, *tail;
    size_t head;
} reason;

static reason split_reason(const char *text)
{
    const char *first = strchr(text, '\''), *last = strrchr(text, '\'');
    return (reason){text, first == last ? "" : last, first == last ? strlen(text) : (size_t)(first - text)};
}

static bool same_reason(const reason *a, const reason *b)
{
    return a->head == b->head && memcmp(a->text, b->text, a->head) == 0 && strcmp(a->tail, b->tail) == 0;
}

typedef struct tally {
    reason reason;
    int32_t steps;
    double macs; /* of a hostile plan their sum would leave int64 */
} tally;

/* The kinds of reasons, in the order of the steps, with how many steps give them. At most MOST kinds are told apart. */
static oct_status add_reasons(const oct_plan *p, cJSON *o)
{
    enum { MOST = 64 };
    tally list[MOST];
    int count = 0;
    for (int32_t i = 0; i < p->step_count; i++) {
        const reason r = split_reason(reason_of(p, &p->steps[i]));
        int at = 0;
        while (at < count && !same_reason(&list[at].reason, &r))
            at++;
        if (!*r.text || at == MOST)
            continue;
        if (at == count)
            list[count++] = (tally){.reason = r};
        list[at].steps++;
        list[at].macs += (double)p->steps[i].macs;
    }
    cJSON *array = cJSON_AddArrayToObject(o, "reasons");
    for (int i = 0; i < count; i++) {
        oct_text t = {0};
        char *text;
        cJSON *e = cJSON_CreateObject();
        cJSON_AddItemToArray(array, e);
        oct_text_printf(&t, "%.*s%s%s", (int)list[i].reason.head, list[i].reason.text, *list[i].reason.tail ? "'...'" : "",
                        *list[i].reason.tail ? list[i].reason.tail + 1 : "");
        OCT_TRY(oct_text_finish(&t, &text));
        cJSON_AddStringToObject(e, "reason", text);
        free(text);
        cJSON_AddStringToObject(e, "example", list[i].reason.text);
        cJSON_AddNumberToObject(e, "steps", list[i].steps);
        cJSON_AddNumberToObject(e, "macs", list[i].macs);
    }
    return OCT_OK;
}

static oct_status add_summary(const oct_plan *p, cJSON *root)
{
    cJSON *o = cJSON_AddObjectToObject(root, "summary"), *steps = cJSON_AddObjectToObject(o, "steps");
    double macs = 0, int8_macs = 0;
    int count[OCT_PREC_CONVERT + 1] = {0};
    for (int32_t i = 0; i < p->step_count; i++) {
        const oct_plan_step *s = &p->steps[i];
        count[s->precision]++;
        macs += (double)s->macs;
        int8_macs += s->precision == OCT_PREC_INT8 ? (double)s->macs : 0;
    }
    for (int i = 0; i <= OCT_PREC_CONVERT; i++)
        if (count[i])
            cJSON_AddNumberToObject(steps, oct_precision_name((oct_precision)i), count[i]);
    cJSON_AddNumberToObject(o, "macs", macs);
    cJSON_AddNumberToObject(o, "int8_macs", int8_macs);
    cJSON_AddNumberToObject(o, "int8_share", macs > 0 ? int8_macs / macs : 0);
    return add_reasons(p, o);
}

oct_status oct_plan_inspect_json(const oct_plan *plan, char **json)
{
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the description of a plan");
    cJSON_AddStringToObject(root, "isa", oct_isa_name((oct_isa)plan->header->isa));
    cJSON_AddNumberToObject(root, "arena_bytes", (double)plan->header->arena_bytes);
    cJSON_AddNumberToObject(root, "constant_bytes", (double)plan->constant_size);
    cJSON_AddItemToObject(root, "inputs", ports_json(plan, plan->inputs, plan->input_count));
    cJSON_AddItemToObject(root, "outputs", ports_json(plan, plan->outputs, plan->output_count));
    if (add_summary(plan, root) != OCT_OK) {
        cJSON_Delete(root);
        return oct_last_error()->status;
    }
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
