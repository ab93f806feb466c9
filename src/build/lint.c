/* Findings on the steps of a plan: conversions inside the graph, sums in float between integer layers, tables for Concat, lanes
 * that compute nothing.  Each says what is there, not what might be; border Q/DQ (model inputs and outputs) are as they should be.
 * The way in for both public calls; weights and scales are looked at in lint_graph.c. */
#include "build/lint.h"

#include <stdlib.h>
#include <string.h>
#include "build/build.h"
#include "kernels/kernel.h"
#include "onnx/model.h"
#include "plan/conv.h"
#include "plan/tactic.h"

#define COSTLY 0.05 /* of the work of the whole plan */

oct_status oct_lint_add(cJSON *list, const char *rule, const char *key, const char *name, const char *hint, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cJSON *o = cJSON_CreateObject();
    if (!o || !cJSON_AddItemToArray(list, o) || !cJSON_AddStringToObject(o, "rule", rule) ||
        !cJSON_AddStringToObject(o, key, name) || !cJSON_AddStringToObject(o, "message", message) ||
        !cJSON_AddStringToObject(o, "hint", hint))
        return oct_fail(OCT_ERR_MEMORY, "no memory for a finding");
    return OCT_OK;
}

/* --- who writes, who reads --- */

static const oct_plan_tensor *in_of(const oct_plan *p, const oct_plan_step *s, uint32_t i)
{
    return &p->tensors[p->index[s->in_first + i]];
}
static const oct_plan_tensor *out_of(const oct_plan *p, const oct_plan_step *s, uint32_t i)
{
    return &p->tensors[p->index[s->out_first + i]];
}
static const char *name_of(const oct_plan *p, const oct_plan_step *s)
{
    return oct_plan_string(p, s->name);
}
static const char *op_of(const oct_plan *p, const oct_plan_step *s)
{
    return oct_plan_string(p, s->op);
}

/* The last step before `before` that writes memory of t. Copies and fills hand on what others computed: they are looked through.
 * NULL when t comes from outside. */
static const oct_plan_step *writer(const oct_plan *p, const oct_plan_tensor *t, int32_t before)
{
    for (int32_t i = before; i-- > 0;) {
        const oct_plan_step *s = &p->steps[i];
        for (uint32_t k = 0; k < s->out_count; k++) {
            if (out_of(p, s, k)->root != t->root || s->kind == OCT_STEP_FILL)
                continue;
            if (s->kind != OCT_STEP_COPY || s->in_count != 1)
                return s;
            t = in_of(p, s, 0);
            break;
        }
    }
    return NULL;
}

/* The first step behind `after` that reads memory of t, copies looked through. NULL when nobody does. */
static const oct_plan_step *reader(const oct_plan *p, const oct_plan_tensor *t, int32_t after)
{
    for (int32_t i = after + 1; i < p->step_count; i++) {
        const oct_plan_step *s = &p->steps[i];
        for (uint32_t k = 0; k < s->in_count; k++) {
            if (in_of(p, s, k)->root != t->root)
                continue;
            if (s->kind != OCT_STEP_COPY || s->out_count != 1)
                return s;
            t = out_of(p, s, 0);
            break;
        }
    }
    return NULL;
}

static bool int8_to_float(const oct_plan *p, const oct_plan_step *s)
{
    return s && s->precision == OCT_PREC_INT8 && s->out_count > 0 && out_of(p, s, 0)->dtype == OCT_F32;
}

/* --- rules --- */

static oct_status lint_quantize(const oct_plan *p, int32_t i, cJSON *list)
{
    const oct_plan_step *q = &p->steps[i], *w = writer(p, in_of(p, q, 0), i);
    if (!w)
        return OCT_OK;
    if (int8_to_float(p, w))
        return oct_lint_add(list, "int8-float-quantize", "step", name_of(p, q),
                            "let the Q follow the layer (and its activation) directly, with no other reader of the float value",
                            "%s '%s' runs in INT8 but writes float, which is quantized again in a pass of its own", op_of(p, w),
                            name_of(p, w));
    return oct_lint_add(list, "leftover-quantize", "step", name_of(p, q),
                        "quantize the operator before as well, or leave the one behind in float",
                        "quantizes inside the graph what %s '%s' gives as float%s%s", op_of(p, w), name_of(p, w),
                        *oct_plan_string(p, w->reason) ? ": " : "", oct_plan_string(p, w->reason));
}

