/* inspect: the steps of a plan (or of the plan that an ONNX file gives): precision, kernel, and the reason when not INT8. */
#include <stdio.h>
#include <string.h>

#include "source.h"

static const char *text_of(const cJSON *step, const char *key)
{
    const cJSON *t = cJSON_GetObjectItem(step, key);
    return cJSON_IsString(t) ? t->valuestring : "";
}

static void print_text(const char *path, const cJSON *root)
{
    const cJSON *steps = cJSON_GetObjectItem(root, "steps"), *s;
    int int8 = 0, count = 0;
    printf("%s\n%-4s %-8s %-12s %-26s %12s  %s\n", path, "step", "as", "op", "kernel", "MACs", "name");
    cJSON_ArrayForEach(s, steps)
    {
        const cJSON *macs = cJSON_GetObjectItem(s, "macs");
        int8 += strcmp(text_of(s, "precision"), "int8") == 0;
        printf("%-4d %-8s %-12s %-26s %12.0f  %s", count++, text_of(s, "precision"), text_of(s, "op"), text_of(s, "tactic"),
               cJSON_IsNumber(macs) ? macs->valuedouble : 0, text_of(s, "name"));
        printf(*text_of(s, "reason") ? "  (%s)\n" : "%s\n", text_of(s, "reason"));
    }
    printf("%d of %d steps in INT8\n", int8, count);
}

int cmd_inspect(int argc, char **argv)
{
    bool as_float = false;
    cli_texts dims = {0};
    cli_option own[] = {{"--float", NULL, CLI_FLAG, &as_float, NULL, "of an ONNX file: as if built with --float", 0, 0},
                        {"--dim", NULL, CLI_TEXTS, &dims, "NAME=N", "of an ONNX file: value of a free dimension", 0, 0},
                        {0}};
    cli c = {.command = "inspect", .usage = "PLAN|MODEL", .summary = "The steps of a plan: precision, kernel, MACs, and the reason for each step that is not INT8.",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    cli_subject subject = {0};
    char *json = NULL;
    cJSON *root = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    oct_status s = cli_subject_open(c.args[0], &subject);
    if (s == OCT_OK && subject.model) {
        oct_build_options options = {.batch = c.o.batch, .dims = dims.items, .dim_count = dims.count, .mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST};
        s = oct_plan_build(subject.model, &options, &subject.plan);
    }
    if (s == OCT_OK)
        s = oct_plan_inspect_json(subject.plan, &json);
    if (s != OCT_OK) {
        status = cli_report(&c, s);
        goto done;
    }
    if (c.o.json) {
        printf("%s\n", json);
    } else {
        root = cJSON_Parse(json);
        print_text(c.args[0], root);
    }
done:
    cJSON_Delete(root);
    oct_string_free(json);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
