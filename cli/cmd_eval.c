/* eval: accuracy of one or two models on a data set, and the verdict of the second against the first. */
#include <math.h>
#include <stdio.h>

#include "peers.h"
#include "source.h"

static void print_json(const cli_subject subjects[2], int count, const oct_accuracy acc[2], const oct_verdict *v, int64_t skipped)
{
    cJSON *root = cJSON_CreateObject(), *models = cJSON_AddArrayToObject(root, "models");
    for (int i = 0; i < count; i++) {
        cJSON *m = cJSON_CreateObject();
        cJSON_AddStringToObject(m, "path", subjects[i].path);
        cJSON_AddNumberToObject(m, "n", (double)acc[i].n);
        cJSON_AddNumberToObject(m, "top1", acc[i].top1);
        cJSON_AddNumberToObject(m, "top5", acc[i].top5);
        cJSON_AddItemToArray(models, m);
    }
    if (count > 1) {
        cJSON *o = cJSON_AddObjectToObject(root, "verdict");
        cJSON_AddNumberToObject(o, "flips_better", (double)v->flips_better);
        cJSON_AddNumberToObject(o, "flips_worse", (double)v->flips_worse);
        cJSON_AddNumberToObject(o, "mcnemar_p", v->mcnemar_p);
        cJSON_AddItemToObject(o, "ci95", cJSON_CreateDoubleArray(v->ci95, 2));
        cJSON_AddNumberToObject(o, "agree", v->agree);
        cJSON_AddNumberToObject(o, "sqnr_db", v->sqnr_db);
        cJSON_AddNumberToObject(o, "cosine", v->cosine);
    } else {
        cJSON_AddNullToObject(root, "verdict");
    }
    cJSON_AddNumberToObject(root, "skipped", (double)skipped);
    cli_print_json(root);
}

static void print_text(const cli_subject subjects[2], int count, const oct_accuracy acc[2], const oct_verdict *v)
{
    for (int i = 0; i < count; i++) {
        printf("%s: %lld samples", subjects[i].path, (long long)acc[i].n);
        if (!isnan(acc[i].top1))
            printf(", top-1 %.2f %%, top-5 %.2f %%", acc[i].top1, acc[i].top5);
        printf("\n");
    }
    if (count < 2)
        return;
    printf("same answer on %.2f %% of the samples", v->agree);
    if (!isnan(v->cosine))
        printf("; outputs: SQNR %.1f dB, cosine %.6f", v->sqnr_db, v->cosine);
    printf("\n");
    if (isnan(v->mcnemar_p))
        return;
    double d = acc[1].top1 - acc[0].top1;
    printf("%lld samples right only in the second, %lld only in the first; McNemar p = %.3g\n", (long long)v->flips_better, (long long)v->flips_worse,
           v->mcnemar_p);
    printf("top-1 %+.2f points, 95 %% interval [%+.2f, %+.2f]: %s\n", d, v->ci95[0], v->ci95[1],
           v->ci95[0] > 0 ? "better" : v->ci95[1] < 0 ? "worse" : "no difference shown");
}

int cmd_eval(int argc, char **argv)
{
    cli_option own[] = {{0}};
    cli c = {.command = "eval", .usage = "A [B] --data PATH", .summary = "Accuracy of one or two models (ONNX or plan files) on a labelled set, with the verdict of B against A;\n"
             "without labels: agreement, SQNR and cosine of the outputs. Under mpirun each process takes its part of the samples.", .options = own, .arg_min = 1, .arg_max = 2};
    int status = 0;
    cli_subject subjects[2] = {{0}, {0}};
    oct_preprocess pre[2];
    oct_dataset *set = NULL;
    if (!cli_parse(&c, argc, argv, &status))
        goto done;
    for (int i = 0; !status && i < c.arg_count; i++) {
        oct_status s = cli_subject_open(c.args[i], &subjects[i]);
        if (s != OCT_OK)
            status = cli_report(&c, s);
    }
    const cli_subject *second = c.arg_count > 1 ? &subjects[1] : NULL;
    if (!status)
        status = cli_preprocess(&c, &subjects[0], second, &pre[0]);
    if (!status && second)
        status = cli_preprocess(&c, second, &subjects[0], &pre[1]);
    const oct_peers *peers = NULL;
    if (!status)
        status = cli_peers_open(&c, &peers);
    if (!status)
        status = cli_dataset(&c, peers ? peers->rank + 1 : 0, peers ? peers->size : 0, &set);
    if (status)
        goto done;

    cli_progress progress;
    cli_progress_begin(&progress, &c, "evaluating");
    oct_eval_subject runs[2];
    for (int i = 0; i < c.arg_count; i++)
        runs[i] = (oct_eval_subject){.name = c.args[i], .model = subjects[i].model, .plan = subjects[i].plan, .pre = &pre[i]};
    oct_eval_options options = {.threads = (int)c.o.threads, .batch = c.o.batch, .progress = cli_progress_update, .user = &progress, .peers = peers};
    oct_accuracy acc[2];
    oct_verdict verdict = {0};
    oct_status s = oct_evaluate(set, &runs[0], second ? &runs[1] : NULL, &options, acc, &verdict);
    if (s != OCT_OK) {
        status = cli_report(&c, s);
        goto done;
    }
    cli_progress_end(&progress, acc[0].n);
    cli_note_faults(&c, set);
    if (c.o.json)
        print_json(subjects, c.arg_count, acc, &verdict, oct_dataset_fault_count(set));
    else
        print_text(subjects, c.arg_count, acc, &verdict);
done:
    oct_dataset_destroy(set);
    cli_subject_close(&subjects[0]);
    cli_subject_close(&subjects[1]);
    return cli_finish(&c, status);
}
