/* inspect: the steps of a plan (or of the plan that an ONNX file gives): precision, kernel, work, scales, and the reason when not INT8. */
#include <stdio.h>
#include <string.h>

#include "source.h"

static const char *text_of(const cJSON *o, const char *key)
{
    const cJSON *t = cJSON_GetObjectItem(o, key);
    return cJSON_IsString(t) ? t->valuestring : "";
}

static double number_of(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItem(o, key);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

/* "uint8[1,16,32,32] nhwc scale 0.0182 zero 0" */
static void print_tensors(const char *what, const cJSON *list)
{
    const cJSON *t, *d;
    printf("%s", what);
    cJSON_ArrayForEach(t, list)
    {
        const cJSON *dims = cJSON_GetObjectItem(t, "shape");
        printf("%s%s[", t == list->child ? " " : ", ", text_of(t, "dtype"));
        cJSON_ArrayForEach(d, dims) printf("%s%.0f", d == dims->child ? "" : ",", d->valuedouble);
        printf("]%s%s", strcmp(text_of(t, "format"), "plain") == 0 ? "" : " ", strcmp(text_of(t, "format"), "plain") == 0 ? "" : text_of(t, "format"));
        if (cJSON_GetObjectItem(t, "scale"))
            printf(" scale %.6g zero %.0f", number_of(t, "scale"), number_of(t, "zero"));
    }
}

static void print_step(int index, const cJSON *s)
{
    printf("%-4d %-8s %-18s %-26s %12.0f %10.0f %10.0f  %s", index, text_of(s, "precision"), text_of(s, "op"), text_of(s, "tactic"), number_of(s, "macs"),
           number_of(s, "bytes"), number_of(s, "weight_bytes"), text_of(s, "fused"));
    printf(*text_of(s, "reason") ? "  (%s)\n" : "%s\n", text_of(s, "reason"));
    print_tensors("       ", cJSON_GetObjectItem(s, "inputs"));
    print_tensors(" ->", cJSON_GetObjectItem(s, "outputs"));
    printf("\n");
}

static void print_summary(const cJSON *root)
{
    const cJSON *summary = cJSON_GetObjectItem(root, "summary"), *steps = cJSON_GetObjectItem(summary, "steps"), *e;
    int count = cJSON_GetArraySize(cJSON_GetObjectItem(root, "steps"));
    printf("%.0f of %d steps in INT8", number_of(steps, "int8"), count);
    cJSON_ArrayForEach(e, steps) if (strcmp(e->string, "int8") != 0) printf(", %.0f %s", e->valuedouble, e->string);
    printf("; %.1f %% of %.0f MACs in INT8\n", 100 * number_of(summary, "int8_share"), number_of(summary, "macs"));
    printf("arena %.0f bytes, constants %.0f bytes, built for %s\n", number_of(root, "arena_bytes"), number_of(root, "constant_bytes"), text_of(root, "isa"));
    const cJSON *reasons = cJSON_GetObjectItem(summary, "reasons");
    if (cJSON_GetArraySize(reasons))
        printf("why not INT8 (steps, MACs, reason):\n");
    cJSON_ArrayForEach(e, reasons) printf("%5.0f %12.0f  %s\n", number_of(e, "steps"), number_of(e, "macs"), text_of(e, "reason"));
}

/* By rule, each hint once. */
static void print_findings(const cJSON *lint)
{
    const cJSON *f, *other;
    printf("lint: %d findings\n", cJSON_GetArraySize(lint));
    cJSON_ArrayForEach(f, lint)
    {
        bool first = true;
        for (other = lint->child; other != f; other = other->next)
            first = first && strcmp(text_of(other, "rule"), text_of(f, "rule")) != 0;
        if (!first)
            continue;
        printf("%s: %s\n", text_of(f, "rule"), text_of(f, "hint"));
        for (other = f; other; other = other->next)
            if (strcmp(text_of(other, "rule"), text_of(f, "rule")) == 0)
                printf("    %s%s: %s\n", text_of(other, "step"), text_of(other, "tensor"), text_of(other, "message"));
    }
}

static void print_text(const char *path, const cJSON *root)
{
    const cJSON *s;
    int index = 0;
    printf("%s\n%-4s %-8s %-18s %-26s %12s %10s %10s  %s\n", path, "step", "as", "op", "kernel", "MACs", "bytes", "weights", "name");
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(root, "steps")) print_step(index++, s);
    print_summary(root);
    if (cJSON_GetObjectItem(root, "lint"))
        print_findings(cJSON_GetObjectItem(root, "lint"));
}

int cmd_inspect(int argc, char **argv)
{
    bool as_float = false, lint = false;
    cli_texts dims = {0};
    cli_option own[] = {{"--lint", NULL, CLI_FLAG, &lint, NULL, "also what is wrong or wasteful: leftover Q/DQ, float residuals, scales, dead or clipped weights", 0, 0},
                        {"--float", NULL, CLI_FLAG, &as_float, NULL, "of an ONNX file: as if built with --float", 0, 0},
                        {"--dim", NULL, CLI_TEXTS, &dims, "NAME=N", "of an ONNX file: value of a free dimension", 0, 0},
                        {0}};
    cli c = {.command = "inspect", .usage = "PLAN|MODEL",
             .summary = "The steps of a plan: source nodes, precision, kernel, MACs, bytes moved (weights included), bytes of weights, types, shapes and\n"
                        "scales, and the reason for each step that is not INT8; then a summary. With --lint, of an ONNX file the weights are looked at too; findings do not\n"
                        "change the exit status.",
             .options = own, .arg_min = 1, .arg_max = 1};
    int status = 0;
    cli_subject subject = {0};
    char *json = NULL, *findings = NULL;
    cJSON *root = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    oct_build_options options = {.batch = c.o.batch, .dims = dims.items, .dim_count = dims.count, .mode = as_float ? OCT_BUILD_FLOAT : OCT_BUILD_FASTEST};
    oct_status s = cli_subject_open(c.args[0], &subject);
    if (s == OCT_OK && subject.model)
        s = oct_plan_build(subject.model, &options, &subject.plan);
    if (s == OCT_OK)
        s = oct_plan_inspect_json(subject.plan, &json);
    if (s == OCT_OK && lint)
        s = subject.model ? oct_model_lint_json(subject.model, &options, &findings) : oct_plan_lint_json(subject.plan, &findings);
    if (s != OCT_OK) {
        status = cli_report(&c, s);
        goto done;
    }
    root = cJSON_Parse(json);
    if (lint)
        cJSON_AddItemToObject(root, "lint", cJSON_Parse(findings));
    if (c.o.json)
        cli_print_json_text(cJSON_PrintUnformatted(root));
    else
        print_text(c.args[0], root);
done:
    cJSON_Delete(root);
    oct_string_free(json);
    oct_string_free(findings);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
