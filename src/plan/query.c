/* The plan's public getters: ports, taps, metadata, steps. */
#include <string.h>
#include "plan/plan.h"

static void fill_port(const oct_plan *p, const oct_plan_port *from, oct_port *out)
{
    oct_port r = {.name = oct_plan_string(p, from->name), .dtype = (oct_dtype)from->dtype, .rank = (int32_t)from->rank};
    for (uint32_t i = 0; i < from->rank; i++) {
        r.dims[i] = from->dims[i];
        r.dim_names[i] = "";
    }
    *out = r;
}

int oct_plan_input_count(const oct_plan *plan) { return plan->input_count; }
int oct_plan_output_count(const oct_plan *plan) { return plan->output_count; }
int oct_plan_step_count(const oct_plan *plan) { return plan->step_count; }

oct_status oct_plan_get_input(const oct_plan *plan, int index, oct_port *out)
{
    if (index < 0 || index >= plan->input_count)
        return oct_fail(OCT_ERR_USAGE, "input %d of %d", index, plan->input_count);
    fill_port(plan, &plan->inputs[index], out);
    return OCT_OK;
}

oct_status oct_plan_get_output(const oct_plan *plan, int index, oct_port *out)
{
    if (index < 0 || index >= plan->output_count)
        return oct_fail(OCT_ERR_USAGE, "output %d of %d", index, plan->output_count);
    fill_port(plan, &plan->outputs[index], out);
    return OCT_OK;
}

oct_status oct_plan_get_tap(const oct_plan *plan, const char *name, oct_port *out)
{
    for (int32_t i = 0; i < plan->tap_count; i++)
        if (strcmp(oct_plan_string(plan, plan->taps[i].name), name) == 0) {
            fill_port(plan, &plan->taps[i], out);
            return OCT_OK;
        }
    for (int32_t i = 0; i < plan->output_count; i++) /* an output is kept anyway */
        if (strcmp(oct_plan_string(plan, plan->outputs[i].name), name) == 0) {
            fill_port(plan, &plan->outputs[i], out);
            return OCT_OK;
        }
    return oct_fail_node(oct_fail(OCT_ERR_USAGE, "the plan keeps no tensor '%s'", name), name);
}

const char *oct_plan_get_metadata(const oct_plan *plan, const char *key)
{
    for (int32_t i = 0; i < plan->meta_count; i++)
        if (strcmp(oct_plan_string(plan, plan->meta[i].key), key) == 0)
            return oct_plan_string(plan, plan->meta[i].value);
    return NULL;
}