/* A function of floats that writes codes: its Q is fused, its input is not quantized. */
static oct_status lint_function(const oct_plan *p, int32_t i, cJSON *list)
{
    const oct_plan_step *f = &p->steps[i], *w = writer(p, in_of(p, f, 0), i);
    if (!w || !oct_unary_to_codes(in_of(p, f, 0), out_of(p, f, 0)))
        return OCT_OK;
    return oct_lint_add(
        list, "float-function", "step", name_of(p, f),
        "give its input a Q/DQ of its own: the function becomes a table of 256 entries, for the price of one more rounding",
        "%s '%s' reads floats of %s '%s' and writes codes", op_of(p, f), name_of(p, f), op_of(p, w), name_of(p, w));
}

static oct_status lint_dequantize(const oct_plan *p, int32_t i, cJSON *list)
{
    const oct_plan_step *d = &p->steps[i], *r = reader(p, out_of(p, d, 0), i);
    if (!r)
        return OCT_OK;
    return oct_lint_add(list, "leftover-dequantize", "step", name_of(p, d),
                        "give every input and the output of the operator behind Q/DQ, or leave the one before in float",
                        "turns codes to float inside the graph for %s '%s'%s%s", op_of(p, r), name_of(p, r),
                        *oct_plan_string(p, r->reason) ? ": " : "", oct_plan_string(p, r->reason));
}

static oct_status lint_add(const oct_plan *p, int32_t i, cJSON *list)
{
    const oct_plan_step *s = &p->steps[i];
    const oct_p_binary *b = (const oct_p_binary *)(const void *)(p->params + s->params);
    if (b->fn != OCT_BINARY_ADD || s->in_count != 2 || out_of(p, s, 0)->dtype != OCT_F32)
        return OCT_OK;
    const oct_plan_tensor *x[2] = {in_of(p, s, 0), in_of(p, s, 1)};
    if (x[0]->place == OCT_PLACE_CONST || x[1]->place == OCT_PLACE_CONST || x[0]->rank != x[1]->rank ||
        memcmp(x[0]->dims, x[1]->dims, sizeof *x[0]->dims * x[0]->rank) != 0)
        return OCT_OK;
    for (int k = 0; k < 2; k++) {
        const oct_plan_step *w = writer(p, x[k], i);
        if (int8_to_float(p, w) && w->kind != OCT_STEP_DEQUANTIZE)
            return oct_lint_add(list, "float-residual", "step", name_of(p, s),
                                "put Q/DQ on the other input of the Add and behind the sum: then it is fused into the INT8 layer",
                                "adds in float to what %s '%s' computes in INT8", op_of(p, w), name_of(p, w));
    }
    return OCT_OK;
}

/* A table that only changes the scale: in front of a Concat (the passes move the Q behind it to each input), or a DQ-Q pair of its
 * own. */
static oct_status lint_table(const oct_plan *p, int32_t i, cJSON *list)
{
    const oct_plan_step *s = &p->steps[i], *next = s;
    const oct_plan_tensor *x = in_of(p, s, 0), *y = out_of(p, s, 0);
    const bool requantize = strcmp(op_of(p, s), "Requantize") == 0;
    if (!requantize && strcmp(op_of(p, s), "Concat") != 0)
        return OCT_OK;
    for (int32_t k = i + 1; requantize && next == s && k < p->step_count; k++)
        for (uint32_t m = 0; m < p->steps[k].in_count; m++)
            if (in_of(p, &p->steps[k], m)->root == y->root)
                next = &p->steps[k];
    if (strcmp(op_of(p, next), "Concat") == 0)
        return oct_lint_add(list, "concat-scales", "step", name_of(p, next),
                            "give all inputs of the Concat the scale and zero of its output",
                            "an input of scale %g zero %d is requantized to scale %g zero %d", (double)x->scale,
                            x->zero - 128 * x->biased, (double)y->scale, y->zero - 128 * y->biased);
    return oct_lint_add(list, "requantize", "step", *name_of(p, s) ? name_of(p, s) : name_of(p, next),
                        "use one scale on both sides of what only moves values",
                        "codes of scale %g zero %d become codes of scale %g zero %d, and nothing else happens", (double)x->scale,
                        x->zero - 128 * x->biased, (double)y->scale, y->zero - 128 * y->biased);
}

