/* info: what a model is made of, and which of its layers can be INT8. */
#include <stdio.h>

#include "source.h"

static void print_ports(const char *title, const cJSON *list)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, list)
    {
        const cJSON *name = cJSON_GetObjectItem(p, "name"), *type = cJSON_GetObjectItem(p, "dtype"), *dims = cJSON_GetObjectItem(p, "dims"), *d;
        printf("%-8s %s  %s [", title, cJSON_IsString(name) ? name->valuestring : "?", cJSON_IsString(type) ? type->valuestring : "");
        cJSON_ArrayForEach(d, dims)
        {
            if (cJSON_IsString(d))
                printf("%s%s", d == dims->child ? "" : ", ", d->valuestring);
            else
                printf("%s%.0f", d == dims->child ? "" : ", ", d->valuedouble);
        }
        printf("]\n");
    }
}

static void print_layers(const cJSON *layers)
{
    const cJSON *l;
    cJSON_ArrayForEach(l, layers)
    {
        const cJSON *name = cJSON_GetObjectItem(l, "name"), *op = cJSON_GetObjectItem(l, "op"), *can = cJSON_GetObjectItem(l, "int8");
        const cJSON *reason = cJSON_GetObjectItem(l, "reason");
        printf("  %-5s %-18s %s%s%s\n", cJSON_IsTrue(can) ? "int8" : "float", cJSON_IsString(op) ? op->valuestring : "",
               cJSON_IsString(name) ? name->valuestring : "", cJSON_IsString(reason) && *reason->valuestring ? ": " : "",
               cJSON_IsString(reason) ? reason->valuestring : "");
    }
}

static void print_text(const char *path, const cJSON *root)
{
    const cJSON *item;
    printf("%s\n", path);
    print_ports("input", cJSON_GetObjectItem(root, "inputs"));
    print_ports("output", cJSON_GetObjectItem(root, "outputs"));
    const char *const numbers[] = {"opset", "params", "macs"};
    for (int i = 0; i < 3; i++)
        if (cJSON_IsNumber(item = cJSON_GetObjectItem(root, numbers[i])))
            printf("%-8s %.0f\n", numbers[i], item->valuedouble);
    printf("ops     ");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "ops")) printf(" %s %.0f ", item->string, item->valuedouble);
    printf("\n");
    if (cJSON_GetArraySize(cJSON_GetObjectItem(root, "layers"))) {
        printf("layers\n");
        print_layers(cJSON_GetObjectItem(root, "layers"));
    }
    if ((item = cJSON_GetObjectItem(root, "passes"))) {
        printf("passes\n");
        const cJSON *p;
        cJSON_ArrayForEach(p, item)
        {
            if (cJSON_IsString(p)) {
                printf("  %s\n", p->valuestring);
            } else {
                char *text = cJSON_PrintUnformatted(p);
                printf("  %s\n", text ? text : "");
                cJSON_free(text);
            }
        }
    }
}

int cmd_info(int argc, char **argv)
{
    bool passes = false;
    cli_option own[] = {{"--passes", NULL, CLI_FLAG, &passes, NULL, "what each optimizer pass changes", 0, 0}, {0}};
    cli c = {.command = "info", .usage = "MODEL", .summary = "Inputs, outputs, operators, parameters, MACs; which layers can be INT8 and why not.",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    oct_model *model = NULL;
    char *json = NULL;
    cJSON *root = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    if (cli_is_plan_file(c.args[0])) {
        status = cli_error(&c, OCT_ERR_USAGE, "'%s' is a plan; 'octavo inspect' shows it", c.args[0]);
        goto done;
    }
    oct_status s = oct_model_load(c.args[0], &model);
    if (s == OCT_OK)
        s = oct_model_info_json(model, passes, &json);
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
    oct_model_destroy(model);
    return cli_finish(&c, status);
}
