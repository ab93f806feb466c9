/* build: an ONNX file to a plan file for this machine. */
#include <stdio.h>
#include <string.h>

#include "source.h"

static void count_steps(const oct_plan *plan, int *steps, int *int8)
{
    char *json = NULL;
    *steps = oct_plan_step_count(plan);
    *int8 = 0;
    if (oct_plan_inspect_json(plan, &json) != OCT_OK)
        return;
    cJSON *root = cJSON_Parse(json), *s;
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(root, "steps"))
    {
        const cJSON *p = cJSON_GetObjectItem(s, "precision");
        *int8 += cJSON_IsString(p) && strcmp(p->valuestring, "int8") == 0;
    }
    cJSON_Delete(root);
    oct_string_free(json);
}

int cmd_build(int argc, char **argv)
{
    const char *output = NULL;
    bool as_float = false;
    cli_texts dims = {0};
    cli_option own[] = {{"--output", "-o", CLI_TEXT, &output, "PLAN", "where the plan goes", 0, 0},
                        {"--float", NULL, CLI_FLAG, &as_float, NULL, "every layer in float", 0, 0},
                        {"--dim", NULL, CLI_TEXTS, &dims, "NAME=N", "value of a free dimension, by symbol or INPUT:AXIS", 0, 0},
                        {0}};
    cli c = {.command = "build", .usage = "MODEL -o PLAN", .summary = "Build a plan for this machine; --batch sets a free first dimension (default 1).",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0, steps, int8;
    oct_model *model = NULL;
    oct_plan *plan = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    if (!output) {
        status = cli_error(&c, OCT_ERR_USAGE, "-o PLAN is missing");
        goto done;
    }
    oct_status s = oct_model_load(c.args[0], &model);
    oct_build_options options = {.batch = c.o.batch, .dims = dims.items, .dim_count = dims.count, .mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST};
    if (s == OCT_OK)
        s = oct_plan_build(model, &options, &plan);
    if (s == OCT_OK)
        s = oct_plan_save(plan, output);
    if (s != OCT_OK) {
        status = cli_report(&c, s);
        goto done;
    }
    count_steps(plan, &steps, &int8);
    if (c.o.json) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddStringToObject(root, "model", c.args[0]);
        cJSON_AddStringToObject(root, "output", output);
        cJSON_AddNumberToObject(root, "bytes", (double)cli_file_size(output));
        cJSON_AddNumberToObject(root, "steps", steps);
        cJSON_AddNumberToObject(root, "int8_steps", int8);
        cli_print_json(root);
    } else if (!c.o.quiet) {
        printf("%s: %d steps, %d in INT8, %lld bytes\n", output, steps, int8, (long long)cli_file_size(output));
    }
done:
    oct_plan_destroy(plan);
    oct_model_destroy(model);
    return cli_finish(&c, status);
}