/* Multiplications done per useful one: whole panels of columns or their steps, and runs of four codes for INT8. */
static oct_status lane_factor(const oct_plan *p, const oct_plan_step *s, double *factor)
{
    const void *kernel;
    *factor = 1;
    if (s->kind != OCT_STEP_CONV_Q && s->kind != OCT_STEP_CONV_F)
        return OCT_OK;
    OCT_TRY(oct_step_kernel(p, s, &kernel));
    const oct_p_conv *q = (const oct_p_conv *)(const void *)(p->params + s->params);
    const bool codes = s->kind == OCT_STEP_CONV_Q;
    const int32_t nr = codes ? ((const oct_qconv_kernel *)kernel)->nr : ((const oct_fconv_kernel *)kernel)->nr;
    const int32_t step = codes ? ((const oct_qconv_kernel *)kernel)->step : nr, columns = q->oc / q->groups, whole = columns / nr * nr;
    *factor = (double)(whole + oct_round_up(columns - whole, step)) / columns * (codes ? (double)oct_round_up(q->kc, 4) / q->kc : 1);
    return OCT_OK;
}

static oct_status lint_lanes(const oct_plan *p, cJSON *list)
{
    double total = 0, factor;
    for (int32_t i = 0; i < p->step_count; i++) {
        OCT_TRY(lane_factor(p, &p->steps[i], &factor));
        total += factor * (double)p->steps[i].macs;
    }
    for (int32_t i = 0; i < p->step_count; i++) {
        const oct_plan_step *s = &p->steps[i];
        OCT_TRY(lane_factor(p, s, &factor));
        const double excess = (factor - 1) * (double)s->macs;
        if (excess <= COSTLY * total)
            continue;
        const oct_p_conv *q = (const oct_p_conv *)(const void *)(p->params + s->params);
        OCT_TRY(oct_lint_add(list, "wasted-lanes", "step", name_of(p, s),
                             "channel counts that are multiples of 16 (outputs) and 4 (inputs) fill the vectors",
                             "%d output channels and %d values a tap do not fill the lanes of '%s': %.0f %% of the plan's "
                             "multiplications are for nothing",
                             q->oc / q->groups, q->kc, oct_plan_string(p, s->tactic), 100 * excess / total));
    }
    return OCT_OK;
}

oct_status oct_lint_plan(const oct_plan *p, cJSON *list)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        switch ((oct_step_kind)p->steps[i].kind) {
        case OCT_STEP_QUANTIZE:
            OCT_TRY(lint_quantize(p, i, list));
            break;
        case OCT_STEP_DEQUANTIZE:
            OCT_TRY(lint_dequantize(p, i, list));
            break;
        case OCT_STEP_UNARY:
            OCT_TRY(lint_function(p, i, list));
            break;
        case OCT_STEP_BINARY:
            OCT_TRY(lint_add(p, i, list));
            break;
        case OCT_STEP_TABLE:
            OCT_TRY(lint_table(p, i, list));
            break;
        default:
            break;
        }
    }
    return lint_lanes(p, list);
}

/* --- the two public calls --- */

static oct_status print_list(cJSON *list, char **json)
{
    char *text = cJSON_PrintUnformatted(list);
    if (!text)
        return oct_fail(OCT_ERR_MEMORY, "no memory for the findings");
    *json = text;
    return OCT_OK;
}

oct_status oct_plan_lint_json(const oct_plan *plan, char **json)
{
    oct_status s = OCT_OK;
    cJSON *list = cJSON_CreateArray();
    OCT_TRY_DONE(oct_lint_plan(plan, list));
    OCT_TRY_DONE(print_list(list, json));
done:
    cJSON_Delete(list);
    return s;
}

oct_status oct_model_lint_json(const oct_model *model, const oct_build_options *opts, char **json)
{
    oct_status s = OCT_OK;
    oct_graph *g = NULL;
    oct_plan *plan = NULL;
    cJSON *list = cJSON_CreateArray();
    const unsigned stages = OCT_OPT_EXPORT | OCT_OPT_FUSE | (opts && opts->mode == OCT_BUILD_FLOAT ? 0 : OCT_OPT_QDQ);
    OCT_TRY_DONE(oct_graph_clone(model->graph, &g));
    OCT_TRY_DONE(oct_build_graph(g, opts, stages, &plan));
    OCT_TRY_DONE(oct_lint_plan(plan, list));
    OCT_TRY_DONE(oct_lint_graph(g, list));
    OCT_TRY_DONE(print_list(list, json));
done:
    cJSON_Delete(list);
    oct_plan_destroy(plan);
    oct_graph_destroy(g);
    return s;
}
