/* inspect: the steps of a plan (or of the plan that an ONNX file gives): precision, kernel, work, scales, and the reason when not INT8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

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
    printf("%-4d %-8s %-18s %-26s %12.0f %10.0f %10.0f", index, text_of(s, "precision"), text_of(s, "op"), text_of(s, "tactic"), number_of(s, "macs"),
           number_of(s, "bytes"), number_of(s, "weight_bytes"));
    if (cJSON_GetObjectItem(s, "ms"))
        printf(" %9.4f", number_of(s, "ms"));
    if (cJSON_IsNumber(cJSON_GetObjectItem(s, "percent_of_peak")))
        printf(" %6.1f", number_of(s, "percent_of_peak"));
    else if (cJSON_GetObjectItem(s, "ms"))
        printf(" %6s", "");
    printf("  %s", *text_of(s, "fused") ? text_of(s, "fused") : text_of(s, "name"));
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
    const cJSON *steps = cJSON_GetObjectItem(root, "steps");
    printf("%s\n%-4s %-8s %-18s %-26s %12s %10s %10s", path, "step", "as", "op", "kernel", "MACs", "bytes", "weights");
    printf(steps->child && cJSON_GetObjectItem(steps->child, "ms") ? " %9s %6s  name\n" : "  name\n", "ms", "% peak");
    cJSON_ArrayForEach(s, steps) print_step(index++, s);
    print_summary(root);
    if (cJSON_GetObjectItem(root, "lint"))
        print_findings(cJSON_GetObjectItem(root, "lint"));
}

/* --- --time --- */

enum { TIMED_RUNS = 30, PEAKS = 5 };

static double best_peak(const oct_plan *plan, bool int8)
{
    double best = 0;
    for (int i = 0; i < PEAKS; i++) {
        double peak = oct_plan_peak(plan, int8);
        best = peak > best ? peak : best;
    }
    return best;
}

/* Least time of a step over the runs, on random inputs, into the steps' objects: "ms", "percent_of_peak" (null without MACs or peak). */
static oct_status add_times(const cli *c, cli_session *session, cJSON *steps)
{
    const double peak[2] = {best_peak(session->plan, false) * cli_threads(c), best_peak(session->plan, true) * cli_threads(c)};
    const int count = oct_plan_step_count(session->plan);
    double *least = malloc(((size_t)count + 1) * sizeof *least);
    oct_status s = least ? cli_session_random(session, (uint64_t)c->o.seed) : OCT_ERR_MEMORY;
    if (s == OCT_OK)
        s = oct_context_run(session->context); /* to warm up */
    for (int run = 0; s == OCT_OK && run < TIMED_RUNS; run++) {
        oct_context_profile(session->context, true);
        s = oct_context_run(session->context);
        for (int i = 0; s == OCT_OK && i < count; i++) {
            oct_step_profile p;
            s = oct_context_get_profile(session->context, i, &p);
            least[i] = run == 0 || p.seconds < least[i] ? p.seconds : least[i];
        }
        oct_context_profile(session->context, false);
    }
    for (int i = 0; s == OCT_OK && i < count; i++) {
        cJSON *o = cJSON_GetArrayItem(steps, i);
        const double macs = number_of(o, "macs"), most = peak[strcmp(text_of(o, "precision"), "int8") == 0];
        cJSON_AddNumberToObject(o, "ms", 1e3 * least[i]);
        if (macs > 0 && most > 0 && least[i] > 0)
            cJSON_AddNumberToObject(o, "percent_of_peak", 100 * macs / (least[i] * 1e9 * most));
        else
            cJSON_AddNullToObject(o, "percent_of_peak");
    }
    free(least);
    return s;
}

int cmd_inspect(int argc, char **argv)
{
    bool as_float = false, lint = false, timed = false;
    cli_texts dims = {0};
    cli_option own[] = {{"--lint", NULL, CLI_FLAG, &lint, NULL, "also what is wrong or wasteful: leftover Q/DQ, float residuals, scales, dead or clipped weights", 0, 0},
                        {"--time", NULL, CLI_FLAG, &timed, NULL, "also run it: least time of each step, and percent of what the cores can do at most", 0, 0},
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
    cli_session session = {0};
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
    if (timed) {
        s = cli_session_open(&session, &c, &subject, NULL, 1, &dims, as_float);
        if (s == OCT_OK)
            s = add_times(&c, &session, cJSON_GetObjectItem(root, "steps"));
        if (s != OCT_OK) {
            status = cli_report(&c, s);
            goto done;
        }
    }
    if (lint)
        cJSON_AddItemToObject(root, "lint", cJSON_Parse(findings));
    if (c.o.json)
        cli_print_json_text(cJSON_PrintUnformatted(root));
    else
        print_text(c.args[0], root);
done:
    cli_session_close(&session);
    cJSON_Delete(root);
    oct_string_free(json);
    oct_string_free(findings);
    cli_subject_close(&subject);
    return cli_finish(&c, status);
}
